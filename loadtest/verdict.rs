//! What a reader wants to know first, in words: whether anything was lost and every bound was kept.
//!
//! The page, the terminal and the exit code must never disagree on a loss: what [`Document::is_good`] calls
//! bad is bad here. Mail that arrived changed or though it was refused is bad too, even when a
//! bound on the lost was stated and kept.

use crate::result::{Document, Ledger, Run};
use crate::words;

/// A comparison has hundreds of runs: beyond these the missed bounds are only counted.
const MISSED_SHOWN_MAX: usize = 10;

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was lost, and every stated bound was kept.
    Good,
    /// Something was lost, changed or delivered against a refusal, or a bound was missed.
    Bad,
    /// There was no ledger and no bound: nothing can be said.
    Unknown,
}

/// The verdict on a document.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// How it went.
    pub outcome: Outcome,
    /// The sentence that is read first.
    pub headline: String,
    /// What else has to be said, most important first.
    pub details: Vec<String>,
}

/// Sums over all runs.
#[derive(Default)]
struct Totals {
    ledgers: u64,
    accepted: u64,
    delivered: u64,
    bounced: u64,
    lost: u64,
    changed: u64,
    duplicated: u64,
    unacknowledged: u64,
    refused_yet_delivered: u64,
    /// What the ledgers count, one and many.
    nouns: (&'static str, &'static str),
    bounds: u64,
    missed: Vec<String>,
}

impl Totals {
    fn of(document: &Document) -> Self {
        let of_mailboxes = document.runs.iter().any(|run| run.mailboxes.is_some());
        let nouns =
            if of_mailboxes { ("message", "messages") } else { ("recipient", "recipients") };
        let mut totals = Self { nouns, ..Self::default() };
        for run in &document.runs {
            run.ledger.iter().for_each(|ledger| totals.add_ledger(ledger));
            totals.add_bounds(run);
        }
        // A comparison may come without its runs.
        if let Some(comparison) = document.comparison.as_ref().filter(|_| totals.ledgers == 0) {
            totals.lost = comparison.rows.iter().map(|row| row.lost).sum();
            totals.duplicated = comparison.rows.iter().map(|row| row.duplicated).sum();
            let relayed = comparison.rows.iter().filter(|row| row.relayed_per_s.is_some());
            totals.ledgers = relayed.count() as u64;
        }
        totals
    }

    fn add_ledger(&mut self, ledger: &Ledger) {
        self.ledgers += 1;
        self.accepted += ledger.accepted;
        self.delivered += ledger.delivered;
        self.bounced += ledger.bounced;
        self.lost += ledger.lost;
        self.changed += ledger.changed;
        self.duplicated += ledger.duplicated;
        self.unacknowledged += ledger.unacknowledged;
        self.refused_yet_delivered += ledger.refused_yet_delivered;
    }

    fn add_bounds(&mut self, run: &Run) {
        self.bounds += run.bounds.len() as u64;
        for bound in run.bounds.iter().filter(|bound| !bound.kept) {
            let place = place(run).map_or_else(String::new, |place| format!(" ({place})"));
            let (name, wanted, seen) = (&bound.name, &bound.wanted, &bound.seen);
            self.missed.push(format!("Bound missed: {name}: wanted {wanted}, saw {seen}{place}."));
        }
    }

    fn faults(&self) -> Vec<String> {
        let (one, many) = self.nouns;
        let recipients =
            |count| words::counted(count, &format!("{one} was"), &format!("{many} were"));
        let arrivals = |count| words::counted(count, "arrival", "arrivals");
        let mut faults = Vec::new();
        if self.lost > 0 {
            faults.push(format!("{} lost", recipients(self.lost)));
        }
        if self.changed > 0 {
            faults.push(format!("{} differed from what was sent", arrivals(self.changed)));
        }
        if self.refused_yet_delivered > 0 {
            faults.push(format!("{} had been refused", arrivals(self.refused_yet_delivered)));
        }
        match self.missed.len() as u64 {
            0 => {}
            missed => {
                let bounds = words::counted(self.bounds, "bound", "bounds");
                faults.push(format!("{missed} of {bounds} missed"));
            }
        }
        faults
    }

    /// What is no fault but has to be known.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.duplicated > 0 {
            remarks.push(format!(
                "{} beyond the first (duplicates).",
                words::counted(self.duplicated, "arrival", "arrivals")
            ));
        }
        if self.unacknowledged > 0 {
            remarks.push(format!(
                "{} though the connection had broken before the reply (RFC 5321 §4.5.4 allows it).",
                words::counted(self.unacknowledged, "message arrived", "messages arrived")
            ));
        }
        remarks
    }
}

/// Where a run belongs in a comparison: `5 KiB, 100 sessions, Exim, round 2`.
fn place(run: &Run) -> Option<String> {
    let case = run.case.clone()?;
    let server = run.server.as_ref().map(|server| format!(", {}", server.name));
    let round = run.round.map(|round| format!(", round {round}"));
    Some(format!("{case}{}{}", server.unwrap_or_default(), round.unwrap_or_default()))
}

