//! A client's side of one connection: commands out, replies in (RFC 5321, 2920, 3030, 2033, 4954, 3207).
//!
//! Replies are read to their last line; only a refusal's text is looked at. A reply that is no reply, or one of more
//! than [`REPLY_MAX`] octets, ends the connection.

use std::{io, sync::Arc};

use rustls::{ClientConfig, pki_types::ServerName};

use super::load::{Load, Login, Security};
use crate::{message::now_us, stage::Stage, wire::Wire};

/// Octets of one reply, all its lines.
const REPLY_MAX: usize = 64 << 10;

/// A server's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply(pub u16);

impl Reply {
    /// 2xx.
    pub fn is_positive(self) -> bool {
        (200..300).contains(&self.0)
    }
}

/// What the server said to EHLO.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offers {
    pub pipelining: bool,
    pub chunking: bool,
    pub eight_bit: bool,
    pub size: bool,
    starttls: bool,
    plain: bool,
    login: bool,
}

/// See the module.
pub struct Dialogue {
    wire: Wire,
    /// Commands on their way.
    pub out: Vec<u8>,
    /// The last reply that was not positive, or the one to EHLO.
    text: Vec<u8>,
    /// What the server offers.
    pub offers: Offers,
}

/// Why no session came to be.
pub enum Closed {
    /// The connection failed.
    Broken(io::Error),
    /// The server said no.
    Refused(Stage, u16, Vec<u8>),
}

impl From<io::Error> for Closed {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl Dialogue {
    /// Connects and goes as far as MAIL may be said.
    pub async fn open(load: &Load, tls: Option<&Arc<ClientConfig>>) -> Result<Self, Closed> {
        let wire = Wire::connect(load.to, load.patience).await?;
        let mut this = Self { wire, out: Vec::new(), text: Vec::new(), offers: Offers::default() };
        if let Some(kind) = load.proxy {
            let header = super::proxy::header(kind, load.to, now_us())?;
            this.wire.send(&header).await?;
        }
        if load.security == Security::Implicit {
            this.start_tls(load, tls).await?;
        }
        let greeting = this.reply().await?;
        this.must(Stage::Greeting, greeting)?;
        this.hello(load.lmtp).await?;
        if load.security == Security::Starttls {
            if !this.offers.starttls {
                return Err(Closed::Refused(Stage::Tls, 502, b"STARTTLS is not offered".to_vec()));
            }
            let reply = this.ask(b"STARTTLS\r\n").await?;
            this.must(Stage::Tls, reply)?;
            this.start_tls(load, tls).await?;
            this.hello(load.lmtp).await?;
        }
        if let Some(login) = &load.login {
            this.log_in(login).await?;
        }
        Ok(this)
    }

    async fn start_tls(&mut self, load: &Load, tls: Option<&Arc<ClientConfig>>) -> io::Result<()> {
        let config = tls.cloned().ok_or(io::ErrorKind::Unsupported)?;
        let name = ServerName::from(load.to.ip());
        self.wire.secure(config, name).await
    }

    async fn hello(&mut self, lmtp: bool) -> Result<(), Closed> {
        let command: &[u8] = if lmtp { b"LHLO source.test\r\n" } else { b"EHLO source.test\r\n" };
        let reply = self.ask(command).await?;
        self.must(Stage::Hello, reply)?;
        self.offers = Offers::read(&self.text);
        Ok(())
    }

    async fn log_in(&mut self, login: &Login) -> Result<(), Closed> {
        use data_encoding::BASE64;
        let Login { user, password } = login;
        let reply = if self.offers.plain {
            let secret = BASE64.encode(format!("\0{user}\0{password}").as_bytes());
            self.ask(format!("AUTH PLAIN {secret}\r\n").as_bytes()).await?
        } else if self.offers.login {
            let mut reply = self.ask(b"AUTH LOGIN\r\n").await?;
            for word in [user, password] {
                if reply != Reply(334) {
                    break;
                }
                let word = BASE64.encode(word.as_bytes());
                reply = self.ask(format!("{word}\r\n").as_bytes()).await?;
            }
            reply
        } else {
            let text = b"neither AUTH PLAIN nor LOGIN is offered (some servers want TLS for it)";
            return Err(Closed::Refused(Stage::Auth, 502, text.to_vec()));
        };
        self.must(Stage::Auth, reply)
    }

