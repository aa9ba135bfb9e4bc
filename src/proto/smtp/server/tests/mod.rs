//! The machine as a peer sees it: dialogues, smuggling, splits.

mod auth;
mod dialogue;
mod limits;
mod smuggling;
mod splits;

use std::{rc::Rc, sync::LazyLock};

use super::{Answer, Limits, LineEndings, Profile, Protocol, Question, Server, Step};
use crate::{
    sasl::{self, Mechanism, Nonce, Proof, ScramSecrets},
    types::{Enhanced, Envelope, Moment, Reply, Timestamp},
};

/// Of `tim`, whose password is `secret`.
static SECRETS: LazyLock<ScramSecrets> = LazyLock::new(|| {
    ScramSecrets::derive("secret", b"0123456789abcdef", 4096).expect("a password")
});

/// A machine and a driver that keeps what comes.
pub(super) struct Session {
    pub server: Server,
    /// Everything said.
    pub out: Vec<u8>,
    /// Every message that was committed.
    pub messages: Vec<(Envelope, Vec<u8>)>,
    /// The questions, in order.
    pub asked: Vec<Question>,
    pub now: Moment,
    pub closed: bool,
    pub upgrading: bool,
    /// What to say to `Commit`.
    pub commit: Answer,
    body: Vec<u8>,
    waiting: Vec<u8>,
}

impl Session {
    pub fn new(profile: Profile) -> Self {
        let mut server = Server::new(Rc::new(profile), Moment(0));
        let mut out = Vec::new();
        assert_eq!(server.greet(Moment(0), &mut out), Step::NeedInput);
        Self {
            server,
            out,
            messages: Vec::new(),
            asked: Vec::new(),
            now: Moment(0),
            closed: false,
            upgrading: false,
            commit: Answer::Queued("ID".into()),
            body: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// What the driver says: recipients and senders named `refused`, `busy` are.
    fn decide(&mut self, question: Question) -> Answer {
        let who = match question {
            Question::Sender => self.server.sender(),
            Question::Recipient => self.server.candidate().map(|candidate| &candidate.address),
            Question::Data => {
                self.body.clear();
                None
            }
            Question::Authenticate => return self.judge(),
            Question::Commit => {
                let envelope = self.server.take_envelope(Timestamp(7), "test");
                assert_eq!(envelope.size, self.body.len() as u64);
                self.messages.push((envelope, std::mem::take(&mut self.body)));
                return self.commit.clone();
            }
        };
        match who.map(|address| address.local()) {
            Some("refused") => Answer::Refuse(Reply::new(550, Enhanced(5, 1, 1), "No such user")),
            Some("busy") => Answer::Refuse(Reply::new(451, Enhanced(4, 2, 1), "Try later")),
            _ => Answer::Accept,
        }
    }

    /// `tim` has the password `secret`, `busy` cannot be looked up, a locked account says so.
    fn judge(&self) -> Answer {
        Answer::Proof(match self.server.proof() {
            Some(Proof::Secrets { authentication }) => {
                let secrets = match &**authentication {
                    "tim" => SECRETS.clone(),
                    name => ScramSecrets::decoy(b"", name, 4096),
                };
                sasl::Answer::Secrets(Box::new(secrets), Nonce::new(&[3; 18]))
            }
            Some(Proof::Password { identity, password }) => {
                match (&*identity.authentication, password.as_str()) {
                    ("busy", _) => sasl::Answer::Unavailable,
                    ("locked", _) => return Answer::Refuse(LOCKED),
                    ("tim", "secret") => sasl::Answer::Granted,
                    _ => sasl::Answer::Denied,
                }
            }
            Some(Proof::Scram { .. } | Proof::Certificate { .. }) => sasl::Answer::Granted,
            None => panic!("asked about nothing"),
        })
    }

    fn answer(&mut self, question: Question) {
        self.asked.push(question);
        let answer = self.decide(question);
        match self.server.answer(self.now, answer, &mut self.out) {
            Step::NeedInput => {}
            Step::Ask(next) => self.answer(next),
            Step::Close => self.closed = true,
            other => panic!("{other:?} after an answer"),
        }
    }

    /// Feeds `input` as one read, with what was left before it; returns what was said to it.
    pub fn feed(&mut self, input: &[u8]) -> String {
        let from = self.out.len();
        let mut buffer = std::mem::take(&mut self.waiting);
        buffer.extend_from_slice(input);
        let mut rest = &buffer[..];
        while !self.closed && !self.upgrading {
            let (used, step) = self.server.feed(self.now, rest, &mut self.out);
            rest = &rest[used..];
            match step {
                Step::NeedInput => break,
                Step::Ask(question) => self.answer(question),
                Step::Body(piece) => {
                    assert!(!piece.is_empty(), "an empty piece");
                    self.body.extend_from_slice(piece);
                }
                Step::Upgrade => self.upgrading = true,
                Step::Close => self.closed = true,
            }
        }
        self.waiting = rest.to_vec();
        String::from_utf8(self.out[from..].to_vec()).unwrap()
    }

    /// The codes of all that was said, one a reply.
    pub fn codes(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.out)
            .lines()
            .filter(|line| line.as_bytes().get(3) == Some(&b' '))
            .map(|line| line[..3].to_owned())
            .collect()
    }
}

pub(super) fn profile() -> Profile {
    Profile { hostname: "mx.example.org".into(), ..Profile::default() }
}

/// RFC 5248: X.7.13.
const LOCKED: Reply = Reply::new(525, Enhanced(5, 7, 13), "Account is disabled");

/// All mechanisms, also in the clear.
pub(super) fn authenticating() -> Profile {
    Profile {
        mechanisms: Mechanism::ALL.into_iter().collect(),
        auth_in_the_clear: true,
        ..profile()
    }
}

pub(super) fn lmtp() -> Profile {
    Profile { protocol: Protocol::Lmtp, ..profile() }
}

pub(super) fn fixing() -> Profile {
    Profile { line_endings: LineEndings::Fix, ..profile() }
}

/// `C:` lines are fed, `S:` lines are expected; `S:` lines follow the `C:` lines they answer.
pub(super) fn dialogue(profile: Profile, script: &str) -> Session {
    let mut session = Session::new(profile);
    let mut heard = String::from_utf8(session.out.clone()).unwrap();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (who, text) = line.split_at(2);
        let text = text.strip_prefix(' ').unwrap_or(text);
        if who == "C:" {
            assert_eq!(heard, "", "said before {line:?}");
            heard.push_str(&session.feed(format!("{text}\r\n").as_bytes()));
        } else {
            let (first, rest) = heard.split_once("\r\n").unwrap_or((&heard, ""));
            assert_eq!(first, text);
            heard = rest.to_owned();
        }
    }
    assert_eq!(heard, "", "said at the end");
    session
}
