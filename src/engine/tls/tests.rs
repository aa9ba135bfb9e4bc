//! Both sides in one memory: certificates by name and kind, trust, tickets, and what may go wrong.

use std::{fs, path::Path};

use rcgen::{CertificateParams, Issuer, KeyPair, SanType};

use super::*;

/// A folder with an authority, and a keeper in it.
struct World {
    folder: tempfile::TempDir,
    keeper: Keeper,
    authority: Issuer<'static, KeyPair>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keeper = Keeper::open(folder.path(), "mx.test").unwrap();
        let (key, mut params) = (KeyPair::generate().unwrap(), CertificateParams::default());
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let own = params.self_signed(&key).unwrap();
        fs::write(folder.path().join("ca.pem"), own.pem()).unwrap();
        Self { folder, keeper, authority: Issuer::new(params, key) }
    }

    fn ca(&self) -> std::path::PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for these names by the authority.
    fn certificate(&self, file: &str, names: &[&str], key: &KeyPair) -> CertificateSettings {
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(key, &self.authority).unwrap();
        let place = CertificateSettings {
            chain: self.folder.path().join(format!("{file}.pem")),
            key: self.folder.path().join(format!("{file}.key")),
        };
        fs::write(&place.chain, certificate.pem()).unwrap();
        fs::write(&place.key, key.serialize_pem()).unwrap();
        place
    }

    fn acceptor(&self, certificates: &[CertificateSettings]) -> Acceptor {
        self.keeper.acceptor(certificates, ClientCertificates::Ignore, Path::new("")).unwrap()
    }

    fn connector(&self) -> Connector {
        Connector::new(&self.ca()).unwrap()
    }
}

fn ecdsa() -> KeyPair {
    KeyPair::generate().unwrap()
}

