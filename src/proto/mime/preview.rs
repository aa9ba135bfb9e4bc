//! The first words of a message (RFC 8970): what a client shows beside the subject.
//!
//! Made of the first text that is no attachment, plain before HTML, of the message's own parts.
//! Quoted lines of plain text and the markup of HTML are left out. Only the beginning is read.

use super::{
    structure::{Kind, PartRange, Structure},
    text::text_of,
};

/// RFC 8970 §3.1: no more than 200 characters should be made.
const CHARACTERS_MAX: usize = 200;
/// Octets of a body that are looked at; HTML begins with its styles.
const PLAIN_OCTETS_MAX: usize = 8 * 1024;
const HTML_OCTETS_MAX: usize = 64 * 1024;
/// Octets that are looked at before it is seen whether they are enough.
const PIECE_OCTETS: usize = 2048;

/// The preview of `message`; empty when it has no text.
pub(super) fn preview(structure: &Structure, message: &[u8]) -> Box<str> {
    let found = |kind| own_part(structure, 0, kind);
    let mut words = Words::default();
    if let Some(part) = found(Kind::Plain) {
        read(&part, message, PLAIN_OCTETS_MAX, &mut Plain { words: &mut words, line: Line::Start });
    }
    if words.text.is_empty()
        && let Some(part) = found(Kind::Html)
    {
        read(&part, message, HTML_OCTETS_MAX, &mut Html::new(&mut words));
    }
    words.text.trim_end().into()
}

/// The first part of a kind that is no attachment, in `at` or the multiparts inside.
fn own_part(structure: &Structure, at: usize, kind: Kind) -> Option<PartRange<'_>> {
    let range = structure.range(at)?;
    if range.kind == Kind::Multipart {
        // Parts follow each other in the message's order: no recursion is needed to pass over
        // messages inside.
        let mut children: Vec<usize> = structure.children(at).collect();
        children.reverse();
        while let Some(child) = children.pop() {
            let range = structure.range(child)?;
            if range.kind == kind && !range.is_attachment {
                return Some(range);
            }
            if range.kind == Kind::Multipart {
                let inside = children.len();
                children.extend(structure.children(child));
                children[inside..].reverse();
            }
        }
        return None;
    }
    (range.kind == kind && !range.is_attachment).then_some(range)
}

/// Takes text character by character.
trait Reader {
    /// `false`: it has enough.
    fn take(&mut self, character: char) -> bool;
}

fn read(part: &PartRange<'_>, message: &[u8], octets_max: usize, reader: &mut impl Reader) {
    let mut pieces = text_of(part, message);
    let mut text = String::new();
    for _ in 0..octets_max / PIECE_OCTETS {
        text.clear();
        if !pieces.next_of(PIECE_OCTETS, &mut text) || !text.chars().all(|c| reader.take(c)) {
            return;
        }
    }
}

/// Words with single spaces between them.
#[derive(Default)]
struct Words {
    text: String,
    characters: usize,
    blank: bool,
}

impl Words {
    fn push(&mut self, character: char) -> bool {
        // Invisible ones fill the previews of newsletters.
        let is_nothing = matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        );
        if character.is_whitespace() || character.is_control() || is_nothing {
            self.blank |= !is_nothing;
            return true;
        }
        if self.blank && !self.text.is_empty() && self.room() {
            self.text.push(' ');
            self.characters += 1;
        }
        self.blank = false;
        if self.room() {
            self.text.push(character);
            self.characters += 1;
        }
        self.room()
    }

    const fn room(&self) -> bool {
        self.characters < CHARACTERS_MAX
    }
}

struct Plain<'a> {
    words: &'a mut Words,
    line: Line,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Start,
    Text,
    Quote,
}

impl Reader for Plain<'_> {
    fn take(&mut self, character: char) -> bool {
        self.line = match (self.line, character) {
            (_, '\n') => Line::Start,
            (Line::Start, '>') => Line::Quote,
            (Line::Start, _) => Line::Text,
            (line, _) => line,
        };
        self.line == Line::Quote || self.words.push(character)
    }
}

