//! Dialogues with a scripted peer: what it says goes in, what we say and conclude is compared.

use std::rc::Rc;

use proptest::prelude::*;

use super::*;
use crate::types::{Address, BodyKind, Envelope, Recipient, Timestamp};

const NOW: Moment = Moment(1_000);
const HELLO: &str = "220 mx.example ESMTP\r\n";

fn envelope(recipients: &[&str]) -> Envelope {
    let recipient = |text: &&str| Recipient {
        address: Address::parse(text).unwrap(),
        notify: None,
        orcpt: None,
    };
    Envelope {
        sender: Some(Address::parse("a@x.example").unwrap()),
        recipients: recipients.iter().map(recipient).collect(),
        body: BodyKind::SevenBit,
        smtputf8: false,
        ret: None,
        envid: None,
        arrived: Timestamp(0),
        size: 10,
        origin: "test".into(),
        require_tls: false,
        hold_until: None,
        authenticity: None,
    }
}

fn job<'a>(envelope: &'a Envelope, recipients: &'a [u32]) -> Job<'a> {
    Job { envelope, recipients, size: 10, eight_bit: false, utf8_header: false }
}

/// A greeted client; `offers` are the lines after the first of the EHLO reply.
fn greeted(offers: &[&str], lmtp: bool) -> Client {
    let mut config = Config::new("me.example");
    config.lmtp = lmtp;
    let mut client = Client::new(Rc::new(config), NOW);
    let mut out = Vec::new();
    assert_eq!(client.feed(NOW, HELLO.as_bytes(), &mut out).1, Step::NeedInput);
    assert_eq!(out, if lmtp { b"LHLO me.example\r\n" } else { b"EHLO me.example\r\n" });
    let mut lines = vec!["mx.example"];
    lines.extend(offers);
    let last = lines.len() - 1;
    let reply: String = lines
        .iter()
        .enumerate()
        .map(|(at, line)| format!("250{}{line}\r\n", if at == last { ' ' } else { '-' }))
        .collect();
    assert_eq!(client.feed(NOW, reply.as_bytes(), &mut out).1, Step::Ready);
    client
}

/// Runs one transaction against everything the peer will say; returns our words and the outcomes
/// as `(recipient, code, stage, again)`.
fn run(
    client: &mut Client,
    job: &Job<'_>,
    peer: &[u8],
    cut: usize,
) -> (String, Vec<(u32, u16, Stage, bool)>) {
    let mut said = Vec::new();
    let mut step = client.begin(NOW, job, &mut said);
    let mut rest = peer;
    let outcomes = loop {
        step = match step {
            Step::SendBody(framing) => {
                match framing {
                    Framing::Dots => said.extend_from_slice(b"<body>.\r\n"),
                    Framing::Raw => said.extend_from_slice(b"<body>"),
                    Framing::Nothing => {}
                }
                client.body_sent(NOW, &mut said)
            }
            Step::Done(outcomes) => break outcomes,
            Step::NeedInput if rest.is_empty() => break client.lost("connection closed"),
            Step::NeedInput => {
                let piece = &rest[..cut.min(rest.len())];
                let (used, step) = client.feed(NOW, piece, &mut said);
                rest = &rest[used..];
                step
            }
            other => panic!("unexpected step {other:?}"),
        };
    };
    let brief = |o: RecipientOutcome| (o.recipient, o.outcome.reply.code, o.outcome.stage, o.again);
    let mut outcomes: Vec<_> = outcomes.into_iter().map(brief).collect();
    outcomes.sort_unstable_by_key(|outcome| outcome.0);
    (String::from_utf8(said).unwrap(), outcomes)
}

#[test]
fn one_by_one_without_pipelining() {
    let envelope = envelope(&["b@y.example", "c@y.example"]);
    let mut client = greeted(&[], false);
    let mut said = Vec::new();
    assert_eq!(client.begin(NOW, &job(&envelope, &[0, 1]), &mut said), Step::NeedInput);
    assert_eq!(said, b"MAIL FROM:<a@x.example>\r\n");
    said.clear();
    assert_eq!(client.feed(NOW, b"250 ok\r\n", &mut said).1, Step::NeedInput);
    assert_eq!(said, b"RCPT TO:<b@y.example>\r\n");
    said.clear();
    client.feed(NOW, b"250 ok\r\n", &mut said);
    assert_eq!(said, b"RCPT TO:<c@y.example>\r\n");
    said.clear();
    client.feed(NOW, b"550 no\r\n", &mut said);
    assert_eq!(said, b"DATA\r\n");
    assert_eq!(client.feed(NOW, b"354 go\r\n", &mut said).1, Step::SendBody(Framing::Dots));
    client.body_sent(NOW, &mut said);
    let Step::Done(outcomes) = client.feed(NOW, b"250 2.0.0 ok\r\n", &mut said).1 else {
        panic!("not done")
    };
    let codes: Vec<_> = outcomes.iter().map(|o| (o.recipient, o.outcome.reply.code)).collect();
    assert_eq!(codes, [(1, 550), (0, 250)]);
    assert!(client.reusable());
}

