//! Any sequence of operations, against maps that cannot forget, with restarts in between.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const ACCOUNTS: [&str; 2] = [ANN, BOB];
const NAMES: [&str; 5] = [INBOX, "Sent", "a", "a/b", "c"];
const KEYWORDS: [&str; 3] = ["$Work", "later", "x"];

#[derive(Clone, Debug)]
enum Move {
    Deliver(Vec<(usize, usize)>, usize),
    Append(usize, usize, usize, u8),
    Open(usize, usize, usize),
    Flags(usize, Vec<usize>, u8, u8),
    Expunge(usize, Option<Vec<usize>>),
    Copy(usize, Vec<usize>, usize),
    Shift(usize, Vec<usize>, usize),
    Create(usize, usize),
    Delete(usize, usize),
    Rename(usize, usize, usize),
    Look(usize, bool),
    Reopen,
    /// Without closing.
    Drop,
}

const VIEWS: usize = 3;
/// The UID of a message that has come and was not fetched.
const UNKNOWN: u32 = 0;

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let (who, name, view) = (|| 0..ACCOUNTS.len(), || 0..NAMES.len(), || 0..VIEWS);
    let which = || prop::collection::vec(0_usize..12, 0..5);
    let one = prop_oneof![
        5 => (prop::collection::vec((who(), name()), 1..4), 0_usize..3000)
            .prop_map(|(to, size)| Move::Deliver(to, size)),
        3 => (who(), name(), 1_usize..4, any::<u8>()).prop_map(|(a, n, c, f)| Move::Append(a, n, c, f)),
        5 => (view(), who(), name()).prop_map(|(v, a, n)| Move::Open(v, a, n)),
        6 => (view(), which(), 0_u8..3, any::<u8>()).prop_map(|(v, w, h, f)| Move::Flags(v, w, h, f)),
        4 => (view(), prop::option::of(which())).prop_map(|(v, w)| Move::Expunge(v, w)),
        3 => (view(), which(), name()).prop_map(|(v, w, n)| Move::Copy(v, w, n)),
        3 => (view(), which(), name()).prop_map(|(v, w, n)| Move::Shift(v, w, n)),
        2 => (who(), name()).prop_map(|(a, n)| Move::Create(a, n)),
        1 => (who(), name()).prop_map(|(a, n)| Move::Delete(a, n)),
        2 => (who(), name(), name()).prop_map(|(a, n, m)| Move::Rename(a, n, m)),
        4 => (view(), any::<bool>()).prop_map(|(v, e)| Move::Look(v, e)),
        1 => Just(Move::Reopen),
        1 => Just(Move::Drop),
    ];
    prop::collection::vec(one, 1..60)
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    text: String,
    flags: u64,
    keywords: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Contents {
    /// Follows the folder through renames.
    serial: u32,
    next: u32,
    messages: BTreeMap<u32, Message>,
}

type Folders = BTreeMap<String, Contents>;

/// What a client believes of the folder that it has open.
struct Client {
    /// It had INBOX open when that was renamed.
    is_parted: bool,
    view: View,
    account: usize,
    serial: u32,
    numbers: Vec<u32>,
}

struct World {
    place: Place,
    store: Store,
    accounts: [Folders; 2],
    clients: [Option<Client>; VIEWS],
    serial: u32,
    texts: u32,
}

fn marks(bits: u8) -> (Marks, u64, BTreeSet<String>) {
    let flags = u64::from(bits & 31);
    let keywords = KEYWORDS.iter().enumerate().filter(|(at, _)| bits >> (5 + at) & 1 == 1);
    let keywords: BTreeSet<String> = keywords.map(|(_, keyword)| (*keyword).to_owned()).collect();
    let list = keywords.iter().map(|keyword| keyword.as_str().into()).collect();
    (Marks { flags: Flags(flags), keywords: list }, flags, keywords)
}

impl World {
    fn new() -> Self {
        let place = Place::with(|settings| {
            settings.account_cache = Size::kib(4);
            settings.body_cache = Size::kib(32);
            settings.expunges_kept = 3;
        });
        let store = place.open();
        let mut world = Self {
            place,
            store,
            accounts: Default::default(),
            clients: Default::default(),
            serial: 0,
            texts: 0,
        };
        for account in 0..ACCOUNTS.len() {
            for name in [INBOX, "Drafts", "Sent", "Junk", "Trash", "Archive"] {
                world.make_folder(account, name);
            }
        }
        world
    }

