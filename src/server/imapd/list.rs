//! `LIST` with all its options (RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154), `LSUB` (RFC 3501 §6.3.9) and
//! `NAMESPACE` (RFC 2342).
//!
//! What must stay true: a name that others are beneath is told even if there is no such folder; a
//! subscription is told whether there is or not.

use std::collections::BTreeMap;
use std::ops::Bound;

use mail::mailbox::{FolderInfo, SEPARATOR};
use proto::imap::command::List;
use proto::imap::respond::{Attribute, Completion, Listed, write_lsub, write_namespace};

use super::folders::told_use;
use super::home::{Home, Manner};
use super::status;
use super::trouble::completion;

/// Everything that has a name: folders, what is subscribed, and what is above either.
struct Names<'f> {
    all: BTreeMap<&'f str, Known<'f>>,
}

/// What is known of a name.
#[derive(Clone, Copy, Default)]
struct Known<'f> {
    folder: Option<&'f FolderInfo>,
    is_subscribed: bool,
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
        Listed { name: "", attributes, child_subscribed: false, old_name: None }
            .write(manner.enabled, out);
        return Completion::ok("Listed");
    }
    let folders = match home.mailbox.folders() {
        Ok(folders) => folders,
        Err(error) => return completion(&error),
    };
    let subscriptions = home.mailbox.subscriptions();
    let names = Names::of(&folders, &subscriptions);
    if list.lsub {
        names.lsub(&list, manner, out);
    } else {
        names.list(&list, manner, out);
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

    fn list(&self, list: &List, manner: &Manner, out: &mut Vec<u8>) {
        for (name, known) in self.all.iter().filter(|(name, _)| list.matches(name)) {
            let is_selected = self.selects(list, name, *known);
            let child_subscribed = list.recursive_match
                && self
                    .beneath(name)
                    .any(|(child, known)| !list.matches(child) && self.selects(list, child, known));
            if !is_selected && !child_subscribed {
                continue;
            }
            let attributes = self.attributes(list, name, *known);
            Listed { name, attributes: &attributes, child_subscribed, old_name: None }
                .write(manner.enabled, out);
            if let (Some(items), Some(folder)) = (list.return_status, known.folder) {
                status::write(folder, items, manner, out);
            }
        }
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
    fn lsub(&self, list: &List, manner: &Manner, out: &mut Vec<u8>) {
        for (name, known) in self.all.iter().filter(|(name, _)| list.matches(name)) {
            let stands_for_others = || {
                self.beneath(name).any(|(child, known)| known.is_subscribed && !list.matches(child))
            };
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

#[cfg(test)]
mod tests {
    use proto::imap::command::Enabled;

    use super::*;

    fn folder(name: &str) -> FolderInfo {
        FolderInfo {
            name: name.into(),
            special_use: None,
            is_subscribed: false,
            has_children: false,
            id: "F1".into(),
            validity: 1,
            counts: mail::mailbox::Counts::default(),
            recent: 0,
            keywords: Vec::new(),
        }
    }

    /// The folders of RFC 5258 §5, and what is told of them.
    fn told(list: &List) -> Vec<String> {
        let folders: Vec<FolderInfo> = [
            "INBOX",
            "Fruit",
            "Fruit/Apple",
            "Fruit/Banana",
            "Tofu",
            "Vegetable",
            "Vegetable/Corn",
        ]
        .map(folder)
        .to_vec();
        let subscriptions: Vec<Box<str>> =
            ["Fruit/Banana", "Fruit/Peach", "INBOX", "Vegetable", "Vegetable/Broccoli"]
                .map(Into::into)
                .to_vec();
        let mut out = Vec::new();
        let names = Names::of(&folders, &subscriptions);
        let manner = &Manner { enabled: Enabled::NONE, tag: Box::default(), append_bytes_max: 0 };
        if list.lsub {
            names.lsub(list, manner, &mut out)
        } else {
            names.list(list, manner, &mut out)
        }
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    fn pattern(text: &str) -> List {
        List { patterns: vec![proto::imap::syntax::Pattern::new(text)], ..List::default() }
    }

    #[test]
    fn the_examples_of_rfc_5258() {
        let all = told(&pattern("*"));
        assert_eq!(all.len(), 7, "{all:?}");
        assert!(all.contains(&r#"* LIST (\HasChildren) "/" "Fruit""#.to_owned()), "{all:?}");
        let subscribed = told(&List { select_subscribed: true, ..pattern("*") });
        assert_eq!(subscribed.len(), 5, "{subscribed:?}");
        let peach =
            r#"* LIST (\NonExistent \Noselect \HasNoChildren \Subscribed) "/" "Fruit/Peach""#;
        assert!(subscribed.contains(&peach.to_owned()), "{subscribed:?}");
        let recursive =
            told(&List { select_subscribed: true, recursive_match: true, ..pattern("%") });
        let fruit = r#"* LIST (\HasChildren) "/" "Fruit" ("CHILDINFO" ("SUBSCRIBED"))"#;
        assert!(recursive.contains(&fruit.to_owned()), "{recursive:?}");
        assert_eq!(recursive.len(), 3, "{recursive:?}");
        let lsub = told(&List { lsub: true, ..pattern("%") });
        assert!(lsub.contains(&r#"* LSUB (\Noselect) "/" "Fruit""#.to_owned()), "{lsub:?}");
        assert_eq!(lsub.len(), 3);
    }

    #[test]
    fn what_only_has_some_beneath_it_is_told() {
        let folders = vec![folder("a/b")];
        let mut out = Vec::new();
        let manner = &Manner { enabled: Enabled::NONE, tag: Box::default(), append_bytes_max: 0 };
        Names::of(&folders, &[]).list(&pattern("%"), manner, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "* LIST (\\NonExistent \\Noselect \\HasChildren) \"/\" \"a\"\r\n");
    }
}
