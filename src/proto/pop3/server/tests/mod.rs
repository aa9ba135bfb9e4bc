//! The machine as a client sees it: dialogues, logins, limits, splits, messages.

mod auth;
mod dialogue;
mod limits;
mod splits;
mod transfer;

use std::{rc::Rc, sync::LazyLock};

use super::{
    Answer, Code, Expiry, Limits, Maildrop, Profile, Question, Refusal, Retrieval, Server, Step,
};
use crate::{
    sasl::{self, Channel, Mechanism, Nonce, Proof, ScramSecrets},
    types::Moment,
};

/// Of `mrose`, whose password is `secret`.
static SECRETS: LazyLock<ScramSecrets> = LazyLock::new(|| {
    ScramSecrets::derive("secret", b"0123456789abcdef", 4096).expect("a password")
});

/// Messages with their unique ids.
#[derive(Debug, Clone, Default)]
pub(super) struct Messages(Vec<(&'static str, Vec<u8>)>);

impl Maildrop for Messages {
    fn len(&self) -> u32 {
        self.0.len() as u32
    }

    fn octets(&self, index: u32) -> u64 {
        self.0[index as usize].1.len() as u64
    }

    fn write_uid(&self, index: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0[index as usize].0.as_bytes());
    }
}

/// The two messages of RFC 1939: 120 and 200 octets.
pub(super) fn two_messages() -> Messages {
    let text = |octets: usize| {
        let head = "Subject: x\r\nTo: y\r\n\r\n1\r\n.2\r\n3\r\n";
        format!("{head}{}\r\n", "z".repeat(octets - head.len() - 2)).into_bytes()
    };
    Messages(vec![("whqtswO00WBw418f9t5JxYwZ", text(120)), ("QhdPYR:00WBw1Ph7x7", text(200))])
}

/// A machine and a driver that does what is asked.
pub(super) struct Session {
    pub server: Server<Messages>,
    /// Everything said.
    pub out: Vec<u8>,
    /// What was said and has not been sent yet.
    unsent: Vec<u8>,
    /// The most that was gathered before it was sent.
    pub unsent_max: usize,
    /// The questions, in order.
    pub asked: Vec<Question>,
    /// What was deleted, from 0 on.
    pub deleted: Vec<u32>,
    pub messages: Messages,
    /// Octets of a message that are given at once.
    pub piece_bytes: usize,
    pub now: Moment,
    pub closed: bool,
    pub upgrading: bool,
    waiting: Vec<u8>,
}

impl Session {
    pub fn new(profile: Profile) -> Self {
        let mut session = Self::silent(Server::new(Rc::new(profile), Moment(0)));
        let step = session.server.greet(Moment(0), &mut session.unsent);
        assert_eq!(step, Step::NeedInput);
        session.send();
        session
    }

    pub fn silent(server: Server<Messages>) -> Self {
        Self {
            server,
            out: Vec::new(),
            unsent: Vec::new(),
            unsent_max: 0,
            asked: Vec::new(),
            deleted: Vec::new(),
            messages: two_messages(),
            piece_bytes: usize::MAX,
            now: Moment(0),
            closed: false,
            upgrading: false,
            waiting: Vec::new(),
        }
    }

    fn send(&mut self) {
        self.unsent_max = self.unsent_max.max(self.unsent.len());
        self.out.append(&mut self.unsent);
    }

    /// `busy`, `early` and `odd` may log in and get no maildrop; a message with `UTF-8` in its id is
    /// for those who understand it; nothing can be deleted once the first message says `undying`.
    fn decide(&mut self, question: Question) -> Answer<Messages> {
        match question {
            Question::Authenticate => self.judge(),
            Question::Open => match &*self.server.identity().unwrap().authorization {
                "busy" => Answer::Refuse(Refusal::IN_USE),
                "early" => {
                    Answer::Refuse(Refusal::new(Some(Code::LoginDelay), "Wait for 900 seconds"))
                }
                "odd" => Answer::Accept,
                _ => Answer::Opened(self.messages.clone()),
            },
            Question::Retrieve => {
                let retrieval = self.server.retrieval().unwrap();
                let uid = self.server.maildrop().unwrap().0[retrieval.index as usize].0;
                match uid {
                    "lost" => Answer::Refuse(Refusal::UNAVAILABLE),
                    "UTF-8" if !self.server.is_utf8() => {
                        Answer::Refuse(Refusal::new(Some(Code::Utf8), "Say UTF8 first"))
                    }
                    _ => Answer::Accept,
                }
            }
            Question::Commit if self.messages.0[0].0 == "undying" => {
                Answer::Proof(sasl::Answer::Granted)
            }
            Question::Commit => {
                self.deleted = self.server.marked().collect();
                Answer::Accept
            }
        }
    }

    /// Everybody has the password `secret`, but for `down`, who cannot be looked up, and `locked`.
    fn judge(&self) -> Answer<Messages> {
        Answer::Proof(match self.server.proof() {
            Some(Proof::Secrets { .. }) => {
                sasl::Answer::Secrets(Box::new(SECRETS.clone()), Nonce::new(&[3; 18]))
            }
            Some(Proof::Password { identity, password }) => {
                match (&*identity.authentication, password.as_str()) {
                    ("down", _) => sasl::Answer::Unavailable,
                    ("locked", _) => {
                        return Answer::Refuse(Refusal::new(Some(Code::Permanent), "Locked"));
                    }
                    (_, "secret" | "se cret " | "tanstaaf") => sasl::Answer::Granted,
                    _ => sasl::Answer::Denied,
                }
            }
            Some(Proof::Scram { .. } | Proof::Certificate { .. }) => sasl::Answer::Granted,
            None => panic!("asked about nothing"),
        })
    }

    /// Sends the message that is asked for, piece by piece.
    fn give_body(&mut self) {
        let Retrieval { index, .. } = self.server.retrieval().unwrap();
        let message = self.messages.0[index as usize].1.clone();
        let (mut from, mut wants_more) = (0, true);
        while from < message.len() && wants_more {
            let to = message.len().min(from.saturating_add(self.piece_bytes));
            let portion = self.server.body(self.now, &message[from..to], &mut self.unsent);
            assert!(portion.used > 0 && portion.verbatim.end <= portion.used);
            self.send();
            self.out.extend_from_slice(&message[from..to][portion.verbatim]);
            from += portion.used;
            wants_more = portion.wants_more;
        }
        let step = self.server.body_ended(self.now, &mut self.unsent);
        assert_eq!(step, Step::NeedInput);
    }

    /// Feeds `input` as one read, with what was left before it; returns what was said to it.
    pub fn feed(&mut self, input: &[u8]) -> String {
        let from = self.out.len();
        let mut buffer = std::mem::take(&mut self.waiting);
        buffer.extend_from_slice(input);
        let mut rest = &buffer[..];
        while !self.closed && !self.upgrading {
            let (used, mut step) = self.server.feed(self.now, rest, &mut self.unsent);
            rest = &rest[used..];
            let is_fed = !matches!(step, Step::Ask(_));
            while let Step::Ask(question) = step {
                self.asked.push(question);
                let answer = self.decide(question);
                step = self.server.answer(self.now, answer, &mut self.unsent);
            }
            match step {
                Step::NeedInput if is_fed => break,
                Step::NeedInput | Step::Ask(_) => {}
                Step::Send => self.send(),
                Step::Body => self.give_body(),
                Step::Upgrade => self.upgrading = true,
                Step::Close => self.closed = true,
            }
        }
        self.send();
        self.waiting = rest.to_vec();
        String::from_utf8_lossy(&self.out[from..]).into_owned()
    }

    pub fn say(&mut self, line: &str) -> String {
        self.feed(format!("{line}\r\n").as_bytes())
    }

    /// Through the handshake that was asked for.
    pub fn secure(&mut self, channel: Channel) {
        assert!(std::mem::take(&mut self.upgrading));
        assert!(self.waiting.is_empty(), "input is waiting in the clear");
        self.server.upgraded();
        self.server.set_channel(channel);
    }
}

pub(super) fn profile() -> Profile {
    Profile {
        hostname: "dewey".into(),
        mechanisms: Mechanism::ALL.into_iter().collect(),
        auth_in_the_clear: true,
        ..Profile::default()
    }
}

/// Logged in, with these messages.
pub(super) fn with_messages(profile: Profile, messages: Messages) -> Session {
    let mut session = Session::new(profile);
    session.messages = messages;
    assert!(session.feed(b"USER mrose\r\nPASS secret\r\n").contains("+OK Maildrop has "));
    session
}

pub(super) fn logged_in() -> Session {
    with_messages(profile(), two_messages())
}

/// `C:` lines are fed, `S:` lines are expected; `S:` lines follow the `C:` lines they answer.
pub(super) fn talk(session: &mut Session, heard: String, script: &str) {
    let mut heard = heard;
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (who, text) = line.split_at(2);
        let text = text.strip_prefix(' ').unwrap_or(text);
        if who == "C:" {
            assert_eq!(heard, "", "said before {line:?}");
            heard.push_str(&session.say(text));
        } else {
            let (first, rest) = heard.split_once("\r\n").unwrap_or((&heard, ""));
            assert_eq!(first, text);
            heard = rest.to_owned();
        }
    }
    assert_eq!(heard, "", "said at the end");
}

pub(super) fn dialogue(profile: Profile, script: &str) -> Session {
    let mut session = Session::new(profile);
    let greeting = String::from_utf8(session.out.clone()).unwrap();
    talk(&mut session, greeting, script);
    session
}
