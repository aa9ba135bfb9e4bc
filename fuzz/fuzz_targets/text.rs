//! Whatever stands in an address, a header, a report parameter or a body: no panic, and what is written
//! can be read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::{
    dsn::{decode_xtext, encode_xtext},
    text::{body_is_8bit, scan_header, stuff_dots},
    types::{Address, Domain, Host},
};

fuzz_target!(|data: &[u8]| {
    let facts = scan_header(data);
    assert!(facts.header_bytes <= data.len());
    let _ = body_is_8bit(data);
    let stuffed = stuff_dots(data);
    assert!(stuffed.len() >= data.len());
    assert!(!stuffed.windows(3).any(|octets| octets == b"\n.\r"));
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(address) = Address::parse(text) {
        let written = address.to_string();
        assert_eq!(Address::parse(&written).as_ref(), Ok(&address), "{written}");
    }
    if let Ok(domain) = Domain::parse(text) {
        assert_eq!(Domain::parse(domain.as_str()).as_ref(), Ok(&domain));
    }
    if let Ok(host) = Host::parse(text) {
        assert_eq!(Host::parse(&host.to_string()).as_ref(), Ok(&host));
    }
    assert_eq!(decode_xtext(&encode_xtext(text)).as_deref(), Some(text));
    let _ = decode_xtext(text);
});
