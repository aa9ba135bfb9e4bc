//! One transaction: what was sent, whose answer comes next, and what became of each recipient.
//!
//! Replies come in the order of the commands, so one cursor ([`Awaited`]) says what a reply
//! means, pipelined or not. What must stay true: every recipient of the job gets exactly one
//! outcome; 2yz counts as delivered only after the whole body was sent; whatever leaves the peer's
//! state in doubt marks the connection `broken`, and a transaction the peer may still hold open
//! marks it `needs_reset`, so that the next one begins with RSET.

use std::io::Write as _;

use super::{
    Framing, Job, Offers, Outcome, RecipientOutcome, Stage, Step, commands,
    reader::{Reader, STATUS},
};
use crate::types::{Enhanced, Reply, Severity};

/// Recipients of one transaction when the peer announces no RCPTMAX: what every server must take
/// (RFC 5321 §4.5.3.1.8), and few enough that its replies fit in any socket buffer while we send.
const RECIPIENTS_MAX: usize = 100;
/// However many it announces.
const RECIPIENTS_CEILING: usize = 1000;
/// Larger bodies wait for the answer to RCPT before they are sent by BDAT: a round trip costs less
/// than sending so much to a peer that refuses everybody.
const EAGER_BODY_BYTES_MAX: u64 = 256 * 1024;

const LEFT_OVER: Reply =
    Reply::new(452, Enhanced(4, 5, 3), "more recipients than one transaction takes");
const OUT_OF_TURN: Reply = Reply::new(451, STATUS, "server answered before it was asked");

/// Which command the next reply answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Awaited {
    /// None: no transaction is open.
    #[default]
    Nothing,
    Reset,
    Mail,
    /// The RCPT of this slot.
    Rcpt(usize),
    Data,
    /// The message: one reply, or one for each accepted recipient (LMTP).
    Message,
}

/// Whether the driver has the body in hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Body {
    #[default]
    Unsent,
    Sending,
    Sent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Asked,
    Accepted,
    Answered,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    recipient: u32,
    state: State,
}

/// The transaction in hand; its buffers serve all transactions of the connection.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    /// The connection is out of step and must be closed.
    pub(super) broken: bool,
    /// Transactions begun on this connection.
    pub(super) count: u32,
    awaited: Awaited,
    /// The recipients of this transaction, in the order of their RCPT.
    slots: Vec<Slot>,
    /// Those that one transaction cannot take.
    left: Vec<u32>,
    outcomes: Vec<RecipientOutcome>,
    /// Commands not sent yet (no PIPELINING), and how far they are.
    queued: Vec<u8>,
    queued_at: usize,
    size: u64,
    lmtp: bool,
    chunking: bool,
    pipelined: bool,
    /// DATA or BDAT is out already.
    data_sent: bool,
    body: Body,
    /// The answer that refused MAIL.
    mail_refused: Option<Reply>,
    /// Recipients accepted by RCPT, and how many of them have no answer yet.
    accepted: usize,
    unanswered: usize,
    /// The peer took the message: its transaction is over.
    taken: bool,
    needs_reset: bool,
}

impl Transaction {
    /// Starts the transaction of `job`.
    pub(super) fn begin(
        &mut self,
        job: &Job<'_>,
        offers: &Offers,
        lmtp: bool,
        out: &mut Vec<u8>,
    ) -> Step {
        self.clear(job, offers, lmtp);
        if let Some(reply) = commands::refuse_message(job, offers) {
            return Step::Done(all(job, &Outcome { stage: Stage::Mail, reply }, false));
        }
        self.choose_recipients(job, offers);
        if self.slots.is_empty() {
            return Step::Done(std::mem::take(&mut self.outcomes));
        }
        self.count = self.count.saturating_add(1);
        self.pipelined = offers.pipelining;
        self.awaited = if self.needs_reset { Awaited::Reset } else { Awaited::Mail };
        if self.pipelined {
            self.write_commands(job, offers, out);
            return self.pipeline_data(out);
        }
        let mut queued = std::mem::take(&mut self.queued);
        self.write_commands(job, offers, &mut queued);
        self.queued = queued;
        self.send_queued(out)
    }

    fn clear(&mut self, job: &Job<'_>, offers: &Offers, lmtp: bool) {
        self.slots.clear();
        self.left.clear();
        self.outcomes = Vec::new();
        self.queued.clear();
        self.queued_at = 0;
        (self.size, self.lmtp, self.chunking) = (job.size, lmtp, offers.chunking);
        (self.data_sent, self.body, self.taken) = (false, Body::Unsent, false);
        self.mail_refused = None;
        (self.accepted, self.unanswered) = (0, 0);
    }

