//! What connections must come to before mail goes over them: the recipient domain's word (DANE, MTA-STS),
//! the administrator's (`tls` of a route), and the message's own (RFC 8689), made into one demand.
//!
//! What must stay true: a site is all connections on the same terms, so that mail of a domain that
//! demands more never goes over one that was opened for less; DANE stands above MTA-STS where it
//! can be used (RFC 8461 §2); whoever can disturb the DNS or a policy's server weakens nothing that
//! was known or is signed. How it fails: the host is passed over; when none is left, mail waits with
//! a reply that names the policy, and in the end comes back with it.
//!
//! `sts` reads policies, `policies` finds and keeps them, `dane` asks for TLSA records, `outcomes`
//! counts what became of it all, and `explain` tells people what would.

pub(super) mod dane;
mod explain;
pub mod outcomes;
pub mod policies;
pub mod sts;

use std::{fmt::Write as _, rc::Rc, sync::Arc};

pub use explain::{Explanation, HostPart, StsPart};

use engine::tls::{Fault, Trust};
use proto::types::{Enhanced, Envelope, Reply};

use self::dane::Tlsas;
use self::outcomes::{Basis, Failure, PolicyType, ResultType};
use self::sts::Mode;
use super::encrypt::{Demand, TlsLevel};

/// What a message asks for itself (RFC 8689).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wish {
    /// Nothing.
    Usual,
    /// REQUIRETLS: only to hosts that are proved, over TLS.
    Require,
    /// `TLS-Required: No`: sooner in the clear than not at all, whatever the recipient's domain wants.
    Waive,
}

impl Wish {
    /// How many there are.
    pub const COUNT: usize = 3;

    /// What the envelope says; the header is looked at only when it matters ([`waives`]). A report
    /// goes on without what it reports of (RFC 8689 §5).
    pub fn of(envelope: &Envelope) -> Self {
        if envelope.require_tls && envelope.sender.is_some() { Self::Require } else { Self::Usual }
    }
}

/// The terms on which all connections of a site are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Terms {
    /// What the administrator wants.
    pub level: TlsLevel,
    /// Hosts are known for sure, so that their TLSA records count.
    pub dane: bool,
    /// The recipient domain's MTA-STS policy, when it is more than nothing.
    pub sts: Option<Mode>,
    /// The message's REQUIRETLS.
    pub is_required: bool,
}

impl Terms {
    /// Of a way that needs no look-up, or where nobody says more.
    pub fn plain(level: TlsLevel) -> Self {
        Self { level, dane: false, sts: None, is_required: false }
    }

    /// What remains when the message's wish is heard. Without TLS by the administrator's will nothing
    /// else counts; what only the recipient's domain wants can be waived.
    pub fn heeding(self, wish: Wish) -> Self {
        match wish {
            Wish::Require => Self { is_required: true, ..self },
            Wish::Usual if self.level != TlsLevel::None => self,
            Wish::Usual | Wish::Waive => Self::plain(self.level),
        }
    }

    /// Whether there is something that `TLS-Required: No` waives; REQUIRETLS wins over it (RFC 8689 §5).
    pub fn can_be_waived(&self) -> bool {
        !self.is_required && (self.dane || self.sts.is_some())
    }

    /// A few classes of terms, for sharing out connections among them.
    pub fn class(&self) -> usize {
        match self {
            Self { is_required: true, .. } => 3,
            Self { sts: Some(_), .. } => 2,
            Self { dane: true, .. } => 1,
            _ => 0,
        }
    }

    /// How many classes there are.
    pub const CLASSES: usize = 4;

    /// What tells sites with the same hosts apart.
    pub fn mark(&self, name: &mut String) {
        // Writing to a String cannot fail.
        let _ = write!(name, " (tls {:?}", self.level);
        for (holds, word) in [
            (self.dane, " dane"),
            (self.sts == Some(Mode::Enforce), " sts"),
            (self.sts == Some(Mode::Testing), " sts-testing"),
            (self.is_required, " required"),
        ] {
            name.push_str(if holds { word } else { "" });
        }
        name.push(')');
    }

