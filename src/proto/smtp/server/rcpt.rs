//! `RCPT` (RFC 5321 §4.1.1.3) with NOTIFY and ORCPT (RFC 3461).

use super::{
    Answer, Asked, Flow, Outcome, Question, Server, State, Step, parameter::RcptParameters, path,
    replies,
};
use crate::types::{Address, Host, Recipient, Reply};

impl Server {
    pub(super) fn rcpt(&mut self, argument: &str) -> Outcome {
        let Some(open) = &self.transaction else { return Err(replies::MAIL_FIRST) };
        if self.body.is_some() {
            return Err(replies::CHUNKS_STARTED);
        }
        let candidate = self.recipient(argument, open.smtputf8);
        let full = open.accepted >= self.profile.limits.recipients_max;
        let Some(open) = &mut self.transaction else { return Err(replies::MAIL_FIRST) };
        match candidate {
            Ok(_) if full => Err(replies::TOO_MANY_RECIPIENTS),
            Ok(candidate) => {
                open.candidate = Some(candidate);
                self.state = State::Asked(Asked::Recipient);
                Ok(Some(Step::Ask(Question::Recipient)))
            }
            Err(reply) => {
                open.refused = true;
                Err(reply)
            }
        }
    }

    fn recipient(&self, argument: &str, smtputf8: bool) -> Result<Recipient, Reply> {
        let path = path::split(argument, "TO").ok_or(replies::RCPT_SYNTAX)?;
        let parameters = RcptParameters::parse(path.parameters, smtputf8)?;
        if !path.mailbox.is_ascii() && !smtputf8 {
            return Err(replies::NEEDS_SMTPUTF8);
        }
        // The one mailbox that needs no domain (RFC 5321 §4.1.1.3).
        let address = if path.mailbox.eq_ignore_ascii_case("postmaster") {
            Host::parse(&self.profile.hostname).and_then(|host| Address::new("postmaster", host))
        } else {
            Address::parse(path.mailbox)
        };
        let address = address.map_err(|_| replies::BAD_RECIPIENT)?;
        Ok(Recipient { address, notify: parameters.notify, orcpt: parameters.orcpt })
    }

    pub(super) fn recipient_answered(
        &mut self,
        answer: Answer,
        out: &mut Vec<u8>,
    ) -> Flow<'static> {
        let Some(open) = &mut self.transaction else {
            return self.close_saying(replies::OUT_OF_STEP, out);
        };
        let candidate = open.candidate.take();
        match answer.verdict() {
            Ok(()) => {
                open.recipients.extend(candidate);
                open.accepted += 1;
                self.say(&replies::RECIPIENT_OK, out)
            }
            Err(reply) => {
                open.refused = true;
                self.say(&reply, out)
            }
        }
    }
}
