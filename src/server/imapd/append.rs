//! `APPEND` (RFC 9051 §6.3.12), of several messages at once (RFC 3502).
//!
//! What must stay true: a message that cannot be kept is refused before it is sent, where the client
//! waits; what comes in is held in memory that the shard has given for it; all messages of a command are
//! put into the folder in one group, or none.

use bytes::Bytes;
use engine::shard::{Permit, wall_ms};
use mail::mailbox::{Marks, Parcel};
use memchr::memchr;
use proto::imap::syntax::Ranges;
use proto::imap::{Answer, Code, Completion};
use proto::types::Timestamp;

use super::flags;
use super::news::Telling;
use super::session::Session;
use super::trouble;

/// What part of the memory for messages one account may have announced, with one message more at most: a few
/// sessions that announce and do not send shall not keep everybody else waiting.
const ACCOUNT_PART: usize = 4;

/// What has come of a command.
pub(super) struct Append {
    folder: Box<str>,
    messages: Vec<Incoming>,
    permit: Permit,
    /// Likewise of what one account may have.
    announced: Vec<Permit>,
    /// Octets of all messages, those that are still to come included.
    octets: u64,
}

struct Incoming {
    message: Vec<u8>,
    marks: Marks,
    date: Timestamp,
    /// NUL may be in it (RFC 3516).
    is_binary: bool,
}

impl Append {
    /// A piece of the message that is coming in.
    pub fn push(&mut self, piece: &[u8]) {
        if let Some(incoming) = self.messages.last_mut() {
            incoming.message.extend_from_slice(piece);
        }
    }
}

impl Session {
    /// Whether the message that is announced may come.
    pub(super) async fn admit_message(&mut self) -> Answer {
        let admitted = self.prepare().await;
        admitted.map_or_else(Answer::Refuse, |()| Answer::Accept)
    }

    async fn prepare(&mut self) -> Result<(), Completion> {
        let internal = || Completion::no("Internal error").with(Code::ServerBug);
        let message = self.machine.message().cloned().ok_or_else(internal)?;
        let home = self.home.as_deref().ok_or_else(internal)?;
        let folder = message.mailbox.as_str();
        home.mailbox.folder(folder).map_err(|error| trouble::target(&error))?;
        let before = if message.first { None } else { self.append.take() };
        let octets = before.as_ref().map_or(0, |append| append.octets) + message.octets;
        let room = self.door.stores.room(home.mailbox.account(), home.limits, octets);
        room.await.map_err(|error| trouble::completion(&error))?;
        let incoming = Incoming {
            message: Vec::new(),
            marks: flags::marks(&message.flags),
            date: message.date.unwrap_or(Timestamp(wall_ms())),
            is_binary: message.binary,
        };
        let spent = || Completion::no("Too busy, try later").with(Code::Limit);
        let bytes = usize::try_from(message.octets).map_err(|_| spent())?;
        let announced = home.guest.announce(bytes, self.door.budget.max() / ACCOUNT_PART);
        let announced = announced.ok_or_else(spent)?;
        let mut append = match before {
            Some(append) => append,
            None => {
                let permit = self.door.budget.try_take(0).ok_or_else(spent)?;
                let (messages, announced) = (Vec::new(), Vec::new());
                Box::new(Append { folder: folder.into(), messages, permit, announced, octets: 0 })
            }
        };
        if !append.permit.grow(bytes) {
            self.door.metrics.memory_spent.inc();
            return Err(spent());
        }
        append.octets = octets;
        append.announced.push(announced);
        append.messages.push(incoming);
        // It is there at once and for as long as it is needed: growing would hold it twice.
        if let Some(incoming) = append.messages.last_mut() {
            incoming.message.reserve_exact(bytes);
        }
        self.append = Some(append);
        Ok(())
    }

    /// All messages of the command are here.
    pub(super) async fn append(&mut self) {
        let done = match self.append.take() {
            Some(append) => self.put(*append).await,
            None => Completion::no("Internal error").with(Code::ServerBug),
        };
        let manner = self.manner();
        self.conclude(done, Telling::ALL, &manner);
    }

    async fn put(&mut self, append: Append) -> Completion {
        let Some(home) = self.home.as_deref() else { return Completion::no("Log in first") };
        let Append { folder, messages, permit: _permit, announced: _announced, .. } = append;
        let mut parcels = Vec::with_capacity(messages.len());
        for incoming in messages {
            let Incoming { message, marks, date, is_binary } = incoming;
            if !is_binary && memchr(0, &message).is_some() {
                return Completion::no("NUL needs a literal8").with(Code::Cannot);
            }
            let parcel = Parcel::made(message.len(), date, move || Bytes::from(message)).await;
            match parcel {
                Ok(parcel) => parcels.push(parcel.with(marks)),
                Err(error) => return trouble::completion(&error),
            }
            // To read a message takes its time.
            tokio::task::yield_now().await;
        }
        let session = home.view.as_deref().map_or(0, |view| view.session());
        let limits = home.limits;
        match home.mailbox.append(&folder, &parcels, limits, session).await {
            Ok(appended) => {
                self.door.metrics.appended.add(parcels.len() as u64);
                let uids: Ranges = appended.uids.into_iter().collect();
                let code = Code::AppendUid { uid_validity: appended.validity, uids };
                Completion::ok("Appended").with(code)
            }
            Err(error) => trouble::target(&error),
        }
    }
}
