//! A message's way through the queue, with restarts in between.

use super::*;

#[test]
fn mail_that_goes_out_at_once_costs_one_commit_and_one_rider() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let id = put(&queue, envelope(&["b@sink.test", "c@sink.test"])).await;
        assert_eq!((place.metrics.accepted.get(), place.metrics.depth.get()), (1, 1));
        let lease = lease(&queue).await;
        assert_eq!((lease.id, &lease.recipients[..], lease.attempts), (id, &[0, 1][..], 0));
        assert_eq!(lease.message().await.unwrap(), BODY);
        assert_eq!(place.metrics.active.get(), 1);
        lease.settle(&[(1, delivered())]);
        assert!(!queue.is_empty());
        lease.settle(&[(0, delivered()), (1, failed()), (7, failed())]);
        drop(lease);
        assert!(queue.is_empty());
        quiet(&queue).await;
        assert_eq!(place.storage_metrics.riders.get(), 1, "the removal");
        assert_eq!(place.metrics.body_reads.get(), 0);
        let log = place.events.take();
        assert_eq!(
            [told(&log, "accepted"), told(&log, "delivered"), told(&log, "bounced")],
            [1, 2, 0]
        );
        assert!(
            log.contains("recipient=c@sink.test") && log.contains("reply=\"250 2.0.0 queued\"")
        );
        assert_eq!((place.metrics.depth.get(), place.metrics.active.get()), (0, 0));
        assert!(queue.close().await);
        assert!(place.open().is_empty());
    });
}

#[test]
fn what_was_accepted_survives_a_close_and_a_crash() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let first = put(&queue, envelope(&["b@sink.test"])).await;
        assert!(queue.close().await);
        assert_eq!(put_error(&queue).await, QueueError::Closed);
        let queue = place.open();
        let second = put(&queue, envelope(&["c@sink.test"])).await;
        assert!(second > first);
        drop(queue);
        let queue = place.open();
        for id in [first, second] {
            let lease = lease(&queue).await;
            assert_eq!(lease.id, id, "in the order of arrival");
            assert_eq!(lease.message().await.unwrap(), BODY);
            assert_eq!(lease.envelope.origin.as_ref(), "192.0.2.1");
            settle_all(&lease, &delivered());
        }
        assert!(queue.is_empty());
        assert!(queue.next_id() > second);
    });
}

async fn put_error(queue: &Queue) -> QueueError {
    let id = queue.next_id();
    queue.accept(id, envelope(&["b@sink.test"]), Bytes::from_static(BODY)).await.unwrap_err()
}

#[test]
fn retries_grow_within_their_bounds_and_are_due_together() {
    let place = Place::with(|settings| settings.retry_max = Span::hours(3));
    local(async {
        let mut queue = place.open();
        let id = put(&queue, envelope(&["b@sink.test", "c@sink.test"])).await;
        for (attempts, plain_ms) in
            [(1, 3_600_000), (2, 7_200_000), (3, 10_800_000), (4, 10_800_000)]
        {
            let before_ms = engine::shard::wall_ms();
            let lease = lease(&queue).await;
            assert_eq!(lease.attempts, attempts - 1);
            lease.settle(&[(0, deferred())]);
            engine::shard::sleep(20).await;
            lease.settle(&[(1, deferred())]);
            drop(lease);
            let after_ms = engine::shard::wall_ms();
            assert!(queue.close().await);
            queue = place.open();
            let detail = detail(&queue, id).await.unwrap();
            let due_ms = detail.row.due.unwrap().0;
            let bounds = before_ms + plain_ms * 4 / 5..=after_ms + plain_ms * 6 / 5 + 1;
            assert!(bounds.contains(&due_ms), "{attempts}: {due_ms} in {bounds:?}");
            for recipient in &detail.recipients {
                assert_eq!((recipient.attempts, recipient.due), (attempts, detail.row.due));
                assert_eq!(recipient.last_reply.as_deref(), Some("450 4.2.0 come back"));
                assert_eq!(recipient.last_remote.as_deref(), Some("mx.sink.test[192.0.2.9]:25"));
            }
            assert_eq!(queue.snapshot().ready, 0);
            assert_eq!(flush(&queue).await, 1);
        }
        assert_eq!(place.metrics.deferred.get(), 8);
    });
}

