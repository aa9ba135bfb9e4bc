//! What an admin can ask of the queue, and what it answers.

use std::borrow::Cow;

use proto::types::{Address, Domain, Envelope, Timestamp};
use serde::{Deserialize, Serialize};

use super::MessageId;

/// Which messages are meant: all conditions that are set must hold; none set means all messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// This message.
    pub id: Option<MessageId>,
    /// From this sender; `<>` or the empty text is the null sender. Case does not matter.
    pub sender: Option<String>,
    /// To this recipient, among others. Case does not matter.
    pub recipient: Option<String>,
    /// To a recipient of this domain, among others.
    pub domain: Option<String>,
}

/// Asked of one queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
pub enum Command {
    /// A page of messages, oldest first.
    List {
        /// Which.
        #[serde(default)]
        filter: Filter,
        /// Rows wanted at most; bounded by [`LIST_ROWS_MAX`].
        limit: usize,
        /// Go on behind this message.
        #[serde(default)]
        after: Option<MessageId>,
    },
    /// Everything about one message.
    Show {
        /// Which.
        id: MessageId,
    },
    /// Due now. Held messages stay held.
    Flush {
        /// Which.
        #[serde(default)]
        filter: Filter,
    },
    /// Not tried until released; survives a restart.
    Hold {
        /// Which.
        #[serde(default)]
        filter: Filter,
    },
    /// Undoes a hold; due now.
    Release {
        /// Which.
        #[serde(default)]
        filter: Filter,
    },
    /// Removed without a bounce.
    Delete {
        /// Which.
        #[serde(default)]
        filter: Filter,
    },
}

/// Rows of one [`Answer::List`] at most.
pub const LIST_ROWS_MAX: usize = 1000;

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Waits for its next attempt.
    Waiting,
    /// Handed out to delivery.
    Active,
    /// Held by an admin, or because its record cannot be read.
    Held,
}

/// One message in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Its id.
    pub id: MessageId,
    /// Its sender; `None` is the null sender.
    pub sender: Option<String>,
    /// The first recipients, [`ROW_RECIPIENTS_MAX`] at most.
    pub recipients: Vec<String>,
    /// How many there are.
    pub recipients_count: usize,
    /// Octets.
    pub size: u64,
    /// When it came.
    pub arrived: Timestamp,
    /// Where it stands.
    pub phase: Phase,
    /// When it is due (waiting messages).
    pub due: Option<Timestamp>,
}

/// Recipients named in a [`Row`] at most.
pub const ROW_RECIPIENTS_MAX: usize = 3;

/// One recipient in [`Detail`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipientDetail {
    /// Who.
    pub address: String,
    /// `pending`, `delivered` or `failed`.
    pub status: Cow<'static, str>,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is due, while pending.
    pub due: Option<Timestamp>,
    /// When it was tried last.
    pub last_attempt: Option<Timestamp>,
    /// What was said last.
    pub last_reply: Option<String>,
    /// Who said it.
    pub last_remote: Option<String>,
}

/// Everything about one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// As in a list.
    pub row: Row,
    /// How it came.
    pub origin: String,
    /// `ENVID=`, in xtext.
    pub envid: Option<String>,
    /// SMTPUTF8 was given.
    pub smtputf8: bool,
    /// When it is given up.
    pub expires: Timestamp,
    /// Every recipient.
    pub recipients: Vec<RecipientDetail>,
}

/// The queue's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "lowercase")]
pub enum Answer {
    /// To [`Command::List`].
    List {
        /// The page.
        rows: Vec<Row>,
        /// Ask again `after` this for more. A page may be short, even empty, and have more behind
        /// it: one call looks at a bounded number of messages.
        next: Option<MessageId>,
    },
    /// To [`Command::Show`]; `None`: no such message.
    Show {
        /// The message.
        detail: Option<Box<Detail>>,
    },
    /// To the others: how many messages it touched.
    Done {
        /// Messages.
        count: u64,
    },
}

/// The queue in a few numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The queue's number (its directory's, which may be an adopted one's).
    pub queue: u16,
    /// Messages in it.
    pub messages: u64,
    /// Of these, handed out to delivery.
    pub active: u64,
    /// Of these, held.
    pub held: u64,
    /// Of these, due already.
    pub ready: u64,
    /// Milliseconds that the oldest due message has been due.
    pub late_ms: u64,
    /// `healthy`, `full: 12345 bytes free` or `failing: …`.
    pub health: String,
}

impl Filter {
    /// Whether every message is meant.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the message is meant.
    #[must_use]
    pub fn matches(&self, id: MessageId, envelope: &Envelope) -> bool {
        let same_sender = |text: &str| match &envelope.sender {
            None => matches!(text, "" | "<>"),
            Some(sender) => same_address(sender, text),
        };
        let to = |text: &str| envelope.recipients.iter().any(|r| same_address(&r.address, text));
        self.id.is_none_or(|wanted| wanted == id)
            && self.sender.as_deref().is_none_or(same_sender)
            && self.recipient.as_deref().is_none_or(to)
            && self.domain.as_deref().is_none_or(|text| to_domain(envelope, text))
    }
}

fn same_address(address: &Address, text: &str) -> bool {
    address.to_string().to_lowercase() == text.trim_matches(['<', '>']).to_lowercase()
}

fn to_domain(envelope: &Envelope, text: &str) -> bool {
    let Ok(wanted) = Domain::parse(text) else {
        return envelope.recipients.iter().any(|r| r.address.host().to_string() == text);
    };
    envelope.recipients.iter().any(|r| r.address.domain() == Some(&wanted))
}
