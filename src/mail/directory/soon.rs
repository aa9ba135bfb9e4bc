//! An answer that is there already, or comes later.
//!
//! So a trait that may have to wait for a network costs the embedded directory neither an
//! allocation nor a turn of the runtime.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future that most often is ready.
pub enum Soon<'a, T> {
    /// There already; `None` once it was taken.
    Now(Option<T>),
    /// Later.
    Later(Pin<Box<dyn Future<Output = T> + 'a>>),
}

impl<T> Soon<'_, T> {
    /// An answer that is there.
    #[must_use]
    pub const fn now(value: T) -> Self {
        Self::Now(Some(value))
    }
}

impl<T: Unpin> Future for Soon<'_, T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match self.get_mut() {
            // Polled again after its end, which nobody may do: it stays silent.
            Self::Now(value) => value.take().map_or(Poll::Pending, Poll::Ready),
            Self::Later(future) => future.as_mut().poll(cx),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Soon<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(value) => f.debug_tuple("Now").field(value).finish(),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}
