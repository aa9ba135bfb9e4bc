//! Strings and numbers (RFC 9051 §4).

use crate::imap::{
    command::Enabled,
    syntax::{encode_utf7, is_atom_octet},
};

/// Octets of a quoted string; longer ones go as literals, which are read faster.
const QUOTED_OCTETS_MAX: usize = 1024;

/// Appends a number in decimal.
pub fn push_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Whether `text` can be quoted: no line end and no NUL, and 8-bit only where it is UTF-8 and
/// understood.
fn is_quotable(text: &[u8], enabled: Enabled) -> bool {
    text.len() <= QUOTED_OCTETS_MAX
        && !text.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0))
        && (text.is_ascii() || (enabled.is_utf8() && std::str::from_utf8(text).is_ok()))
}

/// Appends a `string`. A NUL, which no string can hold, is left out.
pub fn write_string(text: &[u8], enabled: Enabled, out: &mut Vec<u8>) {
    if is_quotable(text, enabled) {
        return write_quoted(text, out);
    }
    let nuls = text.iter().filter(|octet| **octet == 0).count();
    out.push(b'{');
    push_number((text.len() - nuls) as u64, out);
    out.extend_from_slice(b"}\r\n");
    out.extend(text.iter().filter(|octet| **octet != 0));
}

/// Appends an `nstring`.
pub fn write_nstring(text: Option<&[u8]>, enabled: Enabled, out: &mut Vec<u8>) {
    match text {
        Some(text) => write_string(text, enabled, out),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// Appends an `astring`: bare when it is an atom, and not `NIL`, which some take for nothing.
pub fn write_astring(text: &[u8], out: &mut Vec<u8>) {
    let bare = !text.is_empty() && text.iter().all(|octet| is_atom_octet(*octet));
    if bare && !text.eq_ignore_ascii_case(b"NIL") {
        out.extend_from_slice(text);
    } else {
        write_string(text, Enabled::NONE, out);
    }
}

/// Appends the name of a mailbox: as UTF-8 or in modified UTF-7, quoted.
pub fn write_mailbox(name: &str, enabled: Enabled, out: &mut Vec<u8>) {
    if enabled.is_utf8() {
        return write_string(name.as_bytes(), enabled, out);
    }
    let from = out.len();
    out.push(b'"');
    encode_utf7(name, out);
    out.push(b'"');
    // Modified UTF-7 is printable; only these two are yet to be escaped, and are rare.
    let mut at = out.len() - 2;
    while at > from {
        if matches!(out[at], b'"' | b'\\') {
            out.insert(at, b'\\');
        }
        at -= 1;
    }
}

fn write_quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(&[b'\\', rest[at]]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Appends text that people read: control characters and line ends become blanks, so that it cannot
/// become another response.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    let safe = |octet: u8| if octet.is_ascii_control() { b' ' } else { octet };
    out.extend(text.bytes().map(safe));
}
