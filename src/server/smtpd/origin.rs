//! Where a message comes from: what strangers bring is checked, what ours send is signed.
//!
//! What must stay true: nothing that a stranger brings is signed in our name; a field that claims our
//! checks is ours, whoever sent the message; nothing of a message is sent on before its checks have
//! ended, and those end at their deadline. How it fails: a message that cannot be signed goes
//! unsigned, and the log says why; policy refuses with 550 5.7.x, or 451 where it may be known later.

use std::rc::Rc;
use std::time::Instant;

use engine::shard::wall_ms;
use engine::telemetry::{Events, Level, note};
use mail::authentication::checks::{
    Authenticator, Disposition, Judgement, Outcomes, Policy, Report, Subject, forged_fields,
};
use mail::authentication::signing::{Signer, View, author_domain};
use proto::types::{Authenticity, Reply, Severity, Timestamp};

use super::arrived::Arrived;
use super::intake::Plans;
use super::session::Session;

/// What a shard checks and signs with.
pub struct Origin {
    /// Asks the DNS.
    pub authenticator: Authenticator,
    /// What became of DMARC, for reports.
    pub outcomes: Rc<Outcomes>,
    /// The keys of our domains.
    pub keys: View,
    /// Where refusals are told.
    pub events: Events,
}

impl Session {
    /// What will be asked of the message that begins.
    pub(super) fn plans(&self) -> Plans {
        let signed = self.is_ours() && !self.door.origin.keys.current().is_empty();
        Plans { amended: self.is_checked() || self.is_cleaned(), signed }
    }

    /// Whether the client may send in the name of our domains.
    fn is_ours(&self) -> bool {
        self.logged_in().is_some() || self.rules.relay.is_inside(self.client)
    }

    /// Whether somebody vouches for the client, so that nothing is checked.
    fn is_checked(&self) -> bool {
        let policy = self.entrance().map_or(Policy::None, |entrance| entrance.policy);
        self.logged_in().is_none() && self.rules.checks.wants_checks(policy, self.client)
    }

    /// Whether results that claim to be ours are taken out, although nothing is checked: users have no
    /// business with them (RFC 8601 §5).
    fn is_cleaned(&self) -> bool {
        self.logged_in().is_some()
    }

    /// Whether nothing is to be done about the origin of a message.
    pub(super) fn is_plain(&self, arrived: &Arrived) -> bool {
        arrived.digest().is_none() && !self.is_checked() && !self.is_cleaned()
    }

    /// Checks, judges, cleans and signs a message that has come whole.
    ///
    /// # Errors
    /// The reply of a policy that refuses it, or of memory that is spent.
    pub(super) async fn originate(
        &self,
        arrived: &mut Arrived,
    ) -> Result<Option<Authenticity>, Reply> {
        let mut fields = Vec::new();
        let is_checked = self.is_checked();
        let found = if is_checked { Some(self.check(arrived, &mut fields).await?) } else { None };
        let forged = if is_checked || self.is_cleaned() {
            forged_fields(arrived.header(), &self.rules.hostname)
        } else {
            Default::default()
        };
        self.sign(arrived, &mut fields).await;
        if !fields.is_empty() || !forged.is_empty() {
            arrived.amend(&fields, &forged)?;
        }
        Ok(found)
    }

    async fn check(&self, arrived: &Arrived, fields: &mut Vec<u8>) -> Result<Authenticity, Reply> {
        let (origin, started) = (&self.door.origin, Instant::now());
        let subject = Subject {
            client: self.client,
            helo: self.machine.helo().into(),
            sender: self.machine.sender().cloned(),
            message: arrived.text(),
            hostname: Rc::clone(&self.rules.hostname),
        };
        let report = origin.authenticator.check(subject).await;
        self.door.metrics.origin.note(&report, started);
        let judgement = self.judge(&report);
        let disposition = match &judgement {
            Judgement::Accept => Disposition::None,
            Judgement::Quarantine => Disposition::Quarantine,
            Judgement::Refuse(_) => Disposition::Reject,
        };
        if let Judgement::Refuse(reply) = judgement {
            self.door.metrics.origin.refused.inc();
            self.tell_refused(&report, &reply);
            // What is put off comes again.
            if reply.severity() == Severity::Permanent {
                origin.outcomes.note(&report, disposition);
            }
            return Err(reply);
        }
        origin.outcomes.note(&report, disposition);
        report.write_fields(&self.rules.hostname, self.rules.write_received_spf, fields);
        let is_quarantined = judgement == Judgement::Quarantine;
        if is_quarantined {
            self.door.metrics.origin.quarantined.inc();
        }
        Ok(Authenticity { is_quarantined, ..report.summary() })
    }

    fn judge(&self, report: &Report) -> Judgement {
        let policy = self.entrance().map_or(Policy::None, |entrance| entrance.policy);
        let recipients = self.machine.recipients().iter().map(|recipient| &recipient.address);
        self.rules.checks.judge(policy, report, recipients)
    }

    fn tell_refused(&self, report: &Report, reply: &Reply) {
        let found = report.summary();
        self.door.origin.events.event("refused", |event| {
            event
                .show("from", self.client)
                .str("helo", self.machine.helo())
                .maybe("sender", self.machine.sender())
                .str("author", &report.dmarc.author_domain)
                .str("spf", found.spf.word())
                .str("dkim", found.dkim.word())
                .str("dmarc", found.dmarc.word())
                .str("arc", found.arc.word())
                .show("reply", reply);
        });
    }

    /// Signs with every key of the author's domain, others having their turn between two.
    async fn sign(&self, arrived: &Arrived, fields: &mut Vec<u8>) {
        let Some(digest) = arrived.digest() else { return };
        let keyring = self.door.origin.keys.current();
        let author = author_domain(arrived.header());
        let signers: &[Signer] =
            author.as_ref().and_then(|author| keyring.signers(author)).unwrap_or_default();
        for (at, signer) in signers.iter().enumerate() {
            if at > 0 {
                tokio::task::yield_now().await;
            }
            match signer.sign(arrived.header(), digest, Timestamp(wall_ms()), fields) {
                Ok(()) => self.door.metrics.origin.signed.inc(),
                Err(error) => {
                    let client = self.client;
                    note(Level::Warn, format_args!("mail of {client} goes unsigned: {error}"));
                }
            }
        }
    }
}
