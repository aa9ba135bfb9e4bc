//! What one header says that a digest is made of: the bodies of its fields, still in the message.
//!
//! Address fields that stand there several times are one list, as if their bodies were joined by
//! commas: a client must not see another author than a filter that looked at the first field. Of
//! all others the first counts.

use super::{
    envelope::{Envelope, SortKeys},
    header::known_name,
    identifier::References,
};

/// The bodies of a header's fields, folded as they stand.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) date: Option<&'a [u8]>,
    pub(super) subject: Option<&'a [u8]>,
    pub(super) message_id: Option<&'a [u8]>,
    pub(super) in_reply_to: Option<&'a [u8]>,
    pub(super) references: Option<&'a [u8]>,
    pub(super) from: Vec<&'a [u8]>,
    pub(super) sender: Vec<&'a [u8]>,
    pub(super) reply_to: Vec<&'a [u8]>,
    pub(super) to: Vec<&'a [u8]>,
    pub(super) cc: Vec<&'a [u8]>,
    pub(super) bcc: Vec<&'a [u8]>,
    pub(super) content: Content<'a>,
}

/// The bodies of the fields that describe a part (RFC 2045, 2183, 3282, 2557, 1864).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Content<'a> {
    pub(super) kind: Option<&'a [u8]>,
    pub(super) encoding: Option<&'a [u8]>,
    pub(super) id: Option<&'a [u8]>,
    pub(super) description: Option<&'a [u8]>,
    pub(super) disposition: Option<&'a [u8]>,
    pub(super) language: Option<&'a [u8]>,
    pub(super) location: Option<&'a [u8]>,
    pub(super) md5: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    pub(super) fn note(&mut self, name: &[u8], body: &'a [u8]) {
        let text = match known_name(name) {
            Some("from") => return self.from.push(body),
            Some("sender") => return self.sender.push(body),
            Some("reply-to") => return self.reply_to.push(body),
            Some("to") => return self.to.push(body),
            Some("cc") => return self.cc.push(body),
            Some("bcc") => return self.bcc.push(body),
            Some("date") => &mut self.date,
            Some("subject") => &mut self.subject,
            Some("message-id") => &mut self.message_id,
            Some("in-reply-to") => &mut self.in_reply_to,
            Some("references") => &mut self.references,
            Some("content-type") => &mut self.content.kind,
            Some("content-transfer-encoding") => &mut self.content.encoding,
            Some("content-id") => &mut self.content.id,
            Some("content-description") => &mut self.content.description,
            Some("content-disposition") => &mut self.content.disposition,
            Some("content-language") => &mut self.content.language,
            Some("content-location") => &mut self.content.location,
            Some("content-md5") => &mut self.content.md5,
            _ => return,
        };
        text.get_or_insert(body);
    }

    pub(super) fn envelope(&self, octets_max: usize) -> (Envelope, SortKeys) {
        Envelope::of(self, octets_max)
    }

    pub(super) fn ids(&self, ancestors_max: usize) -> References {
        References::of(self.message_id, self.references, self.in_reply_to, ancestors_max)
    }
}
