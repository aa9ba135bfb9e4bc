//! The checks of one shard: small messages here, big ones on the thread beside the shards.
//!
//! What must stay true: [`Authenticator::check`] never fails and is over at the deadline; it does not
//! hold the shard for longer than signing a message by RSA does.
//!
//! Where the line is drawn: measured on the machine of docs/performance.md, answers of the DNS known,
//! all checks of one message took 5 µs without signatures, 60 to 90 µs with one by RSA-2048, 110 µs
//! with one by Ed25519. Its body adds 4 µs a KiB by `relaxed`, 2 by `simple` (64 KiB: 0.25 to 0.35 ms,
//! 128 KiB: 0.6 ms, 256 KiB: 1.1 ms, 1 MiB: 4.1 ms, 10 MiB: 38 ms), once for each way of hashing it
//! that its signatures name, of which there are four at most.

use std::{cell::RefCell, net::IpAddr, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use engine::dns::{self, DnsError};
use proto::types::Address;
use tokio::time::{Instant, timeout_at};

use super::{
    Report, Rules, RulesError, Settings,
    aside::examine_aside,
    desk::Desk,
    examiner::{Case, Setup, examine},
    scan::Scan,
};

/// Messages up to this are checked on the shard.
const INLINE_BYTES_MAX: usize = 64 * 1024;
/// Seals of a chain that are verified on the shard: they are verified in one go.
const INLINE_SEALS_MAX: usize = 5;
/// How much earlier that thread is to be done, so that what it knows is heard.
const WAY_BACK: Duration = Duration::from_millis(250);

/// What is to be checked.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Who brought the message.
    pub client: IpAddr,
    /// What it called itself.
    pub helo: Box<str>,
    /// The envelope's sender; none when it is null.
    pub sender: Option<Address>,
    /// The message as it came: from its first field on, without fields of ours.
    pub message: Bytes,
    /// Our own name.
    pub hostname: Rc<str>,
}

/// Checks messages; clones are one.
#[derive(Clone)]
pub struct Authenticator {
    current: Rc<RefCell<Current>>,
}

#[derive(Clone)]
struct Current {
    setup: Arc<Setup>,
    desk: Rc<Desk>,
}

/// Why there can be no checks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticatorError {
    /// The settings make no sense.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// There is nobody to ask.
    #[error(transparent)]
    Dns(#[from] DnsError),
}

impl Authenticator {
    /// Makes one; call it on the shard.
    ///
    /// # Errors
    /// See [`AuthenticatorError`].
    pub fn new(settings: &Settings, dns: &dns::Settings) -> Result<Self, AuthenticatorError> {
        let setup = setup(settings, dns)?;
        let desk = Rc::new(Desk::new(dns, settings.cache_entries_max)?);
        Ok(Self { current: Rc::new(RefCell::new(Current { setup, desk })) })
    }

    /// Goes on with other settings. What is known of the DNS stays known where they allow it; checks
    /// that have begun end as they began.
    ///
    /// # Errors
    /// Then nothing changes.
    pub fn reload(
        &self,
        settings: &Settings,
        dns: &dns::Settings,
    ) -> Result<(), AuthenticatorError> {
        let current = self.current.borrow().clone();
        let same_desk = current.setup.dns == *dns
            && current.setup.settings.cache_entries_max == settings.cache_entries_max;
        let desk = if same_desk {
            current.desk
        } else {
            Rc::new(Desk::new(dns, settings.cache_entries_max)?)
        };
        let setup = setup(settings, dns)?;
        self.current.replace(Current { setup, desk });
        Ok(())
    }

    /// Looks at the message. Never fails; over at the deadline.
    pub async fn check(&self, subject: Subject) -> Report {
        let Current { setup, desk } = self.current.borrow().clone();
        let end = Instant::now() + setup.settings.deadline.get();
        let mut case = Case {
            client: subject.client,
            helo: subject.helo,
            sender: subject.sender,
            message: subject.message,
            hostname: (&*subject.hostname).into(),
            end,
        };
        if !is_heavy(&case.message) {
            // Boxed: it is large, and the connection that waits for it shall be small.
            return Box::pin(examine(&desk, &setup, &case)).await;
        }
        let unknown = case.unknown();
        case.end -= WAY_BACK;
        let elsewhere = Box::pin(examine_aside(setup, case));
        timeout_at(end, elsewhere).await.ok().flatten().unwrap_or(unknown)
    }
}

fn setup(settings: &Settings, dns: &dns::Settings) -> Result<Arc<Setup>, RulesError> {
    let rules = Rules::new(settings, &[])?;
    Ok(Arc::new(Setup { settings: settings.clone(), dns: dns.clone(), rules }))
}

fn is_heavy(message: &[u8]) -> bool {
    message.len() > INLINE_BYTES_MAX || Scan::of(message).seals > INLINE_SEALS_MAX
}
