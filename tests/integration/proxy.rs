//! The PROXY protocol (HAProxy's specification, v1 and v2): believed from listed networks only.

use crate::harness::{Listener, Plan, Postbox, Server, Talk, Text};

fn start(networks: Vec<&'static str>) -> (Server, Postbox) {
    let postbox = Postbox::open();
    let mut plan = Plan::relay_to(postbox.address());
    plan.networks = vec!["203.0.113.0/24", "2001:db8::/32"];
    plan.domains = vec!["ours.test"];
    plan.listeners = vec![Listener { proxy_from: networks, ..Listener::smtp() }];
    (Server::start(plan), postbox)
}

/// A v2 header for TCP over IPv6.
fn v2(source: [u8; 16]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24".to_vec();
    header.extend_from_slice(&source);
    header.extend_from_slice(&[0; 16]);
    header.extend_from_slice(&[0x30, 0x39, 0, 25]);
    header
}

#[test]
fn the_clients_address_comes_from_the_header() {
    let (server, postbox) = start(vec!["127.0.0.1"]);
    let mut talk = server.talk();
    talk.send(b"PROXY TCP4 203.0.113.7 192.0.2.1 4242 25\r\n");
    talk.expect("220");
    talk.ask("EHLO client.test", "250");
    talk.mail("<a@source.test>", &["<b@anywhere.test>"], "Subject: v1\r\n\r\nx");
    let text = postbox.wait_for("Subject: v1", 20).text();
    assert!(text.contains("[203.0.113.7]"), "{text}");

    let mut talk = server.talk();
    let source = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    // The header and the first command in one packet, and the header itself in two.
    let octets = [v2(source), b"EHLO client.test\r\n".to_vec()].concat();
    talk.send(&octets[..20]);
    std::thread::sleep(std::time::Duration::from_millis(50));
    talk.send(&octets[20..]);
    talk.expect("220");
    talk.expect("250");
    talk.mail("<a@source.test>", &["<b@anywhere.test>"], "Subject: v2\r\n\r\nx");
    let text = postbox.wait_for("Subject: v2", 20).text();
    assert!(text.contains("[IPv6:2001:db8::9]"), "{text}");
}

#[test]
fn relay_permission_follows_the_header() {
    let (server, _postbox) = start(vec!["127.0.0.0/8"]);
    let mut talk = server.talk();
    talk.send(b"PROXY TCP4 198.51.100.1 192.0.2.1 4242 25\r\n");
    talk.expect("220");
    talk.ask("EHLO client.test", "250");
    talk.ask("MAIL FROM:<a@source.test>", "250");
    talk.ask("RCPT TO:<b@anywhere.test>", "550 5.7.1");
    talk.ask("RCPT TO:<b@ours.test>", "250");
}

/// From elsewhere a header could lie: no greeting, no mail.
#[test]
fn other_networks_are_not_believed() {
    let (server, postbox) = start(vec!["127.0.0.2"]);
    let mut talk = server.talk();
    talk.try_send(b"PROXY TCP4 203.0.113.7 192.0.2.1 4242 25\r\n");
    let reply = talk.reply();
    assert!(!reply.starts_with("220"), "{reply}");
    assert_eq!(postbox.count(), 0);
}

#[test]
fn a_listed_balancer_must_send_a_header() {
    let (server, _postbox) = start(vec!["127.0.0.1"]);
    for nonsense in [&b"EHLO client.test\r\n"[..], b"PROXY TCP4 nonsense\r\n", &[b'P'; 4000]] {
        let mut talk: Talk = server.talk();
        talk.try_send(nonsense);
        let reply = talk.reply();
        assert!(!reply.starts_with("220") && !reply.starts_with("250"), "{reply}");
    }
}
