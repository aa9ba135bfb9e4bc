//! The machine as a peer sees it.
