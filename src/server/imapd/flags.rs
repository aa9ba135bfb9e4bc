//! Flags as the protocol has them and as the store does.

use mail::mailbox::{Flags, Marks};
use proto::imap::syntax::{self, SystemFlags};

/// What each is called in the two.
const PAIRS: [(Flags, SystemFlags); 5] = [
    (Flags::SEEN, SystemFlags::SEEN),
    (Flags::ANSWERED, SystemFlags::ANSWERED),
    (Flags::FLAGGED, SystemFlags::FLAGGED),
    (Flags::DELETED, SystemFlags::DELETED),
    (Flags::DRAFT, SystemFlags::DRAFT),
];

/// The system flags of a message as they are told.
pub(super) fn told(flags: Flags) -> SystemFlags {
    let set = PAIRS.iter().filter(|(stored, _)| flags.contains(*stored));
    set.fold(SystemFlags::NONE, |all, (_, told)| all.with(*told))
}

/// The keywords of a message, of those of its folder.
pub(super) fn keywords(flags: Flags, known: &[Box<str>]) -> impl Iterator<Item = &str> {
    flags.keywords().filter_map(|index| known.get(index)).map(|keyword| &**keyword)
}

/// What a client named, for the store.
pub(super) fn marks(named: &syntax::Flags) -> Marks {
    Marks { flags: stored(named.system), keywords: named.keywords.clone() }
}

/// System flags as the store has them.
pub(super) fn stored(named: SystemFlags) -> Flags {
    let set = PAIRS.iter().filter(|(_, told)| named.contains(*told));
    set.fold(Flags(0), |all, (stored, _)| all.with(*stored))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_come_back_from_the_store() {
        for (stored, system) in PAIRS {
            let named = syntax::Flags { system, keywords: vec!["$Work".into()] };
            let marks = marks(&named);
            assert_eq!((marks.flags, told(marks.flags)), (stored, system));
            assert_eq!(marks.keywords, named.keywords);
        }
        let known: Vec<Box<str>> = vec!["a".into(), "b".into()];
        let flags = Flags::SEEN.with(Flags::keyword(1)).with(Flags::keyword(7));
        assert_eq!(keywords(flags, &known).collect::<Vec<_>>(), ["b"]);
        assert_eq!(told(flags), SystemFlags::SEEN);
    }
}
