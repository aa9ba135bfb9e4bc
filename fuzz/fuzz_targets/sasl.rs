//! Whatever a client answers to whatever mechanism: no panic, an end, and success only for who was
//! granted it with a proof that is right. Our own client survives whatever a server says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::sasl::{
    Answer, Binding, Channel, Exchange, Failure, Limits, Mechanism, Nonce, Proof, ScramClient,
    ScramSecrets, Setup, Step,
};

const LIMITS: Limits = Limits { identity_octets_max: 20, password_octets_max: 20 };

fn setup(choice: u8) -> Setup {
    let channel = Channel {
        exporter: (choice & 8 != 0).then_some([1; 32]),
        end_point: Some(b"hash".as_slice().into()),
        certificate: (choice & 16 != 0).then(|| "owner".into()),
    };
    let mechanism = Mechanism::ALL[usize::from(choice & 7) % 5];
    Setup { mechanism, channel, plus_offered: choice & 32 != 0, limits: LIMITS }
}

fn assert_bounded(text: &str, octets_max: usize) {
    // Composing may turn some letters into longer ones, by a factor of three at most.
    assert!(!text.is_empty() && text.len() <= octets_max * 3);
    assert!(!text.chars().any(char::is_control));
}

/// What the caller says, and whether that may succeed.
fn judge(proof: &Proof, grants: bool) -> (Answer, bool) {
    match proof {
        Proof::Secrets { authentication } => {
            assert_bounded(authentication, LIMITS.identity_octets_max);
            let secrets = ScramSecrets::decoy(b"secret", authentication, 4096);
            (Answer::Secrets(Box::new(secrets), Nonce::new(&[2; 18])), false)
        }
        Proof::Scram { right, .. } => {
            assert!(!right, "no password fits a decoy");
            (Answer::Granted, false)
        }
        Proof::Password { identity, password } => {
            assert_bounded(&identity.authentication, LIMITS.identity_octets_max);
            assert_bounded(password.as_str(), LIMITS.password_octets_max);
            (if grants { Answer::Granted } else { Answer::Denied }, grants)
        }
        Proof::Certificate { identity } => {
            assert_eq!(&*identity.authentication, "owner");
            (if grants { Answer::Granted } else { Answer::Unavailable }, grants)
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let mut messages = rest.split(|octet| *octet == b'\n');
    let initial = (choice & 64 != 0).then(|| messages.next()).flatten();
    let (mut exchange, mut step) = Exchange::begin(setup(*choice), initial);
    let mut granted = false;
    for _ in 0..8 {
        step = match step {
            Step::Challenge(_) => match messages.next() {
                Some(message) => exchange.feed(message),
                None => break,
            },
            Step::Ask => {
                let proof = exchange.proof().expect("something to judge");
                let (answer, may_succeed) = judge(proof, choice & 128 != 0);
                granted = may_succeed;
                exchange.answer(answer)
            }
            Step::Success(identity) => {
                assert!(granted, "{identity:?}");
                assert_eq!(exchange.feed(rest), Step::Failure(Failure::Malformed));
                break;
            }
            Step::Failure(_) => {
                assert!(exchange.proof().is_none());
                assert_eq!(exchange.feed(b""), Step::Failure(Failure::Malformed));
                assert_eq!(exchange.answer(Answer::Granted), Step::Failure(Failure::Unavailable));
                break;
            }
        };
    }
    let client = ScramClient::begin("", "tim", "secret", "abc", Binding::None);
    let (client, _) = client.expect("a password");
    // Rounds that take long are honest work, and no bug.
    if !rest.windows(4).any(|four| four[..2] == *b"i=" && four[2] >= b'5') {
        if let Ok((end, _)) = client.respond(rest) {
            assert!(end.verify(rest).is_err());
        }
    }
});
