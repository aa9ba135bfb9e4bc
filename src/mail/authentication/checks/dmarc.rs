//! DMARC (RFC 9989): whether SPF or a signature speaks for the author's domain.
//!
//! `mail-auth` reads the records; the walk and the comparison are here, over the results that this
//! room has found. What must stay true: a pass needs a passing check of an aligned name; of several
//! authors' domains the one that fares worst decides, so that a second address in From hides
//! nothing; what could not be known is `temperror`, never `fail`.

use std::sync::Arc as Shared;

use mail_auth::{
    AuthenticatedMessage,
    dmarc::{Alignment, DmarcRecord, Policy as Wish, Psd},
};
use proto::types::{AuthResult, Domain};
use smallvec::SmallVec;

use super::{
    Dkim, Dmarc, DomainWish, Published, Rules, SpfResult,
    arc::Chain,
    desk::{Inquiry, Lack},
    scan::Scan,
};

/// Domains in From that are looked at.
const AUTHORS_MAX: usize = 4;
/// Labels below which a walk goes on one at a time (RFC 9989 §4.10).
const WALK_LABELS_MAX: usize = 7;

/// The domains of From.
#[derive(Debug, Default)]
pub(super) struct Authors {
    pub domains: SmallVec<[Domain; 1]>,
    /// There is more than can be read.
    is_strange: bool,
}

/// The records above a domain: where the name begins in it, and the record.
type Walk = SmallVec<[(usize, Shared<DmarcRecord>); 2]>;

/// What was found before.
pub(super) struct Evidence<'a> {
    pub spf: &'a SpfResult,
    pub dkim: &'a [Dkim],
    pub chain: &'a Chain,
    pub rules: &'a Rules,
}

impl Authors {
    pub fn read(message: &[u8], scan: &Scan) -> Self {
        let mut authors = Self { is_strange: scan.has_strange_from, ..Self::default() };
        // As a message of its own, for names are written in many ways, "From :" among them.
        let mut fields = Vec::new();
        for range in &scan.from {
            fields.extend_from_slice(b"From:");
            fields.extend_from_slice(message.get(range.clone()).unwrap_or_default());
            if !fields.ends_with(b"\n") {
                fields.extend_from_slice(b"\r\n");
            }
        }
        fields.extend_from_slice(b"\r\n");
        if let Some(read) = AuthenticatedMessage::parse(&fields) {
            read.from_addresses().iter().for_each(|address| authors.add(address));
        }
        authors.is_strange |= authors.domains.is_empty() && !scan.from.is_empty();
        authors
    }

    fn add(&mut self, address: &str) {
        let domain = address.rsplit_once('@').and_then(|(_, domain)| Domain::parse(domain).ok());
        match domain {
            Some(domain) if self.domains.contains(&domain) => {}
            Some(domain) if self.domains.len() < AUTHORS_MAX => self.domains.push(domain),
            _ => self.is_strange = true,
        }
    }
}

/// Asks for what [`check`] will need, while other checks go on.
pub(super) async fn warm(inquiry: Inquiry<'_>, authors: &Authors) {
    if let Some(author) = authors.domains.first() {
        // What fails is asked again, or told, there.
        let _ = walk(inquiry, author.as_str()).await;
    }
}

pub(super) async fn check(
    inquiry: Inquiry<'_>,
    authors: &Authors,
    evidence: &Evidence<'_>,
) -> Dmarc {
    let mut worst: Option<Dmarc> = None;
    for author in &authors.domains {
        let found = check_author(inquiry, author, evidence).await;
        if worst.as_ref().is_none_or(|worst| severity(&found) > severity(worst)) {
            worst = Some(found);
        }
    }
    let mut found = worst.unwrap_or_default();
    if authors.is_strange && severity(&found) < STRANGE {
        found.result = AuthResult::PermError;
        found.reason = "the From field cannot be read".into();
    }
    found
}

/// As much as a `permerror`.
const STRANGE: u8 = 2;

