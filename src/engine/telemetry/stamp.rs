//! Wall-clock time as log lines show it: RFC 3339, UTC, milliseconds.
//!
//! The text of the second is kept: a shard that logs thousands of events in one second computes
//! the calendar once.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::{Span, civil::Date};

const TEXT_BYTES: usize = "2026-11-03T12:00:00.123Z".len();
const SECONDS_A_DAY: u64 = 86_400;
/// 9999-12-31T23:59:59Z: later clocks are wrong, and the year has four digits.
const SECOND_MAX: u64 = 253_402_300_799;

/// Renders times; keeps the last second's text.
#[derive(Debug)]
pub(crate) struct Stamp {
    second: u64,
    text: [u8; TEXT_BYTES],
}

/// Milliseconds since 1970 by the system's clock; 0 when that is before 1970.
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Default for Stamp {
    fn default() -> Self {
        let mut stamp = Self { second: 0, text: *b"1970-01-01T00:00:00.000Z" };
        stamp.set_second(0);
        stamp
    }
}

impl Stamp {
    /// The text of `ms` since 1970.
    pub(crate) fn at(&mut self, ms: u64) -> &[u8] {
        let second = (ms / 1000).min(SECOND_MAX);
        if second != self.second {
            self.set_second(second);
        }
        put(&mut self.text[20..23], ms % 1000);
        &self.text
    }

    fn set_second(&mut self, second: u64) {
        self.second = second;
        let date = date(second / SECONDS_A_DAY);
        let part = |value: i8| u64::from(value.unsigned_abs());
        let within = second % SECONDS_A_DAY;
        put(&mut self.text[0..4], u64::from(date.year().unsigned_abs()));
        put(&mut self.text[5..7], part(date.month()));
        put(&mut self.text[8..10], part(date.day()));
        put(&mut self.text[11..13], within / 3600);
        put(&mut self.text[14..16], within / 60 % 60);
        put(&mut self.text[17..19], within % 60);
    }
}

fn put(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// The calendar day, counted from 1970-01-01; the last one there is for counts past it.
fn date(days: u64) -> Date {
    let days = i64::try_from(days).unwrap_or(i64::MAX);
    let since = Span::new().try_days(days);
    since.and_then(|since| jiff::civil::date(1970, 1, 1).checked_add(since)).unwrap_or(Date::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(ms: u64) -> String {
        String::from_utf8(Stamp::default().at(ms).to_vec()).unwrap()
    }

    #[test]
    fn known_moments() {
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(951_782_400_007), "2000-02-29T00:00:00.007Z");
        assert_eq!(text(1_793_707_199_999), "2026-11-03T11:59:59.999Z");
        assert!(text(u64::MAX).starts_with("9999-12-31T23:59:59"));
    }

    proptest! {
        #[test]
        fn agrees_with_a_calendar(ms in 0..SECOND_MAX * 1000) {
            let truth = jiff::Timestamp::from_millisecond(ms as i64).unwrap();
            prop_assert_eq!(text(ms), format!("{truth:.3}"));
        }

        #[test]
        fn the_kept_second_changes_nothing(row in prop::collection::vec(0_u64..5_000, 1..20)) {
            let mut stamp = Stamp::default();
            for ms in row {
                let want = text(ms);
                prop_assert_eq!(stamp.at(ms), want.as_bytes());
            }
        }
    }
}
