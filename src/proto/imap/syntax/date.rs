//! Dates (RFC 9051 §9: `date`, `date-time`): `27-Nov-2026` and ` 7-Nov-2026 09:35:20 +0100`.
//!
//! They are written in UTC, and days are those of UTC too: a client asks for a day, which is never the
//! same everywhere. Nothing is older than 1970 here, and what is named so is the first of January.

use super::{Cursor, Fault, Parsed};
use crate::{
    text::{parse_date_time, write_date},
    types::Timestamp,
};

const DAY_MS: u64 = 86_400_000;

/// A day: how many there were since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub u32);

impl Date {
    /// The day of `at`, in UTC.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self(u32::try_from(at.0 / DAY_MS).unwrap_or(u32::MAX))
    }
}

const BAD_DATE: Fault = Fault::Syntax("Malformed date");

/// `27-Nov-2026`, also in quotes.
pub(in crate::imap) fn read_date(cursor: &mut Cursor<'_>) -> Parsed<Date> {
    let text = cursor.astring()?;
    // A day of one digit stands without a blank or a zero here.
    let mut padded = [b'0'; 11];
    let from = 11usize.checked_sub(text.len()).filter(|from| *from < 2).ok_or(BAD_DATE)?;
    padded[from..].copy_from_slice(&text);
    timestamp(&padded, b"00:00:00", b"+0000").map(Date::of).ok_or(BAD_DATE)
}

/// `"27-Nov-2026 09:35:20 +0100"`.
pub(in crate::imap) fn read_internal_date(cursor: &mut Cursor<'_>) -> Parsed<Timestamp> {
    let text = cursor.string()?;
    let text: &[u8; 26] = (&*text).try_into().map_err(|_| BAD_DATE)?;
    if text[11] != b' ' || text[20] != b' ' {
        return Err(BAD_DATE);
    }
    timestamp(&text[..11], &text[12..20], &text[21..]).ok_or(BAD_DATE)
}

/// Puts `dd-Mon-yyyy`, `hh:mm:ss` and `+hhmm` in the order of RFC 3339, and reads that.
fn timestamp(date: &[u8], time: &[u8], zone: &[u8]) -> Option<Timestamp> {
    const MONTHS: &[u8; 36] = b"JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC";
    if date[2] != b'-' || date[6] != b'-' {
        return None;
    }
    let month = MONTHS.chunks(3).position(|name| name.eq_ignore_ascii_case(&date[3..6]))? + 1;
    let day = if date[0] == b' ' { b'0' } else { date[0] };
    let mut text = *b"0000-00-00T00:00:00+00:00";
    text[..4].copy_from_slice(&date[7..]);
    text[5] += (month / 10) as u8;
    text[6] += (month % 10) as u8;
    text[8..10].copy_from_slice(&[day, date[1]]);
    text[11..19].copy_from_slice(time);
    text[19..22].copy_from_slice(&zone[..3]);
    text[23..].copy_from_slice(&zone[3..]);
    parse_date_time(std::str::from_utf8(&text).ok()?)
}

/// Appends `"27-Nov-2026 09:35:20 +0000"`, quotes included.
pub fn write_internal_date(at: Timestamp, out: &mut Vec<u8>) {
    let from = out.len();
    out.push(b'"');
    // `Fri, 27 Nov 2026 09:35:20 +0000` without its `Fri, `.
    write_date(at, out);
    out.drain(from + 1..from + 6);
    out[from + 3] = b'-';
    out[from + 7] = b'-';
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::syntax::Bounds;

    const BOUNDS: Bounds = Bounds { items_max: 1, depth_max: 1 };

    fn moment(text: &str) -> Option<u64> {
        let quoted = format!("\"{text}\"");
        read_internal_date(&mut Cursor::new(quoted.as_bytes(), false, BOUNDS)).ok().map(|at| at.0)
    }

    fn day(text: &str) -> Option<u32> {
        read_date(&mut Cursor::new(text.as_bytes(), false, BOUNDS)).ok().map(|date| date.0)
    }

    #[test]
    fn moments() {
        assert_eq!(moment("27-Nov-2026 09:35:20 +0000"), Some(1_795_772_120_000));
        assert_eq!(moment("27-nov-2026 10:35:20 +0100"), Some(1_795_772_120_000));
        assert_eq!(moment(" 1-Jan-1970 00:00:01 +0000"), Some(1000));
        assert_eq!(moment("31-Dec-1969 16:00:01 -0800"), Some(1000));
        assert_eq!(moment("01-Jan-1900 00:00:00 +0000"), Some(0));
        for text in [
            "",
            "27-Nov-2026 09:35:20",
            "27-Nov-2026 09:35:20 +00:0",
            "27 Nov 2026 09:35:20 +0000",
            "27-Nov-2026T09:35:20 +0000",
            "31-Nov-2026 09:35:20 +0000",
            "27-Nof-2026 09:35:20 +0000",
            "27-Nov-2026 24:35:20 +0000",
            "27-Nov-2026 09:35:20 0000+",
            "\u{fc}7-Nov-2026 09:35:20 +000",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    #[test]
    fn days() {
        assert_eq!(day("1-Feb-1994"), Some(8797));
        assert_eq!(day("\"01-Feb-1994\""), Some(8797));
        assert_eq!(Date::of(Timestamp(8797 * DAY_MS + DAY_MS - 1)), Date(8797));
        assert_eq!(day("1-Jan-1960"), Some(0));
        for text in ["1-Feb-94", "001-Feb-1994", "30-Feb-1994", "1-2-1994", "Feb-1-1994", "-"] {
            assert_eq!(day(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for at in [0, 951_782_399_000, 1_795_772_120_000] {
            let mut out = Vec::new();
            write_internal_date(Timestamp(at), &mut out);
            assert_eq!(out.len(), 28);
            let mut cursor = Cursor::new(&out, false, BOUNDS);
            assert_eq!(read_internal_date(&mut cursor), Ok(Timestamp(at)));
        }
    }
}
