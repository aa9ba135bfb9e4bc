//! Characters of log lines: quoting and escaping, straight into a buffer.
//!
//! What must stay true: whatever a peer sent, a line stays one line and a JSON line stays valid
//! JSON (RFC 8259 §7). Control characters, C1 ones included, are escaped in both formats, so that
//! a log shown on a terminal cannot drive it.

use std::fmt;

/// Appends what is formatted into it, escaped, to a buffer.
pub(crate) struct Escaped<'a>(pub(crate) &'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(text, self.0);
        Ok(())
    }
}

/// Bytes that begin something to escape: controls, quote, backslash, DEL, and 0xc2, which leads the
/// C1 controls (U+0080–U+009F) and little else in UTF-8.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        special[byte] = true;
        byte += 1;
    }
    special[b'"' as usize] = true;
    special[b'\\' as usize] = true;
    special[0x7f] = true;
    special[0xc2] = true;
    special
};

/// Appends `text` escaped, without quotes.
pub(crate) fn escape(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| SPECIAL[usize::from(*byte)]) {
        out.extend_from_slice(&rest[..at]);
        let length = special_len(&rest[at..]);
        let (special, behind) = rest[at..].split_at(length);
        match special {
            // A character of the same page that is no control.
            [0xc2, 0xa0..=0xff] => out.extend_from_slice(special),
            _ => escape_one(special, out),
        }
        rest = behind;
    }
    out.extend_from_slice(rest);
}

/// The length of the character at the front, which begins with a special byte.
fn special_len(bytes: &[u8]) -> usize {
    if bytes[0] == 0xc2 { bytes.len().min(2) } else { 1 }
}

fn escape_one(special: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    // The second byte of a C1 control is its code point.
    let code = special[special.len() - 1];
    let short = match code {
        b'"' | b'\\' => code,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(code >> 4)], HEX[usize::from(code & 15)]]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends `value` in decimal.
pub(crate) fn decimal(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Whether a value of the text format, escaped or not, can stand without quotes.
pub(crate) fn is_plain(value: &[u8]) -> bool {
    let is_odd = |byte: &u8| SPECIAL[usize::from(*byte)] || matches!(byte, b' ' | b'=');
    !value.is_empty() && !value.iter().any(is_odd)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = Vec::new();
        escape(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_escapes() {
        assert_eq!(
            escaped("a\"b\\c\r\n\t\u{1}\u{7f}\u{9b}é\u{a0}²"),
            r#"a\"b\\c\r\n\t\u0001\u007f\u009bé ²"#
        );
    }

    proptest! {
        #[test]
        fn json_readers_see_the_same_text(text in any::<String>()) {
            let quoted = format!("\"{}\"", escaped(&text));
            prop_assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
            prop_assert!(!quoted.chars().any(char::is_control));
        }

        #[test]
        fn decimals(value in any::<u64>()) {
            let mut out = Vec::new();
            decimal(value, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }
}
