//! Logging in: `USER`, `AUTH`, `STLS`, and on to another shard.

use super::*;
use crate::{
    pop3::server::Client,
    sasl::{Binding, Mechanisms, ScramClient},
};

/// `\0mrose\0secret`.
const GOOD: &str = "AG1yb3NlAHNlY3JldA==";

fn base64(octets: &[u8]) -> String {
    data_encoding::BASE64.encode(octets)
}

fn bound() -> Channel {
    Channel { exporter: Some([5; 32]), certificate: Some("owner@x.org".into()), end_point: None }
}

/// Without passwords in the clear, behind `STLS`.
fn secured(channel: Channel) -> Session {
    let mut session = Session::new(guarded());
    session.say("STLS");
    session.secure(channel);
    session
}

fn guarded() -> Profile {
    Profile { starttls: true, auth_in_the_clear: false, ..profile() }
}

#[test]
fn rfc_5034_plain_with_and_without_initial_response() {
    for script in [
        format!("AUTH PLAIN {GOOD}"),
        format!("auth plain\r\n{GOOD}"),
        format!("AUTH LOGIN\r\n{}\r\n{}", base64(b"mrose"), base64(b"secret")),
        format!("AUTH LOGIN {}\r\n{}", base64(b"mrose"), base64(b"secret")),
        "USER mrose\r\nPASS secret".into(),
    ] {
        let mut session = Session::new(profile());
        let said = session.say(&script);
        assert!(said.ends_with("+OK Maildrop has 2 messages (320 octets)\r\n"), "{script}: {said}");
        assert_eq!(&*session.server.identity().unwrap().authentication, "mrose");
        assert!(session.server.proof().is_none(), "the password is gone");
        assert_eq!(session.asked, [Question::Authenticate, Question::Open]);
    }
}

#[test]
fn rfc_5034_challenges() {
    let mut session = Session::new(profile());
    assert_eq!(session.say("AUTH PLAIN"), "+ \r\n");
    talk(
        &mut session,
        String::new(),
        "C: *
         S: -ERR Authentication cancelled
         C: AUTH LOGIN
         S: + VXNlcm5hbWU6
         C: bXJvc2U=
         S: + UGFzc3dvcmQ6
         C: NOT BASE64
         S: -ERR Malformed authentication message
         C: AUTH PLAIN =
         S: -ERR Malformed authentication message
         C: AUTH
         S: +OK Mechanisms follow
         S: SCRAM-SHA-256
         S: PLAIN
         S: LOGIN
         S: .
         C: AUTH KERBEROS_V4
         S: -ERR Authentication mechanism not offered",
    );
    assert!(session.asked.is_empty());
}

/// Our client against our server; what the server says last.
fn scram(session: &mut Session, password: &str, plus: bool) -> String {
    let binding = if plus { Binding::Bound("tls-exporter", &[5; 32]) } else { Binding::None };
    let (client, first) = ScramClient::begin("", "mrose", password, "abc", binding).unwrap();
    let name = if plus { "SCRAM-SHA-256-PLUS" } else { "SCRAM-SHA-256" };
    let said = session.say(&format!("AUTH {name} {}", base64(&first)));
    let challenge = |said: &str| {
        let text = said.strip_prefix("+ ").unwrap().trim_end();
        data_encoding::BASE64.decode(text.as_bytes()).unwrap()
    };
    let (end, last) = client.respond(&challenge(&said)).unwrap();
    let said = session.say(&base64(&last));
    if !said.starts_with("+ ") {
        return said;
    }
    end.verify(&challenge(&said)).unwrap();
    session.say("")
}

#[test]
fn scram_in_the_clear_and_bound() {
    let mut session = Session::new(guarded());
    let refused = "-ERR [AUTH] Authentication credentials invalid\r\n";
    assert_eq!(scram(&mut session, "wrong", false), refused);
    assert!(scram(&mut session, "secret", false).starts_with("+OK Maildrop"));
    let mut session = secured(bound());
    assert!(scram(&mut session, "secret", true).starts_with("+OK Maildrop"));
    assert_eq!(session.server.identity().unwrap().mechanism, Mechanism::ScramSha256Plus);
    // Bound to another connection.
    let mut session = secured(Channel { exporter: Some([6; 32]), ..bound() });
    assert_eq!(scram(&mut session, "secret", true), refused);
    assert!(secured(bound()).say("AUTH EXTERNAL =").starts_with("+OK Maildrop"));
}

