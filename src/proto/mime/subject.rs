//! The base subject: a subject without what replies, forwards and lists put around it (RFC 5256
//! §2.1).

/// A subject stripped to its base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseSubject {
    /// What is left, in its own case.
    pub text: String,
    /// Something was taken off that a reply or a forward puts there (RFC 5256 §3, REFERENCES).
    pub is_reply: bool,
}

/// Strips `subject`, whose encoded words were decoded ([`decode_words`](super::decode_words)).
#[must_use]
pub fn base_subject(subject: &str) -> BaseSubject {
    // Step 1: on one line, with single spaces.
    let is_blank = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    let words: Vec<&str> = subject.split(is_blank).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    let mut text = &line[..];
    let mut is_reply = false;
    loop {
        // Step 2: subj-trailer.
        while let Some(before) = trim_end(text, "(fwd)") {
            text = before;
            is_reply = true;
        }
        text = text.trim_matches(' ');
        // Steps 3 to 5: subj-leader, and a subj-blob that leaves something.
        loop {
            if let Some(after) = leader(text) {
                text = after;
                is_reply = true;
            } else if let Some(after) = nonempty_behind_blob(text) {
                // No leader stands behind the blobs that follow either: all go at once.
                text = after;
                while let Some(after) = nonempty_behind_blob(text) {
                    text = after;
                }
            } else {
                break;
            }
        }
        // Step 6: subj-fwd.
        let Some(inside) = strip_start(text, "[fwd:").and_then(|text| text.strip_suffix(']'))
        else {
            return BaseSubject { text: text.to_owned(), is_reply };
        };
        text = inside;
        is_reply = true;
    }
}

/// `text` before `end`, which is ASCII, and before blanks around it.
fn trim_end<'a>(text: &'a str, end: &str) -> Option<&'a str> {
    let text = text.trim_end_matches(' ');
    let at = text.len().checked_sub(end.len())?;
    let (before, last) = text.split_at_checked(at)?;
    last.eq_ignore_ascii_case(end).then_some(before)
}

/// `text` behind `start`, which is ASCII.
fn strip_start<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let (first, rest) = text.split_at_checked(start.len())?;
    first.eq_ignore_ascii_case(start).then_some(rest)
}

/// Behind `*subj-blob subj-refwd` and blanks.
fn leader(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(after) = blob(rest) {
        rest = after;
    }
    let rest = strip_start(rest, "re")
        .or_else(|| strip_start(rest, "fwd"))
        .or_else(|| strip_start(rest, "fw"))?;
    let rest = rest.trim_start_matches(' ');
    let rest = blob(rest).unwrap_or(rest);
    Some(rest.strip_prefix(':')?.trim_start_matches(' '))
}

/// Behind `[…]` and blanks.
fn blob(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('[')?;
    let end = rest.find(['[', ']'])?;
    Some(rest[end..].strip_prefix(']')?.trim_start_matches(' '))
}

fn nonempty_behind_blob(text: &str) -> Option<&str> {
    blob(text).filter(|after| !after.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_have_a_base() {
        for (subject, base, is_reply) in [
            ("hello", "hello", false),
            ("  a \t b\r\n c ", "a b c", false),
            ("Re: hello", "hello", true),
            ("RE : hello", "hello", true),
            ("re[5]: fw: FWD: hello (fwd) (FWD)", "hello", true),
            ("Re [2] : hello", "hello", true),
            ("[list] hello", "hello", false),
            ("[list] Re: [list] hello", "hello", true),
            ("[a][b] Re: hello", "hello", true),
            ("[only]", "[only]", false),
            ("[a] [only]", "[only]", false),
            ("Re: [only]", "[only]", true),
            ("[fwd: Re: hello (fwd)]", "hello", true),
            ("[Fwd: [fwd: x]]", "x", true),
            ("[fwd: ]", "", true),
            ("Re:", "", true),
            ("Re: Re:", "", true),
            ("(fwd)", "", true),
            ("really: x", "really: x", false),
            ("Reply: x", "Reply: x", false),
            ("Fwdx: y", "Fwdx: y", false),
            ("[[a] b", "[[a] b", false),
            ("[open Re: x", "[open Re: x", false),
            ("é(fwd)", "é", true),
            ("ré: x", "ré: x", false),
            ("", "", false),
        ] {
            let found = base_subject(subject);
            assert_eq!((&found.text[..], found.is_reply), (base, is_reply), "{subject}");
        }
    }

    #[test]
    fn hostile_subjects_end() {
        for piece in ["[", "[a]", "re:", "[fwd:", "(fwd)", "[a", "]", "re[", "[a]re"] {
            let _ = base_subject(&piece.repeat(2000));
        }
    }
}
