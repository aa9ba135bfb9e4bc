//! `GETQUOTA`, `GETQUOTAROOT` and `SETQUOTA` (RFC 9208).
//!
//! There is one root, the account, with one resource that has a limit: STORAGE. Limits are set by the
//! administrator, never by a client.

use proto::imap::command::SetQuota;
use proto::imap::respond::{Code, Completion, write_quota, write_quota_root};
use proto::imap::syntax::MailboxName;

use super::home::{Home, Manner};
use super::trouble::completion;

/// The name of the only root.
const ROOT: &str = "";
/// Octets that STORAGE counts in.
const UNIT: u64 = 1024;

/// `GETQUOTA`
pub(super) async fn get_quota(
    home: &mut Home,
    root: Box<str>,
    _: &Manner,
    out: &mut Vec<u8>,
) -> Completion {
    if &*root != ROOT {
        return Completion::no("No such quota root").with(Code::NonExistent);
    }
    write(home, out);
    Completion::ok("Quota told")
}

/// `GETQUOTAROOT`
pub(super) async fn get_quota_root(
    home: &mut Home,
    name: MailboxName,
    manner: &Manner,
    out: &mut Vec<u8>,
) -> Completion {
    if let Err(error) = home.mailbox.folder(name.as_str()) {
        return completion(&error);
    }
    write_quota_root(name.as_str(), &[ROOT], manner.enabled, out);
    write(home, out);
    Completion::ok("Quota told")
}

/// `SETQUOTA`
pub(super) async fn set_quota(
    _: &mut Home,
    _: SetQuota,
    _: &Manner,
    _: &mut Vec<u8>,
) -> Completion {
    Completion::no("Only the administrator sets quotas").with(Code::NoPerm)
}

fn write(home: &Home, out: &mut Vec<u8>) {
    match home.limits.account {
        Some(limit) => {
            let used = home.mailbox.usage().bytes.div_ceil(UNIT);
            write_quota(ROOT, &[("STORAGE", used, limit / UNIT)], out);
        }
        None => write_quota(ROOT, &[], out),
    }
}
