//! Limits: connections to a site, on a shard, messages over each, and room in the line.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use super::server::{MODERN, Server, pause, polite, scripted};
use super::*;

#[test]
fn one_connection_serves_one_message_after_the_other() {
    let (server, setting) = scripted(|_, line| polite(&MODERN, line));
    setting.run(|world, _| async move {
        for _ in 0..50 {
            assert_eq!(world.deliver(&["x@a.test"]).await, [DELIVERED]);
        }
        assert_eq!((world.metrics.opened.get(), world.metrics.reused.get()), (1, 49));
        assert_eq!(world.metrics.transactions.get(), 50);
        world.delivery.drain(Duration::from_secs(5)).await;
        world.is_quiet().await;
    });
    server.wait_until_alone();
    assert_eq!((server.connections(), server.count("QUIT")), (1, 1));
}

#[test]
fn a_burst_does_not_send_idle_connections_away() {
    let (server, setting) = scripted(|_, line| polite(&MODERN, line));
    let setting = setting.with(|settings| {
        settings.connections_per_site_max = 2;
        settings.idle = Span::hours(1);
    });
    setting.run(|world, _| async move {
        for _ in 0..20 {
            let letters = world.send_all(4, "x@a.test").await;
            world.all_delivered(&letters).await;
        }
        assert!(world.metrics.opened.get() <= 2, "{}", world.metrics.opened.get());
    });
    assert_eq!(server.messages().len(), 80);
}

#[test]
fn connections_and_messages_over_each_are_bounded() {
    let (server, setting) = scripted(|_, line| polite(&MODERN, line));
    let setting = setting.with(|settings| {
        settings.connections_per_site_max = 3;
        settings.messages_per_connection_max = 7;
    });
    setting.run(|world, _| async move {
        let letters = world.send_all(100, "x@a.test").await;
        world.all_delivered(&letters).await;
        assert!(world.metrics.opened.get() >= 100 / 7);
    });
    assert_eq!(server.messages().len(), 100);
    let lines = server.heard.lines.lock().unwrap();
    for number in 0..server.connections() {
        let mails = lines.iter().filter(|(n, line)| *n == number && line.starts_with("MAIL"));
        assert!(mails.count() <= 7);
    }
    // A connection that was told QUIT may live a moment longer at its server's.
    assert!(server.heard.open_max.load(SeqCst) <= 6);
}

#[test]
fn a_route_has_limits_of_its_own() {
    let (server, _) = scripted(|_, line| polite(&MODERN, line));
    let via = server.addr.to_string();
    let mut setting = Setting::new(25).route("*", &[&via], HopProtocol::Smtp);
    setting.routes[0].messages_per_connection_max = 1;
    setting.run(|world, _| async move {
        let letters = world.send_all(3, "x@a.test").await;
        world.all_delivered(&letters).await;
    });
    assert_eq!(server.connections(), 3);
}

/// Idle connections are kept for an hour, yet nobody waits that long for their room.
#[test]
fn idle_connections_make_room_on_a_full_shard() {
    let server = Server::modern("127.0.0.1:0");
    let mut setting = Setting::new(server.addr.port()).with(|settings| {
        settings.connections_max = 4;
        settings.idle = Span::hours(1);
    });
    for n in 0..12 {
        let host: &'static str = Box::leak(format!("{n}.test").into_boxed_str());
        setting = setting.mx(host, &[(1, host)]).a(host, &[Ipv4Addr::LOCALHOST]);
    }
    setting.run(|world, _| async move {
        for round in 0..3 {
            let mut letters = Vec::new();
            for n in 0..12 {
                letters.push(world.send(&[&format!("x@{n}.test")]).await);
                assert!(world.metrics.connections.get() <= 4);
            }
            world.all_delivered(&letters).await;
            // One after the other, too: each makes room for the next.
            assert_eq!(world.deliver(&[&format!("y@{round}.test")]).await, [DELIVERED]);
        }
        // Nobody waits: those that are left stay.
        let before = world.metrics.opened.get();
        for _ in 0..5 {
            assert_eq!(world.deliver(&["z@2.test"]).await, [DELIVERED]);
        }
        assert_eq!(world.metrics.opened.get(), before);
    });
    assert!(server.heard.open_max.load(SeqCst) <= 8, "four, and as many that have said QUIT");
}

#[test]
fn idle_connections_are_closed_in_time() {
    let (server, setting) = scripted(|_, line| polite(&MODERN, line));
    let heard = server.clone();
    setting.with(|settings| settings.idle = Span::ms(20)).run(move |world, _| {
        let server = heard.clone();
        async move {
            assert_eq!(world.deliver(&["x@a.test"]).await, [DELIVERED]);
            until(|| server.count("QUIT") == 1, "QUIT").await;
            world.is_quiet().await;
            assert_eq!(world.deliver(&["x@a.test"]).await, [DELIVERED]);
        }
    });
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_limit_of_one_serves_three_shards() {
    let (server, setting) = scripted(|_, line| polite(&MODERN, line));
    let mut setting = setting.with(|settings| {
        settings.connections_per_site_max = 1;
        settings.idle = Span::hours(1);
    });
    setting.shards = 3;
    let finished = Arc::new(AtomicUsize::new(0));
    setting.run(move |world, _| {
        let finished = Arc::clone(&finished);
        async move {
            for _ in 0..3 {
                let letters = world.send_all(20, "x@a.test").await;
                world.all_delivered(&letters).await;
            }
            finished.fetch_add(1, SeqCst);
            // Idle connections are kept for an hour, yet nobody waits that long.
            until(|| finished.load(SeqCst) == 3, "all shards are served").await;
        }
    });
    assert_eq!(server.messages().len(), 3 * 3 * 20);
    assert!(server.heard.open_max.load(SeqCst) <= 2, "one, and one that has said QUIT");
}

/// Parked mail comes by itself after a minute, which is longer than a test waits.
#[test]
fn what_finds_no_room_is_parked_and_called_back() {
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let (server, setting) = scripted(move |_, line| {
        while line == "." && !gate.load(SeqCst) {
            pause();
        }
        polite(&MODERN, line)
    });
    let other = Server::modern(&format!("127.0.0.2:{}", server.addr.port()));
    let setting = setting.domain("b.test", other.addr).with(|settings| {
        settings.messages_active_max = 100;
        settings.connections_per_site_max = 1;
    });
    setting.run(move |world, _| {
        let open = Arc::clone(&open);
        async move {
            let letters = world.send_all(300, "x@a.test").await;
            until(|| world.metrics.postponed.get() >= 200, "parking").await;
            assert!(world.metrics.active.get() <= 66, "{}", world.metrics.active.get());
            assert_eq!(world.deliver(&["x@b.test"]).await, [DELIVERED]);
            let parked = world.metrics.postponed.get();
            open.store(true, SeqCst);
            world.all_delivered(&letters).await;
            until(|| world.queue.is_empty(), "the queue is empty").await;
            let again = world.metrics.postponed.get() - parked;
            assert!(again <= 100, "{again} were called back for nothing");
        }
    });
    assert_eq!(server.messages().len(), 300);
}
