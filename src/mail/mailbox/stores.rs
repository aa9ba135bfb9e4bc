//! The stores of all shards, as one shard reaches them.
//!
//! A shard works with its own stores directly; what concerns others is an [`Errand`] to the shard that
//! owns the store. What must stay true: only its owner touches a store; the ways between shards are bounded,
//! and who finds one full waits; a delivery is Ok when its owner has it on stable storage. How it
//! fails: a shard that is closing answers [`MailboxError::Closed`], and the mail stays where it was.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use engine::shard::Shard;
use futures_util::future::join_all;
use smallvec::SmallVec;
use tokio::sync::{mpsc, oneshot};

use super::quota::Limits;
use super::{Delivery, Layout, Mailbox, MailboxError, Parcel, Parts, Placed, Settings, Store};

/// Errands that may wait for a shard.
const ERRANDS_MAX: usize = 1024;

/// Asked of the shard that owns a store.
pub enum Errand {
    /// To deliver.
    Deliver {
        /// Which store.
        store: u16,
        /// For whom.
        to: Vec<Addressee>,
        /// What.
        parcel: Parcel,
        /// Hears one answer each.
        answer: oneshot::Sender<Vec<Result<Placed, MailboxError>>>,
    },
    /// To say whether there is room.
    Room {
        /// Whose mailbox.
        account: Box<str>,
        /// What it may keep.
        limits: Limits,
        /// Octets that are to come.
        bytes: u64,
        /// Hears the answer.
        answer: oneshot::Sender<Result<(), MailboxError>>,
    },
}

/// A [`Delivery`] on its way to another shard.
#[derive(Clone, Debug)]
pub struct Addressee {
    account: Box<str>,
    folder: Option<Box<str>>,
    limits: Limits,
}

/// The ways to all shards. Clones share them.
#[derive(Clone)]
pub struct Ways(Arc<[mpsc::Sender<Errand>]>);

/// The stores. Clones share them; all live on the thread of one shard.
#[derive(Clone)]
pub struct Stores(Rc<Reach>);

struct Reach {
    layout: Layout,
    shards: u16,
    own: Vec<Store>,
    ways: Ways,
    parts: Parts,
    settings: RefCell<Rc<Settings>>,
}

impl Ways {
    /// Ways to so many shards, and where each finds what is asked of it.
    #[must_use]
    pub fn new(shards: usize) -> (Self, Vec<mpsc::Receiver<Errand>>) {
        let (ways, errands): (Vec<_>, Vec<_>) =
            (0..shards).map(|_| mpsc::channel(ERRANDS_MAX)).unzip();
        (Self(ways.into()), errands)
    }

    async fn send(&self, shard: u16, errand: Errand) -> Result<(), MailboxError> {
        let way = self.0.get(usize::from(shard)).ok_or(MailboxError::Closed)?;
        way.send(errand).await.map_err(|_| MailboxError::Closed)
    }
}

impl Stores {
    /// Opens the stores that a shard owns, or makes them. Blocks; call it at start, inside the shard's
    /// local runtime.
    ///
    /// # Errors
    /// See [`Store::open`].
    pub fn open(
        layout: Layout,
        shard: u16,
        ways: Ways,
        parts: Parts,
    ) -> Result<Self, MailboxError> {
        let shards = u16::try_from(ways.0.len()).unwrap_or(u16::MAX);
        let numbers: Vec<u16> = layout.stores_of(shard, shards).collect();
        let own = u16::try_from(numbers.len()).unwrap_or(u16::MAX);
        let parts = Parts { own, ..parts };
        let own = numbers
            .into_iter()
            .map(|number| Store::open(&layout, number, parts.clone()))
            .collect::<Result<_, _>>()?;
        let settings = RefCell::new(Rc::new(Settings::clone(&parts.settings)));
        Ok(Self(Rc::new(Reach { layout, shards, own, ways, parts, settings })))
    }

    /// The shard that owns the mail of an account, by the name that the directory knows it by.
    #[must_use]
    pub fn home(&self, account: &str) -> usize {
        usize::from(self.0.layout.shard_of(self.0.layout.store_of(account), self.0.shards))
    }

    /// The mailbox of an account whose home is this shard; it is made at first use.
    ///
    /// # Errors
    /// [`MailboxError::Elsewhere`], the disk's, and [`MailboxError::Unreadable`].
    pub async fn mailbox(&self, account: &str) -> Result<Mailbox, MailboxError> {
        let store = self.own(self.0.layout.store_of(account)).ok_or(MailboxError::Elsewhere)?;
        store.mailbox(account).await
    }

