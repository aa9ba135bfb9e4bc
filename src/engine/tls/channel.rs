//! Owns: one TLS connection as memory: octets of the network on one side, ours on the other; no socket.
//! Must stay true: what the peer sent is taken in order, also behind the handshake; nothing that
//! is waiting to be sent is lost or sent twice. Fails: `InvalidData` around the library's error,
//! and the alert for the peer waits to be sent.

use std::{
    fmt,
    io::{self, BufRead, Read, Write},
};

use rustls::{Connection, ProtocolVersion, pki_types::CertificateDer};

use super::{clients::Clients, error::broken};

/// Octets kept for the next record while nothing is to be sent or read.
const KEPT_BYTES_MAX: usize = 2 << 10;
/// Length of a channel binding (RFC 9266 §2).
const BINDING_BYTES: usize = 32;

/// See the module.
pub struct Channel {
    connection: Connection,
    clients: Option<Clients>,
    /// Records from the peer; those up to `taken` are done with.
    records: Vec<u8>,
    taken: usize,
    out: Vec<u8>,
    /// The peer has said that nothing more will come.
    has_ended: bool,
}

impl Channel {
    pub(super) fn new(mut connection: Connection, clients: Option<Clients>) -> Self {
        // What is written is sent before more is: the stream cuts long texts up.
        connection.set_buffer_limit(None);
        Self {
            connection,
            clients,
            records: Vec::new(),
            taken: 0,
            out: Vec::new(),
            has_ended: false,
        }
    }

    /// Protocol and cipher by their IANA names: "TLSv1.3 TLS_AES_256_GCM_SHA384".
    #[must_use]
    pub fn description(&self) -> String {
        format!("{} {}", self.version(), self.cipher())
    }

    /// "TLSv1.3".
    #[must_use]
    pub fn version(&self) -> &'static str {
        match self.connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLS",
        }
    }

    /// The cipher suite's IANA name.
    #[must_use]
    pub fn cipher(&self) -> String {
        let suite = self.connection.negotiated_cipher_suite().map(|suite| suite.suite());
        let name = suite.and_then(|suite| suite.as_str()).unwrap_or("unknown");
        // The library puts the version into those of TLS 1.3.
        name.replacen("TLS13_", "TLS_", 1)
    }

    /// The group that keys were exchanged in: "X25519MLKEM768".
    #[must_use]
    pub fn group(&self) -> Option<&'static str> {
        self.connection.negotiated_key_exchange_group().and_then(|group| group.name().as_str())
    }

    /// Whether an earlier session was taken up again.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// What the peer showed, its own first.
    #[must_use]
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        self.connection.peer_certificates().unwrap_or_default()
    }

    /// The mail addresses that the client has proved to be, with its certificate.
    #[must_use]
    pub fn client_addresses(&self) -> Vec<Box<str>> {
        self.clients
            .as_ref()
            .map(|clients| clients.addresses(self.peer_certificates()))
            .unwrap_or_default()
    }

    /// The binding `tls-exporter` of this connection (RFC 9266 §2). In TLS 1.2 it needs the extended
    /// master secret, which we do not ask for: `None` there.
    #[must_use]
    pub fn binding(&self) -> Option<[u8; BINDING_BYTES]> {
        if self.connection.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
            return None;
        }
        self.connection
            .export_keying_material([0; BINDING_BYTES], b"EXPORTER-Channel-Binding", Some(b""))
            .ok()
    }

    /// Whether nothing of ours can be sent yet.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether what waits can go out together with our first words: a server's tickets can.
    #[must_use]
    pub fn can_wait(&self) -> bool {
        let is_1_3 = self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        is_1_3 && matches!(self.connection, Connection::Server(_))
    }

    /// A buffer of so much room to read records into; give it back to [`Self::records`].
    #[must_use]
    pub fn buffer(&mut self, bytes: usize) -> Vec<u8> {
        let mut buffer = std::mem::take(&mut self.records);
        self.taken = 0;
        buffer.clear();
        if buffer.capacity() < bytes || buffer.capacity() > bytes.max(KEPT_BYTES_MAX) {
            buffer = Vec::with_capacity(bytes);
        }
        buffer
    }

    /// Takes what was read.
    pub fn records(&mut self, records: Vec<u8>) {
        (self.records, self.taken) = (records, 0);
    }

    /// Opens records and moves what was in them into the spare room of `plain`; how much. 0: the
    /// next read is due, or the peer has closed.
    ///
    /// # Errors
    /// The peer broke the protocol; an alert waits to be sent.
    pub fn open(&mut self, plain: &mut Vec<u8>) -> io::Result<usize> {
        let before = plain.len();
        loop {
            self.drain(plain)?;
            if plain.len() > before || self.taken >= self.records.len() {
                return Ok(plain.len() - before);
            }
            self.process()?;
        }
    }

    /// One step with what was read, as long as [`Self::has_records`].
    ///
    /// # Errors
    /// The handshake failed; an alert waits to be sent.
    pub fn process(&mut self) -> io::Result<()> {
        let mut rest = &self.records[self.taken..];
        self.taken += self.connection.read_tls(&mut rest)?;
        self.has_ended = self.connection.process_new_packets().map_err(broken)?.peer_has_closed();
        Ok(())
    }

    /// Whether records wait to be opened.
    #[must_use]
    pub fn has_records(&self) -> bool {
        self.taken < self.records.len()
    }

    /// Whether [`Self::open`] has something to give or to tell without another record.
    #[must_use]
    pub fn has_plain(&mut self) -> bool {
        let waits = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
        !self.connection.reader().fill_buf().is_err_and(waits)
    }

    /// Whether the peer has said that nothing more will come.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    fn drain(&mut self, plain: &mut Vec<u8>) -> io::Result<()> {
        let spare = plain.capacity() - plain.len();
        let mut reader = self.connection.reader().take(spare as u64);
        match reader.read_to_end(plain) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Closes a piece of ours in records.
    ///
    /// # Errors
    /// The connection is at its end.
    pub fn seal(&mut self, plain: &[u8]) -> io::Result<()> {
        self.connection.writer().write_all(plain)
    }

    /// Says that nothing more will come (RFC 8446 §6.1).
    pub fn say_goodbye(&mut self) {
        self.connection.send_close_notify();
    }

    /// The records that wait to be sent; give the buffer back to [`Self::sent`].
    ///
    /// # Errors
    /// None that is known: it writes to memory.
    pub fn outgoing(&mut self) -> io::Result<Vec<u8>> {
        let mut out = std::mem::take(&mut self.out);
        while self.connection.wants_write() {
            self.connection.write_tls(&mut out)?;
        }
        Ok(out)
    }

    /// The buffer of records that have left.
    pub fn sent(&mut self, mut out: Vec<u8>) {
        out.clear();
        out.shrink_to(KEPT_BYTES_MAX);
        self.out = out;
    }
}

// It goes with its connection from shard to shard.
const _: () = {
    const fn travels<T: Send>() {}
    travels::<Channel>();
};

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({})", self.description())
    }
}
