//! MTA-STS as it is written (RFC 8461): the TXT record that announces a policy, and the policy.
//!
//! Pure. What must stay true: what breaks the grammar is no record and no policy, so that a
//! careless edit is noticed by its owner and never read as something weaker; unknown keys are
//! passed over, as later versions may add some.

use std::fmt;

use proto::types::Domain;

/// A policy larger than this is none (RFC 8461 §3.2 leaves it to the sender).
pub const POLICY_BYTES_MAX: usize = 64 << 10;
/// MX patterns in a policy.
const PATTERNS_MAX: usize = 1024;
/// `max_age`, in seconds: about a year (RFC 8461 §3.2).
const MAX_AGE_S_MAX: u64 = 31_557_600;
const ID_BYTES_MAX: usize = 32;

/// What a domain wants of those who send to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Mail goes to listed hosts with a good certificate, or not at all.
    Enforce,
    /// Failures are reported, mail goes all the same.
    Testing,
    /// As if there were no policy.
    None,
}

impl Mode {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

/// A domain's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What it wants.
    pub mode: Mode,
    /// How long it holds, in seconds.
    pub max_age_s: u64,
    /// Hosts that may receive, lower case; `*.` stands for one label.
    pub mx: Vec<Box<str>>,
}

/// Why a text is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A key is missing, or its value is none.
    #[error("its {key} is missing or wrong")]
    Key {
        /// Which.
        key: &'static str,
    },
    /// A line is no `key: value`.
    #[error("line {line} is not \"key: value\"")]
    Line {
        /// Which, from 1.
        line: usize,
    },
    /// An `mx` is no host name and no `*.` with one behind it.
    #[error("mx {0:?} is no host name")]
    Pattern(String),
}

impl Policy {
    /// Reads a policy (RFC 8461 §3.2).
    ///
    /// # Errors
    /// See [`PolicyError`].
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let (mut version, mut mode, mut max_age_s, mut mx) = (None, None, None, Vec::new());
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_matches([' ', '\t']);
            if line.is_empty() {
                continue;
            }
            let (key, value) = line.split_once(':').ok_or(PolicyError::Line { line: index + 1 })?;
            let value = value.trim_matches([' ', '\t']);
            match key {
                "mx" if mx.len() < PATTERNS_MAX => mx.push(pattern(value)?),
                "mx" => return Err(PolicyError::Key { key: "mx" }),
                // Of what is repeated the first counts (§3.2).
                "version" => _ = version.get_or_insert(value),
                "mode" => _ = mode.get_or_insert(value),
                "max_age" => _ = max_age_s.get_or_insert(value),
                _ => {}
            }
        }
        if version != Some("STSv1") {
            return Err(PolicyError::Key { key: "version" });
        }
        let mode = match mode {
            Some("enforce") => Mode::Enforce,
            Some("testing") => Mode::Testing,
            Some("none") => Mode::None,
            _ => return Err(PolicyError::Key { key: "mode" }),
        };
        let max_age_s = max_age_s.and_then(max_age).ok_or(PolicyError::Key { key: "max_age" })?;
        if mx.is_empty() && mode != Mode::None {
            return Err(PolicyError::Key { key: "mx" });
        }
        Ok(Self { mode, max_age_s, mx })
    }

    /// Whether mail may go to `host` (lower case, no final dot; RFC 8461 §4.1).
    #[must_use]
    pub fn lists(&self, host: &str) -> bool {
        self.mx.iter().any(|pattern| match pattern.strip_prefix("*.") {
            // One label, whatever it is.
            Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest == parent),
            None => **pattern == *host,
        })
    }
}

/// As reports show it: the lines of the policy (RFC 8460 §4.2).
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version: STSv1\nmode: {}\n", self.mode.as_str())?;
        self.mx.iter().try_for_each(|mx| writeln!(f, "mx: {mx}"))?;
        writeln!(f, "max_age: {}", self.max_age_s)
    }
}

