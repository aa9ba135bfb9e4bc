//! An IMAP client of the few commands that are measured (RFC 9051): commands out, tagged replies in.
//!
//! A command that the server answers NO or BAD is an error that holds the answer; so is a reply that is none.

use std::{io, io::Write, sync::Arc};

use rustls::{ClientConfig, pki_types::ServerName};

use super::{
    malformed,
    order::Order,
    replies::{Kind, Replies, Reply},
};
use crate::{source::Security, wire::Wire};

/// See the module.
pub struct Imap {
    wire: Wire,
    replies: Replies,
    /// The number of the last tag.
    tag: u64,
    out: Vec<u8>,
    /// Whether literals need not wait for `+` (RFC 7888).
    literal_plus: bool,
}

impl Imap {
    /// Connects and logs in.
    pub async fn open(
        order: &Order,
        tls: Option<&Arc<ClientConfig>>,
        account: usize,
    ) -> io::Result<Self> {
        let to = order.servers.imap;
        let wire = Wire::connect(to, order.patience).await?;
        let (replies, out) = (Replies::default(), Vec::new());
        let mut this = Self { wire, replies, tag: 0, out, literal_plus: false };
        let tls = || tls.cloned().ok_or(io::ErrorKind::Unsupported);
        if order.security == Security::Implicit {
            this.wire.secure(tls()?, ServerName::from(to.ip())).await?;
        }
        this.read().await?;
        let greeting = this.replies.reply();
        if !greeting.text.to_ascii_uppercase().starts_with(b"* OK") {
            return Err(malformed(format!("greeted with {}", words(greeting.text))));
        }
        let mut initial = holds(greeting.text, b"SASL-IR");
        if order.security == Security::Starttls {
            this.run(b"STARTTLS", |_| {}).await?;
            this.wire.secure(tls()?, ServerName::from(to.ip())).await?;
            // What was offered in the clear counts no more (RFC 9051 §11.1).
            initial = false;
        }
        this.log_in(order, account, initial).await?;
        Ok(this)
    }

    async fn log_in(&mut self, order: &Order, account: usize, initial: bool) -> io::Result<()> {
        let (user, password) = (order.name(account), &order.password);
        let command = if initial {
            let secret = format!("\0{user}\0{password}");
            let secret = data_encoding::BASE64.encode(secret.as_bytes());
            format!("AUTHENTICATE PLAIN {secret}")
        } else {
            let quoted = |text: &str| text.replace('\\', r"\\").replace('"', "\\\"");
            format!("LOGIN \"{}\" \"{}\"", quoted(&user), quoted(password))
        };
        let mut literal_plus = false;
        let note = |reply: &Reply<'_>| literal_plus |= holds(reply.text, b"LITERAL+");
        self.run(command.as_bytes(), note).await?;
        self.literal_plus = literal_plus || holds(self.replies.reply().text, b"LITERAL+");
        Ok(())
    }

