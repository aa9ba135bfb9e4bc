//! What advice is made of.

use serde::Serialize;

/// One thing about the domain, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// How much it matters.
    pub severity: Severity,
    /// What it is about.
    pub topic: Topic,
    /// Who refuses or punishes.
    pub receivers: Vec<Receiver>,
    /// What is so.
    pub text: String,
    /// Why that matters; empty where all is well.
    pub reason: String,
    /// What to publish.
    pub publish: Option<Publish>,
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Mail is refused, or lost, while it stays so.
    Must,
    /// It is punished, or weak.
    Should,
    /// It is as it should be, or a matter of taste, or not to be seen in the DNS.
    Fine,
}

/// What it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// Where mail goes.
    Mx,
    /// Names of addresses.
    Ptr,
    /// SPF.
    Spf,
    /// DKIM.
    Dkim,
    /// DMARC.
    Dmarc,
    /// MTA-STS.
    MtaSts,
    /// TLS-RPT.
    TlsRpt,
    /// DANE.
    Dane,
    /// What senders of many messages do beyond the DNS.
    Bulk,
}

impl Topic {
    /// As people write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Mx => "MX",
            Self::Ptr => "PTR",
            Self::Spf => "SPF",
            Self::Dkim => "DKIM",
            Self::Dmarc => "DMARC",
            Self::MtaSts => "MTA-STS",
            Self::TlsRpt => "TLS-RPT",
            Self::Dane => "DANE",
            Self::Bulk => "BULK",
        }
    }
}

/// A large receiver with rules for senders: Google's and Yahoo's of February 2024, Microsoft's of May 2025.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Receiver {
    /// Gmail.
    Google,
    /// Yahoo and AOL.
    Yahoo,
    /// Outlook.com, Hotmail and the like.
    Microsoft,
}

impl Receiver {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Google, Self::Yahoo, Self::Microsoft];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Google => "Google",
            Self::Yahoo => "Yahoo",
            Self::Microsoft => "Microsoft",
        }
    }
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Publish {
    /// Its owner, with the final dot.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// As in a zone file; what only the administrator knows stands in `<…>`.
    pub value: String,
}

impl Publish {
    /// `text` as a TXT record of `name`.
    pub(super) fn txt(name: &str, text: &str) -> Option<Self> {
        Some(Self { name: format!("{name}."), kind: "TXT", value: quoted(text) })
    }
}

/// As strings of a zone file, of 255 octets each at most.
fn quoted(text: &str) -> String {
    let escaped = |c: char| match c {
        '"' | '\\' => vec!['\\', c],
        c => vec![c],
    };
    let letters: Vec<char> = text.chars().collect();
    // What is not ASCII has up to four octets.
    let most = if text.is_ascii() { 255 } else { 63 };
    let strings = letters.chunks(most).map(|chunk| {
        let inner: String = chunk.iter().copied().flat_map(escaped).collect();
        format!("\"{inner}\"")
    });
    strings.collect::<Vec<_>>().join(" ")
}
