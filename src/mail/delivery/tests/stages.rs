//! Connections that go wrong, from the greeting to the end of the message.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use super::server::{Answer, MODERN, Server, polite, say, scripted};
use super::*;

#[test]
fn a_greeting_that_refuses_leads_to_the_next_host() {
    for refusal in ["554 5.3.2 no service", "421 4.3.2 busy", "what?"] {
        let bad = Server::start("127.0.0.2:0", move |_, _| say(refusal));
        let port = bad.addr.port();
        let good = Server::modern(&format!("127.0.0.3:{port}"));
        let setting = Setting::new(port)
            .mx("a.test", &[(10, "bad.test"), (20, "good.test")])
            .a("bad.test", &["127.0.0.2".parse().unwrap()])
            .a("good.test", &["127.0.0.3".parse().unwrap()]);
        setting.run(|world, _| async move {
            assert_eq!(world.deliver(&["b@a.test"]).await, [DELIVERED]);
            assert_eq!((world.metrics.failed.get(), world.metrics.rests.get()), (1, 0));
        });
        assert_eq!((bad.connections(), good.messages().len()), (1, 1));
    }
}

#[test]
fn greetings_that_refuse_everywhere_let_the_site_rest() {
    for (refusal, becomes) in [
        ("554 5.3.2 no service", "deferred 451 4.3.2 greeting"),
        ("421 4.3.9 busy", "deferred 421 4.3.9 greeting"),
    ] {
        let (server, setting) = scripted(move |_, _| say(refusal));
        setting.run(move |world, _| async move {
            for to in ["b@a.test", "c@a.test", "d@a.test"] {
                assert_eq!(world.deliver(&[to]).await, [becomes]);
            }
            assert_eq!((world.metrics.failed.get(), world.metrics.rests.get()), (1, 1));
        });
        assert_eq!(server.connections(), 1, "later mail is deferred without one");
    }
}

#[test]
fn a_stale_connection_is_replaced_at_once() {
    for (offers, last_words) in [
        (&MODERN[..], None),
        (&[], None),
        (&MODERN[..], Some("421 4.4.2 timeout")),
        (&[], Some("421 bye")),
    ] {
        let used = Mutex::new(HashMap::<usize, u32>::new());
        let (server, setting) = scripted(move |number, line| {
            if line.starts_with("MAIL") {
                let mut used = used.lock().unwrap();
                let count = used.entry(number).or_default();
                *count += 1;
                if *count == 2 {
                    return last_words.map_or(Answer::HangUp, say);
                }
            }
            polite(offers, line)
        });
        setting.run(|world, _| async move {
            for count in 1..=3 {
                assert_eq!(world.deliver(&["b@a.test"]).await, [DELIVERED]);
                assert_eq!(world.metrics.opened.get(), count);
                assert_eq!(world.metrics.stale.get(), count - 1);
            }
        });
        assert_eq!(server.connections(), 3);
    }
}

#[test]
fn a_new_connection_that_breaks_is_not_stale() {
    let (server, setting) = scripted(|_, line| match line {
        _ if line.starts_with("MAIL") => Answer::HangUp,
        _ => polite(&MODERN, line),
    });
    setting.run(|world, _| async move {
        assert_eq!(world.deliver(&["b@a.test"]).await, ["deferred 451 4.4.2 mail"]);
    });
    assert_eq!(server.connections(), 1);
}

#[test]
fn four_two_one_ends_the_connection_and_defers() {
    for (at, becomes) in [
        ("MAIL", "deferred 421 4.3.2 mail"),
        ("RCPT", "deferred 421 4.3.2 rcpt"),
        (".", "deferred 421 4.3.2 body"),
    ] {
        let (server, setting) = scripted(move |number, line| {
            if number == 0 && line.split(' ').next() == Some(at) {
                return say("421 4.3.2 going down");
            }
            polite(&MODERN, line)
        });
        setting.run(move |world, _| async move {
            assert_eq!(world.deliver(&["b@a.test"]).await, [becomes]);
            assert_eq!(world.deliver(&["c@a.test"]).await, [DELIVERED]);
        });
        assert_eq!(server.connections(), 2, "{at}");
    }
}

#[test]
fn a_connection_lost_in_the_message_defers() {
    for offers in [&MODERN[..], &["PIPELINING"], &[]] {
        let (_, setting) = scripted(move |_, line| match line {
            "." => Answer::HangUp,
            _ => polite(offers, line),
        });
        setting.run(|world, _| async move {
            assert_eq!(world.deliver(&["b@a.test"]).await, ["deferred 451 4.4.2 body"]);
        });
    }
}

#[test]
fn silence_ends_at_every_stage() {
    for (at, becomes) in [
        ("CONNECT", "deferred 451 4.4.2 greeting"),
        ("EHLO", "deferred 451 4.4.2 hello"),
        ("MAIL", "deferred 451 4.4.2 mail"),
        ("RCPT", "deferred 451 4.4.2 rcpt"),
        ("DATA", "deferred 451 4.4.2 data"),
        (".", "deferred 451 4.4.2 body"),
    ] {
        let (_, setting) = scripted(move |_, line| {
            if line.split(' ').next() == Some(at) { Answer::Silence } else { polite(&[], line) }
        });
        let span = Span::ms(100);
        let setting = setting.with(|settings| {
            settings.timeouts = TimeoutSettings {
                connect: Span::secs(10),
                greeting: span,
                helo: span,
                mail: span,
                rcpt: span,
                data_init: span,
                data_block: span,
                data_done: span,
                quit: span,
            }
        });
        setting.run(move |world, _| async move {
            let letter = world.send(&["b@a.test"]).await;
            assert_eq!(world.fate(&letter).await, [becomes]);
            let event = world.event(&letter, "b@a.test").unwrap();
            assert!(event["reply"].as_str().unwrap().contains("in time"), "{event}");
            world.is_quiet().await;
        });
    }
}

/// It is not stale: it has answered, and the server may have the message.
#[test]
fn a_kept_connection_that_breaks_in_the_message_defers() {
    let ends = AtomicUsize::new(0);
    let (server, setting) = scripted(move |_, line| match line {
        "." if ends.fetch_add(1, SeqCst) == 1 => Answer::HangUp,
        _ => polite(&[], line),
    });
    setting.run(|world, _| async move {
        assert_eq!(world.deliver(&["b@a.test"]).await, [DELIVERED]);
        assert_eq!(world.deliver(&["b@a.test"]).await, ["deferred 451 4.4.2 body"]);
        assert_eq!(world.metrics.stale.get(), 0);
    });
    assert_eq!(server.connections(), 1);
}