    fn make_folder(&mut self, account: usize, name: &str) {
        self.serial += 1;
        let fresh = Contents { serial: self.serial, next: 1, messages: BTreeMap::new() };
        self.accounts[account].insert(name.to_owned(), fresh);
    }

    fn make_parents(&mut self, account: usize, name: &str) {
        for parent in names::parents(name) {
            if !self.accounts[account].contains_key(parent) {
                self.make_folder(account, parent);
            }
        }
    }

    fn text(&mut self, size: usize) -> String {
        self.texts += 1;
        format!("{} {}", self.texts, "x".repeat(size))
    }

    async fn mailbox(&self, account: usize) -> Mailbox {
        self.store.mailbox(ACCOUNTS[account]).await.unwrap()
    }

    /// The folder that a client has open, if it is still there.
    fn folder(&mut self, account: usize, serial: u32) -> Option<&mut Contents> {
        self.accounts[account].values_mut().find(|folder| folder.serial == serial)
    }

    async fn deliver(&mut self, to: &[(usize, usize)], size: usize) {
        let text = self.text(size);
        let all: Vec<_> =
            to.iter().map(|(who, name)| super::to(ACCOUNTS[*who], Some(NAMES[*name]))).collect();
        let answers = self.store.deliver(&all, &parcel(&text)).await;
        for ((who, name), answer) in to.iter().zip(answers) {
            let folders = &mut self.accounts[*who];
            let name = if folders.contains_key(NAMES[*name]) { NAMES[*name] } else { INBOX };
            let folder = folders.get_mut(name).unwrap();
            assert_eq!(answer.unwrap().uid, folder.next);
            let message = Message { text: text.clone(), flags: 0, keywords: BTreeSet::default() };
            folder.messages.insert(folder.next, message);
            folder.next += 1;
        }
    }

    async fn append(&mut self, account: usize, name: usize, count: usize, bits: u8) {
        let (marks, flags, keywords) = marks(bits);
        let texts: Vec<String> = (0..count).map(|size| self.text(size)).collect();
        let parcels: Vec<_> = texts.iter().map(|text| parcel(text).with(marks.clone())).collect();
        let mailbox = self.mailbox(account).await;
        let done = mailbox.append(NAMES[name], &parcels, Limits::default(), 0).await;
        let Some(folder) = self.accounts[account].get_mut(NAMES[name]) else {
            return assert_eq!(done, Err(MailboxError::NoFolder));
        };
        for (uid, text) in done.unwrap().uids.into_iter().zip(texts) {
            assert_eq!(uid, folder.next);
            folder.next += 1;
            folder.messages.insert(uid, Message { text, flags, keywords: keywords.clone() });
        }
    }

    /// UIDs that a client would name.
    fn named(&self, client: usize, which: &[usize]) -> Option<(usize, u32, Vec<u32>)> {
        let client = self.clients[client].as_ref()?;
        let uids = which.iter().filter_map(|at| client.numbers.get(*at).copied()).collect();
        Some((client.account, client.serial, uids))
    }

    async fn flags(&mut self, client: usize, which: &[usize], how: u8, bits: u8) {
        let Some((account, serial, uids)) = self.named(client, which) else { return };
        let (marks, flags, keywords) = marks(bits);
        let view = &self.clients[client].as_ref().unwrap().view;
        let how = [How::Replace, How::Add, How::Remove][how as usize];
        let done = view.store(&uids, how, &marks, None).await;
        let Some(folder) = self.folder(account, serial) else { return };
        done.unwrap();
        for message in uids.iter().collect::<BTreeSet<_>>() {
            let Some(message) = folder.messages.get_mut(message) else { continue };
            match how {
                How::Replace => {
                    message.flags = flags;
                    message.keywords.clone_from(&keywords);
                }
                How::Add => {
                    message.flags |= flags;
                    message.keywords.extend(keywords.iter().cloned());
                }
                How::Remove => {
                    message.flags &= !flags;
                    message.keywords.retain(|keyword| !keywords.contains(keyword));
                }
            }
        }
    }

    async fn expunge(&mut self, client: usize, which: Option<&[usize]>) {
        let all = self.named(client, which.unwrap_or_default());
        let Some((account, serial, uids)) = all else { return };
        let view = &self.clients[client].as_ref().unwrap().view;
        let done = view.expunge(which.map(|_| &uids[..])).await;
        let Some(folder) = self.folder(account, serial) else { return };
        let is_wanted = |uid: &u32, message: &Message| {
            message.flags & Flags::DELETED.0 != 0 && (which.is_none() || uids.contains(uid))
        };
        let gone: Vec<u32> =
            folder.messages.iter().filter(|(uid, m)| is_wanted(uid, m)).map(|(u, _)| *u).collect();
        assert_eq!(done.unwrap().uids, gone);
        folder.messages.retain(|uid, message| !is_wanted(uid, message));
    }

