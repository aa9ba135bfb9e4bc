//! What the peer's answer to EHLO offers (RFC 5321 §4.1.1.1).
//!
//! Keywords that we make no use of are passed over; a value that breaks its grammar counts as not
//! given, so that a careless server costs us an optimisation and never a message.

/// The extensions that the client makes use of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// CHUNKING (RFC 3030).
    pub chunking: bool,
    /// SIZE (RFC 1870): `Some(0)` is "offered, without a fixed limit".
    pub size: Option<u64>,
    /// 8BITMIME (RFC 6152).
    pub eightbit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
    /// REQUIRETLS (RFC 8689); worth something only when it was said over TLS.
    pub require_tls: bool,
    /// LIMITS RCPTMAX: recipients a transaction (RFC 9422).
    pub rcptmax: Option<u32>,
    /// LIMITS RCPTDOMAINMAX: recipient domains a transaction (RFC 9422).
    pub rcptdomainmax: Option<u32>,
    /// LIMITS MAILMAX: transactions a connection (RFC 9422).
    pub mailmax: Option<u32>,
}

impl Offers {
    /// Reads the text of the reply: lines separated by `\n`, the first of them the peer's name.
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut offers = Self::default();
        for line in text.split(|byte| *byte == b'\n').skip(1) {
            let Ok(line) = std::str::from_utf8(line) else { continue };
            let mut words = line.split_ascii_whitespace();
            if let Some(keyword) = words.next() {
                offers.note(keyword, words);
            }
        }
        offers
    }

    fn note<'a>(&mut self, keyword: &str, mut words: impl Iterator<Item = &'a str>) {
        let is = |name: &str| keyword.eq_ignore_ascii_case(name);
        if is("PIPELINING") {
            self.pipelining = true;
        } else if is("CHUNKING") {
            self.chunking = true;
        } else if is("SIZE") {
            self.size = Some(words.next().and_then(|word| word.parse().ok()).unwrap_or(0));
        } else if is("8BITMIME") {
            self.eightbit = true;
        } else if is("SMTPUTF8") {
            self.smtputf8 = true;
        } else if is("DSN") {
            self.dsn = true;
        } else if is("STARTTLS") {
            self.starttls = true;
        } else if is("REQUIRETLS") {
            self.require_tls = true;
        } else if is("LIMITS") {
            words.for_each(|word| self.note_limit(word));
        }
    }

    fn note_limit(&mut self, word: &str) {
        let Some((name, value)) = word.split_once('=') else { return };
        // Zero would mean that no mail is taken at all; RFC 9422 §3 has no such value.
        let Some(value) = value.parse().ok().filter(|value| *value > 0) else { return };
        let limit = if name.eq_ignore_ascii_case("RCPTMAX") {
            &mut self.rcptmax
        } else if name.eq_ignore_ascii_case("RCPTDOMAINMAX") {
            &mut self.rcptdomainmax
        } else if name.eq_ignore_ascii_case("MAILMAX") {
            &mut self.mailmax
        } else {
            return;
        };
        *limit = Some(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keywords() {
        let offers = Offers::parse(
            b"mx.example greets you\npipelining\nCHUNKING\nSIZE 1000\n8BITMIME\nSMTPUTF8\nDSN\n\
              STARTTLS\nREQUIRETLS\nXFOO bar\n\nLIMITS RCPTMAX=20 mailmax=5 RCPTDOMAINMAX=1 X=2",
        );
        let all = Offers {
            pipelining: true,
            chunking: true,
            size: Some(1000),
            eightbit: true,
            smtputf8: true,
            dsn: true,
            starttls: true,
            require_tls: true,
            rcptmax: Some(20),
            rcptdomainmax: Some(1),
            mailmax: Some(5),
        };
        assert_eq!(offers, all);
    }

    #[test]
    fn the_name_is_no_keyword_and_nonsense_is_nothing() {
        assert_eq!(Offers::parse(b"PIPELINING"), Offers::default());
        assert_eq!(Offers::parse(b""), Offers::default());
        let offers = Offers::parse(b"x\nSIZE much\nLIMITS RCPTMAX=0 MAILMAX=a MAILMAX\n\xff DSN");
        assert_eq!(offers, Offers { size: Some(0), ..Offers::default() });
    }
}
