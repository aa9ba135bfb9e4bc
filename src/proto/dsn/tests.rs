//! Reports are taken apart again: parts, fields and what must never be in them.

use super::*;
use crate::types::{BodyKind, Notify, Ret};

const ORIGINAL: &[u8] = b"From: <a@x.example>\r\nSubject: hi\r\n\r\nbody =_NEW.0 and more\r\n";

fn recipient(address: &str, orcpt: Option<&str>) -> Recipient {
    Recipient {
        address: Address::parse(address).unwrap(),
        notify: Some(Notify::default()),
        orcpt: orcpt.map(Into::into),
    }
}

fn envelope(ret: Option<Ret>) -> Envelope {
    Envelope {
        sender: Some(Address::parse("a@x.example").unwrap()),
        recipients: vec![recipient("b@y.example", Some("rfc822;b+2Blist@z.example"))],
        body: BodyKind::SevenBit,
        smtputf8: false,
        ret,
        envid: Some("QQ+2B1".into()),
        arrived: Timestamp(951_782_400_000),
        size: ORIGINAL.len() as u64,
        origin: "test".into(),
        require_tls: false,
        hold_until: None,
        authenticity: None,
    }
}

fn report(envelope: &Envelope, kind: Kind, reply: &Reply, original: &[u8]) -> String {
    let entries: Vec<Entry<'_>> = envelope
        .recipients
        .iter()
        .map(|recipient| Entry {
            recipient,
            remote_mta: Some("mx.y.example"),
            status: Enhanced(5, 1, 1),
            diagnostic: Some(reply),
            last_attempt: Timestamp(951_782_400_000),
            will_retry_until: None,
        })
        .collect();
    let report = Report {
        kind,
        reporting_mta: "me.example",
        to: envelope.sender.as_ref().unwrap(),
        envelope,
        id: "OLD",
        new_id: "NEW",
        at: Timestamp(951_782_400_000),
        recipients: &entries,
        original,
    };
    let mut out = Vec::new();
    write(&report, 1000, &mut out);
    for line in out.split_inclusive(|octet| *octet == b'\n') {
        assert!(line.ends_with(b"\r\n") && line.len() <= 1000, "{}", line.escape_ascii());
    }
    String::from_utf8(out).unwrap()
}

/// The parts between boundaries, the epilogue left out.
fn parts(report: &str) -> Vec<&str> {
    let boundary = report.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap();
    let (_, body) = report.split_once("\r\n\r\n").unwrap();
    let delimiter = format!("--{boundary}");
    let mut parts: Vec<&str> = body.split(delimiter.as_str()).collect();
    assert_eq!(parts.pop(), Some("--\r\n"));
    parts.remove(0);
    parts
}

fn refused() -> Reply {
    Reply::new(550, Enhanced(5, 1, 1), "no such user")
}

#[test]
fn a_failure_has_words_fields_and_the_original() {
    let text = report(&envelope(None), Kind::Failed, &refused(), ORIGINAL);
    assert!(text.starts_with("From: Mail Delivery System <mailer-daemon@me.example>\r\nTo: <a@x"));
    assert!(text.contains("\r\nAuto-Submitted: auto-replied\r\n"));
    let parts = parts(&text);
    assert_eq!(parts.len(), 3);
    assert!(parts[0].contains("<b@y.example>\r\n    mx.y.example said: 550 5.1.1 no such user"));
    for field in [
        "Content-Type: message/delivery-status\r\n",
        "Reporting-MTA: dns; me.example\r\nOriginal-Envelope-Id: QQ+1\r\n",
        "Arrival-Date: Tue, 29 Feb 2000 00:00:00 +0000\r\n",
        "Original-Recipient: rfc822; b+list@z.example\r\nFinal-Recipient: rfc822; b@y.example\r\n",
        "Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.y.example\r\n",
        "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n",
    ] {
        assert!(parts[1].contains(field), "{field}\nin\n{}", parts[1]);
    }
    assert!(parts[2].contains("message/rfc822"));
    assert!(parts[2].contains(std::str::from_utf8(ORIGINAL).unwrap()));
}

#[test]
fn the_boundary_is_not_in_the_original() {
    let text = report(&envelope(None), Kind::Failed, &refused(), ORIGINAL);
    assert!(text.contains("boundary=\"=_NEW.1\""));
}

#[test]
fn only_the_header_when_asked_or_too_large_or_no_failure() {
    let large = [ORIGINAL, &b"line\r\n".repeat(1000)].concat();
    let until = Timestamp(951_782_500_000);
    for (ret, kind, original) in [
        (Some(Ret::Headers), Kind::Failed, ORIGINAL),
        (Some(Ret::Full), Kind::Delayed { until }, ORIGINAL),
        (None, Kind::Failed, &large[..]),
    ] {
        let text = report(&envelope(ret), kind, &refused(), original);
        let last = parts(&text)[2];
        assert!(last.contains("text/rfc822-headers"), "{last}");
        assert!(last.contains("Subject: hi\r\n") && !last.contains("body"), "{last}");
    }
}

#[test]
fn utf8_addresses_take_the_global_types() {
    let mut envelope = envelope(None);
    envelope.recipients = vec![recipient("用户@y.example", None)];
    let text = report(&envelope, Kind::Failed, &refused(), ORIGINAL);
    let parts = parts(&text);
    assert!(parts[1].contains("message/global-delivery-status"));
    assert!(parts[1].contains("Final-Recipient: utf-8; 用户@y.example"));
    assert!(parts[2].contains("message/global\r\n"));
}

#[test]
fn what_a_peer_says_adds_no_line_and_no_octet() {
    let evil = Reply::made(550, Enhanced(5, 0, 0), format!("a\r\nX-Evil: ü {}", "x".repeat(5000)));
    let mut envelope = envelope(None);
    envelope.envid = Some("a+0D+0AX-Evil:".into());
    envelope.recipients = vec![recipient("b@y.example", Some("rfc822;a+0D+0AX-Evil:+20b"))];
    let text = report(&envelope, Kind::Failed, &evil, ORIGINAL);
    assert!(text.is_ascii());
    assert!(!text.contains("\r\nX-Evil"), "{text}");
}