    async fn copy(&mut self, client: usize, which: &[usize], name: usize, is_move: bool) {
        let Some((account, serial, uids)) = self.named(client, which) else { return };
        let view = &self.clients[client].as_ref().unwrap().view;
        let done = match is_move {
            true => moved(view, &uids, NAMES[name]).await,
            false => view.copy(&uids, NAMES[name], Limits::default()).await,
        };
        let is_there = self.accounts[account].contains_key(NAMES[name]);
        let Some(folder) = self.folder(account, serial) else { return };
        if !is_there {
            return assert_eq!(done, Err(MailboxError::NoFolder));
        }
        let mut messages = BTreeMap::new();
        for uid in uids {
            if let Some(message) = folder.messages.get(&uid) {
                messages.insert(uid, message.clone());
            }
        }
        if is_move {
            folder.messages.retain(|uid, _| !messages.contains_key(uid));
        }
        let target = self.accounts[account].get_mut(NAMES[name]).unwrap();
        let done = done.unwrap();
        assert_eq!(done.from, messages.keys().copied().collect::<Vec<_>>());
        for (uid, message) in done.to.into_iter().zip(messages.into_values()) {
            assert_eq!(uid, target.next);
            target.next += 1;
            target.messages.insert(uid, message);
        }
    }

    async fn rename(&mut self, account: usize, from: &str, to: &str) {
        let done = self.mailbox(account).await.rename(from, to).await;
        let folders = &self.accounts[account];
        let moved: Vec<String> = folders
            .keys()
            .filter(|name| *name == from || (from != INBOX && names::beneath(name, from).is_some()))
            .cloned()
            .collect();
        let renamed = |name: &str| format!("{to}{}", &name[from.len()..]);
        let is_wrong = !folders.contains_key(from)
            || to == INBOX
            || (from != INBOX && names::beneath(to, from).is_some())
            || moved.iter().map(|name| renamed(name)).any(|name| {
                folders.contains_key(&name) && (from == INBOX || !moved.contains(&name))
            });
        assert_eq!(done.is_err(), is_wrong, "{from} to {to}: {done:?}");
        if is_wrong {
            return;
        }
        let taken: Vec<_> = moved
            .iter()
            .map(|name| (renamed(name), self.accounts[account].remove(name).unwrap()))
            .collect();
        if from == INBOX {
            let clients = self.clients.iter_mut().flatten();
            clients
                .filter(|client| (client.account, client.serial) == (account, taken[0].1.serial))
                .for_each(|client| client.is_parted = true);
        }
        self.accounts[account].extend(taken);
        self.make_parents(account, to);
        if from == INBOX {
            self.make_folder(account, INBOX);
        }
    }

    async fn open(&mut self, client: usize, account: usize, name: &str) {
        let mailbox = self.mailbox(account).await;
        let done = mailbox.open(name, client == 2).await;
        self.clients[client] = match self.accounts[account].get(name) {
            None => {
                assert_eq!(done.err(), Some(MailboxError::NoFolder));
                None
            }
            Some(folder) => {
                let view = done.unwrap();
                let numbers = view.uids().to_vec();
                assert_eq!(numbers, folder.messages.keys().copied().collect::<Vec<_>>());
                Some(Client { view, account, serial: folder.serial, numbers, is_parted: false })
            }
        };
    }

    /// The client is told, believes it, and compares.
    fn look(&mut self, client: usize, expunges: bool) {
        let Some(client) = self.clients[client].as_mut() else { return };
        let events = client.view.take(expunges).unwrap();
        if client.is_parted {
            return assert_eq!(events, [Event::Deleted]);
        }
        if events.contains(&Event::Deleted) {
            let serial = client.serial;
            let account = client.account;
            return assert!(self.folder(account, serial).is_none());
        }
        for event in events {
            match event {
                Event::Exists { messages, .. } => {
                    assert!(messages as usize > client.numbers.len());
                    client.numbers.resize(messages as usize, UNKNOWN);
                }
                Event::Expunged { number, uid } => {
                    assert!(expunges);
                    let known = client.numbers.remove(number as usize - 1);
                    assert!(known == uid || known == UNKNOWN);
                }
                Event::Flags { number, .. } => assert!(number as usize <= client.numbers.len()),
                Event::Keywords | Event::Deleted => {}
            }
        }
        let uids = client.view.uids();
        assert_eq!(client.numbers.len(), uids.len());
        for (known, uid) in client.numbers.iter_mut().zip(uids) {
            assert!(known == uid || *known == UNKNOWN);
            *known = *uid;
        }
        let (account, serial) = (client.account, client.serial);
        let numbers = client.numbers.clone();
        let folder = self.folder(account, serial).unwrap();
        if expunges {
            assert_eq!(numbers, folder.messages.keys().copied().collect::<Vec<_>>());
        }
    }

