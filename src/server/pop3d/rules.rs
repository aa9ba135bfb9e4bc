//! The settings of the door as one shard uses them: compiled once, swapped as a whole on reload.
//!
//! A connection keeps the rules it began with, until it moves: on the other shard it has those in force
//! there.

use std::time::Duration;

use engine::tls::Acceptor;
use proto::pop3::server::{self as machine, Expiry, Profile};

use crate::entrance::Entrance;
use crate::listener::{Kind, LimitSettings, ListenerSettings, TlsMode};

/// What follows our name in the greeting.
const BANNER: &str = "Ringpost";
/// Octets of replies and of small parts of messages that are gathered to leave in one send.
pub(super) const OUT_BYTES_MAX: usize = 16 << 10;
/// A server that logs clients out waits so long at least (RFC 1939 §3).
const COMMAND_TIMEOUT_MIN: Duration = Duration::from_secs(600);

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
            (listener.kind == Kind::Pop3)
                .then(|| Entrance::new(index, listener, told.acceptors, profile(told, listener)))
                .transpose()
        };
        let entrances =
            told.listeners.iter().enumerate().map(entrance).collect::<Result<_, String>>()?;
        Ok(Self { limits: told.limits.clone(), entrances })
    }

    /// The listener of this number, if it is one for POP3.
    pub(super) fn entrance(&self, listener: usize) -> Option<&Entrance<Profile>> {
        self.entrances.get(listener)?.as_ref()
    }

    /// How long an account waits between two logins.
    pub(super) fn login_delay_ms(&self) -> u64 {
        let delay = self.limits.pop3_login_delay.get();
        u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)
    }
}

fn profile(told: &Told<'_>, listener: &ListenerSettings) -> Profile {
    let limits = told.limits;
    // Clients that believe what is announced must not come too early.
    let login_delay_s = limits.pop3_login_delay.get().as_millis().div_ceil(1000);
    Profile {
        hostname: told.hostname.into(),
        banner_text: BANNER.into(),
        limits: machine::Limits {
            command_bytes_max: limits.command_line.as_usize(),
            errors_max: limits.errors_per_connection,
            auth_failures_max: limits.auth_failures_per_connection,
            out_bytes_max: OUT_BYTES_MAX,
            command_timeout: limits.command_timeout.get().max(COMMAND_TIMEOUT_MIN),
            send_timeout: limits.data_timeout.get(),
            session_timeout: limits.session_timeout.get(),
            ..machine::Limits::default()
        },
        starttls: listener.tls == TlsMode::Starttls,
        mechanisms: listener.mechanisms(),
        auth_in_the_clear: false,
        expire: Some(Expiry::Never),
        login_delay_s: u32::try_from(login_delay_s).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use engine::settings::Span;

    use super::*;

    fn listener(kind: Kind) -> ListenerSettings {
        ListenerSettings { kind, ..ListenerSettings::default() }
    }

    #[test]
    fn listeners_keep_their_numbers_and_those_of_others_are_passed_over() {
        let implicit = ListenerSettings { tls: TlsMode::Implicit, ..listener(Kind::Pop3) };
        let listeners =
            [listener(Kind::Relay), listener(Kind::Pop3), listener(Kind::Imap), implicit];
        let limits = LimitSettings { pop3_login_delay: Span::ms(1_500), ..Default::default() };
        let told =
            Told { hostname: "mx.example", listeners: &listeners, acceptors: &[], limits: &limits };
        let rules = Rules::compile(&told).unwrap();
        let known: Vec<bool> = (0..5).map(|number| rules.entrance(number).is_some()).collect();
        assert_eq!(known, [false, true, false, true, false]);
        let profile = &rules.entrance(1).unwrap().profile;
        assert!(profile.starttls && !profile.auth_in_the_clear);
        assert_eq!((profile.login_delay_s, rules.login_delay_ms()), (2, 1_500));
        assert!(profile.limits.command_timeout >= COMMAND_TIMEOUT_MIN);
        assert!(rules.entrance(3).unwrap().is_implicit);
    }

    #[test]
    fn nonsense_is_said_with_its_path() {
        let mut odd = listener(Kind::Pop3);
        odd.proxy_from = vec!["nowhere".to_owned()];
        let listeners = [listener(Kind::Relay), odd];
        let limits = LimitSettings::default();
        let told =
            Told { hostname: "mx.example", listeners: &listeners, acceptors: &[], limits: &limits };
        let error = Rules::compile(&told).unwrap_err();
        assert!(error.starts_with("listener[1].proxy_from: "), "{error}");
    }
}
