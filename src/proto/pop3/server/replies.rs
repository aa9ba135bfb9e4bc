//! Everything the machine says on its own, in one place.

use super::{Code, Refusal};

pub(super) const LINE_TOO_LONG: Refusal = Refusal::new(None, "Line too long");
pub(super) const BAD_OCTETS: Refusal =
    Refusal::new(None, "Control character or malformed UTF-8 in command");
pub(super) const UNKNOWN_COMMAND: Refusal = Refusal::new(None, "Command not recognised");
pub(super) const NO_ARGUMENT: Refusal = Refusal::new(None, "This command takes no argument");
pub(super) const NOT_A_NUMBER: Refusal = Refusal::new(None, "Say the number of a message");
pub(super) const TOP_SYNTAX: Refusal = Refusal::new(None, "Syntax: TOP message lines");
pub(super) const LOG_IN_FIRST: Refusal = Refusal::new(None, "Log in first");
pub(super) const LOGGED_IN: Refusal = Refusal::new(None, "Logged in already");
pub(super) const DELETED: Refusal = Refusal::new(None, "This message is deleted");

pub(super) const USER_FIRST: Refusal = Refusal::new(None, "Say USER first");
pub(super) const BAD_NAME: Refusal = Refusal::new(None, "Say the name of a mailbox");
pub(super) const UNKNOWN_MECHANISM: Refusal =
    Refusal::new(None, "Authentication mechanism not offered");
/// The mechanism shows the password to whoever listens, or takes from TLS what it proves.
pub(super) const ENCRYPTION_REQUIRED: Refusal =
    Refusal::new(None, "This way to log in requires TLS, say STLS first");
pub(super) const AUTH_CANCELLED: Refusal = Refusal::new(None, "Authentication cancelled");
pub(super) const AUTH_MALFORMED: Refusal = Refusal::new(None, "Malformed authentication message");
pub(super) const BAD_CREDENTIALS: Refusal =
    Refusal::new(Some(Code::Auth), "Authentication credentials invalid");
pub(super) const AUTH_UNAVAILABLE: Refusal =
    Refusal::new(Some(Code::Temporary), "Temporary authentication failure");

pub(super) const TLS_ACTIVE: Refusal = Refusal::new(None, "TLS is active already");
/// RFC 6856 §2.1.
pub(super) const TLS_BEHIND_UTF8: Refusal = Refusal::new(None, "No STLS behind UTF8");
/// RFC 2595 §4, CVE-2011-0411.
pub(super) const NOT_EMPTY_BEFORE_TLS: Refusal = Refusal::new(None, "Input after STLS, closing");
pub(super) const NOT_MAIL: Refusal = Refusal::new(None, "This is a POP3 server, closing");
/// RFC 6856 §3.
pub(super) const NO_SUCH_LANGUAGE: Refusal = Refusal::new(None, "Language not known here");

/// RFC 1939 §6.
pub(super) const NOT_DELETED: Refusal =
    Refusal::new(Some(Code::Temporary), "Some deleted messages not removed");
pub(super) const TOO_MANY_ERRORS: Refusal = Refusal::new(None, "Too many errors, closing");
pub(super) const TOO_MANY_COMMANDS: Refusal =
    Refusal::new(None, "Too many commands before logging in, closing");
pub(super) const TOO_MANY_AUTH_FAILURES: Refusal =
    Refusal::new(Some(Code::Auth), "Too many failed authentications, closing");
pub(super) const STOPPING: Refusal =
    Refusal::new(Some(Code::Temporary), "Server is stopping, closing");
pub(super) const OUT_OF_STEP: Refusal =
    Refusal::new(Some(Code::Temporary), "Internal error, closing");

/// A positive reply.
pub(super) fn ok(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"+OK ");
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// A number in decimal digits. A list has two for every message.
pub(super) fn decimal(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len() - 1;
    while number > 9 {
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        first -= 1;
    }
    digits[first] = b'0' + number as u8;
    out.extend_from_slice(&digits[first..]);
}

/// `2 messages (320 octets)`.
pub(super) fn contents(messages: u32, octets: u64, out: &mut Vec<u8>) {
    decimal(u64::from(messages), out);
    out.extend_from_slice(b" messages (");
    decimal(octets, out);
    out.extend_from_slice(b" octets)");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_digits() {
        for number in [0, 9, 10, 99, 100, 1_234_567_890, u64::MAX] {
            let mut out = Vec::new();
            decimal(number, &mut out);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
