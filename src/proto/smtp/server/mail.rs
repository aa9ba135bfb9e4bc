//! `MAIL` (RFC 5321 §4.1.1.2) with SIZE, BODY, SMTPUTF8, RET, ENVID, AUTH, REQUIRETLS, HOLDFOR and
//! HOLDUNTIL.

use std::time::Duration;

use super::{
    Answer, Asked, Flow, Outcome, Question, Server, State, Step, Transaction,
    parameter::{Hold, MailParameters, Offered},
    path, replies,
};
use crate::types::{Address, Moment, Reply, Ret, Timestamp};

impl Server {
    pub(super) fn mail(&mut self, now: Moment, argument: &str, out: &mut Vec<u8>) -> Outcome {
        if self.helo.is_empty() {
            return Err(replies::HELO_FIRST);
        }
        if self.profile.auth_required && self.identity.is_none() {
            return Err(replies::AUTH_REQUIRED);
        }
        if self.transaction.is_some() {
            return Err(replies::NESTED_MAIL);
        }
        // Every MAIL counts, whatever comes of it (RFC 9422 §4.1).
        if self.messages >= self.profile.limits.messages_max {
            return Ok(self.close_saying(replies::TOO_MANY_MESSAGES, out));
        }
        self.messages += 1;
        self.transaction = Some(self.begin(now, argument)?);
        self.state = State::Asked(Asked::Sender);
        Ok(Some(Step::Ask(Question::Sender)))
    }

    fn begin(&self, now: Moment, argument: &str) -> Result<Transaction, Reply> {
        let path = path::split(argument, "FROM").ok_or(replies::MAIL_SYNTAX)?;
        let future_release = self.future_release(now);
        let offered = Offered {
            auth: !self.profile.mechanisms.is_empty(),
            require_tls: self.offers_require_tls(),
            future_release: future_release.is_some(),
        };
        let parameters = MailParameters::parse(path.parameters, offered)?;
        if !path.mailbox.is_ascii() && !parameters.smtputf8 {
            return Err(replies::NEEDS_SMTPUTF8);
        }
        let sender = match path.mailbox {
            "" => None,
            mailbox => Some(Address::parse(mailbox).map_err(|_| replies::BAD_SENDER)?),
        };
        // RFC 1870 §6.1: refused before it is sent.
        if parameters.size.is_some_and(|size| size > self.profile.limits.message_bytes_max) {
            return Err(replies::MESSAGE_TOO_BIG);
        }
        // A report that cannot be sent securely is sent all the same (RFC 8689 §5), so there is
        // nothing to remember of `<>`.
        let require_tls = parameters.require_tls && sender.is_some();
        let hold_until = match (parameters.hold, future_release) {
            (Some(hold), Some(limit)) => Some(release(hold, self.wall(now), limit)?),
            _ => None,
        };
        Ok(Transaction {
            sender,
            size: parameters.size,
            body: parameters.body.unwrap_or_default(),
            smtputf8: parameters.smtputf8,
            // No report may carry what was to be kept from others (RFC 8689 §5).
            ret: if require_tls { Some(Ret::Headers) } else { parameters.ret },
            envid: parameters.envid,
            require_tls,
            hold_until,
            ..Transaction::default()
        })
    }

    /// RFC 8689 §4.1: only where the message has come securely so far.
    pub(super) fn offers_require_tls(&self) -> bool {
        self.profile.require_tls && self.tls
    }

    /// How long, and until when at most, a message can be held (RFC 4865); `None` when it cannot.
    pub(super) fn future_release(&self, now: Moment) -> Option<(Duration, Timestamp)> {
        let span = self.profile.future_release_max?;
        Some((span, self.wall(now)?.after(span)))
    }

    fn wall(&self, now: Moment) -> Option<Timestamp> {
        self.clock_ms.map(|origin| Timestamp(origin.saturating_add(now.0)))
    }

    pub(super) fn sender_answered(&mut self, answer: Answer, out: &mut Vec<u8>) -> Flow<'static> {
        match answer.verdict() {
            Ok(()) => self.say(&replies::SENDER_OK, out),
            Err(reply) => {
                self.forget();
                self.say(&reply, out)
            }
        }
    }
}

/// When a held message is due. What is past is due at once.
fn release(
    hold: Hold,
    now: Option<Timestamp>,
    (span_max, last): (Duration, Timestamp),
) -> Result<Timestamp, Reply> {
    let until = match hold {
        Hold::For(seconds) => {
            let span = Duration::from_secs(u64::from(seconds));
            now.filter(|_| span <= span_max).map(|now| now.after(span))
        }
        Hold::Until(until) => Some(until),
    };
    until.filter(|until| *until <= last).ok_or(replies::HELD_TOO_LONG)
}
