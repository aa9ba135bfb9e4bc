//! A whole POP3 session (RFC 1939): login, STAT, UIDL, RETR of all messages, QUIT.
//!
//! One command after the other, as most clients do. Bodies are counted with their dots undone, line by line where they lie.

use std::{io, sync::Arc};

use rustls::{ClientConfig, pki_types::ServerName};

use super::{malformed, order::Order};
use crate::{source::Security, wire::Wire};

/// Octets of one line.
const LINE_MAX: usize = 64 << 10;

/// See the module.
struct Pop3 {
    wire: Wire,
}

/// What a multi-line reply held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    lines: u64,
    /// With line ends, dots undone.
    octets: u64,
}

/// What a session found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// Messages of the right size.
    pub whole: u64,
    /// Messages of another.
    pub changed: u64,
    /// Octets of all of them.
    pub octets: u64,
}

/// One session.
pub async fn session(
    order: &Order,
    tls: Option<&Arc<ClientConfig>>,
    account: usize,
) -> io::Result<Found> {
    let to = order.servers.pop3;
    let mut pop3 = Pop3 { wire: Wire::connect(to, order.patience).await? };
    let tls = || tls.cloned().ok_or(io::ErrorKind::Unsupported);
    if order.security == Security::Implicit {
        pop3.wire.secure(tls()?, ServerName::from(to.ip())).await?;
    }
    pop3.line("the greeting").await?;
    if order.security == Security::Starttls {
        pop3.ask("STLS").await?;
        pop3.wire.secure(tls()?, ServerName::from(to.ip())).await?;
    }
    pop3.ask(&format!("USER {}", order.name(account))).await?;
    pop3.ask(&format!("PASS {}", order.password)).await?;
    let count = pop3.stat().await?;
    pop3.ask("UIDL").await?;
    let listed = pop3.held().await?.lines;
    if count != u64::from(order.messages) || listed != count {
        let wanted = order.messages;
        return Err(malformed(format!("{wanted} messages, but STAT {count}, UIDL {listed}")));
    }
    let mut found = Found::default();
    for number in 1..=order.messages {
        pop3.ask(&format!("RETR {number}")).await?;
        let octets = pop3.held().await?.octets;
        let is_whole = octets == order.octets(number);
        *(if is_whole { &mut found.whole } else { &mut found.changed }) += 1;
        found.octets += octets;
    }
    pop3.ask("QUIT").await?;
    Ok(found)
}

impl Pop3 {
    async fn ask(&mut self, command: &str) -> io::Result<()> {
        self.say(command).await?;
        self.line(name(command)).await.map(|_| ())
    }

    async fn say(&mut self, command: &str) -> io::Result<()> {
        self.wire.send(format!("{command}\r\n").as_bytes()).await
    }

    /// Messages in the maildrop.
    async fn stat(&mut self) -> io::Result<u64> {
        self.say("STAT").await?;
        let line = self.line("STAT").await?;
        let count = line.split(' ').nth(1).and_then(|word| word.parse().ok());
        count.ok_or_else(|| malformed(format!("STAT was answered {line}")))
    }

    /// A line that must say `+OK`.
    async fn line(&mut self, command: &str) -> io::Result<String> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', self.wire.input()) {
                let line = String::from_utf8_lossy(&self.wire.input()[..end]).trim_end().to_owned();
                self.wire.consume(end + 1);
                return match line.starts_with("+OK") {
                    true => Ok(line),
                    false => Err(malformed(format!("{command} was answered {line}"))),
                };
            }
            self.fill().await?;
        }
    }

    /// The lines behind a `+OK`, up to the lone dot.
    async fn held(&mut self) -> io::Result<Held> {
        let mut held = Held::default();
        loop {
            let (used, ended) = held.take(self.wire.input());
            self.wire.consume(used);
            if ended {
                return Ok(held);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        if self.wire.input().len() > LINE_MAX {
            return Err(malformed("a line without end"));
        }
        match self.wire.fill().await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server hung up")),
            _ => Ok(()),
        }
    }
}

/// The command's name: what follows may be a password.
fn name(command: &str) -> &str {
    command.split(' ').next().unwrap_or_default()
}

impl Held {
    /// Counts whole lines: octets that were used, and whether the lone dot was among them.
    fn take(&mut self, input: &[u8]) -> (usize, bool) {
        let mut used = 0;
        while let Some(end) = memchr::memchr(b'\n', &input[used..]) {
            let line = &input[used..=used + end];
            used += line.len();
            if line == b".\r\n" {
                return (used, true);
            }
            self.lines += 1;
            self.octets += line.len() as u64 - u64::from(line[0] == b'.');
        }
        (used, false)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proto::text::stuff_dots;

    use super::*;

    #[test]
    fn what_follows_the_lone_dot_is_left() {
        let mut held = Held::default();
        assert_eq!(held.take(b"a\r\n..b\r\n.\r\n+OK\r\n"), (11, true));
        assert_eq!(held, Held { lines: 2, octets: 7 });
    }

    proptest! {
        #[test]
        fn stuffed_bodies_count_as_they_were(
            body in "(\\.{0,3}[a-c]{0,3}\r\n){0,12}", at in 0usize..80,
        ) {
            let mut wire = stuff_dots(body.as_bytes()).into_owned();
            wire.extend_from_slice(b".\r\n");
            let mut held = Held::default();
            let (used, ended) = held.take(&wire[..at.min(wire.len())]);
            prop_assert!(ended || held.take(&wire[used..]).1);
            prop_assert_eq!(held.octets, body.len() as u64);
        }
    }
}
