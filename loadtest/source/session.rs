//! One connection's place: it opens connections, sends the messages whose turn it is, and keeps the books.
//!
//! A turn is never dropped silently: it ends accepted, refused, or unanswered (the body was on its way when the connection broke);
//! before the body, a broken connection is opened anew and the same message is sent again.

use std::{
    io::{self, Write},
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use futures_lite::future;
use glommio::timer::{Timer, sleep};
use rustls::ClientConfig;

use super::{
    dialogue::{Closed, Dialogue, Reply},
    load::Load,
    pace::{Pace, Turn},
    tally::{Tally, count},
};
use crate::{
    ledger::Ledger,
    message::{Framing, Label, Letter, now_us},
    stage::Stage,
};

/// What all places of an executor share.
pub struct Desk {
    pub load: Arc<Load>,
    pub pace: Pace,
    pub ledger: Arc<Ledger>,
    pub tally: Arc<Tally>,
    pub tls: Option<Arc<ClientConfig>>,
}

/// See the module.
pub struct Place {
    desk: Rc<Desk>,
    dialogue: Option<Dialogue>,
    /// Messages that the open connection carried.
    carried: u64,
    /// Connections that failed in a row.
    failures: u32,
    /// Recipients of the current message that the server took.
    accepted: Vec<u64>,
}

/// How a transaction ended.
enum Fate {
    Accepted,
    Refused,
}

/// How a transaction broke.
struct Break {
    error: io::Error,
    /// Whether the server may have the message.
    in_doubt: bool,
}

impl From<io::Error> for Break {
    fn from(error: io::Error) -> Self {
        Self { error, in_doubt: false }
    }
}

impl Place {
    pub fn new(desk: Rc<Desk>) -> Self {
        Self { desk, dialogue: None, carried: 0, failures: 0, accepted: Vec::new() }
    }

    /// Sends until there is no turn left, or too many connections failed.
    pub async fn work(mut self) {
        let desk = Rc::clone(&self.desk);
        while let Some(turn) = desk.pace.turn().await {
            if !self.carry(&desk, turn).await {
                return;
            }
        }
        if let Some(dialogue) = self.dialogue.take() {
            // What QUIT is answered changes nothing.
            let _ = bounded(&desk.load, dialogue.quit()).await;
        }
    }

    /// One message; `false` when this place gives up.
    async fn carry(&mut self, desk: &Desk, turn: Turn) -> bool {
        count(&desk.tally.sent, 1);
        loop {
            if self.dialogue.is_none() && !self.open(desk).await {
                if self.failures >= desk.load.failures_max {
                    return false;
                }
                sleep(desk.load.failure_pause).await;
                continue;
            }
            match self.send(desk, turn).await {
                Ok(()) => {
                    self.failures = 0;
                    return true;
                }
                Err(broken) => {
                    desk.tally.fail(&broken.error);
                    self.dialogue = None;
                    self.failures += 1;
                    if broken.in_doubt {
                        count(&desk.tally.unanswered, 1);
                        return self.failures < desk.load.failures_max;
                    }
                    if self.failures >= desk.load.failures_max {
                        return false;
                    }
                }
            }
        }
    }

    async fn open(&mut self, desk: &Desk) -> bool {
        count(&desk.tally.connections, 1);
        let opening = async { Ok(Dialogue::open(&desk.load, desk.tls.as_ref()).await) };
        let opened =
            bounded(&desk.load, opening).await.unwrap_or_else(|late| Err(Closed::Broken(late)));
        match opened {
            Ok(dialogue) => {
                self.dialogue = Some(dialogue);
                self.carried = 0;
                return true;
            }
            Err(Closed::Broken(error)) => desk.tally.fail(&error),
            Err(Closed::Refused(stage, code, text)) => {
                desk.tally.refuse(stage, code, &text);
                count(&desk.tally.connections_failed, 1);
            }
        }
        self.failures += 1;
        false
    }

    async fn send(&mut self, desk: &Desk, turn: Turn) -> Result<(), Break> {
        let Some(mut dialogue) = self.dialogue.take() else { return Ok(()) };
        let mut letter = desk.load.mailing.letter(turn.number);
        self.accepted.clear();
        let mut in_doubt = false;
        let transaction = Transaction {
            desk,
            dialogue: &mut dialogue,
            accepted: &mut self.accepted,
            in_doubt: &mut in_doubt,
            is_hopeless: false,
        };
        let fate = bounded(&desk.load, transaction.run(&mut letter, turn)).await;
        let fate = fate.map_err(|error| Break { error, in_doubt })?;
        self.enter(desk, turn, &letter, &fate);
        self.carried += 1;
        if self.carried < desk.load.per_connection {
            self.dialogue = Some(dialogue);
        } else {
            let _ = bounded(&desk.load, dialogue.quit()).await;
        }
        Ok(())
    }

    /// Writes the outcome down.
    fn enter(&self, desk: &Desk, turn: Turn, letter: &Letter<'_>, fate: &Fate) {
        let taken = if matches!(fate, Fate::Accepted) { &self.accepted[..] } else { &[] };
        // Both ascend.
        let mut taken = taken.iter().peekable();
        for recipient in 0..letter.recipients {
            if taken.next_if_eq(&&recipient).is_some() {
                desk.ledger.accept(turn.number, recipient);
            } else {
                desk.ledger.refuse(turn.number, recipient);
            }
        }
        let (tally, now_us) = (&desk.tally, now_us());
        tally.last_us.store(now_us, Relaxed);
        match fate {
            Fate::Accepted => {
                tally.latency.record(now_us.saturating_sub(turn.due_us));
                count(&tally.accepted, 1);
                count(&tally.recipients, self.accepted.len() as u64);
                count(&tally.octets, letter.template.size as u64);
            }
            Fate::Refused => count(&tally.refused, 1),
        }
    }
}

/// One transaction on an open connection.
struct Transaction<'a> {
    desk: &'a Desk,
    dialogue: &'a mut Dialogue,
    accepted: &'a mut Vec<u64>,
    in_doubt: &'a mut bool,
    /// MAIL was refused: what follows in the pipeline is refused for that alone.
    is_hopeless: bool,
}