    /// What a connection to `host` is tried as, in turn; nothing but a failure of TLS leads from one
    /// to the next. `is_listed`: the MTA-STS policy names the host.
    ///
    /// # Errors
    /// The host is not to be used at all.
    pub fn bids(
        &self,
        host: &str,
        is_listed: bool,
        tlsas: Option<&Tlsas>,
    ) -> Result<Vec<Bid>, Failure> {
        if let Some(tlsas) = tlsas.filter(|tlsas| tlsas.is_usable()) {
            return Ok(vec![Bid::by_dane(tlsas)]);
        }
        if self.sts == Some(Mode::Enforce) && !is_listed {
            let text = format!("the MTA-STS policy does not list {host}");
            return Err(Failure::new(ResultType::ValidationFailure, text));
        }
        if self.sts == Some(Mode::Enforce) {
            return Ok(vec![Bid::verified(host, PolicyType::Sts, "MTA-STS policy (enforce)")]);
        }
        if self.is_required || self.level == TlsLevel::Verify {
            let why = if self.is_required { "REQUIRETLS" } else { "tls = \"verify\"" };
            return Ok(vec![Bid::verified(host, PolicyType::NoPolicyFound, why)]);
        }
        let mut bids = Vec::with_capacity(3);
        if self.sts == Some(Mode::Testing) && is_listed {
            bids.push(Bid::verified(host, PolicyType::Sts, "MTA-STS policy (testing)"));
        }
        match (self.level, tlsas) {
            // RFC 7672 §2.2: with records that are all unusable TLS is demanded all the same.
            (_, Some(tlsas)) => bids.push(Bid::by_unusable(tlsas)),
            (TlsLevel::Require, None) => {
                bids.push(Bid::own(host, Demand::Require, "tls = \"require\""));
            }
            (TlsLevel::None, None) => bids.push(Bid::own(host, Demand::None, "")),
            (TlsLevel::Opportunistic | TlsLevel::Verify, None) => {
                bids.push(Bid::own(host, Demand::Opportunistic, ""));
                bids.push(Bid::own(host, Demand::None, ""));
            }
        }
        Ok(bids)
    }
}

/// What one try at a connection must come to, and why.
#[derive(Clone, Debug)]
pub(super) struct Bid {
    pub demand: Demand,
    /// The name to ask for (SNI).
    pub name: Box<str>,
    /// By whose word.
    pub basis: Basis,
    /// In words, empty when nobody demands anything.
    pub why: String,
}

impl Bid {
    fn by_dane(tlsas: &Tlsas) -> Self {
        let verifier = engine::tls::dane::Verifier::new(&tlsas.records, &tlsas.names);
        Self {
            demand: Demand::Verified(Trust::Verifier(Arc::new(verifier))),
            // RFC 7672 §8.1.
            name: tlsas.base.clone(),
            basis: tlsas.basis(),
            why: format!("DANE (TLSA at _{}._tcp.{})", tlsas.port, tlsas.base),
        }
    }

    fn by_unusable(tlsas: &Tlsas) -> Self {
        Self {
            demand: Demand::Require,
            name: tlsas.base.clone(),
            basis: tlsas.basis(),
            why: format!("DANE (unusable TLSA at _{}._tcp.{})", tlsas.port, tlsas.base),
        }
    }

    fn verified(host: &str, kind: PolicyType, why: &str) -> Self {
        Self {
            demand: Demand::Verified(Trust::Names(vec![host.into()])),
            name: host.into(),
            basis: Basis { kind, strings: Rc::new([]) },
            why: why.to_owned(),
        }
    }