/// Judges all runs of `document`.
#[must_use]
pub fn verdict(document: &Document) -> Verdict {
    let totals = Totals::of(document);
    let faults = totals.faults();
    let (outcome, headline) = if document.is_good() && !is_bad(&totals) {
        fair(&totals, document)
    } else {
        (Outcome::Bad, format!("{}.", faults.join("; ")))
    };
    let mut details: Vec<_> = totals.missed.iter().take(MISSED_SHOWN_MAX).cloned().collect();
    if let Some(more) = totals.missed.len().checked_sub(MISSED_SHOWN_MAX).filter(|more| *more > 0) {
        details.push(format!("{more} more bounds were missed; each run tells its own."));
    }
    if totals.accepted > 0 {
        details.push(format!(
            "Of {} accepted, {} were delivered, {} bounced and {} lost.",
            words::counted(totals.accepted, totals.nouns.0, totals.nouns.1),
            words::count(totals.delivered),
            words::count(totals.bounced),
            words::count(totals.lost),
        ));
    }
    details.extend(totals.remarks());
    Verdict { outcome, headline, details }
}

/// Losses that a stated bound allows are the one fault that is forgiven.
fn is_bad(totals: &Totals) -> bool {
    let silent_loss = totals.lost > 0 && totals.bounds == 0;
    silent_loss || totals.changed > 0 || totals.refused_yet_delivered > 0
}

fn fair(totals: &Totals, document: &Document) -> (Outcome, String) {
    let measured = !document.runs.is_empty() || document.comparison.is_some();
    match (totals.ledgers, totals.bounds) {
        _ if !measured => (Outcome::Unknown, "Nothing was measured.".into()),
        (0, 0) => (Outcome::Unknown, "Loss was not measured, and no bound was stated.".into()),
        (0, _) => (Outcome::Good, "Every bound was kept; loss was not measured.".into()),
        _ if totals.lost > 0 => {
            let lost = words::counted(totals.lost, "recipient was", "recipients were");
            (Outcome::Good, format!("{lost} lost, which the stated bound allows."))
        }
        (_, 0) => (Outcome::Good, "Nothing was lost.".into()),
        _ => (Outcome::Good, "Nothing was lost, and every bound was kept.".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{Bound, Comparison, Row};

    fn document(runs: Vec<Run>) -> Document {
        Document { runs, ..Document::default() }
    }

    fn run(ledger: Ledger, bounds: Vec<Bound>) -> Run {
        Run { ledger: Some(ledger), bounds, ..Run::default() }
    }

    fn bound(name: &str, kept: bool) -> Bound {
        Bound { name: name.into(), wanted: "0".into(), seen: "2".into(), kept }
    }

    #[test]
    fn nothing_lost() {
        let kept = run(Ledger { accepted: 9, delivered: 9, ..Ledger::default() }, Vec::new());
        let found = verdict(&document(vec![kept]));
        assert_eq!(found.outcome, Outcome::Good);
        assert_eq!(found.headline, "Nothing was lost.");
        assert_eq!(
            found.details,
            ["Of 9 recipients accepted, 9 were delivered, 0 bounced and 0 lost."]
        );
    }

    #[test]
    fn losses_and_missed_bounds_are_said_in_words() {
        let lost = run(Ledger { lost: 2, ..Ledger::default() }, vec![bound("lost", false)]);
        let found = verdict(&document(vec![lost]));
        assert_eq!(found.outcome, Outcome::Bad);
        assert_eq!(found.headline, "2 recipients were lost; 1 of 1 bound missed.");
        assert_eq!(found.details, ["Bound missed: lost: wanted 0, saw 2."]);
    }

    #[test]
    fn a_loss_that_is_allowed_is_still_told() {
        let allowed = run(Ledger { lost: 1, ..Ledger::default() }, vec![bound("lost", true)]);
        let found = verdict(&document(vec![allowed]));
        assert_eq!(found.outcome, Outcome::Good);
        assert_eq!(found.headline, "1 recipient was lost, which the stated bound allows.");
    }

    #[test]
    fn changed_mail_is_bad_though_the_bound_on_the_lost_was_kept() {
        let changed = run(Ledger { changed: 1, ..Ledger::default() }, vec![bound("lost", true)]);
        assert_eq!(verdict(&document(vec![changed])).outcome, Outcome::Bad);
    }

    #[test]
    fn without_a_ledger_nothing_is_claimed() {
        assert_eq!(verdict(&document(Vec::new())).outcome, Outcome::Unknown);
        let found = verdict(&document(vec![Run::default()]));
        assert_eq!(found.outcome, Outcome::Unknown);
        assert_eq!(found.headline, "Loss was not measured, and no bound was stated.");
    }

    #[test]
    fn a_comparison_without_runs_is_judged_by_its_rows() {
        let mut compared = document(Vec::new());
        let rows = vec![Row { lost: 3, ..Row::default() }];
        compared.comparison = Some(Comparison { rows, ..Comparison::default() });
        assert_eq!(verdict(&compared).outcome, Outcome::Bad);
    }
}