impl Transaction<'_> {
    async fn run(mut self, letter: &mut Letter<'_>, turn: Turn) -> io::Result<Fate> {
        let load = &self.desk.load;
        let pipelined = load.pipelining && self.dialogue.offers.pipelining;
        if load.framing == Framing::Chunk && !self.dialogue.offers.chunking {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "BDAT is not offered (CHUNKING)",
            ));
        }
        let open = if pipelined {
            self.envelope_at_once(letter, turn).await?
        } else {
            self.envelope_in_steps(letter, turn).await?
        };
        if !open {
            return Ok(Fate::Refused);
        }
        if load.framing == Framing::Data {
            let reply = self.dialogue.reply().await?;
            if reply != Reply(354) {
                self.judge(Stage::Data, reply);
                return self.reset().await;
            }
            if self.accepted.is_empty() {
                // Nobody to send to: an empty message ends it (RFC 2920 §3.1).
                self.dialogue.out.extend_from_slice(b".\r\n");
                self.dialogue.flush().await?;
                let reply = self.dialogue.reply().await?;
                self.judge(Stage::Done, reply);
                return Ok(Fate::Refused);
            }
            *self.in_doubt = true;
            self.write_label(letter, turn);
            self.dialogue.flush_with(&letter.template.wire).await?;
        }
        self.conclude().await
    }

    /// MAIL, RCPT and DATA (or all of BDAT) in one send.
    async fn envelope_at_once(&mut self, letter: &mut Letter<'_>, turn: Turn) -> io::Result<bool> {
        self.write_mail(letter);
        for index in 0..letter.recipients {
            self.write_rcpt(letter, index);
        }
        self.send_data_command(letter, turn).await?;
        let mail = self.dialogue.reply().await?;
        self.is_hopeless = !self.judge(Stage::Mail, mail);
        for index in 0..letter.recipients {
            self.hear_rcpt(index).await?;
        }
        Ok(true)
    }

    /// Every command alone, its reply awaited.
    async fn envelope_in_steps(&mut self, letter: &mut Letter<'_>, turn: Turn) -> io::Result<bool> {
        self.write_mail(letter);
        self.dialogue.flush().await?;
        let mail = self.dialogue.reply().await?;
        if !self.judge(Stage::Mail, mail) {
            return Ok(false);
        }
        for index in 0..letter.recipients {
            self.write_rcpt(letter, index);
            self.dialogue.flush().await?;
            self.hear_rcpt(index).await?;
        }
        if self.accepted.is_empty() {
            self.reset().await?;
            return Ok(false);
        }
        self.send_data_command(letter, turn).await?;
        Ok(true)
    }

    async fn hear_rcpt(&mut self, index: u64) -> io::Result<()> {
        let reply = self.dialogue.reply().await?;
        if self.judge(Stage::Rcpt, reply) {
            self.accepted.push(index);
        }
        Ok(())
    }

    fn write_mail(&mut self, letter: &Letter<'_>) {
        let offers = self.dialogue.offers;
        let out = &mut self.dialogue.out;
        out.extend_from_slice(b"MAIL FROM:<");
        letter.write_sender(out);
        out.push(b'>');
        if offers.size {
            // The label adds less than 128 octets (RFC 1870: an estimate is allowed).
            let _ = write!(out, " SIZE={}", letter.template.size + 128);
        }
        if offers.eight_bit && letter.template.eight_bit {
            out.extend_from_slice(b" BODY=8BITMIME");
        }
        out.extend_from_slice(b"\r\n");
    }

    fn write_rcpt(&mut self, letter: &mut Letter<'_>, index: u64) {
        let out = &mut self.dialogue.out;
        out.extend_from_slice(b"RCPT TO:<");
        letter.write_recipient(index, out);
        out.extend_from_slice(b">\r\n");
    }

    /// DATA, or BDAT with the whole message.
    async fn send_data_command(&mut self, letter: &Letter<'_>, turn: Turn) -> io::Result<()> {
        if self.desk.load.framing == Framing::Data {
            self.dialogue.out.extend_from_slice(b"DATA\r\n");
            return self.dialogue.flush().await;
        }
        *self.in_doubt = true;
        let mut label = Vec::with_capacity(128);
        label_of(self.desk, letter, turn).write(&mut label);
        let size = label.len() + letter.template.wire.len();
        let out = &mut self.dialogue.out;
        let _ = write!(out, "BDAT {size} LAST\r\n");
        out.extend_from_slice(&label);
        self.dialogue.flush_with(&letter.template.wire).await
    }

    fn write_label(&mut self, letter: &Letter<'_>, turn: Turn) {
        label_of(self.desk, letter, turn).write(&mut self.dialogue.out);
    }

    /// The reply to the message: one, or one a recipient (RFC 2033 §4.2).
    async fn conclude(&mut self) -> io::Result<Fate> {
        if !self.desk.load.lmtp || self.accepted.is_empty() {
            let reply = self.dialogue.reply().await?;
            let good = self.judge(Stage::Done, reply) && !self.accepted.is_empty();
            return Ok(if good { Fate::Accepted } else { Fate::Refused });
        }
        for recipient in self.accepted.clone() {
            let reply = self.dialogue.reply().await?;
            if !self.judge(Stage::Done, reply) {
                self.accepted.retain(|taken| *taken != recipient);
            }
        }
        Ok(if self.accepted.is_empty() { Fate::Refused } else { Fate::Accepted })
    }

    async fn reset(&mut self) -> io::Result<Fate> {
        self.dialogue.out.extend_from_slice(b"RSET\r\n");
        self.dialogue.flush().await?;
        let reply = self.dialogue.reply().await?;
        if reply.is_positive() {
            Ok(Fate::Refused)
        } else {
            Err(io::Error::other(format!("RSET was answered with {}", reply.0)))
        }
    }

    /// Whether the reply is positive; a refusal is counted, unless it follows from an earlier one.
    fn judge(&self, stage: Stage, reply: Reply) -> bool {
        let follows = stage > Stage::Rcpt && self.accepted.is_empty();
        if !reply.is_positive() && !self.is_hopeless && !follows {
            self.desk.tally.refuse(stage, reply.0, self.dialogue.text());
        }
        reply.is_positive()
    }
}