    fn own(host: &str, demand: Demand, why: &str) -> Self {
        Self { demand, name: host.into(), basis: Basis::none(), why: why.to_owned() }
    }

    /// The reply with which mail waits when this was not met.
    pub fn unmet(&self, reply: Reply) -> Reply {
        if self.why.is_empty() {
            return reply;
        }
        let text = format!("{} is not met: {}", self.why, reply.text);
        Reply { text: text.into(), ..reply }
    }
}

/// Whether the header of `message` says `TLS-Required: No` (RFC 8689 §5).
pub(super) fn waives(message: &[u8]) -> bool {
    const FIELD: &[u8] = b"tls-required";
    let lines = message.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    lines.take_while(|line| !line.is_empty()).any(|line| {
        let Some((name, rest)) = line.split_at_checked(FIELD.len()) else { return false };
        let Some((b':', value)) = rest.trim_ascii_start().split_first() else { return false };
        name.eq_ignore_ascii_case(FIELD) && value.trim_ascii().eq_ignore_ascii_case(b"no")
    })
}

/// What was wrong with a connection that did not become what it had to be; `None`: TLS was not to be
/// had at all.
pub(super) fn result_of(fault: Option<Fault>) -> ResultType {
    match fault {
        None => ResultType::StarttlsNotSupported,
        Some(Fault::Expired) => ResultType::CertificateExpired,
        Some(Fault::Name) => ResultType::CertificateHostMismatch,
        Some(Fault::Untrusted) => ResultType::CertificateNotTrusted,
        Some(Fault::Protocol | Fault::Connection) => ResultType::ValidationFailure,
    }
}

/// The reply with which mail waits when a policy forbids a host (RFC 8461 §8.? knows no code of its
/// own; RFC 3463 §3.8: cryptographic failure).
pub(super) fn forbidden(failure: &Failure) -> Reply {
    Reply::made(451, Enhanced(4, 7, 5), failure.text.clone())
}

/// The reply for mail with REQUIRETLS that a host does not promise to keep to (RFC 8689 §7, RFC 5248).
pub(super) fn no_require_tls(host: &str) -> Reply {
    let text = format!("REQUIRETLS support required, {host} does not offer it");
    Reply::made(550, Enhanced(5, 7, 30), text)
}

/// The reply for mail with REQUIRETLS whose hosts nobody vouches for (RFC 8689 §4.2.1; RFC 5248:
/// encryption needed).
pub(super) fn unanchored(domain: &str) -> Reply {
    let text = format!("REQUIRETLS: neither DNSSEC nor MTA-STS vouches for the MX of {domain}");
    Reply::made(451, Enhanced(4, 7, 10), text)
}

#[cfg(test)]
mod tests {
    use engine::dns::Tlsa;

    use super::*;

    const ALL: [TlsLevel; 4] =
        [TlsLevel::None, TlsLevel::Opportunistic, TlsLevel::Require, TlsLevel::Verify];

    fn tlsas(usage: u8) -> Tlsas {
        let record = Tlsa { usage, selector: 1, matching: 1, data: [7; 32].into() };
        Tlsas::new("mx.test", "mx.test", 25, vec![record])
    }

    fn tell(terms: Terms, is_listed: bool, tlsas: Option<&Tlsas>) -> String {
        let word = |bid: &Bid| match &bid.demand {
            Demand::None => "none",
            Demand::Opportunistic => "opportunistic",
            Demand::Require => "require",
            Demand::Verified(Trust::Verifier(_)) => "dane",
            Demand::Verified(_) => "verify",
        };
        match terms.bids("mx.test", is_listed, tlsas) {
            Ok(bids) => bids.iter().map(word).collect::<Vec<_>>().join(" "),
            Err(failure) => format!("{:?}", failure.result),
        }
    }

    fn terms(level: TlsLevel) -> Terms {
        Terms::plain(level)
    }

