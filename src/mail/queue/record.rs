//! What the queue writes into its store, and how.
//!
//! | family | key | value |
//! |---|---|---|
//! | meta | id | envelope, never changed |
//! | body | id | the message, in blobs |
//! | state | id, version | what became of the recipients; only for mail that was put off, held or quarantined |
//! | marks | – | the store's own probe |
//!
//! What must stay true: a key is put once and removed once, so a new state has a new version and
//! removes the one before it, in the same group. The first octet of a value is the form it is in; a
//! form that is not known is an error, which holds the message. Envelopes are in form 3, which has
//! fields more at its end than the earlier ones; those are still read.

use std::net::SocketAddr;

use engine::storage::{Family, Group, Key, Op};
use proto::types::{Envelope, Reply, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{MessageId, Remote};

pub(super) static FAMILIES: [Family; 4] = [
    Family { name: "meta", blobs: false, overwrites: false },
    Family { name: "body", blobs: true, overwrites: false },
    Family { name: "state", blobs: false, overwrites: false },
    Family { name: "marks", blobs: false, overwrites: true },
];
pub(super) const META: usize = 0;
pub(super) const BODY: usize = 1;
pub(super) const STATE: usize = 2;

/// Octets of a reply that a state keeps: a state is written at every attempt.
const REPLY_BYTES_MAX: usize = 400;
/// The forms that are written.
const ENVELOPE_FORM: u8 = 3;
const STATE_FORM: u8 = 1;
/// What an envelope of an earlier form lacks at its end, as it stands there when nothing was given:
/// `authenticity`, and in the first form `require_tls` and `hold_until` as well.
const MISSING_ENDS: [(u8, &[u8]); 2] = [(1, &[0, 0, 0]), (2, &[0])];

/// What became of one recipient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Status {
    /// To be tried.
    #[default]
    Pending,
    /// The next hop has it.
    Delivered,
    /// Given up.
    Failed,
}

impl Status {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// One recipient of a message that was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RecipientState {
    pub status: Status,
    /// Attempts so far.
    pub attempts: u32,
    /// Not before.
    pub due: Timestamp,
    pub last_attempt: Option<Timestamp>,
    pub last_reply: Option<Reply>,
    /// Name and address of the server that said it.
    pub last_remote: Option<(Box<str>, Option<SocketAddr>)>,
}

impl RecipientState {
    /// Notes what was said last, as far as a state has room for it.
    pub fn heard(&mut self, reply: &Reply, remote: Option<&Remote>) {
        let mut reply = reply.clone();
        if reply.text.len() > REPLY_BYTES_MAX {
            let end = reply.text.floor_char_boundary(REPLY_BYTES_MAX);
            reply.text = reply.text[..end].to_owned().into();
        }
        self.last_reply = Some(reply);
        self.last_remote = remote.map(|remote| ((&*remote.name).into(), remote.addr));
    }

    /// Who spoke last.
    pub fn remote(&self) -> Option<Remote> {
        let (name, addr) = self.last_remote.as_ref()?;
        Some(Remote { name: (&**name).into(), addr: *addr })
    }
}

/// The changing half of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Held by an admin.
    pub held: bool,
    /// The sender knows that it waits.
    pub warned: bool,
    /// In the order of the envelope.
    pub recipients: Vec<RecipientState>,
}

/// A value that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("its record cannot be read")]
pub(super) struct RecordError;

impl State {
    /// Of a message that was never tried.
    pub fn new(recipients: usize) -> Self {
        let recipients = vec![RecipientState::default(); recipients];
        Self { held: false, warned: false, recipients }
    }

    /// Indexes of the recipients that are still to be tried.
    pub fn pending(&self) -> impl Iterator<Item = usize> + '_ {
        let each = self.recipients.iter().enumerate();
        each.filter(|(_, r)| r.status == Status::Pending).map(|(index, _)| index)
    }

    /// When the next recipient is due; `None` when all is done.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.pending().map(|index| self.recipients[index].due).min()
    }
}

pub(super) fn write_envelope(envelope: &Envelope, out: &mut Vec<u8>) {
    write(ENVELOPE_FORM, envelope, out);
}

pub(super) fn read_envelope(value: &[u8]) -> Result<Envelope, RecordError> {
    let missing = value.split_first().and_then(|(form, rest)| {
        let end = MISSING_ENDS.iter().find(|(earlier, _)| earlier == form)?.1;
        Some([&[ENVELOPE_FORM], rest, end].concat())
    });
    read(ENVELOPE_FORM, missing.as_deref().unwrap_or(value))
}

pub(super) fn read_state(value: &[u8]) -> Result<State, RecordError> {
    read(STATE_FORM, value)
}

fn write(form: u8, value: &impl Serialize, out: &mut Vec<u8>) {
    out.clear();
    out.push(form);
    // Plain data always serialises into memory.
    if let Ok(written) = postcard::to_extend(value, std::mem::take(out)) {
        *out = written;
    }
}

fn read<T: DeserializeOwned>(form: u8, value: &[u8]) -> Result<T, RecordError> {
    match value.split_first() {
        Some((first, rest)) if *first == form => {
            postcard::from_bytes(rest).map_err(|_| RecordError)
        }
        _ => Err(RecordError),
    }
}

