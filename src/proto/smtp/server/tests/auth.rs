//! `AUTH` and what goes with it: dialogues of RFC 4954, refusals, limits, splits.

use std::time::Duration;

use super::*;
use crate::{
    sasl::{Binding, Channel, Identity, Mechanisms, ScramClient},
    types::Ret,
};

/// `\0tim\0secret`.
const GOOD: &str = "AHRpbQBzZWNyZXQ=";
/// `\0tim\0wrong`.
const WRONG: &str = "AHRpbQB3cm9uZw==";

fn base64(octets: &[u8]) -> String {
    data_encoding::BASE64.encode(octets)
}

/// Behind `EHLO`, in the clear.
fn greeted(profile: Profile) -> Session {
    let mut session = Session::new(profile);
    session.feed(b"EHLO c.example\r\n");
    session
}

/// Behind `STARTTLS` and another `EHLO`; with what that said.
fn secured(profile: Profile, channel: Channel) -> (Session, String) {
    let mut session = greeted(Profile { starttls: true, ..profile });
    session.feed(b"STARTTLS\r\n");
    assert!(std::mem::take(&mut session.upgrading));
    session.server.upgraded();
    session.server.set_channel(channel);
    let said = session.feed(b"EHLO c.example\r\n");
    (session, said)
}

fn bound() -> Channel {
    Channel { exporter: Some([5; 32]), certificate: Some("owner@x.org".into()), end_point: None }
}

fn say(session: &mut Session, line: &str) -> String {
    session.feed(format!("{line}\r\n").as_bytes())
}

#[test]
fn what_is_offered_depends_on_the_channel() {
    let auth_line = |said: &str| said.lines().find(|l| l.contains("AUTH")).map(str::to_owned);
    let all = Profile { auth_in_the_clear: false, starttls: true, ..authenticating() };
    let mut clear = Session::new(all.clone());
    assert_eq!(auth_line(&say(&mut clear, "EHLO c")).unwrap(), "250-AUTH SCRAM-SHA-256");
    let (_, said) = secured(all.clone(), Channel::default());
    assert_eq!(auth_line(&said).unwrap(), "250-AUTH SCRAM-SHA-256 PLAIN LOGIN");
    let (_, said) = secured(all, bound());
    assert_eq!(
        auth_line(&said).unwrap(),
        "250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 EXTERNAL PLAIN LOGIN"
    );
    let plain = Profile { mechanisms: Mechanisms::NONE.with(Mechanism::Plain), ..profile() };
    assert_eq!(auth_line(&say(&mut Session::new(plain), "EHLO c")), None);
}

#[test]
fn rfc_4954_plain_with_and_without_initial_response() {
    for script in [
        format!("AUTH PLAIN {GOOD}"),
        format!("auth plain\r\n{GOOD}"),
        format!("AUTH LOGIN\r\n{}\r\n{}", base64(b"tim"), base64(b"secret")),
        format!("AUTH LOGIN {}\r\n{}", base64(b"tim"), base64(b"secret")),
    ] {
        let mut session = greeted(authenticating());
        let said = say(&mut session, &script);
        assert!(said.ends_with("235 2.7.0 Authentication succeeded\r\n"), "{script}: {said}");
        let identity = session.server.identity().unwrap();
        assert_eq!((&*identity.authentication, &*identity.authorization), ("tim", "tim"));
        assert_eq!(session.server.with(), "ESMTPA");
        assert!(session.server.proof().is_none(), "the password is gone");
        assert!(!say(&mut session, "EHLO c").contains("AUTH"), "nothing more to offer");
    }
}

#[test]
fn challenges_are_what_clients_wait_for() {
    let mut session = greeted(authenticating());
    assert_eq!(say(&mut session, "AUTH PLAIN"), "334 \r\n");
    assert_eq!(say(&mut session, "*"), "501 5.7.0 Authentication cancelled\r\n");
    assert_eq!(say(&mut session, "AUTH LOGIN"), "334 VXNlcm5hbWU6\r\n");
    assert_eq!(say(&mut session, &base64(b"tim")), "334 UGFzc3dvcmQ6\r\n");
    assert_eq!(say(&mut session, "NOT BASE64"), "501 5.5.2 Malformed authentication message\r\n");
    assert_eq!(say(&mut session, "NOOP"), "250 2.0.0 Ok\r\n", "commands again");
    assert!(session.asked.is_empty());
}

