//! What admins do to mail, leased or not.

use super::*;

async fn list(
    queue: &Queue,
    filter: Filter,
    limit: usize,
    after: Option<MessageId>,
) -> (Vec<Row>, Option<MessageId>) {
    match queue.command(Command::List { filter, limit, after }).await.unwrap() {
        Answer::List { rows, next } => (rows, next),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_policy_keeps_apart_waits_for_somebody_to_decide() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let found = Authenticity { is_quarantined: true, ..Authenticity::default() };
        let apart = Envelope { authenticity: Some(found), ..envelope(&["b@sink.test"]) };
        let (id, other) = (put(&queue, apart.clone()).await, put(&queue, apart).await);
        assert_eq!((queue.snapshot().held, queue.snapshot().ready), (2, 0));
        assert_eq!(flush(&queue).await, 0, "held mail stays");
        assert!(queue.close().await);
        let queue = place.open();
        assert_eq!((queue.snapshot().held, queue.snapshot().ready), (2, 0), "over a restart");
        assert_eq!(count(&queue, Command::Delete { filter: only(other) }).await, 1);
        assert_eq!(count(&queue, Command::Release { filter: only(id) }).await, 1);
        let lease = lease(&queue).await;
        assert_eq!(lease.id, id);
        settle_all(&lease, &delivered());
        drop(lease);
        assert!(queue.close().await);
        let empty = place.open().snapshot();
        assert_eq!((empty.held, empty.ready), (0, 0));
    });
}

#[test]
fn a_hold_survives_a_restart() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let id = put(&queue, envelope(&["b@sink.test"])).await;
        let tried = put(&queue, envelope(&["c@sink.test"])).await;
        assert_eq!(count(&queue, Command::Hold { filter: only(id) }).await, 1);
        assert_eq!(count(&queue, Command::Hold { filter: only(id) }).await, 0, "it is held");
        assert_eq!(flush(&queue).await, 1, "held mail stays");
        settle_all(&lease(&queue).await, &deferred());
        assert_eq!(count(&queue, Command::Hold { filter: only(tried) }).await, 1);
        assert_eq!((queue.snapshot().held, place.metrics.held.get()), (2, 2));
        assert!(queue.close().await);
        place.metrics.held.set(0);
        let queue = place.open();
        assert_eq!((queue.snapshot().held, queue.snapshot().ready), (2, 0));
        assert_eq!(place.metrics.held.get(), 2);
        assert_eq!(count(&queue, Command::Release { filter: Filter::default() }).await, 2);
        let both = [lease(&queue).await, lease(&queue).await];
        assert_eq!([both[0].id, both[1].id], [id, tried]);
        assert_eq!([both[0].attempts, both[1].attempts], [0, 1]);
        settle_all(&both[0], &delivered());
        drop(both);
        assert!(queue.close().await);
        assert_eq!(place.open().snapshot().held, 0);
    });
}

#[test]
fn what_is_leased_is_held_or_flushed_at_its_end() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let id = put(&queue, envelope(&["b@sink.test"])).await;
        let first = lease(&queue).await;
        assert_eq!(flush(&queue).await, 1);
        settle_all(&first, &deferred());
        let second = lease(&queue).await;
        assert_eq!(count(&queue, Command::Hold { filter: only(id) }).await, 1);
        assert_eq!(count(&queue, Command::Release { filter: only(id) }).await, 1);
        assert_eq!(count(&queue, Command::Hold { filter: only(id) }).await, 1);
        drop(second);
        assert_eq!((queue.snapshot().held, queue.snapshot().active), (1, 0));
        assert!(queue.close().await);
        assert_eq!(place.open().snapshot().held, 1);
    });
}

