//! Reports to senders: bounces, delay warnings, and successes where they were asked for (RFC 3461,
//! RFC 3464).
//!
//! What must stay true: a report is from the null sender and asks for no report itself, so that mail
//! never answers itself; it enters the queue in the same group that ends the lease it tells of. One
//! is written at a time, so that one original is in memory, however much mail fails at once.

use std::rc::{Rc, Weak};

use bytes::Bytes;
use engine::shard::sleep;
use engine::storage::{Group, Op};
use engine::telemetry::{Level, note};
use proto::dsn::{self, Entry, Kind};
use proto::types::{Address, BodyKind, Enhanced, Envelope, Notify, Recipient, Reply, Timestamp};

use super::ending::End;
use super::intake::Arriving;
use super::record::{self, BODY, META};
use super::schedule::Wish;
use super::{Inner, MessageId, Queue, Remote};

/// How a report says where it came from.
const ORIGIN: &str = "bounce";
/// Groups that may wait for a disk that fails before no more reports are made: they hold bodies.
const BACKLOG_MAX: usize = 256;
/// Room for the signatures of a report; more is no harm.
const SIGNATURES_OCTETS: usize = 2048;
/// How often a disk that fails is looked at.
const BACKLOG_LOOK_MS: u64 = 50;
/// When a server gave no enhanced status: RFC 3463 §3.1, other or undefined.
const UNDEFINED: u16 = 0;

/// Signs what the queue writes itself. It is asked on the shard, once a report: a signature may take
/// some hundreds of µs.
pub trait Sign {
    /// Appends to `out` the fields that go before `message`: none when nobody signs for its author, or
    /// when that fails, which the signer tells. Mail is not lost for want of a signature.
    fn sign(&self, message: &[u8], at: Timestamp, out: &mut Vec<u8>);
}

/// What is told about one recipient.
#[derive(Clone, Debug)]
pub(super) struct Note {
    /// Index in the envelope.
    pub recipient: usize,
    status: Enhanced,
    reply: Reply,
    remote: Option<Rc<str>>,
}

/// What a lease has to tell the sender.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    pub failed: Vec<Note>,
    pub delayed: Vec<Note>,
    pub relayed: Vec<Note>,
    pub delivered: Vec<Note>,
    /// When the delayed ones are given up.
    pub until: Timestamp,
}

/// A report that is ready to be queued.
struct Made {
    id: MessageId,
    envelope: Envelope,
    message: Bytes,
}

impl Note {
    pub fn new(recipient: usize, reply: &Reply, remote: Option<&Remote>) -> Self {
        let class = u8::try_from(reply.code / 100).unwrap_or(5);
        Self {
            recipient,
            status: reply.enhanced.unwrap_or(Enhanced(class, UNDEFINED, UNDEFINED)),
            reply: reply.clone(),
            remote: remote.map(|remote| Rc::clone(&remote.name)),
        }
    }

    pub fn with_status(self, status: Enhanced) -> Self {
        Self { status, ..self }
    }
}

impl Notes {
    pub fn is_empty(&self) -> bool {
        [&self.failed, &self.delayed, &self.relayed, &self.delivered].into_iter().all(Vec::is_empty)
    }
}

impl Made {
    fn put(&self, group: &mut Group) {
        let mut value = Vec::new();
        record::write_envelope(&self.envelope, &mut value);
        group.push(Op::put(META, &self.id.key(), value));
        group.push(Op::put(BODY, &self.id.key(), self.message.clone()));
    }
}

/// Ends the leases that have something to report, one after the other, for as long as the queue
/// lives.
pub(super) async fn run(queue: Weak<Inner>, wake: Rc<tokio::sync::Notify>) {
    loop {
        let Some(queue) = queue.upgrade() else { return };
        let next = queue.to_report.borrow_mut().pop_front();
        let Some(end) = next else {
            drop(queue);
            wake.notified().await;
            continue;
        };
        queue.report(&end).await;
        queue.ending.set(queue.ending.get().saturating_sub(1));
        queue.ended.notify_waiters();
    }
}