    async fn make(&mut self, one: Move) {
        match one {
            Move::Deliver(to, size) => self.deliver(&to, size).await,
            Move::Append(account, name, count, bits) => {
                self.append(account, name, count, bits).await;
            }
            Move::Open(client, account, name) => self.open(client, account, NAMES[name]).await,
            Move::Flags(client, which, how, bits) => self.flags(client, &which, how, bits).await,
            Move::Expunge(client, which) => self.expunge(client, which.as_deref()).await,
            Move::Copy(client, which, name) => self.copy(client, &which, name, false).await,
            Move::Shift(client, which, name) => self.copy(client, &which, name, true).await,
            Move::Create(account, name) => {
                let done = self.mailbox(account).await.create(NAMES[name], None).await;
                assert_eq!(done.is_err(), self.accounts[account].contains_key(NAMES[name]));
                if done.is_ok() {
                    self.make_parents(account, NAMES[name]);
                    self.make_folder(account, NAMES[name]);
                }
            }
            Move::Delete(account, name) => {
                let done = self.mailbox(account).await.delete(NAMES[name]).await;
                let is_there = self.accounts[account].contains_key(NAMES[name]);
                assert_eq!(done.is_ok(), is_there && NAMES[name] != INBOX);
                if done.is_ok() {
                    self.accounts[account].remove(NAMES[name]);
                }
            }
            Move::Rename(account, from, to) => self.rename(account, NAMES[from], NAMES[to]).await,
            Move::Look(client, expunges) => self.look(client, expunges),
            Move::Reopen => {
                self.clients = Default::default();
                assert!(self.store.close().await);
                self.reopen().await;
            }
            Move::Drop => {
                self.clients = Default::default();
                // A sweep holds the store; it goes on after the restart.
                self.store.swept().await;
                self.reopen().await;
            }
        }
    }

    async fn reopen(&mut self) {
        let elsewhere = Place::new();
        // Only then is the store's last handle gone.
        drop(std::mem::replace(&mut self.store, elsewhere.open()));
        self.store = self.place.open();
        self.compare().await;
    }

    /// Everything is as it should be, to the last octet.
    async fn compare(&mut self) {
        assert_clean(&self.store).await;
        for (account, folders) in self.accounts.iter().enumerate() {
            let mailbox = self.mailbox(account).await;
            let names: Vec<String> =
                mailbox.folders().unwrap().iter().map(|f| f.name.to_string()).collect();
            assert_eq!(names, folders.keys().cloned().collect::<Vec<_>>());
            for (name, folder) in folders {
                let view = mailbox.open(name, true).await.unwrap();
                let keywords = view.keywords();
                assert_eq!(view.counts().uid_next, folder.next);
                assert_eq!(view.len(), folder.messages.len());
                for (uid, message) in &folder.messages {
                    let entry = view.entry(*uid).unwrap();
                    assert_eq!(entry.flags.0 & Flags::SYSTEM.0, message.flags);
                    let names: BTreeSet<String> =
                        entry.flags.keywords().map(|at| keywords[at].to_string()).collect();
                    assert_eq!(names, message.keywords);
                    assert_eq!(whole(&view, *uid).await, body(&message.text));
                    let made = view.digest(*uid).await.unwrap();
                    assert_eq!(*made, digest(&body(&message.text)));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn it_is_as_a_naive_mailbox_would_be(moves in moves()) {
        local(async {
            let mut world = World::new();
            for account in ACCOUNTS {
                world.store.mailbox(account).await.unwrap();
            }
            for one in moves {
                world.make(one).await;
            }
            for client in 0..VIEWS {
                world.look(client, true);
            }
            world.compare().await;
            world.make(Move::Reopen).await;
            world.compare().await;
        });
    }
}
