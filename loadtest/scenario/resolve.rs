//! From what was said to what is done: defaults, and what does not fit together.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use rustls::pki_types::PrivatePkcs8KeyDer;

use super::{SinkOptions, SourceOptions};
use crate::{
    message::{Domains, Framing, Mailing, Spread, Template, bodies, corpus},
    sink::{Hop, Inbox, Zone},
    source::{Limit, Load, Login, Plan, Security},
    wire,
};

/// Octets of a message when nothing is said.
const SIZE: u64 = 5 << 10;

/// The load that was asked for.
///
/// # Errors
/// A file cannot be read, or options do not fit together.
pub fn load(options: &SourceOptions, to: SocketAddr, run: &str, seed: u64) -> Result<Load, String> {
    let framing = if options.bdat == Some(true) { Framing::Chunk } else { Framing::Data };
    let mailing = Mailing {
        run: run.to_owned(),
        seed,
        templates: templates(options, seed, framing)?,
        recipients: options.recipients.clone().unwrap_or(Spread::Fixed(1)),
        domains: Domains::new(domain_names(options)?, options.zipf)?,
    };
    let messages = options.messages.or(options.duration.map(|_| u64::MAX)).unwrap_or(1000);
    let ramp = options.ramp.unwrap_or_default();
    Ok(Load {
        to,
        connections: options.connections.unwrap_or(20),
        idle_connections: options.idle_connections.unwrap_or(0),
        per_connection: options.messages_per_connection.unwrap_or(u64::MAX).max(1),
        limit: Limit { messages, duration: options.duration },
        plan: plan(options, ramp)?,
        ramp,
        mailing: Arc::new(mailing),
        framing,
        pipelining: options.pipelining.unwrap_or(true),
        lmtp: options.lmtp.unwrap_or(false),
        security: options.tls.unwrap_or(Security::None),
        resume: options.tls_resume.unwrap_or(true),
        login: options.auth.as_deref().map(login).transpose()?,
        proxy: options.proxy,
        patience: options.patience.unwrap_or(Duration::from_secs(60)),
        failures_max: 10,
        failure_pause: Duration::from_millis(100),
    })
}

/// Each message is signed once, here.
fn templates(
    options: &SourceOptions,
    seed: u64,
    framing: Framing,
) -> Result<Vec<Template>, String> {
    let dkim = options.dkim.unwrap_or_default();
    let ready = |message| Ok(Template::new(&dkim.sign(message)?, framing));
    match &options.corpus {
        Some(folder) => {
            let messages = corpus(folder).map_err(|error| format!("--corpus: {error}"))?;
            messages.into_iter().map(ready).collect()
        }
        None => {
            let sizes = options.size.as_ref().unwrap_or(&Spread::Fixed(SIZE));
            bodies(sizes, seed).map(ready).collect()
        }
    }
}

fn plan(options: &SourceOptions, ramp: Duration) -> Result<Option<Plan>, String> {
    let Some(rate_per_s) = options.rate else {
        return match options.arrivals {
            Some(_) => Err("--arrivals is for an open loop: say --rate, too".to_owned()),
            None => Ok(None),
        };
    };
    if !(rate_per_s > 0.0 && rate_per_s <= 10_000_000.0) {
        return Err(format!("--rate {rate_per_s}: messages a second, above 0"));
    }
    Ok(Some(Plan { rate_per_s, arrivals: options.arrivals.unwrap_or_default(), ramp }))
}

fn login(text: &str) -> Result<Login, String> {
    let (user, password) = text.split_once(':').ok_or("--auth: say USER:PASSWORD")?;
    Ok(Login { user: user.to_owned(), password: password.to_owned() })
}