    fn must(&self, stage: Stage, reply: Reply) -> Result<(), Closed> {
        if reply.is_positive() {
            return Ok(());
        }
        Err(Closed::Refused(stage, reply.0, self.text.clone()))
    }

    async fn ask(&mut self, command: &[u8]) -> io::Result<Reply> {
        self.wire.send(command).await?;
        self.reply().await
    }

    /// Sends what was written to `out`.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.wire.send(&self.out).await?;
        self.out.clear();
        Ok(())
    }

    /// Sends what was written to `out`, then `body`: in one go when it is small.
    pub async fn flush_with(&mut self, body: &[u8]) -> io::Result<()> {
        const TOGETHER: usize = 32 << 10;
        let (first, rest) = body.split_at(body.len().min(TOGETHER));
        self.out.extend_from_slice(first);
        self.flush().await?;
        if rest.is_empty() { Ok(()) } else { self.wire.send(rest).await }
    }

    /// Waits for the next reply.
    pub async fn reply(&mut self) -> io::Result<Reply> {
        self.text.clear();
        let mut seen = 0;
        loop {
            let input = self.wire.input();
            let Some(end) = memchr::memchr(b'\n', &input[seen..]).map(|at| seen + at + 1) else {
                seen = input.len();
                if seen > REPLY_MAX {
                    return Err(malformed("a line without end"));
                }
                if self.wire.fill().await? == 0 {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server hung up"));
                }
                continue;
            };
            let line = &input[..end];
            let code = code_of(line).ok_or_else(|| malformed(&String::from_utf8_lossy(line)))?;
            let more = line.get(3) == Some(&b'-');
            if more || !(200..400).contains(&code) || !self.text.is_empty() {
                self.text.extend_from_slice(line);
            }
            self.wire.consume(end);
            seen = 0;
            if !more {
                return Ok(Reply(code));
            }
            if self.text.len() > REPLY_MAX {
                return Err(malformed("a reply without end"));
            }
        }
    }

    /// The last refusal's text.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Says QUIT and waits for the answer.
    pub async fn quit(mut self) -> io::Result<()> {
        self.ask(b"QUIT\r\n").await.map(|_| ())
    }

    /// Waits until the server says something unasked, or hangs up.
    pub async fn listen(&mut self) -> io::Result<()> {
        while self.wire.fill().await? > 0 {
            let all = self.wire.input().len();
            self.wire.consume(all);
        }
        Ok(())
    }
}

fn code_of(line: &[u8]) -> Option<u16> {
    let digits = line.get(..3)?;
    let known =
        digits[0].is_ascii_digit() && matches!(line.get(3), Some(b' ' | b'-' | b'\r' | b'\n'));
    if known { std::str::from_utf8(digits).ok()?.parse().ok() } else { None }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no SMTP reply: {}", what.trim_end()))
}

impl Offers {
    fn read(reply: &[u8]) -> Self {
        let mut offers = Self::default();
        for line in reply.split(|byte| *byte == b'\n').skip(1) {
            let line =
                String::from_utf8_lossy(line.get(4..).unwrap_or_default()).to_ascii_uppercase();
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("PIPELINING") => offers.pipelining = true,
                Some("CHUNKING") => offers.chunking = true,
                Some("8BITMIME") => offers.eight_bit = true,
                Some("SIZE") => offers.size = true,
                Some("STARTTLS") => offers.starttls = true,
                Some("AUTH") => {
                    for mechanism in words {
                        offers.plain |= mechanism == "PLAIN";
                        offers.login |= mechanism == "LOGIN";
                    }
                }
                _ => {}
            }
        }
        offers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read() {
        let offers =
            Offers::read(b"250-x.test\r\n250-PIPELINING\r\n250-AUTH LOGIN PLAIN\r\n250 SIZE 9\r\n");
        assert!(offers.pipelining && offers.plain && offers.login && offers.size);
        assert!(!offers.chunking && !offers.starttls);
    }

    #[test]
    fn codes_are_three_digits_and_a_separator() {
        assert_eq!(code_of(b"250 ok\r\n"), Some(250));
        assert_eq!(code_of(b"354\r\n"), Some(354));
        assert_eq!(code_of(b"250ok\r\n"), None);
        assert_eq!(code_of(b"+OK\r\n"), None);
        assert_eq!(code_of(b"2\n"), None);
    }
}
