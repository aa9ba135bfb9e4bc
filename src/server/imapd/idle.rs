//! `IDLE` (RFC 2177): news are told as they come, until the client says `DONE`.
//!
//! What must stay true: nothing is read while there may be something to say, so that a wait for both can be
//! given up; and a client that idles holds no buffer.

use super::news::Telling;
use super::session::Session;

/// How idling ends, for the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Idled {
    /// There is something to read.
    Readable,
    /// Input has come without reading.
    HasInput,
    /// The peer is gone, or the session has ended; `out` says why.
    Over,
}

impl Session {
    /// Tells what happens until there is something to read.
    pub(super) async fn idle(&mut self) -> Idled {
        let manner = self.manner();
        loop {
            if !self.tell(Telling::ALL, &manner) || !self.send().await {
                return Idled::Over;
            }
            // What was read before may hold more: to wait for the peer then could be for ever.
            match self.unpack_held() {
                Ok(true) => return Idled::HasInput,
                Ok(false) => {}
                Err(_) => return Idled::Over,
            }
            self.shed();
            // Who drains the door looks for those who wait.
            if self.door.draining() {
                return Idled::Readable;
            }
            self.stream.deadline().set(self.machine.deadline().0);
            self.place.set_idle(true);
            self.door.metrics.idling.add(1);
            let can_read = self.news_or_input().await;
            self.door.metrics.idling.sub(1);
            self.place.set_idle(false);
            match can_read {
                Some(true) => return Idled::Readable,
                Some(false) => return Idled::Over,
                None => {}
            }
        }
    }

    /// Waits: `Some` when there is something to read, false if that failed; `None` when there are news.
    async fn news_or_input(&mut self) -> Option<bool> {
        let view = self.home.as_deref().and_then(|home| home.view.as_deref());
        let Some(view) = view else { return Some(self.stream.readable().await.is_ok()) };
        tokio::select! {
            biased;
            readable = self.stream.readable() => Some(readable.is_ok()),
            () = view.changed() => None,
        }
    }
}
