//! The client's words to its driver: the job it is given, the steps it asks for, and what became
//! of each recipient.

use std::fmt;

use crate::types::{Envelope, Reply};

/// How far a connection has come; tells where an outcome was said, and what a deadline waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Finding the host (driver).
    Resolve,
    /// Reaching it (driver).
    Connect,
    /// Waiting for the 220.
    Greeting,
    /// EHLO, HELO or LHLO.
    Hello,
    /// STARTTLS and the handshake.
    Tls,
    /// MAIL, or the RSET before it.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA, before the message.
    Data,
    /// The message, and the answer to it.
    Body,
    /// QUIT.
    Quit,
}

impl Stage {
    /// The stage in a word, for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Greeting => "greeting",
            Self::Hello => "hello",
            Self::Tls => "tls",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Body => "body",
            Self::Quit => "quit",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the peer said, and when. Replies that the client made itself (a refusal before talking,
/// a lost connection, nonsense from the peer) read like a peer's and say so in their text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Where the dialogue stood.
    pub stage: Stage,
    /// The answer.
    pub reply: Reply,
}

/// What became of one recipient; 2yz means delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientOutcome {
    /// Index in the envelope.
    pub recipient: u32,
    /// What was said.
    pub outcome: Outcome,
    /// Not tried, or refused as one too many (RFC 5321 §4.5.3.1.10): deliver in a further
    /// transaction, at once. Every transaction settles at least one recipient for good, so a peer
    /// cannot make this go round forever.
    pub again: bool,
}

/// One transaction.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// Whose message.
    pub envelope: &'a Envelope,
    /// The recipients to try, as indexes in the envelope; an index past its end is passed over.
    pub recipients: &'a [u32],
    /// Octets of the message, exactly as [`Framing::Raw`] sends it.
    pub size: u64,
    /// The body holds octets over 127.
    pub eight_bit: bool,
    /// The header holds UTF-8 (RFC 6532).
    pub utf8_header: bool,
}

/// How the body goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The message with dots stuffed, then `.` and CRLF. The message must end in CRLF.
    Dots,
    /// What is in `out` (`BDAT n LAST`), then the message as it is (RFC 3030).
    Raw,
    /// What is in `out` only: every recipient was refused, yet the peer said 354 (RFC 2920 §3.1).
    Nothing,
}

/// What the driver is to do next. Whatever is in `out` is to be sent first, always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read, and feed.
    NeedInput,
    /// The connection is open for `begin`, `starttls` or `quit`.
    Ready,
    /// Send the message, then call `body_sent`.
    SendBody(Framing),
    /// The transaction is over: one outcome for every recipient of the job, in no promised order.
    /// Look at `reusable` before the next one.
    Done(Vec<RecipientOutcome>),
    /// Begin TLS, then call `upgraded`.
    Upgrade,
    /// Greeting, hello or STARTTLS was refused: there will be no transaction.
    Failed(Outcome),
    /// Close the connection.
    Close,
}
