//! Axes: from a value to a place between 0 and 1, with ticks at numbers that people like.
//!
//! An axis is never empty: without data it goes from 0 to 1. Linear axes begin at zero, so that
//! heights can be compared. Labels are short, at most seven characters or so: the margin is narrow.

use crate::words::{self, Unit};

/// A place on an axis that is marked.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Where.
    pub value: f64,
    /// Its text; empty for a line without a label.
    pub label: String,
}

/// An axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// The value at its beginning.
    pub low: f64,
    /// The value at its end.
    pub high: f64,
    /// Whether equal distances are equal ratios.
    pub is_log: bool,
    /// Ascending.
    pub ticks: Vec<Tick>,
}

impl Axis {
    /// From 0 to a little above `max`, about `count` ticks.
    #[must_use]
    pub fn linear(max: f64, unit: Unit, count: usize) -> Self {
        let max = if max.is_finite() && max > 0.0 { max } else { 1.0 };
        // Powers of two are the round numbers of memory.
        let scale = if unit == Unit::Memory { memory_scale(max) } else { 1.0 };
        let mut step = nice_step(max / scale / count.max(1) as f64) * scale;
        if matches!(unit, Unit::Count) {
            step = step.max(1.0);
        }
        let steps = (max / step).ceil().max(1.0);
        let tick = |index: u32| {
            let value = f64::from(index) * step;
            Tick { value, label: linear_label(value, step, unit) }
        };
        let ticks = (0..=steps as u32).map(tick).collect();
        Self { low: 0.0, high: steps * step, is_log: false, ticks }
    }

    /// From 0 to `max_s` seconds; ends with the data, not with a tick.
    #[must_use]
    pub fn time(max_s: f64) -> Self {
        let max = if max_s.is_finite() && max_s > 0.0 { max_s } else { 1.0 };
        let step = TIME_STEPS_S.iter().copied().find(|step| max / step <= 6.0);
        let step = step.unwrap_or_else(|| nice_step(max / 6.0 / 86_400.0) * 86_400.0);
        let tick = |index: u32| {
            let value = f64::from(index) * step;
            Tick { value, label: time_label(value, step) }
        };
        Self {
            low: 0.0,
            high: max,
            is_log: false,
            ticks: (0..=(max / step) as u32).map(tick).collect(),
        }
    }

    /// Whole decades around `min` to `max`; within two decades also 2 and 5 are marked.
    #[must_use]
    pub fn log(min: f64, max: f64, unit: Unit) -> Self {
        let min = if min.is_finite() && min >= 1.0 { min } else { 1.0 };
        let max = if max.is_finite() && max > min { max } else { min * 10.0 };
        let first = min.log10().floor() as i32;
        let last = (max.log10().ceil() as i32).max(first + 1);
        let within: &[f64] = if last - first <= 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let mut ticks = Vec::new();
        for decade in first..=last {
            for factor in within.iter().filter(|factor| decade < last || **factor == 1.0) {
                let value = factor * 10f64.powi(decade);
                ticks.push(Tick { value, label: label(value, unit) });
            }
        }
        Self { low: 10f64.powi(first), high: 10f64.powi(last), is_log: true, ticks }
    }

    /// Percentiles of `count` values as HDR plots have them: each further nine is as wide as the last.
    ///
    /// Values are [`nines`]; the axis ends at 99.999 % or where `count` values say no more.
    #[must_use]
    pub fn percentiles(count: u64) -> Self {
        let high = (count.max(10) as f64).log10().ceil().clamp(2.0, 5.0);
        let marks = [
            (0.5, "50 %"),
            (0.9, "90 %"),
            (0.99, "99 %"),
            (0.999, "99.9 %"),
            (0.9999, "99.99 %"),
            (0.99999, ""),
        ];
        let tick = |(quantile, label): (f64, &str)| Tick {
            value: nines(quantile, u64::MAX),
            label: label.into(),
        };
        let is_inside = |tick: &Tick| tick.value <= high + 0.001;
        let ticks = marks.into_iter().map(tick).filter(is_inside).collect();
        Self { low: 0.0, high, is_log: false, ticks }
    }

    /// Where `value` lies, 0 to 1; values outside are put at the end.
    #[must_use]
    pub fn share(&self, value: f64) -> f64 {
        let share = if self.is_log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }
}

/// How many nines a quantile has: 0.9 is 1, 0.99 is 2. The largest of `count` values has log10(count).
#[must_use]
pub fn nines(quantile: f64, count: u64) -> f64 {
    let most = (count.max(1) as f64).log10();
    let rest = (1.0 - quantile).max(1e-18);
    (-rest.log10()).clamp(0.0, most)
}

const TIME_STEPS_S: [f64; 22] = [
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0,
    1200.0, 1800.0, 3600.0, 7200.0, 14_400.0, 43_200.0,
];

/// The next of 1, 2, 2.5, 5, 10 … at or above `raw`.
fn nice_step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    let factors = [1.0, 2.0, 2.5, 5.0, 10.0];
    // A hair of tolerance: 0.3 / 3 is not 0.1.
    let factor = factors.into_iter().find(|factor| factor * power >= raw * 0.999_999);
    factor.unwrap_or(10.0) * power
}

