//! Sizes and spans of time as people write them: `"64 MiB"`, `"5 min"`.
//!
//! What must stay true: what [`Display`](fmt::Display) writes parses back to the same value, so that
//! a generated reference and a reload compare exactly. A span without a unit is refused, since
//! nobody can tell seconds from milliseconds afterwards; a size without a unit is bytes.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// The extension key of a schema that marks the values of this file for error messages.
pub(crate) const UNIT_KEY: &str = "x-unit";

const SIZE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];
const SIZE_UNITS_SHOWN: [(&str, u64); 4] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

const SPAN_UNITS: [(&str, u64); 12] = [
    ("ms", 1),
    ("s", 1_000),
    ("sec", 1_000),
    ("m", 60_000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("hour", 3_600_000),
    ("hours", 3_600_000),
    ("d", 86_400_000),
    ("day", 86_400_000),
    ("days", 86_400_000),
    ("w", 604_800_000),
];
const SPAN_UNITS_SHOWN: [(&str, u64); 4] =
    [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)];

/// A number of bytes; in settings `"64 MiB"`, `"10 kB"` or a plain integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

/// A span of time in whole milliseconds; in settings `"250 ms"`, `"30 s"`, `"5 min"`, `"4 h"`, `"5 d"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

/// Why a size or a span did not parse; the text names the forms that do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(String);

impl Bytes {
    /// `count` KiB.
    #[must_use]
    pub const fn kib(count: u64) -> Self {
        Self(count << 10)
    }

    /// `count` MiB.
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory; saturates where `usize` is smaller.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Span {
    /// `count` milliseconds.
    #[must_use]
    pub const fn ms(count: u64) -> Self {
        Self(Duration::from_millis(count))
    }

    /// `count` seconds.
    #[must_use]
    pub const fn secs(count: u64) -> Self {
        Self(Duration::from_secs(count))
    }

    /// `count` minutes; saturates.
    #[must_use]
    pub const fn mins(count: u64) -> Self {
        Self(Duration::from_secs(count.saturating_mul(60)))
    }

    /// `count` hours; saturates.
    #[must_use]
    pub const fn hours(count: u64) -> Self {
        Self(Duration::from_secs(count.saturating_mul(3600)))
    }

    /// `count` days; saturates.
    #[must_use]
    pub const fn days(count: u64) -> Self {
        Self(Duration::from_secs(count.saturating_mul(86_400)))
    }

    /// The span itself.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Whole milliseconds; saturates.
    #[must_use]
    pub fn as_ms(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self.0, &SIZE_UNITS_SHOWN, "B", f)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() {
            return f.write_str("0 s");
        }
        show(self.as_ms(), &SPAN_UNITS_SHOWN, "ms", f)
    }
}

/// The largest unit that divides `value` without a rest, so that nothing is lost.
fn show(
    value: u64,
    units: &[(&str, u64)],
    smallest: &str,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let exact = units.iter().find(|(_, size)| value >= *size && value.is_multiple_of(*size));
    match exact {
        Some((unit, size)) => write!(f, "{} {unit}", value / size),
        None => write!(f, "{value} {smallest}"),
    }
}

impl FromStr for Bytes {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError(format!("`{text}` is no size; write `64 KiB`, `10 MiB` or bytes"));
        let (number, unit, rest) = split_quantity(text).ok_or_else(wrong)?;
        if !rest.is_empty() {
            return Err(wrong());
        }
        let size = match unit {
            "" => 1,
            _ => unit_size(&SIZE_UNITS, unit).ok_or_else(wrong)?,
        };
        number.checked_mul(size).map(Self).ok_or_else(|| too_large(text))
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || {
            UnitError(format!(
                "`{text}` is no span of time; write `250 ms`, `30 s`, `5 min`, `4 h` or `5 d`"
            ))
        };
        let mut rest = text;
        let mut total_ms = 0_u64;
        loop {
            let (number, unit, tail) = split_quantity(rest).ok_or_else(wrong)?;
            let size = unit_size(&SPAN_UNITS, unit).ok_or_else(wrong)?;
            total_ms = number
                .checked_mul(size)
                .and_then(|ms| total_ms.checked_add(ms))
                .ok_or_else(|| too_large(text))?;
            if tail.is_empty() {
                return Ok(Self::ms(total_ms));
            }
            rest = tail;
        }
    }
}

fn too_large(text: &str) -> UnitError {
    UnitError(format!("`{text}` is too large"))
}

/// Splits the first "digits, unit" off `text`; spaces between and around are free.
fn split_quantity(text: &str) -> Option<(u64, &str, &str)> {
    let text = text.trim();
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text.get(..digits_end)?.parse().ok()?;
    let after = text.get(digits_end..)?.trim_start();
    let unit_end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
    Some((number, after.get(..unit_end)?, after.get(unit_end..)?.trim_start()))
}

fn unit_size(units: &[(&str, u64)], unit: &str) -> Option<u64> {
    units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, size)| *size)
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;
        impl Visitor<'_> for SizeVisitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"64 MiB\" or a number of bytes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Bytes, E> {
                let bytes =
                    u64::try_from(bytes).map_err(|_| E::custom("a size is not negative"))?;
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_any(SizeVisitor)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpanVisitor;
        impl Visitor<'_> for SpanVisitor {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a span of time with its unit, such as \"30 s\" or \"5 min\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(SpanVisitor)
    }
}

impl JsonSchema for Bytes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "minimum": 0, UNIT_KEY: "size" })
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", UNIT_KEY: "span" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_read_and_written() {
        for (text, bytes, shown) in [
            ("64 MiB", 64 << 20, "64 MiB"),
            ("64mib", 64 << 20, "64 MiB"),
            ("10 kB", 10_000, "10000 B"),
            ("1024", 1024, "1 KiB"),
            ("0", 0, "0 B"),
            (" 3 GB ", 3_000_000_000, "2929687.5 KiB"),
        ] {
            let size: Bytes = text.parse().unwrap();
            assert_eq!(size.get(), bytes, "{text}");
            if !shown.contains('.') {
                assert_eq!(size.to_string(), shown);
            }
        }
        for text in ["", "MiB", "-1", "1.5 MiB", "1 MiB 2", "1 parsec", "99999999999999 TiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn spans_read_and_written() {
        for (text, ms, shown) in [
            ("250 ms", 250, "250 ms"),
            ("30s", 30_000, "30 s"),
            ("5 min", 300_000, "5 min"),
            ("1 h 30 min", 5_400_000, "90 min"),
            ("5 days", 432_000_000, "5 d"),
            ("0 s", 0, "0 s"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.as_ms(), ms, "{text}");
            assert_eq!(span.to_string(), shown);
        }
        for text in ["", "30", "min", "-1 s", "1 s 2", "1 fortnight", "9999999999999999 d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_parses_back(value in any::<u64>()) {
            prop_assert_eq!(Bytes(value).to_string().parse::<Bytes>(), Ok(Bytes(value)));
            prop_assert_eq!(Span::ms(value).to_string().parse::<Span>(), Ok(Span::ms(value)));
        }
    }
}
