//! The machine as a client sees it: dialogues, literals, limits, splits.

mod append;
mod dialogue;
mod limits;
mod login;
mod mailbox;
mod splits;

use std::{rc::Rc, sync::LazyLock};

use super::*;
use crate::{
    imap::respond::Code,
    sasl::{Mechanism, Nonce, Proof, ScramSecrets},
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
    /// What was asked and passed on, in order; pieces of one literal joined.
    pub asked: Vec<String>,
    /// Messages that were appended.
    pub appended: Vec<Vec<u8>>,
    pub now: Moment,
    pub end: Option<&'static str>,
    /// What is said to who has proved who they are.
    pub entry: Answer,
    staged: Vec<Vec<u8>>,
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
            asked: Vec::new(),
            appended: Vec::new(),
            now: Moment(0),
            end: None,
            entry: Answer::Accept,
            staged: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Behind a login; what was said so far is gone.
    pub fn logged_in(profile: Profile) -> Self {
        let mut session = Self::new(profile);
        let said = session.say("A LOGIN tim secret");
        assert!(said.starts_with("A OK [CAPABILITY IMAP4rev1 "), "{said}");
        session.forget();
        session
    }

    /// Behind `SELECT`.
    pub fn selected(profile: Profile) -> Self {
        let mut session = Self::logged_in(profile);
        session.say("A SELECT INBOX");
        assert!(session.server.is_selected());
        session.forget();
        session
    }

    fn forget(&mut self) {
        self.out.clear();
        self.asked.clear();
    }

    fn answer(&mut self, question: Question) {
        let (now, out) = (self.now, &mut self.out);
        let step = match question {
            Question::Authenticate => {
                self.asked.push(format!("{:?}", self.server.proof().expect("a proof")));
                let answer = judge(&self.server);
                self.server.answer(now, answer, out)
            }
            Question::Enter => self.server.answer(now, self.entry.clone(), out),
            Question::Compress => self.server.answer(now, Answer::Accept, out),
            Question::Command => {
                let command = self.server.take_command().expect("a command");
                self.asked.push(format!("{command:?}"));
                let completion = mailbox::execute(&command, &self.server, out);
                self.server.finish(now, &completion, out)
            }
            Question::Message => {
                let message = self.server.message().expect("a message");
                self.asked.push(format!("{message:?}"));
                if message.first {
                    self.staged.clear();
                }
                self.staged.push(Vec::new());
                let answer = match message.mailbox.as_str() {
                    "missing" => {
                        Answer::Refuse(Completion::no("No such mailbox").with(Code::TryCreate))
                    }
                    _ => Answer::Accept,
                };
                self.server.answer(now, answer, out)
            }
            Question::Append => {
                self.asked.push("Append".into());
                self.appended.append(&mut self.staged);
                self.server.finish(now, &Completion::ok("Appended"), out)
            }
        };
        match step {
            Step::NeedInput => {}
            Step::Ask(next) => self.answer(next),
            Step::Compress => self.end = Some("compress"),
            Step::Close => self.end = Some("close"),
            other => panic!("{other:?} after an answer"),
        }
    }

    /// Feeds `input` as one read, with what was left before it; returns what was said to it.
    pub fn feed(&mut self, input: &[u8]) -> String {
        let from = self.out.len();
        let mut buffer = std::mem::take(&mut self.waiting);
        buffer.extend_from_slice(input);
        let mut rest = &buffer[..];
        while self.end.is_none() {
            let (used, step) = self.server.feed(self.now, rest, &mut self.out);
            rest = &rest[used..];
            match step {
                Step::NeedInput | Step::Idle => break,
                Step::Ask(question) => self.answer(question),
                Step::Literal(piece) => {
                    assert!(!piece.is_empty(), "an empty piece");
                    self.staged.last_mut().expect("a message").extend_from_slice(piece);
                }
                Step::Upgrade => self.end = Some("upgrade"),
                Step::Compress => self.end = Some("compress"),
                Step::Close => self.end = Some("close"),
            }
        }
        self.waiting = rest.to_vec();
        String::from_utf8_lossy(&self.out[from..]).into_owned()
    }

    /// Feeds one line.
    pub fn say(&mut self, line: &str) -> String {
        self.feed(format!("{line}\r\n").as_bytes())
    }

    /// What the handshake does.
    pub fn secure(&mut self, channel: Channel) {
        assert_eq!(self.end.take(), Some("upgrade"));
        self.server.upgraded();
        self.server.set_channel(channel);
    }
}

/// `tim` has the password `secret`, `busy` cannot be looked up, a locked account says so.
pub(super) fn judge(server: &Server) -> Answer {
    Answer::Proof(match server.proof() {
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
                ("locked", _) => {
                    let reply = Completion::no("Account is disabled").with(Code::ContactAdmin);
                    return Answer::Refuse(reply);
                }
                ("tim", "secret") => sasl::Answer::Granted,
                _ => sasl::Answer::Denied,
            }
        }
        Some(Proof::Scram { .. } | Proof::Certificate { .. }) => sasl::Answer::Granted,
        None => panic!("asked about nothing"),
    })
}

/// All mechanisms, also in the clear.
pub(super) fn profile() -> Profile {
    Profile {
        hostname: "mail.example.org".into(),
        mechanisms: Mechanism::ALL.into_iter().collect(),
        auth_in_the_clear: true,
        starttls: true,
        compress: true,
        ..Profile::default()
    }
}

/// `C:` lines are fed, `S:` lines are expected; `S:` lines follow the `C:` lines they answer. A line
/// of `S:` that ends in `…` is only the start of what is said.
pub(super) fn dialogue(session: &mut Session, script: &str) {
    let mut heard = String::new();
    for line in script.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
        let (who, text) = line.split_at(2);
        let text = text.strip_prefix(' ').unwrap_or(text);
        if who == "C:" {
            assert_eq!(heard, "", "said before {line:?}");
            heard.push_str(&session.say(text));
        } else {
            let (first, rest) = heard.split_once("\r\n").unwrap_or((&heard, ""));
            match text.strip_suffix('…') {
                Some(start) => assert!(first.starts_with(start), "{first}, not {text}"),
                None => assert_eq!(first, text),
            }
            heard = rest.to_owned();
        }
    }
    assert_eq!(heard, "", "said at the end");
}
