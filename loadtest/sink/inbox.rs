//! Where taken messages go: into the ledger, or to whoever wants to look at them.

use std::{borrow::Cow, net::SocketAddr, sync::Arc};

use memchr::memmem;

use crate::{
    ledger::Ledger,
    message::{Label, between, index_of_recipient, number_of_sender},
    source::Latencies,
};

/// Who gets a message.
#[derive(Debug, Default)]
pub struct Envelope {
    text: String,
    mail: usize,
    ends: Vec<usize>,
}

impl Envelope {
    /// Begins a transaction.
    pub fn begin(&mut self, mail: &str) {
        self.text.clear();
        self.ends.clear();
        self.text.push_str(mail);
        self.mail = self.text.len();
    }

    /// Adds a recipient.
    pub fn add(&mut self, recipient: &str) {
        self.text.push_str(recipient);
        self.ends.push(self.text.len());
    }

    /// Recipients so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// What stood behind `MAIL FROM:`.
    #[must_use]
    pub fn mail(&self) -> &str {
        &self.text[..self.mail]
    }

    /// What stood behind each `RCPT TO:`.
    pub fn recipients(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(self.mail).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.text[start..*end])
    }
}

/// A message as it came, before it is acknowledged.
#[derive(Debug)]
pub struct Delivery<'a> {
    /// Sender and recipients.
    pub envelope: &'a Envelope,
    octets: &'a [u8],
    stuffed: bool,
    /// Which connection it came over, counted from one.
    pub connection: u64,
    /// The address that took it.
    pub site: SocketAddr,
    /// When, of the monotonic clock.
    pub at_us: u64,
}

impl<'a> Delivery<'a> {
    pub(super) fn new(
        envelope: &'a Envelope,
        octets: &'a [u8],
        stuffed: bool,
        from: (u64, SocketAddr),
    ) -> Self {
        let (connection, site) = from;
        Self { envelope, octets, stuffed, connection, site, at_us: crate::message::now_us() }
    }

    /// The message's octets.
    #[must_use]
    pub fn message(&self) -> Cow<'a, [u8]> {
        if self.stuffed { unstuff(self.octets) } else { Cow::Borrowed(self.octets) }
    }

    /// Its label, and whether all below it is as it was sent.
    #[must_use]
    pub fn label(&self) -> Option<(Label<'a>, bool)> {
        if self.stuffed { Label::check_stuffed(self.octets) } else { Label::check(self.octets) }
    }
}

/// Takes away the first dot of every line that begins with one (RFC 5321 §4.5.2).
fn unstuff(stuffed: &[u8]) -> Cow<'_, [u8]> {
    if !stuffed.starts_with(b".") && memmem::find(stuffed, b"\n.").is_none() {
        return Cow::Borrowed(stuffed);
    }
    let mut message = Vec::with_capacity(stuffed.len());
    for line in stuffed.split_inclusive(|octet| *octet == b'\n') {
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    Cow::Owned(message)
}

/// Takes messages; called on the executor that received them, before the 250.
pub trait Inbox: Send + Sync {
    /// A message came.
    fn deliver(&self, delivery: &Delivery<'_>);
}

impl<F: Fn(&Delivery<'_>) + Send + Sync> Inbox for F {
    fn deliver(&self, delivery: &Delivery<'_>) {
        self(delivery);
    }
}

/// Writes every arrival of a run into its ledger; mail of other runs is left out.
#[derive(Debug)]
pub struct Accounts {
    /// The run.
    pub run: String,
    /// Its ledger.
    pub ledger: Arc<Ledger>,
    /// From due to arrival.
    pub latency: Latencies,
}

impl Inbox for Accounts {
    fn deliver(&self, delivery: &Delivery<'_>) {
        if address(delivery.envelope.mail()).is_empty() {
            return self.bounce(delivery);
        }
        let Some((label, same)) = delivery.label() else {
            return self.unlabelled(delivery);
        };
        if label.run != self.run {
            return;
        }
        let waited = between(label.due_us, delivery.at_us);
        self.latency.record(waited.as_micros() as u64);
        for recipient in delivery.envelope.recipients() {
            if let Some(index) = index_of_recipient(address(recipient)) {
                self.ledger.arrive(label.number, index, same, delivery.at_us);
            }
        }
    }
}

impl Accounts {
    /// A message that lost its label on the way, but whose sender names it, was changed.
    fn unlabelled(&self, delivery: &Delivery<'_>) {
        let sender = address(delivery.envelope.mail());
        let Some(number) = number_of_sender(sender, &self.run) else { return };
        for recipient in delivery.envelope.recipients() {
            if let Some(index) = index_of_recipient(address(recipient)) {
                self.ledger.arrive(number, index, false, delivery.at_us);
            }
        }
    }

