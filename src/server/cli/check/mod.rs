//! `ringpost check tls|spf|message|domain`: what would happen, found out without a running server.
//!
//! What must stay true: nothing is sent and nothing is kept; what was found is a result, whatever it is:
//! the exit code is 0 when there is an answer. `spf`, `message` and `domain` need no settings file: without
//! one the system's resolver is asked; one that is named or has a mistake is a reason to stop.

mod domain;
mod message;
mod spf;
mod tls;

use std::io::{ErrorKind, Write};

use engine::dns;
use mail::authentication::checks::Authenticator;
use proto::types::Address;

use super::arguments::{Arguments, CheckVerb, ClientArgs, DnsArgs};
use super::{CONFIG_VARIABLE, Failure, config_path, of_boot, variable, words};
use crate::boot::settings::{self, Settings};

pub(super) fn act(
    arguments: &Arguments,
    verb: &CheckVerb,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let json = arguments.json;
    match verb {
        CheckVerb::Tls { domain, connect } => {
            let settings = settings::load(&config_path(arguments)).map_err(of_boot)?;
            tls::tls(&settings, domain, *connect, json, out)
        }
        CheckVerb::Spf { client, dns } => spf::spf(&settings(arguments, dns)?, client, json, out),
        CheckVerb::Message { file, client, dns } => {
            let client = client.client();
            message::message(&settings(arguments, dns)?, file, client.as_ref(), json, out)
        }
        CheckVerb::Domain { domain, selector, dns } => {
            domain::domain(settings(arguments, dns)?, domain, selector, json, out)
        }
    }
}

/// Those of the file, if there is one that we may read, with the name server that was given.
fn settings(arguments: &Arguments, dns: &DnsArgs) -> Result<Settings, Failure> {
    let path = config_path(arguments);
    let is_named = arguments.config.is_some() || variable(CONFIG_VARIABLE).is_some();
    let is_absent = || {
        let kind = std::fs::File::open(&path).err().map(|error| error.kind());
        matches!(kind, Some(ErrorKind::NotFound | ErrorKind::PermissionDenied))
    };
    let mut settings = match !is_named && is_absent() {
        true => Settings::default(),
        false => settings::load(&path).map_err(of_boot)?,
    };
    if let Some(server) = dns.dns {
        settings.dns.nameservers = vec![server];
        // Its word on signatures was not what the settings trust.
        if settings.dns.dnssec == dns::Dnssec::TrustAd {
            settings.dns.dnssec = dns::Dnssec::Off;
        }
    }
    Ok(settings)
}

/// The checks as the settings have them.
fn authenticator(settings: &Settings) -> Result<Authenticator, String> {
    Authenticator::new(&settings.authentication, &settings.dns).map_err(|error| error.to_string())
}

/// The sender that was given; `None` is the null sender.
fn sender(client: &ClientArgs) -> Result<Option<Address>, Failure> {
    let text = client.mail_from.trim();
    let text = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |error| Failure::Failed(format!("--mail-from {}: {error}", words::clean(text)));
    Address::parse(text).map(Some).map_err(wrong)
}
