//! `AUTH` (RFC 4954): SASL in lines of base64.
//!
//! What must stay true: a mechanism that is not offered here and now is not spoken; while a
//! challenge waits, the next line is its answer and no command; failures to log in have a count of
//! their own, smaller than that of errors, and closing is the answer to one too many. Who has logged
//! in is forgotten only with the connection or by STARTTLS.

use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::{Answer, Asked, Flow, Outcome, Question, Server, State, Step, line::Line, replies};
use crate::{
    sasl::{self, Exchange, Failure, Mechanism, Setup},
    types::{Moment, Reply, Severity},
};

impl Server {
    pub(super) fn auth(&mut self, argument: &str, out: &mut Vec<u8>) -> Outcome {
        if self.profile.mechanisms.is_empty() {
            return Err(replies::UNKNOWN_COMMAND);
        }
        if !self.extended {
            return Err(replies::HELO_FIRST);
        }
        if self.identity.is_some() {
            return Err(replies::ALREADY_AUTHENTICATED);
        }
        if self.transaction.is_some() {
            return Err(replies::AUTH_IN_TRANSACTION);
        }
        if argument.is_empty() {
            return Err(replies::AUTH_SYNTAX);
        }
        let (name, initial) =
            argument.split_once(' ').map_or((argument, None), |(name, initial)| {
                (name, Some(initial.trim_start_matches(' ')))
            });
        let mechanism = self.mechanism(name)?;
        let initial = match initial {
            // Present and empty (RFC 4954 §4).
            Some("=") => Some(Zeroizing::default()),
            Some(text) => Some(decode(text.as_bytes())?),
            None => None,
        };
        let setup = Setup {
            mechanism,
            channel: self.channel.as_deref().cloned().unwrap_or_default(),
            plus_offered: self.offers(Mechanism::ScramSha256Plus),
            limits: self.profile.limits.sasl,
        };
        let (exchange, step) = Exchange::begin(setup, initial.as_ref().map(|octets| &octets[..]));
        self.exchange = Some(Box::new(exchange));
        Ok(self.exchanged(step, out))
    }

    /// Finds a mechanism, or says what is in its way.
    fn mechanism(&self, name: &str) -> Result<Mechanism, Reply> {
        let known = Mechanism::parse(name).filter(|one| self.profile.mechanisms.contains(*one));
        match known.ok_or(replies::UNKNOWN_MECHANISM)? {
            mechanism if self.offers(mechanism) => Ok(mechanism),
            mechanism if mechanism.is_plain_text() => Err(replies::ENCRYPTION_REQUIRED),
            _ if !self.tls => Err(replies::ENCRYPTION_NEEDED),
            _ => Err(replies::UNKNOWN_MECHANISM),
        }
    }

    fn offers(&self, mechanism: Mechanism) -> bool {
        let channel = self.channel.as_deref();
        let fits = match mechanism {
            Mechanism::Plain | Mechanism::Login => self.tls || self.profile.auth_in_the_clear,
            Mechanism::ScramSha256 => true,
            Mechanism::ScramSha256Plus => channel.is_some_and(sasl::Channel::can_bind),
            Mechanism::External => channel.is_some_and(|known| known.certificate.is_some()),
        };
        fits && self.profile.mechanisms.contains(mechanism)
    }

    /// The `AUTH` line of `EHLO`; none when there is nothing to offer, or nobody to offer it to.
    pub(super) fn list_mechanisms(&self, out: &mut Vec<u8>) {
        let mut offered = Mechanism::ALL.into_iter().filter(|one| self.offers(*one)).peekable();
        if self.identity.is_some() || offered.peek().is_none() {
            return;
        }
        out.extend_from_slice(b"250-AUTH");
        for mechanism in offered {
            out.push(b' ');
            out.extend_from_slice(mechanism.name().as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Reads the answer to a challenge.
    pub(super) fn response<'i>(
        &mut self,
        now: Moment,
        input: &'i [u8],
        out: &mut Vec<u8>,
    ) -> (usize, Flow<'i>) {
        let (used, line) = self.lines.response(input);
        let response = match line {
            Line::Incomplete => return (used, Some(Step::NeedInput)),
            Line::Long => Err(replies::RESPONSE_TOO_LONG),
            Line::BareLf => Err(replies::BARE_LF),
            Line::Command(b"*") => Err(replies::AUTH_CANCELLED),
            Line::Command(line) => decode(line),
        };
        let flow = match (response, &mut self.exchange) {
            (Ok(response), Some(exchange)) => {
                let step = exchange.feed(&response);
                self.exchanged(step, out)
            }
            (Ok(_), None) => self.close_saying(replies::OUT_OF_STEP, out),
            (Err(reply), _) => {
                self.exchange = None;
                self.state = State::Command;
                self.say(&reply, out)
            }
        };
        self.arm(now);
        (used, flow)
    }

    pub(super) fn proof_answered(&mut self, answer: Answer, out: &mut Vec<u8>) -> Flow<'static> {
        let Some(exchange) = &mut self.exchange else {
            return self.close_saying(replies::OUT_OF_STEP, out);
        };
        let answer = match answer {
            Answer::Accept => sasl::Answer::Granted,
            Answer::Proof(answer) => answer,
            Answer::Refuse(reply) => return self.auth_refused(&reply, out),
            Answer::Queued(_) | Answer::Each(_) => sasl::Answer::Unavailable,
        };
        let step = exchange.answer(answer);
        self.exchanged(step, out)
    }

    /// Does what the exchange says.
    fn exchanged(&mut self, step: sasl::Step, out: &mut Vec<u8>) -> Flow<'static> {
        self.state = State::Command;
        match step {
            sasl::Step::Challenge(challenge) => {
                out.extend_from_slice(b"334 ");
                out.extend_from_slice(BASE64.encode(&challenge).as_bytes());
                out.extend_from_slice(b"\r\n");
                self.state = State::Response;
                None
            }
            sasl::Step::Ask => {
                self.state = State::Asked(Asked::Authenticate);
                Some(Step::Ask(Question::Authenticate))
            }
            sasl::Step::Success(identity) => {
                self.exchange = None;
                self.identity = Some(Box::new(identity));
                self.say(&replies::AUTHENTICATED, out)
            }
            sasl::Step::Failure(Failure::Malformed) => {
                self.exchange = None;
                self.say(&replies::AUTH_MALFORMED, out)
            }
            sasl::Step::Failure(Failure::Unavailable) => {
                self.auth_refused(&replies::AUTH_UNAVAILABLE, out)
            }
            sasl::Step::Failure(Failure::Wrong | Failure::Binding) => {
                self.auth_refused(&replies::BAD_CREDENTIALS, out)
            }
        }
    }

    /// Says `reply`, or 421 in its place when it is one failure too many.
    fn auth_refused(&mut self, reply: &Reply, out: &mut Vec<u8>) -> Flow<'static> {
        self.exchange = None;
        if reply.severity() == Severity::Permanent {
            if self.auth_failures >= self.profile.limits.auth_failures_max {
                return self.close_saying(replies::TOO_MANY_AUTH_FAILURES, out);
            }
            self.auth_failures += 1;
        }
        self.say(reply, out)
    }
}

fn decode(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, Reply> {
    BASE64.decode(text).map(Zeroizing::new).map_err(|_| replies::AUTH_MALFORMED)
}
