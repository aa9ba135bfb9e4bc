//! Reports to senders: bounces, delay warnings, and successes where they were asked for (RFC 3461,
//! RFC 3464).
//!
//! What must stay true: a report is from the null sender and asks for no report itself, so that mail
//! never answers itself; it enters the queue in the same group that ends the lease it tells of.

use std::rc::Rc;

use bytes::Bytes;
use engine::storage::{Group, Op};
use engine::telemetry::{Level, note};
use proto::dsn::{self, Entry, Kind};
use proto::types::{BodyKind, Enhanced, Envelope, Notify, Recipient, Reply, Timestamp};

use super::record::{self, BODY, META};
use super::{Inner, MessageId, Queue, Remote};

/// How a report says where it came from.
const ORIGIN: &str = "bounce";
/// When a server gave no enhanced status: RFC 3463 §3.1, other or undefined.
const UNDEFINED: u16 = 0;

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
    /// When the delayed ones are given up.
    pub until: Timestamp,
}

/// A report that is ready to be queued.
pub(super) struct Made {
    pub id: MessageId,
    pub envelope: Envelope,
    pub message: Bytes,
}

impl Note {
    pub fn new(recipient: u32, reply: &Reply, remote: Option<&Remote>) -> Self {
        let class = u8::try_from(reply.code / 100).unwrap_or(5);
        Self {
            recipient: recipient as usize,
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
        self.failed.is_empty() && self.delayed.is_empty() && self.relayed.is_empty()
    }
}

impl Made {
    pub fn put(&self, group: &mut Group) {
        let mut value = Vec::new();
        record::write_envelope(&self.envelope, &mut value);
        group.push(Op::put(META, &self.id.key(), value));
        group.push(Op::put(BODY, &self.id.key(), self.message.clone()));
    }
}

/// Writes the reports that `notes` call for; reads the original for it. When it cannot be read, the
/// report goes without it rather than not at all.
pub(super) async fn make(
    queue: &Rc<Inner>,
    id: MessageId,
    envelope: &Envelope,
    notes: &Notes,
) -> Vec<Made> {
    let original = queue.body(id).await.unwrap_or_else(|error| {
        note(Level::Warn, format_args!("a report about {id} goes without the message: {error}"));
        Bytes::new()
    });
    let delayed = Kind::Delayed { until: notes.until };
    let kinds =
        [(Kind::Failed, &notes.failed), (delayed, &notes.delayed), (Kind::Relayed, &notes.relayed)];
    kinds
        .into_iter()
        .filter(|(_, notes)| !notes.is_empty())
        .filter_map(|(kind, notes)| make_one(queue, id, envelope, kind, notes, &original))
        .collect()
}

fn make_one(
    queue: &Rc<Inner>,
    id: MessageId,
    envelope: &Envelope,
    kind: Kind,
    notes: &[Note],
    original: &[u8],
) -> Option<Made> {
    let to = envelope.sender.as_ref()?;
    let now = queue.now();
    let new_id = Queue(Rc::clone(queue)).next_id();
    let (name, new_name) = (id.to_string(), new_id.to_string());
    let will_retry_until = match kind {
        Kind::Delayed { until } => Some(until),
        _ => None,
    };
    let entries: Vec<Entry<'_>> = notes
        .iter()
        .map(|note| Entry {
            recipient: &envelope.recipients[note.recipient],
            remote_mta: note.remote.as_deref(),
            status: note.status,
            diagnostic: Some(&note.reply),
            last_attempt: now,
            will_retry_until,
        })
        .collect();
    let original_bytes_max = queue.settings().bounce_original_bytes_max.as_usize();
    let report = dsn::Report {
        kind,
        reporting_mta: &queue.hostname,
        to,
        envelope,
        id: &name,
        new_id: &new_name,
        at: now,
        recipients: &entries,
        original,
    };
    let mut message = Vec::new();
    dsn::write(&report, original_bytes_max, &mut message);
    let is_ascii = message.is_ascii();
    Some(Made {
        id: new_id,
        envelope: Envelope {
            sender: None,
            recipients: vec![Recipient {
                address: to.clone(),
                notify: Some(Notify::NEVER),
                orcpt: None,
            }],
            body: if is_ascii { BodyKind::SevenBit } else { BodyKind::EightBit },
            smtputf8: envelope.smtputf8 && (to.needs_utf8() || !is_ascii),
            ret: None,
            envid: None,
            arrived: now,
            size: message.len() as u64,
            origin: ORIGIN.into(),
        },
        message: message.into(),
    })
}
