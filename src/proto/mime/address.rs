//! Address lists as ENVELOPE shows them (RFC 5322 §3.4, RFC 9051 §7.5.2).
//!
//! Reads everything that senders write, in one pass: groups, comments, quoted strings, source
//! routes, encoded words with commas in them, names without addresses. Unlike `proto::text`, which
//! refuses what is in doubt because policy depends on it, this shows what is there. A mailbox
//! without local part or domain gets `MISSING_MAILBOX` or `MISSING_DOMAIN`, as Dovecot writes it:
//! NIL would make a group of it. Encoded words stay as they are.

use std::ops::ControlFlow;

use super::octets::is_blank;

/// An encoded word is no longer (RFC 2047 §2 says 75; longer ones live); so far its end is sought.
const WORD_OCTETS_MAX: usize = 256;
/// How far the end of a source route is sought.
const ROUTE_OCTETS_MAX: usize = 1024;
/// Octets kept of one name, local part or domain.
const PIECE_OCTETS_MAX: usize = 2048;

/// One structure of an address list.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    /// A mailbox.
    Mailbox {
        /// The display name, or else the last comment.
        name: Option<&'a [u8]>,
        /// An obsolete source route, `@a,@b`.
        route: Option<&'a [u8]>,
        /// The local part, unquoted.
        local: &'a [u8],
        /// The domain.
        host: &'a [u8],
    },
    /// A group begins, with its name.
    Group(&'a [u8]),
    /// It ends.
    GroupEnd,
}

/// Hands out what stands in the body of an address field, until `each` has enough.
pub(super) fn read(
    body: &[u8],
    each: &mut dyn FnMut(Entry<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut reader = Reader { each, draft: Draft::default(), group: false };
    let mut rest = body;
    while let Some(octet) = rest.first() {
        rest = reader.take(*octet, rest)?;
    }
    reader.end_mailbox()?;
    if reader.group { (reader.each)(Entry::GroupEnd) } else { ControlFlow::Continue(()) }
}

/// A mailbox that is being read.
#[derive(Default)]
struct Draft {
    /// Everything outside of `<>`, words parted by single blanks.
    display: Vec<u8>,
    comment: Vec<u8>,
    route: Vec<u8>,
    local: Vec<u8>,
    host: Vec<u8>,
    /// Behind the `@`.
    in_host: bool,
    angle: Angle,
    /// A blank or comment stood before what comes next.
    blank: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Angle {
    #[default]
    None,
    Open,
    Closed,
}

impl Draft {
    fn clear(&mut self) {
        for piece in
            [&mut self.display, &mut self.comment, &mut self.route, &mut self.local, &mut self.host]
        {
            piece.clear();
        }
        (self.in_host, self.angle, self.blank) = (false, Angle::None, false);
    }

    /// A word, or a character that means nothing here.
    fn push(&mut self, word: &[u8]) {
        let blank = std::mem::take(&mut self.blank);
        if self.angle == Angle::None {
            push_word(&mut self.display, word, blank);
        }
        if self.angle == Angle::Closed {
            // Behind the address there is nothing.
        } else if self.in_host {
            push_word(&mut self.host, word, false);
        } else {
            let joined = word.starts_with(b".") || self.local.ends_with(b".");
            push_word(&mut self.local, word, blank && !joined);
        }
    }

    fn at_sign(&mut self) {
        if self.in_host || self.angle == Angle::Closed {
            return self.push(b"@");
        }
        self.blank = false;
        if self.angle == Angle::None {
            push_word(&mut self.display, b"@", false);
        }
        self.in_host = true;
    }
}

fn push_word(piece: &mut Vec<u8>, word: &[u8], blank: bool) {
    if blank && !piece.is_empty() {
        piece.push(b' ');
    }
    let room = PIECE_OCTETS_MAX.saturating_sub(piece.len());
    piece.extend_from_slice(&word[..word.len().min(room)]);
}

struct Reader<'a> {
    each: &'a mut dyn FnMut(Entry<'_>) -> ControlFlow<()>,
    draft: Draft,
    group: bool,
}