#[test]
fn no_password_in_the_clear() {
    let mut session = Session::new(guarded());
    let refused = "-ERR This way to log in requires TLS, say STLS first\r\n";
    let plain = format!("AUTH PLAIN {GOOD}");
    for line in ["USER mrose", "PASS secret", "AUTH LOGIN", "AUTH EXTERNAL =", &plain] {
        assert_eq!(session.say(line), refused, "{line}");
    }
    assert!(session.asked.is_empty());
    let mut session = secured(Channel::default());
    assert_eq!(session.say("USER mrose"), "+OK Password required\r\n");
    assert_eq!(session.say("AUTH EXTERNAL ="), "-ERR Authentication mechanism not offered\r\n");
    let none = Profile { mechanisms: Mechanisms::NONE, ..profile() };
    let scram = Mechanisms::NONE.with(Mechanism::ScramSha256);
    for profile in [none, Profile { mechanisms: scram, ..profile() }] {
        let mut session = Session::new(profile);
        assert_eq!(session.say("USER mrose"), "-ERR Command not recognised\r\n");
        assert_eq!(session.say("PASS secret"), "-ERR Command not recognised\r\n");
    }
}

#[test]
fn a_password_is_the_whole_rest_of_the_line() {
    let mut session = Session::new(profile());
    session.say("USER mrose");
    assert!(session.feed(b"PASS se cret \r\n").starts_with("+OK Maildrop"));
    for line in ["PASS", "PASS ", "PASS  secret", "PASS secret ", "PASS Secret"] {
        let mut session = Session::new(profile());
        session.say("USER mrose");
        let refused = "-ERR [AUTH] Authentication credentials invalid\r\n";
        assert_eq!(session.say(line), refused, "{line:?}");
        assert_eq!(session.say("PASS secret"), "-ERR Say USER first\r\n", "the name is gone");
    }
}

#[test]
fn names_are_not_told_apart() {
    let mut session = Session::new(profile());
    assert_eq!(session.say("USER"), "-ERR Say the name of a mailbox\r\n");
    let long = "x".repeat(256);
    assert_eq!(session.say(&format!("USER {long}")), "-ERR Say the name of a mailbox\r\n");
    session.say("USER nobody");
    session.say("USER mrose");
    assert_eq!(session.say("CAPA").get(..3), Some("+OK"), "in between");
    assert!(session.say("PASS secret").starts_with("+OK"), "the last name counts");
}

#[test]
fn credentials_are_judged_by_the_driver() {
    let mut session = Session::new(profile());
    let mut log_in = |name: &str| session.feed(format!("USER {name}\r\nPASS x\r\n").as_bytes());
    for _ in 0..5 {
        let said = log_in("down");
        assert!(said.ends_with("-ERR [SYS/TEMP] Temporary authentication failure\r\n"), "{said}");
        assert!(log_in("locked").ends_with("-ERR [SYS/PERM] Locked\r\n"), "no attempt");
    }
    for _ in 0..3 {
        assert!(log_in("mrose").ends_with("-ERR [AUTH] Authentication credentials invalid\r\n"));
    }
    let said = log_in("mrose");
    assert!(said.ends_with("-ERR [AUTH] Too many failed authentications, closing\r\n"), "{said}");
    assert!(session.closed && !session.server.has_quit());
}

#[test]
fn nothing_is_left_of_before_tls() {
    let mut session = Session::new(Profile { starttls: true, ..profile() });
    session.say("USER mrose");
    assert_eq!(session.say("STLS x"), "-ERR This command takes no argument\r\n");
    session.say("STLS");
    session.secure(bound());
    assert_eq!(session.say("PASS secret"), "-ERR Say USER first\r\n");
    assert_eq!(session.say("STLS"), "-ERR TLS is active already\r\n");
    let mut session = Session::new(Profile { starttls: true, ..profile() });
    assert_eq!(session.feed(b"STLS\r\nUSER mrose\r\n"), "-ERR Input after STLS, closing\r\n");
    assert!(session.closed && !session.upgrading);
}