    /// Who goes into this transaction, who into a further one, and who cannot go at all.
    fn choose_recipients(&mut self, job: &Job<'_>, offers: &Offers) {
        self.outcomes.reserve_exact(job.recipients.len());
        let announced = offers.rcptmax.map_or(RECIPIENTS_MAX, |max| max as usize);
        let slots_max = announced.clamp(1, RECIPIENTS_CEILING);
        let recipients = &job.envelope.recipients;
        for index in job.recipients {
            let Some(recipient) = recipients.get(*index as usize) else { continue };
            if let Some(reply) = commands::refuse_recipient(recipient, offers) {
                self.tell(*index, Stage::Rcpt, reply, false);
            } else if self.slots.len() < slots_max && self.domain_fits(job, *index, offers) {
                self.slots.push(Slot { recipient: *index, state: State::Asked });
            } else {
                self.left.push(*index);
            }
        }
    }

    /// RCPTDOMAINMAX (RFC 9422 §4.3). Few peers announce it, and they announce 1: counting the
    /// domains anew for each recipient is cheap enough.
    fn domain_fits(&self, job: &Job<'_>, index: u32, offers: &Offers) -> bool {
        let Some(domains_max) = offers.rcptdomainmax else { return true };
        let host = |index: u32| job.envelope.recipients[index as usize].address.host();
        let taken = |at: usize| host(self.slots[at].recipient);
        if (0..self.slots.len()).any(|at| taken(at) == host(index)) {
            return true;
        }
        let first = |at: &usize| (0..*at).all(|before| taken(before) != taken(*at));
        (0..self.slots.len()).filter(first).count() < domains_max as usize
    }

    fn write_commands(&mut self, job: &Job<'_>, offers: &Offers, out: &mut Vec<u8>) {
        if self.needs_reset {
            out.extend_from_slice(b"RSET\r\n");
        }
        commands::write_mail(job, offers, out);
        for slot in &self.slots {
            commands::write_rcpt(&job.envelope.recipients[slot.recipient as usize], offers, out);
        }
    }

    /// What follows the RCPTs in the same send: DATA, or BDAT and the body itself.
    fn pipeline_data(&mut self, out: &mut Vec<u8>) -> Step {
        if !self.chunking {
            self.data_sent = true;
            out.extend_from_slice(b"DATA\r\n");
        } else if self.size <= EAGER_BODY_BYTES_MAX {
            return self.send_chunk(out);
        }
        Step::NeedInput
    }

    fn send_chunk(&mut self, out: &mut Vec<u8>) -> Step {
        (self.data_sent, self.body) = (true, Body::Sending);
        // Writing to a Vec cannot fail.
        let _ = write!(out, "BDAT {} LAST\r\n", self.size);
        Step::SendBody(Framing::Raw)
    }

    fn send_queued(&mut self, out: &mut Vec<u8>) -> Step {
        let rest = &self.queued[self.queued_at..];
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        out.extend_from_slice(&rest[..length]);
        self.queued_at += length;
        Step::NeedInput
    }

    /// The driver has sent the body.
    pub(super) fn body_sent(&mut self) {
        if self.body == Body::Sending {
            self.body = Body::Sent;
        }
    }

    /// A reply is complete in `reader`; `more` when further octets came along with it.
    pub(super) fn heard(&mut self, reader: &Reader, more: bool, out: &mut Vec<u8>) -> Step {
        // 421 ends the connection whenever it is said (RFC 5321 §3.8).
        if reader.code() == 421 {
            return self.abort(reader.reply());
        }
        // With nothing else asked, there is nothing that further octets could answer.
        let out_of_turn = more && self.is_last();
        let mark = out.len();
        let step = match self.awaited {
            Awaited::Nothing => self.abort(OUT_OF_TURN),
            Awaited::Reset => self.heard_reset(reader, out),
            Awaited::Mail => self.heard_mail(reader, out),
            Awaited::Rcpt(at) => self.heard_rcpt(at, reader, out),
            Awaited::Data => self.heard_data(reader, out),
            Awaited::Message => self.heard_message(reader),
        };
        if !out_of_turn {
            return step;
        }
        self.broken = true;
        if matches!(step, Step::Done(_)) {
            return step;
        }
        out.truncate(mark);
        self.abort(OUT_OF_TURN)
    }

    /// Whether the awaited reply answers the last command that is out.
    fn is_last(&self) -> bool {
        match self.awaited {
            Awaited::Nothing | Awaited::Data => true,
            Awaited::Reset | Awaited::Mail => !self.pipelined,
            Awaited::Rcpt(at) => !self.pipelined || (at + 1 == self.slots.len() && !self.data_sent),
            Awaited::Message => !self.lmtp || self.unanswered <= 1,
        }
    }

