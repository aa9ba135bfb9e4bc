//! `MAIL` (RFC 5321 §4.1.1.2) with SIZE, BODY, SMTPUTF8, RET and ENVID.

use super::{
    Answer, Asked, Flow, Outcome, Question, Server, State, Step, Transaction,
    parameter::MailParameters, path, replies,
};
use crate::types::{Address, Reply};

impl Server {
    pub(super) fn mail(&mut self, argument: &str, out: &mut Vec<u8>) -> Outcome {
        if self.helo.is_empty() {
            return Err(replies::HELO_FIRST);
        }
        if self.transaction.is_some() {
            return Err(replies::NESTED_MAIL);
        }
        // Every MAIL counts, whatever comes of it (RFC 9422 §4.1).
        if self.messages >= self.profile.limits.messages_max {
            return Ok(self.close_saying(replies::TOO_MANY_MESSAGES, out));
        }
        self.messages += 1;
        self.transaction = Some(self.begin(argument)?);
        self.state = State::Asked(Asked::Sender);
        Ok(Some(Step::Ask(Question::Sender)))
    }

    fn begin(&self, argument: &str) -> Result<Transaction, Reply> {
        let path = path::split(argument, "FROM").ok_or(replies::MAIL_SYNTAX)?;
        let parameters = MailParameters::parse(path.parameters)?;
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
        Ok(Transaction {
            sender,
            size: parameters.size,
            body: parameters.body.unwrap_or_default(),
            smtputf8: parameters.smtputf8,
            ret: parameters.ret,
            envid: parameters.envid,
            ..Transaction::default()
        })
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
