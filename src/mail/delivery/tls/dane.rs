//! DANE for mail hosts: where TLSA records are looked for, and what is made of them (RFC 7672 §2.2).
//!
//! What must stay true: only secure records count; a look-up that fails is no absence, and the host
//! is not used then (§2.1.1), so that nobody can talk us out of DANE by silence.

use std::rc::Rc;

use engine::{
    dns::{DnsError, HostAnswer, Resolver, Tlsa},
    tls::dane::is_usable,
};

use super::outcomes::{Basis, PolicyType};

/// The TLSA records of a host; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::delivery) struct Tlsas {
    /// The name they stand under: the TLSA base domain.
    pub base: Box<str>,
    pub port: u16,
    pub records: Vec<Tlsa>,
    /// What the server may call itself (§3.2.2): the base domain, and the host as the MX names it. The
    /// recipient's domain is left out, as connections are shared by the domains of a site.
    pub names: Vec<Box<str>>,
}

impl Tlsas {
    pub fn new(base: &str, host: &str, port: u16, records: Vec<Tlsa>) -> Self {
        let mut names: Vec<Box<str>> = vec![base.into()];
        if host != base {
            names.push(host.into());
        }
        Self { base: base.into(), port, records, names }
    }

    /// Whether any can authenticate the host.
    pub fn is_usable(&self) -> bool {
        self.records.iter().any(is_usable)
    }

    pub fn basis(&self) -> Basis {
        let strings: Rc<[String]> = self.records.iter().map(ToString::to_string).collect();
        Basis { kind: PolicyType::Tlsa, strings }
    }
}

/// The TLSA records of `host` (lower case, no final dot) for its `port`; `answer` is where it is. `None`:
/// DANE does not apply.
///
/// # Errors
/// Nobody could tell: the host is not to be used.
pub(in crate::delivery) async fn look_up(
    resolver: &Resolver,
    host: &str,
    port: u16,
    answer: &HostAnswer,
) -> Result<Option<Tlsas>, DnsError> {
    let bases: Vec<&str> = match &answer.alias_of {
        None if answer.security.is_secure() => vec![host],
        None => Vec::new(),
        // The end of the aliases first, then their beginning (§2.2.2).
        Some(end) if answer.security.is_secure() => vec![end, host],
        // Somewhere on the way it is insecure; the alias itself need not be.
        Some(_) if resolver.is_secure_alias(host).await? => vec![host],
        Some(_) => Vec::new(),
    };
    for base in bases {
        let records = resolver.tlsa(base, port).await?;
        if !records.is_empty() {
            return Ok(Some(Tlsas::new(base, host, port, records)));
        }
    }
    Ok(None)
}
