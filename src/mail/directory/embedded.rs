//! Look-ups in the embedded store: in memory, at once.

use proto::types::{Address, Domain};

use super::error::Down;
use super::name;
use super::packed::{Damaged, Packed};
use super::record::{Account, Kind};
use super::store::{Shared, Upgrade};
use super::writer::Writer;
use super::{Directory, DomainEntry, Entry, Soon};

/// The embedded directory as shards see it.
#[derive(Debug)]
pub struct Embedded {
    shared: Shared,
    /// Takes better hashes; none where nothing is written.
    writer: Option<Writer>,
}

impl Embedded {
    /// Answers from what `shared` shows.
    #[must_use]
    pub const fn new(shared: Shared, writer: Option<Writer>) -> Self {
        Self { shared, writer }
    }

    fn find_domain(&self, domain: &Domain) -> Result<Option<DomainEntry>, Down> {
        let view = self.shared.view();
        let Some(value) = view.get(domain.as_str().as_bytes()) else { return Ok(None) };
        let found = Packed::new(value)?.domain("")?;
        Ok(Some(DomainEntry {
            catch_all: found.catch_all.as_deref().map(parsed).transpose()?,
            separator: found.separator,
            messages_per_hour: found.messages_per_hour,
            recipients_per_hour: found.recipients_per_hour,
        }))
    }

    fn find_entry(&self, domain: &Domain, local: &str) -> Result<Option<Entry>, Down> {
        let view = self.shared.view();
        let Some(value) = view.get(&name::address_key(domain, local)) else { return Ok(None) };
        let packed = Packed::new(value)?;
        Ok(Some(match packed.kind()? {
            Kind::Domain => return Err(Damaged.into()),
            Kind::Account if packed.is_disabled() => Entry::Disabled,
            Kind::Account if packed.has_forwards() => {
                let forwarding = packed.forwarding()?;
                let (to, quota_bytes) = (all_parsed(&forwarding.to)?, forwarding.quota_bytes);
                Entry::Forward { to, keep: forwarding.keep, quota_bytes }
            }
            Kind::Account => Entry::Mailbox { quota_bytes: packed.forwarding()?.quota_bytes },
            Kind::Alias | Kind::Group => Entry::List(all_parsed(&packed.members()?)?),
        }))
    }

    fn find_account(&self, domain: &Domain, local: &str) -> Result<Option<Account>, Down> {
        let view = self.shared.view();
        let Some(value) = view.get(&name::address_key(domain, local)) else { return Ok(None) };
        let packed = Packed::new(value)?;
        if packed.kind()? != Kind::Account {
            return Ok(None);
        }
        Ok(Some(packed.account(String::new())?))
    }
}

/// Addresses in records were checked when they came in.
fn parsed(text: &str) -> Result<Address, Damaged> {
    Address::parse(text).map_err(|_| Damaged)
}

fn all_parsed(texts: &[&str]) -> Result<Vec<Address>, Damaged> {
    texts.iter().map(|text| parsed(text)).collect()
}

impl Directory for Embedded {
    fn domain<'a>(&'a self, domain: &'a Domain) -> Soon<'a, Result<Option<DomainEntry>, Down>> {
        Soon::now(self.find_domain(domain))
    }

    fn entry<'a>(
        &'a self,
        domain: &'a Domain,
        local: &'a str,
    ) -> Soon<'a, Result<Option<Entry>, Down>> {
        Soon::now(self.find_entry(domain, local))
    }

    fn account<'a>(
        &'a self,
        domain: &'a Domain,
        local: &'a str,
    ) -> Soon<'a, Result<Option<Account>, Down>> {
        Soon::now(self.find_account(domain, local))
    }

    fn upgrade(&self, upgrade: Upgrade) {
        if let Some(writer) = &self.writer {
            writer.upgrade(upgrade);
        }
    }
}
