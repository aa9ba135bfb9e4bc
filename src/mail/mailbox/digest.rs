//! What is made of a message at delivery and kept beside it, and which thread it belongs to.
//!
//! Mailboxes store what [`proto::mime`] makes and hand it out; they look into it for the root of the
//! thread alone. Two messages are in one thread when they have the same root: the first message that
//! their References name, the one they answer, or they themselves. So the thread of a message is known
//! from the message alone, and is the same for good (RFC 8474 §5.2).
//!
//! On disk a digest begins with the number of its form. What must stay true: a digest of another form
//! is an error, never one that is read wrongly.

use proto::mime::{self, Limits};

use super::{EmailId, MailboxError, ThreadId};

pub use proto::mime::Digest;

/// How digests are written; to be counted up whenever [`Digest`] changes.
const FORM: u8 = 2;

/// Makes the digest of a message. Never fails; what is odd is left out.
#[must_use]
pub fn digest(message: &[u8]) -> Digest {
    mime::digest(message, &Limits::default())
}

/// As it is stored.
pub(super) fn encode(digest: &Digest) -> Vec<u8> {
    // Writing into memory does not fail.
    postcard::to_extend(digest, vec![FORM]).unwrap_or_default()
}

/// What was stored.
pub(super) fn decode(row: &[u8]) -> Result<Digest, MailboxError> {
    const UNREADABLE: MailboxError = MailboxError::Unreadable("digest");
    match row {
        [FORM, digest @ ..] => postcard::from_bytes(digest).map_err(|_| UNREADABLE),
        _ => Err(UNREADABLE),
    }
}

/// The thread of a message.
pub(super) fn thread_of(digest: &Digest, id: EmailId) -> ThreadId {
    let ids = &digest.ids;
    let Some(root) = ids.ancestors.first().or(ids.message_id.as_ref()) else {
        return ThreadId(id.0);
    };
    let mut first = [0; 8];
    first.copy_from_slice(&root.as_octets()[..8]);
    // A hash has the top bit, a number of ours never: they cannot be confused.
    ThreadId(u64::from_be_bytes(first) | 1 << 63)
}

/// About what a digest takes in memory that takes so many octets on the disk.
pub(super) const fn bytes_of(encoded: usize) -> usize {
    size_of::<Digest>().saturating_add(encoded.saturating_mul(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(header: &str) -> ThreadId {
        thread_of(
            &digest(format!("{header}\r\n\r\nReferences: <not@header>\r\n").as_bytes()),
            EmailId(7),
        )
    }

    #[test]
    fn a_thread_is_named_by_its_root() {
        let root = thread("Message-ID: <a@x>");
        assert_ne!(root, ThreadId(7));
        assert_eq!(thread("Message-ID: <b@x>\r\nIn-Reply-To: <a@x> (you)"), root);
        let folded = "Message-ID: <c@x>\r\nReferences:\r\n <a@x>\r\n\t<b@x>\r\nIn-Reply-To: <b@x>";
        assert_eq!(thread(folded), root);
        assert_ne!(thread("Message-ID: <d@x>"), root);
        assert_eq!(thread("Subject: none\r\nMessage-ID: broken"), ThreadId(7));
    }

    #[test]
    fn what_is_stored_is_read_again_and_other_forms_are_not() {
        let made = digest(b"Subject: x\r\nFrom: a@b.test\r\n\r\nbody\r\n");
        let mut row = encode(&made);
        assert_eq!(decode(&row), Ok(made));
        row[0] = FORM + 1;
        assert_eq!(decode(&row), Err(MailboxError::Unreadable("digest")));
        assert!(decode(&[]).is_err() && decode(&row[..9]).is_err());
    }
}
