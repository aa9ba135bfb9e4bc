//! `EHLO`, `HELO` (RFC 5321 §4.1.1.1) and `LHLO` (RFC 2033 §4.1).

use std::io::Write;

use super::{Outcome, Protocol, Server, command::Verb, replies};
use crate::{text::write_date_time, types::Moment};

/// A domain name is no longer (RFC 5321 §4.5.3.1.2); literals are shorter.
const NAME_OCTETS_MAX: usize = 255;

impl Server {
    pub(super) fn hello(
        &mut self,
        now: Moment,
        verb: Verb,
        argument: &str,
        out: &mut Vec<u8>,
    ) -> Outcome {
        match (self.profile.protocol, verb) {
            (Protocol::Smtp, Verb::Lhlo) => return Err(replies::UNKNOWN_COMMAND),
            (Protocol::Lmtp, Verb::Ehlo | Verb::Helo) => return Err(replies::SPEAK_LMTP),
            _ => {}
        }
        if !is_name(argument) {
            return Err(replies::BAD_HELO);
        }
        // Either greeting also ends a transaction, as RSET does (RFC 5321 §4.1.4).
        self.forget();
        self.helo = argument.into();
        self.extended = verb != Verb::Helo;
        if self.extended {
            self.list_extensions(now, out);
        } else {
            line(b"250 ", &self.profile.hostname, out);
        }
        Ok(None)
    }

    /// No enhanced status codes here (RFC 2034 §4).
    fn list_extensions(&self, now: Moment, out: &mut Vec<u8>) {
        let limits = &self.profile.limits;
        line(b"250-", &self.profile.hostname, out);
        line(b"250-", "PIPELINING", out);
        // Writing to a Vec cannot fail.
        let _ = write!(out, "250-SIZE {}\r\n", limits.message_bytes_max);
        for keyword in ["8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES"] {
            line(b"250-", keyword, out);
        }
        if self.profile.starttls && !self.tls {
            line(b"250-", "STARTTLS", out);
        }
        self.list_mechanisms(out);
        if self.offers_require_tls() {
            line(b"250-", "REQUIRETLS", out);
        }
        if let Some((span, until)) = self.future_release(now) {
            let _ = write!(out, "250-FUTURERELEASE {} ", span.as_secs());
            write_date_time(until, out);
            out.extend_from_slice(b"\r\n");
        }
        let (recipients, messages) = (limits.recipients_max, limits.messages_max);
        let _ = write!(out, "250 LIMITS RCPTMAX={recipients} MAILMAX={messages}\r\n");
    }
}

fn line(code: &[u8], text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(code);
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Names are shown in trace fields and logs, not believed: what is no name of any kind, or would
/// break a trace field, is refused; a name that does not resolve is not (RFC 5321 §4.1.4).
fn is_name(text: &str) -> bool {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._:[]+~/%#".contains(&octet);
    !text.is_empty() && text.len() <= NAME_OCTETS_MAX && text.bytes().all(plain)
}
