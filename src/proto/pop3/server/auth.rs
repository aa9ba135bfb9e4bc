//! `AUTH` (RFC 5034): SASL in lines of base64, and what follows a login in whatever way.
//!
//! What must stay true: a mechanism that is not offered here and now is not spoken; while a challenge
//! waits, the next line is its answer and no command; failures to log in have a count of their own. The
//! reply to a proof that does is the one to [`super::Question::Open`]: without a maildrop nobody is logged in.

use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::{
    Answer, Asked, Flow, Maildrop, Opened, Outcome, Refusal, Server, State, Step, line::Line,
    replies,
};
use crate::{
    sasl::{self, Exchange, Failure, Mechanism, Setup},
    types::Moment,
};

impl<M: Maildrop> Server<M> {
    pub(super) fn auth(&mut self, argument: &str, out: &mut Vec<u8>) -> Outcome {
        if self.profile.mechanisms.is_empty() {
            return Err(replies::UNKNOWN_COMMAND);
        }
        self.authorization()?;
        if argument.is_empty() {
            self.list_for_old_clients(out);
            return Ok(None);
        }
        let (name, initial) = match argument.split_once(' ') {
            Some((name, initial)) => (name, Some(initial.trim_start_matches(' '))),
            None => (argument, None),
        };
        let mechanism = self.mechanism(name)?;
        let initial = match initial {
            // Present and empty (RFC 5034 §4).
            Some("=") => Some(Zeroizing::default()),
            Some(text) => Some(decode(text.as_bytes())?),
            None => None,
        };
        let initial = initial.as_ref().map(|octets| &octets[..]);
        let (exchange, step) = Exchange::begin(self.setup(mechanism), initial);
        self.exchange = Some(Box::new(exchange));
        Ok(self.exchanged(step, out))
    }

    /// A bare `AUTH` asks for the list (draft-myers-sasl-pop3): Outlook has never done otherwise.
    fn list_for_old_clients(&self, out: &mut Vec<u8>) {
        replies::ok("Mechanisms follow", out);
        for mechanism in self.offered() {
            out.extend_from_slice(mechanism.name().as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
    }

    pub(super) fn setup(&self, mechanism: Mechanism) -> Setup {
        Setup {
            mechanism,
            channel: self.client.channel.as_deref().cloned().unwrap_or_default(),
            plus_offered: self.offers(Mechanism::ScramSha256Plus),
            limits: self.profile.limits.sasl,
        }
    }

    /// Finds a mechanism, or says what is in its way.
    fn mechanism(&self, name: &str) -> Result<Mechanism, Refusal> {
        let known = Mechanism::parse(name).filter(|one| self.profile.mechanisms.contains(*one));
        match known.ok_or(replies::UNKNOWN_MECHANISM)? {
            mechanism if self.offers(mechanism) => Ok(mechanism),
            _ if !self.client.tls => Err(replies::ENCRYPTION_REQUIRED),
            _ => Err(replies::UNKNOWN_MECHANISM),
        }
    }

    pub(super) fn offers(&self, mechanism: Mechanism) -> bool {
        let channel = self.client.channel.as_deref();
        let fits = match mechanism {
            Mechanism::Plain | Mechanism::Login => {
                self.client.tls || self.profile.auth_in_the_clear
            }
            Mechanism::ScramSha256 => true,
            Mechanism::ScramSha256Plus => channel.is_some_and(sasl::Channel::can_bind),
            Mechanism::External => channel.is_some_and(|known| known.certificate.is_some()),
        };
        fits && self.profile.mechanisms.contains(mechanism)
    }

    /// What `AUTH` can be done with here and now, the one to prefer first.
    pub(super) fn offered(&self) -> impl Iterator<Item = Mechanism> {
        Mechanism::ALL.into_iter().filter(move |one| self.offers(*one))
    }

    /// Reads the answer to a challenge.
    pub(super) fn response(
        &mut self,
        now: Moment,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> (usize, Flow) {
        let (used, line) = self.lines.response(input);
        let response = match line {
            Line::Incomplete => return (used, Some(Step::NeedInput)),
            Line::Long => Err(replies::LINE_TOO_LONG),
            Line::Whole(b"*") => Err(replies::AUTH_CANCELLED),
            Line::Whole(line) => decode(line),
        };
        let flow = match (response, &mut self.exchange) {
            (Ok(response), Some(exchange)) => {
                let step = exchange.feed(&response);
                self.exchanged(step, out)
            }
            (Ok(_), None) => Some(self.close_saying(&replies::OUT_OF_STEP, out)),
            (Err(refusal), _) => {
                self.exchange = None;
                self.state = State::Command;
                self.mistaken(&refusal, out)
            }
        };
        self.arm(now);
        (used, flow)
    }

    pub(super) fn proof_answered(&mut self, answer: Answer<M>, out: &mut Vec<u8>) -> Flow {
        let Some(exchange) = &mut self.exchange else {
            return Some(self.close_saying(&replies::OUT_OF_STEP, out));
        };
        let answer = match answer {
            Answer::Accept => sasl::Answer::Granted,
            Answer::Proof(answer) => answer,
            Answer::Refuse(refusal) => {
                self.exchange = None;
                return self.auth_refused(&refusal, out);
            }
            Answer::Opened(_) => sasl::Answer::Unavailable,
        };
        let step = exchange.answer(answer);
        self.exchanged(step, out)
    }

    /// Does what the exchange says.
    pub(super) fn exchanged(&mut self, step: sasl::Step, out: &mut Vec<u8>) -> Flow {
        self.state = State::Command;
        let failure = match step {
            sasl::Step::Challenge(challenge) => {
                out.extend_from_slice(b"+ ");
                out.extend_from_slice(BASE64.encode(&challenge).as_bytes());
                out.extend_from_slice(b"\r\n");
                self.state = State::Response;
                return None;
            }
            sasl::Step::Ask => return Some(self.ask(Asked::Authenticate)),
            sasl::Step::Success(identity) => {
                self.exchange = None;
                self.client.identity = Some(Box::new(identity));
                return Some(self.ask(Asked::Open));
            }
            sasl::Step::Failure(failure) => failure,
        };
        self.exchange = None;
        match failure {
            Failure::Malformed => self.mistaken(&replies::AUTH_MALFORMED, out),
            Failure::Unavailable => self.auth_refused(&replies::AUTH_UNAVAILABLE, out),
            Failure::Wrong | Failure::Binding => self.auth_refused(&replies::BAD_CREDENTIALS, out),
        }
    }

    pub(super) fn open_answered(&mut self, answer: Answer<M>, out: &mut Vec<u8>) -> Flow {
        let refusal = match answer {
            Answer::Opened(messages) => {
                let opened = Opened::new(messages);
                out.extend_from_slice(b"+OK Maildrop has ");
                opened.write_contents(out);
                out.extend_from_slice(b"\r\n");
                self.opened = Some(opened);
                self.client.errors = 0;
                return None;
            }
            Answer::Refuse(refusal) => refusal,
            Answer::Accept | Answer::Proof(_) => Refusal::UNAVAILABLE,
        };
        self.client.identity = None;
        self.auth_refused(&refusal, out)
    }

    pub(super) fn ask(&mut self, asked: Asked) -> Step {
        self.state = State::Asked(asked);
        Step::Ask(asked.question())
    }
}

fn decode(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    BASE64.decode(text).map(Zeroizing::new).map_err(|_| replies::AUTH_MALFORMED)
}