fn severity(dmarc: &Dmarc) -> u8 {
    match (dmarc.result, dmarc.policy) {
        (AuthResult::Fail, _) if dmarc.overridden_by_arc => 1,
        (AuthResult::Fail, DomainWish::Reject) => 6,
        (AuthResult::Fail, DomainWish::Quarantine) => 5,
        (AuthResult::TempError, _) => 4,
        (AuthResult::Fail, DomainWish::None) => 3,
        (AuthResult::PermError, _) => STRANGE,
        (AuthResult::Pass, _) => 0,
        _ => 1,
    }
}

async fn check_author(inquiry: Inquiry<'_>, author: &Domain, evidence: &Evidence<'_>) -> Dmarc {
    let name = author.as_str();
    let mut found = Dmarc {
        author_domain: name.into(),
        organizational_domain: name.into(),
        ..Dmarc::default()
    };
    let records = match walk(inquiry, name).await {
        Ok(records) => records,
        Err(lack) => {
            (found.result, found.reason) = unknown(lack);
            return found;
        }
    };
    let organization = organization(&records, name);
    found.organizational_domain = organization.into();
    let Some((at, record)) = applicable(&records, name, organization) else { return found };
    let own = at == 0;
    let Some(policy) = wish(inquiry, record, name, own).await else { return found };
    found.published = Some(published(&name[at..], record));
    found.policy = policy;
    align(inquiry, &mut found, record, evidence).await;
    if found.result == AuthResult::Fail && evidence.rules.trusts_sealers() {
        found.overridden_by_arc = evidence.chain.vouches_for(author, evidence.rules);
    }
    found
}

fn unknown(lack: Lack) -> (AuthResult, Box<str>) {
    match lack {
        Lack::Temporary(why) => (AuthResult::TempError, why.into()),
        Lack::Unusable(why) => (AuthResult::PermError, why.into()),
        Lack::NoName | Lack::NoRecords => (AuthResult::None, "".into()),
    }
}

/// The walk up the tree (RFC 9989 §4.10): at most eight questions.
async fn walk(inquiry: Inquiry<'_>, domain: &str) -> Result<Walk, Lack> {
    let starts: SmallVec<[usize; 8]> =
        std::iter::once(0).chain(domain.match_indices('.').map(|(at, _)| at + 1)).collect();
    let mut found = Walk::new();
    let mut labels = starts.len();
    if labels < 2 {
        return Ok(found);
    }
    loop {
        let at = starts[starts.len() - labels];
        match inquiry.author_policy(&domain[at..]).await {
            Ok(record) => {
                let is_last = record.psd != Psd::Default;
                found.push((at, record));
                if is_last {
                    return Ok(found);
                }
            }
            Err(lack @ Lack::Temporary(_)) => return Err(lack),
            Err(lack @ Lack::Unusable(_)) if at == 0 => return Err(lack),
            Err(_) => {}
        }
        labels = match labels {
            1 => return Ok(found),
            many if many > WALK_LABELS_MAX => WALK_LABELS_MAX,
            few => few - 1,
        };
    }
}

/// The organizational domain by the records of a walk (RFC 9989 §4.10.2).
fn organization<'a>(records: &Walk, domain: &'a str) -> &'a str {
    for (at, record) in records {
        match record.psd {
            Psd::No => return &domain[*at..],
            // One label below the public suffix.
            Psd::Yes if *at > 0 => {
                let below = domain[..at - 1].rfind('.').map_or(0, |dot| dot + 1);
                return &domain[below..];
            }
            _ => {}
        }
    }
    records.last().map_or(domain, |(at, _)| &domain[*at..])
}

/// The record that applies (RFC 9989 §4.10.1): the domain's own, the organization's, or the one of
/// the public suffix.
fn applicable<'a>(
    records: &'a Walk,
    domain: &str,
    organization: &str,
) -> Option<(usize, &'a DmarcRecord)> {
    let organization = domain.len() - organization.len();
    let of = |wanted: usize| records.iter().find(|(at, _)| *at == wanted);
    let record = of(0).or_else(|| of(organization)).or_else(|| records.last());
    record.map(|(at, record)| (*at, &**record))
}

