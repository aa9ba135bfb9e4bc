//! What senders are told, and what they are not.

use proto::types::{Notify, Ret};

use super::*;

async fn text(lease: &Lease) -> String {
    String::from_utf8(lease.message().await.unwrap().to_vec()).unwrap()
}

fn asking(address: &str, success: bool, failure: bool, delay: bool) -> Recipient {
    let notify = Some(Notify { success, failure, delay });
    Recipient { notify, ..recipient(address) }
}

#[test]
fn all_failures_of_a_lease_go_in_one_bounce() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let original =
            put(&queue, envelope(&["b@sink.test", "c@sink.test", "d@sink.test", "e@sink.test"]))
                .await;
        let first = lease(&queue).await;
        first.settle(&[(0, failed()), (3, delivered())]);
        first.settle(&[(2, failed())]);
        assert_eq!(queue.snapshot().messages, 1, "no bounce before the end");
        first.settle(&[(1, deferred())]);
        quiet(&queue).await;
        assert!(queue.close().await);

        let queue = place.open();
        assert_eq!(queue.snapshot().messages, 2);
        let bounce = lease(&queue).await;
        assert_ne!(bounce.id, original);
        assert!(bounce.envelope.sender.is_none());
        assert_eq!(bounce.envelope.recipients[0].address.to_string(), "a@source.test");
        assert_eq!(bounce.envelope.recipients[0].notify, Some(Notify::NEVER));
        let text = text(&bounce).await;
        assert_eq!(bounce.envelope.size, text.len() as u64);
        assert!(
            text.contains(
                "Final-Recipient: rfc822; b@sink.test\r\nAction: failed\r\nStatus: 5.1.1"
            )
        );
        assert!(text.contains("Final-Recipient: rfc822; d@sink.test\r\n"));
        assert!(text.contains("Remote-MTA: dns; mx.sink.test\r\n"));
        assert!(text.contains("Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"));
        assert!(!text.contains("c@sink.test") && !text.contains("e@sink.test"));
        assert!(text.contains(std::str::from_utf8(BODY).unwrap()), "the original");
        settle_all(&bounce, &delivered());
        flush(&queue).await;
        assert_eq!(lease(&queue).await.recipients, [1], "who was put off");
        assert_eq!((place.metrics.reports.get(), place.metrics.bounced.get()), (1, 2));
        assert_eq!(place.metrics.accepted.get(), 1, "bounces are not counted");
        assert!(place.events.take().contains("from=bounce"));
    });
}

struct Stamp;

impl Sign for Stamp {
    fn sign(&self, message: &[u8], at: Timestamp, out: &mut Vec<u8>) {
        assert!(message.starts_with(b"From: ") && at > Timestamp(0));
        out.extend_from_slice(b"X-Signed: yes\r\n");
    }
}

#[test]
fn a_bounce_is_signed() {
    let place = Place { signer: Some(Rc::new(Stamp)), ..Place::new() };
    local(async {
        let queue = place.open();
        put(&queue, envelope(&["b@sink.test"])).await;
        settle_all(&lease(&queue).await, &failed());
        quiet(&queue).await;
        let bounce = lease(&queue).await;
        let text = text(&bounce).await;
        assert!(text.starts_with("X-Signed: yes\r\nFrom: "), "{text}");
        assert_eq!(bounce.envelope.size, text.len() as u64);
        assert!(queue.close().await);
    });
}

#[test]
fn a_crash_neither_loses_nor_doubles_a_bounce() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let original = put(&queue, envelope(&["b@sink.test"])).await;
        settle_all(&lease(&queue).await, &failed());
        // Nothing has been written yet: all is as before.
        drop(queue);
        let queue = place.open();
        assert_eq!(queue.snapshot().messages, 1);
        let again = lease(&queue).await;
        assert_eq!(again.id, original);
        settle_all(&again, &failed());
        quiet(&queue).await;
        drop((again, queue));
        let queue = place.open();
        assert_eq!(queue.snapshot().messages, 1);
        assert!(lease(&queue).await.envelope.sender.is_none());
    });
}

#[test]
fn a_close_waits_for_reports() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        put(&queue, envelope(&["b@sink.test"])).await;
        settle_all(&lease(&queue).await, &failed());
        assert!(queue.close().await);
        let queue = place.open();
        assert!(lease(&queue).await.envelope.sender.is_none());
    });
}

#[test]
fn a_bounce_that_fails_ends_there() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        put(&queue, envelope(&["b@sink.test"])).await;
        settle_all(&lease(&queue).await, &failed());
        settle_all(&queue.lease().await.unwrap(), &failed());
        quiet(&queue).await;
        assert!(queue.is_empty());
        assert_eq!((place.metrics.double_bounces.get(), place.metrics.reports.get()), (1, 1));
        let log = place.events.take();
        assert_eq!([told(&log, "bounced"), told(&log, "dropped")], [2, 1]);
    });
}

