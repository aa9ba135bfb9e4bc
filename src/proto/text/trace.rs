//! The `Received` field that every accepted message gets (RFC 5321 §4.4).
//!
//! What the peer said (its HELO name, a reverse name, a TLS description) is cut and cleaned before
//! it goes in: no octet of it can end the line, open a comment or break one. The field is folded
//! at its clauses and every line stays under 998 octets.

use std::{io::Write as _, net::IpAddr};

use super::write_date;
use crate::types::{Address, Host, Timestamp};

/// What a `Received` field says.
#[derive(Clone, Debug)]
pub struct Trace<'a> {
    /// What the peer called itself.
    pub helo: &'a str,
    /// Where it connected from; `None` keeps it secret (RFC 6409 says nothing against that).
    pub peer: Option<IpAddr>,
    /// The peer's verified reverse name.
    pub peer_name: Option<&'a str>,
    /// Our own name.
    pub by: &'a str,
    /// The protocol: `SMTP`, `ESMTPS`, `LMTP`, `UTF8SMTP` … (RFC 3848, RFC 6531 §4.3).
    pub with: &'a str,
    /// Protocol and cipher of TLS, written as a comment.
    pub tls: Option<&'a str>,
    /// The queue's id.
    pub id: &'a str,
    /// The only recipient, when there is one; with several it would tell them of each other.
    pub for_: Option<&'a Address>,
    /// When the message was accepted.
    pub at: Timestamp,
}

/// A domain name is no longer (RFC 5321 §4.5.3.1.2).
const NAME_OCTETS_MAX: usize = 255;

/// Appends the folded field with its final CRLF; the date is in UTC.
pub fn write_received(trace: &Trace<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Received: from ");
    push_name(trace.helo, out);
    if let Some(peer) = trace.peer {
        push_peer(peer, trace.peer_name, out);
    }
    out.extend_from_slice(b"\r\n\tby ");
    push_name(trace.by, out);
    out.extend_from_slice(b" with ");
    push_name(trace.with, out);
    if let Some(tls) = trace.tls {
        out.extend_from_slice(b"\r\n\t(");
        push_clean(tls, true, out);
        out.push(b')');
    }
    out.extend_from_slice(b" id ");
    push_name(trace.id, out);
    match trace.for_.filter(|address| may_name(address, trace.with)) {
        // Writing to a Vec cannot fail.
        Some(address) => drop(write!(out, "\r\n\tfor <{address}>; ")),
        None => out.extend_from_slice(b";\r\n\t"),
    }
    write_date(trace.at, out);
    out.extend_from_slice(b"\r\n");
}

/// A UTF-8 address may stand in a header only when the message came by SMTPUTF8 (RFC 6531 §3.7.3).
fn may_name(address: &Address, with: &str) -> bool {
    !address.needs_utf8() || with.starts_with("UTF8")
}

/// Where it connected from (RFC 5321 §4.4, TCP-info).
fn push_peer(peer: IpAddr, name: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(b" (");
    if let Some(name) = name {
        push_name(name, out);
        out.push(b' ');
    }
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{})", Host::Literal(peer.to_canonical()));
}

fn push_name(name: &str, out: &mut Vec<u8>) {
    if name.is_empty() {
        out.extend_from_slice(b"unknown");
    } else {
        push_clean(name, false, out);
    }
}

/// Appends at most [`NAME_OCTETS_MAX`] octets of `text`; what could mean something in a
/// structured field becomes `?`.
fn push_clean(text: &str, blanks: bool, out: &mut Vec<u8>) {
    out.extend(text.bytes().take(NAME_OCTETS_MAX).map(|byte| match byte {
        b' ' if blanks => b' ',
        b'(' | b')' | b'<' | b'>' | b'"' | b'\\' | b';' | b',' => b'?',
        b'!'..=b'~' => byte,
        _ => b'?',
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(trace: &Trace<'_>) -> String {
        let mut out = Vec::new();
        write_received(trace, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn plain<'a>() -> Trace<'a> {
        Trace {
            helo: "client.example",
            peer: Some("192.0.2.7".parse().unwrap()),
            peer_name: None,
            by: "mx.example.org",
            with: "ESMTP",
            tls: None,
            id: "01J0ABCDEFGHK",
            for_: None,
            at: Timestamp(1_795_772_120_000),
        }
    }

    #[test]
    fn all_clauses_in_their_order() {
        let address = Address::parse("bob@example.net").unwrap();
        let trace = Trace {
            peer: Some("::ffff:192.0.2.7".parse().unwrap()),
            peer_name: Some("host.example"),
            with: "ESMTPS",
            tls: Some("TLSv1.3 TLS_AES_128_GCM_SHA256"),
            for_: Some(&address),
            ..plain()
        };
        assert_eq!(
            write(&trace),
            "Received: from client.example (host.example [192.0.2.7])\r\n\
             \tby mx.example.org with ESMTPS\r\n\
             \t(TLSv1.3 TLS_AES_128_GCM_SHA256) id 01J0ABCDEFGHK\r\n\
             \tfor <bob@example.net>; Fri, 27 Nov 2026 09:35:20 +0000\r\n"
        );
    }

    #[test]
    fn absent_clauses_leave_no_trace() {
        let trace = Trace { peer: Some("2001:db8::1".parse().unwrap()), ..plain() };
        assert_eq!(
            write(&trace),
            "Received: from client.example ([IPv6:2001:db8::1])\r\n\
             \tby mx.example.org with ESMTP id 01J0ABCDEFGHK;\r\n\
             \tFri, 27 Nov 2026 09:35:20 +0000\r\n"
        );
    }

    #[test]
    fn a_client_can_be_kept_secret() {
        let text = write(&Trace { helo: "mx.example", peer: None, ..plain() });
        assert!(text.starts_with("Received: from mx.example\r\n\tby "), "{text}");
    }

    #[test]
    fn a_peer_cannot_break_out() {
        let helo = format!("a)\r\nX-Evil: yes (\u{e9}{}", "x".repeat(2000));
        let text = write(&Trace { helo: &helo, tls: Some("a) (b\r\n"), ..plain() });
        assert_eq!(text.matches('\n').count(), 4);
        assert!(!text.contains("\nX-Evil"));
        assert!(text.lines().all(|line| line.len() < 998));
        assert!(write(&Trace { helo: "", ..plain() }).starts_with("Received: from unknown ("));
    }

    #[test]
    fn utf8_recipients_are_named_only_to_utf8_readers() {
        let address = Address::parse("é@example.net").unwrap();
        let trace = Trace { for_: Some(&address), ..plain() };
        assert!(!write(&trace).contains("for <"));
        let trace = Trace { with: "UTF8SMTP", ..trace };
        assert!(write(&trace).contains("for <é@example.net>;"));
    }
}
