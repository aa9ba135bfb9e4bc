//! What was found: `SEARCH` (RFC 3501 §7.2.5), `ESEARCH` (RFC 9051 §7.3.4), `SORT` and `THREAD` (RFC
//! 5256 §4).

use super::{push_number, write_string};
use crate::imap::{
    command::{Enabled, Returns},
    syntax::Ranges,
};

/// `* SEARCH 2 3 6 (MODSEQ 917162500)`; the mod-sequence is told when one was searched for and
/// something was found (RFC 7162 §3.1.5).
pub fn write_search(
    numbers: impl IntoIterator<Item = u32>,
    modseq: Option<u64>,
    out: &mut Vec<u8>,
) {
    write_found(b"* SEARCH", numbers, modseq, out);
}

/// `* SORT 2 84 882`, in the order given; the mod-sequence as in [`write_search`].
pub fn write_sort(numbers: impl IntoIterator<Item = u32>, modseq: Option<u64>, out: &mut Vec<u8>) {
    write_found(b"* SORT", numbers, modseq, out);
}

fn write_found(
    name: &[u8],
    numbers: impl IntoIterator<Item = u32>,
    modseq: Option<u64>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(name);
    for number in numbers {
        out.push(b' ');
        push_number(u64::from(number), out);
    }
    if let Some(modseq) = modseq {
        out.extend_from_slice(b" (MODSEQ ");
        push_number(modseq, out);
        out.push(b')');
    }
    out.extend_from_slice(b"\r\n");
}

/// `ESEARCH`: what was found, told as it was asked for.
#[derive(Clone, Copy, Debug)]
pub struct EsearchLine<'s> {
    /// The command's tag.
    pub tag: &'s [u8],
    /// The numbers are UIDs.
    pub uid: bool,
    /// What to tell.
    pub returns: Returns,
    /// What was found.
    pub found: &'s Ranges,
    /// The greatest mod-sequence of what is told, when one was searched for (RFC 7162 §3.1.5).
    pub modseq: Option<u64>,
}

impl EsearchLine<'_> {
    /// `* ESEARCH (TAG "A1") UID COUNT 5 ALL 4:8`; with `SAVE` alone nothing was asked to be told.
    pub fn write(&self, out: &mut Vec<u8>) {
        if self.returns == Returns::SAVE {
            return;
        }
        out.extend_from_slice(b"* ESEARCH (TAG ");
        write_string(self.tag, Enabled::NONE, out);
        out.push(b')');
        if self.uid {
            out.extend_from_slice(b" UID");
        }
        if let (Some(first), Some(last)) = (self.found.first(), self.found.last()) {
            self.number(Returns::MIN, b" MIN ", u64::from(first), out);
            self.number(Returns::MAX, b" MAX ", u64::from(last), out);
            if self.returns.contains(Returns::ALL) {
                out.extend_from_slice(b" ALL ");
                self.found.write(out);
            }
        }
        self.number(Returns::COUNT, b" COUNT ", self.found.count(), out);
        if let Some(modseq) = self.modseq.filter(|_| !self.found.is_empty()) {
            out.extend_from_slice(b" MODSEQ ");
            push_number(modseq, out);
        }
        out.extend_from_slice(b"\r\n");
    }

    fn number(&self, wanted: Returns, name: &[u8], number: u64, out: &mut Vec<u8>) {
        if self.returns.contains(wanted) {
            out.extend_from_slice(name);
            push_number(number, out);
        }
    }
}

/// `* THREAD (2)(3 6 (4 23)(44 7 96))`, from messages in the order in which they are told, each with
/// its depth: 0 begins a thread, and one more than that of the message before is its first answer. A
/// message of 0 is one that is missing, which only has answers.
pub fn write_threads(messages: &[(u32, u32)], out: &mut Vec<u8>) {
    let branches = branches(messages);
    out.extend_from_slice(b"* THREAD");
    if !messages.is_empty() {
        out.push(b' ');
    }
    // Depths at which a parenthesis was opened: each closes when something not deeper comes.
    let mut open: Vec<u32> = Vec::new();
    let mut before = (0, 0);
    for (&(number, depth), branch) in messages.iter().zip(branches) {
        while open.last().is_some_and(|level| *level >= depth) {
            open.pop();
            out.push(b')');
        }
        // Behind a number, and not behind the parenthesis of a brother: `3 6 (4 23)(44 7 96)`.
        if depth > before.1 && before.0 != 0 {
            out.push(b' ');
        }
        if branch {
            out.push(b'(');
            open.push(depth);
        }
        if number != 0 {
            push_number(u64::from(number), out);
        }
        before = (number, depth);
    }
    open.iter().for_each(|_| out.push(b')'));
    out.extend_from_slice(b"\r\n");
}

/// Which messages stand in parentheses of their own: those that begin a thread or have brothers.
fn branches(messages: &[(u32, u32)]) -> Vec<bool> {
    let mut branches = vec![false; messages.len()];
    // The path to the message: where each ancestor is, or the brother before it.
    let mut path: Vec<usize> = Vec::new();
    for (at, (_, depth)) in messages.iter().enumerate() {
        path.truncate(*depth as usize + 1);
        match path.get_mut(*depth as usize) {
            Some(brother) => {
                branches[*brother] = true;
                branches[at] = true;
                *brother = at;
            }
            None => path.push(at),
        }
        branches[at] |= *depth == 0;
    }
    branches
}
