//! Submission (RFC 6409): who may send as whom, how much, and what is mended on the way in.
//!
//! What must stay true: a message leaves only in the name of the account that sent it, or in one that
//! was granted to it, in the envelope and in the header; what is over the limits is refused before it
//! is sent. How it fails: 553 and 550 for the wrong name, 450 for too much.

use engine::shard::now_ms;
use mail::directory::Identity;
use proto::text::{Mailboxes, Mending};
use proto::types::{Address, Enhanced, Reply};

const NOT_YOURS: Reply =
    Reply::new(553, Enhanced(5, 7, 1), "This sender address is not yours to use");
const HEADER_NOT_YOURS: Reply = Reply::new(
    550,
    Enhanced(5, 7, 1),
    "The address in the From or Sender field is not yours to use",
);
const HEADER_UNREADABLE: Reply =
    Reply::new(550, Enhanced(5, 6, 0), "The From or Sender field cannot be read");

/// Whether an account may send mail with this envelope sender. The null sender is for reports (RFC 8098).
pub(super) fn permits_sender(account: &Identity, sender: Option<&Address>) -> Result<(), Reply> {
    match sender {
        Some(sender) if !account.may_send_as(sender) => Err(NOT_YOURS),
        _ => Ok(()),
    }
}

/// Whether an account may send mail with this header.
pub(super) fn permits_header(account: &Identity, mending: &Mending) -> Result<(), Reply> {
    for field in [&mending.from, &mending.sender] {
        permits_field(account, field)?;
    }
    Ok(())
}

fn permits_field(account: &Identity, field: &Mailboxes) -> Result<(), Reply> {
    if field.unreadable || field.fields > 1 {
        return Err(HEADER_UNREADABLE);
    }
    let are_ours = field.addresses.iter().all(|address| account.may_send_as(address));
    if are_ours { Ok(()) } else { Err(HEADER_NOT_YOURS) }
}

/// Takes a message with so many recipients out of what the account and its domain may send in an hour.
pub(super) fn takes_allowance(account: &Identity, recipients: usize) -> Result<(), Reply> {
    let count = u32::try_from(recipients).unwrap_or(u32::MAX);
    account.allowance.take(count, now_ms()).map_err(|refusal| {
        if refusal.after_ms == u64::MAX {
            return Reply::made(550, Enhanced(5, 7, 1), format!("{refusal}: it can never be sent"));
        }
        let minutes = refusal.after_ms.div_ceil(60_000);
        Reply::made(450, Enhanced(4, 7, 1), format!("{refusal}, try again in {minutes} min"))
    })
}
