//! Whatever a client sends: no panic, no endless loop, memory within its bound, nothing but whole lines
//! in return, and one dialogue however the input and the messages are split. Nobody has a maildrop who
//! was not granted it, nothing is deleted without `QUIT`, and behind STLS nothing is left of before.
#![no_main]

use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use proto::{
    pop3::server::{
        Answer, Limits, Maildrop, Portion, Profile, Question, Refusal, Retrieval, Server, Step,
    },
    sasl::{self, Channel, Mechanism, Nonce, Proof, ScramSecrets},
    types::Moment,
};

const NOW: Moment = Moment(1);
const OUT_BYTES_MAX: usize = 100;

const MESSAGES: [&[u8]; 4] =
    [b"", b"Subject: a\r\n\r\n.\r\n..\r\ntext\r\n", b".\r\n.\r\n\r\n.no end", b"A: b\r\nC: d\r\n"];

#[derive(Debug)]
struct Fixed;

impl Maildrop for Fixed {
    fn len(&self) -> u32 {
        MESSAGES.len() as u32
    }

    fn octets(&self, index: u32) -> u64 {
        MESSAGES[index as usize].len() as u64
    }

    fn write_uid(&self, index: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(b"uid");
        out.push(b'a' + index as u8);
    }
}

/// Limits small enough for a fuzzer to reach.
fn profile(choice: u8) -> Profile {
    Profile {
        limits: Limits {
            command_bytes_max: 128,
            errors_max: 8,
            auth_failures_max: 2,
            commands_before_login_max: 20,
            out_bytes_max: OUT_BYTES_MAX,
            ..Limits::default()
        },
        starttls: true,
        mechanisms: Mechanism::ALL.into_iter().collect(),
        auth_in_the_clear: choice & 1 == 0,
        login_delay_s: u32::from(choice & 2),
        ..Profile::default()
    }
}

/// A dialogue: what was said, and what came of it.
#[derive(Debug, Default, PartialEq)]
struct Dialogue {
    out: Vec<u8>,
    unsent: Vec<u8>,
    deleted: Vec<u32>,
    closed: bool,
    /// Input that came in the clear was waiting when TLS began.
    torn: bool,
    granted: u32,
}

/// Marks in the input where TLS, once begun, has its first octet.
const TLS_MARK: u8 = 0xfe;

/// Whether somebody may log in: those whose name begins with `t`.
fn judge(server: &Server<Fixed>, talk: &mut Dialogue) -> Answer<Fixed> {
    let grants = |name: &str| name.starts_with('t');
    Answer::Proof(match server.proof().expect("something to judge") {
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
    })
}

fn answer(server: &Server<Fixed>, question: Question, talk: &mut Dialogue) -> Answer<Fixed> {
    match question {
        Question::Authenticate => judge(server, talk),
        Question::Open => {
            let identity = server.identity().expect("somebody");
            if identity.authentication.starts_with("tb") {
                Answer::Refuse(Refusal::IN_USE)
            } else {
                Answer::Opened(Fixed)
            }
        }
        Question::Retrieve => {
            let Retrieval { index, .. } = server.retrieval().expect("a message");
            assert!(!server.marked().any(|marked| marked == index), "a deleted message");
            Answer::Accept
        }
        Question::Commit => {
            assert!(server.has_quit());
            talk.deleted = server.marked().collect();
            assert!(!talk.deleted.is_empty());
            Answer::Accept
        }
    }
}

fn body(server: &mut Server<Fixed>, piece_bytes: usize, talk: &mut Dialogue) {
    let Retrieval { index, .. } = server.retrieval().expect("a message");
    let mut rest = MESSAGES[index as usize];
    while !rest.is_empty() {
        let piece = &rest[..piece_bytes.min(rest.len())];
        let Portion { used, verbatim, wants_more } = server.body(NOW, piece, &mut talk.unsent);
        assert!(used > 0);
        send(talk);
        talk.out.extend_from_slice(&piece[verbatim]);
        if !wants_more {
            break;
        }
        rest = &rest[used..];
    }
    assert_eq!(server.body_ended(NOW, &mut talk.unsent), Step::NeedInput);
}

fn send(talk: &mut Dialogue) {
    assert!(talk.unsent.len() < OUT_BYTES_MAX + 512);
    talk.out.append(&mut talk.unsent);
}

/// Feeds `input` in reads of `read_bytes`.
fn talk(profile: &Rc<Profile>, input: &[u8], read_bytes: usize) -> Dialogue {
    let mut server = Server::new(Rc::clone(profile), NOW);
    let mut talk = Dialogue::default();
    server.greet(NOW, &mut talk.unsent);
    let (mut from, mut to, mut idle) = (0, 0, 0);
    loop {
        let (used, mut step) = server.feed(NOW, &input[from..to], &mut talk.unsent);
        from += used;
        idle = if used == 0 { idle + 1 } else { 0 };
        assert!(server.maildrop().is_none() || talk.granted > 0);
        assert!(idle < 200, "the machine turns without taking anything");
        let fed = !matches!(step, Step::Ask(_));
        while let Step::Ask(question) = step {
            if question == Question::Open && read_bytes % 2 == 0 {
                // To another shard, which must not show.
                let client = server.hand_over().expect("it may go");
                server = Server::take_over(Rc::clone(profile), client);
            }
            let answer = answer(&server, question, &mut talk);
            step = server.answer(NOW, answer, &mut talk.unsent);
        }
        match step {
            Step::Send => send(&mut talk),
            Step::Body => body(&mut server, read_bytes, &mut talk),
            // Behind an answer, what is left is fed, be it nothing.
            Step::NeedInput if !fed => {}
            Step::NeedInput if to < input.len() => {
                send(&mut talk);
                // What is behind the mark is sent only when TLS is up, in one read or many.
                let rest = &input[to..];
                let marked = rest.iter().skip(1).position(|octet| *octet == TLS_MARK);
                to += read_bytes.min(marked.map_or(rest.len(), |at| at + 1));
                // A long line is left until it is whole.
                idle = 0;
            }
            Step::NeedInput => break,
            Step::Ask(_) => unreachable!("answered"),
            Step::Upgrade => {
                assert_eq!(from, to, "input is waiting in the clear");
                if input.get(from) != Some(&TLS_MARK) {
                    talk.torn = true;
                    break;
                }
                (from, to) = (from + 1, from + 1);
                server.upgraded();
                assert!(server.identity().is_none() && server.proof().is_none());
                let certificate = Some("tim".into());
                server.set_channel(Channel {
                    exporter: Some([1; 32]),
                    certificate,
                    end_point: None,
                });
            }
            Step::Close => {
                talk.closed = true;
                break;
            }
        }
    }
    send(&mut talk);
    talk
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
});
