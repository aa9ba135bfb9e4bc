//! Hashes as the tools of others made them, all of the same password.

use super::*;

const PASSWORD: &str = "correct horse";

/// Name, and what the tool printed.
const VECTORS: [(&str, &str); 25] = [
    // doveadm pw -s …, Dovecot 2.3.19
    (
        "argon2id",
        "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$gXZZ4O85jqlyrEZZXLWU5g$1Jed9L239bsQeVMtlBZTpCC3OU3wHV3quBVvTQZMcKQ",
    ),
    (
        "argon2i",
        "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$vt/ufA+pRMkDQkC8zy9RtA$WYKDeE3ZQjwmNUKmq28wWpWMgW6so2KLy1BdzR/hmdU",
    ),
    ("bcrypt", "{BLF-CRYPT}$2y$05$W99RQvHlZN16sDUEkRhNgucgzSFD5uRmQM4r86EYFZIOkqTmZuQ1q"),
    (
        "sha512-crypt",
        "{SHA512-CRYPT}$6$gqwSm5v126DroXLz$wOwH8OxdLvmbEwxGVTviJJrTk3qw8wpaXLARipSXVQ2xXwmfAleIR42uEdWkoI7hE1o2Ci7G3QwhMnm.TLmy.1",
    ),
    (
        "sha256-crypt",
        "{SHA256-CRYPT}$5$/vIbIqF6dFgOPUbR$SCxuBgoxsvIRevqH1JcQw53vL2fpNN9QyvBEl6a39w5",
    ),
    ("pbkdf2-sha1", "{PBKDF2}$1$1cBoY34ivVXxQ1gU$5000$baa244a3b1cc22e86eaacf237e36d9b317284416"),
    ("ssha", "{SSHA}TPoAr158xCr+Vf2Nvm7gP79gbEAUvWZx"),
    ("ssha256", "{SSHA256}OhhEuiWesuqPuZkfdNiGbyfXbVkfFxOMiVNcxpJUkM7phn2Q"),
    (
        "ssha512",
        "{SSHA512}7FvplR40hdnaNqzqOPWWjwdO1n8RvqOqbc/VsVbNWLuLfZtsV5qodMP8umxK3OaNtKC/R4EHRr78FPgZkAzSIYraNPw=",
    ),
    (
        "ssha512",
        "{SSHA512.HEX}4930a27f00aed0f2c6eed32200ef128293634e547487d91818945c014a801719dda83801f14662e99bebc2ae750e278ee5aacf72c1c98f48fc5b70d9c378f00ef01f5337",
    ),
    // htpasswd -B -C 5, Apache 2.4.71; python3-bcrypt 3.2.2
    ("bcrypt", "$2y$05$c5PtZLqMmzDZGlm606ZK5.8kpS14S3X2uOcmyFeH0xs2WIeoPqHyy"),
    ("bcrypt", "{CRYPT}$2b$05$4WnhU0.Bfq3sLO1AitpUVOfgy2rvf7k5sM.fE28ceEg7dF7pEvcCm"),
    (
        "sha512-crypt",
        "$6$.GelvXn141cyLibr$4trT2PTcofYbWSCqqM9CiAWANscYzSWMFmlD30KtNvB5.xtf3DheY3tOilfbRrHY.sQsKw0.fHuUCR90M2pnY1",
    ),
    // openssl passwd -6, -5
    (
        "sha512-crypt",
        "$6$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI2EplzfAqxL5Vvwp2scFtv/uamSo5z0",
    ),
    ("sha256-crypt", "$5$saltsalt$myjXcpMpE2Ofk7fj9hqyNYSn6lmWG4Mqnjx.KIRRr4/"),
    // Python's crypt.crypt
    (
        "sha512-crypt",
        "$6$rounds=1000$abcdefgh$DbXqPck5ABZumVXwcH5eMVHsPZwvQ3jylSxpJmKkZVxcoCiC3N0rPerjHmAqL7r6PK6CIeYnO9.vxpbsevscg/",
    ),
    // passlib 1.7.4
    (
        "pbkdf2-sha256",
        "$pbkdf2-sha256$1000$ytmbs5YSAsDYuzcmRKhVqg$.wqilRamY.H/OatdAaQcd2YFsGmU1sc8wa7hOd1cc78",
    ),
    ("pbkdf2-sha1", "$pbkdf2$1000$FiLEOCcEQAgBYIyRck5JSQ$KQf1FxrKeaym6fVjPuMjHaa8qws"),
    (
        "pbkdf2-sha512",
        "$pbkdf2-sha512$1000$npOS0loLoTQmxNj7P4fwfg$E9iv5CgRCf84NEk978eqdwac3LzJIh1uL7ZCzYhLA61EHJVhgxjge/Q/HsToUhj0E6DnSYSqLHdeNRxHzthV3g",
    ),
    (
        "pbkdf2-sha256",
        "pbkdf2_sha256$1000$UkcoIUNgYCg2$3s79bzyWWGVdCZP2LFE+P24X9rbBytYQ/rU1T2Q+Lnk=",
    ),
    ("pbkdf2-sha1", "pbkdf2_sha1$1000$iv2Mp0LDWdBe$MavdfcSBrrjlNTm5GlTX0MDXLoY="),
    ("ssha", "{SSHA}ejdx7CwXCST2cQIMZC8T0IMQ3RX7/9/7"),
    // The same as passlib's, as PHC.
    (
        "pbkdf2-sha256",
        "$pbkdf2-sha256$i=1000,l=32$ytmbs5YSAsDYuzcmRKhVqg$+wqilRamY+H/OatdAaQcd2YFsGmU1sc8wa7hOd1cc78",
    ),
    // Case of the prefix does not matter.
    ("ssha", "{ssha}TPoAr158xCr+Vf2Nvm7gP79gbEAUvWZx"),
    // Django's form.
    (
        "argon2i",
        "argon2$argon2i$v=19$m=32768,t=4,p=1$vt/ufA+pRMkDQkC8zy9RtA$WYKDeE3ZQjwmNUKmq28wWpWMgW6so2KLy1BdzR/hmdU",
    ),
];

