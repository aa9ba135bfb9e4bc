//! What next hops say, and what becomes of the mail.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::server::{Answer, MODERN, polite, say, scripted};
use super::*;

#[test]
fn a_message_arrives_whole_by_bdat_and_by_data_on_both_backends() {
    for backend in [Backend::Epoll, probe(IoKind::Auto).unwrap()] {
        for offers in [&MODERN[..], &["PIPELINING"], &[]] {
            for lines in [1, 2_000] {
                let body = format!("Subject: x\r\n\r\n{}", ".a line\r\nanother\r\n".repeat(lines));
                let (server, setting) = scripted(move |_, line| polite(offers, line));
                let sent = body.clone();
                setting.run_on(backend, move |world, _| {
                    let sent = sent.clone();
                    async move {
                        let letter = world.send_text(None, &["to@a.test"], &sent).await;
                        assert_eq!(world.fate(&letter).await, [DELIVERED]);
                        let event = world.event(&letter, "to@a.test").unwrap();
                        assert_eq!(event["reply"], "250 2.0.0 ok");
                        let remote = event["remote"].as_str().unwrap();
                        assert!(remote.starts_with("a.test[127.0.0.1]:"), "{remote}");
                        assert!(world.queue.is_empty());
                    }
                });
                assert_eq!(server.messages(), [body]);
                assert_eq!(server.lines("EHLO"), ["EHLO us.test"]);
                assert_eq!(server.count("BDAT") > 0, offers.contains(&"CHUNKING"));
            }
        }
    }
}

#[test]
fn large_bodies_and_bodies_without_a_last_line_end_arrive_too() {
    let (server, setting) = scripted(|_, line| polite(&["PIPELINING"], line));
    setting.run(|world, _| async move {
        let plain = "x".repeat(60) + "\r\n";
        for body in [plain.repeat(20_000), "Subject: x\r\n\r\nno end".into()] {
            let letter = world.send_text(None, &["to@a.test"], &body).await;
            assert_eq!(world.fate(&letter).await, [DELIVERED]);
        }
    });
    let messages = server.messages();
    assert_eq!(messages[0].len(), 62 * 20_000);
    assert_eq!(messages[1], "Subject: x\r\n\r\nno end\r\n");
}

#[test]
fn eight_bit_mail_is_declared_and_not_forced_on_anyone() {
    let body = "Subject: x\r\n\r\n\u{e9}\r\n";
    for (offers, becomes) in [(&MODERN[..], DELIVERED), (&[], "bounced 554 5.6.3")] {
        let (server, setting) = scripted(move |_, line| polite(offers, line));
        setting.run(move |world, _| async move {
            let letter = world.send_text(None, &["to@a.test"], body).await;
            assert_eq!(world.fate(&letter).await, [becomes]);
        });
        let mails = server.lines("MAIL");
        assert_eq!(mails.len(), usize::from(!offers.is_empty()));
        assert!(mails.iter().all(|line| line.contains("BODY=8BITMIME")));
    }
}

#[test]
fn each_recipient_has_its_own_answer() {
    let (_, setting) = scripted(|_, line| match line {
        _ if line.contains("later") => say("450 4.2.1 later"),
        _ if line.contains("never") => say("550-5.1.1 no\r\n550 5.1.1 body"),
        _ => polite(&MODERN, line),
    });
    setting.run(|world, _| async move {
        let to = ["now@a.test", "later@a.test", "never@a.test", "too@a.test"];
        let expected = [DELIVERED, "deferred 450 4.2.1 rcpt", "bounced 550 5.1.1", DELIVERED];
        let letter = world.send(&to).await;
        assert_eq!(world.fate(&letter).await, expected);
        let never = world.event(&letter, to[2]).unwrap();
        assert!(never["remote"].as_str().unwrap().starts_with("a.test[127.0.0.1]:"));
        assert!(never["reply"].as_str().unwrap().contains("body"), "all lines: {never}");
        // The connection is none the worse for it.
        assert_eq!(world.deliver(&["b@a.test"]).await, [DELIVERED]);
        assert_eq!((world.metrics.opened.get(), world.metrics.reused.get()), (1, 1));
        assert_eq!(world.queue.snapshot().messages, 1, "one recipient is left");
    });
}