    /// A report of a failure (RFC 3464), or whatever else has no sender.
    fn bounce(&self, delivery: &Delivery<'_>) {
        let message = delivery.message();
        for recipient in delivery.envelope.recipients() {
            let Some(number) = number_of_sender(address(recipient), &self.run) else { continue };
            match failed_recipients(&message) {
                Some(failed) => {
                    for index in failed {
                        self.ledger.bounce(number, Some(index), delivery.at_us);
                    }
                }
                None => self.ledger.bounce(number, None, delivery.at_us),
            }
        }
    }
}

/// The address of a path, without brackets and parameters.
fn address(path: &str) -> &str {
    let path = path.trim_start();
    let inner = path.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    inner.map_or(path, |(address, _)| address)
}

/// Recipients of which a report says that they failed; `None` when it names none at all.
fn failed_recipients(report: &[u8]) -> Option<Vec<u64>> {
    let text = String::from_utf8_lossy(report).to_ascii_lowercase();
    let mut failed = Vec::new();
    let mut named = false;
    // Per-recipient fields stand in groups between empty lines (RFC 3464 §2.3).
    for group in text.split("\r\n\r\n") {
        let field = |name: &str| {
            let line = group.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim())
        };
        let Some(recipient) = field("final-recipient:") else { continue };
        named = true;
        let recipient = recipient.rsplit(';').next().unwrap_or_default().trim();
        if field("action:").is_some_and(|action| action.starts_with("failed")) {
            failed.extend(index_of_recipient(address(recipient)));
        }
    }
    named.then_some(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_keep_their_parts_apart() {
        let mut envelope = Envelope::default();
        envelope.begin("<a@b>");
        envelope.add("<r0@c>");
        envelope.add("<r1@d>");
        let recipients: Vec<&str> = envelope.recipients().collect();
        assert_eq!((envelope.mail(), &recipients[..]), ("<a@b>", &["<r0@c>", "<r1@d>"][..]));
        envelope.begin("<>");
        assert_eq!((envelope.mail(), envelope.count()), ("<>", 0));
    }

    #[test]
    fn reports_say_who_failed() {
        let report = b"Subject: x\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n\
            Final-Recipient: rfc822; r1@a.test\r\nAction: failed\r\nStatus: 5.0.0\r\n\r\n\
            Final-Recipient: rfc822;r2@a.test\r\nAction: delayed\r\n\r\n\
            Final-Recipient: rfc822;<r3@a.test>\r\nAction: FAILED\r\n\r\n--b--\r\n";
        assert_eq!(failed_recipients(report), Some(vec![1, 3]));
        assert_eq!(failed_recipients(b"Subject: sorry\r\n\r\nit did not work\r\n"), None);
    }

    #[test]
    fn dots_are_taken_away_once() {
        assert_eq!(&unstuff(b"a\r\n..b\r\n.\r\n")[..], b"a\r\n.b\r\n\r\n");
        assert!(matches!(unstuff(b"a\r\nb.\r\n"), Cow::Borrowed(_)));
    }
}
