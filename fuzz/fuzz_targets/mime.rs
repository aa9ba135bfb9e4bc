//! Whatever a message holds: no panic, ranges within it, answers of bounded size, a digest that can
//! be stored, the same text in any pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::mime::{
    Decoder, Encoding, Limits, base_subject, casemap, decode, decode_words, digest, parse_date,
    text_of,
};

fuzz_target!(|data: &[u8]| {
    let limits = Limits { depth_max: 10, parts_max: 50, ..Limits::default() };
    let found = digest(data, &limits);
    let mut out = Vec::new();
    found.envelope.write(&mut out);
    found.structure.write(false, &mut out);
    found.structure.write(true, &mut out);
    assert!(out.starts_with(b"(") && out.ends_with(b")"));
    for range in found.header.select(&[], true) {
        assert!(range.start < range.end && range.end as usize <= data.len());
    }
    for part in found.structure.leaves() {
        assert!(part.header.end <= part.body.start && part.body.end as usize <= data.len());
        let (mut whole, mut pieces) = (String::new(), String::new());
        let mut text = text_of(&part, data);
        while text.next_piece(&mut whole) {}
        let mut text = text_of(&part, data);
        while text.next_of(3, &mut pieces) {}
        assert_eq!(whole, pieces);
    }
    for encoding in [Encoding::Base64, Encoding::QuotedPrintable] {
        let mut whole = Vec::new();
        let known = decode(encoding, data, &mut whole);
        assert!(known.is_ok() && whole.len() <= data.len());
        let Ok(mut decoder) = Decoder::new(encoding) else { continue };
        let mut pieces = Vec::new();
        for piece in data.chunks(5) {
            decoder.push(piece, &mut pieces);
        }
        decoder.finish(&mut pieces);
        assert_eq!(pieces, whole);
    }
    let text = decode_words(data);
    let base = base_subject(&text);
    // What is stripped stays so.
    assert_eq!(base_subject(&base.text).text, base.text);
    let _ = casemap(&base.text);
    let _ = parse_date(data);
});
