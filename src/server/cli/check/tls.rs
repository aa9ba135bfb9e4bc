//! `ringpost check tls`: which policy a domain gets, from which records, and what its hosts' TLS is worth.
//!
//! It asks the DNS and policy servers itself, as a running server would, and with `--connect` the hosts
//! too, up to STARTTLS and no further: nothing is sent.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use engine::tls::probe::{Probe, probe};
use mail::delivery::tls::{Explanation, HostPart, StsPart};
use proto::types::Domain;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::boot::{self, settings::Settings};
use crate::cli::{Failure, words, write_line};

/// For the whole dialogue with a host.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of a reply; more is nonsense.
const REPLY_BYTES_MAX: usize = 16 << 10;

/// What is told.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    told: Explanation,
    /// By host, when they were tried.
    tried: Vec<Tried>,
}

/// One host, tried.
#[derive(Serialize)]
struct Tried {
    host: String,
    address: Option<SocketAddr>,
    /// Why there is no more to tell.
    error: Option<String>,
    protocol: Option<String>,
    cipher: Option<String>,
    group: Option<String>,
    /// Why the certificate does not meet what is expected of it.
    fault: Option<String>,
    names: Vec<String>,
    issuer: Option<String>,
    /// Seconds since 1970.
    expires_s: Option<i64>,
}

pub(super) fn tls(
    settings: &Settings,
    domain: &str,
    connect: bool,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let parsed = Domain::parse(domain)
        .map_err(|error| Failure::Failed(format!("{}: {error}", words::clean(domain))))?;
    let (ca_file, hostname) = (settings.tls.ca_file.clone(), settings.hostname());
    let then = move |told: Explanation| {
        let (ca_file, hostname) = (ca_file.clone(), hostname.clone());
        async move {
            let mut tried = Vec::new();
            for host in told.hosts.iter().filter(|_| connect) {
                tried.push(try_host(host, &ca_file, &hostname).await);
            }
            Report { told, tried }
        }
    };
    let report = boot::explain_tls(settings, parsed.as_str(), then).map_err(Failure::Failed)?;
    if json { write_line(&report, out) } else { write_report(&report, out) }
}

async fn try_host(host: &HostPart, ca_file: &Path, hostname: &str) -> Tried {
    let address = host.addresses.first().copied();
    let tried = tokio::time::timeout(PATIENCE, shake_hands(host, address, ca_file, hostname)).await;
    let tried = tried.unwrap_or_else(|_| Err("no answer in time".to_owned()));
    let (probe, error) = match tried {
        Ok(probe) => (Some(probe), None),
        Err(error) => (None, Some(error)),
    };
    let certificate = probe.as_ref().and_then(|probe| probe.certificate.clone());
    Tried {
        host: host.host.clone(),
        address,
        error,
        protocol: probe.as_ref().map(|probe| probe.protocol.clone()),
        cipher: probe.as_ref().map(|probe| probe.cipher.clone()),
        group: probe.as_ref().map(|probe| probe.group.clone()),
        fault: probe.and_then(|probe| probe.fault),
        names: certificate.as_ref().map(|facts| facts.names.clone()).unwrap_or_default(),
        issuer: certificate.as_ref().map(|facts| facts.issuer.clone()),
        expires_s: certificate.map(|facts| facts.valid_s.1),
    }
}

async fn shake_hands(
    host: &HostPart,
    address: Option<SocketAddr>,
    ca_file: &Path,
    hostname: &str,
) -> Result<Probe, String> {
    let address = address.ok_or("it has no address")?;
    let expectation = host.expectation(ca_file).ok_or("TLS is not tried with it")?;
    let connected = TcpStream::connect(address).await;
    let mut stream = connected.map_err(|error| format!("cannot connect: {error}"))?;
    reply(&mut stream, "220").await?;
    say(&mut stream, &format!("EHLO {hostname}\r\n")).await?;
    let offers = reply(&mut stream, "250").await?;
    let is_starttls =
        |line: &str| line.get(4..).is_some_and(|it| it.eq_ignore_ascii_case("STARTTLS"));
    if !offers.lines().any(is_starttls) {
        return Err("it offers no STARTTLS".to_owned());
    }
    say(&mut stream, "STARTTLS\r\n").await?;
    reply(&mut stream, "220").await?;
    let (probe, mut stream) = probe(stream, &host.name, expectation).await?;
    // A farewell; that nobody hears it does no harm.
    let _ = stream.write_all(b"QUIT\r\n").await;
    let _ = stream.shutdown().await;
    Ok(probe)
}

