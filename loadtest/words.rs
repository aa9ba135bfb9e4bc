//! Numbers, times and strangers' texts as people read them, the same in the page, tables and markdown.
//!
//! Three digits or so: a figure that is known to a few percent is not printed to seven places. What
//! was not measured is [`NOT_MEASURED`], never zero. Not-a-number and infinity count as not measured.

/// What stands where a figure is missing.
pub const NOT_MEASURED: &str = "not measured";

/// The unit of a figure; decides how it is written and where its axis has ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A whole number of things: `12,345`.
    Count,
    /// Things a second: `3,400/s`.
    Rate,
    /// Microseconds: `850 µs`, `1.2 ms`, `12.5 s`.
    Latency,
    /// Microseconds of CPU for one message: always µs, so that figures can be compared at a glance.
    CpuMicros,
    /// Cores in use: `1.25`.
    Cores,
    /// KiB of memory: `12.3 MiB`.
    Memory,
    /// Octets a second: `12.3 MiB/s`.
    Flow,
    /// A plain number with up to one decimal: `18.8`.
    Number,
}

impl Unit {
    /// `value` with its unit.
    #[must_use]
    pub fn text(self, value: f64) -> String {
        match self {
            _ if !value.is_finite() => NOT_MEASURED.into(),
            Self::Count => grouped(value),
            Self::Rate => format!("{}/s", number(value)),
            Self::Latency => latency(value),
            Self::CpuMicros => format!("{} µs", number(value)),
            Self::Cores => format!("{value:.2}"),
            Self::Memory => memory(value),
            Self::Flow => format!("{}/s", memory(value / 1024.0)),
            Self::Number => number(value),
        }
    }

    /// The same, or [`NOT_MEASURED`].
    #[must_use]
    pub fn text_or_absent(self, value: Option<f64>) -> String {
        value.map_or_else(|| NOT_MEASURED.into(), |value| self.text(value))
    }

    /// From `min` to `max`; a unit that both have is written once: `3,594–3,974/s`.
    #[must_use]
    pub fn range(self, min: f64, max: f64) -> String {
        let (from, to) = (self.text(min), self.text(max));
        let is_digit = |c: char| c.is_ascii_digit() || matches!(c, ',' | '.' | '-');
        let unit = to.trim_start_matches(is_digit);
        match from.strip_suffix(unit) {
            Some(number) if number.chars().all(is_digit) => format!("{number}–{to}"),
            _ => format!("{from} – {to}"),
        }
    }

    /// The name by which the page's script knows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Rate => "rate",
            Self::Latency => "latency",
            Self::CpuMicros => "cpu",
            Self::Cores => "cores",
            Self::Memory => "memory",
            Self::Flow => "flow",
            Self::Number => "number",
        }
    }
}

/// Microseconds: `850 µs`, `1.2 ms`, `12.5 s`, `2 min 5 s`.
#[must_use]
pub fn latency(us: f64) -> String {
    // The bounds are where rounding would otherwise write `1,000 µs` or `60 s`.
    match us {
        ..999.5 => format!("{} µs", number(us)),
        ..999_500.0 => format!("{} ms", number(us / 1e3)),
        ..59_950_000.0 => format!("{} s", number(us / 1e6)),
        _ => duration(us / 1e6),
    }
}

