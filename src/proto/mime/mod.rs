//! What IMAP shows of a message without reading it again: MIME structure, ENVELOPE, a header index,
//! base subject, sent date, references, preview (RFC 2045-2047, 2231, 5256, 5322, 8970, 9051).
//!
//! [`digest`] is made once, at delivery, in one pass over the message, and stored beside it. What
//! must stay true: every octet range lies within the message, and a part's ranges lie within its
//! parent's body; what is kept is bounded by [`Limits`] whatever the message holds; time is linear
//! in its size. It never fails: mail that breaks the standards gets the structure that can be seen
//! in it, as Dovecot gives it one, and every answer written from it follows IMAP's grammar.

mod address;
mod collation;
mod content;
mod date;
mod describe;
mod draft;
mod envelope;
mod header;
mod identifier;
mod octets;
mod preview;
mod quote;
mod structure;
mod subject;
#[cfg(test)]
mod tests;
mod text;
pub mod thread;
mod transfer;
mod walk;
mod words;

pub use collation::{Needle, casemap};
pub use date::parse_date;
pub use envelope::{Envelope, SortKeys};
pub use header::{HeaderIndex, field_body};
pub use identifier::{MessageId, References};
pub use structure::{Kind, MessageRange, PartRange, Structure};
pub use subject::{BaseSubject, base_subject};
pub use text::{TextPieces, text_of};
pub use transfer::{Decoder, Encoding, Undecodable, decode, decoded_octets};
pub use words::decode_words;

use serde::{Deserialize, Serialize};

use crate::types::Timestamp;

/// What a digest may hold. Messages of honest senders stay far below each of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Parts inside of each other; deeper ones are shown as one part without structure.
    pub depth_max: u32,
    /// Parts in all; what follows belongs to the last one.
    pub parts_max: u32,
    /// Fields of one header that are looked at.
    pub fields_max: u32,
    /// Octets of the message's header that are kept as they are; a longer one is not kept.
    pub header_octets_max: u32,
    /// Octets of one ENVELOPE, give or take one address.
    pub envelope_octets_max: u32,
    /// Octets of what all parts' Content fields say, and the ENVELOPEs of messages inside.
    pub structure_octets_max: u32,
    /// Ancestors kept of `References`: the nearest.
    pub ancestors_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth_max: 50,
            parts_max: 1000,
            fields_max: 1000,
            header_octets_max: 16 * 1024,
            envelope_octets_max: 128 * 1024,
            structure_octets_max: 256 * 1024,
            ancestors_max: 50,
        }
    }
}

/// All that is known of a message beside its octets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// FETCH ENVELOPE.
    pub envelope: Envelope,
    /// FETCH BODY and BODYSTRUCTURE, and where each section lies.
    pub structure: Structure,
    /// Where each field of the message's header lies, and what it says.
    pub header: HeaderIndex,
    /// FETCH PREVIEW (RFC 8970): at most 200 characters; empty when the message has no text.
    pub preview: Box<str>,
    /// The base subject (RFC 5256 §2.1) in the form in which it is compared: see [`casemap`].
    pub base_subject: Box<str>,
    /// The subject says that this is a reply or a forward (RFC 5256 §3, REFERENCES).
    pub is_reply: bool,
    /// What `Date` says, in UTC (RFC 5256 §2.2); `None`: the internal date counts.
    pub sent: Option<Timestamp>,
    /// The day that stands in `Date`, whatever its zone, in days after 1970-01-01: SENTBEFORE,
    /// SENTON and SENTSINCE disregard time and zone (RFC 9051 §6.4.4).
    pub sent_day: Option<u32>,
    /// What SORT compares of From, To and Cc (RFC 5256 §3).
    pub sort: SortKeys,
    /// Message-ID and ancestors, for THREAD and for thread identifiers (RFC 8474).
    pub ids: References,
}

/// Reads `message` once. Octets past 4 GiB are not looked at.
#[must_use]
pub fn digest(message: &[u8], limits: &Limits) -> Digest {
    let message = &message[..message.len().min(u32::MAX as usize)];
    let mut walked = walk::walk(message, limits);
    if let Some(own) = walked.structure.part(&[]) {
        let header = &message[own.header.start as usize..own.header.end as usize];
        walked.header.keep_text(header, limits.header_octets_max as usize);
    }
    let fields = &walked.fields;
    let (envelope, sort) = fields.envelope(limits.envelope_octets_max as usize);
    let subject = fields.subject.map(|body| decode_words(octets::cut(body))).unwrap_or_default();
    let base = base_subject(&subject);
    let date = fields.date.and_then(|body| parse_date(octets::cut(body)));
    Digest {
        envelope,
        preview: preview::preview(&walked.structure, message),
        structure: walked.structure,
        header: walked.header,
        base_subject: casemap(&base.text).into(),
        is_reply: base.is_reply,
        sent: date.map(|date| date.0),
        sent_day: date.map(|date| date.1),
        sort,
        ids: fields.ids(limits.ancestors_max as usize),
    }
}