/// How many reports a verdict on a recipient that asked for these makes.
async fn reports(queue: &Queue, ask: Recipient, age: Span, verdict: &Verdict) -> u64 {
    let mut envelope = aged(&["x@sink.test"], age);
    envelope.recipients = vec![ask];
    let id = put(queue, envelope).await;
    let before = queue.0.metrics.reports.get();
    settle_all(&lease(queue).await, verdict);
    quiet(queue).await;
    let made = queue.0.metrics.reports.get() - before;
    count(queue, Command::Delete { filter: only(id) }).await;
    for _ in 0..made {
        settle_all(&lease(queue).await, &delivered());
    }
    assert!(queue.is_empty());
    made
}

#[test]
fn notify_is_honoured() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let (now, old) = (Span::ms(0), Span::hours(5));
        let ask = |success, failure, delay| asking("b@sink.test", success, failure, delay);
        let plain = || recipient("b@sink.test");
        let cases = [
            (plain(), [0, 1, 1]),
            (ask(false, false, false), [0, 0, 0]),
            (ask(true, false, false), [1, 0, 0]),
            (ask(false, true, false), [0, 1, 0]),
            (ask(false, false, true), [0, 0, 1]),
            (ask(true, true, true), [1, 1, 1]),
        ];
        for (ask, wanted) in cases {
            let made = [
                reports(&queue, ask.clone(), now, &delivered()).await,
                reports(&queue, ask.clone(), now, &failed()).await,
                reports(&queue, ask.clone(), old, &deferred()).await,
            ];
            assert_eq!(made, wanted, "{:?}", ask.notify);
        }
        let Verdict::Delivered { reply, remote, .. } = delivered() else { unreachable!() };
        let passed_on = Verdict::Delivered { reply, remote, dsn_passed_on: true };
        assert_eq!(reports(&queue, ask(true, true, true), now, &passed_on).await, 0);
        assert_eq!(reports(&queue, plain(), now, &deferred()).await, 0, "too early to warn");
    });
}

#[test]
fn what_the_sender_gave_comes_back() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let mut asked = envelope(&["b@sink.test"]);
        asked.envid = Some("QQ+2B1".into());
        asked.ret = Some(Ret::Headers);
        asked.recipients[0].orcpt = Some("rfc822;list@sink.test".into());
        put(&queue, asked).await;
        settle_all(&lease(&queue).await, &failed());
        let text = text(&queue.lease().await.unwrap()).await;
        assert!(text.contains("Original-Envelope-Id: QQ+1\r\n"));
        assert!(text.contains("Original-Recipient: rfc822; list@sink.test\r\n"));
        assert!(text.contains("Subject: hi\r\n") && !text.contains("hello\r\n"), "RET=HDRS");
    });
}

#[test]
fn a_delay_is_told_once() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        let original = put(&queue, aged(&["b@sink.test", "c@sink.test"], Span::hours(5))).await;
        settle_all(&lease(&queue).await, &deferred());
        let warning = queue.lease().await.unwrap();
        let text = text(&warning).await;
        assert_eq!(text.matches("Action: delayed\r\n").count(), 2);
        assert_eq!(text.matches("Will-Retry-Until: ").count(), 2);
        assert!(!text.contains("hello\r\n"), "only the header comes back");
        settle_all(&warning, &delivered());
        drop(warning);
        assert!(queue.close().await);
        let queue = place.open();
        flush(&queue).await;
        let again = lease(&queue).await;
        assert_eq!(again.id, original);
        settle_all(&again, &deferred());
        quiet(&queue).await;
        assert_eq!((queue.snapshot().messages, place.metrics.reports.get()), (1, 1));
    });
}

#[test]
fn mail_that_is_too_old_is_returned() {
    let place = Place::new();
    local(async {
        let queue = place.open();
        put(&queue, aged(&["b@sink.test"], Span::days(6))).await;
        settle_all(&lease(&queue).await, &deferred());
        let text = text(&queue.lease().await.unwrap()).await;
        assert!(text.contains("Action: failed\r\nStatus: 4.4.7\r\n"), "{text}");
        assert!(text.contains("Diagnostic-Code: smtp; 450 4.2.0 come back\r\n"));
        assert_eq!((place.metrics.expired.get(), place.metrics.bounced.get()), (1, 1));
        assert_eq!(place.metrics.deferred.get(), 0);
        assert_eq!(queue.snapshot().messages, 1, "the bounce alone");
    });
}
