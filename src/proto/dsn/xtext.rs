//! xtext: how DSN parameters travel in SMTP commands (RFC 3461 §4).

/// Decodes xtext; `None` when it is malformed or its octets are no UTF-8.
pub fn decode_xtext(text: &str) -> Option<String> {
    let mut octets = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(octet) = octets.next() {
        match octet {
            b'+' => decoded.push(hex(octets.next()?)? << 4 | hex(octets.next()?)?),
            b'=' => return None,
            octet if octet.is_ascii_graphic() => decoded.push(octet),
            _ => return None,
        }
    }
    String::from_utf8(decoded).ok()
}

/// Encodes as xtext.
pub fn encode_xtext(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_graphic() && !matches!(octet, b'+' | b'=') {
            encoded.push(char::from(octet));
        } else {
            encoded.push('+');
            encoded.push(char::from(DIGITS[usize::from(octet >> 4)]));
            encoded.push(char::from(DIGITS[usize::from(octet & 15)]));
        }
    }
    encoded
}

/// The grammar has upper-case digits only.
fn hex(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn examples() {
        assert_eq!(decode_xtext("a+2Bb+3Dc").as_deref(), Some("a+b=c"));
        assert_eq!(encode_xtext("a+b=c d"), "a+2Bb+3Dc+20d");
        for malformed in ["a+2", "a+2b", "a=b", "a b", "+FF"] {
            assert_eq!(decode_xtext(malformed), None, "{malformed}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(text in any::<String>()) {
            prop_assert_eq!(decode_xtext(&encode_xtext(&text)), Some(text));
        }
    }
}
