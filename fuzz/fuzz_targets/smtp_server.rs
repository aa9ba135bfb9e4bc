//! Whatever a client sends: no panic, no endless loop, nothing but CRLF lines in return, no message
//! over the limit or with a bare CR or LF, and one dialogue however the input is split. AUTH at any
//! point logs nobody in who was not granted it, and behind STARTTLS nothing is left of before.
#![no_main]

use std::{rc::Rc, time::Duration};

use libfuzzer_sys::fuzz_target;
use proto::{
    sasl::{self, Channel, Mechanism, Nonce, Proof, ScramSecrets},
    smtp::server::{Answer, Limits, LineEndings, Profile, Protocol, Question, Server, Step},
    types::{Enhanced, Moment, Reply, Timestamp},
};

const NOW: Moment = Moment(1);
const MESSAGE_BYTES_MAX: u64 = 4096;

/// Limits small enough for a fuzzer to reach.
fn profile(choice: u8) -> Profile {
    Profile {
        protocol: if choice & 1 == 0 { Protocol::Smtp } else { Protocol::Lmtp },
        line_endings: if choice & 2 == 0 { LineEndings::Refuse } else { LineEndings::Fix },
        limits: Limits {
            message_bytes_max: MESSAGE_BYTES_MAX,
            recipients_max: 3,
            messages_max: 5,
            errors_max: 8,
            command_bytes_max: 128,
            text_line_bytes_max: 100,
            header_bytes_max: 512,
            auth_failures_max: 2,
            ..Limits::default()
        },
        starttls: true,
        mechanisms: Mechanism::ALL.into_iter().collect(),
        auth_in_the_clear: choice & 4 == 0,
        auth_required: choice & 8 == 0,
        require_tls: true,
        future_release_max: Some(Duration::from_secs(3600)),
        ..Profile::default()
    }
}

/// A dialogue: what was said, and every message.
#[derive(Debug, Default, PartialEq)]
struct Dialogue {
    out: Vec<u8>,
    messages: Vec<Vec<u8>>,
    closed: bool,
    /// Input that came in the clear was waiting when TLS began.
    torn: bool,
    granted: u32,
}

/// Marks in the input where TLS, once begun, has its first octet.
const TLS_MARK: u8 = 0xfe;

/// Whether somebody may log in: those whose name begins with `t`.
fn judge(server: &Server, talk: &mut Dialogue) -> Answer {
    let grants = |name: &str| name.starts_with('t');
    let answer = match server.proof().expect("something to judge") {
        Proof::Secrets { authentication } => sasl::Answer::Secrets(
            Box::new(ScramSecrets::decoy(b"", authentication, 4096)),
            Nonce::new(&[1; 18]),
        ),
        Proof::Scram { right, .. } => {
            assert!(!right, "no password fits a decoy");
            sasl::Answer::Granted
        }
        Proof::Password { identity, .. } | Proof::Certificate { identity }
            if grants(&identity.authentication) =>
        {
            talk.granted += 1;
            sasl::Answer::Granted
        }
        Proof::Password { .. } | Proof::Certificate { .. } => sasl::Answer::Denied,
    };
    Answer::Proof(answer)
}

/// Does what a handshake does: what was said before is forgotten.
fn upgrade(server: &mut Server) {
    server.upgraded();
    assert!(server.identity().is_none() && server.proof().is_none() && server.helo().is_empty());
    assert!(server.sender().is_none() && server.recipients().is_empty());
    assert!(server.with().ends_with('S'));
    let certificate = Some("tim".into());
    server.set_channel(Channel { exporter: Some([1; 32]), certificate, end_point: None });
}

fn answer(
    server: &mut Server,
    question: Question,
    body: &mut Vec<u8>,
    talk: &mut Dialogue,
) -> Answer {
    match question {
        Question::Commit => {
            let envelope = server.take_envelope(Timestamp(0), "fuzz");
            assert!(!envelope.recipients.is_empty());
            assert_eq!(envelope.size, body.len() as u64);
            talk.messages.push(std::mem::take(body));
            Answer::Queued("ID".into())
        }
        Question::Recipient
            if server.candidate().is_some_and(|one| one.address.local().starts_with('r')) =>
        {
            Answer::Refuse(Reply::new(550, Enhanced(5, 1, 1), "No such user"))
        }
        Question::Sender | Question::Recipient => Answer::Accept,
        Question::Data => {
            body.clear();
            Answer::Accept
        }
        Question::Authenticate => judge(server, talk),
    }
}

/// Feeds `input` in reads of `read_bytes`.
fn talk(profile: &Rc<Profile>, input: &[u8], read_bytes: usize) -> Dialogue {
    let mut server = Server::new(Rc::clone(profile), NOW);
    let mut talk = Dialogue::default();
    server.set_clock(NOW, Timestamp(1_000_000));
    server.greet(NOW, &mut talk.out);
    let (mut from, mut to, mut body, mut idle) = (0, 0, Vec::new(), 0);
    loop {
        let (used, mut step) = server.feed(NOW, &input[from..to], &mut talk.out);
        from += used;
        idle = if used == 0 { idle + 1 } else { 0 };
        assert!(server.identity().is_none() || talk.granted > 0);
        assert!(idle < 200, "the machine turns without taking anything");
        let fed = !matches!(step, Step::Ask(_));
        while let Step::Ask(question) = step {
            let answer = answer(&mut server, question, &mut body, &mut talk);
            step = server.answer(NOW, answer, &mut talk.out);
        }
        match step {
            Step::Body(piece) => body.extend_from_slice(piece),
            // Behind an answer, what is left is fed, be it nothing.
            Step::NeedInput if !fed => {}
            Step::NeedInput if to < input.len() => {
                // What is behind the mark is sent only when TLS is up, in one read or many.
                let rest = &input[to..];
                let marked = rest.iter().skip(1).position(|octet| *octet == TLS_MARK);
                to += read_bytes.min(marked.map_or(rest.len(), |at| at + 1));
            }
            Step::NeedInput => return talk,
            Step::Ask(_) => unreachable!("answered"),
            Step::Upgrade => {
                assert_eq!(from, to, "input is waiting in the clear");
                let mark = input[from..].iter().position(|octet| *octet == TLS_MARK);
                if mark != Some(0) {
                    talk.torn = true;
                    return talk;
                }
                (from, to) = (from + 1, from + 1);
                upgrade(&mut server);
            }
            Step::Close => {
                talk.closed = true;
                return talk;
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, input)) = data.split_first() else { return };
    let profile = Rc::new(profile(*choice));
    let whole = talk(&profile, input, usize::MAX / 2);
    let split = talk(&profile, input, usize::from(choice >> 2) + 1);
    // Where a read ends tells what came before TLS: a split may hide that something did.
    if split.torn || whole.torn {
        return;
    }
    assert_eq!(whole, split);
    assert!(whole.out.ends_with(b"\r\n"));
    for message in &whole.messages {
        assert!(message.len() as u64 <= MESSAGE_BYTES_MAX);
        let mut before = 0;
        for octet in message {
            assert_eq!(before == b'\r', *octet == b'\n', "a bare CR or LF");
            assert_ne!(*octet, 0);
            before = *octet;
        }
        assert!(message.is_empty() || message.ends_with(b"\r\n"));
    }
});
