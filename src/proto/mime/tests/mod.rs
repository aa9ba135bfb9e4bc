//! The digest against the standards' examples, another parser, and whatever strangers send.

mod grammar;
mod hostile;
mod oracle;
mod shapes;

use super::{Digest, Limits, digest};

fn digest_of(message: &str) -> Digest {
    digest(message.as_bytes(), &Limits::default())
}

fn envelope(digest: &Digest) -> String {
    let mut out = Vec::new();
    digest.envelope.write(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn structure(digest: &Digest, extended: bool) -> String {
    let mut out = Vec::new();
    digest.structure.write(extended, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}
