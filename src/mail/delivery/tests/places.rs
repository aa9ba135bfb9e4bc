//! Where mail goes: domains, routes, literals, and ourselves.

use std::sync::atomic::Ordering::SeqCst;

use super::server::{MODERN, Server, polite, scripted};
use super::*;
use crate::delivery::settings::Family;

const HOME: Ipv4Addr = Ipv4Addr::LOCALHOST;

#[test]
fn recipients_of_several_domains_at_one_site_share_a_transaction() {
    let one = Server::modern("127.0.0.2:0");
    let port = one.addr.port();
    let two = Server::modern(&format!("127.0.0.3:{port}"));
    let setting = Setting::new(port)
        .mx("a.test", &[(10, "one.test")])
        .mx("b.test", &[(10, "one.test")])
        .mx("c.test", &[(10, "two.test")])
        .a("one.test", &[Ipv4Addr::new(127, 0, 0, 2)])
        .a("two.test", &[Ipv4Addr::new(127, 0, 0, 3)]);
    setting.run(|world, _| async move {
        for _ in 0..2 {
            let to = ["x@a.test", "x@c.test", "x@b.test", "y@a.test"];
            assert_eq!(world.deliver(&to).await, [DELIVERED; 4]);
        }
        assert_eq!(world.metrics.sites.get(), 2);
    });
    assert_eq!((one.count("MAIL"), one.count("RCPT"), two.count("RCPT")), (2, 6, 2));
}

#[test]
fn a_domain_is_asked_for_once_however_many_wait() {
    let (_, setting) = scripted(|_, line| polite(&MODERN, line));
    setting.with(|settings| settings.family = Family::Ipv4).run(|world, names| async move {
        let letters = world.send_all(20, "x@a.test").await;
        world.all_delivered(&letters).await;
        assert_eq!(world.metrics.lookups.get(), 1);
        assert_eq!(names.asked.load(SeqCst), 2, "one MX, one A");
    });
}

#[test]
fn what_the_dns_says_decides() {
    let server = Server::modern("127.0.0.1:0");
    let mut setting = Setting::new(server.addr.port())
        .a("implicit.test", &[HOME])
        .a("empty.test", &[])
        .mx("null.test", &[(0, ".")])
        .mx("lost.test", &[(10, "nowhere.test"), (20, "empty.test")])
        .mx("half.test", &[(10, "nowhere.test"), (20, "broken.test")])
        .mx("saved.test", &[(10, "nowhere.test"), (20, "implicit.test")])
        .mx("us.test", &[(10, "mail.us.test"), (20, "implicit.test")])
        .a("mail.us.test", &[HOME]);
    setting.zone.entry("broken.test".into()).or_default().broken = true;
    setting.own.names = vec!["mail.us.test".into()];
    setting.run(|world, _| async move {
        for (domain, becomes) in [
            ("implicit.test", DELIVERED),
            ("saved.test", DELIVERED),
            ("absent.test", "bounced 550 5.1.2"),
            ("empty.test", "bounced 550 5.1.2"),
            ("null.test", "bounced 556 5.1.10"),
            ("us.test", "bounced 554 5.4.6"),
            ("mail.us.test", "bounced 554 5.4.6"),
            ("lost.test", "deferred 451 4.4.4 resolve"),
            ("half.test", "deferred 451 4.4.3 resolve"),
            ("broken.test", "deferred 451 4.4.3 resolve"),
        ] {
            assert_eq!(world.deliver(&[&format!("x@{domain}")]).await, [becomes], "{domain}");
        }
        // All at once, in one message.
        let to = ["x@implicit.test", "x@absent.test", "x@broken.test"];
        let expected = [DELIVERED, "bounced 550 5.1.2", "deferred 451 4.4.3 resolve"];
        assert_eq!(world.deliver(&to).await, expected);
    });
}

#[test]
fn a_host_that_turns_out_to_be_ourselves_is_not_talked_to() {
    let us = Server::modern("127.0.0.1:0");
    let mut setting = Setting::new(us.addr.port()).domain("a.test", us.addr);
    setting.own.listeners = vec![us.addr];
    setting.run(|world, _| async move {
        assert_eq!(world.deliver(&["x@a.test"]).await, ["bounced 554 5.4.6"]);
    });
    assert_eq!(us.connections(), 0);
    // A better host that is down may come back: the mail waits for it.
    let mut setting = Setting::new(us.addr.port())
        .mx("a.test", &[(10, "down.test"), (20, "up.test")])
        .a("down.test", &[Ipv4Addr::new(127, 0, 0, 9)])
        .a("up.test", &[HOME]);
    setting.own.listeners = vec![SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), us.addr.port())];
    setting.run(|world, _| async move {
        assert_eq!(world.deliver(&["x@a.test"]).await, ["deferred 451 4.4.1 connect"]);
    });
    assert_eq!(us.count("EHLO"), 0);
}

