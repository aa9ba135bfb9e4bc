//! The parameters of `MAIL` and `RCPT` (RFC 5321 §4.1.2 `esmtp-param`).
//!
//! Unknown ones are refused with 555, repeated ones with 501: two values of one parameter are two
//! meanings, and the next hop might choose the other.

use super::replies;
use crate::{
    text::parse_date_time,
    types::{BodyKind, Notify, Reply, Ret, Timestamp},
};

/// What `MAIL` may carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MailParameters {
    /// RFC 1870. A number beyond 64 bits reads as `u64::MAX`.
    pub size: Option<u64>,
    /// RFC 6152.
    pub body: Option<BodyKind>,
    /// RFC 6531.
    pub smtputf8: bool,
    /// RFC 3461 §4.3.
    pub ret: Option<Ret>,
    /// RFC 3461 §4.4.
    pub envid: Option<Box<str>>,
    /// RFC 8689.
    pub require_tls: bool,
    /// RFC 4865.
    pub hold: Option<Hold>,
    /// RFC 4954 §5: who submitted the message first. Only a peer that is trusted to know may say
    /// so, and none is: it is read, and means `<>`, which says nothing.
    auth: Option<()>,
}

/// When a message is to be released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// After this many seconds.
    For(u32),
    /// Then.
    Until(Timestamp),
}

/// Which parameters of `MAIL` were offered besides those that always are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Offered {
    pub auth: bool,
    pub require_tls: bool,
    pub future_release: bool,
}

/// What `RCPT` may carry (RFC 3461 §4.1, §4.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RcptParameters {
    pub notify: Option<Notify>,
    pub orcpt: Option<Box<str>>,
}

/// `ENVID` is 100 characters at most, encoded (RFC 3461 §4.4).
const ENVID_MAX: usize = 100;
/// `AUTH` is 500 characters at most (RFC 4954 §3).
const AUTH_MAX: usize = 500;
/// `ORCPT` is 500 characters at most (RFC 3461 §4.2 and the line limit it adds).
const ORCPT_MAX: usize = 500;

impl MailParameters {
    pub(super) fn parse(text: &str, offered: Offered) -> Result<Self, Reply> {
        let mut found = Self::default();
        for (keyword, value) in words(text) {
            found.note(keyword, value, offered)?;
        }
        Ok(found)
    }

    fn note(&mut self, keyword: &str, value: Option<&str>, offered: Offered) -> Result<(), Reply> {
        let is = |name: &str| keyword.eq_ignore_ascii_case(name);
        if is("SIZE") {
            once(&mut self.size, size(value)?)
        } else if is("BODY") {
            once(&mut self.body, body(value)?)
        } else if is("SMTPUTF8") {
            flag(&mut self.smtputf8, value)
        } else if is("RET") {
            once(&mut self.ret, ret(value)?)
        } else if is("ENVID") {
            let value = value.filter(|v| v.len() <= ENVID_MAX && is_xtext(v));
            once(&mut self.envid, value.ok_or(replies::BAD_PARAMETER)?.into())
        } else if is("AUTH") && offered.auth {
            let fine = value.is_some_and(|v| v.len() <= AUTH_MAX && is_xtext(v));
            once(&mut self.auth, fine.then_some(()).ok_or(replies::BAD_PARAMETER)?)
        } else if is("REQUIRETLS") && offered.require_tls {
            flag(&mut self.require_tls, value)
        } else if is("HOLDFOR") && offered.future_release {
            once(&mut self.hold, hold_for(value)?)
        } else if is("HOLDUNTIL") && offered.future_release {
            let until = value.and_then(parse_date_time).ok_or(replies::BAD_PARAMETER)?;
            once(&mut self.hold, Hold::Until(until))
        } else {
            Err(replies::UNKNOWN_PARAMETER)
        }
    }
}

impl RcptParameters {
    pub(super) fn parse(text: &str, smtputf8: bool) -> Result<Self, Reply> {
        let mut found = Self::default();
        for (keyword, value) in words(text) {
            if keyword.eq_ignore_ascii_case("NOTIFY") {
                once(&mut found.notify, notify(value)?)?;
            } else if keyword.eq_ignore_ascii_case("ORCPT") {
                let value = value.filter(|v| v.len() <= ORCPT_MAX && is_orcpt(v, smtputf8));
                once(&mut found.orcpt, value.ok_or(replies::BAD_PARAMETER)?.into())?;
            } else {
                return Err(replies::UNKNOWN_PARAMETER);
            }
        }
        Ok(found)
    }
}

