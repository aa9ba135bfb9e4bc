//! Owns: memory that the kernel reads and writes while an operation is under way. Must stay true:
//! the bytes of a buffer do not move or go away while an operation holds it (tokio-uring owns the
//! buffer meanwhile), and [`InFlight`] counts every operation, so that a runtime is never torn
//! down over one. Fails: never.
//!
//! Most of the house's unsafe code is here.
#![allow(unsafe_code)]

use std::rc::Rc;

use bytes::Bytes;
use tokio_uring::buf::{IoBuf, IoBufMut};

/// The ring takes lengths of 32 bits; a longer buffer goes out in several operations.
const OPERATION_BYTES_MAX: usize = 1 << 30;

/// Counts the operations whose memory the kernel may still touch: each buffer holds a clone.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight(Rc<()>);

impl InFlight {
    /// Operations under way, when asked of the shard's own instance.
    pub(super) fn count(&self) -> usize {
        Rc::strong_count(&self.0) - 1
    }
}

/// The spare capacity of a `Vec`, to be filled by one read.
pub(super) struct Filling {
    vec: Vec<u8>,
    _held: InFlight,
}

impl Filling {
    pub(super) fn new(vec: Vec<u8>, held: InFlight) -> Self {
        Self { vec, _held: held }
    }

    pub(super) fn into_vec(self) -> Vec<u8> {
        self.vec
    }
}

// SAFETY: the memory is the heap block of `vec`, which neither moves nor shrinks while `self` is
// held by an operation, since nothing else can reach it.
unsafe impl IoBuf for Filling {
    fn stable_ptr(&self) -> *const u8 {
        // Only `stable_mut_ptr` is ever used of a buffer to be filled.
        self.vec.as_ptr_range().end
    }

    fn bytes_init(&self) -> usize {
        0
    }

    fn bytes_total(&self) -> usize {
        (self.vec.capacity() - self.vec.len()).min(OPERATION_BYTES_MAX)
    }
}

// SAFETY: as above; a read is asked to write `bytes_total` bytes at most, all of them spare.
unsafe impl IoBufMut for Filling {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.vec.spare_capacity_mut().as_mut_ptr().cast()
    }

    unsafe fn set_init(&mut self, filled: usize) {
        // SAFETY: called once, after the kernel wrote `filled` bytes from the old length on.
        unsafe { self.vec.set_len(self.vec.len() + filled) }
    }
}

/// Bytes whose address outlives a move of their owner.
///
/// # Safety
/// `as_slice` must return the same memory, unchanged, for as long as the value lives and is not
/// touched, wherever it is moved.
pub(super) unsafe trait Stable: Unpin + 'static {
    fn as_slice(&self) -> &[u8];
}

// SAFETY: a heap block.
unsafe impl Stable for Vec<u8> {
    fn as_slice(&self) -> &[u8] {
        self
    }
}

// SAFETY: shared memory that is never changed while a `Bytes` refers to it.
unsafe impl Stable for Bytes {
    fn as_slice(&self) -> &[u8] {
        self
    }
}

/// The two parts of a gathered write.
pub(super) enum Part {
    Head(Vec<u8>),
    Body(Bytes),
}

// SAFETY: either is stable.
unsafe impl Stable for Part {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Head(head) => head,
            Self::Body(body) => body,
        }
    }
}

/// Bytes on their way out, and how many of them have gone.
pub(super) struct Sending<T> {
    data: T,
    sent: usize,
    _held: InFlight,
}

impl<T: Stable> Sending<T> {
    pub(super) fn new(data: T, held: InFlight) -> Self {
        Self { data, sent: 0, _held: held }
    }

    /// Bytes still to go.
    pub(super) fn rest(&self) -> usize {
        self.data.as_slice().len() - self.sent
    }

    /// Notes that up to `bytes` more have gone; returns how many of them belong to what follows.
    pub(super) fn advance(&mut self, bytes: usize) -> usize {
        let mine = bytes.min(self.rest());
        self.sent += mine;
        bytes - mine
    }

    pub(super) fn into_inner(self) -> T {
        self.data
    }
}

// SAFETY: `Stable` promises the address; `sent <= len` keeps it inside.
unsafe impl<T: Stable> IoBuf for Sending<T> {
    fn stable_ptr(&self) -> *const u8 {
        self.data.as_slice()[self.sent..].as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.rest().min(OPERATION_BYTES_MAX)
    }

    fn bytes_total(&self) -> usize {
        self.bytes_init()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_fills_behind_what_is_there() {
        let held = InFlight::default();
        let mut vec = Vec::with_capacity(16);
        vec.extend_from_slice(b"ab");
        let spare = vec.capacity() - 2;
        let mut filling = Filling::new(vec, held.clone());
        assert_eq!((filling.bytes_init(), filling.bytes_total()), (0, spare));
        assert_eq!(held.count(), 1);
        // SAFETY: the two bytes are written before they are declared.
        unsafe {
            filling.stable_mut_ptr().copy_from_nonoverlapping(b"cd".as_ptr(), 2);
            filling.set_init(2);
        }
        assert_eq!(filling.into_vec(), b"abcd");
        assert_eq!(held.count(), 0);
    }

    #[test]
    fn a_partial_write_goes_on_where_it_stopped() {
        let held = InFlight::default();
        let mut head = Sending::new(Part::Head(b"head".to_vec()), held.clone());
        let mut body = Sending::new(Part::Body(Bytes::from_static(b"body")), held);
        assert_eq!(body.advance(head.advance(3)), 0);
        assert_eq!((head.rest(), body.rest()), (1, 4));
        assert_eq!(body.advance(head.advance(3)), 0);
        assert_eq!((head.rest(), body.rest()), (0, 2));
        // SAFETY: two bytes remain.
        let rest = unsafe { std::slice::from_raw_parts(body.stable_ptr(), body.bytes_init()) };
        assert_eq!(rest, b"dy");
    }
}