/// A tag or entity is no longer.
const MARK_OCTETS_MAX: usize = 16;
/// Elements whose content is no text.
const HIDDEN: [&str; 5] = ["style", "script", "head", "title", "template"];
/// Elements that part no words.
const INLINE: [&str; 14] = [
    "a", "abbr", "b", "code", "em", "font", "i", "s", "small", "span", "strong", "sub", "sup", "u",
];

struct Html<'a> {
    words: &'a mut Words,
    place: Place,
    /// The name of the tag or entity that is being read.
    mark: String,
    /// The element whose end is waited for.
    hidden: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Text,
    /// In the name of a tag.
    Name,
    /// Behind it, up to `>`; the quotes that are open.
    Tag(Option<char>),
    /// In `<!-- … -->`: how many of the last characters were hyphens.
    Comment(u8),
    Entity,
}

impl<'a> Html<'a> {
    const fn new(words: &'a mut Words) -> Self {
        Self { words, place: Place::Text, mark: String::new(), hidden: None }
    }

    fn text(&mut self, character: char) -> bool {
        match character {
            '<' => {
                self.mark.clear();
                self.place = Place::Name;
                true
            }
            '&' if self.hidden.is_none() => {
                self.mark.clear();
                self.place = Place::Entity;
                true
            }
            character => self.hidden.is_some() || self.words.push(character),
        }
    }

    fn name(&mut self, character: char) -> bool {
        match character {
            '>' => self.end_tag(),
            c if c.is_whitespace() || c == '/' && !self.mark.is_empty() => {
                if self.mark.is_empty() {
                    // A lone `<` in text.
                    self.place = Place::Text;
                    return self.hidden.is_some() || (self.words.push('<') && self.words.push(c));
                }
                self.place = Place::Tag(None);
            }
            c if self.mark.len() < MARK_OCTETS_MAX => {
                self.mark.push(c.to_ascii_lowercase());
                if self.mark == "!--" {
                    self.place = Place::Comment(0);
                }
            }
            _ => {}
        }
        true
    }

    fn end_tag(&mut self) {
        self.place = Place::Text;
        let mark = &self.mark[..];
        let name = mark.strip_prefix('/').unwrap_or(mark);
        match self.hidden {
            Some(hidden) if mark.starts_with('/') && name == hidden => self.hidden = None,
            Some(_) => {}
            None => {
                self.words.blank |= !INLINE.contains(&name);
                if !mark.starts_with('/') {
                    self.hidden = HIDDEN.into_iter().find(|hidden| *hidden == name);
                }
            }
        }
    }

    fn entity(&mut self, character: char) -> bool {
        if character.is_ascii_alphanumeric() || (character == '#' && self.mark.is_empty()) {
            if self.mark.len() < MARK_OCTETS_MAX {
                self.mark.push(character);
                return true;
            }
        } else if let Some(found) = entity(&self.mark) {
            self.place = Place::Text;
            return self.words.push(found) && (character == ';' || self.text(character));
        }
        // It is none: it stands as it is.
        self.place = Place::Text;
        let mark = std::mem::take(&mut self.mark);
        self.words.push('&') && mark.chars().all(|c| self.words.push(c)) && self.text(character)
    }
}

/// The character that `&name;` or `&#number;` means, of those that mail is full of.
fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let hex = number.strip_prefix(['x', 'X']);
        let number = hex.map_or_else(|| number.parse(), |hex| u32::from_str_radix(hex, 16));
        return number.ok().and_then(char::from_u32);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" | "rsquo" | "lsquo" => '\'',
        "nbsp" | "ensp" | "emsp" => ' ',
        "zwnj" | "zwj" | "shy" => '\u{200c}',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        "laquo" => '«',
        "raquo" => '»',
        "ldquo" | "bdquo" => '“',
        "rdquo" => '”',
        "bull" => '•',
        "middot" => '·',
        "copy" => '©',
        "reg" => '®',
        "euro" => '€',
        "auml" => 'ä',
        "ouml" => 'ö',
        "uuml" => 'ü',
        "Auml" => 'Ä',
        "Ouml" => 'Ö',
        "Uuml" => 'Ü',
        "szlig" => 'ß',
        "eacute" => 'é',
        "egrave" => 'è',
        "agrave" => 'à',
        "ccedil" => 'ç',
        _ => return None,
    })
}

