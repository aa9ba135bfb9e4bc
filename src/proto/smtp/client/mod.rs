//! The client half of SMTP and LMTP: one machine a connection (RFC 5321, RFC 2033).
//!
//! [`Client`] owns the greeting, the hello and the end of a connection; [`transaction`] owns what
//! lies between. The driver sends whatever is in `out` after every call, and then does what the
//! [`Step`] says. What must stay true: no command leaves before the peer has greeted; a peer that
//! talks out of turn, too much or without end costs its connection and no more; every transaction
//! that began ends with one outcome a recipient, also when the connection breaks
//! ([`Client::lost`]).

mod commands;
mod config;
mod offers;
mod outcome;
mod reader;
#[cfg(test)]
mod tests;
mod transaction;

use std::rc::Rc;

pub use config::{Config, Timeouts};
pub use offers::Offers;
pub use outcome::{Framing, Job, Outcome, RecipientOutcome, Stage, Step};

use self::{
    reader::{Reader, STATUS},
    transaction::Transaction,
};
use crate::types::{Enhanced, Moment, Reply, Severity};

/// The driver sends a body whole, while RFC 5321 §4.5.3.2.5 times its blocks: the deadline allows
/// one `data_block` for each of these, and one more.
const BLOCK_BYTES: u64 = 1 << 20;

/// What the next reply is about, outside transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Greeting,
    Ehlo,
    Helo,
    Ready,
    Transaction,
    Tls,
    Quit,
    Closed,
}

/// The machine, one a connection.
#[derive(Debug)]
pub struct Client {
    config: Rc<Config>,
    state: State,
    reader: Reader,
    offers: Offers,
    transaction: Transaction,
    deadline: Moment,
}

impl Client {
    /// A machine that waits for the 220 of a connection opened at `now`.
    pub fn new(config: Rc<Config>, now: Moment) -> Self {
        let deadline = now.after(config.timeouts.greeting);
        Self {
            config,
            state: State::Greeting,
            reader: Reader::default(),
            offers: Offers::default(),
            transaction: Transaction::default(),
            deadline,
        }
    }

    /// Takes octets from the front of `input` until there is something to do; says how many. To be
    /// called again with the rest, until all is taken and the step is [`Step::NeedInput`].
    pub fn feed(&mut self, now: Moment, input: &[u8], out: &mut Vec<u8>) -> (usize, Step) {
        let mut used = 0;
        while used < input.len() && self.state != State::Closed {
            let (octets, read) = self.reader.read(&input[used..], self.config.reply_bytes_max);
            used += octets;
            match read {
                Err(fault) => return (used, self.fail(fault.reply())),
                Ok(false) => break,
                Ok(true) => {}
            }
            let step = self.heard(used < input.len(), out);
            self.set_deadline(now);
            if step != Step::NeedInput {
                return (used, step);
            }
        }
        let step = if self.state == State::Closed { Step::Close } else { Step::NeedInput };
        (used, step)
    }

    /// Starts a transaction; only after [`Step::Ready`], or [`Step::Done`] while it is
    /// [`Client::reusable`]. What the peer has not offered to take is refused without asking it:
    /// the step is then [`Step::Done`] at once.
    pub fn begin(&mut self, now: Moment, job: &Job<'_>, out: &mut Vec<u8>) -> Step {
        if self.state != State::Ready {
            let reply = Reply::new(451, STATUS, "connection is not ready");
            return Step::Done(transaction::all(
                job,
                &Outcome { stage: self.stage(), reply },
                false,
            ));
        }
        let step = self.transaction.begin(job, &self.offers, self.config.lmtp, out);
        if !matches!(step, Step::Done(_)) {
            self.state = State::Transaction;
        }
        self.set_deadline(now);
        step
    }

    /// The driver has sent the body it was asked for.
    pub fn body_sent(&mut self, now: Moment, _out: &mut Vec<u8>) -> Step {
        self.transaction.body_sent();
        self.set_deadline(now);
        Step::NeedInput
    }

    /// Says QUIT; the connection may as well be closed without waiting for the answer.
    pub fn quit(&mut self, now: Moment, out: &mut Vec<u8>) -> Step {
        if self.state != State::Ready || self.transaction.broken {
            self.state = State::Closed;
            return Step::Close;
        }
        out.extend_from_slice(b"QUIT\r\n");
        self.state = State::Quit;
        self.set_deadline(now);
        Step::NeedInput
    }

    /// Says STARTTLS (RFC 3207); only when it is offered and nothing has begun.
    pub fn starttls(&mut self, now: Moment, out: &mut Vec<u8>) -> Step {
        if self.state != State::Ready || !self.offers.starttls {
            return self.refused(Reply::new(454, Enhanced(4, 7, 0), "STARTTLS is not offered"));
        }
        out.extend_from_slice(b"STARTTLS\r\n");
        self.state = State::Tls;
        self.set_deadline(now);
        Step::NeedInput
    }

    /// TLS is up: what was offered in the clear is forgotten and asked for again (RFC 3207 §4.2).
    pub fn upgraded(&mut self, now: Moment, out: &mut Vec<u8>) -> Step {
        self.offers = Offers::default();
        self.say_hello(out);
        self.set_deadline(now);
        Step::NeedInput
    }

    /// When the peer must have answered.
    pub fn deadline(&self) -> Moment {
        self.deadline
    }

