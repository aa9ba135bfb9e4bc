//! The digest of a message's body as DKIM sees it: SHA-256 of its relaxed form (RFC 6376 §3.4.4).
//!
//! It is fed while the body arrives, in pieces that may be cut anywhere, and allocates nothing. What
//! must stay true: the digest does not depend on where the pieces were cut. Only CRLF ends a line; a
//! CR or LF on its own is text, as the RFC has it.
//!
//! Most text is its own relaxed form, but for a few places: stretches of it are found a block
//! at a time, by a loop that the compiler turns into vector instructions, and hashed where they lie.

use aws_lc_rs::digest::{Context, SHA256};

/// Octets that are looked at together.
const BLOCK: usize = 32;
/// Line ends that are written together.
const LINE_ENDS: &[u8; 32] = b"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";

/// A digest that is being made.
#[derive(Clone)]
pub struct BodyDigest {
    context: Context,
    /// Line ends that count only if text follows: empty lines at the end do not.
    line_ends: usize,
    /// Blanks were seen that are one blank if text follows in the line.
    has_blank: bool,
    /// The last piece ended in a CR.
    has_cr: bool,
    has_text: bool,
}

impl Default for BodyDigest {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for BodyDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BodyDigest")
    }
}

impl BodyDigest {
    /// Of nothing so far.
    #[must_use]
    pub fn new() -> Self {
        let context = Context::new(&SHA256);
        Self { context, line_ends: 0, has_blank: false, has_cr: false, has_text: false }
    }

    /// Takes the next piece of the body, which begins behind the empty line that ends the header.
    pub fn update(&mut self, piece: &[u8]) {
        let mut rest = piece;
        if self.has_cr && !rest.is_empty() {
            self.has_cr = false;
            match rest.strip_prefix(b"\n") {
                Some(behind) => {
                    self.end_line();
                    rest = behind;
                }
                None => self.write(b"\r"),
            }
        }
        while !rest.is_empty() {
            let (text, behind) = rest.split_at(plain(rest));
            if !text.is_empty() {
                self.write(text);
            }
            rest = self.take(behind);
        }
    }

    /// The digest of all that was given.
    #[must_use]
    pub fn finish(mut self) -> [u8; 32] {
        if self.has_cr {
            self.write(b"\r");
        }
        if self.has_text {
            self.context.update(b"\r\n");
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(self.context.finish().as_ref());
        digest
    }

    /// Takes what does not stand for itself: a blank, a line end, one odd octet.
    fn take<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        match text {
            [] => text,
            [b' ' | b'\t', rest @ ..] => {
                self.has_blank = true;
                rest
            }
            [b'\r', b'\n', rest @ ..] => {
                self.end_line();
                rest
            }
            [b'\r'] => {
                self.has_cr = true;
                &[]
            }
            [_, rest @ ..] => {
                self.write(&text[..1]);
                rest
            }
        }
    }

    fn end_line(&mut self) {
        self.has_blank = false;
        self.line_ends += 1;
    }

    /// Hashes text, and what was put off until text would follow.
    fn write(&mut self, text: &[u8]) {
        while self.line_ends > 0 {
            let count = self.line_ends.min(LINE_ENDS.len() / 2);
            self.context.update(&LINE_ENDS[..2 * count]);
            self.line_ends -= count;
        }
        if self.has_blank {
            self.has_blank = false;
            self.context.update(b" ");
        }
        self.context.update(text);
        self.has_text = true;
    }
}

/// How many octets at the start of `text` are text that is its own relaxed form, whatever follows;
/// the last of them is no blank and no part of a line end.
fn plain(text: &[u8]) -> usize {
    if text.is_empty() || matches!(text[0], b' ' | b'\t' | b'\r') {
        return 0;
    }
    let (mut at, last) = (0, text.len() - 1);
    // No early way out inside a block: that is what lets it be done at once.
    let is_plain = |at: usize| {
        let pairs = text[at..at + BLOCK].iter().zip(&text[at + 1..=at + BLOCK]);
        !pairs.fold(false, |is_odd, (first, second)| is_odd | is_odd_pair(*first, *second))
    };
    while at + BLOCK <= last && is_plain(at) {
        at += BLOCK;
    }
    while at < last && !is_odd_pair(text[at], text[at + 1]) {
        at += 1;
    }
    match text[at] {
        b'\n' if at > 0 && text[at - 1] == b'\r' => at - 1,
        0..=b' ' => at,
        _ => at + 1,
    }
}