#[test]
fn pipelined_commands_leave_in_one_send() {
    let envelope = envelope(&["b@y.example", "c@y.example"]);
    let mut client = greeted(&["PIPELINING"], false);
    let peer = b"250 ok\r\n550 5.1.1 no\r\n250 ok\r\n";
    let mut said = Vec::new();
    assert_eq!(client.begin(NOW, &job(&envelope, &[0, 1]), &mut said), Step::NeedInput);
    let all =
        b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nRCPT TO:<c@y.example>\r\nDATA\r\n";
    assert_eq!(said, all);
    let mut rest = &peer[..];
    while !rest.is_empty() {
        let (used, step) = client.feed(NOW, rest, &mut said);
        assert_eq!(step, Step::NeedInput);
        rest = &rest[used..];
    }
    assert_eq!(client.feed(NOW, b"354 go\r\n", &mut said).1, Step::SendBody(Framing::Dots));
}

#[test]
fn chunking_takes_one_round_trip() {
    let envelope = envelope(&["b@y.example"]);
    let mut client = greeted(&["PIPELINING", "CHUNKING"], false);
    let (said, outcomes) =
        run(&mut client, &job(&envelope, &[0]), b"250 ok\r\n250 ok\r\n250 ok\r\n", 99);
    assert_eq!(said, "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nBDAT 10 LAST\r\n<body>");
    assert_eq!(outcomes, [(0, 250, Stage::Body, false)]);
}

#[test]
fn all_refused_after_354_sends_an_empty_message() {
    let envelope = envelope(&["b@y.example"]);
    let mut client = greeted(&["PIPELINING"], false);
    let peer = b"250 ok\r\n450 later\r\n354 go\r\n";
    let mut said = Vec::new();
    client.begin(NOW, &job(&envelope, &[0]), &mut said);
    said.clear();
    let mut rest = &peer[..];
    let mut last = Step::NeedInput;
    while !rest.is_empty() {
        let (used, step) = client.feed(NOW, rest, &mut said);
        (rest, last) = (&rest[used..], step);
    }
    assert_eq!(last, Step::SendBody(Framing::Nothing));
    assert_eq!(said, b".\r\n");
    client.body_sent(NOW, &mut said);
    let step = client.feed(NOW, b"554 no valid recipients\r\n", &mut said).1;
    let Step::Done(outcomes) = step else { panic!("{step:?}") };
    assert_eq!(outcomes[0].outcome.reply.code, 450);
    assert!(client.reusable());
}

#[test]
fn lmtp_answers_for_each_recipient() {
    let envelope = envelope(&["b@y.example", "c@y.example", "d@y.example"]);
    let mut client = greeted(&["PIPELINING"], true);
    let peer = b"250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n250 ok\r\n452 full\r\n";
    let (_, outcomes) = run(&mut client, &job(&envelope, &[0, 1, 2]), peer, 1);
    assert_eq!(
        outcomes,
        [(0, 250, Stage::Body, false), (1, 550, Stage::Rcpt, false), (2, 452, Stage::Body, false)]
    );
}

#[test]
fn what_is_not_offered_is_refused_without_asking() {
    let envelope = envelope(&["b@y.example"]);
    let mut client = greeted(&["SIZE 5"], false);
    let mut said = Vec::new();
    let step = client.begin(NOW, &job(&envelope, &[0]), &mut said);
    let Step::Done(outcomes) = step else { panic!("{step:?}") };
    assert_eq!(outcomes[0].outcome.reply.enhanced, Some(Enhanced(5, 3, 4)));
    let mut client = greeted(&[], false);
    let eight = Job { eight_bit: true, ..job(&envelope, &[0]) };
    let Step::Done(outcomes) = client.begin(NOW, &eight, &mut said) else { panic!("not done") };
    assert_eq!(outcomes[0].outcome.reply.enhanced, Some(Enhanced(5, 6, 3)));
    assert!(said.is_empty());
    assert!(client.reusable());
}

