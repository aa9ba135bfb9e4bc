//! `SEARCH` (RFC 9051 §6.4.4, RFC 3501 §6.4.4), with ESEARCH, SEARCHRES (RFC 5182) and CONDSTORE.
//!
//! What must stay true: what an index can tell is not read; a search holds the shard for a moment only, and
//! ends with `NO [LIMIT]` when it has taken too long or there is no memory for a message that it has to
//! read. `criteria` is what is looked for, `scan` looks into messages.

use std::sync::Arc;

use engine::shard::wall_ms;
use mail::mailbox::{Entry, MailboxError, View};
use proto::imap::Completion;
use proto::imap::command::{Returns, Search};
use proto::imap::respond::Condition;
use proto::imap::respond::{EsearchLine, write_search};
use proto::imap::syntax::Ranges;
use proto::mime::Digest;
use proto::types::Timestamp;

use super::criteria::{Criteria, Sight};
use super::home::{Home, Manner};
use super::scan::{Scanned, by_index};
use super::turns::{Halt, Turns};

/// Messages that are looked at together; behind them others have their turn.
const TOGETHER: usize = 256;
/// What looking once at one text that is not found yet, or at a key, counts as, in octets.
const KEY_OCTETS: usize = 16;

/// What was found.
pub(super) struct Found {
    /// UIDs, sorted.
    pub uids: Vec<u32>,
    /// The greatest mod-sequence of these, when one was searched for.
    pub modseq: Option<u64>,
}

/// `SEARCH`
pub(super) async fn search(
    home: &mut Home,
    search: Search,
    manner: &Manner,
    out: &mut Vec<u8>,
) -> Completion {
    let saves = search.returns.is_some_and(|returns| returns.contains(Returns::SAVE));
    let mut found = match find(home, &search, &mut Turns::begin(&manner.memory)).await {
        Ok(found) => found,
        Err(refusal) => {
            // What was saved before is no more behind a NO, and stays behind a BAD (RFC 5182 §2.1). Until
            // here it was there to be searched in.
            if saves && refusal.condition == Condition::No {
                home.saved.clear();
            }
            return refusal;
        }
    };
    narrow(home, &search, &mut found);
    let numbers = numbers(home, &search, &found.uids);
    match search.returns {
        None if !manner.is_rev2() => write_search(numbers.iter(), told_modseq(&found), out),
        returns => {
            let returns = returns.unwrap_or(Returns::ALL);
            let (tag, uid) = (&*manner.tag, search.uid);
            EsearchLine { tag, uid, returns, found: &numbers, modseq: found.modseq }.write(out);
        }
    }
    if saves {
        home.saved = found.uids;
    }
    Completion::ok("Searched")
}

/// When only the first, the last or both were asked for, only they count for MODSEQ (RFC 7162 §3.1.5)
/// and are saved (RFC 5182 §2.4).
fn narrow(home: &Home, search: &Search, found: &mut Found) {
    let Some(returns) = search.returns else { return };
    let whole = returns.contains(Returns::ALL) || returns.contains(Returns::COUNT);
    let (first, last) = (returns.contains(Returns::MIN), returns.contains(Returns::MAX));
    if whole || !(first || last) {
        return;
    }
    let ends = [found.uids.first().filter(|_| first), found.uids.last().filter(|_| last)];
    let mut kept: Vec<u32> = ends.into_iter().flatten().copied().collect();
    kept.dedup();
    if let (Some(_), Some(view)) = (found.modseq, home.view.as_deref()) {
        found.modseq = kept.iter().filter_map(|uid| view.entry(*uid)).map(|e| e.modseq).max();
    }
    found.uids = kept;
}

fn told_modseq(found: &Found) -> Option<u64> {
    found.modseq.filter(|_| !found.uids.is_empty())
}

fn numbers(home: &Home, search: &Search, uids: &[u32]) -> Ranges {
    let mut numbers = Ranges::default();
    for uid in uids {
        let number = home.view.as_deref().and_then(|view| view.number(*uid));
        if let Some(number) = if search.uid { Some(*uid) } else { number } {
            numbers.push(number);
        }
    }
    numbers
}

/// Finds messages.
///
/// # Errors
/// What to say instead.
pub(super) async fn find(
    home: &Home,
    search: &Search,
    turns: &mut Turns,
) -> Result<Found, Completion> {
    let mut criteria = Criteria::compile(&search.key, home, Timestamp(wall_ms()))?;
    let mut found = Found { uids: Vec::new(), modseq: None };
    let Some(view) = home.view.as_deref() else { return Ok(found) };
    let mut greatest = 0;
    for (some, first) in view.uids().chunks(TOGETHER).zip((1..).step_by(TOGETHER)) {
        for entry in among(view, some, first, &mut criteria, turns).await? {
            greatest = greatest.max(entry.modseq);
            found.uids.push(entry.uid);
        }
        turns.give().await?;
    }
    found.modseq = search.key.names_modseq().then_some(greatest);
    Ok(found)
}

/// Those of some messages that meet the criteria. `first`: the number of the first.
async fn among(
    view: &View,
    uids: &[u32],
    first: u32,
    criteria: &mut Criteria,
    turns: &mut Turns,
) -> Result<Vec<Entry>, Halt> {
    let mut hits = Vec::new();
    let mut undecided = Vec::new();
    for (number, uid) in (first..).zip(uids) {
        let Some(entry) = view.entry(*uid) else { continue };
        let is_recent = view.is_recent(entry.uid);
        let sight = Sight { entry: &entry, number, is_recent, digest: None, texts: &[] };
        match criteria.condition.judge(&sight) {
            Some(true) => hits.push(entry),
            Some(false) => {}
            None => undecided.push((number, entry)),
        }
        turns.spend(criteria.keys * KEY_OCTETS).await?;
    }
    if undecided.is_empty() {
        return Ok(hits);
    }
    let uids: Vec<u32> = undecided.iter().map(|(_, entry)| entry.uid).collect();
    let digests = view.digests(&uids).await?;
    for ((number, entry), digest) in undecided.into_iter().zip(digests) {
        let Some(digest) = digest else { continue };
        match meets(view, (number, &entry), &digest, criteria, turns).await {
            Ok(true) => hits.push(entry),
            // Expunged under the search: it is found by nobody any more.
            Ok(false) | Err(Halt::Store(MailboxError::Gone)) => {}
            Err(halt) => return Err(halt),
        }
    }
    hits.sort_unstable_by_key(|entry| entry.uid);
    Ok(hits)
}

/// Whether a message meets the criteria; texts are looked for one by one, until that is decided.
async fn meets(
    view: &View,
    (number, entry): (u32, &Entry),
    digest: &Arc<Digest>,
    criteria: &mut Criteria,
    turns: &mut Turns,
) -> Result<bool, Halt> {
    let is_recent = view.is_recent(entry.uid);
    let mut texts: Vec<Option<bool>> =
        criteria.texts.iter().map(|text| by_index(text, digest)).collect();
    let mut scanned = Scanned::new(view, entry, digest, turns);
    loop {
        scanned.turns.spend(criteria.keys * KEY_OCTETS).await?;
        let sight = Sight { entry, number, is_recent, digest: Some(digest), texts: &texts };
        if let Some(holds) = criteria.condition.judge(&sight) {
            return Ok(holds);
        }
        let unknown = (0..texts.len()).filter(|at| texts[*at].is_none());
        let Some(next) = unknown.min_by_key(|at| &criteria.texts[*at].place) else {
            // Nothing is left to find out.
            return Ok(false);
        };
        texts[next] = Some(scanned.holds(&mut criteria.texts[next]).await?);
    }
}
