//! The fields that tell what was found: Authentication-Results (RFC 8601) and Received-SPF
//! (RFC 7208 §9.1).
//!
//! What must stay true: what strangers wrote appears as a token or as a quoted string of printable
//! ASCII, never as syntax; lines are folded, none is over 998 octets; nothing here allocates but the
//! output and one scratch.

use std::fmt::Write as _;
use std::net::IpAddr;

use proto::types::AuthResult;

use super::{Dkim, Report, SpfResult};

/// Where a line is folded (RFC 5322 §2.1.1 wants 78 at most where that can be had).
const LINE_OCTETS: usize = 78;

impl Report {
    /// Appends Received-SPF, if wanted, and Authentication-Results in the name of `authserv_id`,
    /// each with its line end.
    pub fn write_fields(&self, authserv_id: &str, received_spf: bool, out: &mut Vec<u8>) {
        if received_spf {
            self.write_received_spf(authserv_id, out);
        }
        let mut field = Field::begin(out, "Authentication-Results:", authserv_id);
        self.write_iprev(&mut field);
        self.write_spf(&mut field);
        if self.dkim.is_empty() {
            field.method("dkim", AuthResult::None, "");
        }
        for dkim in &self.dkim {
            write_dkim(dkim, &mut field);
        }
        self.write_arc(&mut field);
        self.write_dmarc(&mut field);
        field.end();
    }

    fn write_iprev(&self, field: &mut Field<'_>) {
        field.method("iprev", self.iprev.result, "");
        field.property("policy.iprev=", &self.iprev.client.to_string());
        if !self.iprev.name.is_empty() {
            // No property for the name is registered: a comment, as others write it.
            field.comment(&self.iprev.name);
        }
    }

    fn write_spf(&self, field: &mut Field<'_>) {
        if let Some(spf) = &self.spf.mail_from {
            field.method("spf", spf.result, &spf.reason);
            field.property("smtp.mailfrom=", &self.spf.sender);
        }
        field.method("spf", self.spf.helo.result, &self.spf.helo.reason);
        field.property("smtp.helo=", &self.spf.helo.domain);
    }

    fn write_arc(&self, field: &mut Field<'_>) {
        field.method("arc", self.arc.result, &self.arc.reason);
        if self.arc.chain_length > 0 {
            field.property("smtp.remote-ip=", &self.iprev.client.to_string());
        }
    }

    fn write_dmarc(&self, field: &mut Field<'_>) {
        let dmarc = &self.dmarc;
        field.method("dmarc", dmarc.result, &dmarc.reason);
        if !dmarc.author_domain.is_empty() {
            field.property("header.from=", &dmarc.author_domain);
        }
        if dmarc.published.is_some() {
            field.property("policy.dmarc=", dmarc.policy.word());
        }
    }

    fn write_received_spf(&self, receiver: &str, out: &mut Vec<u8>) {
        let spf = self.spf.decisive();
        let identity = if self.spf.mail_from.is_some() { "mailfrom" } else { "helo" };
        let mut field = Field::begin(out, "Received-SPF:", spf.result.word());
        let comment = format!("{receiver}: {}", said(spf, self.iprev.client));
        field.comment(&comment);
        field.pair("client-ip", &self.iprev.client.to_string());
        field.pair("envelope-from", &self.spf.sender);
        field.pair("helo", &self.spf.helo.domain);
        field.pair("receiver", receiver);
        if matches!(spf.result, AuthResult::TempError | AuthResult::PermError) {
            field.pair("problem", &spf.reason);
        }
        field.pair("identity", identity);
        field.end();
    }
}

/// The result for people.
fn said(spf: &SpfResult, client: IpAddr) -> String {
    match spf.result {
        AuthResult::Pass => format!("{client} may send for the domain"),
        AuthResult::Fail => format!("{client} may not send for the domain"),
        AuthResult::SoftFail => format!("{client} most likely may not send for the domain"),
        AuthResult::Neutral => format!("the domain says nothing about {client}"),
        AuthResult::TempError => "the record cannot be evaluated now".to_owned(),
        AuthResult::PermError => "the record cannot be evaluated".to_owned(),
        AuthResult::None | AuthResult::Policy => "the domain publishes no record".to_owned(),
    }
}

