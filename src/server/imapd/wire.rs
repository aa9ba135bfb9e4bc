//! `COMPRESS=DEFLATE` (RFC 4978): what goes over the wire once it is on, between the machine and TLS.
//!
//! What must stay true: whatever is sent can be read at once, for each send ends in a flush; what comes out of
//! little input is let into the room that there is, and no further, so that a bomb waits in the form in
//! which it came; the memory is the shard's to give. How it fails: `io::Error`; the stream is of no more use.

use std::io;

use engine::shard::{Budget, Permit};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What both directions take: windows, hash chains and tables of zlib.
const STATE_BYTES: usize = 320 << 10;
/// Room that is made for what comes out, at a time.
const ROOM_BYTES: usize = 4 << 10;

/// Both directions of a connection.
pub(super) struct Deflate {
    packer: Compress,
    unpacker: Decompress,
    /// What came, as it came.
    pub received: Vec<u8>,
    /// Octets of it that are unpacked.
    taken: usize,
    /// The last room was filled: there may be more without any input.
    is_full: bool,
    _permit: Permit,
}

impl Deflate {
    /// Both directions at their beginning; `None`: there is no memory for them.
    pub fn new(budget: &Budget) -> Option<Box<Self>> {
        let permit = budget.try_take(STATE_BYTES)?;
        Some(Box::new(Self {
            packer: Compress::new(Compression::fast(), false),
            unpacker: Decompress::new(false),
            received: Vec::new(),
            taken: 0,
            is_full: false,
            _permit: permit,
        }))
    }

    /// Appends `octets` to `out`, and with `ends` all that was held back.
    pub fn pack(&mut self, octets: &[u8], ends: bool, out: &mut Vec<u8>) -> io::Result<()> {
        let flush = if ends { FlushCompress::Sync } else { FlushCompress::None };
        let mut rest = octets;
        loop {
            out.reserve(ROOM_BYTES);
            let before = self.packer.total_in();
            self.packer.compress_vec(rest, out, flush).map_err(io::Error::other)?;
            rest = &rest[(self.packer.total_in() - before) as usize..];
            if rest.is_empty() && out.len() < out.capacity() {
                return Ok(());
            }
        }
    }

    /// Appends what came to `input`, as far as there is room; returns how much that was.
    pub fn unpack(&mut self, input: &mut Vec<u8>) -> io::Result<usize> {
        let (length, before) = (input.len(), self.unpacker.total_in());
        let packed = &self.received[self.taken..];
        let status = self.unpacker.decompress_vec(packed, input, FlushDecompress::Sync);
        if status.map_err(io::Error::other)? == Status::StreamEnd {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.taken += (self.unpacker.total_in() - before) as usize;
        if self.taken == self.received.len() {
            self.received.clear();
            self.taken = 0;
        }
        self.is_full = input.len() == input.capacity();
        Ok(input.len() - length)
    }

    /// Whether something can be unpacked before anything else comes.
    pub fn holds_input(&self) -> bool {
        self.is_full || !self.received.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> [Box<Deflate>; 2] {
        let budget = Budget::new(2 * STATE_BYTES);
        [(); 2].map(|()| Deflate::new(&budget).expect("memory"))
    }

    #[test]
    fn what_is_packed_comes_out_at_once_and_in_pieces() {
        let [mut one, mut other] = pair();
        let text = "* 1 FETCH (FLAGS (\\Seen))\r\n".repeat(4_000);
        for (octets, room) in [(&b"a NOOP\r\n"[..], 1024), (text.as_bytes(), 100), (b"", 7)] {
            let mut packed = Vec::new();
            let (head, tail) = octets.split_at(octets.len() / 3);
            one.pack(head, false, &mut packed).unwrap();
            one.pack(tail, true, &mut packed).unwrap();
            let mut all = Vec::new();
            for piece in packed.chunks(5) {
                other.received.extend_from_slice(piece);
                loop {
                    let mut input = Vec::with_capacity(room);
                    let unpacked = other.unpack(&mut input).unwrap();
                    assert!(input.len() <= room.max(input.capacity()));
                    all.extend_from_slice(&input);
                    if unpacked == 0 {
                        break;
                    }
                }
            }
            assert!(all == octets && !other.holds_input());
        }
    }

    #[test]
    fn a_bomb_waits_and_nonsense_fails() {
        let [mut one, mut other] = pair();
        let mut packed = Vec::new();
        one.pack(&vec![b'x'; 8 << 20], true, &mut packed).unwrap();
        other.received = packed;
        let mut input = Vec::with_capacity(512);
        assert_eq!(other.unpack(&mut input).unwrap(), input.capacity());
        assert!(other.holds_input());
        assert_eq!(other.unpack(&mut input).unwrap(), 0, "there is no room");
        let [_, mut fresh] = pair();
        fresh.received = vec![0xff; 64];
        assert!(fresh.unpack(&mut Vec::with_capacity(64)).is_err());
    }

    #[test]
    fn memory_is_the_shards_to_give() {
        let budget = Budget::new(STATE_BYTES);
        let one = Deflate::new(&budget);
        assert!(one.is_some() && Deflate::new(&budget).is_none());
        drop(one);
        assert!(Deflate::new(&budget).is_some());
    }
}
