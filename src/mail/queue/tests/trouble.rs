//! What goes wrong: locks, clocks, records, queues that nobody keeps.

use super::record::META;
use super::*;

#[test]
fn a_second_process_is_told_why() {
    let place = Place::new();
    local(async {
        let _queue = place.open();
        let error = place.try_open().err().expect("it is locked").to_string();
        assert!(error.to_lowercase().contains("lock"), "{error}");
    });
}

#[test]
fn an_orphan_is_drained_and_its_directory_removed() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        put(&queue, envelope(&["b@sink.test"])).await;
        assert!(!queue.remove_if_empty().await);
        settle_all(&lease(&queue).await, &delivered());
        assert!(queue.remove_if_empty().await);
        assert!(!queue_dir(place.dir.path(), 0).exists());
        assert!(queue.lease().await.is_none());
    });
}

#[test]
fn a_clock_that_was_wrong_delays_nothing_for_ever() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let years = 40 * 365 * 86_400_000;
        let id = MessageId::first(engine::shard::wall_ms() + years, 0);
        queue.accept(id, envelope(&["b@sink.test"]), Bytes::from_static(BODY)).await.unwrap();
        drop(queue);
        let queue = place.open();
        assert!(queue.next_id() > id, "ids go on");
        let future = Timestamp(engine::shard::wall_ms() + years);
        let Verdict::Deferred { reply, stage, remote, .. } = deferred() else { unreachable!() };
        let far = Verdict::Deferred { reply, stage, remote, not_before: Some(future) };
        settle_all(&lease(&queue).await, &far);
        assert!(queue.close().await);
        let queue = place.open();
        let due_ms = queue.0.schedule.borrow().next_due().unwrap();
        let waits = Span::hours(8).as_ms();
        assert!(due_ms <= engine::shard::wall_ms() + waits, "twice retry_max at most");
        queue.0.note_depth(|schedule| _ = schedule.remove(id));
        queue.0.schedule.borrow_mut().insert(id, 0, 1);
        assert_eq!(lease(&queue).await.recipients, [0], "though its own time has not come");
    });
}

#[test]
fn a_record_that_makes_no_sense_is_held_and_can_be_deleted() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let id = queue.next_id();
        let commit = queue.0.store.commit(10, |writer| {
            writer.put(META, &id.key(), b"\xffnonsense");
            writer.put(record::BODY, &id.key(), BODY);
        });
        commit.await.unwrap();
        assert!(queue.close().await);
        let queue = place.open();
        let good = put(&queue, envelope(&["b@sink.test"])).await;
        assert_eq!(lease(&queue).await.id, good);
        assert_eq!((queue.snapshot().held, place.metrics.unreadable.get()), (1, 1));
        let list = Command::List { filter: Filter::default(), limit: 10, after: None };
        let Answer::List { rows, .. } = queue.command(list).await.unwrap() else { panic!() };
        assert_eq!((rows[0].id, rows[0].phase, rows[0].recipients_count), (id, Phase::Held, 0));
        assert_eq!(count(&queue, Command::Release { filter: only(id) }).await, 1);
        assert_eq!(queue.snapshot().ready, 1);
        assert_eq!(count(&queue, Command::Delete { filter: only(id) }).await, 1);
        assert_eq!(queue.snapshot().messages, 1);
        assert!(queue.close().await);
        assert_eq!(place.open().snapshot().messages, 1);
    });
}

#[test]
fn a_record_that_still_rides_is_waited_for() {
    let place = Place::with(|settings| settings.fresh_bytes_max = Size(0));
    local(async {
        let queue = place.open();
        let id = put(&queue, envelope(&["b@sink.test"])).await;
        settle_all(&lease(&queue).await, &deferred());
        assert!(queue.0.store.backlog() > 0, "its state is not on the disk yet");
        assert_eq!(count(&queue, Command::Flush { filter: only(id) }).await, 1);
        let again = lease(&queue).await;
        assert_eq!((again.id, again.attempts), (id, 1));
        settle_all(&again, &failed());
        let bounce = queue.lease().await.unwrap();
        assert!(bounce.envelope.sender.is_none());
        assert!(bounce.message().await.unwrap().starts_with(b"From: Mail Delivery System"));
        assert_eq!(place.metrics.unreadable.get(), 0);
    });
}

#[test]
fn states_do_not_pile_up() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let id = put(&queue, envelope(&["b@sink.test"])).await;
        let rows = async |family: usize| queue.0.store.page(family, &[], 10).await.unwrap().len();
        for _ in 0..3 {
            settle_all(&lease(&queue).await, &deferred());
            quiet(&queue).await;
            assert_eq!(rows(record::STATE).await, 1);
            flush(&queue).await;
        }
        assert_eq!(count(&queue, Command::Hold { filter: only(id) }).await, 1);
        assert_eq!(count(&queue, Command::Release { filter: only(id) }).await, 1);
        settle_all(&lease(&queue).await, &delivered());
        quiet(&queue).await;
        for family in [META, record::BODY, record::STATE] {
            assert_eq!(rows(family).await, 0);
        }
    });
}
