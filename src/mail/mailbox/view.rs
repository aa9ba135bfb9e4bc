//! What one session sees of one folder: its own numbering, and what changed since it last looked.
//!
//! What must stay true: a number is a message until the session has been told otherwise: messages that
//! are expunged keep theirs until the session is in a state in which it may hear of that
//! (RFC 9051 §7.5.1). Every change is told once. A session that fell behind what the feed keeps
//! compares its own list with the folder, and hears the same in the end.

use std::collections::BTreeMap;

use super::feed::{Lagged, What};
use super::folder::{Reader, State};
use super::names::folder_name;
use super::plan::Plan;
use super::{Counts, Entry, Flags, Mailbox, MailboxError};

/// What a session is to be told, in the order in which it is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The folder is gone, or was INBOX and has another name: nothing more will come.
    Deleted,
    /// The folder has new keywords: FLAGS and PERMANENTFLAGS are due.
    Keywords,
    /// There are messages that are new: EXISTS.
    Exists {
        /// All messages that have a number.
        messages: u32,
        /// Of these, how many no session but this one has been told of.
        recent: u32,
    },
    /// The flags of a message have changed: FETCH.
    Flags {
        /// Its number.
        number: u32,
        /// As it is.
        entry: Entry,
        /// This session has done it.
        is_own: bool,
    },
    /// A message is gone: EXPUNGE, or VANISHED. The highest number comes first, so that the numbers
    /// of those that follow still hold.
    Expunged {
        /// Its number.
        number: u32,
        /// What its UID was.
        uid: u32,
    },
}

/// A folder that a session has selected.
pub struct View {
    pub(super) mailbox: Mailbox,
    pub(super) reader: Reader,
    /// Names this session in what it does.
    pub(super) session: u32,
    is_read_only: bool,
    /// By number.
    uids: Vec<u32>,
    /// Gone, and still numbered; sorted.
    held: Vec<u32>,
    /// What this session alone has been told of; sorted.
    recent: Vec<u32>,
    modseq: u64,
    /// UIDNEXT as the session knows it.
    pub(super) uid_next: u32,
    keywords: usize,
    /// Its messages were INBOX when it was opened, or not; see [`State::partings`].
    partings: u32,
}

impl Mailbox {
    /// Opens a folder. With `is_read_only` (EXAMINE) messages stay `\Recent` for others.
    ///
    /// # Errors
    /// [`MailboxError::NoFolder`] and the disk's.
    pub async fn open(&self, name: &str, is_read_only: bool) -> Result<View, MailboxError> {
        let name = folder_name(name).map_err(|_| MailboxError::NoFolder)?;
        let folder = self.account.folder(&name)?;
        let store = &self.store.0;
        let reader = folder.open(&self.account, &store.disk, &store.metrics).await?;
        self.account.alive()?;
        store.accounts.weigh(&self.account);
        store.note_accounts();
        // What came while the index was read is in it.
        let _ = reader.read();
        let mut view = View {
            mailbox: self.clone(),
            reader,
            session: store.new_session(),
            is_read_only,
            uids: Vec::new(),
            held: Vec::new(),
            recent: Vec::new(),
            modseq: 0,
            uid_next: 1,
            keywords: 0,
            partings: 0,
        };
        {
            let state = &mut *folder.state.borrow_mut();
            if state.row.is_doomed {
                return Err(MailboxError::NoFolder);
            }
            view.uids = entries(state).iter().map(|entry| entry.uid).collect();
            view.modseq = state.shown.modseq;
            view.uid_next = state.shown.uid_next;
            view.partings = state.partings;
            view.keywords = state.row.keywords.len();
            view.claim(state, 0);
        }
        // A store that fails would lose the account for it.
        if !view.recent.is_empty() && !is_read_only && store.has_room().is_ok() {
            let mut plan = Plan::default();
            plan.put_folder(&folder, &folder.state.borrow().row);
            plan.of(&self.account);
            // Nobody waits for it: if it is lost, messages are `\Recent` once more.
            drop(plan.commit(store));
        }
        Ok(view)
    }
}

