//! Quotas (RFC 9208 §5).

use super::{push_number, write_astring, write_mailbox};
use crate::imap::command::Enabled;

/// `* QUOTA "" (STORAGE 10 512 MESSAGE 3 1000)`: resources with use and limit, `STORAGE` in units of
/// 1024 octets.
pub fn write_quota(root: &str, resources: &[(&str, u64, u64)], out: &mut Vec<u8>) {
    out.extend_from_slice(b"* QUOTA ");
    write_astring(root.as_bytes(), out);
    out.extend_from_slice(b" (");
    for (at, (name, used, limit)) in resources.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(name.as_bytes());
        out.push(b' ');
        push_number(*used, out);
        out.push(b' ');
        push_number(*limit, out);
    }
    out.extend_from_slice(b")\r\n");
}

/// `* QUOTAROOT "INBOX" ""`: the roots that count what is put into a mailbox.
pub fn write_quota_root(mailbox: &str, roots: &[&str], enabled: Enabled, out: &mut Vec<u8>) {
    out.extend_from_slice(b"* QUOTAROOT ");
    write_mailbox(mailbox, enabled, out);
    for root in roots {
        out.push(b' ');
        write_astring(root.as_bytes(), out);
    }
    out.extend_from_slice(b"\r\n");
}
