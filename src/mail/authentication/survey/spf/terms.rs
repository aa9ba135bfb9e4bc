//! The terms of one record. Must stay true: their order is the record's; each keeps its text.

use std::net::{Ipv4Addr, Ipv6Addr};

use mail_auth::dns::TxtRecordParser;
use mail_auth::spf::{Directive, Macro, Qualifier, SpfRecord};
use serde::Serialize;

/// More terms are nonsense.
const TERMS_MAX: usize = 500;
const MECHANISMS: [&str; 8] = ["all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"];

/// One term.
pub(super) struct Term {
    pub text: String,
    pub part: Part,
}

pub(super) enum Part {
    Directive(Directive),
    Redirect(Macro),
    /// `exp=`, and modifiers that nobody knows (RFC 7208 §6).
    Other,
}

/// What a record says of everybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum All {
    /// `+all`: everybody may.
    #[serde(rename = "+all")]
    Pass,
    /// `-all`
    #[serde(rename = "-all")]
    Fail,
    /// `~all`
    #[serde(rename = "~all")]
    SoftFail,
    /// `?all`
    #[serde(rename = "?all")]
    Neutral,
}

impl From<&Qualifier> for All {
    fn from(qualifier: &Qualifier) -> Self {
        match qualifier {
            Qualifier::Pass => Self::Pass,
            Qualifier::Fail => Self::Fail,
            Qualifier::SoftFail => Self::SoftFail,
            Qualifier::Neutral => Self::Neutral,
        }
    }
}

/// Whether a TXT record is an SPF record, right or wrong (RFC 7208 §4.5).
pub fn is_spf(text: &str) -> bool {
    let Some((version, rest)) = text.split_at_checked(6) else { return false };
    version.eq_ignore_ascii_case("v=spf1") && (rest.is_empty() || rest.starts_with(' '))
}

/// What is wrong with an SPF record: then it is `permerror` for everybody (RFC 7208 §4.6). mail-auth takes
/// `ipv4:…`, `ip4:192.0.2.1/33` and the like for something else.
#[must_use]
pub fn fault(record: &str) -> Option<String> {
    parse(record).err()
}

/// Takes a record apart.
pub(super) fn parse(text: &str) -> Result<Vec<Term>, String> {
    let mut terms = Vec::new();
    let (mut redirects, mut explanations) = (0, 0);
    for term in text.split(' ').skip(1).filter(|term| !term.is_empty()) {
        let lower = term.to_ascii_lowercase();
        redirects += u32::from(lower.starts_with("redirect="));
        explanations += u32::from(lower.starts_with("exp="));
        if redirects > 1 || explanations > 1 {
            return Err(format!("\"{term}\" is there twice"));
        }
        if terms.len() == TERMS_MAX {
            return Err("it has too many terms".to_owned());
        }
        let part = part(term)?;
        terms.push(Term { text: term.to_owned(), part });
    }
    Ok(terms)
}

fn part(term: &str) -> Result<Part, String> {
    check_form(term)?;
    let alone = SpfRecord::parse(format!("v=spf1 {term}").as_bytes());
    let record = alone.map_err(|_| format!("\"{term}\" is wrong"))?;
    let mut directives = record.directives.into_vec();
    Ok(match (directives.pop(), record.redirect) {
        (Some(directive), _) => Part::Directive(directive),
        (None, Some(target)) => Part::Redirect(target),
        (None, None) => Part::Other,
    })
}

/// What RFC 7208 §12 forbids.
fn check_form(term: &str) -> Result<(), String> {
    let bare = term.strip_prefix(['+', '-', '~', '?']).unwrap_or(term);
    let end = bare.find([':', '=', '/']).unwrap_or(bare.len());
    let (name, rest) = bare.split_at(end);
    if rest.starts_with('=') {
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        return match is_name(name) && bare.len() == term.len() && !is_mechanism(name) {
            true => Ok(()),
            false => Err(format!("\"{term}\" is wrong")),
        };
    }
    if !is_mechanism(name) {
        return Err(format!("\"{term}\" is no mechanism that there is"));
    }
    if !is_value(&name.to_ascii_lowercase(), rest) {
        return Err(format!("\"{term}\" is wrong"));
    }
    Ok(())
}

fn is_mechanism(name: &str) -> bool {
    MECHANISMS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether `rest`, what follows the name, can follow it.
fn is_value(name: &str, rest: &str) -> bool {
    if matches!(name, "include" | "exists") || rest.contains('%') {
        // Slashes may be part of macros.
        return name != "all" && rest.len() > 1;
    }
    let (value, lengths) = match rest.split_once('/') {
        Some((value, lengths)) => (value, Some(lengths)),
        None => (rest, None),
    };
    let value = value.strip_prefix(':');
    match name {
        "all" => rest.is_empty(),
        "ptr" => value != Some("") && lengths.is_none(),
        "ip4" => {
            value.is_some_and(|value| value.parse::<Ipv4Addr>().is_ok())
                && lengths.is_none_or(|length| is_up_to(length, 32))
        }
        "ip6" => {
            value.is_some_and(|value| value.parse::<Ipv6Addr>().is_ok())
                && lengths.is_none_or(|length| is_up_to(length, 128))
        }
        _ => value != Some("") && lengths.is_none_or(is_dual_length),
    }
}

/// `24`, `24//64` or, of `//64`, what follows the first slash.
fn is_dual_length(lengths: &str) -> bool {
    let (four, six) = match (lengths.split_once("//"), lengths.strip_prefix('/')) {
        (Some((four, six)), _) => (Some(four), Some(six)),
        (None, Some(six)) => (None, Some(six)),
        (None, None) => (Some(lengths), None),
    };
    four.is_none_or(|length| is_up_to(length, 32)) && six.is_none_or(|length| is_up_to(length, 128))
}

fn is_up_to(text: &str, most: u32) -> bool {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number && text.parse::<u32>().is_ok_and(|number| number <= most)
}