    /// Delivers a message to accounts of any store. Each recipient has its own answer, in order; those
    /// that are Ok are on stable storage. What was asked of another shard is done even if the future is
    /// dropped.
    pub async fn deliver(
        &self,
        to: &[Delivery<'_>],
        parcel: &Parcel,
    ) -> Vec<Result<Placed, MailboxError>> {
        let mut stores: SmallVec<[u16; 4]> =
            to.iter().map(|one| self.0.layout.store_of(one.account)).collect();
        if let Some(first) = stores.first().copied()
            && stores.iter().all(|store| *store == first)
        {
            return self.deliver_into(first, to, parcel).await;
        }
        let of = stores.clone();
        stores.sort_unstable();
        stores.dedup();
        let groups = stores.into_iter().map(|store| {
            let (at, group): (Vec<usize>, Vec<Delivery<'_>>) =
                to.iter().copied().enumerate().filter(|(at, _)| of[*at] == store).unzip();
            async move { (at, self.deliver_into(store, &group, parcel).await) }
        });
        let mut answers = vec![Err(MailboxError::Closed); to.len()];
        for (at, group) in join_all(groups).await {
            at.into_iter().zip(group).for_each(|(at, answer)| answers[at] = answer);
        }
        answers
    }

    async fn deliver_into(
        &self,
        store: u16,
        to: &[Delivery<'_>],
        parcel: &Parcel,
    ) -> Vec<Result<Placed, MailboxError>> {
        if let Some(own) = self.own(store) {
            return own.deliver(to, parcel).await;
        }
        let addressee = |one: &Delivery<'_>| Addressee {
            account: one.account.into(),
            folder: one.folder.map(Into::into),
            limits: one.limits,
        };
        let (answer, told) = oneshot::channel();
        let to_them = to.iter().map(addressee).collect();
        let errand = Errand::Deliver { store, to: to_them, parcel: parcel.clone(), answer };
        let shard = self.0.layout.shard_of(store, self.0.shards);
        let sent = self.0.ways.send(shard, errand).await;
        let answers = match sent {
            Ok(()) => told.await.map_err(|_| MailboxError::Closed),
            Err(error) => Err(error),
        };
        answers.unwrap_or_else(|error| vec![Err(error); to.len()])
    }

    /// Whether `bytes` more would be taken for an account now; asked at RCPT, before a client sends
    /// them. The account is not made for it.
    ///
    /// # Errors
    /// See [`Store::room`].
    pub async fn room(
        &self,
        account: &str,
        limits: Limits,
        bytes: u64,
    ) -> Result<(), MailboxError> {
        let store = self.0.layout.store_of(account);
        if let Some(own) = self.own(store) {
            return own.room(account, bytes, limits).await;
        }
        let (answer, told) = oneshot::channel();
        let errand = Errand::Room { account: account.into(), limits, bytes, answer };
        self.0.ways.send(self.0.layout.shard_of(store, self.0.shards), errand).await?;
        told.await.map_err(|_| MailboxError::Closed)?
    }

    /// Does what other shards ask of this one, until nobody can ask any more.
    pub async fn run(self, shard: Shard, mut errands: mpsc::Receiver<Errand>) {
        while let Some(errand) = errands.recv().await {
            let stores = self.clone();
            shard.spawn(async move { stores.serve(errand).await });
        }
    }

    /// Does one errand. Whoever asked may have gone: it is done all the same.
    pub(super) async fn serve(&self, errand: Errand) {
        match errand {
            Errand::Deliver { store, to, parcel, answer } => {
                let to: Vec<Delivery<'_>> = to.iter().map(Addressee::delivery).collect();
                let Some(own) = self.own(store) else { return };
                let _ = answer.send(own.deliver(&to, &parcel).await);
            }
            Errand::Room { account, limits, bytes, answer } => {
                let Some(own) = self.own(self.0.layout.store_of(&account)) else { return };
                let _ = answer.send(own.room(&account, bytes, limits).await);
            }
        }
    }

    /// The limits and sizes in force.
    #[must_use]
    pub fn settings(&self) -> Rc<Settings> {
        Rc::clone(&self.0.settings.borrow())
    }

    /// Takes new limits and sizes.
    pub fn reload(&self, settings: &Settings) {
        self.0.parts.caches.reload(settings);
        self.0.own.iter().for_each(|store| store.reload(settings));
        self.0.settings.replace(Rc::new(settings.clone()));
    }

    /// The stores of this shard.
    #[must_use]
    pub fn stores(&self) -> &[Store] {
        &self.0.own
    }

    /// Writes what waits and closes the stores of this shard. True if everything was written.
    pub async fn close(&self) -> bool {
        let mut all = true;
        for store in &self.0.own {
            all &= store.close().await;
        }
        all
    }

    fn own(&self, number: u16) -> Option<&Store> {
        self.0.own.iter().find(|store| store.number() == number)
    }
}

impl Addressee {
    fn delivery(&self) -> Delivery<'_> {
        Delivery { account: &self.account, folder: self.folder.as_deref(), limits: self.limits }
    }
}
