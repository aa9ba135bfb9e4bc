//! Outcomes: counted, bounded, kept over restarts.

use proto::types::AuthResult;

use super::super::{Disposition, Dkim, Outcomes, Published};
use super::*;
use keys::message;

fn failed(domain: &str, from: &str) -> Report {
    let zone = Zone::default().txt("_dmarc.a.test", "v=DMARC1; p=reject; rua=mailto:r@a.test");
    let mut report = examined(zone, "x@y.test", &message("me@a.test"));
    report.dmarc.author_domain = from.into();
    report.dmarc.published.as_mut().unwrap().domain = domain.into();
    report
}

#[test]
fn they_go_on_after_a_restart() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let outcomes = Outcomes::open(dir.path(), 3).unwrap();
        let mut report = std::thread::spawn(|| failed("a.test", "a.test")).join().unwrap();
        let named = |n: u32| Dkim { domain: format!("d{n}.test").into(), ..Dkim::default() };
        report.dkim = (0..20).map(named).collect();
        for _ in 0..2 {
            outcomes.note(&report, Disposition::Reject);
        }
        outcomes.note(&report, Disposition::None);
        outcomes.write().await;
        let before = outcomes.today();
        assert_eq!(before.policies.len(), 1);
        assert_eq!(&*before.policies[0].published.domain, "a.test");
        let mut counts: Vec<_> =
            before.policies[0].rows.iter().map(|it| (it.row.disposition, it.count)).collect();
        counts.sort_unstable_by_key(|it| it.1);
        assert_eq!(counts, [(Disposition::None, 1), (Disposition::Reject, 2)]);
        let row = &before.policies[0].rows[0].row;
        assert_eq!((row.dkim.len(), row.source), (4, ip(CLIENT)));
        let again = Outcomes::open(dir.path(), 3).unwrap();
        again.note(&report, Disposition::Reject);
        let rows = &again.today().policies[0].rows;
        assert_eq!(rows.iter().map(|it| it.count).sum::<u64>(), 4);
        assert!(Outcomes::open(dir.path(), 4).unwrap().today().policies.is_empty());
    });
}

#[test]
fn strangers_cannot_make_them_grow_and_who_wants_none_has_none() {
    let outcomes = Outcomes::default();
    let mut report = failed("a.test", "a.test");
    for n in 0..10_010 {
        report.dmarc.published.as_mut().unwrap().domain = format!("{n}.test").into();
        outcomes.note(&report, Disposition::None);
    }
    for n in 0..50_000 {
        report.dmarc.published.as_mut().unwrap().domain = "1.test".into();
        report.dmarc.author_domain = format!("{n}.1.test").into();
        outcomes.note(&report, Disposition::None);
    }
    let day = outcomes.today();
    assert_eq!(day.policies.len(), 10_000);
    assert_eq!(day.policies.iter().map(|it| it.rows.len()).sum::<usize>(), 50_000);
    assert_eq!(day.policies.iter().map(|it| it.unlisted).sum::<u64>(), 10_000);
    let outcomes = Outcomes::default();
    let published = report.dmarc.published.take().unwrap();
    outcomes.note(&report, Disposition::None);
    report.dmarc.published = Some(Published { wants_reports: false, ..published.clone() });
    outcomes.note(&report, Disposition::None);
    report.dmarc.published = Some(published);
    report.dmarc.result = AuthResult::TempError;
    outcomes.note(&report, Disposition::None);
    assert!(outcomes.today().policies.is_empty());
}
