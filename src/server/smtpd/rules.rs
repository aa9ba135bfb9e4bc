//! The settings of the door as one shard uses them: compiled once, swapped as a whole on reload.
//!
//! A connection keeps the rules it began with.

use std::rc::Rc;

use engine::tls::Acceptor;
use mail::authentication::checks::{self, Policy};
use mail::delivery::{route::Routes, settings::RouteSettings};
use mail::policy::{self, Relay};
use proto::sasl;
use proto::smtp::server::{self as machine, Profile};

use crate::entrance;
use crate::listener::{Kind, LimitSettings, LineEndings, ListenerSettings, Protocol, TlsMode};

/// What follows our name in the greeting.
const BANNER: &str = "Ringpost";

/// Of next hops; the door connects to none.
const PORT_UNUSED: u16 = 25;

/// What the door is told.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Our name.
    pub hostname: &'a str,
    /// Where to listen and how.
    pub listeners: &'a [ListenerSettings],
    /// Of each listener, what it takes TLS with; none where there is no TLS.
    pub acceptors: &'a [Option<Acceptor>],
    /// What strangers may use up.
    pub limits: &'a LimitSettings,
    /// Whose mail is passed on.
    pub relay: &'a policy::Settings,
    /// Ways that some mail takes.
    pub routes: &'a [RouteSettings],
    /// How it is checked where mail comes from.
    pub authentication: &'a checks::Settings,
}

/// The same, compiled.
#[derive(Debug)]
pub struct Rules {
    pub(super) hostname: Rc<str>,
    pub(super) limits: LimitSettings,
    pub(super) relay: Relay,
    /// Whose mail they take elsewhere; where to is delivery's concern.
    pub(super) routes: Routes,
    pub(super) checks: checks::Rules,
    pub(super) write_received_spf: bool,
    entrances: Vec<Entrance>,
}

/// One listener.
#[derive(Debug)]
pub(super) struct Entrance {
    /// What all doors have.
    pub common: entrance::Entrance<Profile>,
    /// It is for users.
    pub is_submission: bool,
    /// The addresses of users stay secret.
    pub hides_client: bool,
    /// How far policy may go with what its strangers bring.
    pub policy: Policy,
}

impl Rules {
    /// Compiles what was told.
    ///
    /// # Errors
    /// What makes no sense, in words, with the path of the setting.
    pub fn compile(told: &Told<'_>) -> Result<Self, String> {
        let relay = Relay::new(told.relay).map_err(|error| error.to_string())?;
        let routes =
            Routes::compile(told.routes, PORT_UNUSED).map_err(|error| error.to_string())?;
        let authentication = told.authentication;
        let checks = checks::Rules::new(authentication, &told.relay.networks)
            .map_err(|error| error.to_string())?;
        let entrance = |(index, listener): (usize, &ListenerSettings)| {
            let profile = profile(told, listener);
            Ok(Entrance {
                common: entrance::Entrance::new(index, listener, told.acceptors, profile)?,
                is_submission: listener.kind == Kind::Submission,
                hides_client: listener.hide_client,
                policy: policy_of(listener, authentication.policy),
            })
        };
        let entrances =
            told.listeners.iter().enumerate().map(entrance).collect::<Result<_, String>>()?;
        Ok(Self {
            hostname: told.hostname.into(),
            limits: told.limits.clone(),
            relay,
            routes,
            checks,
            write_received_spf: authentication.write_received_spf,
            entrances,
        })
    }

    pub(super) fn entrance(&self, listener: usize) -> Option<&Entrance> {
        self.entrances.get(listener)
    }
}

fn profile(told: &Told<'_>, listener: &ListenerSettings) -> Profile {
    let limits = told.limits;
    Profile {
        hostname: told.hostname.into(),
        banner_text: BANNER.into(),
        protocol: match listener.protocol {
            Protocol::Smtp => machine::Protocol::Smtp,
            Protocol::Lmtp => machine::Protocol::Lmtp,
        },
        line_endings: match listener.line_endings {
            LineEndings::Refuse => machine::LineEndings::Refuse,
            LineEndings::Fix => machine::LineEndings::Fix,
        },
        limits: machine::Limits {
            message_bytes_max: limits.message.get(),
            recipients_max: limits.recipients_per_message,
            messages_max: limits.messages_per_connection,
            errors_max: limits.errors_per_connection,
            auth_failures_max: limits.auth_failures_per_connection,
            sasl: sasl::Limits::default(),
            command_bytes_max: limits.command_line.as_usize(),
            text_line_bytes_max: limits.text_line.as_usize(),
            header_bytes_max: limits.header.as_usize(),
            command_timeout: limits.command_timeout.get(),
            data_timeout: limits.data_timeout.get(),
            message_timeout: limits.message_timeout.get(),
            session_timeout: limits.session_timeout.get(),
        },
        starttls: listener.tls == TlsMode::Starttls,
        mechanisms: listener.mechanisms(),
        auth_in_the_clear: false,
        auth_required: listener.kind == Kind::Submission,
        require_tls: listener.tls != TlsMode::None,
        future_release_max: Some(listener.future_release_max.get())
            .filter(|span| listener.kind == Kind::Submission && !span.is_zero()),
    }
}

/// Users prove who they are, so a listener for them checks nothing by itself.
fn policy_of(listener: &ListenerSettings, default: Policy) -> Policy {
    let usual = if listener.kind == Kind::Submission { Policy::None } else { default };
    listener.authentication.unwrap_or(usual)
}
