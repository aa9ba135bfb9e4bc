//! Owns: how TLS and the socket of a [`Stream`] work together. Must stay true: one operation at a time,
//! as in the clear; what the peer sent in the clear is never read as if it had come through TLS, for
//! whoever calls [`Stream::secure`] has nothing left of it; records that the channel wants to send leave
//! before anything is waited for. Fails: `io::Error`, of the socket or around the library's
//! ([`crate::tls::Fault`]); the alert for the peer has left then.

use std::io;

use super::Stream;
use crate::tls::Channel;

/// Read at once during a handshake: a client's first flight with a post-quantum key share fits.
const HANDSHAKE_READ_BYTES: usize = 4 << 10;
/// What a handshake may take in all: certificate chains are some KiB, and rustls bounds messages.
const HANDSHAKE_BYTES_MAX: usize = 128 << 10;
/// Beyond the octets that are wanted: header and tag of a record.
const RECORD_OVERHEAD: usize = 64;
/// Read at once in bulk.
const READ_BYTES_MAX: usize = 32 << 10;
/// Sealed and sent in one go.
const SEND_BYTES_MAX: usize = 64 << 10;

impl Stream {
    /// Does the handshake; from then on everything goes through TLS. `received` are octets of it that
    /// came already, behind a PROXY header. What the peer sends right behind its handshake is kept for the
    /// next `recv`. The deadline is the caller's to set.
    ///
    /// # Errors
    /// The stream is of no more use: [`crate::tls::Fault`] says why.
    pub async fn secure(&mut self, mut channel: Channel, received: Vec<u8>) -> io::Result<()> {
        channel.records(received);
        self.tls = Some(Box::new(channel));
        Box::pin(self.shake_hands()).await
    }

    /// What TLS came to, once there is any.
    #[must_use]
    pub fn tls(&self) -> Option<&Channel> {
        self.tls.as_deref()
    }

    async fn shake_hands(&mut self) -> io::Result<()> {
        let mut bytes_left = HANDSHAKE_BYTES_MAX;
        while self.channel()?.is_handshaking() {
            self.flush().await?;
            if self.channel()?.has_records() {
                self.process().await?;
                continue;
            }
            match self.read_records(HANDSHAKE_READ_BYTES).await? {
                0 if self.deadline().expired() => return Err(io::ErrorKind::TimedOut.into()),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => {
                    bytes_left = bytes_left.checked_sub(read).ok_or(io::ErrorKind::InvalidData)?;
                }
            }
        }
        if self.channel()?.can_wait() { Ok(()) } else { self.flush().await }
    }

    pub(super) async fn recv_secure(&mut self, mut buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        let spare = buf.capacity() - buf.len();
        loop {
            let opened = match self.channel() {
                Ok(channel) => channel.open(&mut buf).map(|octets| (octets, channel.has_ended())),
                Err(error) => Err(error),
            };
            match opened {
                Ok((0, false)) => {}
                Ok((octets, _)) => return (Ok(octets), buf),
                Err(error) => {
                    // The alert; the peer may be gone.
                    let _ = self.flush().await;
                    return (Err(error), buf);
                }
            }
            if let Err(error) = self.flush().await {
                return (Err(error), buf);
            }
            match self.read_records((spare + RECORD_OVERHEAD).min(READ_BYTES_MAX)).await {
                Ok(0) => return (Ok(0), buf),
                Ok(_) => {}
                Err(error) => return (Err(error), buf),
            }
        }
    }

    /// Seals and sends the parts one behind the other.
    pub(super) async fn send_secure(&mut self, parts: [&[u8]; 2]) -> io::Result<()> {
        let mut sealed = 0;
        for part in parts {
            for piece in part.chunks(SEND_BYTES_MAX) {
                if sealed + piece.len() > SEND_BYTES_MAX {
                    self.flush().await?;
                    sealed = 0;
                }
                self.channel()?.seal(piece)?;
                sealed += piece.len();
            }
        }
        self.flush().await
    }

    /// Ends TLS, if there is any, so that the peer knows nothing was cut off; the stream can only be
    /// closed then. Waits no longer than the deadline.
    pub async fn say_goodbye(&mut self) {
        if let Some(channel) = &mut self.tls {
            channel.say_goodbye();
            let _ = Box::pin(self.flush()).await;
        }
    }

    async fn process(&mut self) -> io::Result<()> {
        let processed = self.channel()?.process();
        if processed.is_err() {
            // The alert; the peer may be gone.
            let _ = self.flush().await;
        }
        processed
    }

    async fn flush(&mut self) -> io::Result<()> {
        let out = self.channel()?.outgoing()?;
        if out.is_empty() {
            self.channel()?.sent(out);
            return Ok(());
        }
        let (written, out) = self.write(out).await;
        self.channel()?.sent(out);
        written
    }

    async fn read_records(&mut self, bytes: usize) -> io::Result<usize> {
        let buffer = self.channel()?.buffer(bytes);
        let (read, buffer) = self.read(buffer).await;
        self.channel()?.records(buffer);
        read
    }

    fn channel(&mut self) -> io::Result<&mut Channel> {
        self.tls.as_deref_mut().ok_or_else(|| io::Error::other("there is no TLS on this stream"))
    }
}
