//! What the directory holds: domains, accounts, aliases and groups, as people and programs see them.
//!
//! What must stay true: a record that came through [`Record::checked`] has canonical names
//! (addresses of our own folded, domains as A-labels), bounded lists, and a hash that can be
//! verified here. These are the lines of JSON that `ringpost import` and `export` speak; `packed`
//! knows how they lie in memory and on disk.

use proto::types::{Address, Domain};
use serde::{Deserialize, Serialize};

use super::name;
use super::password::{self, ScramSecrets};

/// Targets of an alias, members of a group, granted senders and forwards of an account, at most.
pub const LIST_MAX: usize = 1000;
/// Octets of a display name at most.
pub const NAME_OCTETS_MAX: usize = 256;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A domain whose addresses are ours.
    Domain,
    /// Somebody with a mailbox who may log in.
    Account,
    /// Another name for one or many addresses.
    Alias,
    /// A list of members.
    Group,
}

/// One thing of the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Record {
    /// A domain.
    Domain(LocalDomain),
    /// An account.
    Account(Account),
    /// An alias.
    Alias(Alias),
    /// A group.
    Group(Group),
}

/// A domain whose addresses are ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalDomain {
    /// Its name.
    pub domain: String,
    /// Where mail for addresses goes that do not exist; without it they are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_all: Option<String>,
    /// What divides an address from its detail (RFC 5233), `joe+lists`; `None` turns it off.
    #[serde(default = "separator_default")]
    pub separator: Option<char>,
    /// Messages an hour that all its accounts together may submit; `None`: the settings' default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages_per_hour: Option<u32>,
    /// Recipients an hour, the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients_per_hour: Option<u32>,
}

/// Somebody with a mailbox who may log in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Address and login.
    pub address: String,
    /// The password's hash; without it nobody can log in with a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// What SCRAM-SHA-256 needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scram: Option<ScramSecrets>,
    /// Bytes of its mailbox at most; `None`: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<u64>,
    /// Cannot log in and takes no mail.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disabled: bool,
    /// The name of its owner.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Senders that it may use beside its own: addresses, or `@domain` for all of a domain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub senders: Vec<String>,
    /// Where its mail goes on to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forward: Vec<String>,
    /// Forwarded mail goes to the mailbox, too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub forward_keep: bool,
    /// Messages an hour that it may submit; `None`: the settings' default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages_per_hour: Option<u32>,
    /// Recipients an hour, the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients_per_hour: Option<u32>,
}

/// Another name for one or many addresses, ours or elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// The other name.
    pub address: String,
    /// Where its mail goes.
    pub targets: Vec<String>,
}

/// A list of members, ours or elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its address.
    pub address: String,
    /// Who is in it; may be empty.
    #[serde(default)]
    pub members: Vec<String>,
    /// What it is called.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

fn is_false(value: &bool) -> bool {
    !value
}

// What serde asks for is an `Option`, since "off" can be said.
#[allow(clippy::unnecessary_wraps)]
fn separator_default() -> Option<char> {
    Some('+')
}

impl Kind {
    /// Its name, for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Account => "account",
            Self::Alias => "alias",
            Self::Group => "group",
        }
    }

    /// With its article.
    #[must_use]
    pub const fn with_article(self) -> &'static str {
        match self {
            Self::Domain => "a domain",
            Self::Account => "an account",
            Self::Alias => "an alias",
            Self::Group => "a group",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl LocalDomain {
    /// A domain with nothing said about it.
    #[must_use]
    pub fn new(domain: &str) -> Self {
        Self {
            domain: domain.into(),
            catch_all: None,
            separator: separator_default(),
            messages_per_hour: None,
            recipients_per_hour: None,
        }
    }

    fn checked(self) -> Result<Self, String> {
        let domain = parse_domain(&self.domain)?.to_string();
        let catch_all = self.catch_all.as_deref().map(target).transpose()?;
        let is_usual = |c: char| c.is_ascii_graphic() && !c.is_ascii_alphanumeric();
        if let Some(separator) = self.separator
            && (!is_usual(separator) || "@\"\\.".contains(separator))
        {
            return Err(format!("{separator:?} cannot divide an address: use + - = _ or the like"));
        }
        Ok(Self { domain, catch_all, ..self })
    }
}

impl Account {
    fn checked(self) -> Result<Self, String> {
        let (address, _) = name::parse_own(&self.address)?;
        let hash = self.hash.as_deref().map(password::recognised).transpose()?;
        let senders = list("senders", &self.senders, |text| match text.strip_prefix('@') {
            Some(domain) => Ok(format!("@{}", parse_domain(domain)?)),
            None => target(text),
        })?;
        let mut forward = list("forwards", &self.forward, target)?;
        let own = address.to_string();
        // What forwards to itself keeps a copy.
        let keeps = forward.iter().any(|to| is_same(to, &own));
        forward.retain(|to| !is_same(to, &own));
        let forward_keep = !forward.is_empty() && (self.forward_keep || keeps);
        let name = display_name(self.name)?;
        Ok(Self { address: own, hash, name, senders, forward, forward_keep, ..self })
    }
}

impl Record {
    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Domain(_) => Kind::Domain,
            Self::Account(_) => Kind::Account,
            Self::Alias(_) => Kind::Alias,
            Self::Group(_) => Kind::Group,
        }
    }

    /// Its name: a domain, or an address.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Domain(domain) => &domain.domain,
            Self::Account(account) => &account.address,
            Self::Alias(alias) => &alias.address,
            Self::Group(group) => &group.address,
        }
    }

    /// The record with every name in its canonical form.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn checked(self) -> Result<Self, String> {
        Ok(match self {
            Self::Domain(domain) => Self::Domain(domain.checked()?),
            Self::Account(account) => Self::Account(account.checked()?),
            Self::Alias(alias) => {
                let (address, _) = name::parse_own(&alias.address)?;
                let targets = list("targets", &alias.targets, target)?;
                if targets.is_empty() {
                    return Err(format!("alias {address} needs a target"));
                }
                Self::Alias(Alias { address: address.to_string(), targets })
            }
            Self::Group(group) => {
                let (address, _) = name::parse_own(&group.address)?;
                let members = list("members", &group.members, target)?;
                let name = display_name(group.name)?;
                Self::Group(Group { address: address.to_string(), members, name })
            }
        })
    }

    /// The same without hashes and secrets, for those who only look.
    #[must_use]
    pub fn without_secrets(mut self) -> Self {
        if let Self::Account(account) = &mut self {
            account.hash = account.hash.as_deref().map(|hash| password::scheme_name(hash).into());
            account.scram = None;
        }
        self
    }
}

