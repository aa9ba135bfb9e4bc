//! Owns: what a listener takes TLS connections with. Must stay true: all shards share one, so that
//! tickets of one are good on all. Fails: never.

use std::{io, sync::Arc};

use rustls::{ServerConfig, ServerConnection};

use super::{Channel, clients::Clients, error::broken};

/// The server's side; clones share it.
#[derive(Clone, Debug)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    clients: Option<Clients>,
}

impl Acceptor {
    pub(super) fn new(config: Arc<ServerConfig>, clients: Option<Clients>) -> Self {
        Self { config, clients }
    }

    /// A channel whose peer speaks first.
    ///
    /// # Errors
    /// The library refuses.
    pub fn channel(&self) -> io::Result<Channel> {
        let connection = ServerConnection::new(Arc::clone(&self.config)).map_err(broken)?;
        Ok(Channel::new(connection.into(), self.clients.clone()))
    }
}
