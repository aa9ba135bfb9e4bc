//! Logging in: what the machine asks about a client, answered by the directory.
//!
//! What must stay true: nobody acts for another; whether an account exists is told by nothing that is
//! said here; a directory that is down is 454, never 535. How it fails: as the client's reply, and in
//! the log (`login-failed`), which the directory writes.

use std::net::IpAddr;

use mail::directory::{Admission, Identity as Account, Login, Verdict};
use proto::sasl::{self, Identity, Nonce, Proof};
use proto::smtp::server::Answer;
use proto::types::{Enhanced, Reply};

/// What a client hears that has guessed too often: nothing was verified.
const BLOCKED: Reply = Reply::new(454, Enhanced(4, 7, 0), "Too many failed logins, try later");

/// What the machine is to be told, and who is logged in then.
pub(super) struct Judgement {
    pub answer: Answer,
    pub account: Option<Box<Account>>,
}

impl Judgement {
    const fn of(answer: sasl::Answer) -> Self {
        Self { answer: Answer::Proof(answer), account: None }
    }
}

/// Judges a proof. May take seconds for those who guess.
pub(super) async fn judge(proof: Proof, login: &Login, client: IpAddr) -> Judgement {
    match proof {
        Proof::Password { identity, password } if acts_for_itself(&identity) => {
            let password = password.as_str().as_bytes();
            told(login.check(&identity.authentication, password, client).await)
        }
        Proof::Secrets { authentication } => secrets(&authentication, login, client).await,
        Proof::Scram { identity, right: true } if acts_for_itself(&identity) => {
            told(login.proved(&identity.authentication, client).await)
        }
        Proof::Certificate { identity } if acts_for_itself(&identity) => {
            told(login.proved(&identity.authentication, client).await)
        }
        Proof::Password { identity, .. }
        | Proof::Scram { identity, .. }
        | Proof::Certificate { identity } => {
            login.failed(&identity.authentication, client);
            Judgement::of(sasl::Answer::Denied)
        }
    }
}

async fn secrets(authentication: &str, login: &Login, client: IpAddr) -> Judgement {
    if login.admit(authentication, client).await == Admission::Blocked {
        return Judgement { answer: Answer::Refuse(BLOCKED), account: None };
    }
    let (secrets, nonce) = (login.scram(authentication).await, mail::directory::nonce());
    Judgement::of(match (secrets, nonce) {
        (Ok(secrets), Some(nonce)) => sasl::Answer::Secrets(Box::new(secrets), Nonce::new(&nonce)),
        _ => sasl::Answer::Unavailable,
    })
}

fn told(verdict: Verdict) -> Judgement {
    match verdict {
        Verdict::Granted(account) => {
            Judgement { answer: Answer::Proof(sasl::Answer::Granted), account: Some(account) }
        }
        Verdict::Wrong => Judgement::of(sasl::Answer::Denied),
        Verdict::Temporary => Judgement::of(sasl::Answer::Unavailable),
        Verdict::Blocked => Judgement { answer: Answer::Refuse(BLOCKED), account: None },
    }
}

/// There are no masters: the identity to act as is one's own.
fn acts_for_itself(identity: &Identity) -> bool {
    identity.authorization.eq_ignore_ascii_case(&identity.authentication)
}
