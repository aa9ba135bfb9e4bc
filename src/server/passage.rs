//! Ways from every shard to every other for whole connections.
//!
//! A door takes a connection to the shard that owns the account, and goes on there. What must stay true:
//! the ways are bounded; a place is taken before a connection is taken apart, so that one for which
//! there is none can still be told. How it fails: [`Full`], when the other shard has more arrivals than
//! it has looked at, or sees everybody out.

use std::sync::Arc;

use tokio::sync::mpsc;

/// Connections that may wait for a shard to look at them.
const ARRIVALS_MAX: usize = 1024;

/// The ways to all shards. Clones share them.
pub struct Passage<T> {
    ways: Arc<[mpsc::Sender<T>]>,
}

/// No further connection can go to that shard now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no further connection can go to that shard now")]
pub struct Full;

impl<T: Send> Passage<T> {
    /// Ways to so many shards, and where each finds what arrives.
    #[must_use]
    pub fn new(shards: usize) -> (Self, Vec<mpsc::Receiver<T>>) {
        let (ways, arrivals): (Vec<_>, Vec<_>) =
            (0..shards).map(|_| mpsc::channel(ARRIVALS_MAX)).unzip();
        (Self { ways: ways.into() }, arrivals)
    }

    /// A place on the way to a shard; giving it back is dropping it.
    ///
    /// # Errors
    /// [`Full`].
    pub fn place(&self, shard: usize) -> Result<mpsc::Permit<'_, T>, Full> {
        let way = self.ways.get(shard).ok_or(Full)?;
        way.try_reserve().map_err(|_| Full)
    }
}

impl<T> Clone for Passage<T> {
    fn clone(&self) -> Self {
        Self { ways: Arc::clone(&self.ways) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_has_so_many_places() {
        let (passage, mut arrivals) = Passage::new(2);
        for number in 0..ARRIVALS_MAX {
            passage.place(1).unwrap().send(number);
        }
        assert!(matches!(passage.place(1), Err(Full)));
        drop(passage.clone().place(0).unwrap());
        assert_eq!(arrivals[1].try_recv(), Ok(0));
        assert!(passage.place(1).is_ok());
        arrivals[1].close();
        assert!(matches!(passage.place(1), Err(Full)), "it sees everybody out");
        assert!(matches!(passage.place(2), Err(Full)), "there is no such shard");
    }
}