impl Inner {
    async fn report(self: &Rc<Self>, end: &End) {
        while self.store.backlog() > BACKLOG_MAX
            && self.is_healthy().is_err()
            && !self.closing.get()
        {
            sleep(BACKLOG_LOOK_MS).await;
        }
        let reports = make(self, end.id, &end.envelope, &end.notes).await;
        // An admin may have deleted the message meanwhile: then nobody is told of it.
        if self.wish(end.id) == Wish::Delete {
            return self.write_end(end, Group::new());
        }
        let mut group = Group::new();
        for report in &reports {
            report.put(&mut group);
        }
        self.write_end(end, group);
        for report in reports {
            self.metrics.reports.inc();
            self.admit(Arriving::from((report.id, report.envelope)), report.message);
        }
    }
}

/// Writes the reports that `notes` call for; reads the original for it. When it cannot be read, the
/// report goes without it rather than not at all.
async fn make(queue: &Rc<Inner>, id: MessageId, envelope: &Envelope, notes: &Notes) -> Vec<Made> {
    let Some(to) = &envelope.sender else { return Vec::new() };
    let original = queue.body(id).await.unwrap_or_else(|error| {
        note(Level::Warn, format_args!("a report about {id} goes without the message: {error}"));
        Bytes::new()
    });
    let subject = Subject { queue, id, envelope, to, original: &original };
    let delayed = Kind::Delayed { until: notes.until };
    let kinds = [
        (Kind::Failed, &notes.failed),
        (delayed, &notes.delayed),
        (Kind::Relayed, &notes.relayed),
        (Kind::Delivered, &notes.delivered),
    ];
    kinds
        .into_iter()
        .filter(|(_, notes)| !notes.is_empty())
        .map(|(kind, notes)| subject.make(kind, notes))
        .collect()
}

/// What reports are about.
struct Subject<'a> {
    queue: &'a Rc<Inner>,
    id: MessageId,
    envelope: &'a Envelope,
    to: &'a Address,
    original: &'a [u8],
}

impl Subject<'_> {
    fn make(&self, kind: Kind, notes: &[Note]) -> Made {
        let id = Queue(Rc::clone(self.queue)).next_id();
        let now = self.queue.now();
        let message = self.text(kind, notes, id, now);
        let is_ascii = message.is_ascii();
        let to = Recipient { address: self.to.clone(), notify: Some(Notify::NEVER), orcpt: None };
        let envelope = Envelope {
            sender: None,
            recipients: vec![to],
            body: if is_ascii { BodyKind::SevenBit } else { BodyKind::EightBit },
            smtputf8: self.envelope.smtputf8 && (self.to.needs_utf8() || !is_ascii),
            ret: None,
            envid: None,
            arrived: now,
            size: message.len() as u64,
            origin: ORIGIN.into(),
            require_tls: false,
            hold_until: None,
            authenticity: None,
        };
        Made { id, envelope, message: message.into() }
    }

    fn text(&self, kind: Kind, notes: &[Note], new_id: MessageId, now: Timestamp) -> Vec<u8> {
        let will_retry_until = match kind {
            Kind::Delayed { until } => Some(until),
            _ => None,
        };
        let entries = notes.iter().map(|note| Entry {
            recipient: &self.envelope.recipients[note.recipient],
            remote_mta: note.remote.as_deref(),
            status: note.status,
            diagnostic: Some(&note.reply),
            last_attempt: now,
            will_retry_until,
        });
        let entries: Vec<Entry<'_>> = entries.collect();
        let report = dsn::Report {
            kind,
            reporting_mta: &self.queue.hostname,
            to: self.to,
            envelope: self.envelope,
            id: &self.id.to_string(),
            new_id: &new_id.to_string(),
            at: now,
            recipients: &entries,
            original: self.original,
        };
        let mut text = Vec::new();
        let bytes_max = self.queue.settings().bounce_original_bytes_max.as_usize();
        dsn::write(&report, bytes_max, &mut text);
        let Some(signer) = &self.queue.signer else { return text };
        let mut signed = Vec::with_capacity(text.len() + SIGNATURES_OCTETS);
        signer.sign(&text, now, &mut signed);
        signed.append(&mut text);
        signed
    }
}
