//! Reverse-paths and forward-paths (RFC 5321 §4.1.2).
//!
//! Source routes are read and dropped (RFC 5321 §4.1.1.3, appendix C). Blanks behind the colon are
//! tolerated, missing angle brackets are not.

/// The inside of a path and the parameters behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Path<'a> {
    /// The mailbox as written, without brackets and source route; empty for `<>`.
    pub mailbox: &'a str,
    /// What stands behind the path.
    pub parameters: &'a str,
}

/// Splits `keyword:<path> parameters`; `None` when it has not that form.
pub(super) fn split<'a>(argument: &'a str, keyword: &str) -> Option<Path<'a>> {
    let (word, rest) = argument.split_at_checked(keyword.len())?;
    if !word.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let rest = rest.strip_prefix(':')?.trim_start_matches(' ').strip_prefix('<')?;
    let end = end_of_path(rest)?;
    let (inside, parameters) = (&rest[..end], &rest[end + 1..]);
    if !(parameters.is_empty() || parameters.starts_with(' ')) {
        return None;
    }
    Some(Path { mailbox: without_route(inside)?, parameters })
}

/// Where the `>` is that is not quoted.
fn end_of_path(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Drops `@one.example,@two.example:`.
fn without_route(inside: &str) -> Option<&str> {
    if inside.starts_with('@') { Some(inside.split_once(':')?.1) } else { Some(inside) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(argument: &str) -> Option<&str> {
        split(argument, "TO").map(|path| path.mailbox)
    }

    #[test]
    fn paths_are_found() {
        assert_eq!(mailbox("TO:<a@b.c>"), Some("a@b.c"));
        assert_eq!(mailbox("to: <a@b.c> X=1"), Some("a@b.c"));
        assert_eq!(mailbox("TO:<>"), Some(""));
        assert_eq!(mailbox("TO:<\"a>\\\"b\"@c.d>"), Some("\"a>\\\"b\"@c.d"));
        assert_eq!(mailbox("TO:<@x.y,@z.w:a@b.c>"), Some("a@b.c"));
        let path = split("TO:<a@b.c> NOTIFY=NEVER", "TO").unwrap();
        assert_eq!(path.parameters, " NOTIFY=NEVER");
    }

    #[test]
    fn other_forms_are_not() {
        for text in
            ["", "TO", "TO:", "TO:a@b.c", "TO <a@b.c>", "FROM:<a@b.c>", "TO:<a@b.c", "TÖ:<>"]
        {
            assert_eq!(mailbox(text), None, "{text}");
        }
        assert_eq!(mailbox("TO:<a@b.c>X=1"), None);
        assert_eq!(mailbox("TO:<\"a>"), None);
        assert_eq!(mailbox("TO:<@x.y>"), None);
    }
}