/// What is to be done with mail that fails; none when the record asks for nothing.
async fn wish(
    inquiry: Inquiry<'_>,
    record: &DmarcRecord,
    author: &str,
    own: bool,
) -> Option<DomainWish> {
    if record.p == Wish::Unspecified {
        return (!record.rua.is_empty()).then_some(DomainWish::None);
    }
    let wish = if own {
        record.p
    } else if record.np != record.sp && inquiry.v4(author).await == Err(Lack::NoName) {
        record.np
    } else {
        record.sp
    };
    Some(match (worded(wish), record.t) {
        (DomainWish::Reject, true) => DomainWish::Quarantine,
        (_, true) => DomainWish::None,
        (wish, false) => wish,
    })
}

fn worded(wish: Wish) -> DomainWish {
    match wish {
        Wish::Reject => DomainWish::Reject,
        Wish::Quarantine => DomainWish::Quarantine,
        Wish::None | Wish::Unspecified => DomainWish::None,
    }
}

fn published(domain: &str, record: &DmarcRecord) -> Published {
    Published {
        domain: domain.into(),
        p: worded(record.p),
        sp: worded(record.sp),
        np: worded(record.np),
        is_dkim_strict: record.adkim == Alignment::Strict,
        is_spf_strict: record.aspf == Alignment::Strict,
        is_test: record.t,
        wants_reports: !record.rua.is_empty(),
    }
}

/// Which of the checks speak for the author.
async fn align(
    inquiry: Inquiry<'_>,
    found: &mut Dmarc,
    record: &DmarcRecord,
    evidence: &Evidence<'_>,
) {
    let mut unsure: Option<Box<str>> = None;
    let spf = std::iter::once((evidence.spf.result, &evidence.spf.domain, record.aspf, true));
    let dkim = evidence.dkim.iter().map(|it| (it.result, &it.domain, record.adkim, false));
    for (result, domain, alignment, is_spf) in spf.chain(dkim) {
        let passes = result == AuthResult::Pass;
        let done = if is_spf { found.spf_aligned } else { found.dkim_aligned };
        if done || !(passes || result == AuthResult::TempError) {
            continue;
        }
        // A signature whose domain is not known may be the author's.
        let aligned = match (domain.is_empty(), Domain::parse(domain)) {
            (true, _) => Ok(!passes),
            (false, Ok(domain)) => is_aligned(inquiry, found, domain.as_str(), alignment).await,
            (false, Err(_)) => Ok(false),
        };
        match aligned {
            Ok(true) if passes && is_spf => found.spf_aligned = true,
            Ok(true) if passes => found.dkim_aligned = true,
            Ok(true) => unsure = Some("a check that could decide is not known".into()),
            Ok(false) => {}
            Err(why) => unsure = Some(why),
        }
    }
    (found.result, found.reason) = match unsure {
        _ if found.spf_aligned || found.dkim_aligned => (AuthResult::Pass, "".into()),
        Some(why) => (AuthResult::TempError, why),
        None => (AuthResult::Fail, "".into()),
    };
}

/// Whether `domain` speaks for the author (RFC 9989 §4.4).
async fn is_aligned(
    inquiry: Inquiry<'_>,
    found: &Dmarc,
    domain: &str,
    alignment: Alignment,
) -> Result<bool, Box<str>> {
    if *domain == *found.author_domain {
        return Ok(true);
    }
    let above = &*found.organizational_domain;
    let is_below = domain.strip_suffix(above).is_some_and(|it| it.is_empty() || it.ends_with('.'));
    if alignment == Alignment::Strict || !is_below {
        return Ok(false);
    }
    match walk(inquiry, domain).await {
        Ok(records) => Ok(organization(&records, domain) == above),
        Err(Lack::Temporary(why)) => Err(why.into()),
        Err(_) => Ok(domain == above),
    }
}
