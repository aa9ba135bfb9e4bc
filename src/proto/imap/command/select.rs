//! `SELECT` and `EXAMINE` (RFC 9051 §6.3.2, §6.3.3), with CONDSTORE and QRESYNC (RFC 7162 §3.1.8,
//! §3.2.5).

use crate::imap::syntax::{Cursor, Fault, MailboxName, Parsed, Ranges, SequenceSet};

/// Which mailbox to open, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    /// Which.
    pub mailbox: MailboxName,
    /// It is `EXAMINE`: nothing is to change by it, `\Recent` included.
    pub read_only: bool,
    /// The client knows of CONDSTORE.
    pub condstore: bool,
    /// The client remembers this of the last time, and wants what has changed since.
    pub resync: Option<Resync>,
}

/// What a client remembers of a mailbox (RFC 7162 §3.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resync {
    /// Its UIDVALIDITY; with another, all else is void.
    pub uid_validity: u32,
    /// The last mod-sequence that it saw.
    pub modseq: u64,
    /// The UIDs that it knows; all, if nothing was said.
    pub known_uids: Option<Ranges>,
    /// Sequence numbers and the UIDs they had, one for one, from which a server that has forgotten
    /// what was expunged can tell how much of it the client has seen (§3.2.5.2).
    pub matching: Option<(Ranges, Ranges)>,
}

impl Select {
    pub(super) fn read(cursor: &mut Cursor<'_>, read_only: bool) -> Parsed<Self> {
        let mailbox = MailboxName::read(cursor)?;
        let mut select = Self { mailbox, read_only, condstore: false, resync: None };
        if cursor.eat(b' ') {
            cursor.list(|cursor| match cursor.word().as_bytes() {
                b"CONDSTORE" => {
                    select.condstore = true;
                    Ok(())
                }
                b"QRESYNC" => {
                    cursor.space()?;
                    select.condstore = true;
                    select.resync = Some(Resync::read(cursor)?);
                    Ok(())
                }
                _ => Err(Fault::Syntax("Unknown SELECT parameter")),
            })?;
        }
        Ok(select)
    }
}

impl Resync {
    fn read(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        cursor.expect(b'(', "A list is missing")?;
        let uid_validity = cursor.nz_number()?;
        cursor.space()?;
        let modseq = cursor.number64()?;
        let mut resync = Self { uid_validity, modseq, known_uids: None, matching: None };
        if cursor.eat(b' ') {
            if cursor.peek() == Some(b'(') {
                resync.matching = Some(Self::matching(cursor)?);
            } else {
                resync.known_uids = Some(SequenceSet::read_known(cursor)?);
                if cursor.eat(b' ') {
                    resync.matching = Some(Self::matching(cursor)?);
                }
            }
        }
        cursor.expect(b')', "A list does not end")?;
        Ok(resync)
    }

    fn matching(cursor: &mut Cursor<'_>) -> Parsed<(Ranges, Ranges)> {
        cursor.expect(b'(', "A list is missing")?;
        let numbers = SequenceSet::read_known(cursor)?;
        cursor.space()?;
        let uids = SequenceSet::read_known(cursor)?;
        cursor.expect(b')', "A list does not end")?;
        if numbers.count() != uids.count() {
            return Err(Fault::Syntax("Sequence numbers and UIDs do not match"));
        }
        Ok((numbers, uids))
    }
}
