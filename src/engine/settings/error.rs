//! What was wrong with a settings file, shown with the line it stands on.
//!
//! What must stay true: every problem begins `file:line:column: `, lines and columns counted from 1
//! and columns in characters, so that editors jump to it; the source line is shown with its
//! control characters replaced, since it may be anything. `{}` is plain, `{:#}` is coloured for
//! a terminal.

use std::fmt;
use std::io;
use std::ops::Range;

/// More problems than this are counted, not shown.
const SHOWN_MAX: usize = 50;
/// A longer source line is cut to a window around the problem.
const LINE_CHARS_MAX: usize = 120;

/// Everything that is wrong with one settings file.
#[derive(Debug, thiserror::Error)]
pub struct SettingsError {
    name: String,
    text: String,
    problems: Vec<Problem>,
}

/// One problem at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Byte range in the text; `None` concerns the file as a whole.
    pub(super) span: Option<Range<usize>>,
    /// What is wrong, in one line.
    pub(super) message: String,
}

impl Problem {
    pub(super) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span: Some(span), message: message.into() }
    }
}

impl SettingsError {
    /// `problems` must not be empty; they are sorted by place.
    pub(super) fn new(name: &str, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
        problems.dedup();
        Self { name: name.into(), text: text.into(), problems }
    }

    /// A file that could not be read at all.
    pub(super) fn unreadable(name: &str, error: &io::Error) -> Self {
        let message = match error.kind() {
            io::ErrorKind::NotFound => "there is no such file".to_owned(),
            _ => format!("cannot be read: {error}"),
        };
        Self::new(name, "", vec![Problem { span: None, message }])
    }

    /// How many problems there are; at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.problems.len()
    }

    /// The problems one a line, `file:line:column: message`, without source lines.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.problems.iter().map(|problem| {
            let place = problem.span.as_ref().map(|span| Place::of(&self.text, span));
            format!("{}: {}", self.place(place.as_ref()), problem.message)
        })
    }

    fn place(&self, place: Option<&Place<'_>>) -> String {
        match place {
            Some(place) => format!("{}:{}:{}", self.name, place.line, place.column),
            None => self.name.clone(),
        }
    }

    fn show(&self, problem: &Problem, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bold, red, dim, off) = if f.alternate() {
            ("\x1b[1m", "\x1b[31m", "\x1b[2m", "\x1b[0m")
        } else {
            ("", "", "", "")
        };
        let place = problem.span.as_ref().map(|span| Place::of(&self.text, span));
        write!(f, "{bold}{}:{off} {red}{}{off}", self.place(place.as_ref()), problem.message)?;
        let Some(place) = place else { return Ok(()) };
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        let (source, indent, width) = place.window();
        write!(f, "\n{dim}{number} |{off} {source}")?;
        write!(f, "\n{dim}{margin} |{off} {}{red}{}{off}", " ".repeat(indent), "^".repeat(width))
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(SHOWN_MAX).enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            self.show(problem, f)?;
        }
        if self.problems.len() > SHOWN_MAX {
            write!(f, "\n… and {} more", self.problems.len() - SHOWN_MAX)?;
        }
        Ok(())
    }
}

/// Where a span begins, and the line it begins on.
struct Place<'a> {
    line: usize,
    column: usize,
    source: &'a str,
    width: usize,
}

impl<'a> Place<'a> {
    fn of(text: &'a str, span: &Range<usize>) -> Self {
        let start = floor(text, span.start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let source = text[line_start..].split(['\n', '\r']).next().unwrap_or_default();
        let end = floor(text, span.end).clamp(start, (line_start + source.len()).max(start));
        Self {
            line: before.matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            source,
            width: text[start..end].chars().count().max(1),
        }
    }

    /// The source line made safe and short, how far to indent the caret, and its width.
    fn window(&self) -> (String, usize, usize) {
        let skipped = if self.source.chars().count() <= LINE_CHARS_MAX {
            0
        } else {
            (self.column - 1).saturating_sub(LINE_CHARS_MAX / 3)
        };
        let safe = |c: char| {
            if c == '\t' {
                ' '
            } else if c.is_control() {
                '·'
            } else {
                c
            }
        };
        let source: String =
            self.source.chars().skip(skipped).take(LINE_CHARS_MAX).map(safe).collect();
        let indent = self.column - 1 - skipped;
        let room = LINE_CHARS_MAX.saturating_sub(indent).max(1);
        (source, indent, self.width.min(room))
    }
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str, span: Range<usize>) -> SettingsError {
        SettingsError::new("a.toml", text, vec![Problem::at(span, "wrong")])
    }

    #[test]
    fn points_at_the_place() {
        assert_eq!(
            error("a = 1\n\tü = 22\n", 12..14).to_string(),
            "a.toml:2:6: wrong\n2 |  ü = 22\n  |      ^^"
        );
    }

    #[test]
    fn survives_any_span() {
        let text = "ä\r\n\u{1b}[31m";
        for start in 0..12 {
            for end in 0..12 {
                let shown = error(text, start..end).to_string();
                assert!(shown.contains('^') && !shown.contains('\u{1b}'));
            }
        }
        assert!(error("", 0..0).to_string().starts_with("a.toml:1:1: wrong"));
    }

    #[test]
    fn long_lines_are_cut() {
        let text = format!("{} = 1", "k".repeat(5000));
        let shown = error(&text, 5003..5004).to_string();
        assert!(shown.starts_with("a.toml:1:5004: wrong"));
        assert!(shown.lines().all(|line| line.len() < 200));
    }
}