impl View {
    /// Messages that have a number.
    #[must_use]
    pub fn len(&self) -> usize {
        self.uids.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.uids.is_empty()
    }

    /// UIDs by number, the first at 0.
    #[must_use]
    pub fn uids(&self) -> &[u32] {
        &self.uids
    }

    /// The UID of the message with this number.
    #[must_use]
    pub fn uid(&self, number: u32) -> Option<u32> {
        self.uids.get((number as usize).checked_sub(1)?).copied()
    }

    /// The number of the message with this UID.
    #[must_use]
    pub fn number(&self, uid: u32) -> Option<u32> {
        self.uids.binary_search(&uid).ok().map(|at| at as u32 + 1)
    }

    /// A message, as it is on stable storage; `None` when it is gone or has no number here.
    #[must_use]
    pub fn entry(&self, uid: u32) -> Option<Entry> {
        self.number(uid)?;
        self.reader.folder.state.borrow().index.as_ref()?.get(uid).copied()
    }

    /// Shows every message that has a number and is there, in order, as it is on stable storage. All of
    /// a folder at a price of looking once: [`View::entry`] searches.
    pub fn each(&self, mut see: impl FnMut(&Entry)) {
        let state = self.reader.folder.state.borrow();
        let mut numbered = self.uids.iter().copied().peekable();
        for entry in entries(&state) {
            while numbered.next_if(|uid| *uid < entry.uid).is_some() {}
            if numbered.next_if_eq(&entry.uid).is_some() {
                see(entry);
            }
        }
    }

    /// Whether this session is the first that was told of the message.
    #[must_use]
    pub fn is_recent(&self, uid: u32) -> bool {
        self.recent.binary_search(&uid).is_ok()
    }

    /// How many messages are recent.
    #[must_use]
    pub fn recent(&self) -> u32 {
        self.recent.len() as u32
    }

    /// Number of the first message without `\Seen`.
    #[must_use]
    pub fn first_unseen(&self) -> Option<u32> {
        let state = self.reader.folder.state.borrow();
        let first = entries(&state).iter().find(|entry| !entry.flags.contains(Flags::SEEN))?;
        self.number(first.uid)
    }

