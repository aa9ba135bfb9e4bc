//! Strings as IMAP's answers hold them (RFC 9051 §4.3).
//!
//! Seven-bit text is quoted. Text with octets over 127 or line ends becomes a literal, which every
//! client can take, whether or not it has said UTF8=ACCEPT (RFC 6855 §3 adds a form, it takes none
//! away). NUL can stand in neither and becomes `?`.

use std::io::Write as _;

/// Appends `text` as a `string`.
pub(super) fn push_string(text: &[u8], out: &mut Vec<u8>) {
    if text.iter().all(|octet| matches!(octet, 1..=0x7f) && !matches!(octet, b'\r' | b'\n')) {
        out.push(b'"');
        for octet in text {
            if matches!(octet, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(*octet);
        }
        out.push(b'"');
    } else {
        // Writing to a Vec cannot fail.
        let _ = write!(out, "{{{}}}\r\n", text.len());
        out.extend(text.iter().map(|octet| if *octet == 0 { b'?' } else { *octet }));
    }
}

/// Appends `text` as an `nstring`.
pub(super) fn push_nstring(text: Option<&[u8]>, out: &mut Vec<u8>) {
    match text {
        Some(text) => push_string(text, out),
        None => out.extend_from_slice(b"NIL"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: Option<&[u8]>) -> Vec<u8> {
        let mut out = Vec::new();
        push_nstring(text, &mut out);
        out
    }

    #[test]
    fn each_text_has_its_form() {
        assert_eq!(written(None), b"NIL");
        assert_eq!(written(Some(b"")), b"\"\"");
        assert_eq!(written(Some(b"a \"b\" \\c\t")), b"\"a \\\"b\\\" \\\\c\t\"");
        assert_eq!(written(Some(b"a\r\nb")), b"{4}\r\na\r\nb");
        assert_eq!(written(Some("\"é".as_bytes())), b"{3}\r\n\"\xc3\xa9");
        assert_eq!(written(Some(b"\0\xff")), b"{2}\r\n?\xff");
    }
}
