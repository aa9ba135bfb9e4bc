//! `SETQUOTA` (RFC 9208 §4.1.3).

use crate::imap::syntax::{Cursor, Parsed};

/// New limits of a quota root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetQuota {
    /// Which.
    pub root: Box<str>,
    /// Resources, as they were spelled, and their limits, `STORAGE` in units of 1024 octets. What is
    /// not named is to have none.
    pub limits: Vec<(Box<str>, u64)>,
}

impl SetQuota {
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let root = cursor.text()?;
        cursor.space()?;
        let mut limits = Vec::new();
        cursor.list(|cursor| {
            let resource = cursor.atom()?.into();
            cursor.space()?;
            limits.push((resource, cursor.number64()?));
            Ok(())
        })?;
        Ok(Self { root, limits })
    }
}