/// Whether the first of two octets may mean something else than itself, seeing what follows. Some
/// pairs that would do are odd, too: they only cost time.
#[inline(always)]
fn is_odd_pair(first: u8, second: u8) -> bool {
    let is_line_end = (first == b'\r') & (second == b'\n');
    ((first <= b' ') & (second <= b' ') & !is_line_end) | (first == b'\t')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The relaxed form, word for word as RFC 6376 §3.4.4 says it.
    fn relaxed(body: &[u8]) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
        let mut rest = body;
        while let Some((octet, behind)) = rest.split_first() {
            if let Some(behind) = rest.strip_prefix(b"\r\n") {
                lines.push(Vec::new());
                rest = behind;
                continue;
            }
            let line = lines.last_mut().unwrap();
            let is_blank = matches!(octet, b' ' | b'\t');
            if !(is_blank && line.last() == Some(&b' ')) {
                line.push(if is_blank { b' ' } else { *octet });
            }
            rest = behind;
        }
        for line in &mut lines {
            if line.last() == Some(&b' ') {
                line.pop();
            }
        }
        while lines.last().is_some_and(Vec::is_empty) {
            lines.pop();
        }
        lines.iter().flat_map(|line| [line.as_slice(), b"\r\n"].concat()).collect()
    }

    fn sha256(octets: &[u8]) -> Vec<u8> {
        aws_lc_rs::digest::digest(&SHA256, octets).as_ref().to_vec()
    }

    fn digest(pieces: &[&[u8]]) -> Vec<u8> {
        let mut digest = BodyDigest::new();
        pieces.iter().for_each(|piece| digest.update(piece));
        digest.finish().to_vec()
    }

    #[test]
    fn known_bodies() {
        // RFC 6376 §3.4.5 and §3.4.4's empty body.
        assert_eq!(digest(&[b" C \r\nD \t E\r\n\r\n\r\n"]), sha256(b" C\r\nD E\r\n"));
        for empty in [&b""[..], b"\r\n", b"\r\n\r\n", b" \t\r\n", b"\t", b" \r\n \r\n  "] {
            assert_eq!(digest(&[empty]), sha256(b""), "{empty:?}");
        }
        assert_eq!(digest(&[b"a"]), sha256(b"a\r\n"));
        assert_eq!(digest(&[b"a\rb\nc\r"]), sha256(b"a\rb\nc\r\r\n"));
        let many = ["a", &"\r\n".repeat(100), "b"].concat();
        assert_eq!(digest(&[many.as_bytes()]), sha256(&relaxed(many.as_bytes())));
    }

    #[test]
    fn long_lines_of_every_length() {
        for length in 0..3 * BLOCK {
            for tail in ["", " ", "\r\n", "  x", "\t", "\r\n\r\nx", "\r", "\n", " \r\n x y"] {
                let body = format!("{}{tail}", "a".repeat(length));
                assert_eq!(
                    digest(&[body.as_bytes()]),
                    sha256(&relaxed(body.as_bytes())),
                    "{body:?}"
                );
            }
        }
    }

    fn octets() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => Just(b"\r\n".to_vec()),
            3 => Just(b" ".to_vec()),
            2 => Just(b"\t".to_vec()),
            1 => Just(b"\r".to_vec()),
            1 => Just(b"\n".to_vec()),
            1 => Just(b"\x01".to_vec()),
            3 => prop::collection::vec(33_u8..=255, 1..60),
        ];
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn cuts_do_not_matter(body in octets(), cuts in prop::collection::vec(0_usize..2000, 0..8)) {
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= body.len()).collect();
            cuts.sort_unstable();
            let mut digest = BodyDigest::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([body.len()]) {
                digest.update(&body[from..cut]);
                from = cut;
            }
            prop_assert_eq!(digest.finish().to_vec(), sha256(&relaxed(&body)));
        }
    }
}