/// Our client against our server; `said` is what the server answers last.
fn scram(session: &mut Session, password: &str, plus: bool) -> String {
    let binding = if plus { Binding::Bound("tls-exporter", &[5; 32]) } else { Binding::None };
    let (client, first) = ScramClient::begin("", "tim", password, "abc", binding).unwrap();
    let name = if plus { "SCRAM-SHA-256-PLUS" } else { "SCRAM-SHA-256" };
    let said = say(session, &format!("AUTH {name} {}", base64(&first)));
    let challenge = |said: &str| {
        let text = said.strip_prefix("334 ").unwrap().trim_end();
        data_encoding::BASE64.decode(text.as_bytes()).unwrap()
    };
    let (end, last) = client.respond(&challenge(&said)).unwrap();
    let said = say(session, &base64(&last));
    if !said.starts_with("334 ") {
        return said;
    }
    end.verify(&challenge(&said)).unwrap();
    say(session, "")
}

#[test]
fn scram_in_the_clear_and_bound() {
    let mut session = greeted(authenticating());
    assert_eq!(scram(&mut session, "wrong", false).get(..9), Some("535 5.7.8"));
    assert_eq!(scram(&mut session, "secret", false).get(..9), Some("235 2.7.0"));
    assert_eq!(session.asked, [Question::Authenticate; 4], "secrets and proof, twice");
    let (mut session, _) = secured(authenticating(), bound());
    assert_eq!(scram(&mut session, "secret", true).get(..9), Some("235 2.7.0"));
    let identity = session.server.identity().unwrap();
    assert_eq!(identity.mechanism, Mechanism::ScramSha256Plus);
    assert_eq!(session.server.with(), "ESMTPSA");
    // Bound to another connection.
    let other = Channel { exporter: Some([6; 32]), ..bound() };
    let (mut session, _) = secured(authenticating(), other);
    assert_eq!(scram(&mut session, "secret", true).get(..9), Some("535 5.7.8"));
}

#[test]
fn external_needs_a_certificate() {
    let (mut session, _) = secured(authenticating(), bound());
    assert_eq!(say(&mut session, "AUTH EXTERNAL ="), "235 2.7.0 Authentication succeeded\r\n");
    let owner = Identity {
        mechanism: Mechanism::External,
        authentication: "owner@x.org".into(),
        authorization: "owner@x.org".into(),
    };
    assert_eq!(session.server.identity(), Some(&owner));
    let (mut session, _) = secured(authenticating(), Channel::default());
    assert_eq!(say(&mut session, "AUTH EXTERNAL =").get(..9), Some("504 5.5.4"));
}

#[test]
fn mechanisms_that_are_not_offered_are_not_spoken() {
    let all = || Profile { auth_in_the_clear: false, ..authenticating() };
    let mut session = greeted(all());
    for (line, reply) in [
        ("AUTH", "501 5.5.4"),
        ("AUTH CRAM-MD5", "504 5.5.4"),
        ("AUTH PLAIN AHRpbQBzZWNyZXQ=", "538 5.7.11"),
        ("AUTH LOGIN", "538 5.7.11"),
        ("AUTH EXTERNAL =", "523 5.7.10"),
        ("AUTH SCRAM-SHA-256-PLUS", "523 5.7.10"),
    ] {
        assert_eq!(say(&mut session, line).get(..reply.len()), Some(reply), "{line}");
    }
    let scram = Profile { mechanisms: Mechanisms::NONE.with(Mechanism::ScramSha256), ..all() };
    let (mut session, _) = secured(scram, bound());
    for line in ["AUTH PLAIN", "AUTH EXTERNAL", "AUTH SCRAM-SHA-256-PLUS"] {
        assert_eq!(say(&mut session, line).get(..9), Some("504 5.5.4"), "{line}");
    }
    assert!(session.asked.is_empty());
}

#[test]
fn the_order_of_commands_is_kept() {
    dialogue(
        authenticating(),
        "S: 220 mx.example.org ESMTP Ringpost
         C: AUTH PLAIN AHRpbQBzZWNyZXQ=
         S: 503 5.5.1 Say EHLO or LHLO first
         C: HELO c
         S: 250 mx.example.org
         C: AUTH PLAIN AHRpbQBzZWNyZXQ=
         S: 503 5.5.1 Say EHLO or LHLO first",
    );
    let mut session = greeted(authenticating());
    say(&mut session, "MAIL FROM:<a@b.c> AUTH=<>");
    assert_eq!(say(&mut session, "AUTH PLAIN"), "503 5.5.1 No AUTH in a transaction\r\n");
    say(&mut session, "RSET");
    say(&mut session, &format!("AUTH PLAIN {GOOD}"));
    assert_eq!(say(&mut session, "AUTH PLAIN"), "503 5.5.1 Authenticated already\r\n");
}

