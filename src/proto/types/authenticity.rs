//! What became of the checks of where a message comes from, in the words of RFC 8601 §2.7.
//!
//! It travels in the envelope, so that whoever gets the message later (a mailbox, a filter, a report)
//! need not trust the header for it.

use serde::{Deserialize, Serialize};

/// How one check ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthResult {
    /// There was nothing to check.
    #[default]
    None,
    /// It holds.
    Pass,
    /// It does not hold.
    Fail,
    /// It most likely does not hold (SPF only).
    SoftFail,
    /// The domain says nothing, or what there is cannot be judged.
    Neutral,
    /// Nobody could tell; it may be known later.
    TempError,
    /// What the domain publishes makes no sense.
    PermError,
    /// It would hold, but our own policy does not let it count.
    Policy,
}

impl AuthResult {
    /// The word for it in `Authentication-Results` and `Received-SPF`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::Neutral => "neutral",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
            Self::Policy => "policy",
        }
    }
}

/// How all of them ended for one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authenticity {
    /// The client's name leads back to its address (RFC 8601 §3).
    pub iprev: AuthResult,
    /// SPF of the envelope's sender, or of the HELO name where there is none (RFC 7208 §2.4).
    pub spf: AuthResult,
    /// The best of its DKIM signatures (RFC 6376).
    pub dkim: AuthResult,
    /// Its ARC chain (RFC 8617).
    pub arc: AuthResult,
    /// DMARC of its author's domain (RFC 9989).
    pub dmarc: AuthResult,
    /// Policy would have it kept apart: it is held until somebody decides.
    pub is_quarantined: bool,
}
