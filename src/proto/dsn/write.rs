//! The text of a report: three parts in a `multipart/report` (RFC 6522 §3): words for a person,
//! fields for a program (RFC 3464 §2), and the original or its header.

use super::{Entry, Kind, Report, decode_xtext};
use crate::{
    text::{scan_header, write_date},
    types::{Ret, Timestamp},
};

/// What is told of a server's words; longer replies are cut, so that lines stay under 998 octets.
const WORDS_BYTES_MAX: usize = 800;

/// Appends the report, a whole message with CRLF lines. The original is returned whole only in a
/// failure report, when it is at most `original_bytes_max` octets and `RET=HDRS` was not said
/// (RFC 3461 §4.3); else its header is.
pub fn write(report: &Report<'_>, original_bytes_max: usize, out: &mut Vec<u8>) {
    Page { utf8: needs_utf8(report), boundary: boundary(report), out }
        .write(report, original_bytes_max);
}

struct Page<'o> {
    /// The forms of RFC 6533: addresses may hold UTF-8.
    utf8: bool,
    boundary: String,
    out: &'o mut Vec<u8>,
}

impl Page<'_> {
    fn write(&mut self, report: &Report<'_>, original_bytes_max: usize) {
        self.header(report);
        self.words(report);
        self.fields(report);
        self.original(report, original_bytes_max);
        let end = format!("--{}--", self.boundary);
        self.line(&end);
    }

    fn header(&mut self, report: &Report<'_>) {
        let mta = report.reporting_mta;
        self.line(&format!("From: Mail Delivery System <mailer-daemon@{mta}>"));
        self.line(&format!("To: <{}>", report.to));
        self.line(&format!("Subject: {}", subject(report.kind)));
        self.date("Date: ", report.at);
        self.line(&format!("Message-ID: <{}@{mta}>", report.new_id));
        // RFC 3834 §5: so that nobody's holiday answers it.
        self.line("Auto-Submitted: auto-replied");
        self.line("MIME-Version: 1.0");
        let boundary = format!("\tboundary=\"{}\"", self.boundary);
        self.line("Content-Type: multipart/report; report-type=delivery-status;");
        self.line(&boundary);
        if self.utf8 || !report.original.is_ascii() {
            self.line("Content-Transfer-Encoding: 8bit");
        }
        self.line("");
    }

    fn words(&mut self, report: &Report<'_>) {
        self.part(
            "Notification",
            if self.utf8 { "text/plain; charset=utf-8" } else { "text/plain" },
        );
        self.line(&format!("This is the mail system at {}.", report.reporting_mta));
        self.line("");
        for line in explanation(report.kind) {
            self.line(line);
        }
        if let Kind::Delayed { until } = report.kind {
            self.date("It will be tried until: ", until);
        }
        self.line("");
        for entry in report.recipients {
            self.line(&format!("<{}>", entry.recipient.address));
            if let Some(words) = entry_words(entry) {
                self.line(&format!("    {words}"));
            }
        }
        self.line("");
    }

    fn fields(&mut self, report: &Report<'_>) {
        let kind = if self.utf8 { "global-delivery-status" } else { "delivery-status" };
        self.part("Delivery report", &format!("message/{kind}"));
        self.line(&format!("Reporting-MTA: dns; {}", report.reporting_mta));
        let envid = report.envelope.envid.as_deref().and_then(decode_xtext);
        if let Some(envid) = envid.filter(|text| is_plain(text)) {
            self.line(&format!("Original-Envelope-Id: {envid}"));
        }
        self.line(&format!("X-Ringpost-Queue-Id: {}", report.id));
        self.date("Arrival-Date: ", report.envelope.arrived);
        for entry in report.recipients {
            self.line("");
            self.entry(report.kind, entry);
        }
        self.line("");
    }

    fn entry(&mut self, kind: Kind, entry: &Entry<'_>) {
        if let Some((kind, address)) = original_recipient(entry) {
            self.line(&format!("Original-Recipient: {kind}; {address}"));
        }
        let address = &entry.recipient.address;
        let address_kind = if address.needs_utf8() { "utf-8" } else { "rfc822" };
        self.line(&format!("Final-Recipient: {address_kind}; {address}"));
        self.line(&format!("Action: {}", action(kind)));
        self.line(&format!("Status: {}", entry.status));
        if let Some(mta) = entry.remote_mta {
            self.line(&format!("Remote-MTA: dns; {mta}"));
        }
        if let Some(reply) = entry.diagnostic {
            self.line(&format!("Diagnostic-Code: smtp; {}", cut(&reply.to_string())));
        }
        self.date("Last-Attempt-Date: ", entry.last_attempt);
        if let Some(until) = entry.will_retry_until {
            self.date("Will-Retry-Until: ", until);
        }
    }

    fn original(&mut self, report: &Report<'_>, original_bytes_max: usize) {
        let whole = report.kind == Kind::Failed
            && report.envelope.ret != Some(Ret::Headers)
            && report.original.len() <= original_bytes_max;
        let kind = match (whole, self.utf8) {
            (true, false) => "message/rfc822",
            (true, true) => "message/global",
            (false, false) => "text/rfc822-headers",
            (false, true) => "message/global-headers",
        };
        self.part(if whole { "Undelivered message" } else { "Its header" }, kind);
        let text =
            if whole { report.original } else { header(report.original, original_bytes_max) };
        self.out.extend_from_slice(text);
        if !self.out.ends_with(b"\r\n") {
            self.out.extend_from_slice(b"\r\n");
        }
        self.line("");
    }

    fn part(&mut self, description: &str, kind: &str) {
        let begin = format!("--{}", self.boundary);
        self.line(&begin);
        self.line(&format!("Content-Description: {description}"));
        self.line(&format!("Content-Type: {kind}"));
        if self.utf8 || kind.starts_with("message/rfc822") {
            self.line("Content-Transfer-Encoding: 8bit");
        }
        self.line("");
    }

    /// One line. What others said is cleaned: no control characters, and ASCII unless UTF-8 is
    /// allowed here.
    fn line(&mut self, text: &str) {
        for c in text.chars() {
            let fine = (!c.is_control() || c == '\t') && (self.utf8 || c.is_ascii());
            let mut octets = [0; 4];
            let c = if fine { c } else { '?' };
            self.out.extend_from_slice(c.encode_utf8(&mut octets).as_bytes());
        }
        self.out.extend_from_slice(b"\r\n");
    }

    fn date(&mut self, name: &str, at: Timestamp) {
        self.out.extend_from_slice(name.as_bytes());
        write_date(at, self.out);
        self.out.extend_from_slice(b"\r\n");
    }
}