    #[test]
    fn the_administrators_levels() {
        let told: Vec<_> = ALL.iter().map(|level| tell(terms(*level), false, None)).collect();
        assert_eq!(told, ["none", "opportunistic none", "require", "verify"]);
    }

    #[test]
    fn dane_stands_above_everything_and_unusable_records_demand_tls() {
        for level in ALL {
            for sts in [None, Some(Mode::Testing), Some(Mode::Enforce)] {
                let terms = Terms { level, dane: true, sts, is_required: true };
                assert_eq!(tell(terms, false, Some(&tlsas(3))), "dane");
            }
        }
        let opportunistic = terms(TlsLevel::Opportunistic);
        assert_eq!(tell(opportunistic, false, Some(&tlsas(1))), "require");
        let sts = Terms { sts: Some(Mode::Enforce), ..opportunistic };
        assert_eq!(tell(sts, true, Some(&tlsas(1))), "verify");
        assert_eq!(tell(sts, false, Some(&tlsas(1))), "ValidationFailure");
    }

    #[test]
    fn policies_of_the_domain() {
        let with = |mode| Terms { sts: Some(mode), ..terms(TlsLevel::Opportunistic) };
        assert_eq!(tell(with(Mode::Enforce), true, None), "verify");
        assert_eq!(tell(with(Mode::Enforce), false, None), "ValidationFailure");
        assert_eq!(tell(with(Mode::Testing), true, None), "verify opportunistic none");
        assert_eq!(tell(with(Mode::Testing), false, None), "opportunistic none");
    }

    #[test]
    fn the_messages_own_wish() {
        let strict =
            Terms { dane: true, sts: Some(Mode::Enforce), ..terms(TlsLevel::Opportunistic) };
        let waived = strict.heeding(Wish::Waive);
        assert_eq!(tell(waived, false, None), "opportunistic none");
        let verify = Terms { level: TlsLevel::Verify, ..strict };
        assert_eq!(tell(verify.heeding(Wish::Waive), false, None), "verify");
        for level in ALL {
            assert_eq!(tell(terms(level).heeding(Wish::Require), false, None), "verify");
        }
        let none = Terms { level: TlsLevel::None, ..strict };
        assert_eq!(none.heeding(Wish::Usual), terms(TlsLevel::None));
        assert_eq!(strict.heeding(Wish::Usual), strict);
    }

    #[test]
    fn the_header_that_waives() {
        for yes in
            ["TLS-Required: No\r\n\r\nx", "A: b\r\ntls-required :\tNO \r\n", "TLS-Required:no"]
        {
            assert!(waives(yes.as_bytes()), "{yes}");
        }
        for no in [
            "",
            "A: b\r\n\r\nTLS-Required: No\r\n",
            "TLS-Required: Yes\r\n",
            "X-TLS-Required: No\r\n",
            "A: b\r\n TLS-Required: No\r\n",
            "TLS-Required No\r\n",
            "TLS-Required: None\r\n",
        ] {
            assert!(!waives(no.as_bytes()), "{no}");
        }
        let strict = Terms { sts: Some(Mode::Enforce), ..terms(TlsLevel::Opportunistic) };
        assert!(strict.can_be_waived() && !strict.heeding(Wish::Waive).can_be_waived());
        assert!(!strict.heeding(Wish::Require).can_be_waived());
    }

    #[test]
    fn different_terms_have_different_marks() {
        let mut marks = std::collections::HashSet::new();
        let mut count = 0;
        for level in ALL {
            for dane in [false, true] {
                for sts in [None, Some(Mode::Testing), Some(Mode::Enforce)] {
                    for is_required in [false, true] {
                        let terms = Terms { level, dane, sts, is_required };
                        let mut mark = String::new();
                        terms.mark(&mut mark);
                        marks.insert(mark);
                        count += 1;
                        assert!(terms.class() < Terms::CLASSES);
                    }
                }
            }
        }
        assert_eq!(marks.len(), count);
    }
}
