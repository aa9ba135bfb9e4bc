//! `LOGIN`, `AUTHENTICATE` and `STARTTLS`.

use super::*;
use crate::sasl::{Binding, Mechanisms, ScramClient};

fn base64(octets: &[u8]) -> String {
    data_encoding::BASE64.encode(octets)
}

/// `\0tim\0secret`.
const GOOD: &str = "AHRpbQBzZWNyZXQ=";

fn bound() -> Channel {
    Channel { exporter: Some([5; 32]), certificate: Some("owner@x.org".into()), end_point: None }
}

#[test]
fn what_is_offered_depends_on_the_channel() {
    let closed = Profile { auth_in_the_clear: false, ..profile() };
    let mut session = Session::new(closed.clone());
    let said = session.say("a CAPABILITY");
    assert!(said.contains(" STARTTLS LOGINDISABLED AUTH=SCRAM-SHA-256\r\n"), "{said}");
    assert!(!said.contains("AUTH=PLAIN") && !said.contains("LITERAL+") && !said.contains("QUOTA"));
    session.say("b STARTTLS");
    session.secure(bound());
    let said = session.say("c CAPABILITY");
    assert!(!said.contains("STARTTLS") && !said.contains("LOGINDISABLED"), "{said}");
    let all = "AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256 AUTH=EXTERNAL AUTH=PLAIN AUTH=LOGIN";
    assert!(said.contains(all), "{said}");
    let said = session.say("d LOGIN tim secret");
    assert!(!said.contains("AUTH=") && said.contains(" LITERAL+ "), "{said}");
    assert!(said.contains(" APPENDLIMIT=67108864 QUOTA QUOTA=RES-STORAGE "), "{said}");
    assert!(said.contains(" COMPRESS=DEFLATE] Logged in"), "{said}");
    let none = Profile { mechanisms: Mechanisms::NONE, ..profile() };
    assert!(Session::new(none).say("a CAPABILITY").contains("LOGINDISABLED"));
}

#[test]
fn passwords_in_all_spellings() {
    for script in [
        "a LOGIN tim secret",
        "a login \"tim\" \"secret\"",
        "a LOGIN {3}\r\ntim {6}\r\nsecret",
        "a LOGIN {3+}\r\ntim {6+}\r\nsecret",
        "a LOGIN tim {6}\r\nsecret",
        "a AUTHENTICATE PLAIN AHRpbQBzZWNyZXQ=",
        "a AUTHENTICATE plain\r\nAHRpbQBzZWNyZXQ=",
        "a AUTHENTICATE LOGIN\r\ndGlt\r\nc2VjcmV0",
    ] {
        let mut session = Session::new(profile());
        let said = session.say(script);
        assert!(said.ends_with("] Logged in\r\n"), "{script}: {said}");
        let identity = session.server.identity().unwrap();
        assert_eq!((&*identity.authentication, &*identity.authorization), ("tim", "tim"));
        assert!(session.server.proof().is_none(), "the password is gone");
    }
}

#[test]
fn challenges_are_what_clients_wait_for() {
    let mut session = Session::new(profile());
    dialogue(
        &mut session,
        r#"
        C: a AUTHENTICATE PLAIN
        S: + 
        C: *
        S: a BAD Authentication cancelled
        C: b AUTHENTICATE LOGIN
        S: + VXNlcm5hbWU6
        C: dGlt
        S: + UGFzc3dvcmQ6
        C: NOT BASE64
        S: b BAD Malformed authentication message
        C: c AUTHENTICATE CRAM-MD5
        S: c NO Mechanism is not offered here
        C: d AUTHENTICATE EXTERNAL =
        S: d NO [PRIVACYREQUIRED] Encryption is needed
        C: e LOGIN locked x
        S: e NO [CONTACTADMIN] Account is disabled
        C: f LOGIN busy x
        S: f NO [UNAVAILABLE] Temporary authentication failure
        C: g LOGIN "" x
        S: g NO [AUTHENTICATIONFAILED] Wrong name or password
        C: h NOOP
        S: h OK Done
        "#,
    );
    let mut session = Session::new(Profile { auth_in_the_clear: false, ..profile() });
    dialogue(
        &mut session,
        "C: a LOGIN tim secret\nS: a NO [PRIVACYREQUIRED] Encryption is needed
         C: b AUTHENTICATE PLAIN =\nS: b NO [PRIVACYREQUIRED] Encryption is needed",
    );
    assert!(session.asked.is_empty());
}

#[test]
fn scram_both_ways() {
    for plus in [false, true] {
        let mut session = Session::new(profile());
        session.say("s STARTTLS");
        session.secure(bound());
        let binding = if plus { Binding::Bound("tls-exporter", &[5; 32]) } else { Binding::None };
        let (client, first) = ScramClient::begin("", "tim", "secret", "abc", binding).unwrap();
        let name = if plus { "SCRAM-SHA-256-PLUS" } else { "SCRAM-SHA-256" };
        let challenge = |said: &str| {
            let text = said.strip_prefix("+ ").unwrap().trim_end();
            data_encoding::BASE64.decode(text.as_bytes()).unwrap()
        };
        let said = session.say(&format!("a AUTHENTICATE {name} {}", base64(&first)));
        let (end, last) = client.respond(&challenge(&said)).unwrap();
        let said = session.say(&base64(&last));
        end.verify(&challenge(&said)).unwrap();
        assert!(session.say("").starts_with("a OK [CAPABILITY "));
        assert!(session.server.identity().is_some());
    }
}

#[test]
fn failures_are_counted() {
    let mut session = Session::new(profile());
    for _ in 0..3 {
        let said = session.say("a LOGIN tim wrong");
        assert_eq!(said, "a NO [AUTHENTICATIONFAILED] Wrong name or password\r\n");
    }
    let said = session.say("a LOGIN tim wrong");
    assert!(said.ends_with("\r\n* BYE [UNAVAILABLE] Too many failed logins\r\n"), "{said}");
    assert_eq!(session.end, Some("close"));
    let mut session = Session::new(profile());
    for _ in 0..10 {
        session.say("a LOGIN busy x");
    }
    assert_eq!(session.end, None, "what cannot be told is no failure");
}

#[test]
fn nothing_is_carried_into_tls() {
    let mut session = Session::new(profile());
    let said = session.feed(b"a STARTTLS\r\nb LOGIN tim secret\r\n");
    assert_eq!(said, "* BYE [CLIENTBUG] Data in the clear\r\n");
    assert_eq!(session.end, Some("close"));
    let mut session = Session::new(profile());
    session.say("a ID (\"name\" \"x\")");
    session.say("b STARTTLS");
    session.secure(Channel::default());
    assert_eq!(session.server.client(), None);
    assert_eq!(session.say("c STARTTLS"), "c BAD TLS is active\r\n");
    assert!(session.say(&format!("d AUTHENTICATE PLAIN {GOOD}")).starts_with("d OK "));
    let mut session = Session::new(Profile { starttls: false, ..profile() });
    assert_eq!(session.say("a STARTTLS"), "a BAD TLS is not offered\r\n");
}
