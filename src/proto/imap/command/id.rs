//! `ID` (RFC 2971): who a client says it is.

use crate::imap::syntax::{Cursor, Fault, Parsed};

/// Octets of it that are kept.
const KEPT_OCTETS_MAX: usize = 120;

/// `name version`, as far as a client told: for a log, printable, and believed by nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::imap) struct ClientId(Box<str>);

impl ClientId {
    pub(in crate::imap) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn read(cursor: &mut Cursor<'_>) -> Parsed<Option<Self>> {
        cursor.space()?;
        if cursor.eat_word("NIL") {
            return Ok(None);
        }
        let (mut name, mut version) = (String::new(), String::new());
        cursor.expect(b'(', "A list is missing")?;
        while !cursor.eat(b')') {
            cursor.count()?;
            let field = cursor.string()?;
            cursor.space()?;
            let value = cursor.nstring()?.unwrap_or_default();
            match &*field.to_ascii_lowercase() {
                b"name" => name = printable(&value),
                b"version" => version = printable(&value),
                _ => {}
            }
            if !cursor.eat(b' ') && cursor.peek() != Some(b')') {
                return Err(Fault::Syntax("A list does not end"));
            }
        }
        if !version.is_empty() {
            name.push(' ');
            name.push_str(&version);
        }
        let name = name.trim_start();
        Ok((!name.is_empty()).then(|| Self(name.into())))
    }
}

fn printable(text: &[u8]) -> String {
    let shown = text.iter().take(KEPT_OCTETS_MAX / 2 - 1);
    shown.map(|octet| if matches!(octet, b' '..=b'~') { char::from(*octet) } else { '?' }).collect()
}
