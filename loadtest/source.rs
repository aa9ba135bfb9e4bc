//! A sender of mail: many connections, numbered messages that prove themselves.
//!
//! What counts is what it knows afterwards: which numbers were acknowledged, which were refused, and
//! which were on their way without an answer when a connection broke.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use proto::text::stuff_dots;

use crate::message::Label;

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct Load {
    /// The server.
    pub to: SocketAddr,
    /// Connections at a time.
    pub connections: usize,
    /// Messages in all.
    pub messages: u64,
    /// Messages a connection, before it is opened anew.
    pub per_connection: u64,
    /// Recipients a message: `r0@DOMAIN`, `r1@DOMAIN` …
    pub recipients: usize,
    /// Octets a message, about.
    pub size: usize,
    /// Sends MAIL, RCPT and DATA in one go (RFC 2920).
    pub pipelining: bool,
    /// Names the run: letters and digits.
    pub run: String,
    /// The recipients' domain.
    pub domain: String,
    /// How long the server may take for a reply.
    pub patience: Duration,
}

impl Load {
    /// A modest load to `to`.
    pub fn new(to: SocketAddr, run: &str) -> Self {
        Self {
            to,
            connections: 20,
            messages: 1000,
            per_connection: u64::MAX,
            recipients: 1,
            size: 5 << 10,
            pipelining: true,
            run: run.to_owned(),
            domain: "sink.test".to_owned(),
            patience: Duration::from_secs(60),
        }
    }
}

/// What became of the messages.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Numbers that got their 250.
    pub acknowledged: Vec<u64>,
    /// Numbers that were refused, with the reply.
    pub refused: Vec<(u64, String)>,
    /// Numbers whose body was sent, but the connection broke before the reply.
    pub unanswered: Vec<u64>,
    /// Connections that failed, and how.
    pub failures: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
}

/// Sends the load; a connection that fails ends its thread, the others go on.
/// `progress` hears every acknowledged number, on the thread of its connection.
pub fn run(load: &Load, progress: &(dyn Fn(u64) + Sync)) -> Outcome {
    let started = Instant::now();
    let next = AtomicU64::new(0);
    let mut total = Outcome::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..load.connections.max(1))
            .map(|_| scope.spawn(|| connection_thread(load, &next, progress)))
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(part) => total.add(part),
                Err(_) => total.failures.push("a connection's thread panicked".to_owned()),
            }
        }
    });
    total.elapsed = started.elapsed();
    total
}

impl Outcome {
    fn add(&mut self, part: Self) {
        self.acknowledged.extend(part.acknowledged);
        self.refused.extend(part.refused);
        self.unanswered.extend(part.unanswered);
        self.failures.extend(part.failures);
    }
}

fn connection_thread(load: &Load, next: &AtomicU64, progress: &(dyn Fn(u64) + Sync)) -> Outcome {
    let mut outcome = Outcome::default();
    while next.load(Ordering::Relaxed) < load.messages {
        if let Err(error) = one_connection(load, next, progress, &mut outcome) {
            outcome.failures.push(error.to_string());
            break;
        }
    }
    outcome
}

fn one_connection(
    load: &Load,
    next: &AtomicU64,
    progress: &(dyn Fn(u64) + Sync),
    outcome: &mut Outcome,
) -> io::Result<()> {
    let mut wire = Wire::open(load)?;
    wire.expect("220")?;
    wire.send(b"EHLO source.test\r\n")?;
    wire.expect("250")?;
    for _ in 0..load.per_connection {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= load.messages {
            break;
        }
        let label = Label { run: load.run.clone(), number, size: load.size };
        match transaction(load, &mut wire, &label.message(), number, outcome)? {
            reply if reply.starts_with('2') => {
                outcome.acknowledged.push(number);
                progress(number);
            }
            reply => outcome.refused.push((number, reply)),
        }
    }
    wire.send(b"QUIT\r\n")?;
    wire.reply()?;
    Ok(())
}

/// One message; the reply that decided about it.
fn transaction(
    load: &Load,
    wire: &mut Wire,
    message: &[u8],
    number: u64,
    outcome: &mut Outcome,
) -> io::Result<String> {
    let mut commands = vec![format!("MAIL FROM:<load@source.test> SIZE={}\r\n", message.len())];
    commands.extend((0..load.recipients).map(|i| format!("RCPT TO:<r{i}@{}>\r\n", load.domain)));
    commands.push("DATA\r\n".to_owned());
    let mut refusal = None;
    let mut last = String::new();
    if load.pipelining {
        wire.send(commands.concat().as_bytes())?;
    }
    for command in &commands {
        if !load.pipelining {
            wire.send(command.as_bytes())?;
        }
        last = wire.reply()?;
        if !last.starts_with(['2', '3']) && refusal.is_none() {
            refusal = Some(last.clone());
        }
    }
    if !last.starts_with('3') {
        wire.send(b"RSET\r\n")?;
        wire.expect("250")?;
        return Ok(refusal.unwrap_or(last));
    }
    let mut body = stuff_dots(message).into_owned();
    body.extend_from_slice(b".\r\n");
    let answer = wire.send(&body).and_then(|()| wire.reply());
    if answer.is_err() {
        outcome.unanswered.push(number);
    }
    answer
}

struct Wire {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Wire {
    fn open(load: &Load) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&load.to, load.patience)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(load.patience))?;
        stream.set_write_timeout(Some(load.patience))?;
        let reader = BufReader::new(stream.try_clone()?);
        Ok(Self { stream, reader })
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// One reply; of several lines, the last.
    fn reply(&mut self) -> io::Result<String> {
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line)? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "server hung up"));
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line.trim_end().to_owned());
            }
        }
    }

    fn expect(&mut self, code: &str) -> io::Result<()> {
        let reply = self.reply()?;
        if reply.starts_with(code) {
            return Ok(());
        }
        Err(io::Error::other(format!("expected {code}, heard: {reply}")))
    }
}
