//! What was found about a message, in words of our own.
//!
//! What must stay true: texts are kept as strangers wrote them, cut to a bound; whoever writes them
//! anywhere cleans them there (`fields` for the header). Names of domains that decide (`author_domain`)
//! are checked domain names.

use std::net::IpAddr;

use proto::types::{AuthResult, Authenticity};
use serde::{Deserialize, Serialize};

/// Octets of a stranger's text that are kept.
const TEXT_BYTES_MAX: usize = 320;

/// Everything that was found about one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether the client's name leads back to its address.
    pub iprev: Iprev,
    /// Whether the client may send for the names it gave.
    pub spf: Spf,
    /// The signatures, those of the author's domain first, then as they stand in the header.
    pub dkim: Vec<Dkim>,
    /// The chain of those who passed the message on.
    pub arc: Arc,
    /// Whether any of that speaks for the author's domain.
    pub dmarc: Dmarc,
}

/// The client's reverse name (RFC 8601 §3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Iprev {
    /// `pass`, `fail`, `temperror`, or `permerror` where there is no name.
    pub result: AuthResult,
    /// The client; an IPv4-mapped address is its IPv4 address.
    pub client: IpAddr,
    /// The name that leads back; else the first one; empty when there is none.
    pub name: Box<str>,
}

/// SPF (RFC 7208) of both names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spf {
    /// Of the HELO name.
    pub helo: SpfResult,
    /// Of the envelope's sender; none when that is null.
    pub mail_from: Option<SpfResult>,
    /// The envelope's sender; empty when it is null.
    pub sender: Box<str>,
}

/// SPF of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SpfResult {
    /// Any but `policy`.
    pub result: AuthResult,
    /// The name.
    pub domain: Box<str>,
    /// What the domain says to those who fail (`exp=`), ASCII; empty when it says nothing.
    pub explanation: Box<str>,
    /// Why there is an error; our words.
    pub reason: Box<str>,
}

/// One signature (RFC 6376).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dkim {
    /// Any but `softfail`; `policy` for what was not looked at or is too weak.
    pub result: AuthResult,
    /// Who signed (`d=`); empty when it cannot be read.
    pub domain: Box<str>,
    /// Which key (`s=`).
    pub selector: Box<str>,
    /// For whom (`i=`); empty when it is not said.
    pub identity: Box<str>,
    /// `rsa-sha256`, `ed25519-sha256` …
    pub algorithm: &'static str,
    /// The first characters of `b=`, to tell signatures of one domain apart (RFC 6008).
    pub signature: Box<str>,
    /// Why it is no pass; our words.
    pub reason: Box<str>,
}

/// The ARC chain (RFC 8617).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Arc {
    /// `none`, `pass`, `fail`, `temperror`, or `policy` for a chain that is too long.
    pub result: AuthResult,
    /// Sets in it.
    pub chain_length: u32,
    /// Who sealed last; empty when there is no chain.
    pub sealer: Box<str>,
    /// Why it is no pass; our words.
    pub reason: Box<str>,
}

/// What the author's domain wants done with mail that fails (`p=`, `sp=`, `np=`).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum DomainWish {
    /// Nothing.
    #[default]
    None,
    /// Keep it apart.
    Quarantine,
    /// Refuse it.
    Reject,
}

impl DomainWish {
    /// The word for it in a record.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

/// DMARC (RFC 9989).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dmarc {
    /// `none`, `pass`, `fail`, `temperror` or `permerror`.
    pub result: AuthResult,
    /// The domain of the From field; of several, the one that decides. Empty when there is none.
    pub author_domain: Box<str>,
    /// The organizational domain of it, as the tree walk shows it (RFC 9989 §4.10.2).
    pub organizational_domain: Box<str>,
    /// What is wanted for mail of this author that fails; `t=y` and `np=` are seen to.
    pub policy: DomainWish,
    /// The record that applies.
    pub published: Option<Published>,
    /// SPF passed for an aligned domain.
    pub spf_aligned: bool,
    /// A signature of an aligned domain passed.
    pub dkim_aligned: bool,
    /// Why it is no pass; our words.
    pub reason: Box<str>,
    /// It failed, and somebody we trust says under an ARC seal that it had passed there.
    pub overridden_by_arc: bool,
}

/// What a DMARC record says, as an aggregate report repeats it (RFC 9990).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Published {
    /// Where it was found.
    pub domain: Box<str>,
    /// For the domain itself.
    pub p: DomainWish,
    /// For those below it.
    pub sp: DomainWish,
    /// For those below it that do not exist.
    pub np: DomainWish,
    /// `adkim=s`.
    pub is_dkim_strict: bool,
    /// `aspf=s`.
    pub is_spf_strict: bool,
    /// `t=y`.
    pub is_test: bool,
    /// There is somebody to report to (`rua=`).
    pub wants_reports: bool,
}

impl Spf {
    /// The one that counts: that of the sender, or of the HELO name where that is null
    /// (RFC 7208 §2.4).
    #[must_use]
    pub fn decisive(&self) -> &SpfResult {
        self.mail_from.as_ref().unwrap_or(&self.helo)
    }
}

impl Report {
    /// The report of a message that nobody could look at in time.
    #[must_use]
    pub fn unknown(client: IpAddr, helo: &str, sender: &str, sender_domain: Option<&str>) -> Self {
        let why = || Box::<str>::from("not known in time");
        let spf = |domain: &str| SpfResult {
            result: AuthResult::TempError,
            domain: kept(domain),
            reason: why(),
            ..SpfResult::default()
        };
        let unknown = AuthResult::TempError;
        Self {
            iprev: Iprev { result: unknown, client: client.to_canonical(), name: "".into() },
            spf: Spf { helo: spf(helo), mail_from: sender_domain.map(spf), sender: kept(sender) },
            dkim: vec![Dkim { result: unknown, reason: why(), ..Dkim::default() }],
            arc: Arc { result: unknown, reason: why(), ..Arc::default() },
            dmarc: Dmarc { result: unknown, reason: why(), ..Dmarc::default() },
        }
    }

    /// The verdicts alone, for the envelope.
    #[must_use]
    pub fn summary(&self) -> Authenticity {
        let best = self.dkim.iter().map(|dkim| dkim.result).min_by_key(|result| rank(*result));
        Authenticity {
            iprev: self.iprev.result,
            spf: self.spf.decisive().result,
            dkim: best.unwrap_or_default(),
            arc: self.arc.result,
            dmarc: self.dmarc.result,
            is_quarantined: false,
        }
    }
}

/// What says most about a message comes first.
fn rank(result: AuthResult) -> u8 {
    match result {
        AuthResult::Pass => 0,
        AuthResult::TempError => 1,
        AuthResult::Policy => 2,
        AuthResult::Fail | AuthResult::SoftFail => 3,
        AuthResult::PermError => 4,
        AuthResult::Neutral => 5,
        AuthResult::None => 6,
    }
}

/// As much of a stranger's text as is kept.
pub(super) fn kept(text: &str) -> Box<str> {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].into()
}
