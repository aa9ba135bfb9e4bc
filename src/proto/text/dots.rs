//! Transparency for DATA: a line that begins with a dot gets one more (RFC 5321 §4.5.2).
//!
//! Stored messages hold only CRLF line ends. Should a bare LF ever get in, the dot after it is
//! doubled too: a receiver that takes LF for a line end must never see `LF . CRLF` inside a
//! message (SMTP smuggling).

use std::borrow::Cow;

use memchr::memmem;

/// The message as DATA sends it, without the final `.`; borrowed when no line begins with a dot.
pub fn stuff_dots(message: &[u8]) -> Cow<'_, [u8]> {
    let finder = memmem::Finder::new(b"\n.");
    let at_start = message.first() == Some(&b'.');
    let Some(first) = (if at_start { Some(0) } else { finder.find(message).map(|at| at + 1) })
    else {
        return Cow::Borrowed(message);
    };
    let mut stuffed = Vec::with_capacity(message.len() + message.len() / 64 + 16);
    stuffed.extend_from_slice(&message[..first]);
    let mut rest = &message[first..];
    // `rest` begins with a dot that begins a line.
    loop {
        stuffed.push(b'.');
        match finder.find(rest) {
            Some(at) => {
                stuffed.extend_from_slice(&rest[..=at]);
                rest = &rest[at + 1..];
            }
            None => {
                stuffed.extend_from_slice(rest);
                return Cow::Owned(stuffed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_dots_that_begin_a_line_are_doubled() {
        assert!(matches!(stuff_dots(b"a.b\r\nc.\r\n"), Cow::Borrowed(_)));
        assert!(matches!(stuff_dots(b""), Cow::Borrowed(_)));
        assert_eq!(&*stuff_dots(b"."), b"..");
        assert_eq!(&*stuff_dots(b".\r\n.\r\n..x\r\n"), b"..\r\n..\r\n...x\r\n");
        assert_eq!(&*stuff_dots(b"a\r\n.b\r\nc\r\n.\r\n"), b"a\r\n..b\r\nc\r\n..\r\n");
        assert_eq!(&*stuff_dots(b"a\n.\r\n"), b"a\n..\r\n");
    }

    proptest! {
        #[test]
        fn the_receiver_gets_the_message_back(lines in prop::collection::vec("[.a]{0,4}", 0..20)) {
            let message: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let stuffed = stuff_dots(message.as_bytes()).into_owned();
            let back: String = String::from_utf8(stuffed)
                .unwrap()
                .split_inclusive("\r\n")
                .map(|line| {
                    assert_ne!(line, ".\r\n", "an end of data inside");
                    line.strip_prefix('.').unwrap_or(line)
                })
                .collect();
            prop_assert_eq!(back, message);
        }
    }
}
