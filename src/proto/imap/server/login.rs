//! `AUTHENTICATE` and `LOGIN`: SASL in lines of base64, or as two strings.
//!
//! What must stay true: a mechanism that is not offered here and now is not spoken; while a challenge
//! waits, the next line is its answer and no command; failures to log in have a count of their own,
//! and closing is the answer to one too many. A login is answered when the driver has let the client in;
//! who has logged in then stays so.

use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::{Answer, Asked, Flow, Question, Server, State, Step, replies};
use crate::{
    imap::{
        command::{self, Login},
        respond::{Code, Completion},
    },
    sasl::{self, Exchange, Failure, Mechanism, Setup},
};

impl Server {
    pub(super) fn authenticate(
        &mut self,
        wanted: &command::Mechanism,
        out: &mut Vec<u8>,
    ) -> Flow<'static> {
        let mechanism = match self.mechanism(&wanted.name) {
            Ok(mechanism) => mechanism,
            Err(reply) => return self.complete(&reply, out),
        };
        let initial = match wanted.initial.as_ref().map(|text| &text[..]) {
            // Present and empty (RFC 4959 §3).
            Some(b"=") => Some(Zeroizing::default()),
            Some(text) => match decode(text) {
                Ok(octets) => Some(octets),
                Err(reply) => return self.complete(&reply, out),
            },
            None => None,
        };
        let (exchange, step) =
            Exchange::begin(self.setup(mechanism), initial.as_ref().map(|octets| &octets[..]));
        self.exchange = Some(Box::new(exchange));
        self.exchanged(step, out)
    }

    /// The command `LOGIN` is the mechanism LOGIN with both answers at once.
    pub(super) fn login(&mut self, login: &Login, out: &mut Vec<u8>) -> Flow<'static> {
        if !self.takes_passwords() {
            return self.complete(&replies::ENCRYPTION_NEEDED, out);
        }
        let setup = self.setup(Mechanism::Login);
        let (mut exchange, mut step) = Exchange::begin(setup, Some(&login.name));
        if matches!(step, sasl::Step::Challenge(_)) {
            step = exchange.feed(&login.password);
        }
        self.exchange = Some(Box::new(exchange));
        self.exchanged(step, out)
    }

    /// Whether the command `LOGIN` will do (RFC 9051 §6.2.3, `LOGINDISABLED`).
    pub(super) fn takes_passwords(&self) -> bool {
        self.offers(Mechanism::Plain) || self.offers(Mechanism::Login)
    }

    fn setup(&self, mechanism: Mechanism) -> Setup {
        Setup {
            mechanism,
            channel: self.channel.as_deref().cloned().unwrap_or_default(),
            plus_offered: self.offers(Mechanism::ScramSha256Plus),
            limits: self.profile.limits.sasl,
        }
    }

    /// Finds a mechanism, or says what is in its way.
    fn mechanism(&self, name: &str) -> Result<Mechanism, Completion> {
        let known = Mechanism::parse(name).filter(|one| self.profile.mechanisms.contains(*one));
        match known.ok_or(replies::UNKNOWN_MECHANISM)? {
            mechanism if self.offers(mechanism) => Ok(mechanism),
            _ if !self.tls => Err(replies::ENCRYPTION_NEEDED),
            _ => Err(replies::UNKNOWN_MECHANISM),
        }
    }

    pub(super) fn offers(&self, mechanism: Mechanism) -> bool {
        let channel = self.channel.as_deref();
        let fits = match mechanism {
            Mechanism::Plain | Mechanism::Login => self.tls || self.profile.auth_in_the_clear,
            Mechanism::ScramSha256 => true,
            Mechanism::ScramSha256Plus => channel.is_some_and(sasl::Channel::can_bind),
            Mechanism::External => channel.is_some_and(|known| known.certificate.is_some()),
        };
        fits && self.profile.mechanisms.contains(mechanism)
    }

    /// Reads the answer to a challenge.
    pub(super) fn response<'i>(&mut self, input: &'i [u8], out: &mut Vec<u8>) -> (usize, Flow<'i>) {
        let (line, used) = match self.line(input, out) {
            Ok(found) => found,
            Err(end) => return end,
        };
        let response = match line {
            b"*" => Err(replies::AUTH_CANCELLED),
            line => decode(line),
        };
        let flow = match (response, &mut self.exchange) {
            (Ok(response), Some(exchange)) => {
                let step = exchange.feed(&response);
                self.exchanged(step, out)
            }
            (Ok(_), None) => self.close_saying(&replies::OUT_OF_STEP, out),
            (Err(reply), _) => self.complete(&reply, out),
        };
        (used, flow)
    }

    pub(super) fn proof_answered(&mut self, answer: Answer, out: &mut Vec<u8>) -> Flow<'static> {
        let Some(exchange) = &mut self.exchange else {
            return self.close_saying(&replies::OUT_OF_STEP, out);
        };
        let answer = match answer {
            Answer::Accept => sasl::Answer::Granted,
            Answer::Proof(answer) => answer,
            Answer::Refuse(reply) => return self.login_refused(&reply, out),
        };
        let step = exchange.answer(answer);
        self.exchanged(step, out)
    }

    /// Does what the exchange says.
    fn exchanged(&mut self, step: sasl::Step, out: &mut Vec<u8>) -> Flow<'static> {
        match step {
            sasl::Step::Challenge(challenge) => {
                out.extend_from_slice(b"+ ");
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
                self.identity = Some(Box::new(identity));
                self.exchange = None;
                self.state = State::Asked(Asked::Enter);
                Some(Step::Ask(Question::Enter))
            }
            sasl::Step::Failure(Failure::Malformed) => self.complete(&replies::AUTH_MALFORMED, out),
            sasl::Step::Failure(Failure::Unavailable) => {
                self.login_refused(&replies::AUTH_UNAVAILABLE, out)
            }
            sasl::Step::Failure(Failure::Wrong | Failure::Binding) => {
                self.login_refused(&replies::BAD_CREDENTIALS, out)
            }
        }
    }

    /// Whether who has proved who they are is let in. To be turned away is no failure of theirs, and
    /// counts as none.
    pub(super) fn enter_answered(&mut self, answer: Answer, out: &mut Vec<u8>) -> Flow<'static> {
        match answer {
            Answer::Accept => {
                self.welcome(out);
                None
            }
            Answer::Refuse(reply) => {
                self.identity = None;
                self.complete(&reply, out)
            }
            Answer::Proof(_) => self.close_saying(&replies::OUT_OF_STEP, out),
        }
    }

    /// Success, and what is offered now (RFC 9051 §6.2.2).
    fn welcome(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.tag);
        out.extend_from_slice(b" OK [CAPABILITY ");
        self.list_capabilities(out);
        out.extend_from_slice(b"] Logged in\r\n");
        self.forget();
        self.channel = None;
        self.state = State::Command;
    }

    /// Says `reply`, and `BYE` when it is one failure too many. What cannot be told now is none.
    fn login_refused(&mut self, reply: &Completion, out: &mut Vec<u8>) -> Flow<'static> {
        let flow = self.complete(reply, out);
        if flow.is_some() || reply.code == Some(Code::Unavailable) {
            return flow;
        }
        if self.auth_failures >= self.profile.limits.auth_failures_max {
            return self.close_saying(&replies::TOO_MANY_FAILURES, out);
        }
        self.auth_failures += 1;
        None
    }
}

fn decode(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, Completion> {
    BASE64.decode(text).map(Zeroizing::new).map_err(|_| replies::AUTH_MALFORMED)
}
