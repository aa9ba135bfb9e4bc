//! Whatever a client submits: its header is mended once and for all, its body is not touched, and no
//! blind copy is told of in what is left.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::{
    text::{Missing, mend_header, parse_date_time, scan_header, write_date_time},
    types::{Address, Timestamp},
};

fuzz_target!(|data: &[u8]| {
    let from = Address::parse("a@x.example").expect("an address");
    let missing = Missing { date: Timestamp(0), id: "1", domain: "x.example", from: Some(&from) };
    let mending = mend_header(data, &missing);
    let mended = mending.pieces(data).collect::<Vec<_>>().concat();
    let again = mend_header(&mended, &missing);
    assert!(again.is_nothing(), "{again:?}");
    assert!(again.from.fields > 0 && again.sender == mending.sender);
    if mending.from.fields > 0 {
        assert_eq!(again.from, mending.from);
    }
    let dropped: usize = mending.drop.iter().map(|range| range.len()).sum();
    let line = if mending.empty_line_at.is_some() { 2 } else { 0 };
    assert_eq!(mended.len(), data.len() - dropped + mending.insert.len() + line);
    assert!(mending.drop.windows(2).all(|pair| pair[0].end < pair[1].start));
    let body = mending.empty_line_at.unwrap_or_else(|| scan_header(data).header_bytes);
    assert!(mended.ends_with(&data[body..]));
    let facts = scan_header(&mended);
    assert!(facts.has_date && facts.has_from && facts.has_message_id);
    for line in mended[..facts.header_bytes].split(|octet| *octet == b'\n') {
        let name = line.split(|octet| *octet == b':').next().unwrap_or_default();
        let name = name.trim_ascii_end().to_ascii_lowercase();
        // A lone colon-less line cannot stand in a header that was mended.
        assert!(!line.contains(&b':') || (name != b"bcc" && name != b"resent-bcc"));
    }
    // A zone behind ours may name a moment of year 10000, which cannot be written.
    let read = std::str::from_utf8(data).ok().and_then(parse_date_time);
    if let Some(at) = read.filter(|at| at.0 < 253_402_300_800_000) {
        let mut written = Vec::new();
        write_date_time(at, &mut written);
        let back = parse_date_time(std::str::from_utf8(&written).expect("ASCII"));
        assert_eq!(back, Some(Timestamp(at.0 / 1000 * 1000)));
    }
});
