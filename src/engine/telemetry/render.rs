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

/// Appends `text` escaped, without quotes.
pub(crate) fn escape(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut plain_from = 0;
    let mut at = 0;
    while at < bytes.len() {
        let length = special_len(&bytes[at..]);
        if length == 0 {
            at += 1;
            continue;
        }
        out.extend_from_slice(&bytes[plain_from..at]);
        escape_one(&bytes[at..at + length], out);
        at += length;
        plain_from = at;
    }
    out.extend_from_slice(&bytes[plain_from..]);
}

/// The length of the character at the front if it must be escaped, else 0.
fn special_len(bytes: &[u8]) -> usize {
    match bytes {
        [0..0x20 | b'"' | b'\\' | 0x7f, ..] => 1,
        // U+0080–U+009F, the C1 controls, in UTF-8.
        [0xc2, 0x80..0xa0, ..] => 2,
        _ => 0,
    }
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

/// Whether a value of the text format can stand without quotes.
pub(crate) fn is_plain(value: &[u8]) -> bool {
    !value.is_empty() && !value.iter().any(|byte| matches!(byte, b' ' | b'=' | b'\\'))
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
            escaped("a\"b\\c\r\n\t\u{1}\u{7f}\u{9b}é"),
            r#"a\"b\\c\r\n\t\u0001\u007f\u009bé"#
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
