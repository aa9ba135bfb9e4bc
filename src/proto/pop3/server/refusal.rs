//! `-ERR` with the code that tells a program why (RFC 2449 §8, RFC 3206, RFC 6856 §5).

use std::borrow::Cow;

/// Octets of a reply's text; with status, code and CRLF a line has 512 at most (RFC 2449 §4).
const TEXT_BYTES_MAX: usize = 480;

/// Why, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Another session has the maildrop: try later (RFC 2449 §8.1.2).
    InUse,
    /// The last login was too short a while ago (RFC 2449 §8.1.1).
    LoginDelay,
    /// The credentials are wrong: ask the user for others (RFC 3206 §4).
    Auth,
    /// Something here is out of order that will likely be mended soon (RFC 3206 §4).
    Temporary,
    /// Something here is out of order that somebody has to see to (RFC 3206 §4).
    Permanent,
    /// The message can only be sent in UTF-8 mode (RFC 6856 §5).
    Utf8,
}

impl Code {
    /// As it is registered.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InUse => "IN-USE",
            Self::LoginDelay => "LOGIN-DELAY",
            Self::Auth => "AUTH",
            Self::Temporary => "SYS/TEMP",
            Self::Permanent => "SYS/PERM",
            Self::Utf8 => "UTF8",
        }
    }
}

/// A negative reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    code: Option<Code>,
    text: Cow<'static, str>,
}

impl Refusal {
    /// Another session has the maildrop.
    pub const IN_USE: Self = Self::new(Some(Code::InUse), "The maildrop is in use");
    /// The store does not answer.
    pub const UNAVAILABLE: Self =
        Self::new(Some(Code::Temporary), "The maildrop cannot be read now");

    /// With a text that is known beforehand.
    #[must_use]
    pub const fn new(code: Option<Code>, text: &'static str) -> Self {
        Self { code, text: Cow::Borrowed(text) }
    }

    /// With a text that was put together; what is not printable ASCII in it, or too long, is not said.
    #[must_use]
    pub const fn made(code: Option<Code>, text: String) -> Self {
        Self { code, text: Cow::Owned(text) }
    }

    /// Why, for programs.
    #[must_use]
    pub const fn code(&self) -> Option<Code> {
        self.code
    }

    /// Why, for people.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Appends the whole line.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"-ERR ");
        if let Some(code) = self.code {
            out.push(b'[');
            out.extend_from_slice(code.name().as_bytes());
            out.extend_from_slice(b"] ");
        }
        let printable = |octet: u8| if matches!(octet, b' '..=b'~') { octet } else { b'?' };
        out.extend(self.text.bytes().take(TEXT_BYTES_MAX).map(printable));
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_whatever_the_text() {
        let written = |refusal: &Refusal| {
            let mut out = Vec::new();
            refusal.write_to(&mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(&Refusal::IN_USE), "-ERR [IN-USE] The maildrop is in use\r\n");
        assert_eq!(written(&Refusal::new(None, "")), "-ERR \r\n");
        let odd =
            Refusal::made(Some(Code::Temporary), format!("a\r\n+OK \u{fc}{}", "x".repeat(999)));
        let line = written(&odd);
        assert!(line.starts_with("-ERR [SYS/TEMP] a??+OK ??xx") && line.len() <= 512, "{line}");
        assert_eq!(line.matches("\r\n").count(), 1);
    }
}
