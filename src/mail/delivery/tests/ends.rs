//! How a delivery ends, and what a panic leaves behind.

use std::{
    rc::Rc,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use crate::delivery::tls::Wish;

use super::server::{Answer, MODERN, pause, polite, scripted};
use super::*;
use crate::delivery::{job::Job, lookup::Found, table::Asked, work::Berth};

#[test]
fn what_is_under_way_is_finished_and_the_rest_given_back() {
    let (server, setting) = scripted(|_, line| {
        if line.starts_with("RCPT") {
            (0..10).for_each(|_| pause());
        }
        polite(&MODERN, line)
    });
    let heard = server.clone();
    setting.with(|settings| settings.connections_per_site_max = 2).run(move |world, _| {
        let server = heard.clone();
        async move {
            let letters = world.send_all(20, "x@a.test").await;
            until(|| server.count("RCPT") > 0, "the first is on its way").await;
            world.delivery.drain(Duration::from_secs(20)).await;
            assert_eq!(world.metrics.active.get(), 0);
            world.is_quiet().await;
            let done = letters.iter().filter(|letter| world.is_settled(letter)).count();
            assert!((1..20).contains(&done), "{done}");
            assert_eq!(server.messages().len(), done, "what was begun is ended, no other is begun");
            until(|| world.queue.snapshot().messages == 20 - done as u64, "the rest is there")
                .await;
        }
    });
    server.wait_until_alone();
    assert_eq!(server.count("QUIT"), server.connections());
}

#[test]
fn what_takes_too_long_is_left_and_still_there_after_a_restart() {
    for at in ["CONNECT", "MAIL", "."] {
        let (_, setting) = scripted(move |_, line| {
            if line.split(' ').next() == Some(at) { Answer::Silence } else { polite(&[], line) }
        });
        let setting = setting.with(|settings| settings.connections_per_site_max = 1);
        setting.run(move |world, _| async move {
            let letters = world.send_all(3, "x@a.test").await;
            until(|| world.metrics.connections.get() == 1, "a connection").await;
            world.delivery.drain(Duration::from_millis(100)).await;
            assert!(letters.iter().all(|letter| !world.is_settled(letter)));
            assert!(world.metrics.active.get() <= 1, "only what is on its way is still leased");
            assert!(world.queue.close().await);
            let again = open_queue(&world.dir, &world.events, &world.queue_metrics);
            assert_eq!(again.snapshot().messages, 3);
            assert!(again.close().await);
        });
    }
}

/// A stale connection puts its message back into a line that has been cleared already.
#[test]
fn what_a_connection_leaves_behind_at_the_end_is_given_back() {
    let (open, mails) = (Arc::new(AtomicBool::new(false)), AtomicUsize::new(0));
    let gate = Arc::clone(&open);
    let (server, setting) = scripted(move |_, line| {
        if line.starts_with("MAIL") && mails.fetch_add(1, SeqCst) == 1 {
            while !gate.load(SeqCst) {
                pause();
            }
            return Answer::HangUp;
        }
        polite(&[], line)
    });
    let heard = server.clone();
    setting.run(move |world, _| {
        let (open, server) = (Arc::clone(&open), heard.clone());
        async move {
            assert_eq!(world.deliver(&["x@a.test"]).await, [DELIVERED]);
            let letter = world.send(&["y@a.test"]).await;
            until(|| server.count("MAIL") == 2, "the second is on its way").await;
            let drain = world.delivery.drain(Duration::from_secs(5));
            tokio::join!(biased; drain, async { open.store(true, SeqCst) });
            world.is_quiet().await;
            assert!(!world.is_settled(&letter));
            assert_eq!((world.queue.snapshot().messages, world.metrics.stale.get()), (1, 1));
        }
    });
    assert_eq!(server.connections(), 1);
}

#[test]
fn no_lease_is_taken_after_the_end() {
    let (server, setting) = scripted(|_, line| polite(&MODERN, line));
    setting.run(|world, _| async move {
        assert_eq!(world.deliver(&["x@a.test"]).await, [DELIVERED]);
        world.delivery.drain(Duration::ZERO).await;
        world.send(&["y@a.test"]).await;
        world.is_quiet().await;
        assert_eq!(world.queue.snapshot().ready, 1);
    });
    assert_eq!(server.messages().len(), 1);
}

/// What a connection's task owns, in a task that panics: with a limit of one, mail goes on only when
/// slot and berth are given back.
#[test]
fn a_panic_gives_back_the_lease_the_slot_and_the_berth() {
    let (server, setting) = scripted(|_, line| polite(&MODERN, line));
    setting.with(|settings| settings.connections_per_site_max = 1).run(|world, _| async move {
        let (core, dir) = (&world.delivery.0, tempfile::tempdir().unwrap());
        let other = open_queue(&dir, &Events::to_memory(0, Format::Json), &Arc::default());
        accept(&other, None, &["x@a.test"], BODY).await;
        let lease = Rc::new(other.lease().await.unwrap());
        let Found::Site(site) = core.find_domain("a.test", Wish::Usual).await else {
            panic!("a site")
        };
        let Asked::Now(slot) = core.sites_table().ask(&site.sign.name, 0, 1) else {
            panic!("a slot")
        };
        let owned = (Berth::new(core, &site, slot), Job::new(&lease, vec![0], &core.room));
        drop((lease, site));
        world.shard.spawn(async move {
            let _owned = owned;
            panic!("on purpose");
        });
        until(|| other.snapshot().active == 0, "the lease is given back").await;
        assert_eq!((other.snapshot().messages, world.shard.panics()), (1, 1));
        let letters = world.send_all(5, "x@a.test").await;
        world.all_delivered(&letters).await;
        world.delivery.drain(Duration::from_secs(5)).await;
        world.is_quiet().await;
    });
    assert_eq!((server.connections(), server.messages().len()), (1, 5));
}

/// The line is kept borrowed while the connection comes to take from it.
#[test]
#[expect(clippy::await_holding_refcell_ref, reason = "it makes the connection panic")]
fn after_a_connection_that_panics_another_goes_on() {
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let (server, setting) = scripted(move |_, line| {
        while line == "CONNECT" && !gate.load(SeqCst) {
            pause();
        }
        polite(&MODERN, line)
    });
    setting.run(move |world, _| {
        let open = Arc::clone(&open);
        async move {
            let letter = world.send(&["x@a.test"]).await;
            until(|| world.metrics.connections.get() == 1, "a connection").await;
            let Found::Site(site) = world.delivery.0.find_domain("a.test", Wish::Usual).await
            else {
                panic!("a site")
            };
            let held = site.jobs.borrow();
            open.store(true, SeqCst);
            until(|| world.shard.panics() > 0, "a panic").await;
            drop(held);
            assert_eq!(world.fate(&letter).await, [DELIVERED]);
            world.delivery.drain(Duration::from_secs(5)).await;
            world.is_quiet().await;
        }
    });
    assert_eq!(server.messages().len(), 1);
}