#[test]
fn a_site_that_rests_is_heeded() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let id = put(&queue, envelope(&["b@sink.test", "c@sink.test"])).await;
        let rest = Timestamp(engine::shard::wall_ms() + 7 * 3_600_000);
        let Verdict::Deferred { reply, stage, remote, .. } = deferred() else { unreachable!() };
        let resting = Verdict::Deferred { reply, stage, remote, not_before: Some(rest) };
        let lease = lease(&queue).await;
        lease.settle(&[(0, resting), (1, deferred())]);
        let detail = detail(&queue, id).await.unwrap();
        assert_eq!(detail.recipients[0].due, Some(rest));
        assert!(detail.recipients[1].due < Some(rest));
        assert_eq!(detail.row.due, detail.recipients[1].due, "the first that is due");
    });
}

#[test]
fn mail_comes_back_by_itself_when_it_is_due() {
    let place = Place::with(|settings| settings.retry_first = Span::ms(20));
    local(async {
        let queue = place.open();
        let id = put(&queue, envelope(&["b@sink.test"])).await;
        settle_all(&lease(&queue).await, &deferred());
        let again = queue.lease().await.unwrap();
        assert_eq!((again.id, again.attempts), (id, 1));
    });
}

#[test]
fn who_was_delivered_is_not_tried_again() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        put(&queue, envelope(&["b@sink.test", "c@sink.test", "d@sink.test"])).await;
        let first = lease(&queue).await;
        first.settle(&[(0, delivered()), (1, deferred())]);
        drop(first);
        assert!(queue.close().await);
        let queue = place.open();
        flush(&queue).await;
        let second = lease(&queue).await;
        assert_eq!(second.recipients, [1, 2]);
        assert_eq!(second.attempts, 1);
    });
}

#[test]
fn a_dropped_lease_counts_no_attempt_and_loses_nothing() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let id = put(&queue, envelope(&["b@sink.test"])).await;
        drop(lease(&queue).await);
        assert_eq!(queue.snapshot().ready, 0, "after the first retry wait");
        assert_eq!(queue.snapshot().messages, 1);
        flush(&queue).await;
        let again = lease(&queue).await;
        assert_eq!((again.id, again.attempts, again.recipients.len()), (id, 0, 1));
        assert_eq!(again.message().await.unwrap(), BODY);
    });
}

#[test]
fn a_client_that_goes_away_leaves_a_whole_message() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let id = queue.next_id();
        {
            let accept = queue.accept(id, envelope(&["b@sink.test"]), Bytes::from_static(BODY));
            let mut accept = std::pin::pin!(accept);
            let once = std::future::poll_fn(|context| {
                std::task::Poll::Ready(accept.as_mut().poll(context).is_pending())
            });
            assert!(once.await, "the commit is under way");
            assert!(!queue.is_empty());
        }
        assert!(!queue.is_empty(), "it is still on its way");
        let lease = queue.lease().await.unwrap();
        assert_eq!(lease.id, id);
        settle_all(&lease, &delivered());
        assert!(queue.is_empty());
        assert_eq!(place.metrics.accepted.get(), 1);
    });
}

#[test]
fn the_queue_is_bounded() {
    let place = Place::with(|settings| settings.messages_max = 2);
    local(async {
        let queue = place.open();
        put(&queue, envelope(&["b@sink.test"])).await;
        assert_eq!(queue.can_accept(), Ok(()));
        put(&queue, envelope(&["b@sink.test"])).await;
        assert_eq!(queue.can_accept().unwrap_err().code, 452);
        assert_eq!(put_error(&queue).await, QueueError::Many);
        assert_eq!(place.metrics.refused.get(), 1);
        settle_all(&lease(&queue).await, &delivered());
        assert_eq!(queue.can_accept(), Ok(()));
    });
}

#[test]
fn bodies_beyond_the_fresh_memory_are_read_from_disk() {
    let place = Place::with(|settings| settings.fresh_bytes_max = Size(1000));
    local(async {
        let queue = place.open();
        for _ in 0..3 {
            put(&queue, envelope(&["b@sink.test"])).await;
        }
        for reads in [0, 1, 2] {
            let lease = lease(&queue).await;
            assert_eq!(lease.message().await.unwrap(), BODY);
            assert_eq!(place.metrics.body_reads.get(), reads);
            settle_all(&lease, &delivered());
        }
    });
}

