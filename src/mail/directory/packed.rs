//! Records as they lie in memory and on disk: small, and readable without unpacking all of them.
//!
//! The first octet says kind, disabled and forwarding, which is all that most mail needs to know;
//! the rest is postcard. Names are in the key, not here. Hashes of argon2id, which every account
//! has sooner or later, are kept as octets. A change of the form needs a new version of
//! `snapshot` and `changelog`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::name;
use super::password::{PackedHash, ScramSecrets};
use super::record::{Account, Alias, Group, Kind, LocalDomain, Record};

const KIND_MASK: u8 = 0b0000_0111;
const DISABLED: u8 = 0b0000_1000;
const FORWARDS: u8 = 0b0001_0000;

/// A value that does not read: the file is damaged, or of another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record cannot be read")]
pub struct Damaged;

/// A value in its packed form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed<'a> {
    flags: u8,
    rest: &'a [u8],
}

#[derive(Serialize, Deserialize)]
struct DomainForm<'a> {
    #[serde(borrow)]
    catch_all: Option<&'a str>,
    separator: Option<char>,
    messages_per_hour: Option<u32>,
    recipients_per_hour: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct AccountForm<'a> {
    #[serde(borrow)]
    forward: Vec<&'a str>,
    forward_keep: bool,
    #[serde(borrow)]
    hash: Option<PackedHash<'a>>,
    #[serde(borrow)]
    scram: Option<ScramForm<'a>>,
    quota_bytes: Option<u64>,
    #[serde(borrow)]
    name: &'a str,
    #[serde(borrow)]
    senders: Vec<&'a str>,
    messages_per_hour: Option<u32>,
    recipients_per_hour: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct ScramForm<'a> {
    iterations: u32,
    salt: &'a [u8],
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

/// Aliases and groups.
#[derive(Serialize, Deserialize)]
struct ListForm<'a> {
    #[serde(borrow)]
    members: Vec<&'a str>,
    #[serde(borrow)]
    name: &'a str,
}

/// What mail for an account needs to know.
#[derive(Debug)]
pub(super) struct Forwarding<'a> {
    pub to: Vec<&'a str>,
    pub keep: bool,
    pub quota_bytes: Option<u64>,
}

fn texts(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

/// Packs a record that was checked.
pub(super) fn pack(record: &Record) -> Result<Vec<u8>, Damaged> {
    let flags = record.kind() as u8;
    let packed = match record {
        Record::Domain(domain) => write(
            flags,
            &DomainForm {
                catch_all: domain.catch_all.as_deref(),
                separator: domain.separator,
                messages_per_hour: domain.messages_per_hour,
                recipients_per_hour: domain.recipients_per_hour,
            },
        ),
        Record::Account(account) => pack_account(flags, account),
        Record::Alias(alias) => {
            write(flags, &ListForm { members: texts(&alias.targets), name: "" })
        }
        Record::Group(group) => {
            write(flags, &ListForm { members: texts(&group.members), name: &group.name })
        }
    };
    packed.map_err(|_| Damaged)
}

fn pack_account(flags: u8, account: &Account) -> postcard::Result<Vec<u8>> {
    let disabled = if account.disabled { DISABLED } else { 0 };
    let forwards = if account.forward.is_empty() { 0 } else { FORWARDS };
    write(
        flags | disabled | forwards,
        &AccountForm {
            forward: texts(&account.forward),
            forward_keep: account.forward_keep,
            hash: account.hash.as_deref().map(PackedHash::of),
            scram: account.scram.as_ref().map(|scram| ScramForm {
                iterations: scram.iterations,
                salt: &scram.salt,
                stored_key: scram.stored_key,
                server_key: scram.server_key,
            }),
            quota_bytes: account.quota_bytes,
            name: &account.name,
            senders: texts(&account.senders),
            messages_per_hour: account.messages_per_hour,
            recipients_per_hour: account.recipients_per_hour,
        },
    )
}

fn write(flags: u8, form: &impl Serialize) -> postcard::Result<Vec<u8>> {
    postcard::to_extend(form, vec![flags])
}

impl<'a> Packed<'a> {
    /// Looks at a value; nothing is unpacked yet.
    pub fn new(value: &'a [u8]) -> Result<Self, Damaged> {
        let (flags, rest) = value.split_first().ok_or(Damaged)?;
        Ok(Self { flags: *flags, rest })
    }

    pub fn kind(self) -> Result<Kind, Damaged> {
        match self.flags & KIND_MASK {
            0 => Ok(Kind::Domain),
            1 => Ok(Kind::Account),
            2 => Ok(Kind::Alias),
            3 => Ok(Kind::Group),
            _ => Err(Damaged),
        }
    }

    pub fn is_disabled(self) -> bool {
        self.flags & DISABLED != 0
    }

    pub fn has_forwards(self) -> bool {
        self.flags & FORWARDS != 0
    }

    fn read<T: Deserialize<'a>>(self) -> Result<T, Damaged> {
        postcard::from_bytes(self.rest).map_err(|_| Damaged)
    }

    /// Targets of an alias, members of a group.
    pub fn members(self) -> Result<Vec<&'a str>, Damaged> {
        Ok(self.read::<ListForm<'a>>()?.members)
    }

    /// Where an account's mail goes on to, and how much of it may stay.
    pub fn forwarding(self) -> Result<Forwarding<'a>, Damaged> {
        type Front<'a> =
            (Vec<&'a str>, bool, Option<PackedHash<'a>>, Option<ScramForm<'a>>, Option<u64>);
        // They come first; the rest is left alone.
        let ((to, keep, _, _, quota_bytes), _) =
            postcard::take_from_bytes::<Front<'a>>(self.rest).map_err(|_| Damaged)?;
        Ok(Forwarding { to, keep, quota_bytes })
    }

    /// The domain called `name`.
    pub fn domain(self, name: &str) -> Result<LocalDomain, Damaged> {
        let form: DomainForm<'a> = self.read()?;
        Ok(LocalDomain {
            domain: name.into(),
            catch_all: form.catch_all.map(str::to_owned),
            separator: form.separator,
            messages_per_hour: form.messages_per_hour,
            recipients_per_hour: form.recipients_per_hour,
        })
    }

    /// The account with this address.
    pub fn account(self, address: String) -> Result<Account, Damaged> {
        let form: AccountForm<'a> = self.read()?;
        Ok(Account {
            address,
            hash: form.hash.map(|hash| hash.to_text()),
            scram: form.scram.map(|scram| ScramSecrets {
                iterations: scram.iterations,
                salt: scram.salt.into(),
                stored_key: scram.stored_key,
                server_key: scram.server_key,
            }),
            quota_bytes: form.quota_bytes,
            disabled: self.is_disabled(),
            name: form.name.into(),
            senders: owned(&form.senders),
            forward: owned(&form.forward),
            forward_keep: form.forward_keep,
            messages_per_hour: form.messages_per_hour,
            recipients_per_hour: form.recipients_per_hour,
        })
    }
}

