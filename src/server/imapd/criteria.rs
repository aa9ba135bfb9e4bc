//! What a search is after, compiled for one folder: what can be told from the index, from a digest, or from
//! the message itself.
//!
//! What must stay true: a message is read only when nothing cheaper has decided, so judgements have three
//! values; the texts that are looked for are found once a message, however often they are named; what a
//! condition takes is bounded by the command that it is made of, whatever the folder holds.

use std::rc::Rc;

use mail::mailbox::{Entry, Flags, View};
use proto::imap::Completion;
use proto::imap::command::SearchKey;
use proto::imap::syntax::{Date, Messages, Ranges, SequenceSet};
use proto::mime::{Digest, Needle};
use proto::types::Timestamp;

use super::flags::stored;
use super::home::{Home, NOTHING_SELECTED};

/// A condition.
#[derive(Debug)]
pub(super) enum Criterion {
    Known(bool),
    All(Vec<Criterion>),
    Either(Box<(Criterion, Criterion)>),
    Not(Box<Criterion>),
    /// One of these numbers.
    Numbers(Ranges),
    /// One of these UIDs.
    Uids(Ranges),
    /// One of those that a search has saved (`$`): UIDs, sorted.
    Remembered(Rc<[u32]>),
    /// With all of these.
    Flags(Flags),
    /// Without any of these.
    Unflagged(Flags),
    Recent,
    Received(Days),
    Saved(Days),
    /// By the day in its `Date:`.
    Sent(Days),
    /// Received at this moment or later.
    Younger(Timestamp),
    Larger(u64),
    Smaller(u64),
    ModSeq(u64),
    EmailId(Box<str>),
    ThreadId(Box<str>),
    /// A text of this index.
    Text(usize),
}

/// From one day to before another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Days {
    from: u32,
    before: u32,
}

/// A text that is looked for.
#[derive(Debug)]
pub(super) struct Text {
    pub place: Place,
    pub needle: Needle,
    /// Nothing is looked for but the field itself.
    pub is_empty: bool,
}

/// Where it is looked for; what costs least comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// In fields of this name.
    Field(Box<str>),
    /// In the body.
    Body,
    /// In header and body.
    Anywhere,
}

/// What is known of a message so far.
pub(super) struct Sight<'s> {
    pub entry: &'s Entry,
    /// Its number.
    pub number: u32,
    pub is_recent: bool,
    pub digest: Option<&'s Digest>,
    /// Of each text, whether it was found.
    pub texts: &'s [Option<bool>],
}

/// A search of one folder.
#[derive(Debug)]
pub(super) struct Criteria {
    pub condition: Criterion,
    pub texts: Vec<Text>,
    /// How many keys and texts are to be looked at, for each message.
    pub keys: usize,
}

impl Criteria {
    /// Compiles what a client asks for, as the folder that is selected has it.
    ///
    /// # Errors
    /// What to say: a number that no message has.
    pub fn compile(key: &SearchKey, home: &Home, now: Timestamp) -> Result<Self, Completion> {
        let view = home.view.as_deref().ok_or(NOTHING_SELECTED)?;
        let (keywords, texts) = (view.keywords(), Vec::new());
        let mut compiler = Compiler { home, view, remembered: None, keywords, now, texts, keys: 0 };
        let condition = compiler.compile(key)?;
        Ok(Self { condition, texts: compiler.texts, keys: compiler.keys })
    }
}

struct Compiler<'h> {
    home: &'h Home,
    view: &'h View,
    /// What a search has saved, once it is named.
    remembered: Option<Rc<[u32]>>,
    keywords: Vec<Box<str>>,
    now: Timestamp,
    texts: Vec<Text>,
    keys: usize,
}