#[test]
fn a_refusal_of_the_whole_counts_for_all() {
    for offers in [&MODERN[..], &["PIPELINING"], &[]] {
        for (at, says, becomes) in [
            ("MAIL", "451 4.3.0 x", "deferred 451 4.3.0 mail"),
            ("MAIL", "550 5.7.1 x", "bounced 550 5.7.1"),
            ("DATA", "452 4.3.1 x", "deferred 452 4.3.1 data"),
            ("DATA", "554 5.5.1 x", "bounced 554 5.5.1"),
            (".", "452 4.3.1 x", "deferred 452 4.3.1 body"),
            (".", "554 5.7.1 x", "bounced 554 5.7.1"),
        ] {
            if at == "DATA" && offers.contains(&"CHUNKING") {
                continue;
            }
            let (_, setting) = scripted(move |_, line| {
                if line.split(' ').next() == Some(at) { say(says) } else { polite(offers, line) }
            });
            setting.run(move |world, _| async move {
                let to = ["b@a.test", "c@a.test"];
                assert_eq!(world.deliver(&to).await, [becomes; 2], "{offers:?} {at}");
            });
        }
    }
}

const FIVE: [&str; 5] = ["a@a.test", "b@a.test", "c@a.test", "d@a.test", "e@a.test"];

#[test]
fn more_recipients_than_a_transaction_takes_go_in_several_at_once() {
    let offers = ["PIPELINING", "LIMITS RCPTMAX=2"];
    let (server, setting) = scripted(move |_, line| polite(&offers, line));
    setting.run(|world, _| async move {
        assert_eq!(world.deliver(&FIVE).await, [DELIVERED; 5]);
    });
    assert_eq!((server.connections(), server.count("MAIL"), server.count("RCPT")), (1, 3, 5));
}

#[test]
fn recipients_too_many_are_tried_again_at_once() {
    let count = AtomicUsize::new(0);
    let (server, setting) = scripted(move |_, line| {
        match line.split(' ').next() {
            Some("MAIL") => count.store(0, SeqCst),
            Some("RCPT") if count.fetch_add(1, SeqCst) >= 3 => return say("452 4.5.3 too many"),
            _ => {}
        }
        polite(&["PIPELINING"], line)
    });
    setting.run(|world, _| async move {
        assert_eq!(world.deliver(&FIVE).await, [DELIVERED; 5]);
    });
    assert_eq!((server.connections(), server.count("MAIL")), (1, 2));
}

#[test]
fn lmtp_answers_for_each_recipient_after_the_message() {
    let count = AtomicUsize::new(0);
    let (server, _) = scripted(move |_, line| match line {
        "." if count.fetch_add(1, SeqCst) == 0 => {
            Answer::Say("250 2.0.0 a\r\n452 4.2.2 full\r\n550 5.2.1 gone\r\n".into())
        }
        _ => polite(&["PIPELINING"], line),
    });
    let via = server.addr.to_string();
    let setting = Setting::new(25).route("*", &[&via], HopProtocol::Lmtp);
    setting.run(|world, _| async move {
        let to = ["a@a.test", "b@a.test", "c@a.test"];
        let expected = [DELIVERED, "deferred 452 4.2.2 body", "bounced 550 5.2.1"];
        assert_eq!(world.deliver(&to).await, expected);
        assert_eq!(world.deliver(&["d@b.test"]).await, [DELIVERED]);
    });
    assert_eq!((server.count("LHLO"), server.count("EHLO")), (1, 0));
}

#[test]
fn the_sender_hears_of_failures() {
    let (server, setting) = scripted(|_, line| match line {
        _ if line.contains("later") => say("450 4.2.1 later"),
        _ if line.contains("never") => say("550 5.1.1 never"),
        _ => polite(&MODERN, line),
    });
    let setting = setting.domain("us.test", server.addr);
    setting.run(|world, _| async move {
        let to = ["now@a.test", "later@a.test", "never@a.test", "x@absent.test"];
        world.send_text(Some("from@us.test"), &to, BODY).await;
        // The bounce goes to from@us.test, over the same server.
        let metrics = Arc::clone(&world.queue_metrics);
        until(|| metrics.delivered.get() == 2, "delivery and bounce").await;
        assert_eq!((metrics.bounced.get(), metrics.deferred.get()), (2, 1));
        until(|| world.queue.snapshot().messages == 1, "the bounce is gone").await;
    });
    let bounce = server.messages().pop().unwrap();
    for word in ["never@a.test", "x@absent.test", "Status: 5.1.1", "Status: 5.1.2"] {
        assert!(bounce.contains(word), "{word} is not in {bounce}");
    }
}
