//! SMTP replies and enhanced status codes (RFC 5321 §4.2, RFC 3463, RFC 2034).
//!
//! A reply is what a server says and what a client heard; the same value travels from the peer
//! into the queue, the log and a bounce. Text never holds a bare CR or LF: lines of a multi-line
//! reply are separated by `\n`, and writing turns that into the `250-` form.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

/// An enhanced status code, `class.subject.detail` (RFC 3463).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Enhanced(pub u8, pub u16, pub u16);

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What the first digit of a reply promises (RFC 5321 §4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// 2yz: done.
    Success,
    /// 3yz: go on.
    Intermediate,
    /// 4yz: not now.
    Temporary,
    /// 5yz, and anything that is no valid reply: never.
    Permanent,
}

/// One SMTP reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The three-digit code.
    pub code: u16,
    /// The enhanced status code, when there is one.
    pub enhanced: Option<Enhanced>,
    /// The text without codes; lines separated by `\n`.
    pub text: Cow<'static, str>,
}

impl Reply {
    /// A reply with an enhanced status code.
    pub const fn new(code: u16, enhanced: Enhanced, text: &'static str) -> Self {
        Self { code, enhanced: Some(enhanced), text: Cow::Borrowed(text) }
    }

    /// A reply without an enhanced status code (greetings, EHLO, 354: RFC 2034 §4).
    pub const fn bare(code: u16, text: &'static str) -> Self {
        Self { code, enhanced: None, text: Cow::Borrowed(text) }
    }

    /// A reply whose text was made at run time.
    pub fn made(code: u16, enhanced: Enhanced, text: String) -> Self {
        Self { code, enhanced: Some(enhanced), text: Cow::Owned(text) }
    }

    /// What the first digit says.
    pub const fn severity(&self) -> Severity {
        match self.code {
            200..=299 => Severity::Success,
            300..=399 => Severity::Intermediate,
            400..=499 => Severity::Temporary,
            _ => Severity::Permanent,
        }
    }

    /// Appends the reply in wire form, every line ended by CRLF.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let mut lines = self.text.split('\n').peekable();
        while let Some(line) = lines.next() {
            let separator = if lines.peek().is_some() { b'-' } else { b' ' };
            push_code(self.code, out);
            out.push(separator);
            if let Some(Enhanced(class, subject, detail)) = self.enhanced {
                push_number(u16::from(class), out);
                out.push(b'.');
                push_number(subject, out);
                out.push(b'.');
                push_number(detail, out);
                out.push(b' ');
            }
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// `550 5.7.1 text`, lines joined by blanks: for logs and bounces.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        for line in self.text.split('\n').filter(|line| !line.is_empty()) {
            write!(f, " {line}")?;
        }
        Ok(())
    }
}

fn push_code(code: u16, out: &mut Vec<u8>) {
    let digit = |n: u16| b'0' + (n % 10) as u8;
    out.extend_from_slice(&[digit(code / 100), digit(code / 10), digit(code)]);
}

fn push_number(mut number: u16, out: &mut Vec<u8>) {
    let mut digits = [0u8; 5];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_reply_carry_code_and_status() {
        let mut out = Vec::new();
        Reply::new(550, Enhanced(5, 7, 1), "no\nrelay").write_to(&mut out);
        assert_eq!(out, b"550-5.7.1 no\r\n550 5.7.1 relay\r\n");
        out.clear();
        Reply::bare(354, "Go").write_to(&mut out);
        assert_eq!(out, b"354 Go\r\n");
    }
}
