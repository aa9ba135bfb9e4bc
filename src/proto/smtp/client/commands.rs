//! MAIL and RCPT with what the peer offers to hear (RFC 5321 §4.1.1, RFC 1870, 3461, 6152, 6531,
//! 8689).
//!
//! No octet of an envelope can end a command line: addresses hold no control characters
//! ([`Address`](crate::types::Address)), and a DSN value that is not printable is left out.

use std::io::Write as _;

use super::{Job, Offers};
use crate::types::{BodyKind, Recipient, Reply, Ret};
use crate::types::{Enhanced, Notify};

/// Octets of an ENVID (RFC 3461 §4.4) and an ORCPT (§4.2); longer ones are left out.
const ENVID_OCTETS_MAX: usize = 100;
const ORCPT_OCTETS_MAX: usize = 500;

const CONVERSION: Reply =
    Reply::new(554, Enhanced(5, 6, 3), "next hop takes no 8-bit body (8BITMIME not offered)");
const UTF8_MESSAGE: Reply =
    Reply::new(554, Enhanced(5, 6, 7), "next hop takes no UTF-8 header (SMTPUTF8 not offered)");
/// RFC 8689 §7, RFC 5248.
const NO_REQUIRETLS: Reply =
    Reply::new(550, Enhanced(5, 7, 30), "REQUIRETLS support required, next hop does not offer it");
const UTF8_ADDRESS: Reply =
    Reply::new(553, Enhanced(5, 6, 7), "next hop takes no UTF-8 address (SMTPUTF8 not offered)");

/// Why the peer cannot take the message at all; known from its offers alone.
pub(super) fn refuse_message(job: &Job<'_>, offers: &Offers) -> Option<Reply> {
    let envelope = job.envelope;
    if let Some(size_max) = offers.size.filter(|size| *size > 0 && job.size > *size) {
        let text = format!("message of {} octets is over the {size_max} of the next hop", job.size);
        return Some(Reply::made(552, Enhanced(5, 3, 4), text));
    }
    if job.eight_bit && !offers.eightbit {
        return Some(CONVERSION);
    }
    // A report goes on all the same (RFC 8689 §5).
    if envelope.require_tls && !offers.require_tls && envelope.sender.is_some() {
        return Some(NO_REQUIRETLS);
    }
    if offers.smtputf8 {
        return None;
    }
    let sender = envelope.sender.as_ref();
    if job.utf8_header {
        Some(UTF8_MESSAGE)
    } else if sender.is_some_and(|sender| sender.needs_utf8()) {
        Some(UTF8_ADDRESS)
    } else {
        None
    }
}

/// Why the peer cannot take this recipient.
pub(super) fn refuse_recipient(recipient: &Recipient, offers: &Offers) -> Option<Reply> {
    (recipient.address.needs_utf8() && !offers.smtputf8).then_some(UTF8_ADDRESS)
}

