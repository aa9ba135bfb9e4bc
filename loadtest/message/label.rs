//! Messages that prove themselves: every byte follows from the run, the number and the size.
//!
//! The first header field names those three, so whoever receives a message can make it again and
//! compare. A relay adds its fields above that one and must change nothing below it (RFC 5321 §4.4).

/// The field that a proving message starts with.
const FIELD: &str = "X-Ringpost-Load: ";

/// What a proving message says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label {
    /// The run it belongs to: letters and digits.
    pub run: String,
    /// Its number in the run.
    pub number: u64,
    /// About how many octets it has.
    pub size: usize,
}

impl Label {
    /// Writes the message: header, then lines of which some start with a dot or are a dot.
    pub fn message(&self) -> Vec<u8> {
        let Self { run, number, size } = self;
        let mut out = format!(
            "{FIELD}{run} {number} {size}\r\nFrom: load <load@source.test>\r\n\
             To: load <load@sink.test>\r\nSubject: message {number} of {run}\r\n\
             Message-ID: <{run}.{number}@source.test>\r\n\
             Date: Fri, 27 Nov 2026 09:00:00 +0000\r\n\r\n"
        )
        .into_bytes();
        let mut state = seed(run, *number);
        while out.len() + 2 < *size {
            let width = 76.min(*size - out.len() - 2);
            write_line(&mut state, width, &mut out);
        }
        out
    }

    /// Reads the label of a received message and compares all that stands below it.
    ///
    /// `None` when no label is in its header; otherwise whether the bytes are those that were sent.
    pub fn check(received: &[u8]) -> Option<(Self, bool)> {
        let at = find_label(received)?;
        let line_end = received[at..].iter().position(|b| *b == b'\r')? + at;
        let text = std::str::from_utf8(&received[at + FIELD.len()..line_end]).ok()?;
        let mut words = text.split(' ');
        let label = Self {
            run: words.next()?.to_owned(),
            number: words.next()?.parse().ok()?,
            size: words.next()?.parse().ok()?,
        };
        let same = label.message() == received[at..];
        Some((label, same))
    }
}

/// Where the label's line starts; only within the header.
fn find_label(message: &[u8]) -> Option<usize> {
    let mut at = 0;
    for line in message.split_inclusive(|b| *b == b'\n') {
        if line.starts_with(FIELD.as_bytes()) {
            return Some(at);
        }
        if line == b"\r\n" {
            return None;
        }
        at += line.len();
    }
    None
}

fn write_line(state: &mut u64, width: usize, out: &mut Vec<u8>) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789. ";
    let start = out.len();
    let mut bits = next(state);
    if bits & 15 == 0 {
        out.push(b'.');
    }
    while out.len() - start < width {
        out.push(LETTERS[(bits & 63) as usize]);
        bits >>= 6;
        if bits == 0 {
            bits = next(state);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// FNV-1a over the run, mixed with the number; never zero.
fn seed(run: &str, number: u64) -> u64 {
    let hash = run.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1
}

/// xorshift64*.
fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_proves_itself_and_a_changed_byte_shows() {
        for size in [0, 500, 1024, 5000, 100_000] {
            let label = Label { run: "r1".into(), number: 7, size };
            let mut received = b"Received: from x\r\n\tby y\r\n".to_vec();
            received.extend_from_slice(&label.message());
            assert_eq!(Label::check(&received), Some((label.clone(), true)));
            let last = received.len() - 3;
            received[last] ^= 1;
            assert_eq!(Label::check(&received), Some((label, false)));
        }
        assert_eq!(Label::check(b"Subject: x\r\n\r\nX-Ringpost-Load: r 1 2\r\n"), None);
    }

    #[test]
    fn sizes_are_met_and_lines_start_with_dots() {
        let message = Label { run: "r".into(), number: 1, size: 64 * 1024 }.message();
        assert!(message.len().abs_diff(64 * 1024) <= 2, "{}", message.len());
        assert!(message.windows(3).any(|w| w == b"\r\n." || w == b"\n.."));
    }
}
