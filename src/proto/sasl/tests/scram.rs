//! SCRAM: the dialogue of RFC 7677, our client against our server, and tampering on the way.

use std::sync::LazyLock;

use super::*;

fn secrets() -> ScramSecrets {
    static SECRETS: LazyLock<ScramSecrets> =
        LazyLock::new(|| ScramSecrets::derive("sécret", &SALT, 4096).unwrap());
    SECRETS.clone()
}

/// Answers the question about the secrets.
fn give(exchange: &mut Exchange, secrets: ScramSecrets) -> Step {
    assert!(matches!(exchange.proof(), Some(Proof::Secrets { .. })));
    exchange.answer(Answer::Secrets(Box::new(secrets), Nonce::new(&[9; 18])))
}

#[test]
fn rfc_7677_the_example() {
    let salt = data_encoding::BASE64.decode(b"W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let (mut exchange, step) = begin_unbound(Some(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"));
    assert_eq!(step, Step::Ask);
    assert_eq!(exchange.proof(), Some(&Proof::Secrets { authentication: "user".into() }));
    let secrets = ScramSecrets::derive("pencil", &salt, 4096).unwrap();
    let nonce = Nonce::printed("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    let first = challenge(exchange.answer(Answer::Secrets(Box::new(secrets), nonce)));
    assert_eq!(
        first,
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    let step = exchange.feed(
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
          p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    );
    assert_eq!(step, Step::Ask);
    let user = identity(Mechanism::ScramSha256, "user", "user");
    assert_eq!(exchange.proof(), Some(&Proof::Scram { identity: user.clone(), right: true }));
    let last = challenge(exchange.answer(Answer::Granted));
    assert_eq!(last, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    assert_eq!(exchange.feed(b""), Step::Success(user));
    assert_over(exchange);
}

#[test]
fn rfc_7677_the_client() {
    let (client, first) =
        ScramClient::begin("", "user", "pencil", "rOprNGfwEbeRWgbNEkqO", Binding::None).unwrap();
    assert_eq!(first, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    let challenge =
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    let (end, last) = client.respond(challenge).unwrap();
    assert_eq!(
        last,
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
          p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
            .as_slice()
    );
    assert_eq!(end.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(()));
}

/// Without -PLUS on offer.
fn begin_unbound(initial: Option<&[u8]>) -> (Exchange, Step) {
    let plain = Setup { plus_offered: false, ..setup(Mechanism::ScramSha256) };
    Exchange::begin(plain, initial)
}

/// Where a dialogue was changed on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    ClientFirst,
    ServerFirst,
    ClientFinal,
    ServerFinal,
}

/// A whole dialogue; `change` sits between the two.
fn dialogue(
    setup: Setup,
    binding: Binding<'_>,
    password: &str,
    mut change: impl FnMut(Message, &mut Vec<u8>),
) -> Result<Identity, Failure> {
    let (client, mut message) = ScramClient::begin("a=,b", "tim,=", password, "abc", binding)?;
    change(Message::ClientFirst, &mut message);
    let (mut exchange, step) = Exchange::begin(setup, Some(&message));
    if let Step::Failure(failure) = step {
        return Err(failure);
    }
    let mut message = challenge(give(&mut exchange, secrets()));
    change(Message::ServerFirst, &mut message);
    let (end, mut message) = client.respond(&message)?;
    change(Message::ClientFinal, &mut message);
    if let Step::Failure(failure) = exchange.feed(&message) {
        return Err(failure);
    }
    // Wrong proofs are told, granted by a careless caller, and fail all the same.
    let mut message = match exchange.answer(Answer::Granted) {
        Step::Challenge(message) => message,
        Step::Failure(failure) => return Err(failure),
        other => panic!("{other:?}"),
    };
    change(Message::ServerFinal, &mut message);
    end.verify(&message)?;
    match exchange.feed(b"") {
        Step::Success(identity) => Ok(identity),
        other => panic!("{other:?}"),
    }
}

/// The four ways in which it works.
fn ways() -> [(Setup, Binding<'static>); 4] {
    let unbound = || Setup { plus_offered: false, ..setup(Mechanism::ScramSha256) };
    [
        (unbound(), Binding::None),
        (unbound(), Binding::NotOffered),
        (setup(Mechanism::ScramSha256Plus), Binding::Bound("tls-exporter", &EXPORTER)),
        (
            setup(Mechanism::ScramSha256Plus),
            Binding::Bound("tls-server-end-point", b"hash of a certificate"),
        ),
    ]
}

#[test]
fn client_and_server_agree() {
    for (setup, binding) in ways() {
        let tim = identity(setup.mechanism, "tim,=", "a=,b");
        // Two spellings of one password.
        for password in ["sécret", "se\u{301}cret"] {
            assert_eq!(dialogue(setup.clone(), binding, password, |_, _| {}), Ok(tim.clone()));
        }
        assert_eq!(dialogue(setup, binding, "secret", |_, _| {}), Err(Failure::Wrong));
    }
}

/// Every octet of every message in every way: none can be changed unnoticed.
#[test]
fn tampering_is_noticed() {
    let messages =
        [Message::ClientFirst, Message::ServerFirst, Message::ClientFinal, Message::ServerFinal];
    for (setup, binding) in ways() {
        for tampered in messages {
            for at in 0.. {
                let mut within = false;
                // A digit more in `i=` would only make the test slow.
                let outcome = dialogue(setup.clone(), binding, "sécret", |message, octets| {
                    if message == tampered && at < octets.len() {
                        octets[at] ^= 1;
                        within = true;
                    }
                });
                if !within {
                    break;
                }
                assert!(outcome.is_err(), "{binding:?} {tampered:?} {at}");
            }
        }
    }
}

#[test]
fn the_offer_cannot_be_shortened() {
    // Somebody took -PLUS out of the list: a client that could bind says `y`.
    let offered = setup(Mechanism::ScramSha256);
    let outcome = dialogue(offered.clone(), Binding::NotOffered, "sécret", |_, _| {});
    assert_eq!(outcome, Err(Failure::Binding));
    // A client that cannot bind may well come without.
    assert!(dialogue(offered, Binding::None, "sécret", |_, _| {}).is_ok());
    // Turning `y` to `n` on the way spoils the binding that is compared.
    let outcome = dialogue(
        setup(Mechanism::ScramSha256),
        Binding::NotOffered,
        "sécret",
        |message, octets| {
            if message == Message::ClientFirst {
                octets[0] = b'n';
            }
        },
    );
    assert_eq!(outcome, Err(Failure::Binding));
}

#[test]
fn a_binding_is_to_this_connection() {
    let plus = || setup(Mechanism::ScramSha256Plus);
    for binding in [
        Binding::Bound("tls-exporter", &[8; 32]),
        Binding::Bound("tls-server-end-point", &EXPORTER),
        Binding::Bound("tls-unique", &EXPORTER),
        Binding::None,
        Binding::NotOffered,
    ] {
        let outcome = dialogue(plus(), binding, "sécret", |_, _| {});
        assert_eq!(outcome, Err(Failure::Binding), "{binding:?}");
    }
    let bound = Binding::Bound("tls-exporter", &EXPORTER);
    let outcome = dialogue(setup(Mechanism::ScramSha256), bound, "sécret", |_, _| {});
    assert_eq!(outcome, Err(Failure::Binding), "binding without -PLUS");
    let no_tls = Setup { channel: Channel::default(), ..plus() };
    assert_eq!(dialogue(no_tls, bound, "sécret", |_, _| {}), Err(Failure::Binding));
}

#[test]
fn a_wrong_proof_is_told_and_fails() {
    let (client, first) = ScramClient::begin("", "tim", "wrong", "abc", Binding::None).unwrap();
    let (mut exchange, _) = begin_unbound(Some(&first));
    let (_, last) = client.respond(&challenge(give(&mut exchange, secrets()))).unwrap();
    assert_eq!(exchange.feed(&last), Step::Ask);
    let tim = identity(Mechanism::ScramSha256, "tim", "tim");
    assert_eq!(exchange.proof(), Some(&Proof::Scram { identity: tim, right: false }));
    assert_eq!(exchange.answer(Answer::Granted), Step::Failure(Failure::Wrong));
    assert_over(exchange);
}

#[test]
fn strangers_see_the_same_dialogue() {
    let decoy = ScramSecrets::decoy(b"server", "nobody", 4096);
    let (client, first) = ScramClient::begin("", "nobody", "x", "abc", Binding::None).unwrap();
    let (mut exchange, _) = begin_unbound(Some(&first));
    let theirs = challenge(give(&mut exchange, decoy));
    let (mut real, _) = begin_unbound(Some(&first));
    assert_eq!(theirs.len(), challenge(give(&mut real, secrets())).len());
    let (_, last) = client.respond(&theirs).unwrap();
    assert_eq!(exchange.feed(&last), Step::Ask);
    assert_eq!(exchange.answer(Answer::Denied), Step::Failure(Failure::Wrong));
}

#[test]
fn the_client_answers_no_cheap_or_foreign_challenge() {
    for challenge in [
        "",
        "r=abcX,s=MDEy,i=4095",
        "r=abcX,s=MDEy,i=2000001",
        "r=abcX,s=MDEy,i=-1",
        "r=abc,s=MDEy,i=4096",
        "r=abdX,s=MDEy,i=4096",
        "r=abcX,s=M,i=4096",
        "m=x,r=abcX,s=MDEy,i=4096",
    ] {
        let (client, _) = ScramClient::begin("", "tim", "x", "abc", Binding::None).unwrap();
        let refused = client.respond(challenge.as_bytes()).map(|_| ());
        assert_eq!(refused, Err(Failure::Malformed), "{challenge}");
    }
    let (client, _) = ScramClient::begin("", "tim", "x", "abc", Binding::None).unwrap();
    let (end, _) = client.respond(b"r=abcX,s=MDEy,i=4096").unwrap();
    assert_eq!(end.verify(b"e=invalid-proof"), Err(Failure::Wrong));
}

#[test]
fn a_proof_has_to_be_heard() {
    let (client, first) = ScramClient::begin("", "tim", "sécret", "abc", Binding::None).unwrap();
    let (mut exchange, _) = begin_unbound(Some(&first));
    let (_, last) = client.respond(&challenge(give(&mut exchange, secrets()))).unwrap();
    exchange.feed(&last);
    challenge(exchange.answer(Answer::Granted));
    assert_eq!(exchange.feed(b"x"), Step::Failure(Failure::Malformed));
    assert_over(exchange);
}
