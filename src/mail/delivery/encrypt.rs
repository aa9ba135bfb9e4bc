//! Making a connection what is demanded of it: STARTTLS (RFC 3207), and what the peer must prove.
//!
//! What must stay true: nothing is sent over a connection that is less than its demand; where TLS is
//! only an opportunity (RFC 7435), mail goes without it rather than not at all. How it fails:
//! [`Unopened::Insecure`], with what the log and a later report need.

use std::io;

use engine::tls::{Channel, Connector, Fault, Trust};
use proto::smtp::client::{Outcome, Stage};
use proto::types::{Enhanced, Reply};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How connections to a host are protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TlsLevel {
    /// Not at all.
    None,
    /// With TLS where the host offers it, whoever it is.
    #[default]
    Opportunistic,
    /// With TLS or not at all, whoever the host is.
    Require,
    /// With TLS, and the host proves its name by an authority that we believe.
    Verify,
}

impl TlsLevel {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Opportunistic => "opportunistic",
            Self::Require => "require",
            Self::Verify => "verify",
        }
    }
}

/// What a connection to a host must come to.
#[derive(Clone, Debug)]
pub enum Demand {
    /// No TLS.
    None,
    /// TLS if it can be had.
    Opportunistic,
    /// TLS, with any certificate.
    Require,
    /// TLS, with a certificate that is verified.
    Verified(Trust),
}

impl Demand {
    fn trust(&self) -> &Trust {
        match self {
            Self::Verified(trust) => trust,
            Self::None | Self::Opportunistic | Self::Require => &Trust::Anyone,
        }
    }
}

/// Why a connection was not opened.
pub(super) enum Unopened {
    /// Nothing to do with TLS.
    Refused(Outcome),
    /// It could not be made what was demanded.
    Insecure {
        /// How the mail is to be judged.
        outcome: Outcome,
        /// What the handshake failed for; `None`: there was none.
        fault: Option<Fault>,
    },
}

/// What a connection is made secure with.
pub(super) struct Security<'a> {
    pub connector: &'a Connector,
    pub demand: &'a Demand,
    /// The host's name, or its address when it has none.
    pub host: &'a str,
}

impl Security<'_> {
    /// Whether STARTTLS is to be said; an error when it must and cannot.
    pub fn wants(&self, is_offered: bool) -> Result<bool, Unopened> {
        match self.demand {
            Demand::None => Ok(false),
            Demand::Opportunistic => Ok(is_offered),
            Demand::Require | Demand::Verified(_) if is_offered => Ok(true),
            Demand::Require | Demand::Verified(_) => {
                // RFC 3463 §3.8: security features not supported.
                let text = format!("TLS is demanded of {}, which does not offer it", self.host);
                Err(insecure(Reply::made(451, Enhanced(4, 7, 4), text), None))
            }
        }
    }

    /// The memory of the handshake.
    pub fn channel(&self) -> Result<Channel, Unopened> {
        self.connector.channel(self.host, self.demand.trust()).map_err(|error| self.failed(&error))
    }

    /// What became of a handshake that failed.
    pub fn failed(&self, error: &io::Error) -> Unopened {
        let text = format!("no TLS with {}: {error}", self.host);
        // RFC 3463 §3.8: cryptographic failure.
        insecure(Reply::made(451, Enhanced(4, 7, 5), text), Some(Fault::of(error)))
    }
}

/// The host did not go through with STARTTLS.
pub(super) fn insecure(reply: Reply, fault: Option<Fault>) -> Unopened {
    Unopened::Insecure { outcome: Outcome { stage: Stage::Tls, reply }, fault }
}
