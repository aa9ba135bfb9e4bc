//! Logins that succeeded a moment ago, so that busy clients cost no hash each time.
//!
//! What must stay true: a proof is an HMAC, under a key that this process made and nobody sees, of
//! login, password and the hash that it was verified against, so a changed password is worth
//! nothing at once; it lives as long as the settings say; there are as many as the settings say,
//! and the oldest goes first. Locks are held for a look at a map, by eight times fewer threads.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::hmac;

const STRIPES: usize = 8;

/// What was proved.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Proof([u8; 16]);

pub(super) struct Proofs {
    key: hmac::Key,
    stripes: [Mutex<Stripe>; STRIPES],
    each_max: usize,
    lifetime_ms: u64,
}

#[derive(Default)]
struct Stripe {
    /// Until when.
    known: HashMap<Proof, u64>,
    /// In the order they came.
    order: VecDeque<Proof>,
}

impl fmt::Debug for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proofs")
    }
}

impl Proof {
    /// A few bits of it, to tell one wrong password from another.
    pub fn fingerprint(self) -> u32 {
        let [.., a, b, c, d] = self.0;
        u32::from_le_bytes([a, b, c, d])
    }
}

impl Proofs {
    pub fn new(key: &[u8], max: usize, lifetime_ms: u64) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            stripes: Default::default(),
            each_max: max.div_ceil(STRIPES),
            lifetime_ms,
        }
    }

    /// What a login with this password would prove about this hash.
    pub fn proof(&self, login: &str, hash: &str, password: &[u8]) -> Proof {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [login.as_bytes(), hash.as_bytes(), password] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut proof = [0; 16];
        proof.copy_from_slice(&context.sign().as_ref()[..16]);
        Proof(proof)
    }

    pub fn knows(&self, proof: Proof, now_ms: u64) -> bool {
        let stripe = self.stripe(proof).lock().unwrap_or_else(PoisonError::into_inner);
        stripe.known.get(&proof).is_some_and(|until| *until > now_ms)
    }

    pub fn remember(&self, proof: Proof, now_ms: u64) {
        if self.lifetime_ms == 0 || self.each_max == 0 {
            return;
        }
        let mut stripe = self.stripe(proof).lock().unwrap_or_else(PoisonError::into_inner);
        let until = now_ms.saturating_add(self.lifetime_ms);
        if stripe.known.insert(proof, until).is_some() {
            return;
        }
        stripe.order.push_back(proof);
        while let Some(oldest) = stripe.order.front().copied() {
            let is_over = stripe.known.get(&oldest).is_none_or(|until| *until <= now_ms);
            if stripe.order.len() <= self.each_max && !is_over {
                break;
            }
            stripe.order.pop_front();
            stripe.known.remove(&oldest);
        }
    }

    fn stripe(&self, proof: Proof) -> &Mutex<Stripe> {
        &self.stripes[usize::from(proof.0[0]) % STRIPES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_of_login_hash_and_password_for_a_while() {
        let proofs = Proofs::new(b"key", 100, 60_000);
        let proof = proofs.proof("a@x.example", "hash", b"secret");
        assert!(!proofs.knows(proof, 0));
        proofs.remember(proof, 0);
        assert!(proofs.knows(proof, 59_999) && !proofs.knows(proof, 60_000));
        for (login, hash, password) in [
            ("b@x.example", "hash", "secret"),
            ("a@x.example", "other", "secret"),
            ("a@x.example", "hash", "secreT"),
            ("a@x.exampleh", "ash", "secret"),
        ] {
            assert!(!proofs.knows(proofs.proof(login, hash, password.as_bytes()), 0));
        }
        let other = Proofs::new(b"another", 100, 60_000);
        assert!(other.proof("a@x.example", "hash", b"secret") != proof);
    }

    #[test]
    fn the_oldest_go_first() {
        let proofs = Proofs::new(b"key", 80, 60_000);
        let of = |number: u32| proofs.proof("a@x.example", "hash", &number.to_le_bytes());
        for number in 0..1000 {
            proofs.remember(of(number), 0);
        }
        let count = |proofs: &Proofs| -> usize {
            proofs.stripes.iter().map(|stripe| stripe.lock().unwrap().known.len()).sum()
        };
        assert_eq!(count(&proofs), 80);
        assert!(proofs.knows(of(999), 1) && !proofs.knows(of(0), 1));
        // What is over goes when something comes.
        for number in 2000..2008 {
            proofs.remember(of(number), 100_000);
        }
        assert!(count(&proofs) < 80);
        let never = Proofs::new(b"key", 80, 0);
        never.remember(of(1), 0);
        assert!(!never.knows(of(1), 0));
    }
}
