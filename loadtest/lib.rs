//! The load test: messages that prove themselves, from a source through any mail server to a sink.
//!
//! It sees a server only through its sockets (and `/proc`, to tell what it costs), and of Ringpost's own code only floor 0. It runs on glommio, a stack of its
//! own, so that a fault of the server's runtime cannot hide in the generator's.
//!
//! * [`source`] sends, in a closed or an open loop; [`sink`] takes, kindly or not; [`ledger`] says what
//!   became of every recipient; [`message`] makes messages that prove themselves.
//! * [`mailbox`] is the other side: IMAP and POP3 sessions, and deliveries by LMTP.
//! * [`result`] is the one document that a measurement yields.

pub mod cli;
pub mod compare;
pub mod cores;
pub mod cost;
pub mod figures;
pub mod ledger;
pub mod machine;
pub mod mailbox;
pub mod markdown;
pub mod message;
pub mod report;
pub mod result;
pub mod scenario;
pub mod server;
pub mod sink;
pub mod source;
mod stage;
pub mod table;
pub mod trial;
pub mod verdict;
pub mod wire;
pub mod words;
