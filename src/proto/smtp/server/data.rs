//! `DATA` (RFC 5321 §4.1.1.4) and the text behind its 354.

use super::{
    Answer, Asked, BodyReader, Flow, Outcome, Question, Server, State, Step, body::Part, command,
    replies,
};
use crate::types::{Moment, Reply};

impl Server {
    pub(super) fn data(&mut self, argument: &str) -> Outcome {
        command::none(argument)?;
        self.ready_for_message()?;
        if self.body.is_some() {
            return Err(replies::CHUNKS_STARTED);
        }
        self.state = State::Asked(Asked::Data);
        Ok(Some(Step::Ask(Question::Data)))
    }

    /// Whether there is a sender and a recipient (RFC 5321 §3.3).
    pub(super) fn ready_for_message(&self) -> Result<(), Reply> {
        match &self.transaction {
            None => Err(replies::MAIL_FIRST),
            Some(open) if open.accepted > 0 => Ok(()),
            Some(open) if open.refused => Err(replies::NO_VALID_RECIPIENTS),
            Some(_) => Err(replies::RCPT_FIRST),
        }
    }

    pub(super) fn data_answered(
        &mut self,
        now: Moment,
        answer: Answer,
        out: &mut Vec<u8>,
    ) -> Flow<'static> {
        if let Err(reply) = answer.verdict() {
            self.forget();
            return self.say(&reply, out);
        }
        self.begin_message(now, true);
        self.state = State::Text;
        self.say(&replies::GO_AHEAD, out)
    }

    /// A message begins; `dots` are stuffed in `DATA` and not in `BDAT`.
    pub(super) fn begin_message(&mut self, now: Moment, dots: bool) {
        let profile = &self.profile;
        self.body = Some(BodyReader::new(dots, profile.line_endings, &profile.limits));
        self.arm_message(now);
    }

    pub(super) fn text<'i>(
        &mut self,
        now: Moment,
        input: &'i [u8],
        out: &mut Vec<u8>,
    ) -> (usize, Flow<'i>) {
        let Some(body) = &mut self.body else {
            return (0, self.close_saying(replies::OUT_OF_STEP, out));
        };
        let (used, part) = body.read(input);
        let flow = match part {
            Part::Piece(piece) => Some(Step::Body(piece)),
            Part::More => Some(Step::NeedInput),
            Part::End => self.message_ended(true, out),
        };
        if used > 0 {
            self.arm(now);
        }
        (used, flow)
    }
}
