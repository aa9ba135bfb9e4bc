//! A next hop's side of one connection (RFC 5321, 2920, 3030, 2033, 3207).
//!
//! A message counts as taken when it was handed to the inbox, which is before its 250 is sent. Pipelined commands are answered in one
//! send. Lines of more than [`LINE_MAX`] octets and messages of more than [`MESSAGE_MAX`] end the connection.

use std::{io, rc::Rc, time::Duration};

use glommio::timer::sleep;
use memchr::{memchr, memmem};

use super::{
    House, Site,
    inbox::{Delivery, Envelope},
    rules::Whim,
};
use crate::{message::now_us, stage::Stage, wire::Wire};

/// Octets of a command line; RFC 5321 §4.5.3.1.4 asks for 512 and extensions for more.
const LINE_MAX: usize = 8 << 10;
/// Octets of a message.
const MESSAGE_MAX: usize = 256 << 20;

const OFFERS: [&str; 7] = [
    "PIPELINING",
    "SIZE 268435456",
    "8BITMIME",
    "SMTPUTF8",
    "CHUNKING",
    "DSN",
    "ENHANCEDSTATUSCODES",
];

/// See the module.
pub struct Session {
    house: Rc<House>,
    site: Rc<Site>,
    wire: Wire,
    connection: u64,
    out: Vec<u8>,
    line: Vec<u8>,
    envelope: Envelope,
    in_transaction: bool,
    chunks: Vec<u8>,
    messages: u64,
    silent: bool,
}

/// Code and words.
type Refusal = (u16, Option<String>);

/// What follows a command.
#[derive(PartialEq, Eq)]
enum Next {
    Command,
    Close,
}

impl Session {
    pub fn new(house: Rc<House>, site: Rc<Site>, wire: Wire, connection: u64) -> Self {
        Self {
            house,
            site,
            wire,
            connection,
            out: Vec::new(),
            line: Vec::new(),
            envelope: Envelope::default(),
            in_transaction: false,
            chunks: Vec::new(),
            messages: 0,
            silent: false,
        }
    }

    /// Serves it to its end.
    pub async fn serve(mut self) -> io::Result<()> {
        if !self.answer(Stage::Greeting, "220 sink.test ESMTP ready").await? {
            return self.flush().await;
        }
        loop {
            if !self.read_line().await? {
                return Ok(());
            }
            let line = std::mem::take(&mut self.line);
            let next = self.command(&line).await;
            self.line = line;
            if next? == Next::Close {
                return self.flush().await;
            }
        }
    }

