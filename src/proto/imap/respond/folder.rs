//! What is said of a mailbox and its messages together (RFC 9051 §7.3, §7.4).

use super::{push_number, write_mailbox};
use crate::imap::{
    command::{Enabled, SpecialUse, StatusItems},
    syntax::{MailboxName, Ranges, SystemFlags, write_flags},
};

/// `* 23 EXISTS`
pub fn write_exists(messages: u32, out: &mut Vec<u8>) {
    numbered(messages, b" EXISTS\r\n", out);
}

/// `* 5 RECENT` (RFC 3501)
pub fn write_recent(messages: u32, out: &mut Vec<u8>) {
    numbered(messages, b" RECENT\r\n", out);
}

/// `* 44 EXPUNGE`: those behind it count one less from now on.
pub fn write_expunge(number: u32, out: &mut Vec<u8>) {
    numbered(number, b" EXPUNGE\r\n", out);
}

fn numbered(number: u32, what: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"* ");
    push_number(u64::from(number), out);
    out.extend_from_slice(what);
}

/// `* VANISHED (EARLIER) 41,43:116` (RFC 7162 §3.2.10); nothing for no UIDs.
pub fn write_vanished(earlier: bool, uids: &Ranges, out: &mut Vec<u8>) {
    if uids.is_empty() {
        return;
    }
    out.extend_from_slice(if earlier { b"* VANISHED (EARLIER) " } else { b"* VANISHED " });
    uids.write(out);
    out.extend_from_slice(b"\r\n");
}

/// `* FLAGS (\Answered … keyword)`: what is in use here, all system flags among them.
pub fn write_flags_line<'k>(keywords: impl IntoIterator<Item = &'k str>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"* FLAGS ");
    write_flags(SystemFlags::ALL, keywords, false, out);
    out.extend_from_slice(b"\r\n");
}

/// `* OK [PERMANENTFLAGS (…)] …`: what can be changed for good; `open`: new keywords too.
pub fn write_permanent_flags<'k>(
    system: SystemFlags,
    keywords: impl IntoIterator<Item = &'k str>,
    open: bool,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"* OK [PERMANENTFLAGS ");
    write_flags(system, keywords, open, out);
    out.extend_from_slice(b"] Flags that can be changed\r\n");
}

/// What else is said of a mailbox that is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// It is only a name, with mailboxes below it.
    NoSelect,
    /// There is no such mailbox: it was subscribed once, or has some below it.
    NonExistent,
    /// Nothing can be below it.
    NoInferiors,
    /// Something is below it.
    HasChildren,
    /// Nothing is below it.
    HasNoChildren,
    /// It is subscribed.
    Subscribed,
    /// What it is for.
    Use(SpecialUse),
}

impl Attribute {
    const fn name(self) -> &'static str {
        match self {
            Self::NoSelect => "\\Noselect",
            Self::NonExistent => "\\NonExistent",
            Self::NoInferiors => "\\Noinferiors",
            Self::HasChildren => "\\HasChildren",
            Self::HasNoChildren => "\\HasNoChildren",
            Self::Subscribed => "\\Subscribed",
            Self::Use(special) => special.attribute(),
        }
    }
}

/// A mailbox in a `LIST` response.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'l> {
    /// Its name; empty in the answer to a question about the delimiter.
    pub name: &'l str,
    /// What is said of it.
    pub attributes: &'l [Attribute],
    /// The selection options that something below it meets and that did not match itself: `CHILDINFO` (RFC
    /// 5258 §3.5); usually none.
    pub child_info: &'l [&'l str],
    /// What it was called when it was asked for, or until now: `OLDNAME` (RFC 9051 §6.3.9.7).
    pub old_name: Option<&'l str>,
}

