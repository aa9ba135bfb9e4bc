//! What a session reads and sends, compressed or not.
//!
//! What must stay true: a read or send is never dropped, its deadline ends it; what is sent has one even
//! while a command is executed and the machine has none; a client that waits holds little. How it fails: a
//! send that fails is remembered, and nothing is sent after it.

use std::io;

use bytes::Bytes;
use engine::shard::now_ms;
use proto::types::Moment;

use super::rules::OUT_BYTES_MAX;
use super::session::Session;

/// Octets read at once: the kernel holds this much a connection.
pub(super) const READ_BYTES: usize = 1 << 10;
/// What many replies have made grow is kept up to this size while a connection waits.
const OUT_KEPT_BYTES_MAX: usize = 2 << 10;
/// Parts of messages up to this size are copied behind what is said already, to leave with it and with
/// what follows: a send of their own would cost more.
const COPIED_BYTES_MAX: usize = 4 << 10;
/// Octets of a message that are sent at a time: for each, the client has as long as for a command.
const PIECE_BYTES: usize = 256 << 10;
/// Likewise where they are compressed: so many take a millisecond.
const PACKED_BYTES: usize = 64 << 10;
/// Octets read at once while a message comes in.
const MESSAGE_READ_BYTES: usize = 32 << 10;
/// Replies to a few pipelined commands fit.
pub(super) const OUT_BYTES: usize = 512;

impl Session {
    /// Sends what there is to say; false when the peer is gone.
    pub async fn send(&mut self) -> bool {
        if self.out.is_empty() {
            return !self.is_gone;
        }
        if self.is_deflating {
            return self.send_packed(&[]).await;
        }
        self.set_send_deadline();
        let (sent, out) = self.stream.send(std::mem::take(&mut self.out)).await;
        self.out = out;
        self.is_gone |= sent.is_err();
        !self.is_gone
    }

    /// Sends what there is to say and `part`, compressed.
    async fn send_packed(&mut self, part: &[u8]) -> bool {
        let mut packed = Vec::new();
        let out = std::mem::take(&mut self.out);
        let done = self.deflate.as_deref_mut().map(|deflate| {
            deflate.pack(&out, part.is_empty(), &mut packed)?;
            if part.is_empty() { Ok(()) } else { deflate.pack(part, true, &mut packed) }
        });
        self.set_send_deadline();
        let has_packed = matches!(done, Some(Ok(())));
        self.is_gone |= !has_packed || self.stream.send(packed).await.0.is_err();
        !self.is_gone
    }

    /// Likewise, once there is much of it.
    pub async fn send_some(&mut self) -> bool {
        if self.out.len() < OUT_BYTES_MAX { !self.is_gone } else { self.send().await }
    }

    /// Sends a part of a message behind what there is to say, sooner or later; false when the peer is
    /// gone.
    pub async fn pass_on(&mut self, mut part: Bytes) -> bool {
        self.door.metrics.octets.add(part.len() as u64);
        if part.len() <= COPIED_BYTES_MAX {
            self.out.extend_from_slice(&part);
            return self.send_some().await;
        }
        let piece_bytes = if self.is_deflating { PACKED_BYTES } else { PIECE_BYTES };
        while !part.is_empty() && !self.is_gone {
            let piece = part.split_to(part.len().min(piece_bytes));
            if self.is_deflating {
                self.send_packed(&piece).await;
                continue;
            }
            self.set_send_deadline();
            let (sent, out) = self.stream.send_both(std::mem::take(&mut self.out), piece).await;
            self.out = out;
            self.is_gone |= sent.is_err();
        }
        !self.is_gone
    }

    /// While a command is executed the machine has no deadline, but what is sent has.
    fn set_send_deadline(&self) {
        let timeout = self.rules.limits.data_timeout.get();
        let deadline = Moment(now_ms()).after(timeout).min(self.machine.deadline());
        self.stream.deadline().set(deadline.0);
    }

    /// Reads once. False when there is nothing more to expect; `out` says why, if there is anybody
    /// to say it to.
    pub async fn read(&mut self) -> bool {
        self.fit_buffers();
        if self.is_to_stop() {
            return false;
        }
        self.place.set_idle(!self.machine.in_literal());
        self.stream.deadline().set(self.machine.deadline().0);
        let read = self.receive().await;
        self.place.set_idle(false);
        match read {
            Ok(0) if self.stream.deadline().expired() => {
                if !self.is_to_stop() {
                    self.door.metrics.timeouts.inc();
                    self.machine.expire(Moment(now_ms()), &mut self.out);
                }
                false
            }
            Ok(0) | Err(_) => false,
            Ok(_) => true,
        }
    }

    /// Reads into the room that `input` has.
    async fn receive(&mut self) -> io::Result<usize> {
        let Some(deflate) = self.deflate.as_deref_mut().filter(|_| self.is_deflating) else {
            let (read, input) = self.stream.recv(std::mem::take(&mut self.input)).await;
            self.input = input;
            return read;
        };
        loop {
            let unpacked = deflate.unpack(&mut self.input)?;
            if unpacked > 0 {
                return Ok(unpacked);
            }
            deflate.received.reserve(READ_BYTES);
            let received = std::mem::take(&mut deflate.received);
            let (read, received) = self.stream.recv(received).await;
            deflate.received = received;
            if read? == 0 {
                return Ok(0);
            }
        }
    }

    /// A small buffer for commands, which waits with the kernel; a large one inside of a message. What long
    /// commands and many replies have made grow is given back.
    fn fit_buffers(&mut self) {
        if self.machine.is_appending() {
            self.input.reserve(MESSAGE_READ_BYTES);
        } else if self.input.is_empty() {
            self.input.shrink_to(READ_BYTES);
        }
        if self.input.len() == self.input.capacity() {
            self.input.reserve(READ_BYTES);
        }
        if self.out.capacity() > OUT_KEPT_BYTES_MAX {
            self.out = Vec::with_capacity(OUT_BYTES);
        }
    }

    /// Gives all buffers back that hold nothing.
    pub fn shed(&mut self) {
        self.input.shrink_to_fit();
        self.out.shrink_to_fit();
        if let Some(deflate) = &mut self.deflate {
            deflate.received.shrink_to_fit();
        }
    }

    /// Unpacks what was received and would be handed out without waiting; whether there was any.
    ///
    /// # Errors
    /// It is not compressed data.
    pub fn unpack_held(&mut self) -> io::Result<bool> {
        let deflate = self.deflate.as_deref_mut();
        let Some(deflate) = deflate.filter(|one| self.is_deflating && one.holds_input()) else {
            return Ok(false);
        };
        self.input.reserve(READ_BYTES);
        Ok(deflate.unpack(&mut self.input)? > 0)
    }
}
