//! Modified UTF-7, in which mailbox names travel before `ENABLE IMAP4rev2` or `UTF8=ACCEPT` (RFC 3501
//! §5.1.3): printable ASCII stands for itself, `&` is `&-`, and everything else is UTF-16 in base64
//! with `,` for `/` and without padding, between `&` and `-`.
//!
//! Every name has one spelling: what is not written as [`encode_utf7`] writes it is refused, or two
//! names that look different would be one mailbox.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

const fn stands_for_itself(c: char) -> bool {
    matches!(c, ' '..='~') && c != '&'
}

/// Appends `text` in modified UTF-7: printable ASCII only.
pub fn encode_utf7(text: &str, out: &mut Vec<u8>) {
    // Bits that are not written yet, and how many; `None` outside of base64.
    let mut shift: Option<(u32, u32)> = None;
    for c in text.chars() {
        if stands_for_itself(c) || c == '&' {
            unshift(shift.take(), out);
            out.push(c as u8);
            if c == '&' {
                out.push(b'-');
            }
            continue;
        }
        let (mut bits, mut count) = shift.unwrap_or_else(|| {
            out.push(b'&');
            (0, 0)
        });
        for unit in c.encode_utf16(&mut [0; 2]) {
            bits = bits << 16 | u32::from(*unit);
            count += 16;
            while count >= 6 {
                count -= 6;
                out.push(ALPHABET[(bits >> count & 63) as usize]);
            }
            bits &= (1 << count) - 1;
        }
        shift = Some((bits, count));
    }
    unshift(shift, out);
}

fn unshift(shift: Option<(u32, u32)>, out: &mut Vec<u8>) {
    let Some((bits, count)) = shift else { return };
    if count > 0 {
        out.push(ALPHABET[(bits << (6 - count) & 63) as usize]);
    }
    out.push(b'-');
}

/// Reads modified UTF-7; `None` when `text` is not what [`encode_utf7`] writes.
#[must_use]
pub fn decode_utf7(text: &[u8]) -> Option<String> {
    let mut read = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'&' {
            if !stands_for_itself(char::from(*first)) {
                return None;
            }
            read.push(char::from(*first));
            continue;
        }
        let end = memchr::memchr(b'-', rest)?;
        let (encoded, behind) = rest.split_at(end);
        rest = &behind[1..];
        if encoded.is_empty() {
            read.push('&');
        } else {
            decode_shifted(encoded, &mut read)?;
        }
    }
    let mut again = Vec::with_capacity(text.len());
    encode_utf7(&read, &mut again);
    (again == text).then_some(read)
}

/// Reads what stands between `&` and `-`.
fn decode_shifted(encoded: &[u8], read: &mut String) -> Option<()> {
    let (mut bits, mut count) = (0u32, 0);
    let mut units = Vec::with_capacity(encoded.len() * 6 / 16);
    for octet in encoded {
        bits = bits << 6 | value(*octet)?;
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push((bits >> count & 0xffff) as u16);
            bits &= (1 << count) - 1;
        }
    }
    for c in char::decode_utf16(units) {
        read.push(c.ok()?);
    }
    Some(())
}

const fn value(octet: u8) -> Option<u32> {
    Some(match octet {
        b'A'..=b'Z' => octet - b'A',
        b'a'..=b'z' => octet - b'a' + 26,
        b'0'..=b'9' => octet - b'0' + 52,
        b'+' => 62,
        b',' => 63,
        _ => return None,
    } as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(text: &str) -> String {
        let mut out = Vec::new();
        encode_utf7(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_names() {
        for (text, wire) in [
            ("", ""),
            ("INBOX", "INBOX"),
            ("a & b", "a &- b"),
            ("Entwürfe", "Entw&APw-rfe"),
            // RFC 3501 §5.1.3.
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("台北日本語", "&U,BTF2XlZyyKng-"),
            ("☺!", "&Jjo-!"),
            ("📬", "&2D3c7A-"),
            ("\t", "&AAk-"),
        ] {
            assert_eq!(encoded(text), wire);
            assert_eq!(decode_utf7(wire.as_bytes()).as_deref(), Some(text), "{wire}");
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for wire in [
            "&",
            "&Jjo",
            "&Jjo!",
            // RFC 3501 §5.1.3: a superfluous shift, and an encoded letter.
            "&U,BTFw-&ZeVnLIqe-",
            "&AGE-",
            "&ACY-",
            // Bits left over, half a character, half a pair.
            "&AP-",
            "&APw3-",
            "&APx-",
            "&2D0-",
            "&APw=-",
            "&AP/-",
            "\u{fc}",
            "\t",
        ] {
            assert_eq!(decode_utf7(wire.as_bytes()), None, "{wire}");
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(text in ".{0,40}") {
            let wire = encoded(&text);
            prop_assert!(wire.bytes().all(|octet| matches!(octet, b' '..=b'~')));
            prop_assert_eq!(decode_utf7(wire.as_bytes()), Some(text));
        }

        #[test]
        fn what_is_read_was_written(wire in "[&A-Za-d+,!-]{0,20}") {
            if let Some(text) = decode_utf7(wire.as_bytes()) {
                prop_assert_eq!(encoded(&text), wire);
            }
        }
    }
}