impl Compiler<'_> {
    /// The depth of a key is bounded by the machine (`Bounds::depth_max`).
    fn compile(&mut self, key: &SearchKey) -> Result<Criterion, Completion> {
        self.keys += 1;
        let now = self.now;
        let ago = |seconds: u32| Timestamp(now.0.saturating_sub(u64::from(seconds) * 1000));
        Ok(match key {
            SearchKey::All | SearchKey::SaveDateSupported => Criterion::Known(true),
            SearchKey::And(keys) => {
                Criterion::All(keys.iter().map(|key| self.compile(key)).collect::<Result<_, _>>()?)
            }
            SearchKey::Or(keys) => {
                Criterion::Either(Box::new((self.compile(&keys.0)?, self.compile(&keys.1)?)))
            }
            SearchKey::Not(key) => negated(self.compile(key)?),
            SearchKey::Numbers(Messages::Set(set)) => Criterion::Numbers(self.numbers(set)?),
            SearchKey::Uids(Messages::Set(set)) => Criterion::Uids(self.uids(set)),
            SearchKey::Numbers(Messages::Saved) | SearchKey::Uids(Messages::Saved) => {
                Criterion::Remembered(self.remembered())
            }
            SearchKey::Flags(flags) => Criterion::Flags(stored(*flags)),
            SearchKey::Unflagged(flags) => Criterion::Unflagged(stored(*flags)),
            SearchKey::Keyword(name) => self.keyword(name),
            SearchKey::Unkeyword(name) => negated(self.keyword(name)),
            SearchKey::Recent => Criterion::Recent,
            SearchKey::Before(day) => Criterion::Received(Days::before(*day)),
            SearchKey::On(day) => Criterion::Received(Days::on(*day)),
            SearchKey::Since(day) => Criterion::Received(Days::since(*day)),
            SearchKey::SentBefore(day) => Criterion::Sent(Days::before(*day)),
            SearchKey::SentOn(day) => Criterion::Sent(Days::on(*day)),
            SearchKey::SentSince(day) => Criterion::Sent(Days::since(*day)),
            SearchKey::SavedBefore(day) => Criterion::Saved(Days::before(*day)),
            SearchKey::SavedOn(day) => Criterion::Saved(Days::on(*day)),
            SearchKey::SavedSince(day) => Criterion::Saved(Days::since(*day)),
            // "Longer ago than this many seconds, or just then" (RFC 5032 §2).
            SearchKey::Older(seconds) => {
                negated(Criterion::Younger(Timestamp(ago(*seconds).0.saturating_add(1))))
            }
            SearchKey::Younger(seconds) => Criterion::Younger(ago(*seconds)),
            SearchKey::Header { name, value } => {
                self.text(Place::Field(name.to_ascii_lowercase().into()), value)
            }
            SearchKey::Body(text) => self.text(Place::Body, text),
            SearchKey::Text(text) => self.text(Place::Anywhere, text),
            SearchKey::Larger(octets) => Criterion::Larger(*octets),
            SearchKey::Smaller(octets) => Criterion::Smaller(*octets),
            SearchKey::ModSeq(modseq) => Criterion::ModSeq(modseq.0),
            SearchKey::EmailId(id) => Criterion::EmailId(id.clone()),
            SearchKey::ThreadId(id) => Criterion::ThreadId(id.clone()),
        })
    }

    fn numbers(&self, set: &SequenceSet) -> Result<Ranges, Completion> {
        let last = self.view.len();
        if set.greatest_named() as usize > last {
            return Err(Completion::bad("No message has this number"));
        }
        Ok(set.resolve(last as u32))
    }

    fn uids(&self, set: &SequenceSet) -> Ranges {
        set.resolve(self.view.uids().last().copied().unwrap_or(0))
    }

    fn remembered(&mut self) -> Rc<[u32]> {
        let uids = self.remembered.get_or_insert_with(|| self.home.saved.as_slice().into());
        Rc::clone(uids)
    }

    fn keyword(&self, name: &str) -> Criterion {
        match self.keywords.iter().position(|known| known.eq_ignore_ascii_case(name)) {
            Some(index) => Criterion::Flags(Flags::keyword(index)),
            None => Criterion::Known(false),
        }
    }

    fn text(&mut self, place: Place, text: &str) -> Criterion {
        // Everything holds nothing; a field must be there for that.
        if text.is_empty() && !matches!(place, Place::Field(_)) {
            return Criterion::Known(true);
        }
        self.texts.push(Text { place, needle: Needle::new(text), is_empty: text.is_empty() });
        Criterion::Text(self.texts.len() - 1)
    }
}

fn negated(criterion: Criterion) -> Criterion {
    Criterion::Not(Box::new(criterion))
}

impl Days {
    const fn before(day: Date) -> Self {
        Self { from: 0, before: day.0 }
    }

    const fn since(day: Date) -> Self {
        Self { from: day.0, before: u32::MAX }
    }

    const fn on(day: Date) -> Self {
        Self { from: day.0, before: day.0.saturating_add(1) }
    }

    const fn holds(self, day: u32) -> bool {
        self.from <= day && day < self.before
    }
}

impl Criterion {
    /// Whether the message meets it; `None`: more has to be known.
    pub fn judge(&self, sight: &Sight<'_>) -> Option<bool> {
        let entry = sight.entry;
        Some(match self {
            Self::Known(holds) => *holds,
            Self::All(all) => return judge_all(all, sight),
            Self::Either(two) => match (two.0.judge(sight), two.1.judge(sight)) {
                (Some(true), _) | (_, Some(true)) => true,
                (Some(false), Some(false)) => false,
                _ => return None,
            },
            Self::Not(one) => !one.judge(sight)?,
            Self::Numbers(numbers) => numbers.contains(sight.number),
            Self::Uids(uids) => uids.contains(entry.uid),
            Self::Remembered(uids) => uids.binary_search(&entry.uid).is_ok(),
            Self::Flags(flags) => entry.flags.contains(*flags),
            Self::Unflagged(flags) => entry.flags.without(*flags) == entry.flags,
            Self::Recent => sight.is_recent,
            Self::Received(days) => days.holds(Date::of(entry.internal).0),
            Self::Saved(days) => days.holds(Date::of(entry.saved).0),
            // Without a date it was sent on no day.
            Self::Sent(days) => sight.digest?.sent_day.is_some_and(|day| days.holds(day)),
            Self::Younger(since) => entry.internal >= *since,
            Self::Larger(octets) => u64::from(entry.size) > *octets,
            Self::Smaller(octets) => u64::from(entry.size) < *octets,
            Self::ModSeq(modseq) => entry.modseq >= *modseq,
            Self::EmailId(id) => entry.id.to_string() == **id,
            Self::ThreadId(id) => entry.thread.to_string() == **id,
            Self::Text(index) => return sight.texts.get(*index).copied().flatten(),
        })
    }
}

fn judge_all(all: &[Criterion], sight: &Sight<'_>) -> Option<bool> {
    let mut is_known = true;
    for one in all {
        match one.judge(sight) {
            Some(false) => return Some(false),
            Some(true) => {}
            None => is_known = false,
        }
    }
    is_known.then_some(true)
}