/// The record under `key`.
pub(super) fn unpack(key: &[u8], value: &[u8]) -> Result<Record, Damaged> {
    let (domain, local) = name::split(key).ok_or(Damaged)?;
    let packed = Packed::new(value)?;
    let address = || shown(domain, local);
    Ok(match packed.kind()? {
        Kind::Domain => Record::Domain(packed.domain(domain)?),
        Kind::Account => Record::Account(packed.account(address()?)?),
        Kind::Alias => {
            Record::Alias(Alias { address: address()?, targets: owned(&packed.members()?) })
        }
        Kind::Group => {
            let form: ListForm<'_> = packed.read()?;
            let members = owned(&form.members);
            Record::Group(Group { address: address()?, members, name: form.name.into() })
        }
    })
}

/// How the address of a key is written.
fn shown(domain: &str, local: Option<&str>) -> Result<String, Damaged> {
    let local = local.ok_or(Damaged)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+".contains(&byte);
    let local: Cow<'_, str> = if !local.is_empty() && local.bytes().all(is_plain) {
        local.into()
    } else {
        // Rare: quotes, dots, UTF-8. The address knows.
        let host = proto::types::Host::parse(domain).map_err(|_| Damaged)?;
        return proto::types::Address::new(local, host)
            .map(|address| address.to_string())
            .map_err(|_| Damaged);
    };
    Ok(format!("{local}@{domain}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(record: Record) -> usize {
        let record = record.checked().unwrap();
        let value = pack(&record).unwrap();
        let (domain, local) = match record.name().rsplit_once('@') {
            Some((local, domain)) => (domain, Some(local.trim_matches('"'))),
            None => (record.name(), None),
        };
        let mut key = domain.as_bytes().to_vec();
        key.extend(local.into_iter().flat_map(|local| [&[0], local.as_bytes()].concat()));
        assert_eq!(unpack(&key, &value).unwrap(), record);
        value.len()
    }

    #[test]
    fn records_come_back_as_they_were() {
        round(Record::Domain(LocalDomain {
            catch_all: Some("All@x.example".into()),
            separator: None,
            messages_per_hour: Some(7),
            ..LocalDomain::new("x.example")
        }));
        round(Record::Account(Account {
            address: "\"a b\"@x.example".into(),
            hash: Some("{SSHA}AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into()),
            scram: Some(ScramSecrets {
                iterations: 4096,
                salt: [1; 16].into(),
                stored_key: [2; 32],
                server_key: [3; 32],
            }),
            quota_bytes: Some(1 << 40),
            disabled: true,
            name: "A B".into(),
            senders: vec!["@y.example".into()],
            forward: vec!["z@z.example".into()],
            forward_keep: true,
            messages_per_hour: Some(1),
            recipients_per_hour: Some(2),
        }));
        round(Record::Alias(Alias {
            address: "é.x@x.example".into(),
            targets: vec!["Y@y.example".into(), "z@[192.0.2.1]".into()],
        }));
        round(Record::Group(Group {
            address: "g@x.example".into(),
            members: Vec::new(),
            name: "G".into(),
        }));
    }

    #[test]
    fn an_argon2id_hash_is_kept_small() {
        let hash = "$argon2id$v=19$m=19456,t=2,p=1$MTIzNDU2Nzg5MDEyMzQ1Ng$\
                    MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE";
        let account = Account {
            address: "a@x.example".into(),
            hash: Some(hash.into()),
            ..Account::default()
        };
        assert!(round(Record::Account(account)) < 70);
    }

    #[test]
    fn damage_is_an_error() {
        for value in [&[][..], &[7], &[1, 255], &[2, 9, 1]] {
            assert!(unpack(b"x.example\0a", value).is_err());
        }
    }
}