/// Two addresses are the same to us when they are so without regard to case.
fn is_same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

pub(super) fn parse_domain(text: &str) -> Result<Domain, String> {
    Domain::parse(text.trim()).map_err(|error| format!("{text:?} is no domain: {error}"))
}

/// An address that mail goes to, ours or not: its local part keeps its case.
fn target(text: &str) -> Result<String, String> {
    let address =
        Address::parse(text.trim()).map_err(|error| format!("{text:?} is no address: {error}"))?;
    Ok(address.to_string())
}

/// Every item checked, none twice, not too many.
fn list(
    what: &str,
    items: &[String],
    check: impl Fn(&str) -> Result<String, String>,
) -> Result<Vec<String>, String> {
    if items.len() > LIST_MAX {
        return Err(format!("{} {what} are too many: {LIST_MAX} at most", items.len()));
    }
    let mut seen = std::collections::HashSet::with_capacity(items.len());
    let mut checked = Vec::with_capacity(items.len());
    for item in items {
        let item = check(item)?;
        if seen.insert(item.clone()) {
            checked.push(item);
        }
    }
    Ok(checked)
}

fn display_name(text: String) -> Result<String, String> {
    if text.len() > NAME_OCTETS_MAX {
        return Err(format!("a name has {NAME_OCTETS_MAX} octets at most"));
    }
    if text.chars().any(char::is_control) {
        return Err("a name has no control characters".into());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(text: &str) -> Result<Account, String> {
        let record: Record = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match record.checked()? {
            Record::Account(account) => Ok(account),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_become_canonical() {
        let account = account(
            r#"{"kind":"account","address":"Joe@BÜCHER.example",
                "senders":["@Example.ORG","Info@x.example","Info@X.example"],
                "forward":["JOE@bücher.example","Else@There.Example"]}"#,
        )
        .unwrap();
        assert_eq!(account.address, "joe@xn--bcher-kva.example");
        assert_eq!(account.senders, ["@example.org", "Info@x.example"]);
        assert_eq!(account.forward, ["Else@there.example"]);
        assert!(account.forward_keep);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            r#"{"kind":"account","address":"joe"}"#,
            r#"{"kind":"account","address":"joe@x.example","qouta_bytes":5}"#,
            r#"{"kind":"account","address":"joe@x.example","hash":"secret"}"#,
            r#"{"kind":"account","address":"joe@x.example","name":"a\u0007"}"#,
            r#"{"kind":"account","address":"joe@x.example","forward":["nowhere"]}"#,
            r#"{"kind":"person","address":"joe@x.example"}"#,
        ] {
            assert!(account(text).is_err(), "{text}");
        }
        let domain = |separator| LocalDomain { separator, ..LocalDomain::new("x.example") };
        for separator in ['@', '.', 'a', ' ', 'é'] {
            assert!(Record::Domain(domain(Some(separator))).checked().is_err(), "{separator}");
        }
        assert!(Record::Domain(domain(None)).checked().is_ok());
        let alias = Alias { address: "a@x.example".into(), targets: Vec::new() };
        assert!(Record::Alias(alias).checked().is_err());
        let many = vec!["b@x.example".to_owned(); LIST_MAX + 1];
        let alias = Alias { address: "a@x.example".into(), targets: many };
        assert!(Record::Alias(alias).checked().is_err());
    }
}
