//! The next hop: takes mail, hands every message to whoever asked, and misbehaves on request.
//!
//! Speaks SMTP and LMTP with the extensions a relay likes to use (RFC 5321, 2033, 2920, 3030, 3461,
//! 6152, 6531, 1870). One thread a connection; a message is handed over before it is acknowledged,
//! so what the sink counts is at least what it acknowledged.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

const MESSAGE_BYTES_MAX: usize = 256 << 20;
const IDLE: Duration = Duration::from_secs(300);

/// Where a sink may fall silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Stage {
    /// Accepted, but no greeting.
    Greeting,
    /// No answer to EHLO, HELO or LHLO.
    Hello,
    /// No answer to MAIL.
    Mail,
    /// No answer to RCPT.
    Rcpt,
    /// No answer to DATA.
    Data,
    /// No answer after the message.
    Done,
}

/// How a sink misbehaves, and what it offers.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Refuses recipients that contain this text with 550.
    pub reject_rcpt: Option<String>,
    /// Defers recipients that contain this text with 450.
    pub defer_rcpt: Option<String>,
    /// Answers the first so many MAIL commands with 451.
    pub tempfail_first: u64,
    /// Reads on, but never answers from this stage on.
    pub stall: Option<Stage>,
    /// Hangs up instead of acknowledging a message (it is handed over all the same).
    pub drop_after_data: bool,
    /// Waits so long before it acknowledges a message.
    pub delay: Duration,
    /// Speaks LMTP: LHLO, and one reply a recipient.
    pub lmtp: bool,
    /// EHLO keywords that are not offered, such as `PIPELINING` or `DSN`.
    pub without: Vec<String>,
}

/// One message as it came.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What stood after `MAIL FROM:`, parameters included.
    pub mail: String,
    /// What stood after `RCPT TO:` of each accepted recipient, parameters included.
    pub recipients: Vec<String>,
    /// The message, dots unstuffed.
    pub message: Vec<u8>,
    /// Which connection brought it, counted from 1.
    pub connection: u64,
}

struct Shared {
    rules: Rules,
    stopped: AtomicBool,
    connections: AtomicU64,
    mails: AtomicU64,
    on_message: Box<dyn Fn(Delivery) + Send + Sync>,
}

/// A listening sink; it stops taking connections when it is dropped.
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Sink {
    /// Listens and takes mail until dropped; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn start(
        listen: SocketAddr,
        rules: Rules,
        on_message: impl Fn(Delivery) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            rules,
            stopped: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            mails: AtomicU64::new(0),
            on_message: Box::new(on_message),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &accepting));
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections came so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the accept; its listener closes with it.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        let connection = shared.connections.fetch_add(1, Ordering::Relaxed) + 1;
        thread::spawn(move || {
            // The peer's hanging up is its business; the queue it comes from is what is tested.
            let _ = Session::new(stream, &shared, connection).and_then(|mut s| s.run());
        });
    }
}

struct Session<'a> {
    shared: &'a Shared,
    connection: u64,
    reader: BufReader<TcpStream>,
    stream: TcpStream,
    out: Vec<u8>,
    silent: bool,
    mail: Option<String>,
    recipients: Vec<String>,
    chunks: Vec<u8>,
}

impl<'a> Session<'a> {
    fn new(stream: TcpStream, shared: &'a Shared, connection: u64) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(IDLE))?;
        let reader = BufReader::with_capacity(64 << 10, stream.try_clone()?);
        Ok(Self {
            shared,
            connection,
            reader,
            stream,
            out: Vec::new(),
            silent: false,
            mail: None,
            recipients: Vec::new(),
            chunks: Vec::new(),
        })
    }

    fn run(&mut self) -> io::Result<()> {
        self.reply(Stage::Greeting, "220 sink.test ESMTP");
        self.flush()?;
        let mut line = String::new();
        loop {
            line.clear();
            let mut bounded = (&mut self.reader).take(8192);
            if bounded.read_line(&mut line)? == 0 || self.shared.stopped.load(Ordering::SeqCst) {
                return Ok(());
            }
            let open = self.command(line.trim_end())?;
            // Pipelined commands are answered in one send.
            if !open || self.reader.buffer().is_empty() {
                self.flush()?;
            }
            if !open {
                return Ok(());
            }
        }
    }