impl Reader<'_> {
    /// Takes what begins with `octet`; gives back what follows.
    fn take<'b>(&mut self, octet: u8, text: &'b [u8]) -> ControlFlow<(), &'b [u8]> {
        let draft = &mut self.draft;
        let mut octets = 1;
        match octet {
            octet if is_blank(octet) => draft.blank = true,
            b'(' => {
                draft.comment.clear();
                octets = enclosed(text, b'(', b')', &mut draft.comment);
                draft.blank = true;
            }
            b'"' => {
                let mut word = Vec::new();
                octets = enclosed(text, b'"', b'"', &mut word);
                draft.push(&word);
            }
            b'[' => {
                octets = literal(text);
                draft.push(&text[..octets]);
            }
            b'<' if draft.angle == Angle::None => {
                draft.angle = Angle::Open;
                (draft.in_host, draft.blank) = (false, false);
                draft.local.clear();
                draft.host.clear();
                octets += route(&text[1..], &mut draft.route);
            }
            b'>' if draft.angle == Angle::Open => draft.angle = Angle::Closed,
            b',' => self.end_mailbox()?,
            b';' => {
                self.end_mailbox()?;
                if std::mem::take(&mut self.group) {
                    (self.each)(Entry::GroupEnd)?;
                }
            }
            b':' if draft.angle == Angle::None && !draft.in_host && !self.group => {
                self.group = true;
                (self.each)(Entry::Group(&draft.display))?;
                draft.clear();
            }
            b'@' => draft.at_sign(),
            _ => {
                octets = atom(text);
                draft.push(&text[..octets]);
            }
        }
        ControlFlow::Continue(&text[octets..])
    }

    fn end_mailbox(&mut self) -> ControlFlow<()> {
        let draft = &self.draft;
        let is_there = !draft.display.is_empty() || draft.angle != Angle::None;
        if is_there {
            let name = match draft.angle {
                Angle::None => &[][..],
                _ => &draft.display,
            };
            let name = [name, &draft.comment].into_iter().find(|name| !name.is_empty());
            let or = |piece, missing| if <[u8]>::is_empty(piece) { missing } else { piece };
            (self.each)(Entry::Mailbox {
                name,
                route: (!draft.route.is_empty()).then_some(&draft.route),
                local: or(&draft.local, b"MISSING_MAILBOX"),
                host: or(&draft.host, b"MISSING_DOMAIN"),
            })?;
        }
        self.draft.clear();
        ControlFlow::Continue(())
    }
}

/// The length of a comment (with those inside it) or quoted string, whose content goes to `inside`;
/// one that does not end goes to the end of the text.
fn enclosed(text: &[u8], open: u8, close: u8, inside: &mut Vec<u8>) -> usize {
    let (mut depth, mut escaped) = (0usize, false);
    for (at, octet) in text.iter().enumerate() {
        let keep = match *octet {
            octet if escaped => {
                escaped = false;
                octet
            }
            b'\\' => {
                escaped = true;
                continue;
            }
            octet if octet == close && depth == 1 => return at + 1,
            octet if octet == close && depth > 1 => {
                depth -= 1;
                octet
            }
            octet if octet == open => {
                depth += 1;
                if depth == 1 {
                    continue;
                }
                octet
            }
            // Folding; the blank behind it stays.
            b'\r' | b'\n' => continue,
            octet => octet,
        };
        if inside.len() < PIECE_OCTETS_MAX {
            inside.push(keep);
        }
    }
    text.len()
}

/// The length of a domain literal.
fn literal(text: &[u8]) -> usize {
    let ends = |octet: &u8| matches!(octet, b']' | b',' | b'>' | b'\r' | b'\n');
    text.iter().position(ends).map_or(text.len(), |at| at + usize::from(text[at] == b']'))
}

/// The length of `@a,@b:` with blanks before and in it; what it says goes to `route`.
fn route(text: &[u8], route: &mut Vec<u8>) -> usize {
    let near = &text[..text.len().min(ROUTE_OCTETS_MAX)];
    let first = near.iter().position(|octet| !is_blank(*octet));
    if first.is_none_or(|at| near[at] != b'@') {
        return 0;
    }
    let end = near.iter().position(|octet| matches!(octet, b':' | b'>' | b'<'));
    let Some(end) = end.filter(|at| near[*at] == b':') else { return 0 };
    for octet in near[..end].iter().filter(|octet| !is_blank(**octet)) {
        if *octet == b'@' && !route.is_empty() && !route.ends_with(b",") {
            route.push(b',');
        }
        route.push(*octet);
    }
    end + 1
}

/// The length of an encoded word or atom, at least 1.
fn atom(text: &[u8]) -> usize {
    let ends = |octet: &u8| is_blank(*octet) || b"()<>[]:;@,\"".contains(octet);
    encoded_word(text).unwrap_or_else(|| text.iter().position(ends).unwrap_or(text.len()).max(1))
}

