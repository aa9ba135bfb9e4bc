//! Logging in: what the machine asks about a client, answered by the directory.
//!
//! Every door that users log in by asks here. What must stay true: nobody acts for another; whether an
//! account exists is told by nothing that is said here; a directory that is down is a temporary
//! failure, never a wrong password. How it fails: as the client's reply, and in the log
//! (`login-failed`), which the directory writes.

use std::net::IpAddr;

use engine::tls::Channel;
use mail::directory::{Admission, Identity as Account, Login, Verdict};
use proto::sasl::{self, Identity, Nonce, Proof};

/// What a proof was found to be.
pub(crate) enum Judgement {
    /// It does: the machine is to be told so, and this account is logged in then.
    Granted(Box<Account>),
    /// Nobody is logged in, yet: the machine is to be told this.
    Answer(sasl::Answer),
    /// The client has guessed too often; nothing was verified.
    Blocked,
}

/// Judges a proof. May take seconds for those who guess.
pub(crate) async fn judge(proof: Proof, login: &Login, client: IpAddr) -> Judgement {
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
            Judgement::Answer(sasl::Answer::Denied)
        }
    }
}

/// What SASL may know of a connection's TLS.
pub(crate) fn channel_of(tls: &Channel) -> sasl::Channel {
    sasl::Channel {
        exporter: tls.binding(),
        end_point: None,
        certificate: tls.client_addresses().into_iter().next(),
    }
}

async fn secrets(authentication: &str, login: &Login, client: IpAddr) -> Judgement {
    if login.admit(authentication, client).await == Admission::Blocked {
        return Judgement::Blocked;
    }
    let (secrets, nonce) = (login.scram(authentication).await, mail::directory::nonce());
    Judgement::Answer(match (secrets, nonce) {
        (Ok(secrets), Some(nonce)) => sasl::Answer::Secrets(Box::new(secrets), Nonce::new(&nonce)),
        _ => sasl::Answer::Unavailable,
    })
}

fn told(verdict: Verdict) -> Judgement {
    match verdict {
        Verdict::Granted(account) => Judgement::Granted(account),
        Verdict::Wrong => Judgement::Answer(sasl::Answer::Denied),
        Verdict::Temporary => Judgement::Answer(sasl::Answer::Unavailable),
        Verdict::Blocked => Judgement::Blocked,
    }
}

/// There are no masters: the identity to act as is one's own.
fn acts_for_itself(identity: &Identity) -> bool {
    identity.authorization.eq_ignore_ascii_case(&identity.authentication)
}
