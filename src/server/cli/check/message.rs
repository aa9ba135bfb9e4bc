//! `ringpost check message`: what the checks of incoming mail say of a message in a file.
//!
//! What must stay true: without a client's address nothing is told of SPF and of the client's name, for
//! nobody asked; a file with LF alone is read as the message that it was when it was sent.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;
use mail::authentication::checks::{Arc, Dkim, Dmarc, Iprev, Report, Spf, Subject};
use serde::Serialize;

use super::{authenticator, sender};
use crate::boot::{on_a_shard, settings::Settings};
use crate::cli::arguments::ClientArgs;
use crate::cli::{Failure, words, write_line};

/// More is no message that anybody takes.
const MESSAGE_BYTES_MAX: u64 = 512 << 20;
/// Stands for the client that nobody named.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What is told.
#[derive(Serialize)]
struct Told {
    /// The field, unfolded.
    authentication_results: String,
    /// With a client only.
    iprev: Option<Iprev>,
    /// With a client only.
    spf: Option<Spf>,
    dkim: Vec<Dkim>,
    arc: Arc,
    dmarc: Dmarc,
}

pub(super) fn message(
    settings: &Settings,
    file: &Path,
    client: Option<&ClientArgs>,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let named = |error: io::Error| {
        Failure::Failed(format!("{}: {error}", words::clean(&file.display().to_string())))
    };
    let message = as_sent(read(file).map_err(named)?);
    if message.is_empty() {
        return Err(Failure::Failed("there is no message".to_owned()));
    }
    let sender = client.map(sender).transpose()?.flatten();
    let (ip, helo) = client.map_or((NOBODY, ""), |client| (client.ip, client.helo.as_str()));
    let (settings, helo, message) = (settings.clone(), helo.to_owned(), Bytes::from(message));
    let hostname = settings.hostname();
    let host = hostname.clone();
    let report = on_a_shard(settings.server.io, async move |_| {
        let authenticator = authenticator(&settings)?;
        let subject = Subject {
            client: ip,
            helo: helo.as_str().into(),
            sender: sender.clone(),
            message: message.clone(),
            hostname: Rc::from(host.as_str()),
        };
        Ok(authenticator.check(subject).await)
    });
    let report = report.and_then(|report| report).map_err(Failure::Failed)?;
    let field = field(&report, &hostname, client.is_some());
    if json {
        let Report { iprev, spf, dkim, arc, dmarc } = report;
        let (iprev, spf) = (client.map(|_| iprev), client.map(|_| spf));
        let authentication_results = field.replace("\r\n", "").replace('\t', " ");
        return write_line(&Told { authentication_results, iprev, spf, dkim, arc, dmarc }, out);
    }
    Ok(writeln!(out, "{}", words::clean_lines(&field.replace("\r\n", "\n").replace('\t', "    ")))?)
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut source: Box<dyn Read> = match file.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(File::open(file)?),
    };
    let mut message = Vec::new();
    let read = source.by_ref().take(MESSAGE_BYTES_MAX + 1).read_to_end(&mut message)?;
    if read as u64 > MESSAGE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too big for a message"));
    }
    Ok(message)
}

/// The message with the line ends it had on its way; the separator line of an mbox is not part of it.
fn as_sent(mut message: Vec<u8>) -> Vec<u8> {
    if message.starts_with(b"From ") {
        let end = message.iter().position(|byte| *byte == b'\n').map_or(message.len(), |at| at + 1);
        message.drain(..end);
    }
    if message.windows(2).any(|pair| pair == b"\r\n") {
        return message;
    }
    let mut sent = Vec::with_capacity(message.len() + message.len() / 32);
    for byte in message {
        if byte == b'\n' {
            sent.push(b'\r');
        }
        sent.push(byte);
    }
    sent
}

/// The Authentication-Results field, less its last line end.
fn field(report: &Report, hostname: &str, has_client: bool) -> String {
    let mut field = Vec::new();
    report.write_fields(hostname, false, &mut field);
    let field = String::from_utf8_lossy(&field);
    let field = field.trim_end();
    if has_client {
        return field.to_owned();
    }
    // Each result begins on a line of its own.
    let is_asked = |result: &&str| !result.starts_with("spf=") && !result.starts_with("iprev=");
    let results: Vec<&str> = field.split(";\r\n\t").filter(is_asked).collect();
    results.join(";\r\n\t").replace(&format!(" smtp.remote-ip={NOBODY}"), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_they_were_sent() {
        for (file, sent) in [
            ("A: b\n\nc\n", "A: b\r\n\r\nc\r\n"),
            ("A: b\r\n\r\nc\nd\r\n", "A: b\r\n\r\nc\nd\r\n"),
            ("From x@y.test Mon\nA: b\n\n", "A: b\r\n\r\n"),
            ("From: b\n\n", "From: b\r\n\r\n"),
            ("From x", ""),
        ] {
            assert_eq!(as_sent(file.as_bytes().to_vec()), sent.as_bytes(), "{file:?}");
        }
    }
}
