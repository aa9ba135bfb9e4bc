//! Everything the machine says of its own accord.

use std::borrow::Cow;

use crate::imap::{
    respond::{Code, Completion, Condition},
    syntax::Fault,
};

pub(super) const DONE: Completion = Completion::ok("Done");
pub(super) const LOGGED_OUT: Completion = Completion::ok("Logged out");
pub(super) const READY_FOR_TLS: Completion = Completion::ok("Begin TLS now");
pub(super) const READY_TO_COMPRESS: Completion = Completion::ok("Compression begins now");
pub(super) const IDLE_ENDED: Completion = Completion::ok("Idle ended");

pub(super) const APPEND_CANCELLED: Completion = Completion::no("Append cancelled");
pub(super) const UNKNOWN_MECHANISM: Completion = Completion::no("Mechanism is not offered here");

pub(super) const AUTH_CANCELLED: Completion = Completion::bad("Authentication cancelled");
pub(super) const AUTH_MALFORMED: Completion = Completion::bad("Malformed authentication message");
pub(super) const DONE_EXPECTED: Completion = Completion::bad("DONE was expected");
pub(super) const ENABLE_QRESYNC: Completion = Completion::bad("Enable QRESYNC first");
pub(super) const LOG_IN_FIRST: Completion = Completion::bad("Log in first");
pub(super) const LOGGED_IN: Completion = Completion::bad("Already logged in");
pub(super) const MALFORMED_TAG: Completion = Completion::bad("Malformed tag");
pub(super) const NO_COMPRESSION: Completion = Completion::bad("Compression is not offered");
pub(super) const NO_MAILBOX: Completion = Completion::bad("Select a mailbox first");
pub(super) const NO_TLS: Completion = Completion::bad("TLS is not offered");
pub(super) const TLS_ACTIVE: Completion = Completion::bad("TLS is active");

pub(super) const AUTH_UNAVAILABLE: Completion =
    coded(Condition::No, Code::Unavailable, "Temporary authentication failure");
pub(super) const BAD_CREDENTIALS: Completion =
    coded(Condition::No, Code::AuthenticationFailed, "Wrong name or password");
pub(super) const COMPRESSION_ACTIVE: Completion =
    coded(Condition::No, Code::CompressionActive, "Compression is active");
pub(super) const ENCRYPTION_NEEDED: Completion =
    coded(Condition::No, Code::PrivacyRequired, "Encryption is needed");
pub(super) const LITERAL_TOO_BIG: Completion =
    coded(Condition::Bad, Code::TooBig, "Literal is too large");
pub(super) const MESSAGE_TOO_BIG: Completion =
    coded(Condition::No, Code::TooBig, "Message is too large");
pub(super) const PREVIOUS_CLOSED: Completion =
    coded(Condition::Ok, Code::Closed, "Previous mailbox closed");
pub(super) const TOO_MANY_MESSAGES: Completion =
    coded(Condition::No, Code::Limit, "Too many messages at once");
pub(super) const UNANSWERED: Completion = coded(Condition::No, Code::ServerBug, "Internal error");

/// Behind `LOGOUT`.
pub(super) const GOOD_BYE: Completion =
    Completion { condition: Condition::Bye, code: None, text: Cow::Borrowed("Good bye") };
pub(super) const BARE_LF: Completion = bye(Code::ClientBug, "Lines end with CRLF");
pub(super) const NOT_EMPTY: Completion = bye(Code::ClientBug, "Data in the clear");
pub(super) const OUT_OF_STEP: Completion = bye(Code::ServerBug, "Internal error");
pub(super) const STOPPING: Completion = bye(Code::Unavailable, "Server is shutting down");
pub(super) const TIMEOUT: Completion = bye(Code::Unavailable, "Idle for too long");
pub(super) const TOO_LONG: Completion = bye(Code::TooBig, "Command is too long");
pub(super) const TOO_MANY_COMMANDS: Completion = bye(Code::Limit, "Too many commands before login");
pub(super) const TOO_MANY_ERRORS: Completion = bye(Code::ClientBug, "Too many errors");
pub(super) const TOO_MANY_FAILURES: Completion = bye(Code::Unavailable, "Too many failed logins");

const fn coded(condition: Condition, code: Code, text: &'static str) -> Completion {
    Completion { condition, code: Some(code), text: Cow::Borrowed(text) }
}

/// What ends a connection.
const fn bye(code: Code, text: &'static str) -> Completion {
    coded(Condition::Bye, code, text)
}

/// What to say of a command that is at fault.
impl From<Fault> for Completion {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Syntax(text) => Self::bad(text),
            Fault::Limit(text) => Self::no(text).with(Code::Limit),
            Fault::Name(text) => Self::no(text).with(Code::Cannot),
            Fault::Charset => Self::no("Unknown charset").with(Code::BadCharset),
            Fault::Use => Self::no("Special use cannot be given").with(Code::UseAttr),
            Fault::Pending => Self::bad("A literal is missing"),
        }
    }
}
