//! ENVELOPE (RFC 9051 §7.5.2), written once and kept as it is sent.
//!
//! Texts stay encoded as the header has them; folding and runs of blanks become one space. Sender
//! and Reply-To that are missing or empty repeat From. When the list would grow past its limit,
//! the addresses that follow are left out.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::{
    address::{self, Entry},
    collation::casemap,
    draft::Fields,
    octets::{Octets, on_one_line},
    quote::{push_nstring, push_string},
};

/// A message's ENVELOPE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope(Octets);

impl Envelope {
    /// Appends the ENVELOPE with its parentheses. Eight-bit text stands in literals, which clients
    /// with and without UTF8=ACCEPT (RFC 6855) read alike.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    pub(super) fn of(fields: &Fields<'_>, octets_max: usize) -> (Self, SortKeys) {
        let mut out = Vec::with_capacity(512);
        let mut keys = SortKeys::default();
        write(fields, octets_max, &mut keys, &mut out);
        (Self(out.into()), keys)
    }
}

/// The first address's mailbox of three fields, in the form in which SORT compares them
/// (RFC 5256 §3, [`casemap`]); empty when there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortKeys {
    /// SORT FROM.
    pub from: Box<str>,
    /// SORT TO.
    pub to: Box<str>,
    /// SORT CC.
    pub cc: Box<str>,
}

/// Appends the envelope of a message inside of another.
pub(super) fn write_nested(fields: &Fields<'_>, octets_max: usize, out: &mut Vec<u8>) {
    write(fields, octets_max, &mut SortKeys::default(), out);
}

fn write(fields: &Fields<'_>, octets_max: usize, keys: &mut SortKeys, out: &mut Vec<u8>) {
    // From may stand there three times.
    let from_octets_max = out.len().saturating_add(octets_max / 4);
    let octets_max = out.len().saturating_add(octets_max);
    out.push(b'(');
    push_text(fields.date, out);
    out.push(b' ');
    push_text(fields.subject, out);
    out.push(b' ');
    let from = out.len();
    push_list(&fields.from, from_octets_max, Some(&mut keys.from), out);
    let from = from..out.len();
    for list in [&fields.sender, &fields.reply_to] {
        out.push(b' ');
        let start = out.len();
        push_list(list, octets_max, None, out);
        if out[start..] == *b"NIL" {
            out.truncate(start);
            out.extend_from_within(from.clone());
        }
    }
    let lists =
        [(&fields.to, Some(&mut keys.to)), (&fields.cc, Some(&mut keys.cc)), (&fields.bcc, None)];
    for (list, key) in lists {
        out.push(b' ');
        push_list(list, octets_max, key, out);
    }
    for text in [fields.in_reply_to, fields.message_id] {
        out.push(b' ');
        push_text(text, out);
    }
    out.push(b')');
}

fn push_text(body: Option<&[u8]>, out: &mut Vec<u8>) {
    push_nstring(body.map(on_one_line).as_deref(), out);
}

/// Appends a list, or NIL when nothing stands in it. The first address's mailbox goes to `first`.
fn push_list(
    bodies: &[&[u8]],
    octets_max: usize,
    mut first: Option<&mut Box<str>>,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    out.push(b'(');
    let mut open_group = false;
    for body in bodies {
        let full = address::read(body, &mut |entry| {
            if out.len() >= octets_max {
                return ControlFlow::Break(());
            }
            open_group = match entry {
                Entry::Group(_) => true,
                Entry::GroupEnd => false,
                Entry::Mailbox { .. } => open_group,
            };
            if let (Entry::Mailbox { local: key, .. } | Entry::Group(key), Some(first)) =
                (&entry, first.take())
            {
                *first = casemap(&String::from_utf8_lossy(key)).into();
            }
            push_entry(&entry, out);
            ControlFlow::Continue(())
        });
        if full.is_break() {
            break;
        }
    }
    if open_group {
        push_entry(&Entry::GroupEnd, out);
    }
    if out.len() == start + 1 {
        out.truncate(start);
        out.extend_from_slice(b"NIL");
    } else {
        out.push(b')');
    }
}

fn push_entry(entry: &Entry<'_>, out: &mut Vec<u8>) {
    match entry {
        Entry::Mailbox { name, route, local, host } => {
            out.push(b'(');
            push_nstring(*name, out);
            out.push(b' ');
            push_nstring(*route, out);
            out.push(b' ');
            push_string(local, out);
            out.push(b' ');
            push_string(host, out);
            out.push(b')');
        }
        Entry::Group(name) => {
            out.extend_from_slice(b"(NIL NIL ");
            push_string(name, out);
            out.extend_from_slice(b" NIL)");
        }
        Entry::GroupEnd => out.extend_from_slice(b"(NIL NIL NIL NIL)"),
    }
}
