//! Dates as senders write them (RFC 5322 §3.3, §4.3): tolerant, and never the machine's zone.

use crate::{text::days_from_civil, types::Timestamp};

const MONTHS: [&[u8; 3]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];

/// Reads the body of a `Date` field: the moment in UTC, and the day as it is written, in days after
/// 1970-01-01. Both are 1970 for what is earlier. A time or zone that cannot be read is 00:00:00
/// or UTC (RFC 5256 §2.2); `None` when there is no day.
#[must_use]
pub fn parse_date(body: &[u8]) -> Option<(Timestamp, u32)> {
    let mut words = Words(body);
    let mut word = words.next()?;
    if word.first()?.is_ascii_alphabetic() && month(word).is_none() {
        word = words.next()?;
    }
    // `Nov 27 …`, as some programs write it.
    let (day, month) = match month(word) {
        Some(month) => (number(words.next()?)?, month),
        None => (number(word)?, month(words.next()?)?),
    };
    let mut rest = [&[][..]; 3];
    let mut count = 0;
    for slot in &mut rest {
        let Some(word) = words.next() else { break };
        *slot = word;
        count += 1;
    }
    // `… 09:35:20 2026` and `… 09:35:20 UTC 2026`, as C's asctime and Unix's date write it.
    let [year, time, zone] = match rest {
        [time, year, zone] if time.contains(&b':') && number(year).is_some() => [year, time, zone],
        [time, zone, year] if time.contains(&b':') => [year, time, zone],
        rest => rest,
    };
    let year = full_year(year)?;
    let days = days_from_civil(year, i64::from(month), day)?;
    let seconds = seconds(time).unwrap_or(0);
    let ahead = if count > 2 { offset(zone).unwrap_or(0) } else { 0 };
    let moment = days * 86_400 + seconds - ahead;
    let at = Timestamp(u64::try_from(moment).unwrap_or(0) * 1000);
    Some((at, u32::try_from(days).unwrap_or(0)))
}

/// What stands between blanks, commas and comments.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let mut depth = 0u32;
        let mut start = None;
        let text = self.0;
        for (at, octet) in text.iter().enumerate() {
            match octet {
                b'(' => depth = depth.saturating_add(1),
                b')' => depth = depth.saturating_sub(1),
                _ if depth > 0 => {}
                b' ' | b'\t' | b'\r' | b'\n' | b',' => {}
                _ => {
                    start.get_or_insert(at);
                    continue;
                }
            }
            if let Some(start) = start {
                self.0 = &text[at..];
                return Some(&text[start..at]);
            }
        }
        self.0 = &[];
        start.map(|start| &text[start..])
    }
}

fn month(word: &[u8]) -> Option<u8> {
    let start = word.get(..3)?;
    let at = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(start))?;
    u8::try_from(at + 1).ok()
}

/// Up to four digits and nothing else.
fn number(word: &[u8]) -> Option<i64> {
    let is_one = (1..=4).contains(&word.len()) && word.iter().all(u8::is_ascii_digit);
    is_one.then(|| word.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

/// Two and three digits are years of the twentieth century and after (RFC 5322 §4.3).
fn full_year(word: &[u8]) -> Option<i64> {
    let year = number(word)?;
    Some(match (word.len(), year) {
        (2, 0..=49) => year + 2000,
        (2 | 3, _) => year + 1900,
        _ => year,
    })
}

/// `09:35` or `09:35:20`, in seconds; a leap second is the one before it.
fn seconds(word: &[u8]) -> Option<i64> {
    let mut parts = word.split(|octet| matches!(octet, b':' | b'.'));
    let (hour, minute) = (number(parts.next()?)?, number(parts.next()?)?);
    let second = parts.next().map_or(Some(0), number)?;
    (hour < 24 && minute < 60 && second < 61).then(|| hour * 3600 + minute * 60 + second.min(59))
}

/// Seconds that local time is ahead of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    let hours = match zone {
        [sign @ (b'+' | b'-'), digits @ ..] if digits.len() == 4 => {
            let number = number(digits)?;
            let (hours, minutes) = (number / 100, number % 100);
            let ahead = hours * 3600 + minutes * 60;
            return (minutes < 60).then_some(if *sign == b'+' { ahead } else { -ahead });
        }
        zone => match &zone.to_ascii_uppercase()[..] {
            b"EDT" => -4,
            b"EST" | b"CDT" => -5,
            b"CST" | b"MDT" => -6,
            b"MST" | b"PDT" => -7,
            b"PST" => -8,
            _ => return None,
        },
    };
    Some(hours * 3600)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse_date_time;

    #[test]
    fn dates_that_live() {
        for (text, utc) in [
            (" Thu, 15 Feb 2007 01:02:03 +0200\r\n", "2007-02-14T23:02:03Z"),
            ("Thu, 15 Feb 2007 01:02:03 +0200 (EET)", "2007-02-14T23:02:03Z"),
            ("15 Feb 2007 01:02 -0330", "2007-02-15T04:32:00Z"),
            ("Fri, 21 Nov 97 09:55:06 -0600", "1997-11-21T15:55:06Z"),
            ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "1997-11-21T00:00:00Z"),
            (
                "Thu,\r\n 13\r\n Feb\r\n 1969\r\n 23:32\r\n -0330 (Newfoundland Time)",
                "1970-01-01T00:00:00Z",
            ),
            ("Thu, 1 Jan 70 00:00:00 GMT", "1970-01-01T00:00:00Z"),
            ("1 jan 106 00:00:00 PST", "2006-01-01T08:00:00Z"),
            ("Sat, 31 Dec 2016 23:59:60 UT", "2016-12-31T23:59:59Z"),
            ("Fri Nov 27 09:35:20 2026", "2026-11-27T09:35:20Z"),
            ("Fri Nov 27 09:35:20 EST 2026", "2026-11-27T14:35:20Z"),
            ("Friday, 27 November 2026 09:35:20 +0000", "2026-11-27T09:35:20Z"),
            ("27 Nov 2026", "2026-11-27T00:00:00Z"),
            ("27 Nov 2026 25:00:00 +0100", "2026-11-26T23:00:00Z"),
            ("27 Nov 2026 10:00:00 nowhere", "2026-11-27T10:00:00Z"),
        ] {
            let found = parse_date(text.as_bytes()).map(|date| date.0);
            assert_eq!(found, parse_date_time(utc), "{text}");
        }
        let day = |text: &str| parse_date(text.as_bytes()).map(|date| date.1);
        assert_eq!(day("2 Jan 1970 00:00:00 +1400"), Some(1), "the zone does not count");
        assert_eq!(day("2 Jan 1970 23:00:00 -1200"), Some(1));
    }

    #[test]
    fn nonsense_is_nothing() {
        for text in [
            "",
            "Thu",
            "Thu, 15",
            "31 Feb 2007",
            "0 Jan 2007",
            "15 Foo 2007",
            "(15 Feb",
            "15 Feb",
            "15 Feb x",
            "99999 Feb 2007",
            "\u{e9}",
            "2026-11-27T09:35:20Z",
        ] {
            assert_eq!(parse_date(text.as_bytes()), None, "{text}");
        }
    }
}
