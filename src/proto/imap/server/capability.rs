//! `CAPABILITY` (RFC 9051 §6.1.1) and `ID` (RFC 2971).

use super::{Flow, Server, replies};
use crate::{
    imap::{
        command::{ClientId, Enabled},
        respond::{push_number, write_string},
    },
    sasl::Mechanism,
};

/// What is offered to whomever.
const ALWAYS: &str = "IMAP4rev1 IMAP4rev2 SASL-IR ID ENABLE IDLE";

/// What is offered to who has logged in.
const BEHIND_LOGIN: &str = " LITERAL+ NAMESPACE UIDPLUS UNSELECT CHILDREN MOVE SPECIAL-USE \
    CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS STATUS=SIZE ESEARCH SEARCHRES SORT \
    THREAD=ORDEREDSUBJECT THREAD=REFERENCES WITHIN CONDSTORE QRESYNC MULTIAPPEND BINARY OBJECTID \
    SAVEDATE PREVIEW UTF8=ACCEPT";

impl Server {
    pub(super) fn capability(&mut self, out: &mut Vec<u8>) -> Flow<'static> {
        out.extend_from_slice(b"* CAPABILITY ");
        self.list_capabilities(out);
        out.extend_from_slice(b"\r\n");
        self.complete(&replies::DONE, out)
    }

    /// Appends what is offered here and now.
    pub(super) fn list_capabilities(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(ALWAYS.as_bytes());
        if self.identity.is_some() {
            self.list_behind_login(out);
            return;
        }
        // Nobody needs a literal of more than 4096 octets to log in (RFC 7888 §5).
        out.extend_from_slice(b" LITERAL-");
        if self.profile.starttls && !self.tls {
            out.extend_from_slice(b" STARTTLS");
        }
        if !self.takes_passwords() {
            out.extend_from_slice(b" LOGINDISABLED");
        }
        for mechanism in Mechanism::ALL.into_iter().filter(|one| self.offers(*one)) {
            out.extend_from_slice(b" AUTH=");
            out.extend_from_slice(mechanism.name().as_bytes());
        }
    }

    fn list_behind_login(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(BEHIND_LOGIN.as_bytes());
        out.extend_from_slice(b" APPENDLIMIT=");
        push_number(self.profile.limits.append_bytes_max, out);
        if self.profile.quota {
            out.extend_from_slice(b" QUOTA QUOTA=RES-STORAGE");
        }
        if self.profile.compress && !self.compressed {
            out.extend_from_slice(b" COMPRESS=DEFLATE");
        }
    }

    pub(super) fn id(&mut self, client: Option<ClientId>, out: &mut Vec<u8>) -> Flow<'static> {
        self.client = client.or(self.client.take());
        out.extend_from_slice(b"* ID ");
        for (at, (field, value)) in self.profile.id.iter().enumerate() {
            out.push(if at == 0 { b'(' } else { b' ' });
            write_string(field.as_bytes(), Enabled::NONE, out);
            out.push(b' ');
            write_string(value.as_bytes(), Enabled::NONE, out);
        }
        let end: &[u8] = if self.profile.id.is_empty() { b"NIL\r\n" } else { b")\r\n" };
        out.extend_from_slice(end);
        self.complete(&replies::DONE, out)
    }

    /// `ENABLE` (RFC 5161): only what was not enabled before is told.
    pub(super) fn enable(&mut self, wanted: Enabled, out: &mut Vec<u8>) -> Flow<'static> {
        let before = self.enabled;
        self.enabled = before.with(wanted);
        out.extend_from_slice(b"* ENABLED");
        for name in self.enabled.names().filter(|name| before.names().all(|one| one != *name)) {
            out.push(b' ');
            out.extend_from_slice(name.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        self.complete(&replies::DONE, out)
    }
}