/// The length of `=?charset?encoding?text?=`: careless senders leave commas in it.
fn encoded_word(text: &[u8]) -> Option<usize> {
    let near = &text[..text.len().min(WORD_OCTETS_MAX)];
    let inside = near.strip_prefix(b"=?")?;
    let word = inside.iter().enumerate().take_while(|(_, octet)| !is_blank(**octet));
    let third = word.filter(|(_, octet)| **octet == b'?').map(|(at, _)| at).nth(2)?;
    (inside.get(third + 1) == Some(&b'=')).then_some(third + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(body: &str) -> Vec<String> {
        let mut found = Vec::new();
        let text = |piece: &[u8]| String::from_utf8_lossy(piece).into_owned();
        let _ = read(body.as_bytes(), &mut |entry| {
            found.push(match entry {
                Entry::Mailbox { name, route, local, host } => {
                    let name = name.map_or_else(|| "-".to_owned(), text);
                    let route = route.map_or_else(String::new, |route| text(route) + ":");
                    format!("{name}|{route}{}|{}", text(local), text(host))
                }
                Entry::Group(name) => format!("{}:", text(name)),
                Entry::GroupEnd => ";".to_owned(),
            });
            ControlFlow::Continue(())
        });
        found
    }

    #[test]
    fn lists_as_the_standards_have_them() {
        for (body, entries) in [
            ("user@domain", &["-|user|domain"][..]),
            (" <user@domain>\r\n", &["-|user|domain"]),
            ("foo bar <user@domain>", &["foo bar|user|domain"]),
            ("\"foo bar\" <user@domain>", &["foo bar|user|domain"]),
            ("\"a \\\"b\\\"\"  c\r\n\td <u@d>", &["a \"b\" c d|u|d"]),
            ("<@route:user@domain>", &["-|@route:user|domain"]),
            ("hello <@route ,@route2:user@domain>", &["hello|@route,@route2:user|domain"]),
            ("<@route@route2:user@domain>", &["-|@route,@route2:user|domain"]),
            ("u@d (Real (odd) Name), v@e", &["Real (odd) Name|u|d", "-|v|e"]),
            (
                "group: g1@d1.org, g2@d2.org;, group2: g3@d3.org;",
                &["group:", "-|g1|d1.org", "-|g2|d2.org", ";", "group2:", "-|g3|d3.org", ";"],
            ),
            ("group:;, group2: (foo) ;", &["group:", ";", "group2:", ";"]),
            ("\"a b\"@x.org, a@[192.0.2.1]", &["-|a b|x.org", "-|a|[192.0.2.1]"]),
            ("jdoe@test . example, j . d@x", &["-|jdoe|test.example", "-|j.d|x"]),
            ("=?utf-8?Q?Doe,_John?= <j@x.org>", &["=?utf-8?Q?Doe,_John?=|j|x.org"]),
            ("Pete(A nice \\) chap) <pete(his)@silly.test(host)>", &["Pete|pete|silly.test"]),
            (" ,, a@x.org,,", &["-|a|x.org"]),
            ("", &[]),
            (" \r\n", &[]),
        ] {
            assert_eq!(list(body), entries, "{body}");
        }
    }

    #[test]
    fn what_is_broken_is_shown_as_it_is() {
        for (body, entries) in [
            ("user (hello)", &["hello|user|MISSING_DOMAIN"][..]),
            ("hello <user>", &["hello|user|MISSING_DOMAIN"]),
            ("@domain", &["-|MISSING_MAILBOX|domain"]),
            ("<>", &["-|MISSING_MAILBOX|MISSING_DOMAIN"]),
            ("a@evil.test <me@x.org>", &["a@evil.test|me|x.org"]),
            ("John Doe@x.org", &["-|John Doe|x.org"]),
            ("<a@x.org, b@y.org", &["-|a|x.org", "-|b|y.org"]),
            ("a@x.org; b@y.org", &["-|a|x.org", "-|b|y.org"]),
            ("A: a@x.org", &["A:", "-|a|x.org", ";"]),
            ("\"open <a@x.org>", &["-|open <a@x.org>|MISSING_DOMAIN"]),
            ("<a@x.org> trailing", &["-|a|x.org"]),
            ("a@b@c", &["-|a|b@c"]),
            ("<@nowhere>", &["-|MISSING_MAILBOX|nowhere"]),
        ] {
            assert_eq!(list(body), entries, "{body}");
        }
    }

    #[test]
    fn hostile_lists_take_linear_time() {
        for piece in ["=?,", "<@,", "(", "\"", "[", "<", "a:", ";", ">", "=?x?q?", "@", "\\"] {
            let _ = list(&piece.repeat(1 << 20));
        }
    }
}
