//! Exchanges: what the RFCs print, what strangers might send, and our own client against us.

mod scram;

use proptest::prelude::*;

use super::*;

const SALT: [u8; 16] = *b"0123456789abcdef";
const EXPORTER: [u8; 32] = [7; 32];

fn setup(mechanism: Mechanism) -> Setup {
    Setup {
        mechanism,
        channel: Channel {
            exporter: Some(EXPORTER),
            end_point: Some(b"hash of a certificate".as_slice().into()),
            certificate: Some("owner@x.org".into()),
        },
        plus_offered: true,
        limits: Limits::default(),
    }
}

fn begin(mechanism: Mechanism, initial: Option<&[u8]>) -> (Exchange, Step) {
    Exchange::begin(setup(mechanism), initial)
}

fn identity(mechanism: Mechanism, authentication: &str, authorization: &str) -> Identity {
    Identity {
        mechanism,
        authentication: authentication.into(),
        authorization: authorization.into(),
    }
}

fn challenge(step: Step) -> Vec<u8> {
    match step {
        Step::Challenge(octets) => octets,
        other => panic!("{other:?}"),
    }
}

/// The password that is asked about.
fn asked(exchange: &Exchange) -> (&Identity, &str) {
    match exchange.proof() {
        Some(Proof::Password { identity, password }) => (identity, password.as_str()),
        other => panic!("{other:?}"),
    }
}

/// Nothing that is fed or answered revives an exchange that is over.
fn assert_over(mut exchange: Exchange) {
    assert_eq!(exchange.proof(), None);
    assert_eq!(exchange.feed(b""), Step::Failure(Failure::Malformed));
    assert_eq!(exchange.answer(Answer::Granted), Step::Failure(Failure::Unavailable));
}

#[test]
fn plain_of_rfc_4616() {
    let (mut exchange, step) = begin(Mechanism::Plain, Some(b"\0tim\0tanstaaftanstaaf"));
    assert_eq!(step, Step::Ask);
    let tim = identity(Mechanism::Plain, "tim", "tim");
    assert_eq!(asked(&exchange), (&tim, "tanstaaftanstaaf"));
    assert_eq!(exchange.answer(Answer::Granted), Step::Success(tim));
    assert_over(exchange);

    let (mut exchange, step) = begin(Mechanism::Plain, None);
    assert_eq!(challenge(step), b"");
    assert_eq!(exchange.feed(b"Ursel\0Kurt\0xipj3plmq"), Step::Ask);
    assert_eq!(asked(&exchange), (&identity(Mechanism::Plain, "Kurt", "Ursel"), "xipj3plmq"));
    assert_eq!(exchange.answer(Answer::Denied), Step::Failure(Failure::Wrong));
    assert_over(exchange);
}

#[test]
fn malformed_and_impossible_plain_messages() {
    let long = |octets| "x".repeat(octets);
    for (message, failure) in [
        (String::new(), Failure::Malformed),
        ("tim".into(), Failure::Malformed),
        ("\0tim".into(), Failure::Malformed),
        ("\0\0password".into(), Failure::Malformed),
        ("\0tim\0pass\0word".into(), Failure::Malformed),
        ("\0tim\0".into(), Failure::Wrong),
        ("\0t\rim\0password".into(), Failure::Wrong),
        (format!("\0{}\0password", long(256)), Failure::Wrong),
        (format!("{}\0tim\0password", long(256)), Failure::Wrong),
        (format!("\0tim\0{}", long(1025)), Failure::Wrong),
    ] {
        let (exchange, step) = begin(Mechanism::Plain, Some(message.as_bytes()));
        assert_eq!(step, Step::Failure(failure), "{message:?}");
        assert_over(exchange);
    }
    let (_, step) = begin(Mechanism::Plain, Some(b"\0tim\0\xff"));
    assert_eq!(step, Step::Failure(Failure::Wrong));
    let most = format!("{0}\0{0}\0{1}", long(255), long(1024));
    assert_eq!(begin(Mechanism::Plain, Some(most.as_bytes())).1, Step::Ask);
}