async fn say(stream: &mut TcpStream, line: &str) -> Result<(), String> {
    stream.write_all(line.as_bytes()).await.map_err(|error| error.to_string())
}

/// A whole reply, which must have this code.
async fn reply(stream: &mut TcpStream, code: &str) -> Result<String, String> {
    let mut text = Vec::new();
    loop {
        let shown = String::from_utf8_lossy(&text).into_owned();
        let last = shown.strip_suffix("\r\n").and_then(|lines| lines.lines().last());
        if last.is_some_and(|line| line.as_bytes().get(3) != Some(&b'-')) {
            return match shown.starts_with(code) {
                true => Ok(shown),
                false => Err(format!("it says: {}", words::clean(shown.trim_end()))),
            };
        }
        let mut piece = [0; 1024];
        let read = stream.read(&mut piece).await.map_err(|error| error.to_string())?;
        if read == 0 || text.len() + read > REPLY_BYTES_MAX {
            return Err("it closed the connection".to_owned());
        }
        text.extend_from_slice(&piece[..read]);
    }
}

fn write_report(report: &Report, out: &mut dyn Write) -> Result<(), Failure> {
    let told = &report.told;
    writeln!(out, "Domain:   {}", words::clean(&told.domain))?;
    if let Some(nowhere) = &told.nowhere {
        return Ok(writeln!(out, "No host:  {}", words::clean(nowhere))?);
    }
    writeln!(out, "Setting:  tls = \"{}\"", told.level)?;
    let dane = if told.dane { "TLSA records count" } else { "not used" };
    writeln!(out, "DANE:     {dane}")?;
    write_sts(told.mta_sts.as_ref(), told.mta_sts_failure.as_deref(), out)?;
    let titles = ["HOST", "RANK", "SECURE", "TLSA", "A CONNECTION IS"];
    let mut table = words::table(&titles, &[1]);
    for host in &told.hosts {
        let secure = if host.secure { "yes" } else { "no" };
        let does = match &host.refused {
            Some(why) => format!("not made: {}", words::clean(why)),
            None => {
                host.tries.iter().map(|it| words::clean(it)).collect::<Vec<_>>().join("\nelse ")
            }
        };
        table.add_row(vec![
            words::clean(&host.host),
            host.preference.to_string(),
            secure.to_owned(),
            tlsa(host),
            does,
        ]);
    }
    writeln!(out, "\n{}", table.trim_fmt())?;
    if report.tried.is_empty() { Ok(()) } else { write_tried(&report.tried, out) }
}

fn tlsa(host: &HostPart) -> String {
    match host.tlsa.as_slice() {
        [] => "none".to_owned(),
        records => records.iter().map(|it| words::clean(it)).collect::<Vec<_>>().join("\n"),
    }
}

fn write_sts(
    policy: Option<&StsPart>,
    failure: Option<&str>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match policy {
        None => writeln!(out, "MTA-STS:  no policy")?,
        Some(policy) => {
            let expires = words::relative(policy.expires_s.saturating_mul(1000), words::now_ms());
            writeln!(out, "MTA-STS:  {} (id {}), expires {expires}", policy.mode, policy.id)?;
            writeln!(out, "          mx: {}", policy.mx.join(", "))?;
        }
    }
    if let Some(failure) = failure {
        writeln!(out, "          announced, but: {}", words::clean(failure))?;
    }
    Ok(())
}

fn write_tried(tried: &[Tried], out: &mut dyn Write) -> Result<(), Failure> {
    let mut table = words::table(&["HOST", "TLS", "CERTIFICATE", "EXPIRES", "VERDICT"], &[]);
    for tried in tried {
        let words_of = |parts: [&Option<String>; 3]| {
            parts.into_iter().flatten().map(|it| words::clean(it)).collect::<Vec<_>>().join(" ")
        };
        let verdict = match (&tried.error, &tried.fault) {
            (Some(error), _) => words::clean(error),
            (None, Some(fault)) => format!("not met: {}", words::clean(fault)),
            (None, None) => "good".to_owned(),
        };
        let expires = tried.expires_s.and_then(|at| u64::try_from(at).ok());
        table.add_row(vec![
            words::clean(&tried.host),
            words_of([&tried.protocol, &tried.cipher, &tried.group]),
            tried.names.iter().map(|it| words::clean(it)).collect::<Vec<_>>().join(", "),
            expires.map(|at| words::moment(at.saturating_mul(1000))).unwrap_or_default(),
            verdict,
        ]);
    }
    Ok(writeln!(out, "\n{}", table.trim_fmt())?)
}
