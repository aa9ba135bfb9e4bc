//! IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051) with their extensions: bytes in, commands, replies
//! and steps out.
//!
//! `syntax` reads the tokens, `command` the commands (one file for each, or for each family),
//! `server` is the machine that a driver feeds, and `respond` writes what a server says. Nothing here
//! knows a mailbox: the machine answers what needs none, asks the driver for the rest, and the driver
//! writes its data with `respond` and finishes the command. What must stay true:
//! - the dialogue does not depend on how the input was split;
//! - a literal is data: nothing in one, nor behind a refused one, is ever taken for a command;
//! - everything that a client sends is bounded before it is kept, and more tightly before login;
//! - a message being appended is passed on in pieces and never kept here;
//! - what is written is one response a line, whatever stands in names and texts.

pub mod command;
pub mod respond;
pub mod server;
pub mod syntax;

pub use command::{Command, Enabled};
pub use respond::{Code, Completion};
pub use server::{Answer, Limits, Profile, Question, Server, Step};