#[test]
fn nobody_sends_without_auth_where_it_is_required() {
    let mut session = greeted(Profile { auth_required: true, ..authenticating() });
    assert_eq!(say(&mut session, "MAIL FROM:<a@b.c>"), "530 5.7.0 Authentication required\r\n");
    say(&mut session, &format!("AUTH PLAIN {GOOD}"));
    assert_eq!(say(&mut session, "MAIL FROM:<a@b.c> AUTH=a+40b.c"), "250 2.1.0 Ok\r\n");
}

#[test]
fn credentials_are_judged_by_the_driver() {
    let mut session = greeted(authenticating());
    let mut log_in = |text: &[u8]| say(&mut session, &format!("AUTH PLAIN {}", base64(text)));
    assert_eq!(log_in(b"\0busy\0x"), "454 4.7.0 Temporary authentication failure\r\n");
    assert_eq!(log_in(b"\0locked\0x"), "525 5.7.13 Account is disabled\r\n");
    assert_eq!(log_in(b"\0tim\0x"), "535 5.7.8 Authentication credentials invalid\r\n");
    assert_eq!(log_in(b"tim"), "501 5.5.2 Malformed authentication message\r\n");
    assert_eq!(log_in(b"\0tim\0secret"), "235 2.7.0 Authentication succeeded\r\n");
}

#[test]
fn failures_have_a_count_of_their_own() {
    let mut session = greeted(authenticating());
    let wrong = format!("AUTH PLAIN {WRONG}");
    for _ in 0..3 {
        assert_eq!(say(&mut session, "AUTH PLAIN AA==").get(..9), Some("501 5.5.2"), "no attempt");
        assert_eq!(say(&mut session, &wrong).get(..9), Some("535 5.7.8"));
    }
    assert_eq!(say(&mut session, &wrong).get(..9), Some("421 4.7.0"));
    assert!(session.closed && !session.server.has_quit());
    // Errors count as all do.
    let limits = Limits { errors_max: 1, ..Limits::default() };
    let mut session = greeted(Profile { limits, ..authenticating() });
    say(&mut session, &wrong);
    assert_eq!(say(&mut session, &wrong).get(..9), Some("421 4.7.0"));
}

#[test]
fn lines_of_an_exchange_are_longer_and_bounded() {
    let line = |octets: usize| base64(&vec![b'x'; octets]);
    let mut session = greeted(authenticating());
    say(&mut session, "AUTH PLAIN");
    // 12,288 with CRLF: read, and no message of PLAIN.
    let longest = format!("{}AA", &line(9213)[..12_284]);
    assert_eq!(say(&mut session, &longest).get(..9), Some("501 5.5.2"));
    say(&mut session, "AUTH PLAIN");
    assert_eq!(say(&mut session, &format!("{longest}A")).get(..9), Some("500 5.5.6"));
    assert_eq!(say(&mut session, "NOOP").get(..3), Some("250"), "the exchange is over");
    let initial = format!("AUTH PLAIN {}", line(3000));
    assert_eq!(say(&mut session, &initial).get(..9), Some("500 5.5.2"), "a command is no longer");
}

#[test]
fn a_bare_lf_ends_the_exchange_and_hides_nothing() {
    let mut session = greeted(authenticating());
    say(&mut session, "AUTH PLAIN");
    let said = session.feed(format!("{GOOD}\nAUTH PLAIN {GOOD}\r\nNOOP\r\n").as_bytes());
    let codes: Vec<_> = said.lines().map(|line| &line[..3]).collect();
    assert_eq!(codes, ["500", "500", "250"]);
    assert!(session.server.identity().is_none() && session.asked.is_empty());
}

#[test]
fn starttls_forgets_who_it_was() {
    let mut session = greeted(Profile { starttls: true, ..authenticating() });
    say(&mut session, &format!("AUTH PLAIN {GOOD}"));
    assert!(session.server.identity().is_some());
    say(&mut session, "STARTTLS");
    session.upgrading = false;
    session.server.upgraded();
    assert!(session.server.identity().is_none());
    say(&mut session, "EHLO c");
    assert_eq!(session.server.with(), "ESMTPS");
    assert_eq!(say(&mut session, &format!("AUTH PLAIN {GOOD}")).get(..3), Some("235"));
}

