//! Everything the machine says on its own, in one place (RFC 5321 §4.2, RFC 3463, RFC 5248).

use crate::types::{Enhanced, Reply};

pub(super) const OK: Reply = Reply::new(250, Enhanced(2, 0, 0), "Ok");
pub(super) const SENDER_OK: Reply = Reply::new(250, Enhanced(2, 1, 0), "Ok");
pub(super) const RECIPIENT_OK: Reply = Reply::new(250, Enhanced(2, 1, 5), "Ok");
pub(super) const GO_AHEAD: Reply = Reply::bare(354, "End data with <CR><LF>.<CR><LF>");
pub(super) const READY_FOR_TLS: Reply = Reply::new(220, Enhanced(2, 0, 0), "Ready to start TLS");
pub(super) const BYE: Reply = Reply::new(221, Enhanced(2, 0, 0), "Bye");
pub(super) const HELP: Reply = Reply::new(
    214,
    Enhanced(2, 0, 0),
    "EHLO HELO LHLO MAIL RCPT DATA BDAT\nRSET NOOP VRFY HELP STARTTLS QUIT\nSee RFC 5321",
);
pub(super) const CANNOT_VERIFY: Reply =
    Reply::new(252, Enhanced(2, 0, 0), "Cannot verify, send mail and see");

pub(super) const LINE_TOO_LONG: Reply = Reply::new(500, Enhanced(5, 5, 2), "Line too long");
pub(super) const BARE_LF: Reply =
    Reply::new(500, Enhanced(5, 5, 2), "A command ends with CRLF, this one holds a bare LF");
pub(super) const BAD_OCTETS: Reply =
    Reply::new(500, Enhanced(5, 5, 2), "Control character or malformed UTF-8 in command");
pub(super) const UNKNOWN_COMMAND: Reply =
    Reply::new(500, Enhanced(5, 5, 1), "Command not recognised");
pub(super) const NO_ARGUMENT: Reply =
    Reply::new(501, Enhanced(5, 5, 4), "This command takes no argument");
pub(super) const ARGUMENT_MISSING: Reply =
    Reply::new(501, Enhanced(5, 5, 4), "This command needs an argument");
pub(super) const BAD_HELO: Reply =
    Reply::new(501, Enhanced(5, 5, 4), "Say your domain name or address literal");
pub(super) const NOT_IMPLEMENTED: Reply =
    Reply::new(502, Enhanced(5, 5, 1), "Command not implemented");
pub(super) const SPEAK_LMTP: Reply = Reply::new(500, Enhanced(5, 5, 1), "This is LMTP, say LHLO");

pub(super) const HELO_FIRST: Reply = Reply::new(503, Enhanced(5, 5, 1), "Say EHLO or LHLO first");
pub(super) const MAIL_FIRST: Reply = Reply::new(503, Enhanced(5, 5, 1), "Say MAIL first");
pub(super) const RCPT_FIRST: Reply = Reply::new(503, Enhanced(5, 5, 1), "Say RCPT first");
pub(super) const NESTED_MAIL: Reply =
    Reply::new(503, Enhanced(5, 5, 1), "A transaction is open already");
pub(super) const CHUNKS_STARTED: Reply =
    Reply::new(503, Enhanced(5, 5, 1), "The message has begun with BDAT");
pub(super) const NO_VALID_RECIPIENTS: Reply =
    Reply::new(554, Enhanced(5, 5, 1), "No valid recipients");

pub(super) const MAIL_SYNTAX: Reply =
    Reply::new(501, Enhanced(5, 5, 4), "Syntax: MAIL FROM:<address> [parameters]");
pub(super) const RCPT_SYNTAX: Reply =
    Reply::new(501, Enhanced(5, 5, 4), "Syntax: RCPT TO:<address> [parameters]");
pub(super) const BDAT_SYNTAX: Reply =
    Reply::new(501, Enhanced(5, 5, 4), "Syntax: BDAT octets [LAST]; lost count, closing");
pub(super) const BAD_SENDER: Reply = Reply::new(501, Enhanced(5, 1, 7), "Malformed sender address");
pub(super) const BAD_RECIPIENT: Reply =
    Reply::new(501, Enhanced(5, 1, 3), "Malformed recipient address");
/// RFC 6531 §3.5.
pub(super) const NEEDS_SMTPUTF8: Reply =
    Reply::new(553, Enhanced(5, 6, 7), "Address needs SMTPUTF8");
pub(super) const UNKNOWN_PARAMETER: Reply =
    Reply::new(555, Enhanced(5, 5, 4), "Parameter not recognised");
pub(super) const REPEATED_PARAMETER: Reply =
    Reply::new(501, Enhanced(5, 5, 4), "Parameter given twice");
pub(super) const BAD_PARAMETER: Reply = Reply::new(501, Enhanced(5, 5, 4), "Malformed parameter");

