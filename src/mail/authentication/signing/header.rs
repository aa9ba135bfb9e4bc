//! Header fields as DKIM sees them: which are signed, and their relaxed form (RFC 6376 §3.4.2, §5.4).
//!
//! What must stay true: of a name that stands there more than once, the lowest comes first (§5.4.2).
//! Nothing here fails: a line that is no field is passed over, as verifiers do.

use memchr::memchr;
use proto::text::Mailboxes;
use proto::types::Domain;

/// What is signed when it is there: RFC 6376 §5.4.1 and what mailing lists and senders' rules ask
/// for. `From` first: it is signed once more than it is there.
pub(super) const FIELDS: [&str; 28] = [
    "From",
    "Sender",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "To",
    "Cc",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-ID",
    "Content-Description",
    "In-Reply-To",
    "References",
    "Resent-Date",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "Resent-Message-ID",
    "List-Id",
    "List-Help",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
];

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    /// Without blanks around it.
    pub name: &'a [u8],
    /// Behind the colon, folded as it is, with its line end.
    pub value: &'a [u8],
}

/// The fields of a header, from the top; ends at an empty line.
pub(super) fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = header;
    std::iter::from_fn(move || {
        while !matches!(rest, [] | [b'\n', ..] | [b'\r', b'\n', ..]) {
            let (text, behind) = rest.split_at(field_end(rest));
            rest = behind;
            if let Some(field) = field(text) {
                return Some(field);
            }
        }
        None
    })
}

/// Where the first field ends, with the lines that continue it.
fn field_end(text: &[u8]) -> usize {
    let mut end = 0;
    loop {
        end = memchr(b'\n', &text[end..]).map_or(text.len(), |at| end + at + 1);
        if !matches!(text.get(end), Some(b' ' | b'\t')) {
            return end;
        }
    }
}

fn field(text: &[u8]) -> Option<Field<'_>> {
    let colon = memchr(b':', text)?;
    // Blanks before the colon are obsolete but legal (RFC 5322 §4.5), and not part of the name.
    let end = text[..colon].iter().rposition(|octet| !matches!(octet, b' ' | b'\t'))?;
    let name = &text[..=end];
    name.iter().all(u8::is_ascii_graphic).then(|| Field { name, value: &text[colon + 1..] })
}

/// Appends the relaxed form of a field, without its line end: the name in small letters, the value
/// unfolded, blanks made one, none at its ends.
pub(super) fn write_relaxed(field: Field<'_>, out: &mut Vec<u8>) {
    out.extend(field.name.iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let is_blank = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
    let mut words = field.value.split(is_blank).filter(|word| !word.is_empty());
    if let Some(first) = words.next() {
        out.extend_from_slice(first);
    }
    for word in words {
        out.push(b' ');
        out.extend_from_slice(word);
    }
}

/// The domain that a message is signed for: that of its author, by whom receivers judge it
/// (RFC 7489 §3.1.1 and its successors). `header` holds the raw fields. `None` when there is no
/// author, some of it cannot be read, or authors are of several domains.
#[must_use]
pub fn author_domain(header: &[u8]) -> Option<Domain> {
    let mut authors = Mailboxes::default();
    for field in fields(header) {
        if field.name.eq_ignore_ascii_case(b"From") {
            authors.read(field.value);
        }
    }
    if authors.unreadable {
        return None;
    }
    let mut domains = authors.addresses.iter().map(|address| address.domain());
    let first = domains.next()??;
    domains.all(|domain| domain == Some(first)).then(|| first.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relaxed(text: &str) -> String {
        let mut out = Vec::new();
        for field in fields(text.as_bytes()) {
            write_relaxed(field, &mut out);
            out.push(b'|');
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_are_relaxed() {
        // RFC 6376 §3.4.5.
        assert_eq!(relaxed("A: X\r\nB : Y\t\r\n\tZ  \r\n"), "a:X|b:Y Z|");
        assert_eq!(relaxed("SUBJect:\r\n \r\n\t\r\n"), "subject:|");
        assert_eq!(relaxed("From nobody Thu\r\nA:b\r\n:c\r\n\r\nD: e\r\n"), "a:b|");
        assert_eq!(relaxed("A:\té  ü\r\nB:x"), "a:é ü|b:x|");
        assert_eq!(relaxed(" folded: at the start\r\nA: b\r\n"), "a:b|");
    }

    #[test]
    fn the_author_has_one_domain_or_none() {
        let author = |text: &str| author_domain(text.as_bytes()).map(|it| it.as_str().to_owned());
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(author("To: b@y.test\r\nFrom: A <a@X.test>\r\n"), some("x.test"));
        assert_eq!(author("FROM : a@x.test,\r\n \"b\" <b@X.TEST>\r\n"), some("x.test"));
        assert_eq!(author("From: a@x.test\r\nFrom: b@x.test\r\n"), some("x.test"));
        assert_eq!(author("From: a@bücher.example\r\n"), some("xn--bcher-kva.example"));
        for none in [
            "",
            "Sender: a@x.test\r\n",
            "From:\r\n",
            "From: a@x.test, b@y.test\r\n",
            "From: a@x.test\r\nFrom: a@y.test\r\n",
            "From: nobody\r\n",
            "From: a@[192.0.2.1]\r\n",
            "From: a@x.test, b@[192.0.2.1]\r\n",
            "From: <a@x.test\r\n",
            "\r\nFrom: a@x.test\r\n",
        ] {
            assert_eq!(author(none), None, "{none}");
        }
    }
}