#[test]
fn hashes_of_other_servers_are_verified() {
    let mut scratch = Scratch::default();
    for (name, text) in VECTORS {
        let kept = recognised(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(scheme_name(&kept), name);
        assert!(verify(&kept, PASSWORD.as_bytes(), &mut scratch), "{text}");
        for wrong in ["correct hors", "correct horsf", "Correct horse", ""] {
            assert!(!verify(&kept, wrong.as_bytes(), &mut scratch), "{text}: {wrong}");
        }
        assert_eq!(recognised(&kept).as_ref(), Ok(&kept));
        assert_eq!(PackedHash::of(&kept).to_text(), kept);
        assert!(is_outdated(&kept, &Parameters::default()) == (name != "argon2id"), "{name}");
    }
    // passlib's sha512_crypt, of a password that is no ASCII.
    let hash = "$6$rR1NTwNctvnKpXmm$HO5iyjwz8bWuvEdrluiQgYuwGE4586DShjHA/G0j4uwA0ICbmjqdVrw6qNvgXnRw/sBSZLM4nOiIVHYkmow/B.";
    assert!(verify(hash, "pässwörd".as_bytes(), &mut scratch));
}

#[test]
fn scram_secrets_are_dovecots() {
    let text = "{SCRAM-SHA-256}4096,N/lYkq+zgD9qssqkQQqbtg==,Ll/u+lAHFtndJILSGFQT8NfHVOZCfYNwM9uiDYLtwyA=,ih4jWKebGpuoTudzFvijRCxM33Pzdd84jLk/Sn68Ros=";
    let secrets: ScramSecrets = text.parse().unwrap();
    assert_eq!(ScramSecrets::derive(PASSWORD, &secrets.salt, 4096).unwrap(), secrets);
    assert_eq!(secrets.to_string(), text);
    let json = serde_json::to_string(&secrets).unwrap();
    assert_eq!(serde_json::from_str::<ScramSecrets>(&json).unwrap(), secrets);
    for text in ["", "4096", "0,AA==,AA==,AA==", "4096,AA==,AA==,AA==", &format!("{text},AA==")] {
        assert!(text.parse::<ScramSecrets>().is_err(), "{text}");
    }
}

#[test]
fn new_hashes_are_argon2id_with_a_salt_of_their_own() {
    let cheap = Parameters { memory_kib: 64, passes: 1, lanes: 1, scram_iterations: 10 };
    let (one, scram) = make(PASSWORD, &cheap).unwrap();
    let (other, _) = make(PASSWORD, &cheap).unwrap();
    assert!(one.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{one}");
    assert_ne!(one, other);
    let mut scratch = Scratch::default();
    assert!(verify(&one, PASSWORD.as_bytes(), &mut scratch));
    assert!(!is_outdated(&one, &cheap) && is_outdated(&one, &Parameters::default()));
    let scram = scram.unwrap();
    assert_eq!(ScramSecrets::derive(PASSWORD, &scram.salt, 10).unwrap(), scram);
    assert!(make("pässword", &cheap).unwrap().1.is_none());
    // One spelling is as good as the other.
    let (decomposed, _) = make("pa\u{308}ssword", &cheap).unwrap();
    assert!(verify(&decomposed, "p\u{e4}ssword".as_bytes(), &mut scratch));
    for bad in ["", "a\nb", &"x".repeat(PASSWORD_OCTETS_MAX + 1)] {
        assert!(make(bad, &cheap).is_err());
    }
    // Memory of a larger hash is no trouble for a smaller one.
    assert!(!verify(VECTORS[0].1.trim_start_matches("{ARGON2ID}"), b"x", &mut scratch));
    assert!(verify(&one, PASSWORD.as_bytes(), &mut scratch));
}

#[test]
fn what_cannot_be_verified_or_costs_too_much_is_refused() {
    for text in [
        "",
        "secret",
        "{PLAIN}secret",
        "{MD5}AAAA",
        "$1$salt$hash",
        "$2x$05$c5PtZLqMmzDZGlm606ZK5.8kpS14S3X2uOcmyFeH0xs2WIeoPqHyy",
        "$2y$31$c5PtZLqMmzDZGlm606ZK5.8kpS14S3X2uOcmyFeH0xs2WIeoPqHyy",
        "$2y$05$short",
        "$argon2id$v=19$m=4194304,t=3,p=1$gXZZ4O85jqlyrEZZXLWU5g$1Jed9L239bsQeVMtlBZTpCC3OU3wHV3quBVvTQZMcKQ",
        "$argon2id$v=19$m=262144,t=60,p=1$gXZZ4O85jqlyrEZZXLWU5g$1Jed9L239bsQeVMtlBZTpCC3OU3wHV3quBVvTQZMcKQ",
        "$argon2id$v=19$m=8,t=1,p=4$gXZZ4O85jqlyrEZZXLWU5g$1Jed9L239bsQeVMtlBZTpCC3OU3wHV3quBVvTQZMcKQ",
        "$argon2id$v=19$m=65536,t=3,p=1$gXZZ4O85jqlyrEZZXLWU5g$",
        "$argon2id$v=20$m=65536,t=3,p=1$gXZZ4O85jqlyrEZZXLWU5g$1Jed9L239bsQeVMtlBZTpCC3OU3wHV3quBVvTQZMcKQ",
        "$6$rounds=999999999$abcdefgh$DbXqPck5ABZumVXwcH5eMVHsPZwvQ3jylSxpJmKkZVxcoCiC3N0rPerjHmAqL7r6PK6CIeYnO9.vxpbsevscg/",
        "$6$salt$short",
        "$pbkdf2-sha256$99999999$ytmbs5YSAsDYuzcmRKhVqg$.wqilRamY.H/OatdAaQcd2YFsGmU1sc8wa7hOd1cc78",
        "$pbkdf2-sha256$0$ytmbs5YSAsDYuzcmRKhVqg$.wqilRamY.H/OatdAaQcd2YFsGmU1sc8wa7hOd1cc78",
        "{SSHA}AAAA",
        "{SSHA}TPoAr158xCr+Vf2Nvm7gP79gbEA=",
    ] {
        let refused = recognised(text);
        assert!(refused.is_err(), "{text}");
        assert!(!refused.unwrap_err().contains("secret"), "a password is repeated");
        assert!(!verify(text, b"secret", &mut Scratch::default()));
    }
}