    /// Says a command and waits for its answer; `each` sees every untagged reply.
    pub async fn run(&mut self, command: &[u8], each: impl FnMut(&Reply<'_>)) -> io::Result<()> {
        self.begin(command);
        self.out.extend_from_slice(b"\r\n");
        self.flush().await?;
        self.answered(self.tag, command, each).await
    }

    /// Puts messages into a folder, one command each, all on their way before the first answer where literals need not wait.
    pub async fn append<'a>(
        &mut self,
        folder: &str,
        messages: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<()> {
        const NAME: &[u8] = b"APPEND";
        let first = self.tag + 1;
        for message in messages {
            let plus = if self.literal_plus { "+" } else { "" };
            self.begin(format!("APPEND {folder} {{{}{plus}}}\r\n", message.len()).as_bytes());
            if !self.literal_plus {
                self.flush().await?;
                self.invited(NAME).await?;
            }
            self.out.extend_from_slice(message);
            self.out.extend_from_slice(b"\r\n");
            if !self.literal_plus {
                self.flush().await?;
                self.answered(self.tag, NAME, |_| {}).await?;
            }
        }
        if !self.literal_plus {
            return Ok(());
        }
        self.flush().await?;
        for tag in first..=self.tag {
            self.answered(tag, NAME, |_| {}).await?;
        }
        Ok(())
    }

    /// Begins to IDLE (RFC 2177).
    pub async fn idle(&mut self) -> io::Result<()> {
        self.begin(b"IDLE\r\n");
        self.flush().await?;
        self.invited(b"IDLE").await
    }

    /// Waits for the next EXISTS of a session that idles.
    pub async fn hear(&mut self) -> io::Result<u32> {
        loop {
            self.read().await?;
            if let Some((count, _)) = self.replies.reply().numbered(b"EXISTS") {
                return Ok(count);
            }
        }
    }

    /// Messages in a folder (STATUS).
    pub async fn count(&mut self, folder: &str) -> io::Result<u64> {
        let mut found = None;
        let command = format!("STATUS {folder} (MESSAGES)");
        self.run(command.as_bytes(), |reply| found = messages_of(reply.text).or(found)).await?;
        found.ok_or_else(|| malformed("STATUS without MESSAGES"))
    }

    /// Says LOGOUT and waits for the answer.
    pub async fn log_out(mut self) -> io::Result<()> {
        self.run(b"LOGOUT", |_| {}).await
    }

    /// A tag and the start of a command.
    fn begin(&mut self, command: &[u8]) {
        self.tag += 1;
        // Writing into memory cannot fail.
        let _ = write!(self.out, "a{} ", self.tag);
        self.out.extend_from_slice(command);
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.wire.send(&self.out).await?;
        self.out.clear();
        Ok(())
    }

    /// Waits until a reply is whole.
    async fn read(&mut self) -> io::Result<()> {
        loop {
            if self.wire.input().is_empty() && self.wire.fill().await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server hung up"));
            }
            let (used, whole) = self.replies.feed(self.wire.input())?;
            self.wire.consume(used);
            if whole {
                return Ok(());
            }
        }
    }

    /// Waits for `+`.
    async fn invited(&mut self, command: &[u8]) -> io::Result<()> {
        loop {
            self.read().await?;
            match self.replies.reply().kind() {
                Some(Kind::Continue) => return Ok(()),
                Some(Kind::Untagged(_)) => {}
                _ => return Err(self.refusal(command)),
            }
        }
    }

    /// Waits for the answer to the command of this tag.
    async fn answered(
        &mut self,
        tag: u64,
        command: &[u8],
        mut each: impl FnMut(&Reply<'_>),
    ) -> io::Result<()> {
        let expected = format!("a{tag}");
        loop {
            self.read().await?;
            let reply = self.replies.reply();
            match reply.kind() {
                Some(Kind::Untagged(_)) => each(&reply),
                Some(Kind::Tagged(tag, true, _)) if tag == expected.as_bytes() => return Ok(()),
                _ => return Err(self.refusal(command)),
            }
        }
    }

    /// The last reply as an error, with the name of the command but none of its secrets.
    fn refusal(&self, command: &[u8]) -> io::Error {
        let name = command.split(|byte| *byte == b' ').next().unwrap_or_default();
        let text = self.replies.reply().text;
        malformed(format!("{} was answered {}", words(name), words(text)))
    }
}

/// `MESSAGES 7` within a STATUS reply.
fn messages_of(text: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"MESSAGES ";
    let rest = &text[memchr::memmem::find(text, NAME)? + NAME.len()..];
    let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

fn holds(text: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(text, word).is_some()
}

/// The start of a stranger's text without its tag's number, which would make every failure one of its own.
fn words(text: &[u8]) -> String {
    const MAX: usize = 200;
    let text = match text.split_first() {
        Some((b'a', rest)) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits > 0 { rest[digits..].trim_ascii_start() } else { text }
        }
        _ => text,
    };
    String::from_utf8_lossy(&text[..text.len().min(MAX)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_texts_are_read() {
        assert_eq!(messages_of(b"* STATUS INBOX (MESSAGES 231 UIDNEXT 4)"), Some(231));
        assert_eq!(messages_of(b"* STATUS INBOX (UIDNEXT 4)"), None);
        assert_eq!(words(b"a17 NO [LIMIT] later"), "NO [LIMIT] later");
        assert_eq!(words(b"all is well"), "all is well");
    }
}