    /// How far the connection has come.
    pub fn stage(&self) -> Stage {
        match self.state {
            State::Greeting => Stage::Greeting,
            State::Ehlo | State::Helo => Stage::Hello,
            State::Ready | State::Transaction => self.transaction.stage(),
            State::Tls => Stage::Tls,
            State::Quit | State::Closed => Stage::Quit,
        }
    }

    /// The connection broke, or its deadline passed: `what` for every recipient that has no answer.
    /// Empty when no transaction was open.
    pub fn lost(&mut self, what: &str) -> Vec<RecipientOutcome> {
        let open = self.state == State::Transaction;
        self.state = State::Closed;
        if !open {
            return Vec::new();
        }
        // 4.4.2: bad connection (RFC 3463 §3.5).
        let reply = Reply::made(451, Enhanced(4, 4, 2), what.to_owned());
        match self.transaction.abort(reply) {
            Step::Done(outcomes) => outcomes,
            _ => Vec::new(),
        }
    }

    /// What the peer offers.
    pub fn offers(&self) -> &Offers {
        &self.offers
    }

    /// Whether another transaction may begin here: nothing is open, nothing is in doubt, and the
    /// peer's MAILMAX is not used up (RFC 9422 §4.1).
    pub fn reusable(&self) -> bool {
        let left = self.offers.mailmax.is_none_or(|max| self.transaction.count < max);
        self.state == State::Ready && !self.transaction.broken && left
    }

    fn heard(&mut self, more: bool, out: &mut Vec<u8>) -> Step {
        match self.state {
            State::Greeting => self.heard_greeting(more, out),
            State::Ehlo => self.heard_ehlo(more, out),
            State::Helo => self.heard_helo(),
            State::Transaction => {
                let step = self.transaction.heard(&self.reader, more, out);
                if matches!(step, Step::Done(_)) {
                    self.state = State::Ready;
                }
                step
            }
            State::Tls => self.heard_tls(more),
            // An answer to QUIT; or words while nothing was asked: a 421 before it hangs up, as a
            // rule. Either way the connection is over.
            State::Ready | State::Quit | State::Closed => {
                self.state = State::Closed;
                Step::Close
            }
        }
    }

    fn heard_greeting(&mut self, more: bool, out: &mut Vec<u8>) -> Step {
        if self.reader.severity() != Severity::Success || more {
            return self.refused(transaction::unexpected(&self.reader));
        }
        self.say_hello(out);
        Step::NeedInput
    }

    fn say_hello(&mut self, out: &mut Vec<u8>) {
        let verb: &[u8] = if self.config.lmtp { b"LHLO " } else { b"EHLO " };
        out.extend_from_slice(verb);
        out.extend_from_slice(self.config.helo.as_bytes());
        out.extend_from_slice(b"\r\n");
        self.state = State::Ehlo;
    }

    fn heard_ehlo(&mut self, more: bool, out: &mut Vec<u8>) -> Step {
        match self.reader.severity() {
            Severity::Success if !more => {
                self.offers = Offers::parse(self.reader.text());
                self.state = State::Ready;
                Step::Ready
            }
            // An old server (RFC 5321 §3.2). LMTP has no older form.
            Severity::Permanent if !self.config.lmtp && !more => {
                out.extend_from_slice(b"HELO ");
                out.extend_from_slice(self.config.helo.as_bytes());
                out.extend_from_slice(b"\r\n");
                self.state = State::Helo;
                Step::NeedInput
            }
            _ => self.refused(transaction::unexpected(&self.reader)),
        }
    }

    fn heard_helo(&mut self) -> Step {
        if self.reader.severity() != Severity::Success {
            return self.refused(transaction::unexpected(&self.reader));
        }
        self.state = State::Ready;
        Step::Ready
    }

    fn heard_tls(&mut self, more: bool) -> Step {
        // Octets behind the 220 came in the clear: somebody may have injected them.
        if self.reader.severity() != Severity::Success || more {
            return self.refused(transaction::unexpected(&self.reader));
        }
        Step::Upgrade
    }

    /// There will be no transaction.
    fn refused(&mut self, reply: Reply) -> Step {
        let stage = self.stage();
        self.state = State::Closed;
        Step::Failed(Outcome { stage, reply })
    }

    /// The peer's words cannot be understood.
    fn fail(&mut self, reply: Reply) -> Step {
        match self.state {
            State::Transaction => {
                self.state = State::Closed;
                self.transaction.abort(reply)
            }
            State::Ready | State::Quit | State::Closed => {
                self.state = State::Closed;
                Step::Close
            }
            State::Greeting | State::Ehlo | State::Helo | State::Tls => self.refused(reply),
        }
    }

    fn set_deadline(&mut self, now: Moment) {
        let timeouts = &self.config.timeouts;
        let span = match self.stage() {
            Stage::Resolve | Stage::Connect => timeouts.connect,
            Stage::Greeting => timeouts.greeting,
            Stage::Hello | Stage::Tls => timeouts.helo,
            Stage::Mail => timeouts.mail,
            Stage::Rcpt => timeouts.rcpt,
            Stage::Data => timeouts.data_init,
            Stage::Body => match self.transaction.sending() {
                Some(octets) => {
                    let blocks = u32::try_from(octets / BLOCK_BYTES + 1).unwrap_or(u32::MAX);
                    timeouts.data_block.saturating_mul(blocks)
                }
                None => timeouts.data_done,
            },
            Stage::Quit => timeouts.quit,
        };
        self.deadline = if self.state == State::Ready { Moment::NEVER } else { now.after(span) };
    }
}
