//! DMARC records (RFC 9989 §4.7) and which of those on the way up applies (§4.10). Must stay true: the names
//! asked for are those that a receiver asks for, at most eight.

use super::super::tags::{self, Tags};
use super::facts::{DmarcFacts, DmarcRecord, Policy};

/// Names that a walk asks for at most (RFC 9989 §4.10).
const QUERIES_MAX: usize = 8;

/// Whether a TXT record is a DMARC record, right or wrong.
pub(super) fn is_dmarc(text: &str) -> bool {
    tags::is_version(text, "DMARC1")
}

/// The names to ask, the domain first: from eight labels on it goes on with seven.
pub(super) fn walk(domain: &str) -> Vec<&str> {
    let total = domain.split('.').count();
    let mut names = vec![domain];
    let mut count = total;
    while count > 1 && names.len() < QUERIES_MAX {
        count = if count >= QUERIES_MAX { QUERIES_MAX - 1 } else { count - 1 };
        names.push(last_labels(domain, count));
    }
    names
}

fn last_labels(domain: &str, count: usize) -> &str {
    let dots = domain.rmatch_indices('.').nth(count - 1);
    dots.map_or(domain, |(at, _)| &domain[at + 1..])
}

/// Reads a record.
pub(super) fn parse(domain: &str, text: &str) -> DmarcRecord {
    let mut record = DmarcRecord {
        domain: domain.to_owned(),
        record: text.to_owned(),
        ..DmarcRecord::default()
    };
    let Some(tags) = Tags::parse(text) else {
        record.fault = Some("it is no list of tags".to_owned());
        return record;
    };
    let mut wrong = Vec::new();
    let mut policy = |name: &str| {
        let value = tags.get(name)?;
        let found = [Policy::None, Policy::Quarantine, Policy::Reject]
            .into_iter()
            .find(|policy| policy.word().eq_ignore_ascii_case(value));
        if found.is_none() {
            wrong.push(format!("{name}={value} is no policy"));
        }
        found
    };
    (record.p, record.sp, record.np) = (policy("p"), policy("sp"), policy("np"));
    let is = |name: &str, value: &str| {
        tags.get(name).is_some_and(|found| found.eq_ignore_ascii_case(value))
    };
    record.is_testing = is("t", "y");
    record.psd = [('y', "y"), ('n', "n")].into_iter().find(|(_, it)| is("psd", it)).map(|it| it.0);
    (record.is_dkim_strict, record.is_spf_strict) = (is("adkim", "s"), is("aspf", "s"));
    let uris = tags.get("rua").unwrap_or("").split(',').map(str::trim);
    record.rua = uris.filter(|uri| !uri.is_empty()).map(str::to_owned).collect();
    // Without p= the record still collects reports, as if it said p=none (RFC 9989 §4.10.1).
    if tags.get("p").is_none() && record.rua.is_empty() {
        wrong.push("it has no p=".to_owned());
    }
    record.fault = (!wrong.is_empty()).then(|| wrong.join("; "));
    record
}

/// Where a walk may stop.
pub(super) fn ends_walk(record: &DmarcRecord) -> bool {
    record.fault.is_none() && record.psd.is_some()
}

/// Finds what applies to `domain`, of the records that the walk found.
pub(super) fn apply(domain: &str, exists: bool, facts: &mut DmarcFacts) {
    let valid = || facts.records.iter().filter(|record| record.fault.is_none());
    let organizational = organizational(domain, valid());
    let own = valid().find(|record| record.domain == domain);
    let above = || {
        let of_organization =
            valid().find(|record| Some(record.domain.as_str()) == organizational.as_deref());
        of_organization.or_else(|| valid().next_back())
    };
    let (record, wish) = match own {
        Some(record) => (record, record.p),
        None => {
            let Some(record) = above() else { return };
            let below = record.sp.or(record.p);
            (record, if exists { below } else { record.np.or(below) })
        }
    };
    let wish = wish.unwrap_or(Policy::None);
    let policy = match (record.is_testing, wish) {
        (true, Policy::Reject) => Policy::Quarantine,
        (true, _) => Policy::None,
        (false, wish) => wish,
    };
    (facts.applies, facts.policy) = (Some(record.domain.clone()), Some(policy));
    facts.organizational = organizational;
}

/// RFC 9989 §4.10.2.
fn organizational<'a>(
    domain: &str,
    records: impl Iterator<Item = &'a DmarcRecord>,
) -> Option<String> {
    let mut last = None;
    for record in records {
        match record.psd {
            Some('n') => return Some(record.domain.clone()),
            Some('y') if record.domain != domain => {
                let count = record.domain.split('.').count() + 1;
                return Some(last_labels(domain, count).to_owned());
            }
            _ => last = Some(record.domain.clone()),
        }
    }
    last
}

/// The domain of a `mailto:` address in `rua`, with the address.
pub(super) fn mailbox(uri: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = uri.split_once(':')?;
    // A size limit may follow (RFC 7489 §6.4).
    let address = rest.split('!').next()?.split('?').next()?;
    let (_, domain) = address.rsplit_once('@')?;
    scheme.eq_ignore_ascii_case("mailto").then_some((address, domain))
}