/// `keyword` or `keyword=value`, parted by blanks.
fn words(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split(' ').filter(|word| !word.is_empty()).map(|word| {
        word.split_once('=').map_or((word, None), |(keyword, value)| (keyword, Some(value)))
    })
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Reply> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(replies::REPEATED_PARAMETER),
    }
}

/// A parameter without a value.
fn flag(slot: &mut bool, value: Option<&str>) -> Result<(), Reply> {
    if value.is_some() {
        return Err(replies::BAD_PARAMETER);
    }
    if std::mem::replace(slot, true) { Err(replies::REPEATED_PARAMETER) } else { Ok(()) }
}

/// One to nine digits, and not zero (RFC 4865 §3).
fn hold_for(value: Option<&str>) -> Result<Hold, Reply> {
    let digits = value.filter(|v| (1..=9).contains(&v.len()) && !v.starts_with('0'));
    let digits = digits.filter(|v| v.bytes().all(|octet| octet.is_ascii_digit()));
    let seconds = digits.and_then(|v| v.parse().ok());
    seconds.map(Hold::For).ok_or(replies::BAD_PARAMETER)
}

fn size(value: Option<&str>) -> Result<u64, Reply> {
    let digits = value.filter(|v| (1..=20).contains(&v.len()));
    let digits = digits.filter(|v| v.bytes().all(|octet| octet.is_ascii_digit()));
    // Digits only: the one thing that can fail is their magnitude.
    Ok(digits.ok_or(replies::BAD_PARAMETER)?.parse().unwrap_or(u64::MAX))
}

fn body(value: Option<&str>) -> Result<BodyKind, Reply> {
    match value {
        Some(v) if v.eq_ignore_ascii_case("8BITMIME") => Ok(BodyKind::EightBit),
        Some(v) if v.eq_ignore_ascii_case("7BIT") => Ok(BodyKind::SevenBit),
        // BINARYMIME (RFC 3030 §3) is not offered.
        _ => Err(replies::BAD_PARAMETER),
    }
}

fn ret(value: Option<&str>) -> Result<Ret, Reply> {
    match value {
        Some(v) if v.eq_ignore_ascii_case("FULL") => Ok(Ret::Full),
        Some(v) if v.eq_ignore_ascii_case("HDRS") => Ok(Ret::Headers),
        _ => Err(replies::BAD_PARAMETER),
    }
}

fn notify(value: Option<&str>) -> Result<Notify, Reply> {
    let value = value.ok_or(replies::BAD_PARAMETER)?;
    let mut notify = Notify::NEVER;
    if value.eq_ignore_ascii_case("NEVER") {
        return Ok(notify);
    }
    for word in value.split(',') {
        let flag = if word.eq_ignore_ascii_case("SUCCESS") {
            &mut notify.success
        } else if word.eq_ignore_ascii_case("FAILURE") {
            &mut notify.failure
        } else if word.eq_ignore_ascii_case("DELAY") {
            &mut notify.delay
        } else {
            return Err(replies::BAD_PARAMETER);
        };
        *flag = true;
    }
    Ok(notify)
}

/// `xtext`: printable ASCII but `+` and `=`, or `+` and two upper-case hex digits (RFC 3461 §4).
fn is_xtext(text: &str) -> bool {
    let mut octets = text.bytes();
    let hex = |octets: &mut std::str::Bytes<'_>| {
        octets.next().is_some_and(|o| matches!(o, b'0'..=b'9' | b'A'..=b'F'))
    };
    while let Some(octet) = octets.next() {
        let fine = match octet {
            b'+' => hex(&mut octets) && hex(&mut octets),
            b'=' => false,
            other => other.is_ascii_graphic(),
        };
        if !fine {
            return false;
        }
    }
    !text.is_empty()
}

