//! The settings of the door as one shard uses them: compiled once, swapped as a whole on reload.
//!
//! A connection keeps the rules it began with, until it moves: on the other shard it has those in force
//! there.

use std::time::Duration;

use engine::tls::Acceptor;
use mail::mailbox;
use proto::imap::{self as machine, Profile};

use crate::entrance::Entrance;
use crate::listener::{Kind, LimitSettings, ListenerSettings, TlsMode};

/// What follows our name in the greeting.
const BANNER: &str = "Ringpost";
/// Octets of replies and of small parts of messages that are gathered to leave in one send.
pub(super) const OUT_BYTES_MAX: usize = 16 << 10;
/// What idles is logged out after 30 minutes at the earliest (RFC 9051 §5.4).
const IDLE_TIMEOUT_MIN: Duration = Duration::from_secs(31 * 60);

/// What the door is told.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Our name.
    pub hostname: &'a str,
    /// All listeners of the settings; those of other kinds are passed over.
    pub listeners: &'a [ListenerSettings],
    /// Of each listener, what it takes TLS with; none where there is no TLS.
    pub acceptors: &'a [Option<Acceptor>],
    /// What strangers may use up.
    pub limits: &'a LimitSettings,
    /// What mailboxes take.
    pub mailbox: &'a mailbox::Settings,
}

/// The same, compiled.
#[derive(Debug)]
pub struct Rules {
    pub(super) limits: LimitSettings,
    /// By their number in the settings; none for listeners of another kind.
    pub(super) entrances: Vec<Option<Entrance<Profile>>>,
}

impl Rules {
    /// Compiles what was told.
    ///
    /// # Errors
    /// What makes no sense, in words, with the path of the setting.
    pub fn compile(told: &Told<'_>) -> Result<Self, String> {
        let entrance = |(index, listener): (usize, &ListenerSettings)| {
            (listener.kind == Kind::Imap)
                .then(|| Entrance::new(index, listener, told.acceptors, profile(told, listener)))
                .transpose()
        };
        let entrances =
            told.listeners.iter().enumerate().map(entrance).collect::<Result<_, String>>()?;
        Ok(Self { limits: told.limits.clone(), entrances })
    }

    /// The listener of this number, if it is one for IMAP.
    pub(super) fn entrance(&self, listener: usize) -> Option<&Entrance<Profile>> {
        self.entrances.get(listener)?.as_ref()
    }
}

fn profile(told: &Told<'_>, listener: &ListenerSettings) -> Profile {
    let limits = told.limits;
    Profile {
        hostname: told.hostname.into(),
        banner_text: BANNER.into(),
        limits: machine::Limits {
            append_bytes_max: append_bytes_max(told),
            errors_max: limits.errors_per_connection,
            auth_failures_max: limits.auth_failures_per_connection,
            idle_timeout: limits.command_timeout.get().max(IDLE_TIMEOUT_MIN),
            data_timeout: limits.data_timeout.get(),
            append_timeout: limits.message_timeout.get(),
            ..machine::Limits::default()
        },
        starttls: listener.tls == TlsMode::Starttls,
        mechanisms: listener.mechanisms(),
        auth_in_the_clear: false,
        compress: true,
        ..Profile::default()
    }
}

/// What is larger than the memory for messages could never come in.
fn append_bytes_max(told: &Told<'_>) -> u64 {
    told.mailbox.append_bytes_max.get().min(told.limits.memory_per_shard.get())
}

#[cfg(test)]
mod tests {
    use engine::settings::Bytes;

    use super::*;

    fn listener(kind: Kind) -> ListenerSettings {
        ListenerSettings { kind, ..ListenerSettings::default() }
    }

    #[test]
    fn listeners_keep_their_numbers_and_those_of_others_are_passed_over() {
        let implicit = ListenerSettings { tls: TlsMode::Implicit, ..listener(Kind::Imap) };
        let listeners =
            [listener(Kind::Relay), listener(Kind::Imap), listener(Kind::Pop3), implicit];
        let limits = LimitSettings { memory_per_shard: Bytes::mib(60), ..Default::default() };
        let told = Told {
            hostname: "mx.example",
            listeners: &listeners,
            acceptors: &[],
            limits: &limits,
            mailbox: &mailbox::Settings::default(),
        };
        let rules = Rules::compile(&told).unwrap();
        let known: Vec<bool> = (0..5).map(|number| rules.entrance(number).is_some()).collect();
        assert_eq!(known, [false, true, false, true, false]);
        let profile = &rules.entrance(1).unwrap().profile;
        assert!(profile.starttls && !profile.auth_in_the_clear && profile.compress);
        assert_eq!(profile.limits.append_bytes_max, 60 << 20);
        assert!(profile.limits.idle_timeout >= IDLE_TIMEOUT_MIN);
        assert!(rules.entrance(3).unwrap().is_implicit);
    }

    #[test]
    fn nonsense_is_said_with_its_path() {
        let mut odd = listener(Kind::Imap);
        odd.proxy_from = vec!["nowhere".to_owned()];
        let listeners = [listener(Kind::Relay), odd];
        let told = Told {
            hostname: "mx.example",
            listeners: &listeners,
            acceptors: &[],
            limits: &LimitSettings::default(),
            mailbox: &mailbox::Settings::default(),
        };
        let error = Rules::compile(&told).unwrap_err();
        assert!(error.starts_with("listener[1].proxy_from: "), "{error}");
    }
}
