//! The plots of one run, and the latency curves of several servers in one.
//!
//! Rates and cores are means of their interval; what may peak (in flight, latency, memory) keeps its peaks.

use maud::{Markup, html};

use super::plot::{Across, Plot, Series};
use super::scale::{Axis, nines};
use crate::result::{Latency, Run, Sample};
use crate::words::{self, Unit};

/// Ticks of a vertical axis, about.
const TICKS: usize = 4;

/// All plots of a run.
#[must_use]
pub fn of_run(run: &Run) -> Markup {
    let errors = run.series.iter().map(|sample| sample.errors).sum::<u64>();
    html! {
        div.plots {
            (rate(run))
            (latency("Latency", &[
                ("accepted", run.accept_latency.as_ref()),
                ("relayed", run.relay_latency.as_ref()),
            ]))
            (in_flight(run))
            (latency_over_time(run))
            (cores(run))
            (memory(run))
            @if errors > 0 { (refusals(run)) }
        }
    }
}

fn series(run: &Run, label: &str, of: impl Fn(&Sample) -> Option<f64>) -> Series {
    let points = run.series.iter().map(|sample| (sample.at_s, of(sample))).collect();
    Series { label: label.into(), points }
}

/// A plot over time with an axis from zero.
fn over_time(run: &Run, title: &str, note: &str, unit: Unit, series: Vec<Series>) -> Markup {
    let end = run.series.last().map_or(run.elapsed_s, |sample| sample.at_s);
    let max = series.iter().map(Series::max).fold(0.0, f64::max);
    let y = Axis::linear(max, unit, TICKS);
    Plot { title, note, unit, across: Across::Time, x: Axis::time(end), y, series }.render()
}

fn rate(run: &Run) -> Markup {
    let (sent, taken) = (run.source.is_some(), run.sink.is_some());
    let lines = vec![
        series(run, "accepted", |sample| sent.then_some(sample.accepted_per_s)).mean(),
        series(run, "arrived", |sample| taken.then_some(sample.arrived_per_s)).mean(),
    ];
    over_time(run, "Rate", "messages a second", Unit::Rate, lines)
}

/// Without both ends nobody knows what is in between.
fn in_flight(run: &Run) -> Markup {
    let both = run.source.is_some() && run.sink.is_some();
    let lines =
        vec![series(run, "in flight", |sample| both.then_some(sample.in_flight as f64)).peaks()];
    over_time(run, "In flight", "accepted, not yet delivered", Unit::Count, lines)
}

fn cores(run: &Run) -> Markup {
    let lines = vec![
        series(run, "server", |sample| sample.server_cores).mean(),
        series(run, "generator", |sample| sample.generator_cores).mean(),
    ];
    over_time(run, "CPU", "cores in use", Unit::Cores, lines)
}

fn memory(run: &Run) -> Markup {
    let of = |sample: &Sample| sample.server_rss_kib.map(|kib| kib as f64);
    let lines = vec![series(run, "server", of).peaks()];
    over_time(run, "Memory", "resident, the server's processes", Unit::Memory, lines)
}

fn refusals(run: &Run) -> Markup {
    let lines = vec![series(run, "errors", |sample| Some(sample.errors as f64)).peaks()];
    over_time(run, "Errors", "refusals and broken connections a sample", Unit::Count, lines)
}

fn latency_over_time(run: &Run) -> Markup {
    let of = |sample: &Sample| sample.accept_p99_us.map(|us| us as f64);
    let line = series(run, "99 %", of).peaks();
    let end = run.series.last().map_or(run.elapsed_s, |sample| sample.at_s);
    let y = Axis::log(line.min_above_zero().unwrap_or(1.0), line.max(), Unit::Latency);
    Plot {
        title: "Accept latency, 99 %",
        note: "over time",
        unit: Unit::Latency,
        across: Across::Time,
        x: Axis::time(end),
        y,
        series: vec![line],
    }
    .render()
}

