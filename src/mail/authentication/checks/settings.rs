//! What an administrator says about checks of incoming mail.
//!
//! The doc comments become the text of `config/reference.toml`.

use engine::settings::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Rules;

/// What becomes of mail that DMARC or SPF says is not from where it claims to be.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Nothing is checked.
    None,
    /// It is checked, and the results are written into the header.
    #[default]
    Tag,
    /// Also, what the author's domain wants rejected or quarantined is held.
    Quarantine,
    /// Also, what the author's domain wants rejected is refused.
    Reject,
}

/// SPF, DKIM, ARC and DMARC of mail that comes in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What relay listeners do with mail that fails DMARC, unless they say otherwise themselves:
    /// "none" checks nothing; "tag" only writes the results into the header; "quarantine" also holds
    /// what the author's domain wants quarantined or rejected; "reject" also refuses what the
    /// author's domain wants rejected.
    pub policy: Policy,
    /// Networks whose mail is not checked, e.g. "192.0.2.0/24". Absent: those of `relay.networks`.
    pub trusted: Option<Vec<String>>,
    /// What a plain SPF "fail" brings where the author's domain publishes no DMARC record; never
    /// more than `policy`. Forwarded mail fails SPF, so "reject" loses some.
    pub spf_fail: Policy,
    /// Whether a temporary error (DNS) of a check that decides has the client try again (451). Off:
    /// such mail is let in.
    pub defer_on_temporary: bool,
    /// Domains that seal what they forward (ARC) and are believed: mail that fails DMARC here is let
    /// in when they say, under an unbroken seal, that it passed there.
    pub trusted_sealers: Vec<String>,
    /// Whether a Received-SPF field is written beside Authentication-Results.
    pub write_received_spf: bool,
    /// DKIM signatures of a message that are looked at, the author's domain first. Each costs a
    /// question to the DNS and some computing; the rest counts as "policy".
    pub signatures_max: u32,
    /// How long all checks of a message may take together (RFC 7208 §4.6.4 wants 20 s at least).
    /// What is not known then is a temporary error.
    pub deadline: Span,
    /// Answers of the DNS that a shard keeps for checks, by kind, each as long as its TTL and `dns`
    /// say; together no more than 1 KiB for each of them.
    pub cache_entries_max: u32,
    /// Domains with a policy of their own, by author or by recipient. The author's comes first; of
    /// several recipients the mildest counts.
    pub domain: Vec<DomainPolicy>,
}

/// The policy of one domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DomainPolicy {
    /// The domain that mail claims to be from (its From field); ".example.org" is everything below
    /// example.org, not itself.
    pub author: Option<String>,
    /// The domain that mail is for, likewise. Either this or `author`.
    pub recipient: Option<String>,
    /// What is done with such mail.
    pub policy: Policy,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::Tag,
            trusted: None,
            spf_fail: Policy::Tag,
            defer_on_temporary: false,
            trusted_sealers: Vec::new(),
            write_received_spf: true,
            signatures_max: 8,
            deadline: Span::secs(20),
            cache_entries_max: 16_384,
            domain: Vec::new(),
        }
    }
}

impl Settings {
    /// What cannot work, in words; empty when all is well.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Err(error) = Rules::new(self, &[]) {
            faults.push(error.to_string());
        }
        if !(1..=100).contains(&self.signatures_max) {
            faults.push("authentication.signatures_max must be 1 to 100".to_owned());
        }
        if !(Span::secs(1)..=Span::mins(5)).contains(&self.deadline) {
            faults.push("authentication.deadline must be 1 s to 5 min".to_owned());
        }
        faults
    }
}
