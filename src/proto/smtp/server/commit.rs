//! The end of a message: who is told what (RFC 5321 §4.1.1.4, RFC 2033 §4.2).

use super::{Answer, Asked, Flow, Protocol, Question, Server, State, Step, replies};
use crate::types::{Enhanced, Reply, Severity};

impl Server {
    /// The message is read to its end (`last`), or has failed in a chunk before.
    pub(super) fn message_ended(&mut self, last: bool, out: &mut Vec<u8>) -> Flow<'static> {
        let Some(reply) = self.body.as_mut().and_then(super::BodyReader::failure) else {
            self.state = State::Asked(Asked::Commit);
            return Some(Step::Ask(Question::Commit));
        };
        self.state = State::Command;
        if last {
            self.end_transaction(&Answer::Refuse(reply), out)
        } else {
            self.forget();
            self.say(&reply, out)
        }
    }

    pub(super) fn committed(&mut self, answer: Answer, out: &mut Vec<u8>) -> Flow<'static> {
        let answer = match answer {
            Answer::Queued(id) => {
                Answer::Each(vec![
                    Reply::made(250, Enhanced(2, 0, 0), format!("Ok: queued as {id}"));
                    self.replies_owed()
                ])
            }
            other => other,
        };
        self.end_transaction(&answer, out)
    }

    /// One reply in SMTP; one for each accepted recipient in LMTP.
    fn replies_owed(&self) -> usize {
        match (self.profile.protocol, &self.transaction) {
            (Protocol::Lmtp, Some(open)) => open.accepted as usize,
            _ => 1,
        }
    }

    fn end_transaction(&mut self, answer: &Answer, out: &mut Vec<u8>) -> Flow<'static> {
        let owed = self.replies_owed();
        let reply = |index: usize| match answer {
            Answer::Accept | Answer::Queued(_) => replies::OK,
            Answer::Refuse(reply) => reply.clone(),
            Answer::Each(each) => each.get(index).cloned().unwrap_or(replies::UNANSWERED),
            Answer::Proof(_) => replies::UNANSWERED,
        };
        self.forget();
        if owed == 1 {
            if reply(0).severity() == Severity::Success {
                self.errors = 0;
            }
            return self.say(&reply(0), out);
        }
        // All that are owed are said, so that none is taken for another's; a 421 waits.
        for index in 0..owed {
            reply(index).write_to(out);
        }
        if (0..owed).any(|index| reply(index).severity() == Severity::Permanent) {
            self.errors = self.errors.saturating_add(1);
        } else {
            self.errors = 0;
        }
        None
    }
}
