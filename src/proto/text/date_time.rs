//! Dates as protocols write them: `2026-11-27T09:35:20Z` (RFC 3339 §5.6), in parameters of SMTP.

use std::io::Write as _;

use super::date::civil_from_days;
use crate::types::Timestamp;

/// Appends `at` in UTC, to the second. A year past 9999 is written as 9999, as in
/// [`write_date`](super::write_date).
pub fn write_date_time(at: Timestamp, out: &mut Vec<u8>) {
    let seconds = at.0 / 1000;
    let (year, month, day) = civil_from_days(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    // Writing to a Vec cannot fail.
    let _ =
        write!(out, "{:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", year.min(9999));
}

/// Reads an RFC 3339 `date-time` with any offset; a moment before 1970 reads as 1970. `None` when
/// it is malformed or names a day or hour that does not exist.
#[must_use]
pub fn parse_date_time(text: &str) -> Option<Timestamp> {
    let (date, clock) = text.split_at_checked(10)?;
    let clock = clock.strip_prefix(['T', 't'])?;
    let (time, rest) = clock.split_at_checked(8)?;
    let [year, month, day] = numbers(date, b'-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, b':', [2, 2, 2])?;
    // A leap second reads as the last second before it.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (ms, zone) = fraction(rest)?;
    let seconds = days_from_civil(year, month, day)? * 86_400 + hour * 3600 + minute * 60;
    let seconds = seconds + second.min(59) - offset(zone)?;
    Some(Timestamp((seconds * 1000 + ms).try_into().unwrap_or(0)))
}

/// Three numbers of fixed widths.
fn numbers(text: &str, separator: u8, widths: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(char::from(separator));
    let mut found = [0; 3];
    for (slot, width) in found.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width)?;
        *slot = part.bytes().all(|octet| octet.is_ascii_digit()).then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(found)
}

/// Milliseconds of `.123…`, when it is there, and what follows.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(digits) = text.strip_prefix('.') else { return Some((0, text)) };
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    let mut ms = 0;
    for octet in digits.bytes().take(count).chain([b'0'; 2]).take(3) {
        ms = ms * 10 + i64::from(octet - b'0');
    }
    (count > 0).then(|| (ms, &digits[count..]))
}

/// Seconds that local time is ahead of UTC: `Z`, `+01:00`.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("Z") {
        return Some(0);
    }
    let sign = if zone.starts_with('+') { 1 } else { -1 };
    let [_, hours, minutes] =
        numbers(&format!("00:{}", zone.strip_prefix(['+', '-'])?), b':', [2; 3])?;
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Days from 1970-01-01; `None` when there is no such day. Counts as `civil_from_days` does.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(at: u64) -> String {
        let mut out = Vec::new();
        write_date_time(Timestamp(at), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn read(text: &str) -> Option<u64> {
        parse_date_time(text).map(|at| at.0)
    }

    #[test]
    fn known_times() {
        assert_eq!(written(1_795_772_120_000), "2026-11-27T09:35:20Z");
        assert_eq!(read("2026-11-27T09:35:20Z"), Some(1_795_772_120_000));
        assert_eq!(read("2026-11-27t10:35:20.5+01:00"), Some(1_795_772_120_500));
        assert_eq!(read("2026-11-26T22:05:20.123456-11:30"), Some(1_795_772_120_123));
        assert_eq!(read("1969-12-31T23:59:59Z"), Some(0));
        assert_eq!(read("0000-01-01T00:00:00Z"), Some(0));
        assert_eq!(read("2016-12-31T23:59:60Z"), read("2016-12-31T23:59:59Z"));
        assert_eq!(read("9999-12-31T23:59:59Z"), Some(253_402_300_799_000));
    }

    #[test]
    fn every_day_comes_back() {
        for day in (0..200_000u64).map(|day| day * 86_400_000 + 1000) {
            assert_eq!(read(&written(day)), Some(day), "{}", written(day));
        }
    }

    #[test]
    fn nonsense_is_nothing() {
        for text in [
            "",
            "2026-11-27",
            "2026-11-27 09:35:20Z",
            "2026-11-27T09:35:20",
            "2026-11-27T09:35Z",
            "2026-13-27T09:35:20Z",
            "2026-02-29T09:35:20Z",
            "2026-11-31T09:35:20Z",
            "2026-11-00T09:35:20Z",
            "2026-11-27T24:00:00Z",
            "2026-11-27T09:35:20.Z",
            "2026-11-27T09:35:20+0100",
            "2026-11-27T09:35:20+24:00",
            "2026-11-27T09:35:20z ",
            "+026-11-27T09:35:20Z",
            "2026-11-2üT09:35:20Z",
            "12026-11-27T09:35:20Z",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
