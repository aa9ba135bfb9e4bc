//! Owns: every live socket of a shard, and their deadlines. Must stay true: an entry is gone before
//! its descriptor is closed; the sweep runs no foreign code; no operation is ever cancelled, only
//! its socket shut down (rule 1). Fails: never; a shutdown of a dead socket changes nothing.
//!
//! A deadline that passes ends in two steps: reading is shut down, so that a pending `recv` returns
//! 0 while the driver can still say 421 (RFC 5321 §4.5.3.2); [`GRACE_MS`] later, or at an earlier
//! deadline set meanwhile, both directions are.
#![allow(unsafe_code)]

use std::{
    cell::{Cell, RefCell},
    future::Future,
    io,
    net::{Shutdown, SocketAddr},
    os::fd::{BorrowedFd, RawFd},
    pin::Pin,
    rc::Rc,
    task::{Context, Waker},
};

use rustix::net::RecvFlags;
use slab::Slab;

use super::{buffer::InFlight, clock};

/// How often deadlines are looked at.
const TICK_MS: u64 = 250;
/// How long a connection lives on after its deadline passed.
const GRACE_MS: u64 = if cfg!(test) { 1_000 } else { 10_000 };

/// An operation that nobody awaits any more and that must still be driven to its end.
pub(super) type Orphan = Pin<Box<dyn Future<Output = ()>>>;

/// When a stream must have made progress.
#[derive(Debug)]
pub struct Deadline {
    at_ms: Cell<u64>,
    kill_at_ms: Cell<u64>,
    expired: Cell<bool>,
}

impl Deadline {
    fn never() -> Self {
        Self {
            at_ms: Cell::new(u64::MAX),
            kill_at_ms: Cell::new(u64::MAX),
            expired: Cell::new(false),
        }
    }

    /// The connection is cut when [`super::now_ms`] reaches `at_ms`; `u64::MAX` is never. Once it
    /// has expired this only brings the final cut forward, it cannot put it off.
    pub fn set(&self, at_ms: u64) {
        if self.expired.get() {
            self.kill_at_ms.set(self.kill_at_ms.get().min(at_ms));
        } else {
            self.at_ms.set(at_ms);
        }
    }

    /// Whether a deadline has passed: a `recv` that returned 0 is then our doing, not the peer's.
    #[must_use]
    pub fn expired(&self) -> bool {
        self.expired.get()
    }

    /// Whether it has come, even if the sweep has not been here since.
    pub(super) fn has_come(&self, now_ms: u64) -> bool {
        self.expired.get() || self.at_ms.get() <= now_ms
    }

    /// What the sweep has to shut down at `now_ms`.
    fn due(&self, now_ms: u64) -> Option<Shutdown> {
        if self.kill_at_ms.get() <= now_ms {
            self.kill_at_ms.set(u64::MAX);
            return Some(Shutdown::Both);
        }
        if self.at_ms.get() > now_ms {
            return None;
        }
        self.at_ms.set(u64::MAX);
        self.expired.set(true);
        self.kill_at_ms.set(now_ms.saturating_add(GRACE_MS));
        Some(Shutdown::Read)
    }
}

/// A socket that the sweep may shut down.
#[derive(Debug)]
pub(super) struct Live {
    fd: RawFd,
    pub(super) deadline: Deadline,
}

impl Live {
    fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: `Registration` keeps this entry in step with its socket: it is dropped, and the
        // entry with it, before the socket is closed.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }

    fn shutdown(&self, how: Shutdown) {
        // ENOTCONN: the connection is gone already.
        let _ = socket2::SockRef::from(&self.fd()).shutdown(how);
    }
}

/// Ends a stream's wait from elsewhere on its shard; outliving the stream does no harm.
#[derive(Clone, Debug)]
pub struct Brake(Rc<Live>);

impl Brake {
    pub(super) fn of(live: &Rc<Live>) -> Self {
        Self(Rc::clone(live))
    }

    /// The stream's deadline has passed, as it were: a pending `recv` returns 0 within a tick.
    pub fn pull(&self) {
        self.0.deadline.set(0);
    }
}

/// All live sockets of one shard.
#[derive(Default)]
pub(super) struct Registry {
    live: RefCell<Slab<Rc<Live>>>,
    orphans: RefCell<Vec<Orphan>>,
    pub(super) in_flight: InFlight,
    stopping: Cell<bool>,
}

/// A place in the registry; dropped before the socket that it stands for.
pub(super) struct Registration {
    registry: Rc<Registry>,
    key: usize,
    pub(super) live: Rc<Live>,
}

