//! Sites in trouble: their rest, their refusals, and one site's trouble being no other's.

use std::{
    net::TcpListener,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use super::server::{Answer, MODERN, Server, pause, polite, say, scripted};
use super::*;

/// Servers that take connections and never say a word.
fn black_holes(port: u16, count: u8) -> Vec<TcpListener> {
    (1..=count).map(|n| TcpListener::bind((Ipv4Addr::new(127, 0, 1, n), port)).unwrap()).collect()
}

/// `n.hole.test` for each of `count` black holes.
fn with_holes(mut setting: Setting, count: u8) -> Setting {
    for n in 1..=count {
        setting = setting.a(&format!("{n}.hole.test"), &[Ipv4Addr::new(127, 0, 1, n)]);
    }
    setting
}

#[test]
fn a_site_whose_hosts_all_fail_rests_and_is_tried_again() {
    let gone = TcpListener::bind("127.0.0.2:0").unwrap();
    let addr = gone.local_addr().unwrap();
    drop(gone);
    let setting = Setting::new(addr.port())
        .domain("a.test", addr)
        .with(|settings| settings.site_backoff_first = Span::secs(1));
    let server: Arc<Mutex<Option<Server>>> = Arc::default();
    setting.run(move |world, _| {
        let server = Arc::clone(&server);
        async move {
            let letters = world.send_all(5, "x@a.test").await;
            for letter in &letters {
                assert_eq!(world.fate(letter).await, ["deferred 451 4.4.1 connect"]);
            }
            let event = world.event(&letters[4], "x@a.test").unwrap();
            assert!(event["remote"].as_str().unwrap().starts_with("a.test[127.0.0.2]:"));
            assert_eq!((world.metrics.failed.get(), world.metrics.rests.get()), (1, 1));
            *server.lock().unwrap() = Some(Server::modern(&addr.to_string()));
            // Once it has rested the next mail is delivered, whenever that is.
            let mut tries = 0;
            while world.deliver(&["x@a.test"]).await != [DELIVERED] {
                tries += 1;
                assert!(tries < 500, "it rests for ever");
                sleep(20).await;
            }
            assert_eq!(world.metrics.failed.get(), 1);
        }
    });
}

#[test]
fn a_connection_refused_while_others_serve_stops_no_mail_and_is_not_repeated() {
    let (server, setting) = scripted(|number, line| {
        if number > 0 && line == "CONNECT" {
            return say("421 4.7.0 too many connections");
        }
        if line == "." {
            pause();
        }
        polite(&MODERN, line)
    });
    setting.run(|world, _| async move {
        for _ in 0..2 {
            let letters = world.send_all(30, "x@a.test").await;
            world.all_delivered(&letters).await;
        }
        assert_eq!(world.metrics.rests.get(), 0);
    });
    assert_eq!(server.messages().len(), 60);
    // As many as were on their way when the first was refused.
    assert!(server.connections() <= 20, "{}", server.connections());
}

#[test]
fn mail_that_a_connection_leaves_behind_gets_another() {
    // While the first connection is busy others are refused; it ends after two messages, and the
    // third is left.
    let (refused, ended) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (server, setting) = scripted(move |number, line| {
        match (number, line) {
            (0, ".") => {
                while refused.load(SeqCst) == 0 {
                    pause();
                }
                pause();
            }
            (0, "QUIT") => ended.store(true, SeqCst),
            (1.., "CONNECT") if !ended.load(SeqCst) => {
                refused.fetch_add(1, SeqCst);
                return say("421 4.7.0 too many connections");
            }
            _ => {}
        }
        polite(&MODERN, line)
    });
    let setting = setting.with(|settings| settings.messages_per_connection_max = 2);
    setting.run(|world, _| async move {
        let letters = world.send_all(3, "x@a.test").await;
        world.all_delivered(&letters).await;
    });
    assert_eq!(server.messages().len(), 3);
}

#[test]
fn a_black_hole_does_not_hold_up_another_site() {
    let (server, setting) = scripted(|_, line| polite(&MODERN, line));
    let holes = black_holes(server.addr.port(), 1);
    let setting = with_holes(setting, 1).with(|settings| settings.messages_active_max = 100);
    setting.run(|world, _| async move {
        let lost = world.send_all(200, "x@1.hole.test").await;
        let letters = world.send_all(100, "x@a.test").await;
        world.all_delivered(&letters).await;
        assert!(lost.iter().all(|letter| !world.is_settled(letter)), "its greeting is waited for");
        assert!(world.metrics.connections.get() <= 1 + 20, "one to the hole");
        world.delivery.drain(Duration::ZERO).await;
        until(|| world.metrics.active.get() == 0, "what waits in line is given back").await;
        assert_eq!(world.queue.snapshot().messages, 200);
    });
    drop(holes);
}

#[test]
fn a_hundred_black_holes_do_not_hold_good_mail() {
    let (server, setting) = scripted(|_, line| polite(&MODERN, line));
    let holes = black_holes(server.addr.port(), 100);
    let setting = with_holes(setting, 100).with(|settings| {
        settings.messages_active_max = 400;
        // Fewer than there are holes: what they may use of it, they use up.
        settings.connections_max = 60;
    });
    setting.run(|world, _| async move {
        // It is known to answer before the holes come.
        assert_eq!(world.deliver(&["x@a.test"]).await, [DELIVERED]);
        let mut lost = Vec::new();
        for _ in 0..2 {
            for n in 1..=100 {
                lost.push(world.send(&[&format!("x@{n}.hole.test")]).await);
            }
            let letters = world.send_all(40, "x@a.test").await;
            world.all_delivered(&letters).await;
        }
        assert!(lost.iter().all(|letter| !world.is_settled(letter)));
        assert!(world.metrics.connections.get() <= 30 + 20, "half of 60, and the good site's");
        // No idle connection of the good site has left: the holes could not use its room.
        let before = world.metrics.opened.get();
        for _ in 0..5 {
            assert_eq!(world.deliver(&["x@a.test"]).await, [DELIVERED]);
        }
        assert_eq!(world.metrics.opened.get(), before);
    });
    drop(holes);
}

#[test]
fn what_breaks_off_is_deferred_and_the_rest_goes_on() {
    let (server, setting) = scripted(|_, line| match line {
        _ if line.contains("bad") => Answer::HangUp,
        _ => polite(&[], line),
    });
    setting.run(|world, _| async move {
        for _ in 0..5 {
            assert_eq!(world.deliver(&["bad@a.test"]).await, ["deferred 451 4.4.2 rcpt"]);
            assert_eq!(world.deliver(&["good@a.test"]).await, [DELIVERED]);
        }
    });
    assert_eq!(server.messages().len(), 5);
}