#[test]
fn tls_may_come_first() {
    let mut server = Server::<Messages>::new(Rc::new(guarded()), Moment(0));
    server.upgraded();
    server.set_channel(bound());
    let mut session = Session::silent(server);
    let mut out = Vec::new();
    session.server.greet(Moment(0), &mut out);
    assert!(session.say("CAPA").contains("\r\nSASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 EXTERNAL"));
}

/// Feeds `input` until [`Question::Open`].
fn until_open(server: &mut Server<Messages>, input: &[u8]) -> usize {
    let (mut at, mut out) = (0, Vec::new());
    loop {
        let (used, step) = server.feed(Moment(7), &input[at..], &mut out);
        at += used;
        match step {
            Step::Ask(Question::Open) => return at,
            Step::Ask(Question::Authenticate) => {
                let granted = Answer::Proof(sasl::Answer::Granted);
                server.answer(Moment(7), granted, &mut out);
                out.clear();
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_client_moves_to_another_shard() {
    fn can_be_sent<T: Send>(_: &T) {}
    let mut server = Server::<Messages>::new(Rc::new(profile()), Moment(0));
    let mut out = Vec::new();
    server.greet(Moment(0), &mut out);
    let mut server = *server.hand_over().unwrap_err();
    let input = b"USER mrose\r\nPASS wrong\r\nUTF8\r\nUSER mrose\r\nPASS secret\r\nSTAT\r\n";
    let (used, _) = server.feed(Moment(1), input, &mut out);
    server.answer(Moment(1), Answer::Proof(sasl::Answer::Denied), &mut out);
    let at = used + until_open(&mut server, &input[used..]);
    let client: Client = server.hand_over().unwrap();
    can_be_sent(&client);
    assert_eq!(&*client.identity().unwrap().authorization, "mrose");
    let other = Rc::new(Profile { hostname: "huey".into(), ..profile() });
    let mut session = Session::silent(Server::take_over(other, client));
    assert_eq!(session.server.deadline(), Moment::NEVER);
    assert_eq!(
        session.feed(&input[at..]),
        "+OK Maildrop has 2 messages (320 octets)\r\n+OK 2 320\r\n"
    );
    assert!(session.server.is_utf8());
    assert_eq!(session.say("QUIT"), "+OK huey signing off (2 messages left)\r\n");
}

#[test]
fn moving_buys_no_attempts() {
    let limits = Limits { auth_failures_max: 1, ..Limits::default() };
    let profile = Rc::new(Profile { limits, ..profile() });
    let mut server = Server::<Messages>::new(Rc::clone(&profile), Moment(0));
    let mut out = Vec::new();
    server.greet(Moment(0), &mut out);
    let input = b"USER busy\r\nPASS wrong\r\nUSER busy\r\nPASS secret\r\n";
    let (used, _) = server.feed(Moment(1), input, &mut out);
    server.answer(Moment(1), Answer::Proof(sasl::Answer::Denied), &mut out);
    until_open(&mut server, &input[used..]);
    let client = server.hand_over().unwrap();
    let mut session = Session::silent(Server::take_over(profile, client));
    assert_eq!(session.feed(b""), "-ERR [IN-USE] The maildrop is in use\r\n");
    assert_eq!(session.server.deadline(), Moment(180_000), "that of the connection");
    let said = session.feed(b"USER busy\r\nPASS wrong\r\n");
    assert!(said.ends_with("-ERR [AUTH] Too many failed authentications, closing\r\n"), "{said}");
}

#[test]
fn lines_of_an_exchange_are_longer_and_bounded() {
    let mut session = Session::new(profile());
    session.say("AUTH PLAIN");
    let longest = "A".repeat(12_284) + "==";
    assert_eq!(session.say(&longest), "-ERR Malformed authentication message\r\n");
    session.say("AUTH PLAIN");
    assert_eq!(session.say(&format!("A{longest}")), "-ERR Line too long\r\n");
    assert_eq!(session.say("CAPA").get(..3), Some("+OK"), "the exchange is over");
    let said = session.say(&format!("AUTH PLAIN {longest}"));
    assert_eq!(said, "-ERR Line too long\r\n", "a command is no longer");
}