    /// The next line, without its end; `false` when there is none. Replies go out before it waits.
    async fn read_line(&mut self) -> io::Result<bool> {
        loop {
            if let Some(end) = memchr(b'\n', self.wire.input()) {
                self.line.clear();
                self.line.extend_from_slice(self.wire.input()[..end].trim_ascii_end());
                self.wire.consume(end + 1);
                return Ok(true);
            }
            if self.wire.input().len() > LINE_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.flush().await?;
            if self.wire.fill().await? == 0 {
                return Ok(false);
            }
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.silent {
            self.out.clear();
        }
        if !self.out.is_empty() {
            self.wire.send(&self.out).await?;
            self.out.clear();
        }
        Ok(())
    }

    fn say(&mut self, reply: &str) {
        self.out.extend_from_slice(reply.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    /// Gives the usual answer, or what the site's rules want instead; `false` when that is a refusal.
    async fn answer(&mut self, stage: Stage, usual: &str) -> io::Result<bool> {
        if self.site.is_kind {
            self.say(usual);
            return Ok(true);
        }
        match self.whim(stage).await? {
            None => {
                self.say(usual);
                Ok(true)
            }
            Some(refusal) => {
                self.refuse(stage, &refusal);
                Ok(false)
            }
        }
    }

    /// Waits, falls silent or hangs up as the rules say; code and words when they refuse.
    async fn whim(&mut self, stage: Stage) -> io::Result<Option<Refusal>> {
        let site = Rc::clone(&self.site);
        if site.manners.rules.stall.is_some_and(|from| stage >= from) {
            self.flush().await?;
            self.silent = true;
        }
        let delay = self.house.with_random(|random| site.manners.delay(stage, random));
        if let Some(delay) = delay {
            self.flush().await?;
            sleep(delay).await;
        }
        match self.house.with_random(|random| site.manners.whim(stage, &self.line, random)) {
            Some(Whim::HangUp) => Err(io::ErrorKind::ConnectionAborted.into()),
            Some(Whim::Refuse(code, text)) => Ok(Some((code, text))),
            None => Ok(None),
        }
    }

    fn refuse(&mut self, stage: Stage, (code, text): &Refusal) {
        self.house.tally.refuse(stage, *code);
        let reply = match text {
            Some(text) => format!("{code} {text}"),
            None => {
                format!("{code} {}.3.0 refused at {stage}, as the sink's rules want it", code / 100)
            }
        };
        self.say(&reply);
    }

    async fn command(&mut self, line: &[u8]) -> io::Result<Next> {
        if !self.site.is_kind {
            // The rules' texts are matched against this.
            self.line.extend_from_slice(line);
        }
        let (verb, rest) = match memchr(b' ', line) {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &b""[..]),
        };
        let mut word = [0; 8];
        let verb = word.get_mut(..verb.len()).map(|word| {
            word.copy_from_slice(verb);
            word.make_ascii_uppercase();
            &*word
        });
        match verb {
            Some(b"EHLO" | b"LHLO") => self.hello().await?,
            Some(b"HELO") => {
                self.answer(Stage::Hello, "250 sink.test").await?;
            }
            Some(b"STARTTLS") => return self.start_tls().await,
            Some(b"MAIL") => return self.mail(rest).await,
            Some(b"RCPT") => self.rcpt(rest).await?,
            Some(b"DATA") => return self.data().await,
            Some(b"BDAT") => return self.bdat(rest).await,
            Some(b"RSET") => {
                self.reset();
                self.say("250 2.0.0 ok");
            }
            Some(b"NOOP") => self.say("250 2.0.0 ok"),
            Some(b"QUIT") => {
                self.say("221 2.0.0 bye");
                return Ok(Next::Close);
            }
            _ => self.say("500 5.5.1 no such command"),
        }
        Ok(Next::Command)
    }

    fn reset(&mut self) {
        self.in_transaction = false;
        self.envelope.begin("");
        self.chunks = Vec::new();
    }

    async fn hello(&mut self) -> io::Result<()> {
        self.reset();
        let without = &self.site.manners.rules.without;
        let mut text = String::from("250-sink.test\r\n");
        let tls = (self.house.tls.is_some() && !self.wire.is_secure()).then_some("STARTTLS");
        for offer in OFFERS.into_iter().chain(tls) {
            let keyword = offer.split(' ').next().unwrap_or(offer);
            if !without.iter().any(|word| word.eq_ignore_ascii_case(keyword)) {
                text.push_str("250-");
                text.push_str(offer);
                text.push_str("\r\n");
            }
        }
        text.push_str("250 HELP");
        self.answer(Stage::Hello, &text).await.map(|_| ())
    }

    async fn start_tls(&mut self) -> io::Result<Next> {
        let Some(tls) = self.house.tls.clone().filter(|_| !self.wire.is_secure()) else {
            self.say("503 5.5.1 not offered");
            return Ok(Next::Command);
        };
        if self.answer(Stage::Tls, "220 2.0.0 go ahead").await? {
            self.flush().await?;
            self.wire.secure_as_server(tls).await?;
            self.reset();
        }
        Ok(Next::Command)
    }

    async fn mail(&mut self, rest: &[u8]) -> io::Result<Next> {
        self.reset();
        if self.site.manners.rules.messages_max.is_some_and(|max| self.messages >= max) {
            self.say("421 4.7.0 enough for one connection");
            return Ok(Next::Close);
        }
        if self.answer(Stage::Mail, "250 2.1.0 ok").await? {
            self.in_transaction = true;
            self.envelope.begin(path_of(rest).as_ref());
        }
        Ok(Next::Command)
    }

    async fn rcpt(&mut self, rest: &[u8]) -> io::Result<()> {
        if !self.in_transaction {
            self.say("503 5.5.1 MAIL first");
            return Ok(());
        }
        let path = path_of(rest);
        if self.is_too_early(&path) {
            self.refuse(Stage::Rcpt, &(451, Some("4.7.1 greylisted: come again".to_owned())));
        } else if self.answer(Stage::Rcpt, "250 2.1.5 ok").await? {
            self.envelope.add(&path);
        }
        Ok(())
    }

    /// Whether greylisting wants this recipient to come again.
    fn is_too_early(&self, recipient: &str) -> bool {
        let Some(wait) = self.site.manners.rules.greylist else { return false };
        let client = self.wire.peer().map(|peer| peer.ip()).ok();
        self.site.greylist.borrow_mut().is_too_early(
            &(client, self.envelope.mail(), recipient),
            wait,
            now_us(),
        )
    }

    async fn data(&mut self) -> io::Result<Next> {
        if self.envelope.count() == 0 {
            self.say("503 5.5.1 no recipients");
            return Ok(Next::Command);
        }
        if !self.answer(Stage::Data, "354 go on").await? {
            return Ok(Next::Command);
        }
        self.flush().await?;
        let (mut seen, mut started) = (0, true);
        let end = loop {
            let input = self.wire.input();
            if started && input.starts_with(b".\r\n") {
                break 0;
            }
            // The mark may lie across two reads.
            if let Some(at) = memmem::find(&input[seen..], b"\r\n.\r\n") {
                break seen + at + 2;
            }
            started = input.len() < 3;
            seen = input.len().saturating_sub(4);
            self.fill_body().await?;
        };
        let next = self.deliver(Octets::Stuffed(end)).await?;
        self.wire.consume(end + 3);
        Ok(next)
    }

    async fn bdat(&mut self, rest: &[u8]) -> io::Result<Next> {
        let text = String::from_utf8_lossy(rest);
        let mut words = text.split(' ');
        let size = words.next().and_then(|word| word.parse::<usize>().ok());
        let Some(size) = size.filter(|size| size.saturating_add(self.chunks.len()) <= MESSAGE_MAX)
        else {
            self.say("501 5.5.4 no such chunk");
            return Ok(Next::Close);
        };
        while self.wire.input().len() < size {
            self.fill_body().await?;
        }
        let last = words.next().is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
        let mut next = Next::Command;
        if self.envelope.count() == 0 {
            self.say("503 5.5.1 no recipients");
        } else if last && self.chunks.is_empty() {
            next = self.deliver(Octets::Plain(size)).await?;
        } else {
            self.chunks.extend_from_slice(&self.wire.input()[..size]);
            if last {
                next = self.deliver(Octets::Chunks).await?;
            } else {
                self.answer(Stage::Data, "250 2.0.0 chunk taken").await?;
            }
        }
        self.wire.consume(size);
        Ok(next)
    }

    /// More of a body, no faster than the rules allow.
    async fn fill_body(&mut self) -> io::Result<()> {
        let read = self.wire.fill().await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if self.wire.input().len() > MESSAGE_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if let Some(rate) = self.site.manners.rules.read_per_s {
            sleep(Duration::from_secs_f64(read as f64 / rate.max(1) as f64)).await;
        }
        Ok(())
    }

    /// Hands the message over, then acknowledges it.
    async fn deliver(&mut self, octets: Octets) -> io::Result<Next> {
        let refusal = if self.site.is_kind { None } else { self.whim(Stage::Done).await? };
        let replies = if self.site.manners.rules.lmtp { self.envelope.count() } else { 1 };
        if refusal.is_none() {
            let (octets, stuffed) = match octets {
                Octets::Stuffed(end) => (&self.wire.input()[..end], true),
                Octets::Plain(end) => (&self.wire.input()[..end], false),
                Octets::Chunks => (&self.chunks[..], false),
            };
            let from = (self.connection, self.site.address);
            let delivery = Delivery::new(&self.envelope, octets, stuffed, from);
            self.house.inbox.deliver(&delivery);
            self.house.tally.take(self.envelope.count(), octets.len(), delivery.at_us);
            self.messages += 1;
        }
        for _ in 0..replies {
            match &refusal {
                None => self.say("250 2.0.0 taken"),
                Some(refusal) => self.refuse(Stage::Done, refusal),
            }
        }
        self.reset();
        Ok(Next::Command)
    }
}

/// Where a message lies.
enum Octets {
    /// At the start of the input, dots doubled.
    Stuffed(usize),
    /// At the start of the input, as it is.
    Plain(usize),
    /// Put together from several chunks.
    Chunks,
}

/// What stands behind `FROM:` or `TO:`, with its parameters.
fn path_of(rest: &[u8]) -> std::borrow::Cow<'_, str> {
    let path = memchr(b':', rest).map_or(rest, |at| &rest[at + 1..]);
    String::from_utf8_lossy(path.trim_ascii())
}
