//! What is published of a key: its TXT record, how a zone file says it, and whether the DNS has it
//! (RFC 6376 §3.6, RFC 8463 §4).

use data_encoding::BASE64;

use super::key::Algorithm;

/// Octets of one string of a TXT record at most (RFC 1035 §3.3).
const STRING_MAX: usize = 255;

/// The text of a key's record.
pub(super) fn value(algorithm: Algorithm, public: &[u8]) -> String {
    format!("v=DKIM1; k={algorithm}; p={}", BASE64.encode(public))
}

/// The name of a key's record, without its final dot.
pub(super) fn name(selector: &str, domain: &str) -> String {
    format!("{selector}._domainkey.{domain}")
}

/// A record as a zone file says it (RFC 1035 §5.1), in lines of at most one string.
#[must_use]
pub fn zone_text(name: &str, value: &str) -> String {
    // Values are of base64, letters and "; =": nothing to escape.
    let strings: Vec<&str> =
        value.as_bytes().chunks(STRING_MAX).filter_map(|it| std::str::from_utf8(it).ok()).collect();
    match strings.as_slice() {
        [one] => format!("{name}. IN TXT \"{one}\"\n"),
        _ => {
            let strings: String = strings.iter().map(|it| format!("\n\t\"{it}\"")).collect();
            format!("{name}. IN TXT ({strings} )\n")
        }
    }
}

/// What the DNS has of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publication {
    /// The key, for mail.
    Published {
        /// The flag t=y: receivers treat failing mail as if it were not signed.
        is_testing: bool,
    },
    /// No record.
    Missing,
    /// Something else: what is wrong.
    Differs(String),
}

impl Publication {
    /// Judges the TXT records at a key's name, seeing what its own would say.
    #[must_use]
    pub fn of(published: &[String], value: &str) -> Self {
        let mut fault = None;
        for text in published {
            match judged(text, value) {
                Ok(is_testing) if published.len() == 1 => return Self::Published { is_testing },
                // Receivers may take either (RFC 6376 §3.6.2.2).
                Ok(_) => {
                    return Self::Differs(
                        "there are other TXT records beside it: remove them".into(),
                    );
                }
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        fault.map_or(Self::Missing, |fault| Self::Differs(fault.into()))
    }
}

/// Whether the record says t=y, or what is wrong with it.
fn judged(text: &str, value: &str) -> Result<bool, &'static str> {
    let has = |list: &str, wanted: &[&str]| list.split(':').any(|it| wanted.contains(&it.trim()));
    let version = tag(text, "v");
    let is_first = text.trim_start().starts_with('v');
    if version.as_deref().is_some_and(|version| version != "DKIM1" || !is_first) {
        return Err("it does not begin with v=DKIM1");
    }
    let key = tag(text, "p").ok_or("there is no p= in it")?;
    if key.is_empty() {
        return Err("its p= is empty: the key is revoked");
    }
    if Some(&key) != tag(value, "p").as_ref() {
        return Err("its p= is another key");
    }
    let rsa = || Algorithm::Rsa.name().to_owned();
    if tag(text, "k").unwrap_or_else(rsa) != tag(value, "k").unwrap_or_else(rsa) {
        return Err("its k= is another algorithm");
    }
    if tag(text, "h").is_some_and(|list| !has(&list, &["sha256"])) {
        return Err("its h= does not allow sha256");
    }
    if tag(text, "s").is_some_and(|list| !has(&list, &["*", "email"])) {
        return Err("its s= does not allow email");
    }
    Ok(tag(text, "t").is_some_and(|flags| has(&flags, &["y"])))
}

/// The value of a tag without any blanks, which mean nothing in those that are read here.
fn tag(text: &str, name: &str) -> Option<String> {
    let tags = text.split(';').filter_map(|tag| tag.split_once('='));
    let mut named = tags.filter(|(found, _)| found.trim() == name);
    named.next().map(|(_, value)| value.split_ascii_whitespace().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zone_files_have_strings_of_255_octets() {
        let short = zone_text("s._domainkey.x.test", "v=DKIM1; p=AAAA");
        assert_eq!(short, "s._domainkey.x.test. IN TXT \"v=DKIM1; p=AAAA\"\n");
        let value = value(Algorithm::Rsa, &[7; 294]);
        let text = zone_text("s._domainkey.x.test", &value);
        let strings: Vec<&str> = text.split('"').skip(1).step_by(2).collect();
        assert_eq!(strings.concat(), value);
        assert!(strings.len() == 2 && strings[0].len() == STRING_MAX, "{text}");
    }

    #[test]
    fn records_are_judged() {
        let wanted = "v=DKIM1; k=ed25519; p=QUJD";
        let of = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            Publication::of(&texts, wanted)
        };
        let published = |is_testing| Publication::Published { is_testing };
        assert_eq!(of(&[wanted]), published(false));
        assert_eq!(of(&["k = ed25519; p=QU JD; n=a note;"]), published(false));
        assert_eq!(of(&["v=DKIM1;k=ed25519;h=sha1:sha256;s=*;t=s:y;p=QUJD"]), published(true));
        assert_eq!(of(&[]), Publication::Missing);
        for (texts, part) in [
            (&["v=DKIM1; k=ed25519; p=QUJE"][..], "another key"),
            (&["v=DKIM1; p=QUJD"], "another algorithm"),
            (&["v=DKIM1; k=ed25519; p="], "revoked"),
            (&["v=spf1 -all"], "v=DKIM1"),
            (&["k=ed25519; v=DKIM1; p=QUJD"], "v=DKIM1"),
            (&["v=DKIM1; k=ed25519; h=sha1; p=QUJD"], "sha256"),
            (&["v=DKIM1; k=ed25519; s=tlsrpt; p=QUJD"], "email"),
            (&["hello"], "no p="),
            (&[wanted, "v=DKIM1; p=QUJE"], "other TXT records"),
            (&["v=DKIM1; p=QUJE", wanted], "other TXT records"),
        ] {
            let Publication::Differs(fault) = of(texts) else { panic!("{texts:?}") };
            assert!(fault.contains(part), "{texts:?}: {fault}");
        }
    }
}
