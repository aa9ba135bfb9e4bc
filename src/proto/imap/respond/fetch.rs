//! `FETCH` responses (RFC 9051 §7.5.2).
//!
//! A line is begun, items are added, and it is ended. Between [`FetchLine::literal`] and the next item
//! exactly the octets that were announced go out: a driver sends what is in `out`, then the octets
//! straight from its store, then goes on with the line.

use super::{push_number, text::write_string};
use crate::{
    imap::{
        command::{Binary, Body, Enabled},
        syntax::{SystemFlags, write_flags, write_internal_date},
    },
    types::Timestamp,
};

/// A `FETCH` response that is being written.
#[derive(Debug)]
#[must_use = "a line ends with `end`"]
pub struct FetchLine {
    any: bool,
}

impl FetchLine {
    /// `* 12 FETCH (`, of the message with this sequence number.
    pub fn begin(number: u32, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(b"* ");
        push_number(u64::from(number), out);
        out.extend_from_slice(b" FETCH (");
        Self { any: false }
    }

    /// `)`, and the end of the line.
    pub fn end(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b")\r\n");
    }

    fn separate(&mut self, out: &mut Vec<u8>) {
        if self.any {
            out.push(b' ');
        }
        self.any = true;
    }

    fn item(&mut self, name: &[u8], out: &mut Vec<u8>) {
        self.separate(out);
        out.extend_from_slice(name);
        out.push(b' ');
    }

    /// `UID`
    pub fn uid(&mut self, uid: u32, out: &mut Vec<u8>) {
        self.item(b"UID", out);
        push_number(u64::from(uid), out);
    }

    /// `FLAGS`; `recent` adds `\Recent` (RFC 3501).
    pub fn flags<'k>(
        &mut self,
        system: SystemFlags,
        keywords: impl IntoIterator<Item = &'k str>,
        recent: bool,
        out: &mut Vec<u8>,
    ) {
        self.item(b"FLAGS", out);
        let recent = recent.then_some("\\Recent");
        write_flags(system, keywords.into_iter().chain(recent), false, out);
    }

    /// `INTERNALDATE`
    pub fn internal_date(&mut self, at: Timestamp, out: &mut Vec<u8>) {
        self.item(b"INTERNALDATE", out);
        write_internal_date(at, out);
    }

    /// `RFC822.SIZE`
    pub fn size(&mut self, octets: u64, out: &mut Vec<u8>) {
        self.item(b"RFC822.SIZE", out);
        push_number(octets, out);
    }

    /// `MODSEQ` (RFC 7162)
    pub fn modseq(&mut self, modseq: u64, out: &mut Vec<u8>) {
        self.item(b"MODSEQ", out);
        out.push(b'(');
        push_number(modseq, out);
        out.push(b')');
    }

    /// `ENVELOPE`, as `write` writes it.
    pub fn envelope(&mut self, write: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
        self.item(b"ENVELOPE", out);
        write(out);
    }

    /// `BODYSTRUCTURE`, or `BODY` when not `extended`, as `write` writes it.
    pub fn structure(
        &mut self,
        extended: bool,
        write: impl FnOnce(&mut Vec<u8>),
        out: &mut Vec<u8>,
    ) {
        self.item(if extended { b"BODYSTRUCTURE" } else { b"BODY" }, out);
        write(out);
    }

    /// `EMAILID` (RFC 8474): letters, digits, `-` and `_`.
    pub fn email_id(&mut self, id: &str, out: &mut Vec<u8>) {
        self.item(b"EMAILID", out);
        write_object_id(id, out);
    }

    /// `THREADID` (RFC 8474); `None`: it is in none.
    pub fn thread_id(&mut self, id: Option<&str>, out: &mut Vec<u8>) {
        self.item(b"THREADID", out);
        match id {
            Some(id) => write_object_id(id, out),
            None => out.extend_from_slice(b"NIL"),
        }
    }

    /// `SAVEDATE` (RFC 8514)
    pub fn save_date(&mut self, at: Option<Timestamp>, out: &mut Vec<u8>) {
        self.item(b"SAVEDATE", out);
        match at {
            Some(at) => write_internal_date(at, out),
            None => out.extend_from_slice(b"NIL"),
        }
    }

    /// `PREVIEW` (RFC 8970); `None`: not made yet. What is not ASCII goes as a literal unless UTF-8
    /// was enabled.
    pub fn preview(&mut self, text: Option<&str>, enabled: Enabled, out: &mut Vec<u8>) {
        self.item(b"PREVIEW", out);
        super::write_nstring(text.map(str::as_bytes), enabled, out);
    }

    /// `BODY[…]` or `RFC822…`: these octets follow, and are the driver's to send.
    pub fn literal(&mut self, body: &Body, octets: u64, out: &mut Vec<u8>) {
        self.separate(out);
        body.write_name(out);
        announce(b" {", octets, out);
    }

    /// `BODY[…] NIL`: there is no such part.
    pub fn absent(&mut self, body: &Body, out: &mut Vec<u8>) {
        self.separate(out);
        body.write_name(out);
        out.extend_from_slice(b" NIL");
    }

    /// `BODY[…]` of a few octets that the driver has at hand; no NUL among them.
    pub fn string(&mut self, body: &Body, text: &[u8], enabled: Enabled, out: &mut Vec<u8>) {
        self.separate(out);
        body.write_name(out);
        out.push(b' ');
        write_string(text, enabled, out);
    }

    /// `BINARY[…]`: these octets follow, as a `literal8` where NUL is among them (RFC 3516 §4.2).
    pub fn binary(&mut self, binary: &Binary, octets: u64, has_nul: bool, out: &mut Vec<u8>) {
        self.separate(out);
        binary.write_name(out);
        announce(if has_nul { b" ~{" } else { b" {" }, octets, out);
    }

    /// `BINARY[…] NIL`: there is no such part.
    pub fn binary_absent(&mut self, binary: &Binary, out: &mut Vec<u8>) {
        self.separate(out);
        binary.write_name(out);
        out.extend_from_slice(b" NIL");
    }

    /// `BINARY.SIZE[…]`
    pub fn binary_size(&mut self, binary: &Binary, octets: u64, out: &mut Vec<u8>) {
        self.separate(out);
        binary.write_name(out);
        out.push(b' ');
        push_number(octets, out);
    }
}

fn announce(open: &[u8], octets: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(open);
    push_number(octets, out);
    out.extend_from_slice(b"}\r\n");
}

/// RFC 8474 §7: what else stands in it would break the line, and is left out.
fn write_object_id(id: &str, out: &mut Vec<u8>) {
    out.push(b'(');
    out.extend(id.bytes().filter(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(octet)));
    out.push(b')');
}
