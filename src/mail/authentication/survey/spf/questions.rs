//! The questions of a walk, each within its bounds, and the names that they are about.

use std::net::IpAddr;

use engine::dns::DnsError;
use mail_auth::spf::{Macro, Variables};

use super::terms;
use super::walk::{End, Walk};
use super::{LOOKUPS_MAX, VOID_LOOKUPS_MAX};

/// Questions in one walk, whatever records say.
const QUESTIONS_MAX: u32 = 150;
/// Look-ups that are counted; more are as bad.
const COUNTED_MAX: u32 = 50;
/// Mail exchangers, or names of a client, that are looked at (RFC 7208 §4.6.4).
const NAMES_MAX: usize = 10;

impl Walk<'_> {
    /// The one SPF record of `domain`.
    pub(super) async fn read(&mut self, domain: &str) -> Result<String, End> {
        self.ask()?;
        let texts = match self.resolver.txt(domain).await {
            Ok(texts) => texts,
            Err(DnsError::NoName | DnsError::NoRecords) => Vec::new(),
            Err(error) => return Err(End::Temporary(error.to_string())),
        };
        let mut records = texts.into_iter().filter(|text| terms::is_spf(text));
        match (records.next(), records.next()) {
            (Some(record), None) => Ok(record),
            (None, _) => Err(End::NoRecord(domain.to_owned())),
            (Some(_), Some(_)) => {
                Err(End::Permanent(format!("{domain} has more than one SPF record")))
            }
        }
    }

    pub(super) async fn exchangers(
        &mut self,
        at: &str,
        ip4_mask: u32,
        ip6_mask: u128,
    ) -> Result<bool, End> {
        self.ask()?;
        let exchangers = match self.resolver.mx(at).await {
            Ok(exchangers) => exchangers,
            Err(error) => return self.nothing(at, error).map(|()| false),
        };
        for (index, exchanger) in exchangers.iter().enumerate() {
            if index == NAMES_MAX {
                let why = format!("mx of {at}: it has more than {NAMES_MAX} mail exchangers");
                return Err(End::Permanent(why));
            }
            let found = self.look_up(&exchanger.host, false).await?;
            if found.iter().any(|it| self.is_client(*it, ip4_mask, ip6_mask)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Addresses of the client's kind; of any kind when there is none; IPv4 for `exists`.
    pub(super) async fn look_up(&mut self, host: &str, only_v4: bool) -> Result<Vec<IpAddr>, End> {
        self.ask()?;
        let client = self.asking.map(|asking| asking.client.to_canonical());
        let v4 = only_v4 || client.is_none_or(|client| client.is_ipv4());
        let v6 = !only_v4 && client.is_none_or(|client| client.is_ipv6());
        match self.resolver.addresses(host, v4, v6).await {
            Ok(addresses) => Ok(addresses),
            Err(error) => self.nothing(host, error).map(|()| Vec::new()),
        }
    }

    /// A look-up for nothing; too many of them end it all.
    pub(super) fn nothing(&mut self, name: &str, error: DnsError) -> Result<(), End> {
        if !matches!(error, DnsError::NoName | DnsError::NoRecords) {
            return Err(End::Temporary(error.to_string()));
        }
        self.void_lookups.push(name.trim_end_matches('.').to_owned());
        if self.asking.is_some() && self.void_lookups.len() > VOID_LOOKUPS_MAX {
            let names = self.void_lookups.join(", ");
            let why = format!("more than {VOID_LOOKUPS_MAX} look-ups find nothing: {names}");
            return Err(End::Permanent(why));
        }
        Ok(())
    }

    /// One of the look-ups that count.
    pub(super) fn spend(&mut self) -> Result<(), End> {
        let most = if self.asking.is_some() { LOOKUPS_MAX } else { COUNTED_MAX };
        if self.lookups == most {
            return Err(End::Permanent(format!("more than {most} look-ups are needed")));
        }
        self.lookups += 1;
        Ok(())
    }

    pub(super) fn ask(&mut self) -> Result<(), End> {
        self.questions += 1;
        if self.questions > QUESTIONS_MAX {
            return Err(End::Permanent(format!("more than {QUESTIONS_MAX} questions are needed")));
        }
        Ok(())
    }

    pub(super) fn is_client(&self, address: IpAddr, ip4_mask: u32, ip6_mask: u128) -> bool {
        let client = self.asking.map(|asking| asking.client.to_canonical());
        match (client, address) {
            (Some(IpAddr::V4(client)), IpAddr::V4(address)) => {
                client.to_bits() & ip4_mask == address.to_bits() & ip4_mask
            }
            (Some(IpAddr::V6(client)), IpAddr::V6(address)) => {
                client.to_bits() & ip6_mask == address.to_bits() & ip6_mask
            }
            _ => false,
        }
    }

    /// The name that a term means; `None` when it depends on the sender, and there is none.
    pub(super) async fn expand(&mut self, name: &Macro, domain: &str) -> Option<String> {
        let Some(asking) = self.asking else {
            return match name {
                Macro::Literal(_) | Macro::None => {
                    let variables = Variables::new();
                    Some(name.eval(&variables, domain, false).into_owned())
                }
                Macro::Variable { .. } | Macro::List(_) => None,
            };
        };
        let names = if name.needs_ptr() { self.client_names().await } else { Vec::new() };
        let mut variables = Variables::new();
        variables.set_ip(&asking.client.to_canonical());
        let sender = match asking.sender.as_deref() {
            Some(sender) if sender.contains('@') => sender.to_owned(),
            _ => format!("postmaster@{}", asking.helo),
        };
        variables.set_sender(sender.into_bytes());
        variables.set_domain(domain.as_bytes());
        variables.set_host_domain(asking.hostname.as_bytes());
        variables.set_helo_domain(asking.helo.as_bytes());
        let validated = names.first().map_or("unknown", |name| name.as_str());
        variables.set_validated_domain(validated.as_bytes());
        let name = name.eval(&variables, domain, false);
        Some(name.trim_end_matches('.').to_owned())
    }

    /// The client's names that lead back to it (RFC 7208 §5.5); failures are no names.
    pub(super) async fn client_names(&mut self) -> Vec<String> {
        let Some(asking) = self.asking else { return Vec::new() };
        let client = asking.client.to_canonical();
        let mut confirmed = Vec::new();
        if self.ask().is_err() {
            return confirmed;
        }
        for name in self.resolver.ptr(client).await.unwrap_or_default().iter().take(NAMES_MAX) {
            let found = self.resolver.addresses(name, client.is_ipv4(), client.is_ipv6()).await;
            if self.ask().is_ok() && found.is_ok_and(|found| found.contains(&client)) {
                confirmed.push(name.clone());
            }
        }
        confirmed
    }
}
