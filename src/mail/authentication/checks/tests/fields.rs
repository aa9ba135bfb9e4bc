//! The fields: what they look like, and that no stranger's text breaks out of them.

use proptest::prelude::*;
use proto::types::AuthResult;

use super::super::{Arc, Dkim, Dmarc, Iprev, Spf, SpfResult, forged_fields};
use super::*;

fn report(text: &str, result: AuthResult) -> Report {
    let spf =
        || SpfResult { result, domain: text.into(), explanation: text.into(), reason: text.into() };
    Report {
        iprev: Iprev { result, client: ip("2001:db8::1"), name: text.into() },
        spf: Spf { helo: spf(), mail_from: Some(spf()), sender: text.into() },
        dkim: vec![
            Dkim {
                result,
                domain: text.into(),
                selector: text.into(),
                identity: text.into(),
                algorithm: "rsa-sha256",
                signature: text.into(),
                reason: text.into(),
            };
            3
        ],
        arc: Arc { result, chain_length: 1, sealer: text.into(), reason: text.into() },
        dmarc: Dmarc {
            result,
            author_domain: text.into(),
            reason: text.into(),
            ..Dmarc::default()
        },
    }
}

fn written(report: &Report) -> String {
    let mut out = Vec::new();
    report.write_fields(HOSTNAME, true, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn they_look_as_the_rfcs_say() {
    let mut report = report("", AuthResult::None);
    report.iprev.name = "h.test".into();
    report.spf.sender = "joe@a.test".into();
    report.spf.mail_from.as_mut().unwrap().result = AuthResult::Pass;
    report.spf.helo.domain = "[192.0.2.1]".into();
    report.dkim.truncate(1);
    report.dkim[0].result = AuthResult::Fail;
    report.dkim[0].reason = "no \"such\" key".into();
    report.dkim[0].domain = "a.test".into();
    report.dkim[0].identity = "@a.test".into();
    report.dkim[0].signature = "ab/cd+e=".into();
    report.dmarc.result = AuthResult::Pass;
    report.dmarc.author_domain = "a.test".into();
    report.arc.chain_length = 0;
    let expected = "Received-SPF: pass (mx.our.test: 2001:db8::1 may send for the domain)\r\n\
        \t client-ip=\"2001:db8::1\"; envelope-from=\"joe@a.test\";\r\n\
        \t helo=\"[192.0.2.1]\"; receiver=mx.our.test; identity=mailfrom\r\n\
        Authentication-Results: mx.our.test;\r\n\
        \tiprev=none policy.iprev=\"2001:db8::1\" (h.test);\r\n\
        \tspf=pass smtp.mailfrom=joe@a.test;\r\n\
        \tspf=none smtp.helo=\"[192.0.2.1]\";\r\n\
        \tdkim=fail reason=\"no \\\"such\\\" key\" header.d=a.test header.i=@a.test\r\n\
        \t header.a=rsa-sha256 header.b=\"ab/cd+e=\";\r\n\
        \tarc=none;\r\n\
        \tdmarc=pass header.from=a.test\r\n";
    assert_eq!(written(&report), expected);
}

/// Reads the field as a reader would: results by method, with strings and comments taken out.
fn methods(field: &str) -> Vec<String> {
    let (mut text, mut depth, mut quoted, mut escaped) = (String::new(), 0, false, false);
    for c in field.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted || depth > 0 => escaped = true,
            '"' if depth == 0 => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            c => text.push(c),
        }
    }
    assert!(!quoted && depth == 0, "{field}");
    text.split(';')
        .skip(1)
        .map(|it| it.split_whitespace().next().unwrap_or("").to_owned())
        .collect()
}

fn hostile_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\\x00-\\x7f]{0,400}",
        "[();=\"\\\\@. \r\n\t,:<>a-z-]{0,60}",
        Just("x; dmarc=pass\r\nAuthentication-Results: mx.our.test; dmarc=pass".to_owned()),
    ]
}

proptest! {
    #[test]
    fn no_stranger_breaks_out(text in hostile_text()) {
        let text = super::super::report::kept(&text);
        let out = written(&report(&text, AuthResult::Fail));
        for line in out.split_inclusive("\r\n") {
            prop_assert!(line.ends_with("\r\n") && line.len() <= 998);
            let line = &line[..line.len() - 2];
            prop_assert!(line.chars().all(|c| c == '\t' || c == ' ' || c.is_ascii_graphic()));
            prop_assert!(!line.trim().is_empty());
        }
        // Two fields, and every other line is a continuation.
        let begins: Vec<&str> = out.lines().filter(|line| !line.starts_with('\t')).collect();
        prop_assert_eq!(begins.len(), 2);
        prop_assert!(begins[0].starts_with("Received-SPF: fail "));
        prop_assert!(begins[1].starts_with("Authentication-Results: mx.our.test;"));
        let results = out.find("\r\nAuthentication-Results:").unwrap() + 2;
        let expected = ["iprev", "spf", "spf", "dkim", "dkim", "dkim", "arc", "dmarc"];
        let expected: Vec<String> = expected.iter().map(|it| format!("{it}=fail")).collect();
        prop_assert_eq!(methods(&out[results..]), expected);
        // And it is ours, by our own reading.
        prop_assert_eq!(forged_fields(out.as_bytes(), HOSTNAME).to_vec(), vec![results..out.len()]);
    }

    #[test]
    fn any_message_gets_a_report(header in hostile_text(), body in any::<Vec<u8>>()) {
        let mut message = format!("From: {header}\r\nDKIM-Signature: {header}\r\nARC-Seal: {header}\r\n\r\n");
        message.push_str(&String::from_utf8_lossy(&body));
        let message = Bytes::from(message.into_bytes());
        thread_local! {
            static WORLD: Server = Server::start(Zone::default());
        }
        let settings = WORLD.with(Server::settings);
        run(async {
            let checks = Authenticator::new(&Settings::default(), &settings).unwrap();
            checks.check(Subject { message, ..subject(None, b"") }).await
        });
    }
}