impl Reader for Html<'_> {
    fn take(&mut self, character: char) -> bool {
        match self.place {
            Place::Text => self.text(character),
            Place::Name => self.name(character),
            Place::Tag(None) if character == '>' => {
                self.end_tag();
                true
            }
            Place::Tag(quotes) => {
                self.place = Place::Tag(match (quotes, character) {
                    (None, '"' | '\'') => Some(character),
                    (Some(open), close) if open == close => None,
                    (quotes, _) => quotes,
                });
                true
            }
            Place::Comment(hyphens) => {
                self.place = match character {
                    '-' => Place::Comment((hyphens + 1).min(2)),
                    '>' if hyphens == 2 => Place::Text,
                    _ => Place::Comment(0),
                };
                true
            }
            Place::Entity => self.entity(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::mime::{Limits, digest};

    fn preview(message: &str) -> String {
        digest(message.as_bytes(), &Limits::default()).preview.into()
    }

    #[test]
    fn plain_text_comes_first() {
        let parts = "Content-Type: multipart/alternative; boundary=b\r\n\r\n\
             --b\r\nContent-Type: text/html\r\n\r\n<p>HTML\r\n\
             --b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nno\r\n\
             --b\r\nContent-Type: message/rfc822\r\n\r\n\r\ninside\r\n--b\r\n";
        assert_eq!(preview(&format!("{parts}\r\nplain  text\r\n")), "plain text");
        assert_eq!(preview(&format!("{parts}Content-Type: image/png\r\n\r\nx\r\n")), "HTML");
        assert_eq!(preview("Subject: x\r\n"), "");
        let quoted = "A: b\r\n\r\n> quoted\r\n>> too\r\n\r\nan > answer\r\n";
        assert_eq!(preview(quoted), "an > answer");
        let encoded = "Content-Type: text/plain; charset=iso-8859-1\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9 au=\r\n lait\r\n";
        assert_eq!(preview(encoded), "café au lait");
    }

    #[test]
    fn markup_is_left_out() {
        for (html, text) in [
            ("<html><head><title>T</title><style>p > a {}</style></head><body>Hi</body>", "Hi"),
            ("<p>one</p><p>two</p>", "one two"),
            ("a<b>b</b>c<br>d<BR/>e", "abc d e"),
            ("<!-- x > y --><i title=\"a > b\">z</i>", "z"),
            ("1 < 2 &amp; 3 &gt; 2&nbsp;&#8364;&#x41; &bogus; &amp", "1 < 2 & 3 > 2 €A &bogus;"),
            ("<script>if (a < b) {}</script>after", "after"),
            ("<style>never closed", ""),
            ("a\u{200b}\u{ad}b", "ab"),
            ("<", ""),
            ("fish&chips &", "fish&chips"),
        ] {
            let message = format!("Content-Type: text/html; charset=utf-8\r\n\r\n{html}");
            assert_eq!(preview(&message), text, "{html}");
        }
    }

    #[test]
    fn it_is_short() {
        for (kind, text) in [("plain", "é "), ("plain", "日"), ("html", "&euro; ")] {
            let body = text.repeat(100_000);
            let message = format!("Content-Type: text/{kind}; charset=utf-8\r\n\r\n{body}");
            assert!((199..=200).contains(&preview(&message).chars().count()));
        }
        assert_eq!(preview(&format!("A: b\r\n\r\n{}x", " ".repeat(100_000))), "");
    }
}