/// Seconds: `850 ms`, `12.5 s`, `2 min 5 s`, `3 h 20 min`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return NOT_MEASURED.into();
    }
    if seconds < 59.95 {
        return latency(seconds * 1e6);
    }
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, rest) => format!("{minutes} min {rest} s"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// KiB: `512 KiB`, `12.3 MiB`, `1.5 GiB`.
#[must_use]
pub fn memory(kib: f64) -> String {
    match kib {
        ..1023.5 => format!("{} KiB", number(kib)),
        ..1_048_064.0 => format!("{} MiB", number(kib / 1024.0)),
        _ => format!("{} GiB", number(kib / 1_048_576.0)),
    }
}

/// Octets: `512 B`, else as [`memory`].
#[must_use]
pub fn octets(count: u64) -> String {
    if count < 1024 { format!("{count} B") } else { memory(count as f64 / 1024.0) }
}

/// One decimal below 100 unless it is zero, else a whole number in groups: `0.25`, `9.5`, `42`, `3,400`.
#[must_use]
pub fn number(value: f64) -> String {
    let decimals = match value.abs() {
        ..0.995 => 2,
        ..99.95 => 1,
        _ => return grouped(value),
    };
    let text = format!("{value:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Digits in groups of three: `1,234,567`; a fraction is rounded.
#[must_use]
pub fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if value <= -0.5 {
        out.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A whole number in groups of three.
#[must_use]
pub fn count(value: u64) -> String {
    grouped(value as f64)
}

/// `1 message`, `2 messages`.
#[must_use]
pub fn counted(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(value), if value == 1 { one } else { many })
}

/// A ratio to the first server: `×0.081`, `×0.50`, `×1`, `×12`.
#[must_use]
pub fn ratio(value: f64) -> String {
    if !value.is_finite() {
        return NOT_MEASURED.into();
    }
    match value {
        ..0.0995 => format!("×{value:.3}"),
        ..0.995 => format!("×{value:.2}"),
        _ => format!("×{}", number(value)),
    }
}

/// A stranger's text without control characters, which could drive a terminal.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '·' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_three_digits_or_so() {
        let latencies = [
            (0.0, "0 µs"),
            (85.0, "85 µs"),
            (999.6, "1 ms"),
            (1_234.0, "1.2 ms"),
            (999_700.0, "1 s"),
            (12_500_000.0, "12.5 s"),
            (59_960_000.0, "1 min"),
            (125_000_000.0, "2 min 5 s"),
        ];
        latencies.into_iter().for_each(|(us, text)| assert_eq!(latency(us), text));
        let sizes = [(512.0, "512 KiB"), (12_595.2, "12.3 MiB"), (1_572_864.0, "1.5 GiB")];
        sizes.into_iter().for_each(|(kib, text)| assert_eq!(memory(kib), text));
        assert_eq!((octets(1023), octets(5120)), ("1023 B".into(), "5 KiB".into()));
        assert_eq!(Unit::Rate.text(3400.4), "3,400/s");
        assert_eq!(Unit::Cores.text(1.254), "1.25");
        assert_eq!(duration(12_000.0), "3 h 20 min");
    }

    #[test]
    fn numbers_and_ratios() {
        let numbers = [
            (0.25, "0.25"),
            (9.5, "9.5"),
            (42.0, "42"),
            (99.97, "100"),
            (1_234_567.0, "1,234,567"),
        ];
        numbers.into_iter().for_each(|(value, text)| assert_eq!(number(value), text));
        let ratios = [(0.081, "×0.081"), (0.5, "×0.50"), (1.0, "×1"), (12.34, "×12.3")];
        ratios.into_iter().for_each(|(value, text)| assert_eq!(ratio(value), text));
        assert_eq!(grouped(-1234.0), "-1,234");
        assert_eq!(counted(1, "message", "messages"), "1 message");
    }

    #[test]
    fn a_range_has_its_unit_once() {
        assert_eq!(Unit::Rate.range(3594.0, 3974.0), "3,594–3,974/s");
        assert_eq!(Unit::Latency.range(13_600.0, 15_400.0), "13.6–15.4 ms");
        assert_eq!(Unit::Latency.range(998_000.0, 1_200_000.0), "998 ms – 1.2 s");
        assert_eq!(Unit::Latency.range(61e6, 65e6), "1 min 1 s – 1 min 5 s");
        assert_eq!(Unit::Number.range(1.5, 20.0), "1.5–20");
    }

    #[test]
    fn what_is_absent_or_not_a_number_is_not_measured() {
        assert_eq!(Unit::Rate.text_or_absent(None), NOT_MEASURED);
        assert_eq!(Unit::Latency.text(f64::NAN), NOT_MEASURED);
        assert_eq!(ratio(f64::INFINITY), NOT_MEASURED);
    }

    #[test]
    fn strangers_cannot_drive_the_terminal() {
        assert_eq!(clean("a\u{1b}[31m\nb\u{9b}é"), "a·[31m·b·é");
    }
}
