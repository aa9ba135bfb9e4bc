//! What delivery tells the queue about one recipient.

use std::{net::SocketAddr, rc::Rc};

use proto::smtp::client::Stage;
use proto::types::{Reply, Timestamp};

/// The server that spoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its name, or its address in brackets when it has none.
    pub name: Rc<str>,
    /// Where it was reached, if it was.
    pub addr: Option<SocketAddr>,
}

impl std::fmt::Display for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.addr {
            Some(addr) if self.name.starts_with('[') => write!(f, "{}:{}", self.name, addr.port()),
            Some(addr) => write!(f, "{}[{}]:{}", self.name, addr.ip(), addr.port()),
            None => f.write_str(&self.name),
        }
    }
}

/// What we do about one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The next hop has it.
    Delivered {
        /// What it said.
        reply: Reply,
        /// Who said it.
        remote: Option<Remote>,
        /// The next hop offers DSN, so that it reports further (RFC 3461 §5.2.2).
        dsn_passed_on: bool,
    },
    /// It is in a mailbox here, on stable storage: the end of its way.
    Placed {
        /// What a server in our place would have said.
        reply: Reply,
    },
    /// Try again later.
    Deferred {
        /// What was said, or what we say about it.
        reply: Reply,
        /// How far the attempt came.
        stage: Stage,
        /// Who said it.
        remote: Option<Remote>,
        /// Not before this time, because the whole site rests. The retry schedule may say later.
        not_before: Option<Timestamp>,
    },
    /// Never: the sender is told.
    Failed {
        /// Why.
        reply: Reply,
        /// Who said it.
        remote: Option<Remote>,
    },
}
