//! Who may have a connection: counts per client and in all, for the whole process.
//!
//! A connection takes a [`Pass`] when it is accepted and gives it back by dropping it. The counts
//! are touched once a connection, never once a message, so a short lock on one of 64 tables is
//! cheap enough; the tables are bounded by the number of connections.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use foldhash::fast::RandomState;

use crate::listener::LimitSettings;

const TABLES: usize = 64;

/// The counts.
#[derive(Debug)]
pub struct Gate {
    open: AtomicU32,
    clients: Vec<Mutex<HashMap<IpAddr, u32, RandomState>>>,
    hasher: RandomState,
}

/// The right to one connection.
#[derive(Debug)]
pub struct Pass {
    gate: Arc<Gate>,
    client: IpAddr,
}

/// Why there is no pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The whole server is full.
    Server,
    /// This client has as many as it may.
    Client,
}

impl Gate {
    /// A gate that nobody has passed yet.
    pub fn new() -> Arc<Self> {
        let clients = (0..TABLES).map(|_| Mutex::default()).collect();
        Arc::new(Self { open: AtomicU32::new(0), clients, hasher: RandomState::default() })
    }

    /// Asks for a connection from `peer`.
    ///
    /// # Errors
    /// When a limit is reached; the connection is to be told 421.
    pub fn enter(self: &Arc<Self>, peer: IpAddr, limits: &LimitSettings) -> Result<Pass, Refused> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= limits.connections {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Refused::Server);
        }
        let client = prefix(peer, limits.client_prefix_ipv4, limits.client_prefix_ipv6);
        let mut table = self.table(client).lock().unwrap_or_else(PoisonError::into_inner);
        let count = table.entry(client).or_insert(0);
        if limits.connections_per_client > 0 && *count >= limits.connections_per_client {
            drop(table);
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Refused::Client);
        }
        *count += 1;
        drop(table);
        Ok(Pass { gate: Arc::clone(self), client })
    }

    /// Connections open now.
    pub fn open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    fn table(&self, client: IpAddr) -> &Mutex<HashMap<IpAddr, u32, RandomState>> {
        let at = self.hasher.hash_one(client) as usize % TABLES;
        &self.clients[at]
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.open.fetch_sub(1, Ordering::Relaxed);
        let mut table = self.gate.table(self.client).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = table.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                table.remove(&self.client);
            }
        }
    }
}

/// The address with everything behind its prefix cleared; IPv4 inside IPv6 counts as IPv4.
fn prefix(ip: IpAddr, bits_v4: u8, bits_v6: u8) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits_v4.min(32))).unwrap_or(0);
            IpAddr::V4((ip.to_bits() & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits_v6.min(128))).unwrap_or(0);
            IpAddr::V6((ip.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(all: u32, client: u32) -> LimitSettings {
        LimitSettings { connections: all, connections_per_client: client, ..Default::default() }
    }

    #[test]
    fn a_client_is_counted_by_its_prefix() {
        let gate = Gate::new();
        let limits = limits(10, 2);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = gate.enter(ip("2001:db8::1"), &limits).unwrap();
        let _second = gate.enter(ip("2001:db8::2"), &limits).unwrap();
        assert_eq!(gate.enter(ip("2001:db8::3"), &limits).unwrap_err(), Refused::Client);
        let _other = gate.enter(ip("2001:db8:0:1::3"), &limits).unwrap();
        drop(first);
        let _again = gate.enter(ip("2001:db8::3"), &limits).unwrap();
        assert_eq!(gate.open(), 3);
    }

    #[test]
    fn the_whole_server_has_a_limit_and_passes_come_back() {
        let gate = Gate::new();
        let limits = limits(1, 0);
        let pass = gate.enter("192.0.2.1".parse().unwrap(), &limits).unwrap();
        assert_eq!(gate.enter("192.0.2.2".parse().unwrap(), &limits).unwrap_err(), Refused::Server);
        drop(pass);
        assert_eq!(gate.open(), 0);
        assert!(gate.clients.iter().all(|table| table.lock().unwrap().is_empty()));
    }

    #[test]
    fn prefixes_are_cut() {
        let cut = |ip: &str, v4, v6| prefix(ip.parse().unwrap(), v4, v6).to_string();
        assert_eq!(cut("192.0.2.77", 24, 64), "192.0.2.0");
        assert_eq!(cut("::ffff:192.0.2.77", 32, 64), "192.0.2.77");
        assert_eq!(cut("192.0.2.77", 0, 64), "0.0.0.0");
        assert_eq!(cut("2001:db8::5", 32, 128), "2001:db8::5");
    }
}
