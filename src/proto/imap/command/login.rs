//! `LOGIN` (RFC 9051 §6.2.3) and `AUTHENTICATE` (RFC 9051 §6.2.2, RFC 4959).

use std::fmt;

use zeroize::Zeroizing;

use crate::imap::syntax::{Cursor, Fault, Parsed};

/// A name and a password, as sent; wiped when dropped.
#[derive(PartialEq, Eq)]
pub(in crate::imap) struct Login {
    pub name: Zeroizing<Vec<u8>>,
    pub password: Zeroizing<Vec<u8>>,
}

impl Login {
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        cursor.space()?;
        let name = Zeroizing::new(cursor.astring()?.into_owned());
        cursor.space()?;
        Ok(Self { name, password: Zeroizing::new(cursor.astring()?.into_owned()) })
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(…)")
    }
}

/// What to authenticate with, and the initial response in base64.
#[derive(PartialEq, Eq)]
pub(in crate::imap) struct Mechanism {
    pub name: Box<str>,
    pub initial: Option<Zeroizing<Vec<u8>>>,
}

impl Mechanism {
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        cursor.space()?;
        let name = cursor.atom()?.into();
        let initial = if cursor.eat(b' ') {
            Some(Zeroizing::new(cursor.astring()?.into_owned()))
        } else {
            None
        };
        if initial.as_ref().is_some_and(|text| text.is_empty()) {
            return Err(Fault::Syntax("An empty initial response is ="));
        }
        Ok(Self { name, initial })
    }
}

impl fmt::Debug for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mechanism({})", self.name)
    }
}
