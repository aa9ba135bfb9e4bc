//! The mechanisms by name (RFC 4422 §3.1).

/// A mechanism that the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 7677 with channel binding.
    ScramSha256Plus,
    /// RFC 7677.
    ScramSha256,
    /// RFC 4422, appendix A: the client certificate of TLS.
    External,
    /// RFC 4616.
    Plain,
    /// draft-murchison-sasl-login: obsolete, and what many clients speak.
    Login,
}

impl Mechanism {
    /// All, the one to prefer first.
    pub const ALL: [Self; 5] =
        [Self::ScramSha256Plus, Self::ScramSha256, Self::External, Self::Plain, Self::Login];

    /// As it is registered.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::External => "EXTERNAL",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// Reads a name in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name().eq_ignore_ascii_case(name))
    }

    /// Whether it sends the password itself, and so needs a channel that nobody listens to.
    #[must_use]
    pub const fn is_plain_text(self) -> bool {
        matches!(self, Self::Plain | Self::Login)
    }
}

/// Some of the mechanisms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mechanisms(u8);

impl Mechanisms {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// These and `mechanism`.
    #[must_use]
    pub const fn with(self, mechanism: Mechanism) -> Self {
        Self(self.0 | 1 << mechanism as u8)
    }

    /// Whether `mechanism` is one of them.
    #[must_use]
    pub const fn contains(self, mechanism: Mechanism) -> bool {
        self.0 & 1 << mechanism as u8 != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each, the one to prefer first.
    pub fn iter(self) -> impl Iterator<Item = Mechanism> {
        Mechanism::ALL.into_iter().filter(move |one| self.contains(*one))
    }
}

impl FromIterator<Mechanism> for Mechanisms {
    fn from_iter<I: IntoIterator<Item = Mechanism>>(all: I) -> Self {
        all.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_sets() {
        for one in Mechanism::ALL {
            assert_eq!(Mechanism::parse(&one.name().to_lowercase()), Some(one));
            assert!(!Mechanisms::NONE.contains(one));
        }
        assert_eq!(Mechanism::parse("CRAM-MD5"), None);
        let some: Mechanisms = [Mechanism::Login, Mechanism::ScramSha256].into_iter().collect();
        assert_eq!(
            some.iter().collect::<Vec<_>>(),
            [Mechanism::ScramSha256, Mechanism::Login],
            "in order of preference"
        );
        assert!(!some.contains(Mechanism::ScramSha256Plus) && !some.is_empty());
    }
}