pub(super) const MESSAGE_TOO_BIG: Reply =
    Reply::new(552, Enhanced(5, 3, 4), "Message exceeds the size limit");
pub(super) const HEADER_TOO_BIG: Reply =
    Reply::new(552, Enhanced(5, 3, 4), "Message header exceeds the size limit");
pub(super) const TEXT_LINE_TOO_LONG: Reply =
    Reply::new(550, Enhanced(5, 6, 0), "Message holds a line that is too long");
pub(super) const BARE_ENDING: Reply =
    Reply::new(550, Enhanced(5, 6, 11), "Message holds a bare CR or LF");
pub(super) const NUL: Reply = Reply::new(550, Enhanced(5, 6, 11), "Message holds a NUL");
/// RFC 5321 §4.5.3.1.10.
pub(super) const TOO_MANY_RECIPIENTS: Reply =
    Reply::new(452, Enhanced(4, 5, 3), "Too many recipients");

/// RFC 4954 §4 and §6, RFC 5248.
pub(super) const AUTHENTICATED: Reply =
    Reply::new(235, Enhanced(2, 7, 0), "Authentication succeeded");
pub(super) const AUTH_SYNTAX: Reply =
    Reply::new(501, Enhanced(5, 5, 4), "Syntax: AUTH mechanism [initial-response]");
pub(super) const AUTH_CANCELLED: Reply =
    Reply::new(501, Enhanced(5, 7, 0), "Authentication cancelled");
pub(super) const AUTH_MALFORMED: Reply =
    Reply::new(501, Enhanced(5, 5, 2), "Malformed authentication message");
pub(super) const RESPONSE_TOO_LONG: Reply =
    Reply::new(500, Enhanced(5, 5, 6), "Authentication exchange line is too long");
pub(super) const ALREADY_AUTHENTICATED: Reply =
    Reply::new(503, Enhanced(5, 5, 1), "Authenticated already");
pub(super) const AUTH_IN_TRANSACTION: Reply =
    Reply::new(503, Enhanced(5, 5, 1), "No AUTH in a transaction");
pub(super) const UNKNOWN_MECHANISM: Reply =
    Reply::new(504, Enhanced(5, 5, 4), "Authentication mechanism not offered");
pub(super) const AUTH_UNAVAILABLE: Reply =
    Reply::new(454, Enhanced(4, 7, 0), "Temporary authentication failure");
pub(super) const AUTH_REQUIRED: Reply =
    Reply::new(530, Enhanced(5, 7, 0), "Authentication required");
pub(super) const BAD_CREDENTIALS: Reply =
    Reply::new(535, Enhanced(5, 7, 8), "Authentication credentials invalid");
/// The mechanism takes from TLS what it proves.
pub(super) const ENCRYPTION_NEEDED: Reply =
    Reply::new(523, Enhanced(5, 7, 10), "This mechanism needs TLS, say STARTTLS first");
/// The mechanism shows the password to whoever listens.
pub(super) const ENCRYPTION_REQUIRED: Reply =
    Reply::new(538, Enhanced(5, 7, 11), "This mechanism requires TLS, say STARTTLS first");
/// RFC 4865 §4.
pub(super) const HELD_TOO_LONG: Reply =
    Reply::new(501, Enhanced(5, 5, 4), "Release is further ahead than we hold mail");

pub(super) const TLS_ACTIVE: Reply = Reply::new(503, Enhanced(5, 5, 1), "TLS is active already");
/// RFC 3207 §4.2, CVE-2011-0411.
pub(super) const NOT_EMPTY_BEFORE_TLS: Reply =
    Reply::new(554, Enhanced(5, 5, 1), "Input after STARTTLS, closing");
pub(super) const NOT_MAIL: Reply = Reply::new(554, Enhanced(5, 5, 1), "This is a mail server");
/// What a recipient is told for which the driver had no answer (LMTP).
pub(super) const UNANSWERED: Reply = Reply::new(451, Enhanced(4, 3, 0), "Internal error");

pub(super) const TOO_MANY_ERRORS: (Enhanced, &str) = (Enhanced(4, 7, 0), "Too many errors");
pub(super) const TOO_MANY_AUTH_FAILURES: (Enhanced, &str) =
    (Enhanced(4, 7, 0), "Too many failed authentications");
pub(super) const TOO_MANY_MESSAGES: (Enhanced, &str) =
    (Enhanced(4, 5, 3), "Too many messages on this connection");
pub(super) const TIMEOUT: (Enhanced, &str) = (Enhanced(4, 4, 2), "Timeout");
pub(super) const STOPPING: (Enhanced, &str) = (Enhanced(4, 3, 2), "Server is stopping");
pub(super) const OUT_OF_STEP: (Enhanced, &str) = (Enhanced(4, 3, 0), "Internal error");
