//! Whatever a client sends: no panic, no endless loop, one tagged response a command, one dialogue
//! however the input is split; nobody is logged in who was not granted it, no command is put to the
//! driver before that, and as many octets of a message are passed on as were announced.
#![no_main]

use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use proto::{
    imap::{
        Answer, Command, Completion, Limits, Profile, Question, Server, Step,
        command::Attributes,
        respond::{EsearchLine, FetchLine, write_search},
        syntax::{Bounds, Messages, Ranges},
    },
    sasl::{self, Mechanism, Nonce, Proof, ScramSecrets},
    types::Moment,
};

const NOW: Moment = Moment(1);
const APPEND_BYTES_MAX: u64 = 300;

/// Limits small enough for a fuzzer to reach.
fn profile(choice: u8) -> Profile {
    Profile {
        limits: Limits {
            command_bytes_max: 256,
            login_command_bytes_max: 128,
            literal_bytes_max: 64,
            login_literal_bytes_max: 32,
            refused_literal_bytes_max: 128,
            bounds: Bounds { items_max: 30, depth_max: 4 },
            append_bytes_max: APPEND_BYTES_MAX,
            append_messages_max: 3,
            errors_max: 8,
            login_commands_max: 10,
            auth_failures_max: 2,
            ..Limits::default()
        },
        mechanisms: Mechanism::ALL.into_iter().collect(),
        auth_in_the_clear: choice & 1 == 0,
        starttls: true,
        compress: true,
        ..Profile::default()
    }
}

/// A dialogue: what was said, asked and appended.
#[derive(Debug, Default, PartialEq)]
struct Dialogue {
    out: Vec<u8>,
    asked: Vec<String>,
    appended: Vec<Vec<u8>>,
    closed: bool,
    /// TLS or compression began, or could not: where reads ended decided that.
    torn: bool,
    granted: bool,
}

/// Whether somebody may log in: those whose name begins with `t`.
fn judge(server: &Server, talk: &mut Dialogue) -> Answer {
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
            if identity.authentication.starts_with('t') =>
        {
            talk.granted = true;
            sasl::Answer::Granted
        }
        Proof::Password { .. } | Proof::Certificate { .. } => sasl::Answer::Denied,
    };
    Answer::Proof(answer)
}

fn resolve(messages: &Messages) -> Ranges {
    match messages {
        Messages::Set(set) => set.resolve(5),
        Messages::Saved => Ranges::default(),
    }
}

/// Writes something of what a command wants.
fn execute(command: &Command, server: &Server, out: &mut Vec<u8>) -> Completion {
    match command {
        Command::Fetch(fetch) => {
            for number in resolve(&fetch.messages).iter().take(5) {
                let mut line = FetchLine::begin(number, out);
                if fetch.attributes.contains(Attributes::UID) {
                    line.uid(number, out);
                }
                for body in &fetch.bodies {
                    line.string(body, b"a \"quoted\" \xff", server.enabled(), out);
                }
                line.end(out);
            }
        }
        Command::Search(search) => match search.returns {
            None => write_search([1, 2], None, out),
            Some(returns) => {
                let (tag, uid) = (server.tag(), search.uid);
                let found = [1, 2, 4].into_iter().collect();
                EsearchLine { tag, uid, returns, found: &found, modseq: None }.write(out);
            }
        },
        Command::List(list) => drop(list.matches("INBOX")),
        Command::Delete(_) => return Completion::no("Never"),
        _ => {}
    }
    Completion::ok("Done")
}

/// Answers what was asked, to the end.
fn answer(
    server: &mut Server,
    question: Question,
    staged: &mut Vec<(u64, Vec<u8>)>,
    talk: &mut Dialogue,
) -> Step<'static> {
    match question {
        Question::Authenticate => {
            let answer = judge(server, talk);
            server.answer(NOW, answer, &mut talk.out)
        }
        Question::Enter | Question::Compress => {
            server.answer(NOW, Answer::Accept, &mut talk.out)
        }
        Question::Command => {
            let command = server.take_command().expect("a command");
            assert!(server.identity().is_some(), "{command:?}");
            talk.asked.push(format!("{command:?}"));
            let completion = execute(&command, server, &mut talk.out);
            server.finish(NOW, &completion, &mut talk.out)
        }
        Question::Message => {
            let message = server.message().expect("a message");
            assert!(server.identity().is_some() && message.octets <= APPEND_BYTES_MAX);
            if message.first {
                staged.clear();
            }
            let refused = message.mailbox.as_str().starts_with('r');
            staged.push((message.octets, Vec::new()));
            let no = Answer::Refuse(Completion::no("Refused"));
            server.answer(NOW, if refused { no } else { Answer::Accept }, &mut talk.out)
        }
        Question::Append => {
            for (announced, message) in staged.drain(..) {
                assert_eq!(message.len() as u64, announced);
                talk.appended.push(message);
            }
            server.finish(NOW, &Completion::ok("Appended"), &mut talk.out)
        }
    }
}

/// Feeds `input` in reads of `read_bytes`.
fn talk(profile: &Rc<Profile>, input: &[u8], read_bytes: usize) -> Dialogue {
    let mut server = Server::new(Rc::clone(profile), NOW);
    let mut talk = Dialogue::default();
    server.greet(NOW, &mut talk.out);
    let (mut from, mut to, mut staged, mut idle) = (0, 0, Vec::new(), 0);
    loop {
        let (used, mut step) = server.feed(NOW, &input[from..to], &mut talk.out);
        from += used;
        idle = if used == 0 { idle + 1 } else { 0 };
        assert!(idle < 400, "the machine turns without taking anything");
        assert!(server.identity().is_none() || talk.granted);
        let fed = !matches!(step, Step::Ask(_));
        while let Step::Ask(question) = step {
            step = answer(&mut server, question, &mut staged, &mut talk);
        }
        match step {
            Step::Literal(piece) => {
                assert!(server.is_appending() && !piece.is_empty());
                staged.last_mut().expect("a message").1.extend_from_slice(piece);
            }
            // Behind an answer, what is left is fed, be it nothing.
            Step::NeedInput if !fed => {}
            Step::NeedInput | Step::Idle if to < input.len() => {
                to += read_bytes.min(input.len() - to);
            }
            Step::NeedInput | Step::Idle => return talk,
            Step::Ask(_) => unreachable!("answered"),
            Step::Upgrade | Step::Compress => {
                talk.torn = true;
                return talk;
            }
            Step::Close => {
                talk.closed = true;
                let last = b"* BYE [CLIENTBUG] Data in the clear\r\n";
                talk.torn = talk.out.ends_with(last);
                return talk;
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, input)) = data.split_first() else { return };
    let profile = Rc::new(profile(*choice));
    let whole = talk(&profile, input, usize::MAX / 2);
    let split = talk(&profile, input, usize::from(choice >> 1) + 1);
    if split.torn || whole.torn {
        return;
    }
    assert_eq!(whole, split);
    assert!(whole.out.ends_with(b"\r\n"));
});