    /// What is in the folder, as it is on stable storage.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.reader.folder.state.borrow().shown
    }

    /// UIDVALIDITY.
    #[must_use]
    pub fn validity(&self) -> u32 {
        self.reader.folder.state.borrow().row.validity
    }

    /// Keywords of the folder, by bit.
    #[must_use]
    pub fn keywords(&self) -> Vec<Box<str>> {
        self.reader.folder.state.borrow().row.keywords.clone()
    }

    /// Whether it was opened with EXAMINE.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// Whether the folder is deleted, or about to be.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.reader.folder.state.borrow().row.is_doomed
    }

    /// The account's mailbox.
    #[must_use]
    pub const fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// The session's number, for what it appends.
    #[must_use]
    pub const fn session(&self) -> u32 {
        self.session
    }

    /// Waits until there is something to tell, for IDLE. May be dropped at any time.
    pub async fn changed(&self) {
        if self.mailbox.account.alive().is_ok() {
            self.reader.folder.changed(&self.reader).await;
        }
    }

    /// What the session is to be told; with `expunges` also which messages are gone, which is not
    /// allowed while it is told of FETCH, STORE or SEARCH by number.
    ///
    /// # Errors
    /// [`MailboxError::Lost`]: the session must end.
    pub fn take(&mut self, expunges: bool) -> Result<Vec<Event>, MailboxError> {
        self.mailbox.account.alive()?;
        let folder = std::rc::Rc::clone(&self.reader.folder);
        let changes = self.reader.read();
        let state = &mut *folder.state.borrow_mut();
        let mut events = Vec::new();
        if state.is_deleted || state.partings != self.partings {
            events.push(Event::Deleted);
            return Ok(events);
        }
        if state.row.keywords.len() > self.keywords {
            self.keywords = state.row.keywords.len();
            events.push(Event::Keywords);
        }
        let messages = self.uids.len();
        let mut flags = BTreeMap::new();
        match changes {
            Ok(changes) => {
                for change in changes {
                    self.hear(change.what, change.by == self.session, &mut flags);
                }
            }
            Err(Lagged) => {
                self.mailbox.store.0.metrics.lagged.inc();
                self.compare(state, &mut flags);
            }
        }
        self.modseq = state.shown.modseq;
        self.uid_next = state.shown.uid_next;
        if self.uids.len() > messages {
            self.claim(state, messages);
            let recent = self.recent();
            events.push(Event::Exists { messages: self.uids.len() as u32, recent });
        }
        for (uid, (entry, is_own)) in flags {
            if let Some(number) = self.number(uid).filter(|_| !self.is_held(uid)) {
                events.push(Event::Flags { number, entry, is_own });
            }
        }
        if expunges {
            self.let_go(&mut events);
        }
        Ok(events)
    }

    fn hear(&mut self, what: What, is_own: bool, flags: &mut BTreeMap<u32, (Entry, bool)>) {
        match what {
            What::New(entries) => {
                for entry in entries {
                    // The index may have shown it already.
                    if self.uids.last().is_none_or(|last| *last < entry.uid) {
                        self.uids.push(entry.uid);
                    }
                }
            }
            What::Flags(entries) => {
                for entry in entries {
                    let before = flags.insert(entry.uid, (entry, is_own));
                    // What others did as well is told even if the session's own is silent.
                    if let (Some((_, false)), Some(now)) = (before, flags.get_mut(&entry.uid)) {
                        now.1 = false;
                    }
                }
            }
            What::Gone(uids) => uids.into_iter().for_each(|uid| self.hold(uid)),
            What::Deleted | What::Parted => {}
        }
    }

    /// Finds out by itself what the feed has forgotten.
    fn compare(&mut self, state: &State, flags: &mut BTreeMap<u32, (Entry, bool)>) {
        let last = self.uids.last().copied().unwrap_or(0);
        let mut known = self.uids.clone().into_iter().peekable();
        for entry in entries(state) {
            while let Some(uid) = known.next_if(|uid| *uid < entry.uid) {
                self.hold(uid);
            }
            known.next_if_eq(&entry.uid);
            if entry.uid > last {
                self.uids.push(entry.uid);
            } else if entry.modseq > self.modseq {
                flags.insert(entry.uid, (*entry, false));
            }
        }
        known.for_each(|uid| self.hold(uid));
    }

    fn hold(&mut self, uid: u32) {
        if self.number(uid).is_some()
            && let Err(at) = self.held.binary_search(&uid)
        {
            self.held.insert(at, uid);
        }
    }

    fn is_held(&self, uid: u32) -> bool {
        self.held.binary_search(&uid).is_ok()
    }

    /// Tells of the messages that are gone.
    fn let_go(&mut self, events: &mut Vec<Event>) {
        if self.held.is_empty() {
            return;
        }
        for uid in self.held.iter().rev() {
            if let Some(number) = self.number(*uid) {
                events.push(Event::Expunged { number, uid: *uid });
            }
        }
        let held = std::mem::take(&mut self.held);
        self.uids.retain(|uid| held.binary_search(uid).is_err());
        self.recent.retain(|uid| held.binary_search(uid).is_err());
    }

    /// Of the messages from index `from` on, those that no session was told of are this one's.
    fn claim(&mut self, state: &mut State, from: usize) {
        let first = state.row.recent_from;
        let new = self.uids[from..].iter().copied().filter(|uid| *uid >= first);
        self.recent.extend(new);
        if !self.is_read_only
            && let Some(last) = self.uids.last()
        {
            state.row.recent_from = first.max(last.saturating_add(1));
        }
    }
}

fn entries(state: &State) -> &[Entry] {
    state.index.as_ref().map_or(&[][..], |index| index.entries())
}
