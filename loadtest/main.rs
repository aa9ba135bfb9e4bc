//! The load generator and sink: a stranger on a socket
fn main() {}