#[test]
fn leases_are_bounded_and_a_close_ends_the_wait() {
    let place = Place::with(|settings| settings.leases_max = 1);
    local(async {
        let queue = place.open();
        put(&queue, envelope(&["b@sink.test"])).await;
        put(&queue, envelope(&["c@sink.test"])).await;
        let first = lease(&queue).await;
        let waiter = tokio::task::spawn_local({
            let queue = queue.clone();
            async move { queue.lease().await }
        });
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!waiter.is_finished());
        settle_all(&first, &delivered());
        let second = waiter.await.unwrap().expect("there is room now");
        assert!(second.id > first.id);
        settle_all(&second, &delivered());
        let waiter = tokio::task::spawn_local({
            let queue = queue.clone();
            async move { queue.lease().await.is_none() }
        });
        tokio::task::yield_now().await;
        assert!(queue.close().await);
        assert!(waiter.await.unwrap());
    });
}

#[test]
fn several_waiters_share_what_is_due() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        for _ in 0..4 {
            put(&queue, envelope(&["b@sink.test"])).await;
        }
        count(&queue, Command::Hold { filter: Filter::default() }).await;
        let wait = || {
            let queue = queue.clone();
            tokio::task::spawn_local(async move { queue.lease().await })
        };
        let waiters = [wait(), wait(), wait(), wait()];
        tokio::task::yield_now().await;
        count(&queue, Command::Release { filter: Filter::default() }).await;
        let mut ids = Vec::new();
        let mut held = Vec::new();
        for waiter in waiters {
            let lease = waiter.await.unwrap().unwrap();
            ids.push(lease.id);
            held.push(lease);
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 4);
    });
}

#[test]
fn a_postponed_lease_costs_nothing_and_can_be_hastened() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let id = put(&queue, envelope(&["b@sink.test"])).await;
        lease(&queue).await.postpone(Duration::from_secs(3600));
        assert_eq!((queue.snapshot().ready, queue.snapshot().active), (0, 0));
        assert_eq!(queue.0.store.backlog(), 0, "nothing is written");
        queue.hasten(id);
        let again = lease(&queue).await;
        assert_eq!((again.id, again.attempts), (id, 0));
        assert_eq!(again.message().await.unwrap(), BODY);
        assert_eq!(place.metrics.body_reads.get(), 0, "it is still fresh");
        again.settle(&[(0, deferred())]);
        again.postpone(Duration::ZERO);
        assert_eq!(queue.snapshot().ready, 0, "it was settled before");
        flush(&queue).await;
        let last = lease(&queue).await;
        count(&queue, Command::Delete { filter: only(id) }).await;
        last.postpone(Duration::ZERO);
        assert!(queue.is_empty());
    });
}

/// Leases what comes within a moment, if anything does.
async fn lease_within(queue: &Queue, ms: u64) -> Option<Lease> {
    tokio::time::timeout(std::time::Duration::from_millis(ms), queue.lease()).await.ok().flatten()
}

#[test]
fn a_message_is_held_until_its_time_also_over_a_restart() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let until = Timestamp(engine::shard::wall_ms() + 400);
        let held = Envelope { hold_until: Some(until), ..envelope(&["b@sink.test"]) };
        put(&queue, held).await;
        assert!(lease_within(&queue, 50).await.is_none());
        assert!(queue.close().await);
        let queue = place.open();
        // Due until it is read, then put off.
        assert!(lease_within(&queue, 50).await.is_none());
        let lease = lease_within(&queue, 10_000).await.unwrap();
        assert!(engine::shard::wall_ms() >= until.0);
        assert_eq!(lease.envelope.released(), until);
        settle_all(&lease, &delivered());
    });
}

#[test]
fn a_message_under_several_envelopes_is_kept_whole_or_not_at_all() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let ids = [queue.next_id(), queue.next_id()];
        let envelopes = ids.into_iter().zip([
            envelope(&["b@sink.test"]),
            Envelope { sender: None, ..envelope(&["c@sink.test"]) },
        ]);
        let envelopes = envelopes.map(Arriving::from).collect();
        queue.accept_all(envelopes, Bytes::from_static(BODY)).await.unwrap();
        assert_eq!((queue.0.arriving.get(), place.metrics.accepted.get()), (0, 2));
        assert_eq!(place.storage_metrics.syncs.get(), 1, "one batch");
        drop(queue);
        let queue = place.open();
        for id in ids {
            let lease = lease(&queue).await;
            assert_eq!((lease.id, lease.message().await.unwrap()), (id, BODY.into()));
            settle_all(&lease, &delivered());
        }
        assert!(queue.is_empty());
    });
}