    fn heard_reset(&mut self, reader: &Reader, out: &mut Vec<u8>) -> Step {
        if reader.severity() != Severity::Success {
            return self.abort(unexpected(reader));
        }
        self.needs_reset = false;
        self.awaited = Awaited::Mail;
        if self.pipelined { Step::NeedInput } else { self.send_queued(out) }
    }

    fn heard_mail(&mut self, reader: &Reader, out: &mut Vec<u8>) -> Step {
        match reader.severity() {
            Severity::Success => {}
            Severity::Intermediate => return self.abort(unexpected(reader)),
            Severity::Temporary | Severity::Permanent => {
                self.mail_refused = Some(reader.reply());
                if !self.pipelined {
                    return self.finish();
                }
            }
        }
        self.awaited = Awaited::Rcpt(0);
        if self.pipelined { Step::NeedInput } else { self.send_queued(out) }
    }

    fn heard_rcpt(&mut self, at: usize, reader: &Reader, out: &mut Vec<u8>) -> Step {
        match reader.severity() {
            Severity::Success => {
                self.slots[at].state = State::Accepted;
                self.accepted += 1;
                self.unanswered += 1;
            }
            Severity::Intermediate => return self.abort(unexpected(reader)),
            // After a refused MAIL this is only its echo (503).
            _ if self.mail_refused.is_some() => {}
            _ => {
                self.slots[at].state = State::Answered;
                let (reply, again) = refused_recipient(reader);
                self.tell(self.slots[at].recipient, Stage::Rcpt, reply, again);
            }
        }
        if at + 1 < self.slots.len() {
            self.awaited = Awaited::Rcpt(at + 1);
            return if self.pipelined { Step::NeedInput } else { self.send_queued(out) };
        }
        self.after_recipients(out)
    }

    fn after_recipients(&mut self, out: &mut Vec<u8>) -> Step {
        let sent = self.data_sent;
        if !sent && (self.accepted == 0 || self.mail_refused.is_some()) {
            return self.finish();
        }
        self.awaited = if self.chunking { Awaited::Message } else { Awaited::Data };
        match (sent, self.chunking) {
            (true, _) => Step::NeedInput,
            (false, true) => self.send_chunk(out),
            (false, false) => {
                self.data_sent = true;
                out.extend_from_slice(b"DATA\r\n");
                Step::NeedInput
            }
        }
    }

    fn heard_data(&mut self, reader: &Reader, out: &mut Vec<u8>) -> Step {
        match reader.severity() {
            Severity::Success => self.abort(unexpected(reader)),
            Severity::Intermediate => {
                (self.awaited, self.body) = (Awaited::Message, Body::Sending);
                if self.accepted == 0 {
                    out.extend_from_slice(b".\r\n");
                    return Step::SendBody(Framing::Nothing);
                }
                // MAIL refused, RCPT taken, and now it wants a message: even an empty one could
                // reach somebody. Only hanging up is safe.
                if self.mail_refused.is_some() {
                    return self.abort(unexpected(reader));
                }
                Step::SendBody(Framing::Dots)
            }
            Severity::Temporary | Severity::Permanent => {
                if self.mail_refused.is_none() {
                    self.tell_unanswered(Stage::Data, reader.reply(), false);
                }
                self.finish()
            }
        }
    }

    fn heard_message(&mut self, reader: &Reader) -> Step {
        match reader.severity() {
            Severity::Intermediate => return self.abort(unexpected(reader)),
            // It cannot have what was not sent.
            Severity::Success if self.body != Body::Sent => return self.abort(OUT_OF_TURN),
            Severity::Success => self.taken = true,
            Severity::Temporary | Severity::Permanent => {}
        }
        if self.accepted == 0 || self.mail_refused.is_some() {
            // Nobody is waiting for this answer. If it took a message it had refused, it is mad.
            self.broken |= self.accepted > 0;
            return self.finish();
        }
        if !self.lmtp {
            self.tell_unanswered(Stage::Body, reader.reply(), false);
            return self.finish();
        }
        let next = self.slots.iter_mut().find(|slot| slot.state == State::Accepted);
        if let Some(slot) = next {
            slot.state = State::Answered;
            let recipient = slot.recipient;
            self.tell(recipient, Stage::Body, reader.reply(), false);
            self.unanswered -= 1;
        }
        if self.unanswered > 0 { Step::NeedInput } else { self.finish() }
    }

