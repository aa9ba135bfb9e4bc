//! Dates of From_ lines: `Sat Jan  3 01:05:34 1996`, as asctime(3) writes them, and what else is found.
//!
//! What must stay true: what is written is UTC and is read again to the second. Zones by letters other
//! than offsets are taken for UTC; times before 1970 for 1970.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use proto::types::Timestamp;

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The date in a From_ line behind `From `; `None` when there is none.
pub(super) fn parse(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    // The sender may hold spaces, even the name of a weekday.
    (0..words.len()).rev().find_map(|at| parse_words(&words[at..]))
}

fn parse_words(words: &[&str]) -> Option<Timestamp> {
    let [weekday, month, day, time, rest @ ..] = words else { return None };
    WEEKDAYS.iter().find(|one| one.eq_ignore_ascii_case(weekday.trim_end_matches(',')))?;
    let month = (1..).zip(MONTHS).find(|(_, one)| one.eq_ignore_ascii_case(month))?.0;
    let mut parts = time.split(':').map(|part| part.parse::<i8>().ok());
    let (hours, minutes) = (parts.next()??, parts.next()??);
    // A leap second is the one before.
    let seconds = parts.next().unwrap_or(Some(0))?.min(59);
    let year = rest.iter().take(3).find_map(|word| year(word))?;
    let offset = rest.iter().take(3).find_map(|word| offset(word)).unwrap_or(Offset::UTC);
    let at = DateTime::new(year, month, day.parse().ok()?, hours, minutes, seconds, 0).ok()?;
    let at = offset.to_timestamp(at).ok()?.as_millisecond();
    parts.next().is_none().then_some(Timestamp(u64::try_from(at).unwrap_or(0)))
}

fn year(word: &str) -> Option<i16> {
    let is_year = word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit());
    if is_year { word.parse().ok() } else { None }
}

/// `+0130`.
fn offset(word: &str) -> Option<Offset> {
    let (sign, digits) = match word.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: i32 = digits.parse().ok()?;
    Offset::from_seconds(sign * (value / 100 * 3600 + value % 100 * 60)).ok()
}

/// As asctime(3) writes it, in UTC, without the line's end.
pub(super) fn write(at: Timestamp) -> String {
    let at = i64::try_from(at.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let at = Offset::UTC.to_datetime(at.unwrap_or(jiff::Timestamp::MAX));
    at.strftime("%a %b %e %H:%M:%S %Y").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_that_are_found() {
        let at = Some(Timestamp(820_631_134_000));
        for text in [
            "joe@x.example Wed Jan  3 01:05:34 1996",
            "joe Wed Jan 3 01:05:34 UTC 1996",
            "joe Wed Jan 3 02:35:34 1996 +0130",
            "123@xxx Wed Jan 03 00:05:34 -0100 1996",
            "Sat Wed Jan 3 01:05:34 1996",
        ] {
            assert_eq!(parse(text.as_bytes()), at, "{text}");
        }
        for text in ["the beginning", "Wed Jan 3", "a Wed Jan 3 25:00:00 1996", "a Wed Jan 3 1:2 x"]
        {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(write(Timestamp(820_631_134_999)), "Wed Jan  3 01:05:34 1996");
    }

    #[test]
    fn every_day_is_read_as_written() {
        for day in (0..140_000).step_by(7) {
            let at = Timestamp(day * 86_401_000);
            assert_eq!(parse(write(at).as_bytes()), Some(at));
        }
        assert!(write(Timestamp(u64::MAX)).ends_with(" 9999"));
    }
}
