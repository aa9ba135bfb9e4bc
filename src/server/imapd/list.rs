//! `LIST` with all its options (RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154), `LSUB` (RFC 3501 §6.3.9) and
//! `NAMESPACE` (RFC 2342).
//!
//! What must stay true: a name that others are beneath is told even if there is no such folder; a
//! subscription is told whether there is or not.

use std::collections::BTreeMap;
use std::ops::Bound;

use mail::mailbox::{FolderInfo, MailboxError, SEPARATOR};
use proto::imap::command::List;
use proto::imap::respond::{Attribute, Completion, Listed, write_lsub, write_namespace};

use super::folders::told_use;
use super::home::{Home, Manner};
use super::status;
use super::trouble::completion;

/// What is compared with patterns before others have their turn: octets of names times octets of patterns.
const TURN_WORK: usize = 1 << 20;

/// Names that are told of at a stretch.
const TOGETHER: usize = 256;

/// Everything that has a name: folders, what is subscribed, and what is above either.
struct Names<'f> {
    all: BTreeMap<&'f str, Known<'f>>,
}

/// What is known of a name.
#[derive(Clone, Copy, Default)]
struct Known<'f> {
    folder: Option<&'f FolderInfo>,
    is_subscribed: bool,
    /// A pattern is about it.
    matches: bool,
}

/// `LIST` and `LSUB`
pub(super) async fn list(
    home: &mut Home,
    list: List,
    manner: &Manner,
    out: &mut Vec<u8>,
) -> Completion {
    if list.asks_delimiter() {
        let attributes = &[Attribute::NoSelect];
        Listed { name: "", attributes, child_info: &[], old_name: None }.write(manner.enabled, out);
        return Completion::ok("Listed");
    }
    let folders = match home.mailbox.folders() {
        Ok(folders) => folders,
        Err(error) => return completion(&error),
    };
    let subscriptions = home.mailbox.subscriptions();
    let mut names = Names::of(&folders, &subscriptions);
    names.compare(&list).await;
    if list.lsub {
        names.lsub(manner, out);
        return Completion::ok("Listed");
    }
    for (at, (name, known)) in names.matching().enumerate() {
        if at % TOGETHER == TOGETHER - 1 {
            tokio::task::yield_now().await;
        }
        if !names.list(&list, name, known, manner, out) {
            continue;
        }
        if let (Some(items), Some(folder)) = (list.return_status, known.folder) {
            match status::tell(&home.mailbox, folder, items, manner, out).await {
                // What was deleted meanwhile has no status (RFC 5819 §2).
                Ok(()) | Err(MailboxError::NoFolder) => {}
                Err(error) => return completion(&error),
            }
        }
    }
    Completion::ok("Listed")
}

/// `NAMESPACE`
pub(super) fn namespace(out: &mut Vec<u8>) -> Completion {
    write_namespace(out);
    Completion::ok("Namespaces told")
}

impl<'f> Names<'f> {
    fn of(folders: &'f [FolderInfo], subscriptions: &'f [Box<str>]) -> Self {
        let mut all: BTreeMap<&'f str, Known<'f>> = BTreeMap::new();
        for name in subscriptions {
            all.entry(name).or_default().is_subscribed = true;
        }
        for folder in folders {
            all.entry(&folder.name).or_default().folder = Some(folder);
        }
        let below: Vec<&'f str> = all.keys().copied().collect();
        for name in below {
            for (at, _) in name.match_indices(SEPARATOR) {
                all.entry(&name[..at]).or_default();
            }
        }
        Self { all }
    }

    /// Finds out which names the patterns are about.
    async fn compare(&mut self, list: &List) {
        let octets: usize = list.patterns.iter().map(|pattern| pattern.as_str().len() + 1).sum();
        let mut work = 0;
        for (name, known) in &mut self.all {
            known.matches = list.matches(name);
            work += octets * (name.len() + 1);
            if work >= TURN_WORK {
                work = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    fn matching(&self) -> impl Iterator<Item = (&'f str, Known<'f>)> {
        self.all.iter().filter(|(_, known)| known.matches).map(|(name, known)| (*name, *known))
    }

    /// Tells of a name if the options select it, or something beneath it; whether it was told.
    fn list(
        &self,
        list: &List,
        name: &str,
        known: Known<'_>,
        manner: &Manner,
        out: &mut Vec<u8>,
    ) -> bool {
        let stands_for_others = list.recursive_match
            && self
                .beneath(name)
                .any(|(child, known)| !known.matches && self.selects(list, child, known));
        if !stands_for_others && !self.selects(list, name, known) {
            return false;
        }
        let options =
            [("SUBSCRIBED", list.select_subscribed), ("SPECIAL-USE", list.select_special_use)];
        let used = options.iter().filter(|(_, is_used)| *is_used && stands_for_others);
        let child_info: Vec<&str> = used.map(|(option, _)| *option).collect();
        let attributes = self.attributes(list, name, known);
        let listed =
            Listed { name, attributes: &attributes, child_info: &child_info, old_name: None };
        listed.write(manner.enabled, out);
        true
    }

    /// Whether the options select a name; without any, what is a folder or has some beneath it.
    fn selects(&self, list: &List, name: &str, known: Known<'_>) -> bool {
        let has_use = known.folder.is_some_and(|folder| folder.special_use.is_some());
        match (list.select_subscribed, list.select_special_use) {
            (false, false) => known.folder.is_some() || self.has_children(name),
            (subscribed, special) => (!subscribed || known.is_subscribed) && (!special || has_use),
        }
    }

    fn attributes(&self, list: &List, name: &str, known: Known<'_>) -> Vec<Attribute> {
        let mut attributes = Vec::with_capacity(4);
        if known.folder.is_none() {
            attributes.extend([Attribute::NonExistent, Attribute::NoSelect]);
        }
        attributes.push(match self.has_children(name) {
            true => Attribute::HasChildren,
            false => Attribute::HasNoChildren,
        });
        if known.is_subscribed && (list.return_subscribed || list.select_subscribed) {
            attributes.push(Attribute::Subscribed);
        }
        let special_use = known.folder.and_then(|folder| folder.special_use);
        attributes.extend(special_use.map(|special| Attribute::Use(told_use(special))));
        attributes
    }

    /// Subscribed names, and those that match in place of what is beneath them and does not.
    fn lsub(&self, manner: &Manner, out: &mut Vec<u8>) {
        for (name, known) in self.matching() {
            let stands_for_others =
                || self.beneath(name).any(|(_, known)| known.is_subscribed && !known.matches);
            if known.is_subscribed || stands_for_others() {
                write_lsub(name, !known.is_subscribed, manner.enabled, out);
            }
        }
    }

    fn has_children(&self, name: &str) -> bool {
        self.beneath(name).any(|(_, known)| known.folder.is_some())
    }

    /// All that is beneath a name, at any depth.
    fn beneath<'s>(
        &'s self,
        name: &str,
    ) -> impl Iterator<Item = (&'f str, Known<'f>)> + use<'s, 'f> {
        let above = format!("{name}{SEPARATOR}");
        let from = (Bound::Included(above.as_str()), Bound::Unbounded);
        let mut at = self.all.range::<str, _>(from);
        std::iter::from_fn(move || {
            let (child, known) = at.next()?;
            child.starts_with(&above).then_some((*child, *known))
        })
    }
}
