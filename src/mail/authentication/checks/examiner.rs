//! All checks of one message, side by side, up to a moment.
//!
//! What must stay true: every question ends at that moment, so the report is always whole; what
//! DMARC still has to ask is given the last quarter of the time; nothing is computed for long without
//! giving others their turn.

use std::net::IpAddr;

use bytes::Bytes;
use engine::dns;
use mail_auth::AuthenticatedMessage;
use proto::types::{Address, Host};
use tokio::time::Instant;

use super::{
    Report, Rules, Settings, Spf,
    desk::{Desk, Inquiry},
    dmarc::{self, Authors, Evidence},
    iprev,
    report::kept,
    scan::Scan,
    spf::{self, Party},
    {arc, dkim},
};

/// What checks are made by.
#[derive(Debug)]
pub(super) struct Setup {
    pub settings: Settings,
    pub dns: dns::Settings,
    pub rules: Rules,
}

/// One message, and who brought it.
#[derive(Debug)]
pub(super) struct Case {
    pub client: IpAddr,
    pub helo: Box<str>,
    pub sender: Option<Address>,
    pub message: Bytes,
    pub hostname: Box<str>,
    /// When it is to be over.
    pub end: Instant,
}

impl Setup {
    pub fn is_same(&self, other: &Self) -> bool {
        self.settings == other.settings && self.dns == other.dns
    }
}

impl Case {
    fn sender_text(&self) -> String {
        self.sender.as_ref().map(Address::to_string).unwrap_or_default()
    }

    /// The report when nothing is known.
    pub fn unknown(&self) -> Report {
        let host = self.sender.as_ref().map(|sender| sender.host().to_string());
        Report::unknown(self.client, &self.helo, &self.sender_text(), host.as_deref())
    }
}

/// Examines the message.
pub(super) async fn examine(desk: &Desk, setup: &Setup, case: &Case) -> Report {
    let client = case.client.to_canonical();
    let scan = Scan::of(&case.message);
    let authors = Authors::read(&case.message, &scan);
    let early = Inquiry { desk, until: case.end - setup.settings.deadline.get() / 4 };
    let party = Party { client, helo: &case.helo, hostname: &case.hostname };
    let (iprev, spf, (dkim, chain), ()) = tokio::join!(
        iprev::check(early, client),
        check_spf(early, party, case.sender.as_ref()),
        check_signatures(early, setup, case, &scan, &authors),
        dmarc::warm(early, &authors),
    );
    tokio::task::yield_now().await;
    let evidence =
        Evidence { spf: spf.decisive(), dkim: &dkim, chain: &chain, rules: &setup.rules };
    let dmarc = dmarc::check(Inquiry { desk, until: case.end }, &authors, &evidence).await;
    Report { iprev, spf, dkim, arc: chain.arc, dmarc }
}

async fn check_spf(inquiry: Inquiry<'_>, party: Party<'_>, sender: Option<&Address>) -> Spf {
    let of_sender = async {
        let sender = sender?;
        Some(match sender.host() {
            Host::Name(domain) => {
                let local = if sender.local().is_empty() { "postmaster" } else { sender.local() };
                spf::check_host(inquiry, party, domain, &format!("{local}@{domain}")).await
            }
            literal @ Host::Literal(_) => super::SpfResult {
                domain: kept(&literal.to_string()),
                ..super::SpfResult::default()
            },
        })
    };
    let (helo, mail_from) = tokio::join!(spf::check_helo(inquiry, party), of_sender);
    let sender = sender.map(Address::to_string).unwrap_or_default();
    Spf { helo, mail_from, sender: kept(&sender) }
}

/// DKIM, then ARC: both are computing, so side by side would gain nothing but for the questions.
async fn check_signatures(
    inquiry: Inquiry<'_>,
    setup: &Setup,
    case: &Case,
    scan: &Scan,
    authors: &Authors,
) -> (Vec<super::Dkim>, arc::Chain) {
    if scan.signatures + scan.seals + scan.other_arc == 0 {
        return Default::default();
    }
    // Hashes the body, too, once for each way of it that signatures use.
    let parsed =
        if scan.is_excessive() { None } else { AuthenticatedMessage::parse(&case.message) };
    tokio::task::yield_now().await;
    let mut message = parsed;
    let max = usize::try_from(setup.settings.signatures_max).unwrap_or(usize::MAX);
    let dkim = dkim::check(inquiry, message.as_mut(), scan, &authors.domains, max).await;
    let chain = arc::check(inquiry, message.as_ref(), scan).await;
    (dkim, chain)
}