fn max_age(text: &str) -> Option<u64> {
    let is_number = (1..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let seconds = is_number.then(|| text.parse::<u64>().ok()).flatten()?;
    (seconds <= MAX_AGE_S_MAX).then_some(seconds)
}

fn pattern(text: &str) -> Result<Box<str>, PolicyError> {
    let wrong = || PolicyError::Pattern(text.chars().take(255).collect());
    let (star, name) = match text.strip_prefix("*.") {
        Some(name) => ("*.", name),
        None => ("", text),
    };
    let name = Domain::parse(name).map_err(|_| wrong())?;
    Ok(format!("{star}{name}").into())
}

/// The policy's id, from the TXT records at `_mta-sts.DOMAIN`; `None` when they announce no policy,
/// or more than one (RFC 8461 §3.1).
#[must_use]
pub fn announced(records: &[String]) -> Option<Box<str>> {
    let mut found = records.iter().filter(|record| record.starts_with("v=STSv1;"));
    let record = found.next()?;
    if found.next().is_some() {
        return None;
    }
    let mut id = None;
    for field in record.split(';').skip(1) {
        let field = field.trim_matches([' ', '\t']);
        if field.is_empty() {
            continue;
        }
        let (key, value) = field.split_once('=')?;
        if key.trim_end() == "id" {
            id = id.or(Some(value.trim_start()));
        }
    }
    let id = id?;
    let is_id = (1..=ID_BYTES_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_id.then(|| id.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\n\
                          mx: *.example.net\r\nmx: Backup.Example.com\r\nmax_age: 604800\r\n";

    #[test]
    fn the_policy_of_the_rfc() {
        let policy = Policy::parse(POLICY).unwrap();
        assert_eq!((policy.mode, policy.max_age_s), (Mode::Enforce, 604_800));
        for host in ["mail.example.com", "a.example.net", "backup.example.com"] {
            assert!(policy.lists(host), "{host}");
        }
        for host in ["example.net", "a.b.example.net", "example.com", "xmail.example.com", "net"] {
            assert!(!policy.lists(host), "{host}");
        }
        assert_eq!(Policy::parse(&policy.to_string()), Ok(policy));
    }

    #[test]
    fn forms_that_are_allowed() {
        let text = "max_age:0\n\nmode:none\nversion:STSv1 \nfuture: thing\nmode: enforce";
        let policy = Policy::parse(text).unwrap();
        assert_eq!(policy, Policy { mode: Mode::None, max_age_s: 0, mx: Vec::new() });
    }

    #[test]
    fn what_breaks_the_grammar_is_no_policy() {
        for (from, to) in [
            ("STSv1", "STSv2"),
            ("version: STSv1", ""),
            ("mode: enforce", "mode: Enforce"),
            ("mode: enforce", "mode: strict"),
            ("mode: enforce", "mode enforce"),
            ("max_age: 604800", "max_age: -1"),
            ("max_age: 604800", "max_age: 31557601"),
            ("max_age: 604800", "max_age: 00000604800"),
            ("max_age: 604800", ""),
            ("mx: *.example.net", "mx: *"),
            ("mx: *.example.net", "mx: a.*.net"),
            ("mx: *.example.net", "mx: a b"),
            ("mx: *.example.net", "mx:"),
            ("mx: *.example.net", "<html>"),
        ] {
            let text = POLICY.replace(from, to);
            assert_ne!(text, POLICY);
            assert!(Policy::parse(&text).is_err(), "{text}");
        }
        assert!(Policy::parse("version: STSv1\nmode: testing\nmax_age: 1").is_err());
        assert!(Policy::parse("").is_err());
        let many = format!("{POLICY}{}", "mx: a.example\n".repeat(PATTERNS_MAX));
        assert!(Policy::parse(&many).is_err());
    }

    #[test]
    fn announcements() {
        let id = |records: &[&str]| {
            let records: Vec<String> = records.iter().map(|&record| record.into()).collect();
            announced(&records).map(String::from)
        };
        assert_eq!(id(&["v=STSv1; id=20160831085700Z;"]).as_deref(), Some("20160831085700Z"));
        assert_eq!(id(&["v=STSv1;x=1;id=a", "v=spf1 -all"]).as_deref(), Some("a"));
        for records in [
            &["v=STSv1; id=a", "v=STSv1; id=b"][..],
            &["v=STSv1; id=;"],
            &["v=STSv1; id=a-b"],
            &["v=STSv1; id"],
            &["v=STSv1;"],
            &["V=STSv1; id=a"],
            &["v=STSv10; id=a"],
            &["id=a; v=STSv1;"],
            &[],
        ] {
            assert_eq!(id(records), None, "{records:?}");
        }
        assert_eq!(id(&[&format!("v=STSv1; id={}", "a".repeat(33))]), None);
    }
}
