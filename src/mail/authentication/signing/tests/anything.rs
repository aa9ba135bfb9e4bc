//! Whatever the message, and however its body is cut: what we sign, mail-auth accepts.

use proptest::prelude::*;

use super::*;

/// A value of a field, folded, blank and odd.
fn value() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        5 => "[!-~]{1,20}",
        3 => Just(" ".to_owned()),
        1 => Just("\t".to_owned()),
        2 => Just("\r\n ".to_owned()),
        1 => Just("\r\n\t  ".to_owned()),
        1 => "[é-ž]{1,4}",
        1 => "[a-z]{300,1200}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn header() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "To",
        "Cc",
        "Subject",
        "Date",
        "X-Unsigned",
        "Received",
        "List-Unsubscribe",
        "SENDER",
        "reply-to",
        "MIME-Version",
        "Content-type",
    ]);
    let field = (name, value()).prop_map(|(name, value)| format!("{name}:{value}\r\n")).boxed();
    (prop::collection::vec(field.clone(), 0..12), prop::collection::vec(field, 0..12)).prop_map(
        |(above, below)| {
            format!("{}From: \"J.\r\n Doe\" <joe@x.test>\r\n{}", above.concat(), below.concat())
        },
    )
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(b"\r\n".to_vec()),
        3 => Just(b" ".to_vec()),
        1 => Just(b"\t \t".to_vec()),
        1 => Just(b".".to_vec()),
        3 => prop::collection::vec(33_u8..=255, 1..100),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn what_we_sign_is_good(
        header in header(),
        body in prop::option::of(body()),
        cuts in prop::collection::vec(0_usize..3000, 0..6),
    ) {
        let mut scene = Scene::new();
        scene.done(ED25519);
        let mut cuts = cuts;
        cuts.sort_unstable();
        let mut digest = BodyDigest::new();
        let (whole, mut from) = (body.clone().unwrap_or_default(), 0);
        for cut in cuts.into_iter().filter(|cut| *cut <= whole.len()).chain([whole.len()]) {
            digest.update(&whole[from..cut]);
            from = cut;
        }
        let keyring = scene.keys.keyring();
        let author = author_domain(header.as_bytes()).unwrap();
        let mut message = Vec::new();
        let signer = &keyring.signers(&author).unwrap()[0];
        signer.sign(header.as_bytes(), &digest.finish(), now(), &mut message).unwrap();
        message.extend_from_slice(header.as_bytes());
        if let Some(body) = body {
            message.extend_from_slice(b"\r\n");
            message.extend_from_slice(&body);
        }
        prop_assert_eq!(verified(&message, &scene.zone()), [pass()], "{}", String::from_utf8_lossy(&message));
    }
}
