//! Authentication-Results fields that claim to be ours.
//!
//! Whoever reads our mail believes such fields by the name in front, so what comes in under our name
//! is taken out before ours goes on (RFC 8601 §5). What must stay true: no way of writing the field
//! that a reader might understand gets past (case, comments, folding, quotes, a final dot, blanks
//! before the colon); what cannot be read but names us goes too. One pass over the header.

use std::ops::Range;

use smallvec::SmallVec;

use super::scan::fields;

/// The octets of fields in `header` that claim to come from `authserv_id`, with their line ends.
#[must_use]
pub fn forged_fields(header: &[u8], authserv_id: &str) -> SmallVec<[Range<usize>; 2]> {
    let ours = bare(authserv_id.as_bytes());
    fields(header)
        .filter(|field| field.name.eq_ignore_ascii_case(b"authentication-results"))
        .filter(|field| claims(field.body, ours))
        .map(|field| field.range)
        .collect()
}

fn claims(body: &[u8], ours: &[u8]) -> bool {
    match service(body) {
        Some(name) => bare(&name).eq_ignore_ascii_case(ours),
        None => names(body, ours),
    }
}

/// The authserv-id (RFC 8601 §2.2); none when it cannot be read for certain.
fn service(body: &[u8]) -> Option<Vec<u8>> {
    let body = skip_blanks(body)?;
    let (name, rest) = match body {
        [b'"', rest @ ..] => quoted(rest)?,
        _ => {
            let ends = |octet: &u8| octet.is_ascii_whitespace() || b";(\"".contains(octet);
            let end = body.iter().position(ends).unwrap_or(body.len());
            (body[..end].to_vec(), &body[end..])
        }
    };
    let is_token = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    // Behind it: nothing, a version, or the results.
    let rest = skip_blanks(rest)?;
    let digits = rest.iter().take_while(|octet| octet.is_ascii_digit()).count();
    let rest = skip_blanks(&rest[digits..])?;
    (is_token && matches!(rest, [] | [b';', ..])).then_some(name)
}

/// What follows blanks, line ends and comments; none when a comment does not end.
fn skip_blanks(text: &[u8]) -> Option<&[u8]> {
    let (mut depth, mut escaped) = (0u32, false);
    for (at, octet) in text.iter().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if depth > 0 => escaped = true,
            b'(' => depth += 1,
            b')' if depth > 0 => depth -= 1,
            _ if depth > 0 || octet.is_ascii_whitespace() => {}
            _ => return Some(&text[at..]),
        }
    }
    (depth == 0).then_some(&[])
}

/// The content of a quoted string whose first quote is gone, and what follows it.
fn quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut name, mut escaped) = (Vec::new(), false);
    for (at, octet) in text.iter().enumerate() {
        match octet {
            b'\\' if !escaped => escaped = true,
            b'"' if !escaped => return Some((name, &text[at + 1..])),
            b'\r' | b'\n' => escaped = false,
            _ => {
                escaped = false;
                name.push(*octet);
            }
        }
    }
    None
}

/// Whether our name stands anywhere in what cannot be read.
fn names(body: &[u8], ours: &[u8]) -> bool {
    let hides = |octet: &u8| octet.is_ascii_whitespace() || b"\\\"".contains(octet);
    let visible: Vec<u8> = body.iter().copied().filter(|octet| !hides(octet)).collect();
    !ours.is_empty() && visible.windows(ours.len()).any(|part| part.eq_ignore_ascii_case(ours))
}

/// Without blanks around it and without the final dot.
fn bare(name: &[u8]) -> &[u8] {
    let name = name.trim_ascii();
    name.strip_suffix(b".").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "mx.example.org";

    fn forged(field: &str) -> bool {
        let header = format!("Subject: a\r\n{field}\r\nTo: b\r\n\r\n");
        let found = forged_fields(header.as_bytes(), OURS);
        if let [range] = &found[..] {
            assert_eq!(&header[range.clone()], format!("{field}\r\n"));
        }
        !found.is_empty()
    }

    #[test]
    fn ours_is_seen_however_it_is_written() {
        for field in [
            "Authentication-Results: mx.example.org; spf=pass",
            "authentication-results:MX.Example.Org.;spf=pass",
            "Authentication-Results : mx.example.org; none",
            "Authentication-Results:\r\n\tmx.example.org 1;\r\n spf=pass",
            "Authentication-Results: (a (b) \\) c) mx.example.org (d); spf=pass",
            "Authentication-Results: \"mx.example.org\"; spf=pass",
            "Authentication-Results: \"m\\x.example.org\"; spf=pass",
            "Authentication-Results: mx.example.org",
            // What nobody can read, but some will.
            "Authentication-Results: mx.example.org spf=pass",
            "Authentication-Results: (mx.example.org; spf=pass",
            "Authentication-Results: \"mx.example.org; spf=pass",
            "Authentication-Results: =?utf-8?q?mx.example.org?= a; spf=pass",
            "Authentication-Results: mx.exam\r\n ple.org x; spf=pass",
        ] {
            assert!(forged(field), "{field:?}");
        }
    }

    #[test]
    fn others_stay() {
        for field in [
            "Authentication-Results: mx.example.net; spf=pass",
            "Authentication-Results: amx.example.org; spf=pass",
            "Authentication-Results: mx.example.org.evil.test; spf=pass",
            "Authentication-Results: other.test; spf=pass smtp.helo=mx.example.org",
            "Authentication-Results: other.test (mx.example.org); spf=pass",
            "X-Authentication-Results: mx.example.org; spf=pass",
            "ARC-Authentication-Results: i=1; mx.example.org; spf=pass",
            "Authentication-Results:",
        ] {
            assert!(!forged(field), "{field:?}");
        }
        let body = b"A: b\r\n\r\nAuthentication-Results: mx.example.org; spf=pass\r\n";
        assert!(forged_fields(body, OURS).is_empty());
    }

    #[test]
    fn all_of_them_are_found() {
        let one = "Authentication-Results: mx.example.org; none\r\n";
        let found = forged_fields(one.repeat(5).as_bytes(), OURS);
        assert_eq!(found.len(), 5);
        assert_eq!(found[4], 4 * one.len()..5 * one.len());
    }
}