/// The header of `original`, cut at a line when it is longer than `bytes_max`.
fn header(original: &[u8], bytes_max: usize) -> &[u8] {
    let text = &original[..scan_header(original).header_bytes.min(bytes_max)];
    memchr::memrchr(b'\n', text).map_or(text, |end| &text[..=end])
}

/// A boundary that no line of the original can be mistaken for.
fn boundary(report: &Report<'_>) -> String {
    let mut number = 0_u32;
    loop {
        let text = format!("=_{}.{number}", report.new_id);
        if memchr::memmem::find(report.original, text.as_bytes()).is_none() {
            return text;
        }
        number += 1;
    }
}

fn needs_utf8(report: &Report<'_>) -> bool {
    report.envelope.smtputf8
        || report.to.needs_utf8()
        || report.recipients.iter().any(|entry| entry.recipient.address.needs_utf8())
}

/// `ORCPT=`, taken apart and decoded (RFC 3464 §2.3.1); left out when it cannot stand in a field.
fn original_recipient<'e>(entry: &Entry<'e>) -> Option<(&'e str, String)> {
    let (kind, address) = entry.recipient.orcpt.as_deref()?.split_once(';')?;
    let address = decode_xtext(address).unwrap_or_else(|| address.to_owned());
    (is_plain(kind) && is_plain(&address)).then_some((kind, address))
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= WORDS_BYTES_MAX && !text.chars().any(char::is_control)
}

fn entry_words(entry: &Entry<'_>) -> Option<String> {
    let reply = entry.diagnostic?;
    Some(match entry.remote_mta {
        Some(mta) => format!("{mta} said: {}", cut(&reply.to_string())),
        None => cut(&reply.to_string()).to_owned(),
    })
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(WORDS_BYTES_MAX)]
}

const fn subject(kind: Kind) -> &'static str {
    match kind {
        Kind::Failed => "Undelivered mail returned to sender",
        Kind::Delayed { .. } => "Delayed mail (still being tried)",
        Kind::Delivered | Kind::Relayed | Kind::Expanded => "Successful mail delivery report",
    }
}

const fn action(kind: Kind) -> &'static str {
    match kind {
        Kind::Failed => "failed",
        Kind::Delayed { .. } => "delayed",
        Kind::Delivered => "delivered",
        Kind::Relayed => "relayed",
        Kind::Expanded => "expanded",
    }
}

const fn explanation(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Failed => &[
            "Your message could not be delivered to the recipients below, and will not",
            "be tried again. What follows each of them says why.",
        ],
        Kind::Delayed { .. } => &[
            "Your message could not be delivered to the recipients below yet.",
            "You need not send it again.",
        ],
        Kind::Delivered => &["Your message was delivered to the recipients below."],
        Kind::Relayed => &[
            "Your message was handed to a server that reports no deliveries, for the",
            "recipients below. You will hear of a failure only.",
        ],
        Kind::Expanded => &["Your message was sent on to the members of the lists below."],
    }
}