/// Appends `MAIL FROM:<…> …`.
pub(super) fn write_mail(job: &Job<'_>, offers: &Offers, out: &mut Vec<u8>) {
    let envelope = job.envelope;
    // Writing to a Vec cannot fail.
    let _ = match &envelope.sender {
        Some(sender) => write!(out, "MAIL FROM:<{sender}>"),
        None => write!(out, "MAIL FROM:<>"),
    };
    if offers.size.is_some() {
        let _ = write!(out, " SIZE={}", job.size);
    }
    // What was declared stays declared, even when the body turned out to be ASCII.
    if offers.eightbit && (job.eight_bit || envelope.body == BodyKind::EightBit) {
        out.extend_from_slice(b" BODY=8BITMIME");
    }
    if offers.smtputf8 && wants_utf8(job) {
        out.extend_from_slice(b" SMTPUTF8");
    }
    if offers.require_tls && envelope.require_tls {
        out.extend_from_slice(b" REQUIRETLS");
    }
    if offers.dsn {
        match envelope.ret {
            Some(Ret::Full) => out.extend_from_slice(b" RET=FULL"),
            Some(Ret::Headers) => out.extend_from_slice(b" RET=HDRS"),
            None => {}
        }
        if let Some(envid) = envelope.envid.as_deref().filter(|id| fits(id, ENVID_OCTETS_MAX)) {
            let _ = write!(out, " ENVID={envid}");
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends `RCPT TO:<…> …`.
pub(super) fn write_rcpt(recipient: &Recipient, offers: &Offers, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "RCPT TO:<{}>", recipient.address);
    if offers.dsn {
        if let Some(notify) = recipient.notify {
            write_notify(notify, out);
        }
        if let Some(orcpt) = recipient.orcpt.as_deref() {
            write_orcpt(orcpt, out);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Whether anything in the job needs SMTPUTF8, or was declared so by the sender: its body parts
/// may then have UTF-8 headers of their own.
fn wants_utf8(job: &Job<'_>) -> bool {
    let envelope = job.envelope;
    job.utf8_header
        || envelope.smtputf8
        || envelope.sender.as_ref().is_some_and(|sender| sender.needs_utf8())
        || job.recipients.iter().any(|index| {
            let recipient = envelope.recipients.get(*index as usize);
            recipient.is_some_and(|recipient| recipient.address.needs_utf8())
        })
}

fn write_notify(notify: Notify, out: &mut Vec<u8>) {
    if notify == Notify::NEVER {
        out.extend_from_slice(b" NOTIFY=NEVER");
        return;
    }
    let words: [(bool, &[u8]); 3] =
        [(notify.success, b"SUCCESS"), (notify.failure, b"FAILURE"), (notify.delay, b"DELAY")];
    let mut separator: &[u8] = b" NOTIFY=";
    for (_, word) in words.iter().filter(|(said, _)| *said) {
        out.extend_from_slice(separator);
        out.extend_from_slice(word);
        separator = b",";
    }
}

/// UTF-8 in an ORCPT is written as `\x{…}`, which every DSN server takes (RFC 6533 §3).
fn write_orcpt(orcpt: &str, out: &mut Vec<u8>) {
    let mark = out.len();
    out.extend_from_slice(b" ORCPT=");
    let start = out.len();
    for c in orcpt.chars() {
        let _ = match c {
            '!'..='~' if c != '=' => write!(out, "{c}"),
            c if !c.is_ascii() => write!(out, "\\x{{{:X}}}", u32::from(c)),
            _ => return out.truncate(mark),
        };
    }
    if out.len() == start || out.len() - start > ORCPT_OCTETS_MAX {
        out.truncate(mark);
    }
}

/// `esmtp-value`: printable ASCII without `=` (RFC 5321 §4.1.2).
fn fits(value: &str, octets_max: usize) -> bool {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~') && byte != b'=';
    !value.is_empty() && value.len() <= octets_max && value.bytes().all(printable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Address, Envelope, Timestamp};

    fn recipient(notify: Option<Notify>, orcpt: Option<&str>) -> String {
        let address = Address::parse("\"a b\"@x.org").unwrap();
        let recipient = Recipient { address, notify, orcpt: orcpt.map(Into::into) };
        let mut out = Vec::new();
        write_rcpt(&recipient, &Offers { dsn: true, ..Offers::default() }, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dsn_parameters_of_a_recipient() {
        let delay = Notify { success: true, failure: false, delay: true };
        assert_eq!(
            recipient(Some(delay), Some("rfc822;a+2Bb@x.org")),
            "RCPT TO:<\"a b\"@x.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@x.org\r\n"
        );
        assert_eq!(
            recipient(Some(Notify::NEVER), None),
            "RCPT TO:<\"a b\"@x.org> NOTIFY=NEVER\r\n"
        );
        assert_eq!(
            recipient(None, Some("utf-8;é@x.org")),
            "RCPT TO:<\"a b\"@x.org> ORCPT=utf-8;\\x{E9}@x.org\r\n"
        );
    }

    #[test]
    fn values_that_would_break_the_line_are_left_out() {
        let long = "x".repeat(501);
        for orcpt in ["", "rfc822;a b", "rfc822;a\r\nDATA", "rfc822;a=b", &long] {
            assert_eq!(recipient(None, Some(orcpt)), "RCPT TO:<\"a b\"@x.org>\r\n", "{orcpt:?}");
        }
    }

    #[test]
    fn mail_says_what_is_offered_and_no_more() {
        let mut envelope = Envelope {
            sender: Some(Address::parse("é@x.org").unwrap()),
            recipients: vec![],
            body: BodyKind::EightBit,
            smtputf8: true,
            ret: Some(Ret::Headers),
            envid: Some("id+2B1".into()),
            arrived: Timestamp(0),
            size: 10,
            origin: "".into(),
            require_tls: false,
            hold_until: None,
            authenticity: None,
        };
        let write = |envelope: &Envelope, offers: &Offers| {
            let job =
                Job { envelope, recipients: &[], size: 10, eight_bit: false, utf8_header: false };
            let mut out = Vec::new();
            write_mail(&job, offers, &mut out);
            String::from_utf8(out).unwrap()
        };
        let all = Offers {
            size: Some(0),
            eightbit: true,
            smtputf8: true,
            dsn: true,
            ..Offers::default()
        };
        assert_eq!(
            write(&envelope, &all),
            "MAIL FROM:<é@x.org> SIZE=10 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=id+2B1\r\n"
        );
        envelope.sender = None;
        assert_eq!(write(&envelope, &Offers::default()), "MAIL FROM:<>\r\n");
        envelope.envid = Some("a\r\nb".into());
        (envelope.smtputf8, envelope.ret) = (false, Some(Ret::Full));
        assert_eq!(write(&envelope, &all), "MAIL FROM:<> SIZE=10 BODY=8BITMIME RET=FULL\r\n");
    }

    #[test]
    fn tls_is_required_of_who_offers_it_and_of_nobody_else() {
        let envelope = |sender: Option<Address>, require_tls| Envelope {
            sender,
            recipients: vec![],
            body: BodyKind::SevenBit,
            smtputf8: false,
            ret: None,
            envid: None,
            arrived: Timestamp(0),
            size: 10,
            origin: "".into(),
            require_tls,
            hold_until: None,
            authenticity: None,
        };
        fn job(envelope: &Envelope) -> Job<'_> {
            Job { envelope, recipients: &[], size: 10, eight_bit: false, utf8_header: false }
        }
        let sender = Address::parse("a@x.org").ok();
        let secret = envelope(sender.clone(), true);
        let (without, with) =
            (Offers::default(), Offers { require_tls: true, ..Offers::default() });
        let refused = refuse_message(&job(&secret), &without).unwrap();
        assert_eq!((refused.code, refused.enhanced), (550, Some(Enhanced(5, 7, 30))));
        assert_eq!(refuse_message(&job(&secret), &with), None);
        let report = envelope(None, true);
        assert_eq!(refuse_message(&job(&report), &without), None, "a report");
        let write = |envelope: &Envelope| {
            let mut out = Vec::new();
            write_mail(&job(envelope), &with, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(write(&secret), "MAIL FROM:<a@x.org> REQUIRETLS\r\n");
        assert_eq!(write(&envelope(sender, false)), "MAIL FROM:<a@x.org>\r\n");
    }
}