#[test]
fn what_is_deleted_while_leased_goes_without_a_word() {
    let place = Place::with(|settings| settings.fresh_bytes_max = Size(0));
    local(async {
        let queue = place.open();
        let id = put(&queue, envelope(&["b@sink.test", "c@sink.test"])).await;
        let lease = lease(&queue).await;
        assert_eq!(count(&queue, Command::Delete { filter: only(id) }).await, 1);
        assert_eq!(count(&queue, Command::Delete { filter: only(id) }).await, 0);
        assert_eq!(count(&queue, Command::Hold { filter: only(id) }).await, 0, "nothing undoes it");
        assert_eq!(lease.message().await, Err(QueueError::Gone));
        lease.settle(&[(0, failed()), (1, deferred())]);
        quiet(&queue).await;
        assert!(queue.is_empty());
        let log = place.events.take();
        assert_eq!(["deleted", "bounced", "deferred"].map(|name| told(&log, name)), [1, 0, 0]);
        assert_eq!(place.metrics.reports.get(), 0);
        assert!(queue.close().await);
        assert!(place.open().is_empty());
    });
}

#[test]
fn a_deletion_outruns_the_report() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let id = put(&queue, envelope(&["b@sink.test"])).await;
        settle_all(&lease(&queue).await, &failed());
        assert_eq!(queue.snapshot().active, 1, "until its bounce is written");
        assert_eq!(count(&queue, Command::Delete { filter: only(id) }).await, 1);
        quiet(&queue).await;
        assert!(queue.is_empty());
        assert_eq!(place.metrics.reports.get(), 0);
    });
}

#[test]
fn filters_choose() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let one = put(&queue, envelope(&["b@sink.test", "c@other.test"])).await;
        let mut bounce = envelope(&["d@sink.test"]);
        bounce.sender = None;
        let two = put(&queue, bounce).await;
        let three = put(&queue, envelope(&["E@third.test"])).await;
        let text = |text: &str| Some(text.to_owned());
        let cases = [
            (Filter::default(), vec![one, two, three]),
            (Filter { sender: text("<>"), ..Filter::default() }, vec![two]),
            (Filter { sender: text("A@SOURCE.test"), ..Filter::default() }, vec![one, three]),
            (Filter { domain: text("sink.test"), ..Filter::default() }, vec![one, two]),
            (Filter { recipient: text("e@third.test"), ..Filter::default() }, vec![three]),
            (only(two), vec![two]),
            (Filter { domain: text("third.test"), ..only(two) }, vec![]),
        ];
        for (filter, wanted) in cases {
            let (rows, next) = list(&queue, filter.clone(), 10, None).await;
            assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), wanted, "{filter:?}");
            assert_eq!(next, None);
        }
        let (rows, next) = list(&queue, Filter::default(), 2, None).await;
        assert_eq!((rows.len(), next), (2, Some(two)));
        assert_eq!((rows[0].recipients_count, rows[0].phase), (2, Phase::Waiting));
        let (rows, _) = list(&queue, Filter::default(), 2, next).await;
        assert_eq!(rows[0].id, three);
        let filter = Filter { domain: text("sink.test"), ..Filter::default() };
        assert_eq!(count(&queue, Command::Delete { filter }).await, 2);
        assert_eq!(queue.snapshot().messages, 1);
        assert!(detail(&queue, one).await.is_none());
        let detail = detail(&queue, three).await.unwrap();
        assert_eq!(
            (detail.origin.as_str(), detail.recipients[0].status.as_ref()),
            ("192.0.2.1", "pending")
        );
        assert_eq!(detail.expires, detail.row.arrived.after(place.settings.expiry.get()));
    });
}

#[test]
fn a_sweep_goes_over_many_pages() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        for _ in 0..700 {
            let id = queue.next_id();
            let accept = queue.accept(id, envelope(&["b@sink.test"]), Bytes::from_static(BODY));
            accept.await.unwrap();
        }
        assert_eq!(count(&queue, Command::Hold { filter: Filter::default() }).await, 700);
        assert_eq!(queue.snapshot().held, 700);
        assert_eq!(count(&queue, Command::Release { filter: Filter::default() }).await, 700);
        assert_eq!(queue.snapshot().ready, 700);
        assert_eq!(count(&queue, Command::Delete { filter: Filter::default() }).await, 700);
        assert!(queue.is_empty());
    });
}