fn domain_names(options: &SourceOptions) -> Result<Vec<String>, String> {
    let domain = options.domain.as_deref().unwrap_or("sink.test");
    match (&options.domain_list, options.domains) {
        (Some(path), _) => read_domains(path),
        (None, Some(count)) => {
            let zone =
                Zone { domain: domain.to_owned(), sites: count, first: Ipv4Addr::UNSPECIFIED };
            Ok((0..count).map(|site| zone.name(site)).collect())
        }
        (None, None) => Ok(vec![domain.to_owned()]),
    }
}

fn read_domains(path: &Path) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = text.lines().map(str::trim);
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}

/// The next hop that was asked for: one site at `at`, or many on its port.
///
/// # Errors
/// The certificate could not be made, or a share is none.
pub fn hop(
    options: &SinkOptions,
    at: SocketAddr,
    domain: Option<&str>,
    inbox: Arc<dyn Inbox>,
    seed: u64,
) -> Result<Hop, String> {
    let rules = options.rules();
    let tls = if options.sink_tls == Some(true) { Some(certificate()?) } else { None };
    let Some(sites) = options.sites else {
        return Ok(Hop { sites: vec![(at, rules)], inbox, tls, dns: None, seed });
    };
    let share = options.bad_share.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&share) {
        return Err(format!("--bad-share {share}: a share is 0 to 1"));
    }
    let first = options.first_site.unwrap_or(Ipv4Addr::new(127, 16, 0, 1));
    let zone = Zone { domain: domain.unwrap_or("sites.test").to_owned(), sites, first };
    // Which sites are bad follows from the seed, so that popular ones are among them as often as others.
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let listen = (0..sites).map(|site| {
        let manners = if random.random_bool(share) { rules.clone() } else { rules.made_kind() };
        (SocketAddr::from((zone.address(site), at.port())), manners)
    });
    let dns = options.dns.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 5300)));
    Ok(Hop { sites: listen.collect(), inbox, tls, dns: Some((dns, zone)), seed })
}

fn certificate() -> Result<Arc<rustls::ServerConfig>, String> {
    let made = rcgen::generate_simple_self_signed(vec!["sink.test".to_owned()])
        .map_err(|error| error.to_string())?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    wire::server_config(made.cert.der().clone(), key.into()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(options: SourceOptions) -> Result<Load, String> {
        load(&options, "127.0.0.1:25".parse().unwrap(), "t", 1)
    }

    #[test]
    fn defaults_are_those_of_the_help() {
        let load = made(SourceOptions::default()).unwrap();
        assert_eq!((load.connections, load.limit.messages), (20, 1000));
        assert!(load.plan.is_none() && load.pipelining && load.framing == Framing::Data);
    }

    #[test]
    fn what_does_not_fit_together_is_said() {
        let arrivals = SourceOptions { arrivals: Some(Default::default()), ..Default::default() };
        assert!(made(arrivals).unwrap_err().contains("--rate"));
        assert!(made(SourceOptions { rate: Some(0.0), ..Default::default() }).is_err());
        assert!(made(SourceOptions { auth: Some("x".into()), ..Default::default() }).is_err());
        assert!(made(SourceOptions { zipf: Some(-1.0), ..Default::default() }).is_err());
    }

    #[test]
    fn some_sites_are_bad_and_the_same_ones_every_time() {
        let options = SinkOptions {
            sites: Some(1000),
            bad_share: Some(0.1),
            fail: vec!["rcpt:450".parse().unwrap()],
            ..Default::default()
        };
        let bad = |seed| {
            let inbox: Arc<dyn Inbox> = Arc::new(|_: &crate::sink::Delivery<'_>| {});
            let hop = hop(&options, "127.0.0.1:2626".parse().unwrap(), None, inbox, seed).unwrap();
            let bad = hop.sites.iter().filter(|(_, rules)| !rules.fail.is_empty());
            bad.map(|(address, _)| *address).collect::<Vec<_>>()
        };
        assert!(bad(1).len().abs_diff(100) < 40);
        assert_eq!(bad(1), bad(1));
        assert_ne!(bad(1), bad(2));
    }
}