/// Latency by percentile, both axes logarithmic.
#[must_use]
pub fn latency(title: &str, named: &[(&str, Option<&Latency>)]) -> Markup {
    let known = named.iter().filter_map(|(_, latency)| *latency);
    let count = known.map(|latency| latency.count).max().unwrap_or(0);
    let line = |(name, latency): &(&str, Option<&Latency>)| match latency {
        Some(found) => curve(name, found),
        None => Series { label: (*name).into(), points: Vec::new() },
    };
    let series: Vec<Series> = named.iter().map(line).collect();
    let min = series.iter().filter_map(Series::min_above_zero).fold(f64::INFINITY, f64::min);
    let max = series.iter().map(Series::max).fold(0.0, f64::max);
    Plot {
        title,
        note: "by percentile",
        unit: Unit::Latency,
        across: Across::Percentile,
        x: Axis::percentiles(count),
        y: Axis::log(min, max, Unit::Latency),
        series,
    }
    .render()
}

/// The curve as given, or the named percentiles when there is none.
fn curve(name: &str, latency: &Latency) -> Series {
    let mut points: Vec<(f64, Option<f64>)> = if latency.quantiles.is_empty() {
        let named = [
            (0.0, latency.min_us),
            (0.5, latency.p50_us),
            (0.9, latency.p90_us),
            (0.99, latency.p99_us),
            (0.999, latency.p999_us),
            (1.0, latency.max_us),
        ];
        named.iter().map(|(quantile, us)| point(*quantile, *us, latency.count)).collect()
    } else {
        let given = latency.quantiles.iter();
        given.map(|step| point(step.quantile, step.us, latency.count)).collect()
    };
    if latency.count == 0 {
        points.clear();
    }
    points.dedup_by(|later, earlier| (later.0 - earlier.0).abs() < 0.005);
    Series { label: words::clean(name), points }
}

/// A time of 0 µs stands at 1 µs: a logarithmic axis has no zero.
fn point(quantile: f64, us: u64, count: u64) -> (f64, Option<f64>) {
    (nines(quantile, count), Some(us.max(1) as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{Quantile, Sink, Source};

    #[test]
    fn a_run_without_anything_says_so_in_each_plot() {
        let text = of_run(&Run::default()).into_string();
        assert_eq!(text.matches("Not measured.").count(), 6, "{text}");
        assert!(!text.contains("NaN") && !text.contains("inf"));
    }

    #[test]
    fn a_measured_run_has_its_lines() {
        let sample = |at_s| Sample {
            at_s,
            accepted_per_s: 3000.0,
            arrived_per_s: 2900.0,
            server_cores: Some(1.2),
            ..Sample::default()
        };
        let run = Run {
            source: Some(Source::default()),
            sink: Some(Sink::default()),
            series: (1..9).map(|second| sample(f64::from(second))).collect(),
            ..Run::default()
        };
        let text = of_run(&run).into_string();
        assert_eq!(text.matches("data-label=\"accepted\"").count(), 1);
        assert_eq!(text.matches("data-label=\"arrived\"").count(), 1);
        assert!(text.contains("data-label=\"in flight\""), "both ends are known");
    }

    #[test]
    fn a_curve_ends_where_its_count_ends() {
        let quantiles = vec![
            Quantile { quantile: 0.0, us: 0 },
            Quantile { quantile: 0.99, us: 900 },
            Quantile { quantile: 1.0, us: 1000 },
        ];
        let latency = Latency { count: 1000, quantiles, ..Latency::default() };
        let points = curve("a", &latency).points;
        assert_eq!(points.first(), Some(&(0.0, Some(1.0))));
        assert_eq!(points.last().map(|point| point.0), Some(3.0));
    }

    #[test]
    fn percentiles_stand_in_for_a_missing_curve() {
        let latency = Latency { count: 100_000, p50_us: 10, max_us: 99, ..Latency::default() };
        assert_eq!(curve("a", &latency).points.len(), 6);
        assert!(curve("a", &Latency::default()).points.is_empty());
    }
}