#[test]
fn a_421_or_a_break_settles_everybody() {
    let envelope = envelope(&["b@y.example", "c@y.example"]);
    for (peer, code) in [(&b"250 ok\r\n250 ok\r\n421 bye\r\n"[..], 421), (b"250 ok\r\n", 451)] {
        let mut client = greeted(&["PIPELINING"], false);
        let (_, outcomes) = run(&mut client, &job(&envelope, &[0, 1]), peer, 99);
        let codes: Vec<_> = outcomes.iter().map(|outcome| outcome.1).collect();
        assert_eq!(codes, [code, code]);
        assert!(!client.reusable());
    }
}

#[test]
fn old_servers_get_helo_and_refusing_ones_nothing() {
    let mut client = Client::new(Rc::new(Config::new("me.example")), NOW);
    let mut out = Vec::new();
    client.feed(NOW, HELLO.as_bytes(), &mut out);
    out.clear();
    assert_eq!(client.feed(NOW, b"502 what?\r\n", &mut out).1, Step::NeedInput);
    assert_eq!(out, b"HELO me.example\r\n");
    assert_eq!(client.feed(NOW, b"250 hi\r\n", &mut out).1, Step::Ready);

    let mut client = Client::new(Rc::new(Config::new("me.example")), NOW);
    let step = client.feed(NOW, b"554 no service\r\n", &mut out).1;
    let Step::Failed(outcome) = step else { panic!("{step:?}") };
    assert_eq!((outcome.stage, outcome.reply.code), (Stage::Greeting, 554));
}

#[test]
fn a_peer_that_talks_before_it_is_asked_is_cut_off() {
    let mut client = Client::new(Rc::new(Config::new("me.example")), NOW);
    let mut out = Vec::new();
    let step = client.feed(NOW, b"220 hi\r\n250 already\r\n", &mut out).1;
    assert!(matches!(step, Step::Failed(_)), "{step:?}");
    assert!(out.is_empty());
    let mut client = greeted(&[], false);
    assert_eq!(client.feed(NOW, b"421 going\r\n", &mut out).1, Step::Close);
    assert!(!client.reusable());
}

#[test]
fn an_endless_reply_ends_the_connection() {
    let envelope = envelope(&["b@y.example"]);
    let mut client = greeted(&[], false);
    let flood = b"250-more\r\n".repeat(100_000);
    let (_, outcomes) = run(&mut client, &job(&envelope, &[0]), &flood, 4096);
    assert_eq!(outcomes.len(), 1);
    assert!(outcomes[0].1 >= 400 && !client.reusable());
}

#[test]
fn deadlines_follow_the_stage() {
    let mut client = Client::new(Rc::new(Config::new("me.example")), NOW);
    assert_eq!(client.deadline(), NOW.after(Timeouts::default().greeting));
    let mut out = Vec::new();
    client.feed(NOW, HELLO.as_bytes(), &mut out);
    assert_eq!(client.deadline(), NOW.after(Timeouts::default().helo));
    assert_eq!(client.stage(), Stage::Hello);
    client.feed(NOW, b"250 mx\r\n", &mut out);
    assert_eq!(client.deadline(), Moment::NEVER);
}

proptest! {
    #[test]
    fn every_recipient_gets_one_outcome_however_replies_are_cut(
        replies in prop::collection::vec(
            prop::sample::select(vec![
                "250 ok\r\n", "250-two\r\n250 lines\r\n", "550 5.1.1 no\r\n", "354 go\r\n",
                "452 4.5.3 many\r\n", "421 bye\r\n", "nonsense\r\n", "451 later\r\n",
            ]),
            1..8,
        ),
        cut in 1_usize..12,
        pipelining: bool,
    ) {
        let envelope = envelope(&["b@y.example", "c@z.example"]);
        let offers: &[&str] = if pipelining { &["PIPELINING"] } else { &[] };
        let peer = replies.concat();
        let by_one = run(&mut greeted(offers, false), &job(&envelope, &[0, 1]), peer.as_bytes(), 1);
        let outcomes = |cut| {
            let mut client = greeted(offers, false);
            run(&mut client, &job(&envelope, &[0, 1]), peer.as_bytes(), cut).1
        };
        // One outcome a recipient, whatever the peer says.
        let told: Vec<_> = outcomes(cut).iter().map(|outcome| outcome.0).collect();
        prop_assert_eq!(told, vec![0, 1]);
        prop_assert_eq!(by_one.1.len(), 2);
    }
}