impl Registration {
    pub(super) fn in_flight(&self) -> InFlight {
        self.registry.in_flight.clone()
    }

    pub(super) fn registry(&self) -> &Rc<Registry> {
        &self.registry
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        let addr = socket2::SockRef::from(&self.live.fd()).local_addr()?;
        addr.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }

    #[cfg(test)]
    pub(super) fn nodelay(&self) -> bool {
        socket2::SockRef::from(&self.live.fd()).tcp_nodelay().unwrap()
    }

    pub(super) fn shutdown(&self, how: Shutdown) {
        self.live.shutdown(how);
    }

    /// The same connection by a descriptor of its own: closing ours then says nothing to the peer.
    pub(super) fn duplicate(&self) -> io::Result<std::net::TcpStream> {
        Ok(socket2::SockRef::from(&self.live.fd()).try_clone()?.into())
    }

    /// `WouldBlock` while a read would wait. Takes nothing but an error that the connection died of,
    /// which the kernel tells only once.
    pub(super) fn peek(&self) -> io::Result<()> {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        rustix::net::recv(self.live.fd(), &mut [0; 1], flags)?;
        Ok(())
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.live.borrow_mut().remove(self.key);
    }
}

impl Registry {
    /// Enters a socket. The caller must drop the registration before it closes `fd`.
    pub(super) fn enter(self: &Rc<Self>, fd: RawFd) -> Registration {
        let live = Rc::new(Live { fd, deadline: Deadline::never() });
        let key = self.live.borrow_mut().insert(Rc::clone(&live));
        Registration { registry: Rc::clone(self), key, live }
    }

    /// Drives `orphan` to its end in the background.
    pub(super) fn adopt(&self, orphan: Orphan) {
        self.orphans.borrow_mut().push(orphan);
    }

    pub(super) fn stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Streams and listeners that exist.
    pub(super) fn len(&self) -> usize {
        self.live.borrow().len()
    }

    fn tick(&self, now_ms: u64) {
        for (_, live) in self.live.borrow().iter() {
            if let Some(how) = live.deadline.due(now_ms) {
                live.shutdown(how);
            }
        }
        self.drive_orphans();
    }

    fn drive_orphans(&self) {
        // Polled at every tick, so no waker is needed; taken out, as their drop may come back here.
        let mut orphans = self.orphans.take();
        let mut nobody = Context::from_waker(Waker::noop());
        orphans.retain_mut(|orphan| orphan.as_mut().poll(&mut nobody).is_pending());
        self.orphans.borrow_mut().append(&mut orphans);
    }

    /// Shuts every socket down; `true` when no operation is left in the kernel.
    pub(super) fn stop(&self) -> bool {
        self.stopping.set(true);
        for (_, live) in self.live.borrow().iter() {
            live.shutdown(Shutdown::Both);
        }
        self.drive_orphans();
        self.in_flight.count() == 0 && self.orphans.borrow().is_empty()
    }
}

/// The one task that looks after deadlines.
pub(super) async fn run(registry: Rc<Registry>) {
    loop {
        clock::sleep(TICK_MS).await;
        registry.tick(clock::now_ms());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_passes_in_two_steps() {
        let deadline = Deadline::never();
        assert_eq!(deadline.due(1 << 60), None);
        deadline.set(1000);
        assert_eq!(deadline.due(999), None);
        assert!(!deadline.expired());
        assert_eq!(deadline.due(1000), Some(Shutdown::Read));
        assert!(deadline.expired());
        assert_eq!(deadline.due(1001), None);
        assert_eq!(deadline.due(1000 + GRACE_MS), Some(Shutdown::Both));
        assert_eq!(deadline.due(1 << 60), None);
    }

    #[test]
    fn a_deadline_has_come_before_the_sweep_sees_it() {
        let deadline = Deadline::never();
        assert!(!deadline.has_come(1 << 60));
        deadline.set(1000);
        assert!(!deadline.has_come(999) && deadline.has_come(1000));
        assert_eq!(deadline.due(1000), Some(Shutdown::Read));
        deadline.set(u64::MAX);
        assert!(deadline.has_come(0));
    }

    #[test]
    fn after_expiry_a_deadline_can_only_come_nearer() {
        let deadline = Deadline::never();
        deadline.set(0);
        assert_eq!(deadline.due(5), Some(Shutdown::Read));
        deadline.set(u64::MAX);
        deadline.set(500);
        assert_eq!(deadline.due(499), None);
        assert_eq!(deadline.due(500), Some(Shutdown::Both));
    }
}