#[test]
fn tls_may_come_first() {
    let mut server = Server::new(Rc::new(authenticating()), Moment(0));
    server.upgraded();
    server.set_channel(bound());
    let mut out = Vec::new();
    server.greet(Moment(0), &mut out);
    server.feed(Moment(0), b"EHLO c\r\n", &mut out);
    let said = String::from_utf8(out).unwrap();
    assert!(said.contains(" EXTERNAL ") && said.contains("-PLUS ") && server.with() == "ESMTPS");
}

#[test]
fn every_name_of_the_protocol() {
    let mut session = greeted(Profile { protocol: Protocol::Lmtp, ..authenticating() });
    say(&mut session, "LHLO c");
    assert_eq!(session.server.with(), "LMTP");
    say(&mut session, &format!("AUTH PLAIN {GOOD}"));
    assert_eq!(session.server.with(), "LMTPA");
    say(&mut session, "MAIL FROM:<ü@b.c> SMTPUTF8");
    assert_eq!(session.server.with(), "UTF8LMTPA");
    let (mut session, _) = secured(authenticating(), Channel::default());
    say(&mut session, &format!("AUTH PLAIN {GOOD}"));
    say(&mut session, "MAIL FROM:<ü@b.c> SMTPUTF8");
    assert_eq!(session.server.with(), "UTF8SMTPSA");
}

#[test]
fn tls_is_required_only_where_it_is_used() {
    let requiring = || Profile { require_tls: true, ..profile() };
    let mut session = greeted(requiring());
    assert_eq!(say(&mut session, "MAIL FROM:<a@b.c> REQUIRETLS").get(..9), Some("555 5.5.4"));
    let (mut session, said) = secured(requiring(), Channel::default());
    assert!(said.contains("250-REQUIRETLS\r\n"));
    let message = "RCPT TO:<d@e.f>\r\nDATA\r\nx\r\n.";
    for from in ["<a@b.c> RET=FULL REQUIRETLS", "<> REQUIRETLS", "<a@b.c> RET=FULL"] {
        say(&mut session, &format!("MAIL FROM:{from}\r\n{message}"));
    }
    let kept: Vec<_> = session.messages.iter().map(|(one, _)| (one.require_tls, one.ret)).collect();
    assert_eq!(kept, [(true, Some(Ret::Headers)), (false, None), (false, Some(Ret::Full))]);
}

#[test]
fn messages_are_held_as_long_as_is_offered() {
    let hour = Some(Duration::from_secs(3600));
    let holding = || Profile { future_release_max: hour, ..profile() };
    let mut session = Session::new(holding());
    assert!(!say(&mut session, "EHLO c").contains("FUTURERELEASE"), "without a clock");
    session.now = Moment(5_000);
    session.server.set_clock(Moment(5_000), Timestamp(1_795_772_120_000));
    session.now = Moment(65_000);
    assert!(
        say(&mut session, "EHLO c").contains("250-FUTURERELEASE 3600 2026-11-27T10:36:20Z\r\n")
    );
    for (parameter, until) in [
        ("HOLDFOR=60", Ok(1_795_772_240_000)),
        ("HOLDFOR=3600", Ok(1_795_775_780_000)),
        ("HOLDFOR=3601", Err("501 5.5.4")),
        ("HOLDUNTIL=2026-11-27T10:36:20Z", Ok(1_795_775_780_000)),
        ("HOLDUNTIL=2026-11-27T10:36:21Z", Err("501 5.5.4")),
        ("HOLDUNTIL=2026-11-27T09:00:00Z", Ok(1_795_770_000_000)),
        ("HOLDFOR=0", Err("501 5.5.4")),
    ] {
        let said = say(&mut session, &format!("MAIL FROM:<a@b.c> {parameter}"));
        match until {
            Ok(until) => {
                say(&mut session, "RCPT TO:<d@e.f>\r\nDATA\r\nx\r\n.");
                let (envelope, _) = session.messages.pop().unwrap();
                assert_eq!(envelope.hold_until, Some(Timestamp(until)), "{parameter}");
            }
            Err(reply) => assert_eq!(said.get(..9), Some(reply), "{parameter}"),
        }
    }
}

#[test]
fn an_exchange_has_the_time_of_a_command() {
    let mut session = greeted(authenticating());
    session.now = Moment(1000);
    say(&mut session, "AUTH PLAIN");
    assert_eq!(session.server.deadline(), Moment(301_000));
    session.now = Moment(301_000);
    let mut out = Vec::new();
    assert_eq!(session.server.expire(session.now, &mut out), Step::Close);
    assert!(session.server.identity().is_none() && session.server.proof().is_none());
}
