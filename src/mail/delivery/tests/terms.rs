//! Terms: mail that demands more than a host gives waits, and holds nobody else's.

use super::server::{MODERN, polite, scripted};
use super::*;
use crate::delivery::settings::TlsLevel;

/// Two domains at one host without TLS, one of which demands it.
fn divided() -> (super::server::Server, Setting) {
    let (server, setting) = scripted(|_, line| polite(&MODERN, line));
    let mut setting = setting.mx("strict.test", &[(10, "a.test")]);
    setting.routes.push(RouteSettings {
        r#match: "strict.test".into(),
        via: Vec::new(),
        mx: false,
        protocol: HopProtocol::Smtp,
        tls: Some(TlsLevel::Require),
        connections_max: 0,
        messages_per_connection_max: 0,
    });
    (server, setting)
}

#[test]
fn a_demand_that_is_not_met_holds_its_own_mail_only() {
    let (server, setting) = divided();
    setting.run(|world, _| async move {
        for _ in 0..3 {
            let fates = world.deliver(&["x@a.test", "x@strict.test", "y@a.test"]).await;
            assert_eq!(fates, [DELIVERED, "deferred 451 4.7.4 tls", DELIVERED]);
        }
        let letter = world.send(&["x@strict.test"]).await;
        world.fate(&letter).await;
        let event = world.event(&letter, "x@strict.test").unwrap();
        let reply = event["reply"].as_str().unwrap();
        assert!(reply.contains("tls = \"require\" is not met"), "{reply}");
        assert_eq!(world.metrics.rests.get(), 1, "the strict site rests, the other serves");
        let day = world.delivery.tls_outcomes();
        let results = |domain: &str| -> Vec<ResultType> {
            day.domains[domain][0].failures.iter().map(|it| it.result).collect()
        };
        assert_eq!(results("strict.test"), [ResultType::StarttlsNotSupported]);
        assert_eq!(results("a.test"), [ResultType::StarttlsNotSupported]);
        assert_eq!(day.domains["a.test"][0].successes, 0);
    });
    assert_eq!(server.messages().len(), 3);
}

#[test]
fn what_demands_tls_for_itself_goes_to_no_host_that_nobody_vouches_for() {
    let (server, setting) = scripted(|_, line| polite(&MODERN, line));
    setting.run(|world, _| async move {
        let letter = world.send_required("me@b.test", &["x@a.test"]).await;
        assert_eq!(world.fate(&letter).await, ["deferred 451 4.7.10 tls"]);
    });
    assert_eq!(server.connections(), 0);
}
