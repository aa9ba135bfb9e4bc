//! What was found: plain values, whose names are those of `ringpost check domain --json`. Must stay true: a
//! name, once printed, keeps its meaning.

use std::net::IpAddr;

use serde::Serialize;

use super::super::spf::Cost;
use super::keys::Key;

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The domain, A-labels, lower case.
    pub domain: String,
    /// Whether the DNS knows the name at all.
    pub exists: bool,
    /// Where its mail goes.
    pub mx: MxFacts,
    /// Who may send for it.
    pub spf: SpfFacts,
    /// Keys that were found, or were asked for by name.
    pub dkim: DkimFacts,
    /// What is to be done with mail that is not its own.
    pub dmarc: DmarcFacts,
    /// `_mta-sts` (RFC 8461 §3.1).
    pub mta_sts: TextFacts,
    /// `_smtp._tls` (RFC 8460 §3).
    pub tls_rpt: TextFacts,
}

/// Where mail for the domain goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MxFacts {
    /// Best first.
    pub hosts: Vec<ExchangerFacts>,
    /// There is no MX record, and the domain's own addresses count (RFC 5321 §5.1).
    pub is_implicit: bool,
    /// It says that it takes no mail (RFC 7505).
    pub is_null: bool,
    /// Why nobody could tell.
    pub unknown: Option<String>,
}

/// A mail exchanger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExchangerFacts {
    /// Its name.
    pub host: String,
    /// Lower is tried first.
    pub preference: u16,
    /// Where it is.
    pub addresses: Vec<AddressFacts>,
    /// The name that it is an alias of, which an MX may not be (RFC 5321 §5.1).
    pub alias_of: Option<String>,
    /// Its TLSA records for port 25, as in a zone file.
    pub tlsa: Vec<String>,
    /// Whether DNSSEC vouches for them; `null` when nobody checks (`dns.dnssec = "off"`).
    pub tlsa_secure: Option<bool>,
    /// Why nobody could tell.
    pub unknown: Option<String>,
}

/// An address of a mail exchanger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AddressFacts {
    /// The address.
    pub address: IpAddr,
    /// The names it leads back to (PTR).
    pub names: Vec<String>,
    /// Whether one of them leads to it (RFC 8601 §3).
    pub is_confirmed: bool,
    /// Why nobody could tell.
    pub unknown: Option<String>,
}

/// Who may send for the domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SpfFacts {
    /// Its SPF records; there should be one.
    pub records: Vec<String>,
    /// What the one costs, and what is wrong with it.
    pub cost: Option<Cost>,
    /// Why nobody could tell.
    pub unknown: Option<String>,
}

/// The domain's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DkimFacts {
    /// Our own first, then those that were asked for, then those with a usual name.
    pub keys: Vec<KeyFacts>,
    /// How many usual names were tried.
    pub tried: usize,
    /// Why nobody could tell of some.
    pub unknown: Option<String>,
}

/// Why a selector was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Ringpost has the private key.
    Own,
    /// It was asked for.
    Asked,
    /// Its name is a usual one.
    Usual,
}

/// One selector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyFacts {
    /// Its name, without `._domainkey`.
    pub selector: String,
    /// Why it was looked up.
    pub origin: Origin,
    /// The record; none was found when it is `null`.
    pub record: Option<String>,
    /// What it says.
    pub key: Option<Key>,
    /// Why it says nothing.
    pub fault: Option<String>,
}

/// What is to be done with mail that is not the domain's own (RFC 9989).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DmarcFacts {
    /// The records on the way up, the domain's own first.
    pub records: Vec<DmarcRecord>,
    /// The domain whose record applies.
    pub applies: Option<String>,
    /// The organizational domain, with which relaxed alignment goes.
    pub organizational: Option<String>,
    /// What it asks for this domain.
    pub policy: Option<Policy>,
    /// Where aggregate reports go.
    pub reports: Vec<ReportFacts>,
    /// Names with more than one record: none of them counts.
    pub several: Vec<String>,
    /// Why nobody could tell.
    pub unknown: Option<String>,
}

/// A DMARC record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DmarcRecord {
    /// The domain, without `_dmarc`.
    pub domain: String,
    /// Its text.
    pub record: String,
    /// For the domain.
    pub p: Option<Policy>,
    /// For the names below it.
    pub sp: Option<Policy>,
    /// For names below it that do not exist.
    pub np: Option<Policy>,
    /// Only a test: the policy counts one step less.
    pub is_testing: bool,
    /// `psd`: `y`, `n` or nothing.
    pub psd: Option<char>,
    /// Strict alignment is asked of DKIM.
    pub is_dkim_strict: bool,
    /// Strict alignment is asked of SPF.
    pub is_spf_strict: bool,
    /// Where aggregate reports go, as it is written.
    pub rua: Vec<String>,
    /// Why it does not count.
    pub fault: Option<String>,
}

/// What a DMARC record asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Nothing.
    None,
    /// To keep it apart.
    Quarantine,
    /// To refuse it.
    Reject,
}

impl Policy {
    /// The word in the record.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

/// Somewhere that reports go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportFacts {
    /// The address.
    pub address: String,
    /// For an address elsewhere, whether its domain agrees (RFC 9990 §4); `null` when it need not be
    /// asked, or nobody could tell.
    pub is_authorized: Option<bool>,
}

/// A single TXT record with a version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TextFacts {
    /// There should be one, or none.
    pub records: Vec<String>,
    /// What is wrong with the one.
    pub fault: Option<String>,
    /// Why nobody could tell.
    pub unknown: Option<String>,
}