/// Lets both talk until both are done; the first error ends it.
fn shake_hands(client: &mut Channel, server: &mut Channel) -> std::io::Result<()> {
    for _ in 0..10 {
        pass(client, server)?;
        pass(server, client)?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(())
}

/// Everything that one side has to send reaches the other.
fn pass(from: &mut Channel, to: &mut Channel) -> std::io::Result<()> {
    let out = from.outgoing()?;
    let mut records = to.buffer(out.len().max(1));
    records.extend_from_slice(&out);
    from.sent(out);
    to.records(records);
    while to.has_records() {
        to.process()?;
    }
    Ok(())
}

fn meet(
    acceptor: &Acceptor,
    connector: &Connector,
    host: &str,
    trust: &Trust,
) -> std::io::Result<(Channel, Channel)> {
    let (mut client, mut server) =
        (connector.channel(host, trust).unwrap(), acceptor.channel().unwrap());
    shake_hands(&mut client, &mut server)?;
    Ok((client, server))
}

fn names(certificate: &[u8]) -> Vec<String> {
    use x509_parser::prelude::{FromDer, X509Certificate};
    let (_, parsed) = X509Certificate::from_der(certificate).unwrap();
    let names = parsed.subject_alternative_name().unwrap().unwrap().value.general_names.clone();
    names.iter().map(ToString::to_string).collect()
}

fn trust(names: &[&str]) -> Trust {
    Trust::Names(names.iter().map(|name| (*name).into()).collect())
}

fn fault(result: std::io::Result<(Channel, Channel)>) -> Fault {
    result.map_or_else(|error| Fault::of(&error), |_| panic!("there is TLS"))
}

#[test]
fn texts_go_both_ways_with_the_best_that_both_know() {
    let world = World::new();
    let (mut client, mut server) =
        meet(&world.acceptor(&[]), &world.connector(), "mx.test", &Trust::Anyone).unwrap();
    assert_eq!(client.version(), "TLSv1.3");
    assert_eq!(client.group(), Some("X25519MLKEM768"));
    assert!(server.description().starts_with("TLSv1.3 TLS_"), "{}", server.description());
    assert_eq!(client.binding().unwrap(), server.binding().unwrap());
    let text: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
    client.seal(&text).unwrap();
    let out = client.outgoing().unwrap();
    server.records(out);
    let mut got = Vec::new();
    loop {
        let mut piece = Vec::with_capacity(1000);
        let octets = server.open(&mut piece).unwrap();
        assert!(octets <= 1000);
        if octets == 0 {
            break;
        }
        got.extend_from_slice(&piece);
    }
    assert!(got == text);
    assert!(!server.has_ended());
    client.say_goodbye();
    pass(&mut client, &mut server).unwrap();
    assert!(server.has_ended());
}

#[test]
fn a_client_sees_the_certificate_for_the_name_it_asks_for() {
    let world = World::new();
    let certificates = [
        world.certificate("one", &["mx.test", "mail.test"], &ecdsa()),
        world.certificate("two", &["*.wide.test"], &ecdsa()),
    ];
    let (acceptor, connector) = (world.acceptor(&certificates), world.connector());
    for (host, shown) in [
        ("mail.test", "mx.test"),
        ("MAIL.test", "mx.test"),
        ("a.wide.test", "*.wide.test"),
        ("a.b.wide.test", "mx.test"),
        ("wide.test", "mx.test"),
        ("stranger.test", "mx.test"),
        ("192.0.2.1", "mx.test"),
    ] {
        let (client, _) = meet(&acceptor, &connector, host, &Trust::Anyone).unwrap();
        let shown_names = names(&client.peer_certificates()[0]);
        assert!(shown_names[0].contains(shown), "{host}: {shown_names:?}");
    }
}

#[test]
fn ecdsa_is_preferred_to_rsa_wherever_it_is_listed() {
    let world = World::new();
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let certificates = [
        world.certificate("rsa", &["mx.test"], &rsa),
        world.certificate("ecdsa", &["mx.test"], &ecdsa()),
    ];
    let set = shelf::Set::new(
        certificates.iter().map(|place| Certificate::load(place).unwrap()).collect(),
    );
    let algorithm = |schemes: &[rustls::SignatureScheme]| {
        set.choose(Some("mx.test"), schemes).map(|key| key.key.algorithm())
    };
    use rustls::{SignatureAlgorithm, SignatureScheme};
    let (ecdsa, rsa) = (SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256);
    assert_eq!(algorithm(&[rsa, ecdsa]), Some(SignatureAlgorithm::ECDSA));
    assert_eq!(algorithm(&[rsa]), Some(SignatureAlgorithm::RSA), "what the client can verify");
    assert_eq!(algorithm(&[SignatureScheme::ED25519]), None);
}

#[test]
fn a_certificate_is_believed_for_its_names_only() {
    let world = World::new();
    let acceptor =
        world.acceptor(&[world.certificate("one", &["mx.test", "*.wide.test"], &ecdsa())]);
    let connector = world.connector();
    let meets = |host: &str, names: &[&str]| meet(&acceptor, &connector, host, &trust(names));
    assert!(meets("mx.test", &["mx.test"]).is_ok());
    assert!(meets("a.wide.test", &["a.wide.test"]).is_ok());
    assert!(meets("a.wide.test", &["*.wide.test"]).is_ok(), "a pattern of MTA-STS");
    assert!(meets("192.0.2.1", &["mx.test"]).is_ok(), "the name that was demanded");
    assert_eq!(fault(meets("other.test", &["other.test"])), Fault::Name);
    assert_eq!(fault(meets("mx.test", &["*.wide.test"])), Fault::Name);
    assert_eq!(fault(meets("mx.test", &[])), Fault::Name);
    // Nobody vouches for a self-signed one.
    let own = world.acceptor(&[]);
    assert_eq!(fault(meet(&own, &connector, "mx.test", &trust(&["mx.test"]))), Fault::Untrusted);
    assert!(meet(&own, &connector, "mx.test", &Trust::Anyone).is_ok());
}

#[test]
fn sessions_are_taken_up_again_also_in_another_process_but_not_by_who_must_look() {
    let world = World::new();
    let place = [world.certificate("one", &["mx.test"], &ecdsa())];
    let connector = world.connector();
    let (first, _) = meet(&world.acceptor(&place), &connector, "mx.test", &Trust::Anyone).unwrap();
    assert!(!first.is_resumed());
    // As after a restart: same data directory, other process.
    let keeper = Keeper::open(world.folder.path(), "mx.test").unwrap();
    let other = keeper.acceptor(&place, ClientCertificates::Ignore, Path::new("")).unwrap();
    let (again, _) = meet(&other, &connector, "mx.test", &Trust::Anyone).unwrap();
    assert!(again.is_resumed());
    let (strict, _) = meet(&other, &connector, "mx.test", &trust(&["mx.test"])).unwrap();
    assert!(!strict.is_resumed());
}

#[test]
fn changed_files_are_taken_over_and_broken_ones_are_not() {
    let world = World::new();
    let place = world.certificate("one", &["old.test"], &ecdsa());
    let acceptor = world.acceptor(std::slice::from_ref(&place));
    let connector = world.connector();
    let shown = || {
        let (client, _) = meet(&acceptor, &connector, "x.test", &Trust::Anyone).unwrap();
        names(&client.peer_certificates()[0])[0].clone()
    };
    assert!(shown().contains("old.test"));
    fs::write(&place.key, ecdsa().serialize_pem()).unwrap();
    world.keeper.check();
    // Sessions that were agreed on before show the certificate they began with: ask anew.
    assert!(shown().contains("old.test"), "a key of another certificate");
    world.certificate("one", &["new.test"], &ecdsa());
    world.keeper.check();
    let fresh = world.connector();
    let (client, _) = meet(&acceptor, &fresh, "x.test", &Trust::Anyone).unwrap();
    assert!(names(&client.peer_certificates()[0])[0].contains("new.test"));
}

#[test]
fn files_that_are_no_certificates_are_told_by_path() {
    let world = World::new();
    let good = world.certificate("good", &["mx.test"], &ecdsa());
    let bad = world.folder.path().join("bad");
    fs::write(&bad, "nonsense").unwrap();
    let refused = |chain: &Path, key: &Path| {
        let place = CertificateSettings { chain: chain.into(), key: key.into() };
        Certificate::load(&place).unwrap_err().to_string()
    };
    assert!(refused(&bad, &good.key).contains("/bad: no certificates in PEM"));
    assert!(
        refused(&good.chain, &bad).contains("/bad: no a private key")
            || refused(&good.chain, &bad).contains("/bad: no private key")
    );
    assert!(refused(Path::new("/no/such"), &good.key).starts_with("/no/such: No such file"));
    let other = world.certificate("other", &["mx.test"], &ecdsa());
    assert!(refused(&good.chain, &other.key).contains("do not go together"));
}

#[test]
fn client_certificates_are_asked_for_and_believed_from_their_authority_only() {
    let world = World::new();
    let acceptor = |wanted| world.keeper.acceptor(&[], wanted, &world.ca()).expect("an acceptor");
    let connector = world.connector();
    let meets = |wanted| meet(&acceptor(wanted), &connector, "mx.test", &Trust::Anyone);
    let (_, server) = meets(ClientCertificates::Ask).unwrap();
    assert!(server.client_addresses().is_empty());
    assert!(meets(ClientCertificates::Require).is_err());
    // One that shows a certificate.
    let shown = |authority: &Issuer<'static, KeyPair>| {
        let (key, mut params) = (ecdsa(), CertificateParams::default());
        params.subject_alt_names = vec![SanType::Rfc822Name("me@mx.test".try_into().unwrap())];
        let own = params.signed_by(&key, authority).unwrap();
        connect::with_certificate(own.der().clone(), key.serialize_der())
    };
    let server_of = |wanted, config: std::sync::Arc<rustls::ClientConfig>| {
        let mut client = connect::channel_of(config, "mx.test");
        let mut server = acceptor(wanted).channel().unwrap();
        shake_hands(&mut client, &mut server).map(|()| server)
    };
    let stranger = World::new();
    for wanted in [ClientCertificates::Ask, ClientCertificates::Require] {
        let server = server_of(wanted, shown(&world.authority)).unwrap();
        assert_eq!(server.client_addresses(), ["me@mx.test".into()]);
    }
    let server = server_of(ClientCertificates::Ask, shown(&stranger.authority)).unwrap();
    assert!(server.client_addresses().is_empty(), "nobody vouches for it");
    assert!(server_of(ClientCertificates::Require, shown(&stranger.authority)).is_err());
}