fn write_dkim(dkim: &Dkim, field: &mut Field<'_>) {
    field.method("dkim", dkim.result, &dkim.reason);
    for (property, value) in [
        ("header.d=", &*dkim.domain),
        ("header.s=", &*dkim.selector),
        ("header.i=", &*dkim.identity),
        ("header.a=", dkim.algorithm),
        ("header.b=", &*dkim.signature),
    ] {
        if !value.is_empty() {
            field.property(property, value);
        }
    }
}

/// A field that is being written, word by word.
struct Field<'a> {
    out: &'a mut Vec<u8>,
    /// Octets of the current line.
    column: usize,
    scratch: String,
    /// A pair of Received-SPF stands before.
    has_pair: bool,
}

impl<'a> Field<'a> {
    fn begin(out: &'a mut Vec<u8>, name: &str, first: &str) -> Self {
        out.extend_from_slice(name.as_bytes());
        let mut field = Self { column: name.len(), out, scratch: String::new(), has_pair: false };
        field.word(first);
        field
    }

    fn end(self) {
        self.out.extend_from_slice(b"\r\n");
    }

    /// Begins the result of a method, on a line of its own.
    fn method(&mut self, method: &str, result: AuthResult, reason: &str) {
        self.out.extend_from_slice(b";\r\n\t");
        self.out.extend_from_slice(method.as_bytes());
        self.out.push(b'=');
        self.out.extend_from_slice(result.word().as_bytes());
        self.column = 8 + method.len() + 1 + result.word().len();
        if !reason.is_empty() {
            self.compose("reason=", |text| quote(reason, text));
        }
    }

    /// `ptype.property=value`: a token, an address, or a quoted string.
    fn property(&mut self, name: &str, value: &str) {
        self.compose(name, |text| {
            if is_plain(value) {
                text.push_str(value);
            } else {
                quote(value, text);
            }
        });
    }

    /// `key=value;` of Received-SPF: a dot-atom or a quoted string.
    fn pair(&mut self, key: &str, value: &str) {
        if self.has_pair {
            self.out.push(b';');
            self.column += 1;
        }
        self.has_pair = true;
        self.compose(key, |text| {
            text.push('=');
            if is_dot_atom(value) {
                text.push_str(value);
            } else {
                quote(value, text);
            }
        });
    }

    fn comment(&mut self, content: &str) {
        self.compose("(", |text| {
            text.extend(content.chars().map(|c| match c {
                '(' | ')' | '\\' => '?',
                c => visible(c),
            }));
            text.push(')');
        });
    }

    fn compose(&mut self, begin: &str, rest: impl FnOnce(&mut String)) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.push_str(begin);
        rest(&mut scratch);
        self.word(&scratch);
        self.scratch = scratch;
    }

    /// One piece that is not broken, on the next line where this one has no room.
    fn word(&mut self, word: &str) {
        if self.column + 1 + word.len() > LINE_OCTETS && self.column > 8 {
            self.out.extend_from_slice(b"\r\n\t ");
            self.column = 9;
        } else {
            self.out.push(b' ');
            self.column += 1;
        }
        self.out.extend_from_slice(word.as_bytes());
        self.column += word.len();
    }
}

/// A quoted string (RFC 5322 §3.2.4); what is not printable ASCII becomes `?`.
fn quote(value: &str, text: &mut String) {
    text.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        // Writing to a String does not fail.
        let _ = text.write_char(visible(c));
    }
    text.push('"');
}

fn visible(c: char) -> char {
    if c == ' ' || c.is_ascii_graphic() { c } else { '?' }
}

/// A token (RFC 2045 §5.1), or an address of tokens: what pvalue is without quotes (RFC 8601 §2.2).
fn is_plain(value: &str) -> bool {
    let is_token = |text: &str| {
        let fits = |octet: u8| octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&octet);
        !text.is_empty() && text.bytes().all(fits)
    };
    match value.split_once('@') {
        Some((local, domain)) => (local.is_empty() || is_token(local)) && is_token(domain),
        None => is_token(value),
    }
}

fn is_dot_atom(value: &str) -> bool {
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet);
    value.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(fits))
}