    /// All commands are answered: gathers the outcomes and sees what state the peer is in.
    fn finish(&mut self) -> Step {
        let refused = self.mail_refused.take();
        self.needs_reset = !self.taken && (refused.is_none() || self.accepted > 0);
        self.broken |= self.body == Body::Sending;
        self.awaited = Awaited::Nothing;
        if let Some(reply) = refused {
            // "Too many messages" on a connection that has served: the next one takes it.
            let again = self.count > 1 && too_many(reply.code, reply.enhanced);
            self.broken |= again;
            self.tell_unanswered(Stage::Mail, reply.clone(), again);
            self.tell_left(Stage::Mail, reply, again);
        } else {
            // Going round again must leave fewer recipients each time.
            if self.accepted == 0 {
                self.outcomes.iter_mut().for_each(|outcome| outcome.again = false);
            }
            self.tell_left(Stage::Rcpt, LEFT_OVER, true);
        }
        Step::Done(std::mem::take(&mut self.outcomes))
    }

    /// The connection is of no more use: `reply` for everybody who has no answer yet.
    pub(super) fn abort(&mut self, reply: Reply) -> Step {
        let stage = self.stage();
        // A connection that served before and ends at MAIL was closed while it lay idle. The
        // message has not begun: try another one, at once.
        let stale = self.count > 1 && matches!(self.awaited, Awaited::Reset | Awaited::Mail);
        self.broken = true;
        self.awaited = Awaited::Nothing;
        self.outcomes.iter_mut().for_each(|outcome| outcome.again = false);
        let (refused_stage, reply) = match self.mail_refused.take() {
            Some(refused) => (Stage::Mail, refused),
            None => (stage, reply),
        };
        self.tell_unanswered(refused_stage, reply.clone(), stale);
        self.tell_left(refused_stage, reply, stale);
        Step::Done(std::mem::take(&mut self.outcomes))
    }

    fn tell(&mut self, recipient: u32, stage: Stage, reply: Reply, again: bool) {
        let outcome = Outcome { stage, reply };
        self.outcomes.push(RecipientOutcome { recipient, outcome, again });
    }

    fn tell_unanswered(&mut self, stage: Stage, reply: Reply, again: bool) {
        let mut waiting = self.slots.iter_mut().filter(|slot| slot.state != State::Answered);
        // The last one takes the reply itself: with one recipient, nothing is copied.
        let Some(first) = waiting.next() else { return };
        first.state = State::Answered;
        let mut last = first.recipient;
        for slot in waiting {
            slot.state = State::Answered;
            let outcome = Outcome { stage, reply: reply.clone() };
            self.outcomes.push(RecipientOutcome { recipient: last, outcome, again });
            last = slot.recipient;
        }
        self.unanswered = 0;
        self.tell(last, stage, reply, again);
    }

    fn tell_left(&mut self, stage: Stage, reply: Reply, again: bool) {
        for at in 0..self.left.len() {
            self.tell(self.left[at], stage, reply.clone(), again);
        }
        self.left.clear();
    }

    /// Where the transaction stands.
    pub(super) fn stage(&self) -> Stage {
        match self.awaited {
            _ if self.body == Body::Sending => Stage::Body,
            Awaited::Nothing | Awaited::Reset | Awaited::Mail => Stage::Mail,
            Awaited::Rcpt(_) => Stage::Rcpt,
            Awaited::Data => Stage::Data,
            Awaited::Message => Stage::Body,
        }
    }

    /// Octets that the driver is sending now.
    pub(super) fn sending(&self) -> Option<u64> {
        (self.body == Body::Sending).then_some(self.size)
    }
}

/// One outcome for every recipient of a job that is not even begun.
pub(super) fn all(job: &Job<'_>, outcome: &Outcome, again: bool) -> Vec<RecipientOutcome> {
    let known = |index: &&u32| (**index as usize) < job.envelope.recipients.len();
    let tell =
        |index: &u32| RecipientOutcome { recipient: *index, outcome: outcome.clone(), again };
    job.recipients.iter().filter(known).map(tell).collect()
}

/// A reply that does not fit its command: no reason to give up, but none to go on.
pub(super) fn unexpected(reader: &Reader) -> Reply {
    match reader.severity() {
        Severity::Temporary | Severity::Permanent => reader.reply(),
        _ => Reply::made(451, STATUS, format!("unexpected reply: {}", reader.reply())),
    }
}

/// What a refused RCPT means: its reply, and whether it was only one recipient too many. A 552
/// counts as a 452 there (RFC 5321 §4.5.3.1.10), unless its status tells of something else.
fn refused_recipient(reader: &Reader) -> (Reply, bool) {
    let mut reply = reader.reply();
    let again = too_many(reply.code, reply.enhanced);
    if again && reply.code == 552 {
        (reply.code, reply.enhanced) = (452, Some(Enhanced(4, 5, 3)));
    }
    (reply, again)
}

fn too_many(code: u16, enhanced: Option<Enhanced>) -> bool {
    let silent = match enhanced {
        None => true,
        Some(Enhanced(_, subject, detail)) => (subject, detail) == (5, 3),
    };
    matches!(code, 452 | 552) && silent
}