    /// Queues a reply, unless the sink has fallen silent by now.
    fn reply(&mut self, stage: Stage, text: &str) {
        self.silent |= self.shared.rules.stall == Some(stage);
        if !self.silent {
            self.out.extend_from_slice(text.as_bytes());
            self.out.extend_from_slice(b"\r\n");
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// Carries out one command; `false` closes the connection.
    fn command(&mut self, line: &str) -> io::Result<bool> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" | "LHLO" => self.hello(),
            "HELO" => self.reply(Stage::Hello, "250 sink.test"),
            "MAIL" => self.mail(rest),
            "RCPT" => self.rcpt(rest),
            "DATA" if self.recipients.is_empty() => {
                self.reply(Stage::Data, "503 5.5.1 no recipients");
            }
            "DATA" => {
                self.reply(Stage::Data, "354 go on");
                self.flush()?;
                let message = self.read_data()?;
                return self.deliver(message);
            }
            "BDAT" => return self.bdat(rest),
            "RSET" => {
                self.reset();
                self.reply(Stage::Mail, "250 2.0.0 ok");
            }
            "NOOP" => self.reply(Stage::Hello, "250 2.0.0 ok"),
            "QUIT" => {
                self.reply(Stage::Hello, "221 2.0.0 bye");
                return Ok(false);
            }
            _ => self.reply(Stage::Hello, "500 5.5.1 what?"),
        }
        Ok(true)
    }

    fn hello(&mut self) {
        const OFFERS: [&str; 7] = [
            "PIPELINING",
            "SIZE 268435456",
            "8BITMIME",
            "SMTPUTF8",
            "CHUNKING",
            "DSN",
            "ENHANCEDSTATUSCODES",
        ];
        let without = &self.shared.rules.without;
        let offered = |offer: &&str| {
            let keyword = offer.split(' ').next().unwrap_or(offer);
            !without.iter().any(|word| word.eq_ignore_ascii_case(keyword))
        };
        let mut text = String::from("250-sink.test");
        for offer in OFFERS.iter().filter(|offer| offered(offer)) {
            text.push_str("\r\n250-");
            text.push_str(offer);
        }
        text.push_str("\r\n250 HELP");
        self.reply(Stage::Hello, &text);
    }

    fn reset(&mut self) {
        self.mail = None;
        self.recipients.clear();
        self.chunks.clear();
    }

    fn mail(&mut self, rest: &str) {
        self.reset();
        let count = self.shared.mails.fetch_add(1, Ordering::Relaxed);
        if count < self.shared.rules.tempfail_first {
            self.reply(Stage::Mail, "451 4.3.0 not yet");
        } else {
            self.mail = Some(after_colon(rest));
            self.reply(Stage::Mail, "250 2.1.0 ok");
        }
    }

    fn rcpt(&mut self, rest: &str) {
        let rules = &self.shared.rules;
        let hit = |rule: &Option<String>| rule.as_ref().is_some_and(|text| rest.contains(text));
        if self.mail.is_none() {
            self.reply(Stage::Rcpt, "503 5.5.1 MAIL first");
        } else if hit(&rules.reject_rcpt) {
            self.reply(Stage::Rcpt, "550 5.1.1 no such mailbox");
        } else if hit(&rules.defer_rcpt) {
            self.reply(Stage::Rcpt, "450 4.2.1 mailbox busy");
        } else {
            self.recipients.push(after_colon(rest));
            self.reply(Stage::Rcpt, "250 2.1.5 ok");
        }
    }

    fn read_data(&mut self) -> io::Result<Vec<u8>> {
        let mut message = Vec::new();
        loop {
            let start = message.len();
            if self.reader.read_until(b'\n', &mut message)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if &message[start..] == b".\r\n" {
                message.truncate(start);
                return Ok(message);
            }
            if message[start] == b'.' {
                message.remove(start);
            }
            if message.len() > MESSAGE_BYTES_MAX {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
        }
    }

    fn bdat(&mut self, rest: &str) -> io::Result<bool> {
        let mut words = rest.split(' ');
        let size: usize = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        if size + self.chunks.len() > MESSAGE_BYTES_MAX {
            return Ok(false);
        }
        let start = self.chunks.len();
        self.chunks.resize(start + size, 0);
        self.reader.read_exact(&mut self.chunks[start..])?;
        if self.recipients.is_empty() {
            self.chunks.clear();
            self.reply(Stage::Done, "503 5.5.1 no recipients");
            return Ok(true);
        }
        if !words.next().is_some_and(|word| word.eq_ignore_ascii_case("LAST")) {
            self.reply(Stage::Data, "250 2.0.0 chunk taken");
            return Ok(true);
        }
        let message = std::mem::take(&mut self.chunks);
        self.deliver(message)
    }

    /// Hands the message over, then acknowledges it.
    fn deliver(&mut self, message: Vec<u8>) -> io::Result<bool> {
        let recipients = std::mem::take(&mut self.recipients);
        let replies = if self.shared.rules.lmtp { recipients.len() } else { 1 };
        let mail = self.mail.take().unwrap_or_default();
        thread::sleep(self.shared.rules.delay);
        (self.shared.on_message)(Delivery {
            mail,
            recipients,
            message,
            connection: self.connection,
        });
        if self.shared.rules.drop_after_data {
            return Ok(false);
        }
        for _ in 0..replies {
            self.reply(Stage::Done, "250 2.0.0 taken");
        }
        Ok(true)
    }
}

/// What stands behind `FROM:` or `TO:`.
fn after_colon(rest: &str) -> String {
    rest.split_once(':').map_or(rest, |(_, text)| text).trim().to_owned()
}