fn label_of<'a>(desk: &'a Desk, letter: &Letter<'_>, turn: Turn) -> Label<'a> {
    let (size, digest) = (letter.template.size, letter.template.digest);
    Label { run: &desk.load.mailing.run, number: turn.number, due_us: turn.due_us, size, digest }
}

/// A connection that says EHLO and then nothing, until it is dropped.
pub async fn idle(desk: Rc<Desk>) {
    count(&desk.tally.connections, 1);
    let opening = async { Ok(Dialogue::open(&desk.load, desk.tls.as_ref()).await) };
    let error = match bounded(&desk.load, opening).await {
        Ok(Ok(mut dialogue)) => match dialogue.listen().await {
            Ok(()) => io::Error::other("an idle connection was closed by the server"),
            Err(error) => error,
        },
        Ok(Err(Closed::Refused(stage, code, text))) => {
            desk.tally.refuse(stage, code, &text);
            return;
        }
        Ok(Err(Closed::Broken(error))) | Err(error) => error,
    };
    desk.tally.fail(&error);
}

/// `work`, but no longer than the load's patience.
async fn bounded<T>(load: &Load, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    future::or(work, async {
        Timer::new(load.patience).await;
        Err(io::Error::new(io::ErrorKind::TimedOut, "the server took too long"))
    })
    .await
}
