//! One exchange: what was said so far, and what may come next.

use super::{
    Answer, Channel, Failure, Identity, Limits, Mechanism, Proof, Step, plain, prepare,
    scram::{Challenged, First, Signature},
};

/// What LOGIN asks for. The draft says `User Name` and `Password`, each with a NUL; all servers say
/// this, and some clients wait for it.
const LOGIN_NAME: &[u8] = b"Username:";
const LOGIN_PASSWORD: &[u8] = b"Password:";

/// What an exchange starts from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The mechanism that the client has chosen.
    pub mechanism: Mechanism,
    /// What TLS knows.
    pub channel: Channel,
    /// SCRAM-SHA-256-PLUS was on offer here. A client that could bind, and believes that we cannot,
    /// has been shown another offer than ours (RFC 5802 §6).
    pub plus_offered: bool,
    /// What to take in.
    pub limits: Limits,
}

/// The machine: one an attempt to log in.
#[derive(Debug)]
pub struct Exchange {
    setup: Setup,
    state: State,
}

/// What is waited for.
#[derive(Debug)]
enum State {
    /// The first message of PLAIN, EXTERNAL or SCRAM.
    First,
    /// The name in LOGIN.
    LoginName,
    /// The password in LOGIN, of this name.
    LoginPassword(Box<str>),
    /// A judgement that decides all.
    Judged(Proof),
    /// The secrets of somebody who says this.
    Secrets(Proof, First),
    /// The final message of SCRAM.
    ScramFinal(Challenged),
    /// A judgement, to be told with our own proof.
    ScramJudged(Proof, Signature),
    /// An empty message: they have our proof.
    ScramEnd(Identity),
    /// Nothing.
    Over,
}

type Next = Result<(State, Step), Failure>;

impl Exchange {
    /// Starts; `initial` is the initial response, when there is one (RFC 4422 §3.3).
    pub fn begin(setup: Setup, initial: Option<&[u8]>) -> (Self, Step) {
        let (state, challenge) = match setup.mechanism {
            Mechanism::Login => (State::LoginName, LOGIN_NAME),
            _ => (State::First, &b""[..]),
        };
        let mut exchange = Self { setup, state };
        // LOGIN has no initial response by its draft; those who send one mean the name.
        let step = match initial {
            Some(response) => exchange.feed(response),
            None => Step::Challenge(challenge.to_vec()),
        };
        (exchange, step)
    }

    /// The client's answer to a [`Step::Challenge`].
    pub fn feed(&mut self, response: &[u8]) -> Step {
        let next = match std::mem::replace(&mut self.state, State::Over) {
            State::First => self.first(response),
            State::LoginName => self.login_name(response),
            State::LoginPassword(name) => self.login_password(name, response),
            State::ScramFinal(challenged) => challenged
                .judge(response)
                .map(|(proof, signature)| (State::ScramJudged(proof, signature), Step::Ask)),
            State::ScramEnd(identity) if response.is_empty() => {
                Ok((State::Over, Step::Success(identity)))
            }
            State::ScramEnd(_)
            | State::Judged(_)
            | State::Secrets(..)
            | State::ScramJudged(..)
            | State::Over => Err(Failure::Malformed),
        };
        self.go(next)
    }

    /// What is to be judged, while it is.
    #[must_use]
    pub const fn proof(&self) -> Option<&Proof> {
        match &self.state {
            State::Judged(proof) | State::Secrets(proof, _) | State::ScramJudged(proof, _) => {
                Some(proof)
            }
            _ => None,
        }
    }

    /// The judgement of [`Exchange::proof`]. One that does not fit the question is
    /// [`Failure::Unavailable`].
    pub fn answer(&mut self, answer: Answer) -> Step {
        let next = match (std::mem::replace(&mut self.state, State::Over), answer) {
            (_, Answer::Denied) => Err(Failure::Wrong),
            (State::Judged(proof), Answer::Granted) => match proof {
                Proof::Password { identity, .. } | Proof::Certificate { identity } => {
                    Ok((State::Over, Step::Success(identity)))
                }
                Proof::Secrets { .. } | Proof::Scram { .. } => Err(Failure::Unavailable),
            },
            (State::Secrets(_, first), Answer::Secrets(secrets, nonce)) => {
                let (challenged, challenge) = first.challenge(*secrets, &nonce);
                Ok((State::ScramFinal(challenged), Step::Challenge(challenge)))
            }
            (State::ScramJudged(Proof::Scram { right: false, .. }, _), Answer::Granted) => {
                Err(Failure::Wrong)
            }
            (State::ScramJudged(Proof::Scram { identity, .. }, signature), Answer::Granted) => {
                Ok((State::ScramEnd(identity), Step::Challenge(signature.message())))
            }
            _ => Err(Failure::Unavailable),
        };
        self.go(next)
    }

    fn go(&mut self, next: Next) -> Step {
        match next {
            Ok((state, step)) => {
                self.state = state;
                step
            }
            Err(failure) => Step::Failure(failure),
        }
    }

    fn first(&self, message: &[u8]) -> Next {
        let setup = &self.setup;
        match setup.mechanism {
            Mechanism::Plain => {
                let (identity, password) = plain::parse(message, &setup.limits)?;
                Ok((State::Judged(Proof::Password { identity, password }), Step::Ask))
            }
            Mechanism::External => {
                let owner = setup.channel.certificate.clone().ok_or(Failure::Wrong)?;
                let wanted = plain::name(message, &setup.limits)?;
                let identity = Identity::new(setup.mechanism, owner, wanted);
                Ok((State::Judged(Proof::Certificate { identity }), Step::Ask))
            }
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => {
                let first = First::parse(message, setup)?;
                let authentication = first.identity().authentication.clone();
                Ok((State::Secrets(Proof::Secrets { authentication }, first), Step::Ask))
            }
            Mechanism::Login => Err(Failure::Malformed),
        }
    }

    fn login_name(&self, message: &[u8]) -> Next {
        let name = plain::name(message, &self.setup.limits)?.ok_or(Failure::Wrong)?;
        Ok((State::LoginPassword(name), Step::Challenge(LOGIN_PASSWORD.to_vec())))
    }

    fn login_password(&self, name: Box<str>, message: &[u8]) -> Next {
        let password = prepare::password(message, &self.setup.limits)?;
        let identity = Identity::new(Mechanism::Login, name, None);
        Ok((State::Judged(Proof::Password { identity, password }), Step::Ask))
    }
}
