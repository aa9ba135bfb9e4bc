//! `[dkim]`: what an administrator can set about signatures. The doc comments are the text of the
//! reference.

use engine::settings::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::header::FIELDS;

/// Extra fields at most.
const HEADERS_MAX: usize = 32;
/// Fields that change on the way, so that a signature over them breaks (RFC 6376 §5.4.1).
const UNSTABLE: [&str; 5] =
    ["Return-Path", "Received", "DKIM-Signature", "Authentication-Results", "Bcc"];

/// How mail of our domains is signed. Keys are made by `ringpost dkim generate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long a signature is good for (x=). "0 s": for ever, that is, for as long as its key is
    /// published. Mail may wait for days on its way: less than a week loses signatures.
    pub expiry: Span,
    /// Whether a domain's keys also sign for those of its subdomains that have no keys, where
    /// `ringpost dkim generate --subdomains` did not say.
    pub sign_subdomains: bool,
    /// Header fields to sign beside the usual ones: `["X-Campaign", "Feedback-ID"]`.
    pub headers: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { expiry: Span::secs(0), sign_subdomains: true, headers: Vec::new() }
    }
}

impl Settings {
    /// What cannot work, in words; empty when all is well.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.headers.len() > HEADERS_MAX {
            faults.push(format!("dkim.headers has more than {HEADERS_MAX} names"));
        }
        for name in &self.headers {
            // RFC 5322 §3.6.8, less the ";" that would end the list (RFC 6376 §3.5, h=).
            let is_name = |octet: u8| octet.is_ascii_graphic() && !matches!(octet, b':' | b';');
            if name.is_empty() || name.len() > 70 || !name.bytes().all(is_name) {
                faults.push(format!("dkim.headers: {name:?} is no name of a header field"));
            } else if UNSTABLE.iter().any(|field| field.eq_ignore_ascii_case(name)) {
                faults.push(format!(
                    "dkim.headers: {name} changes on the way, and signatures over it break"
                ));
            }
        }
        faults
    }

    /// The names of all fields to sign, `From` first, none twice.
    pub(super) fn fields(&self) -> Box<[Box<str>]> {
        let mut fields: Vec<Box<str>> = FIELDS.iter().map(|name| Box::from(*name)).collect();
        for name in &self.headers {
            if !fields.iter().any(|field| field.eq_ignore_ascii_case(name)) {
                fields.push(name.as_str().into());
            }
        }
        fields.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_found_and_names_come_once() {
        let with = |names: &[&str]| Settings {
            headers: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Settings::default()
        };
        for name in ["", "A B", "A:", "a;b", "received", "é", &"x".repeat(71)] {
            assert_eq!(with(&[name]).faults().len(), 1, "{name}");
        }
        let extra = with(&["subject", "X-Campaign", "x-campaign"]);
        assert!(extra.faults().is_empty());
        assert_eq!(extra.fields().len(), FIELDS.len() + 1);
        assert_eq!(&*extra.fields()[0], "From");
    }
}