impl Listed<'_> {
    /// `* LIST (\HasNoChildren) "/" "name"`
    pub fn write(&self, enabled: Enabled, out: &mut Vec<u8>) {
        write_line(b"* LIST (", self.name, self.attributes, enabled, out);
        let mut before: &[u8] = b" (";
        if !self.child_info.is_empty() {
            out.extend_from_slice(b" (\"CHILDINFO\" (\"");
            out.extend_from_slice(self.child_info.join("\" \"").as_bytes());
            out.extend_from_slice(b"\")");
            before = b" ";
        }
        if let Some(old) = self.old_name {
            out.extend_from_slice(before);
            out.extend_from_slice(b"\"OLDNAME\" (");
            write_mailbox(old, enabled, out);
            out.push(b')');
        }
        if !self.child_info.is_empty() || self.old_name.is_some() {
            out.push(b')');
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// `* LSUB () "/" "name"`; `only_below`: it is not subscribed, but something below it is (RFC 3501
/// §6.3.9).
pub fn write_lsub(name: &str, only_below: bool, enabled: Enabled, out: &mut Vec<u8>) {
    let attributes: &[Attribute] = if only_below { &[Attribute::NoSelect] } else { &[] };
    write_line(b"* LSUB (", name, attributes, enabled, out);
    out.extend_from_slice(b"\r\n");
}

fn write_line(
    start: &[u8],
    name: &str,
    attributes: &[Attribute],
    enabled: Enabled,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(start);
    for (at, attribute) in attributes.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(attribute.name().as_bytes());
    }
    out.extend_from_slice(b") \"");
    out.push(MailboxName::DELIMITER as u8);
    out.extend_from_slice(b"\" ");
    write_mailbox(name, enabled, out);
}

/// `* NAMESPACE (("" "/")) NIL NIL` (RFC 2342): everything is the account's own.
pub fn write_namespace(out: &mut Vec<u8>) {
    out.extend_from_slice(b"* NAMESPACE ((\"\" \"");
    out.push(MailboxName::DELIMITER as u8);
    out.extend_from_slice(b"\")) NIL NIL\r\n");
}

/// A `STATUS` response that is being written.
#[derive(Debug)]
#[must_use = "a line ends with `end`"]
pub struct StatusLine {
    wanted: StatusItems,
    any: bool,
}

impl StatusLine {
    /// `* STATUS "name" (`; of what is added, only `wanted` is told.
    pub fn begin(name: &str, wanted: StatusItems, enabled: Enabled, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(b"* STATUS ");
        write_mailbox(name, enabled, out);
        out.extend_from_slice(b" (");
        Self { wanted, any: false }
    }

    /// One number: `item` is one of those that have numbers.
    pub fn number(&mut self, item: StatusItems, number: u64, out: &mut Vec<u8>) {
        let Some(name) = NUMBERS.iter().find(|(one, _)| *one == item).map(|(_, name)| *name) else {
            return;
        };
        if self.item(item, name, out) {
            push_number(number, out);
        }
    }

    /// `APPENDLIMIT`; `None`: there is no limit.
    pub fn append_limit(&mut self, octets: Option<u64>, out: &mut Vec<u8>) {
        if self.item(StatusItems::APPEND_LIMIT, "APPENDLIMIT ", out) {
            match octets {
                Some(octets) => push_number(octets, out),
                None => out.extend_from_slice(b"NIL"),
            }
        }
    }

    /// `MAILBOXID` (RFC 8474): letters, digits, `-` and `_`.
    pub fn mailbox_id(&mut self, id: &str, out: &mut Vec<u8>) {
        if self.item(StatusItems::MAILBOX_ID, "MAILBOXID ", out) {
            out.push(b'(');
            out.extend_from_slice(id.as_bytes());
            out.push(b')');
        }
    }

    /// `)`, and the end of the line.
    pub fn end(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b")\r\n");
    }

    fn item(&mut self, item: StatusItems, name: &str, out: &mut Vec<u8>) -> bool {
        if !self.wanted.contains(item) {
            return false;
        }
        if self.any {
            out.push(b' ');
        }
        self.any = true;
        out.extend_from_slice(name.as_bytes());
        true
    }
}

const NUMBERS: [(StatusItems, &str); 9] = [
    (StatusItems::MESSAGES, "MESSAGES "),
    (StatusItems::RECENT, "RECENT "),
    (StatusItems::UID_NEXT, "UIDNEXT "),
    (StatusItems::UID_VALIDITY, "UIDVALIDITY "),
    (StatusItems::UNSEEN, "UNSEEN "),
    (StatusItems::DELETED, "DELETED "),
    (StatusItems::SIZE, "SIZE "),
    (StatusItems::HIGHEST_MODSEQ, "HIGHESTMODSEQ "),
    (StatusItems::DELETED_STORAGE, "DELETED-STORAGE "),
];