#[test]
fn login_asks_twice() {
    for initial in [None, Some(&b"tim"[..])] {
        let (mut exchange, mut step) = begin(Mechanism::Login, initial);
        if initial.is_none() {
            assert_eq!(challenge(step), b"Username:");
            step = exchange.feed(b"tim");
        }
        assert_eq!(challenge(step), b"Password:");
        assert_eq!(exchange.feed(b"secret"), Step::Ask);
        assert_eq!(asked(&exchange), (&identity(Mechanism::Login, "tim", "tim"), "secret"));
        let tim = identity(Mechanism::Login, "tim", "tim");
        assert_eq!(exchange.answer(Answer::Granted), Step::Success(tim));
        assert_over(exchange);
    }
    for name in [&b""[..], b"a\0b", b"\xff"] {
        assert_eq!(begin(Mechanism::Login, Some(name)).1, Step::Failure(Failure::Wrong));
    }
    let (mut exchange, _) = begin(Mechanism::Login, Some(b"tim"));
    assert_eq!(exchange.feed(b""), Step::Failure(Failure::Wrong));
    assert_over(exchange);
}

#[test]
fn external_is_who_the_certificate_names() {
    for (wanted, authorization) in [(&b""[..], "owner@x.org"), (b"other@x.org", "other@x.org")] {
        let (mut exchange, step) = begin(Mechanism::External, Some(wanted));
        assert_eq!(step, Step::Ask);
        let owner = identity(Mechanism::External, "owner@x.org", authorization);
        let proof = Proof::Certificate { identity: owner.clone() };
        assert_eq!(exchange.proof(), Some(&proof));
        assert_eq!(exchange.answer(Answer::Granted), Step::Success(owner));
        assert_over(exchange);
    }
    let mut without = setup(Mechanism::External);
    without.channel.certificate = None;
    let (exchange, step) = Exchange::begin(without, Some(b"owner@x.org"));
    assert_eq!(step, Step::Failure(Failure::Wrong));
    assert_over(exchange);
}

#[test]
fn answers_that_do_not_fit_prove_nothing() {
    let secrets = || Box::new(ScramSecrets::decoy(b"", "tim", 1));
    for answer in [Answer::Unavailable, Answer::Secrets(secrets(), Nonce::new(&[0; 18]))] {
        let (mut exchange, _) = begin(Mechanism::Plain, Some(b"\0tim\0secret"));
        assert_eq!(exchange.answer(answer), Step::Failure(Failure::Unavailable));
        assert_over(exchange);
    }
    let (mut exchange, _) = begin(Mechanism::ScramSha256, Some(b"n,,n=tim,r=abc"));
    assert_eq!(exchange.answer(Answer::Granted), Step::Failure(Failure::Unavailable));
    assert_over(exchange);
    let (mut exchange, _) = begin(Mechanism::Plain, Some(b"\0tim\0secret"));
    assert_eq!(exchange.feed(b"\0tim\0other"), Step::Failure(Failure::Malformed), "not its turn");
    assert_over(exchange);
}

#[test]
fn passwords_are_never_shown() {
    let (exchange, _) = begin(Mechanism::Plain, Some(b"\0tim\0tanstaaf"));
    assert!(!format!("{exchange:?}").contains("tanstaaf"));
    let (client, _) = ScramClient::begin("", "tim", "tanstaaf", "abc", Binding::None).unwrap();
    assert!(!format!("{client:?}").contains("tanstaaf"));
}

#[test]
fn our_plain_client_is_understood() {
    let message = plain_response("for", "tim", "sec ret");
    let (exchange, _) = begin(Mechanism::Plain, Some(&message));
    assert_eq!(asked(&exchange), (&identity(Mechanism::Plain, "tim", "for"), "sec ret"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever is said in whatever order: success only when it was granted.
    #[test]
    fn nothing_succeeds_ungranted(
        which in 0usize..5,
        messages in prop::collection::vec(
            "(n,,n=tim,r=abc|p=tls-exporter,,n=tim,r=abc|y,a=x,n=tim,r=q|c=biws,r=abc,p=AAAA|\
             \0tim\0secret|tim|\\PC{0,9})", 1..6,
        ),
    ) {
        let (mut exchange, mut step) = begin(Mechanism::ALL[which], None);
        for message in &messages {
            prop_assert!(!matches!(step, Step::Success(_)));
            step = match (step, exchange.proof()) {
                (Step::Ask, Some(Proof::Secrets { .. })) => exchange.answer(Answer::Secrets(
                    Box::new(ScramSecrets::decoy(b"", "tim", 4096)),
                    Nonce::new(&[1; 18]),
                )),
                (Step::Ask, Some(Proof::Scram { right, .. })) => {
                    prop_assert!(!right, "no password fits a decoy");
                    exchange.answer(Answer::Granted)
                }
                (Step::Ask, proof) => {
                    prop_assert!(proof.is_some());
                    exchange.answer(Answer::Denied)
                }
                _ => exchange.feed(message.as_bytes()),
            };
        }
        prop_assert!(!matches!(step, Step::Success(_)));
    }
}