#[test]
fn nonsense_ends_a_handshake_with_an_alert() {
    let world = World::new();
    let mut server = world.acceptor(&[]).channel().unwrap();
    server.records(b"EHLO client.test\r\n".to_vec());
    let error = server.process().unwrap_err();
    assert_eq!(Fault::of(&error), Fault::Protocol);
    assert_eq!(server.outgoing().unwrap()[0], 21, "an alert (RFC 8446 §5.1)");
    assert_eq!(Fault::of(&std::io::ErrorKind::UnexpectedEof.into()), Fault::Connection);
}

/// Everything that one side has to send, in pieces of these sizes, over and over.
fn pass_cut(from: &mut Channel, to: &mut Channel, sizes: &[usize]) -> std::io::Result<()> {
    let out = from.outgoing()?;
    let mut rest = &out[..];
    for size in sizes.iter().cycle() {
        let (piece, more) = rest.split_at((*size).min(rest.len()));
        to.records(piece.to_vec());
        while to.has_records() {
            to.process()?;
        }
        rest = more;
        if rest.is_empty() {
            break;
        }
    }
    from.sent(out);
    Ok(())
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn records_may_be_cut_anywhere(sizes in proptest::collection::vec(1_usize..2000, 1..20)) {
        let world = World::new();
        let connector = world.connector();
        let mut client = connector.channel("mx.test", &Trust::Anyone).unwrap();
        let mut server = world.acceptor(&[]).channel().unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            pass_cut(&mut client, &mut server, &sizes).unwrap();
            pass_cut(&mut server, &mut client, &sizes).unwrap();
        }
        client.seal(b"MAIL FROM:<a@b.test>\r\n").unwrap();
        pass_cut(&mut client, &mut server, &sizes).unwrap();
        let mut plain = Vec::with_capacity(100);
        server.open(&mut plain).unwrap();
        assert_eq!(plain, b"MAIL FROM:<a@b.test>\r\n");
    }

    #[test]
    fn spoilt_octets_end_it_and_nothing_else(at in 0_usize..4000, mask in 1_u8.., turn in 0..3) {
        let world = World::new();
        let connector = world.connector();
        let mut client = connector.channel("mx.test", &Trust::Anyone).unwrap();
        let mut server = world.acceptor(&[]).channel().unwrap();
        for round in 0..3 {
            let mut out = client.outgoing().unwrap();
            if round == turn && !out.is_empty() {
                let at = at % out.len();
                out[at] ^= mask;
            }
            server.records(out);
            while server.has_records() {
                if server.process().is_err() {
                    // The alert is all that is left to say.
                    let alert = server.outgoing().unwrap();
                    assert!(alert.is_empty() || alert[0] == 21 || alert[0] == 22 || alert[0] == 23 || alert[0] == 20);
                    return Ok(());
                }
            }
            if pass(&mut server, &mut client).is_err() {
                return Ok(());
            }
        }
    }
}