#[test]
fn literals_go_straight_and_routes_their_own_way() {
    let direct = Server::modern("127.0.0.2:0");
    let port = direct.addr.port();
    let smart = Server::modern("127.0.0.3:0");
    let (nowhere, via) = (format!("127.0.0.4:{port}"), smart.addr.to_string());
    let setting = Setting::new(port)
        .route("*", &[&nowhere, &via], HopProtocol::Smtp)
        .route("*.out.test", &[], HopProtocol::Smtp)
        .route("named.test", &["absent.test"], HopProtocol::Smtp)
        .mx("a.out.test", &[(1, "direct.test")])
        .a("direct.test", &[Ipv4Addr::new(127, 0, 0, 2)]);
    setting.run(move |world, _| async move {
        let to = ["x@[127.0.0.2]", "x@a.test", "x@a.out.test", "x@b.test", "x@named.test"];
        let mut expected = [DELIVERED; 5];
        expected[4] = "deferred 451 4.4.4 resolve";
        let letter = world.send(&to).await;
        assert_eq!(world.fate(&letter).await, expected);
        let event = world.event(&letter, to[0]).unwrap();
        assert_eq!(event["remote"], format!("[127.0.0.2]:{port}"));
    });
    assert_eq!(smart.lines("RCPT"), ["RCPT TO:<x@a.test>", "RCPT TO:<x@b.test>"]);
    assert_eq!((smart.count("MAIL"), direct.count("RCPT")), (1, 2));
}

#[test]
fn a_route_to_the_mx_of_another_name() {
    let server = Server::modern("127.0.0.1:0");
    let mut setting = Setting::new(server.addr.port())
        .mx("provider.test", &[(1, "mx.test")])
        .a("mx.test", &[HOME])
        .route("a.test", &["provider.test"], HopProtocol::Smtp)
        .route("b.test", &["absent.test"], HopProtocol::Smtp);
    setting.routes.iter_mut().for_each(|route| route.mx = true);
    setting.run(|world, _| async move {
        let expected = [DELIVERED, "deferred 451 4.3.5 resolve"];
        assert_eq!(world.deliver(&["x@a.test", "x@b.test"]).await, expected);
    });
}

#[test]
fn new_settings_take_new_ways() {
    let (old, new) = (Server::modern("127.0.0.2:0"), Server::modern("127.0.0.3:0"));
    let (old_via, new_via) = (old.addr.to_string(), new.addr.to_string());
    let setting = Setting::new(25)
        .route("*", &[&old_via], HopProtocol::Smtp)
        .with(|settings| settings.idle = Span::hours(1));
    let heard = old.clone();
    setting.run(move |world, _| {
        let later = Setting::new(25).route("*", &[&new_via], HopProtocol::Smtp);
        let wrong = Setting::new(25).route("a b", &[], HopProtocol::Smtp);
        let old = heard.clone();
        async move {
            assert_eq!(world.deliver(&["x@a.test"]).await, [DELIVERED]);
            let settings = Arc::new(later.settings.clone());
            assert!(
                world.delivery.reload(Arc::clone(&settings), &wrong.routes, connector()).is_err()
            );
            assert_eq!(world.deliver(&["y@a.test"]).await, [DELIVERED]);
            world.delivery.reload(settings, &later.routes, connector()).unwrap();
            assert_eq!(world.deliver(&["z@a.test"]).await, [DELIVERED]);
            until(|| old.count("QUIT") == 1, "the old way's connection goes").await;
        }
    });
    assert_eq!((old.messages().len(), new.messages().len()), (2, 1));
}

/// The idle connection of before the reload holds the only slot.
#[test]
fn a_reload_that_changes_nothing_stops_nothing() {
    let (server, setting) = scripted(|_, line| polite(&MODERN, line));
    let setting = setting.with(|settings| {
        settings.connections_per_site_max = 1;
        settings.idle = Span::hours(1);
    });
    let same = setting.settings.clone();
    setting.run(move |world, _| {
        let same = Arc::new(same.clone());
        async move {
            for _ in 0..3 {
                let before = world.send_all(5, "x@a.test").await;
                world.delivery.reload(Arc::clone(&same), &[], connector()).unwrap();
                let after = world.send_all(5, "x@a.test").await;
                world.all_delivered(&before).await;
                world.all_delivered(&after).await;
            }
        }
    });
    assert_eq!(server.messages().len(), 30);
}