/// The key of a state: sorts by message.
pub(super) fn state_key(id: MessageId, version: u32) -> Key {
    let mut key = Key::from_slice(&id.key());
    key.extend_from_slice(&u64::from(version).to_be_bytes());
    key
}

/// The message and the version that a state's key names.
pub(super) fn of_state_key(key: &[u8]) -> Option<(MessageId, u32)> {
    let (id, version) = key.split_at_checked(8)?;
    let version = u64::from_be_bytes(version.try_into().ok()?);
    Some((MessageId::of_key(id)?, u32::try_from(version).ok()?))
}

/// Removes a message and its state.
pub(super) fn removal(id: MessageId, version: u32) -> Group {
    let mut group = Group::new();
    group.push(Op::remove(META, &id.key()));
    group.push(Op::remove(BODY, &id.key()));
    if version > 0 {
        group.push(Op::remove(STATE, &state_key(id, version)));
    }
    group
}

/// The first version of a state.
pub(super) const FIRST_VERSION: u32 = 1;

/// Writes the state of a message that is held from the start.
pub(super) fn write_held(recipients: usize, out: &mut Vec<u8>) {
    write(STATE_FORM, &State { held: true, ..State::new(recipients) }, out);
}

/// Puts a state in the place of the version before it; returns the new version.
pub(super) fn replace_state(id: MessageId, version: u32, state: &State, group: &mut Group) -> u32 {
    let mut value = Vec::new();
    write(STATE_FORM, state, &mut value);
    let next = version.wrapping_add(1).max(FIRST_VERSION);
    group.push(Op::put(STATE, &state_key(id, next), value));
    if version > 0 {
        group.push(Op::remove(STATE, &state_key(id, version)));
    }
    next
}

#[cfg(test)]
mod tests {
    use proto::types::{Address, Authenticity, BodyKind, Notify, Recipient, Ret};

    use super::*;

    #[test]
    fn records_come_back_and_foreign_ones_are_errors() {
        let envelope = Envelope {
            sender: Address::parse("a@source.test").ok(),
            recipients: vec![Recipient {
                address: Address::parse("b@sink.test").unwrap(),
                notify: Some(Notify::NEVER),
                orcpt: Some("rfc822;b@sink.test".into()),
            }],
            body: BodyKind::EightBit,
            smtputf8: true,
            ret: Some(Ret::Headers),
            envid: Some("x".into()),
            arrived: Timestamp(7),
            size: 9,
            origin: "192.0.2.1".into(),
            require_tls: true,
            hold_until: Some(Timestamp(1000)),
            authenticity: Some(Authenticity { is_quarantined: true, ..Default::default() }),
        };
        let mut value = b"left over".to_vec();
        write_envelope(&envelope, &mut value);
        assert_eq!(read_envelope(&value).unwrap(), envelope);
        let mut state = State::new(3);
        state.recipients[1].status = Status::Delivered;
        state.recipients[2].due = Timestamp(5);
        let remote = Remote { name: "mx.test".into(), addr: Some(([192, 0, 2, 1], 25).into()) };
        let reply = Reply::made(451, proto::types::Enhanced(4, 7, 1), "greylisted".into());
        state.recipients[2].heard(&reply, Some(&remote));
        assert_eq!(state.recipients[2].remote(), Some(remote));
        assert_eq!(state.pending().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(state.next_due(), Some(Timestamp(0)));
        let mut group = Group::new();
        assert_eq!(replace_state(MessageId(4), 0, &state, &mut group), 1);
        assert_eq!(group.len(), 1);
        assert_eq!(replace_state(MessageId(4), 1, &state, &mut group), 2);
        assert_eq!(group.len(), 3, "the one before is removed");
        let Op::Put { key, value, .. } = &group[0] else { panic!("a put") };
        assert_eq!(of_state_key(key), Some((MessageId(4), 1)));
        assert_eq!(read_state(value).unwrap(), state);
        for foreign in [&b""[..], b"\x04xyz", b"\x01\xff\xff\xff\xff", b"\x03\xff\xff\xff\xff"] {
            assert!(read_envelope(foreign).is_err() && read_state(foreign).is_err());
        }
        assert_eq!(of_state_key(b"short"), None);
    }

    /// As they were written before envelopes had their last fields.
    #[test]
    fn old_envelopes_are_read() {
        let old = b"\x01\x01\x01a\x00\x06x.test\x00\x00";
        assert!(read_envelope(old).is_err(), "cut short");
        let envelope = Envelope {
            sender: Address::parse("a@x.test").ok(),
            recipients: Vec::new(),
            body: BodyKind::SevenBit,
            smtputf8: false,
            ret: None,
            envid: None,
            arrived: Timestamp(7),
            size: 9,
            origin: "o".into(),
            require_tls: false,
            hold_until: None,
            authenticity: None,
        };
        let old = b"\x01\x01\x01a\x00\x06x.test\x00\x00\x00\x00\x00\x07\x09\x01o";
        assert_eq!(read_envelope(old).unwrap(), envelope);
        let second = [&b"\x02"[..], &old[1..], b"\x01\x00"].concat();
        assert!(read_envelope(&second).unwrap().require_tls);
    }
}
