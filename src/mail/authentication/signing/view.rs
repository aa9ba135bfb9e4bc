//! A shard's view of the keyring.
//!
//! What must stay true: looking writes nothing that another core reads, so that signing shares no cache
//! line between shards; a change is seen by the next look.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use super::Keyring;

/// What a shard sees of the keys. Not shared between threads.
pub struct View(RefCell<Seen>);

struct Seen {
    cache: Cache<Arc<ArcSwap<Keyring>>, Arc<Keyring>>,
    /// The same again, counted on this shard alone.
    #[allow(clippy::redundant_allocation)] // it is what the counts are apart for
    own: Rc<Arc<Keyring>>,
}

impl View {
    pub(super) fn new(keyring: Arc<ArcSwap<Keyring>>) -> Self {
        let own = Rc::new(keyring.load_full());
        Self(RefCell::new(Seen { cache: Cache::new(keyring), own }))
    }

    /// What is signed with now. Take it anew for each message.
    #[must_use]
    #[allow(clippy::redundant_allocation)] // see `Seen`
    pub fn current(&self) -> Rc<Arc<Keyring>> {
        let Seen { cache, own } = &mut *self.0.borrow_mut();
        let current = cache.load();
        if !Arc::ptr_eq(current, own) {
            *own = Rc::new(Arc::clone(current));
        }
        Rc::clone(own)
    }
}
