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
    // Without a limit there is nothing that a root could tell: its list is never empty (RFC 9208 §7).
    if &*root != ROOT || home.limits.account.is_none() {
        return Completion::no("No such quota root").with(Code::NonExistent);
    }
    tell(home, out);
    Completion::ok("Quota told")
}

/// `GETQUOTAROOT`: a mailbox whose account has no limit has no root.
pub(super) async fn get_quota_root(
    home: &mut Home,
    name: MailboxName,
    manner: &Manner,
    out: &mut Vec<u8>,
) -> Completion {
    if let Err(error) = home.mailbox.folder(name.as_str()) {
        return completion(&error);
    }
    let roots: &[&str] = if home.limits.account.is_some() { &[ROOT] } else { &[] };
    write_quota_root(name.as_str(), roots, manner.enabled, out);
    tell(home, out);
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

fn tell(home: &Home, out: &mut Vec<u8>) {
    if let Some(limit) = home.limits.account {
        let used = home.mailbox.usage().bytes.div_ceil(UNIT);
        write_quota(ROOT, &[("STORAGE", used, limit / UNIT)], out);
    }
}