fn memory_scale(max_kib: f64) -> f64 {
    match max_kib {
        ..1024.0 => 1.0,
        ..1_048_576.0 => 1024.0,
        _ => 1_048_576.0,
    }
}

/// As many decimals as the step has, so that no two labels are the same.
fn linear_label(value: f64, step: f64, unit: Unit) -> String {
    match unit {
        Unit::Cores | Unit::Number | Unit::Rate if step < 1.0 && value > 0.0 => {
            let decimals = (0..9).find(|places| {
                let scaled = step * 10f64.powi(*places);
                (scaled - scaled.round()).abs() < 1e-6 * scaled
            });
            let places = decimals.unwrap_or(9) as usize;
            format!("{value:.places$}")
        }
        _ => label(value, unit),
    }
}

/// Tick labels leave out what the plot's title says (a second, cores).
fn label(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Rate | Unit::Count | Unit::Number | Unit::CpuMicros => thousands(value),
        Unit::Cores => words::number(value),
        Unit::Latency if value == 0.0 => "0".into(),
        Unit::Memory if value == 0.0 => "0".into(),
        // `1 min 40 s` is no mark of an axis.
        Unit::Latency if value >= 1e6 => format!("{} s", words::number(value / 1e6)),
        Unit::Latency | Unit::Memory | Unit::Flow => unit.text(value),
    }
}

/// `500`, `1,500`, `25 k`, `2.5 M`.
fn thousands(value: f64) -> String {
    match value {
        ..10_000.0 => words::number(value),
        ..1_000_000.0 => format!("{} k", words::number(value / 1e3)),
        _ => format!("{} M", words::number(value / 1e6)),
    }
}

/// The step decides the unit: no axis mixes seconds and minutes.
fn time_label(seconds: f64, step: f64) -> String {
    match (seconds, step) {
        (0.0, _) => "0".into(),
        (_, ..60.0) => format!("{} s", words::number(seconds)),
        (_, ..3600.0) => format!("{} min", words::number(seconds / 60.0)),
        _ => format!("{} h", words::number(seconds / 3600.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn linear_axes_begin_at_zero_and_have_round_ticks() {
        let rate = Axis::linear(3_456.0, Unit::Rate, 4);
        assert_eq!(labels(&rate), ["0", "1,000", "2,000", "3,000", "4,000"]);
        assert_eq!((rate.low, rate.high), (0.0, 4000.0));
        let memory = Axis::linear(300.0 * 1024.0, Unit::Memory, 4);
        assert_eq!(labels(&memory), ["0", "100 MiB", "200 MiB", "300 MiB"]);
        assert_eq!(labels(&Axis::linear(0.4, Unit::Count, 4)), ["0", "1"]);
        let small = Axis::linear(0.0095, Unit::Cores, 4);
        assert_eq!(labels(&small), ["0", "0.0025", "0.0050", "0.0075", "0.0100"]);
    }

    #[test]
    fn axes_without_data_still_exist() {
        for max in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Axis::linear(max, Unit::Cores, 4).high, 1.0);
            assert!(Axis::time(max).ticks.len() > 1);
            assert!(Axis::log(max, max, Unit::Latency).ticks.len() > 1);
        }
        assert!(Axis::percentiles(0).ticks.len() > 1);
    }

    #[test]
    fn time_has_few_ticks_in_its_own_steps() {
        assert_eq!(labels(&Axis::time(47.0)), ["0", "10 s", "20 s", "30 s", "40 s"]);
        assert_eq!(labels(&Axis::time(300.0)), ["0", "1 min", "2 min", "3 min", "4 min", "5 min"]);
        for max in [0.03, 1.0, 59.0, 1_000.0, 40_000.0, 2_000_000.0] {
            assert!((2..=7).contains(&Axis::time(max).ticks.len()), "{max}");
        }
    }

    #[test]
    fn log_axes_end_at_decades() {
        let wide = Axis::log(150.0, 80_000.0, Unit::Latency);
        assert_eq!(labels(&wide), ["100 µs", "1 ms", "10 ms", "100 ms"]);
        assert_eq!((wide.share(100.0), wide.share(100_000.0)), (0.0, 1.0));
        assert!((wide.share(1000.0) - 1.0 / 3.0).abs() < 1e-9);
        let slow = Axis::log(20e6, 900e6, Unit::Latency);
        assert_eq!(labels(&slow), ["10 s", "20 s", "50 s", "100 s", "200 s", "500 s", "1,000 s"]);
        let narrow = Axis::log(1_100.0, 9_000.0, Unit::Latency);
        assert_eq!(labels(&narrow), ["1 ms", "2 ms", "5 ms", "10 ms"]);
    }

    #[test]
    fn every_nine_of_a_percentile_is_as_wide() {
        let axis = Axis::percentiles(10_000);
        assert_eq!(labels(&axis), ["50 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
        assert!((axis.share(nines(0.99, 10_000)) - 0.5).abs() < 1e-9);
        assert_eq!(axis.share(nines(1.0, 10_000)), 1.0, "the largest of 10,000");
        assert_eq!(axis.share(nines(1.0, 1_000)), 0.75, "a thousand values have no fourth nine");
    }
}