/// `addr-type ";" xtext`; with type `utf-8` also the forms of RFC 6533 §3, of which the one with
/// raw UTF-8 is for SMTPUTF8 only.
fn is_orcpt(text: &str, smtputf8: bool) -> bool {
    let Some((kind, address)) = text.split_once(';') else { return false };
    let atom = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if kind.is_empty() || !kind.chars().all(atom) {
        return false;
    }
    if smtputf8 && kind.eq_ignore_ascii_case("utf-8") {
        return !address.is_empty() && !address.contains(['+', '=']);
    }
    is_xtext(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Offered = Offered { auth: true, require_tls: true, future_release: true };

    fn parse(text: &str) -> Result<MailParameters, Reply> {
        MailParameters::parse(text, Offered::default())
    }

    #[test]
    fn parameters_of_submission() {
        let parse = |text| MailParameters::parse(text, ALL);
        let found = parse("AUTH=a+40x.org requiretls HOLDFOR=86400").unwrap();
        assert_eq!((found.require_tls, found.hold), (true, Some(Hold::For(86400))));
        assert!(parse("AUTH=<>").is_ok());
        let until = parse("HOLDUNTIL=1970-01-01T00:00:07Z").unwrap().hold;
        assert_eq!(until, Some(Hold::Until(Timestamp(7000))));
        for text in [
            "AUTH",
            "AUTH=",
            "AUTH=a=b",
            "AUTH=+4",
            "REQUIRETLS=1",
            "HOLDFOR",
            "HOLDFOR=0",
            "HOLDFOR=01",
            "HOLDFOR=+1",
            "HOLDFOR=1000000000",
            "HOLDUNTIL=tomorrow",
        ] {
            assert_eq!(parse(text), Err(replies::BAD_PARAMETER), "{text}");
        }
        for text in ["AUTH=<> AUTH=<>", "HOLDFOR=1 HOLDUNTIL=1970-01-01T00:00:07Z"] {
            assert_eq!(parse(text), Err(replies::REPEATED_PARAMETER), "{text}");
        }
        for text in ["AUTH=<>", "REQUIRETLS", "HOLDFOR=1", "HOLDUNTIL=1970-01-01T00:00:07Z"] {
            let none = MailParameters::parse(text, Offered::default());
            assert_eq!(none, Err(replies::UNKNOWN_PARAMETER), "{text}");
        }
    }

    #[test]
    fn mail_parameters() {
        let found = parse(" SIZE=1000 body=8bitmime  SMTPUTF8 RET=HDRS ENVID=QQ+2B1").unwrap();
        assert_eq!(found.size, Some(1000));
        assert_eq!(found.body, Some(BodyKind::EightBit));
        assert!(found.smtputf8);
        assert_eq!(found.ret, Some(Ret::Headers));
        assert_eq!(found.envid.as_deref(), Some("QQ+2B1"));
        assert_eq!(parse("SIZE=99999999999999999999").unwrap().size, Some(u64::MAX));
    }

    #[test]
    fn malformed_and_repeated_ones_are_refused() {
        for text in [
            "SIZE",
            "SIZE=",
            "SIZE=-1",
            "SIZE=1x",
            "SIZE=100000000000000000000",
            "BODY=BINARYMIME",
            "SMTPUTF8=1",
            "RET=ALL",
            "ENVID=",
            "ENVID=a+2b",
            "ENVID=a+",
            "ENVID=a=b",
            "ENVID=ü",
        ] {
            assert_eq!(parse(text), Err(replies::BAD_PARAMETER), "{text}");
        }
        for text in
            ["SIZE=1 SIZE=1", "SMTPUTF8 smtputf8", "RET=FULL ret=HDRS", "BODY=7BIT BODY=7BIT"]
        {
            assert_eq!(parse(text), Err(replies::REPEATED_PARAMETER), "{text}");
        }
        for text in ["AUTH=<>", "=1", "XYZ"] {
            assert_eq!(parse(text), Err(replies::UNKNOWN_PARAMETER), "{text}");
        }
        let long = format!("ENVID={}", "a".repeat(101));
        assert_eq!(parse(&long), Err(replies::BAD_PARAMETER));
    }

    #[test]
    fn rcpt_parameters() {
        let found =
            RcptParameters::parse("NOTIFY=success,DELAY ORCPT=rfc822;Bob+2B@x.org", false).unwrap();
        assert_eq!(found.notify, Some(Notify { success: true, failure: false, delay: true }));
        assert_eq!(found.orcpt.as_deref(), Some("rfc822;Bob+2B@x.org"));
        assert!(RcptParameters::parse("ORCPT=utf-8;用户@x.org", true).is_ok());
        assert!(RcptParameters::parse("ORCPT=utf-8;\\x{7528}@x.org", false).is_ok());
        for text in [
            "NOTIFY",
            "NOTIFY=",
            "NOTIFY=NEVER,DELAY",
            "NOTIFY=MAYBE",
            "ORCPT=rfc822",
            "ORCPT=;a",
            "ORCPT=rfc822;",
            "ORCPT=rfc822;a=b",
            "ORCPT=utf-8;用户@x.org",
        ] {
            assert_eq!(RcptParameters::parse(text, false), Err(replies::BAD_PARAMETER), "{text}");
        }
    }
}
