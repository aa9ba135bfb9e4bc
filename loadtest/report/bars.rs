//! Bars that compare the servers: one figure a measure, the cases below each other on one axis from zero.
//!
//! Every bar is named at its left and has its median and ratio written at its end, so that neither
//! colour nor the script is needed; whiskers span the rounds from the smallest to the largest. The
//! first server, to which ratios refer, is drawn in the accent colour and the others in grey.

use maud::{Markup, html};

use super::scale::Axis;
use crate::figures::{Case, Measure};
use crate::result::{Row, Spread};
use crate::words;

const WIDTH: f64 = 400.0;
const LEFT: f64 = 102.0;
/// What is right of it is the figures'.
const RIGHT: f64 = 280.0;
const CASE_HEIGHT: f64 = 24.0;
const BAR_STEP: f64 = 19.0;
const BAR_HEIGHT: f64 = 11.0;
const FOOT: f64 = 26.0;
/// Longer names are cut; the tables have them whole.
const NAME_CHARS_MAX: usize = 16;

/// The figure of `measure` over `cases`.
#[must_use]
pub fn bars(measure: &Measure, cases: &[Case<'_>], first: &str) -> Markup {
    let spreads = || cases.iter().flat_map(|case| &case.rows).filter_map(|row| (measure.of)(row));
    let direction = if measure.more_is_better { "more is better" } else { "less is better" };
    let max = spreads().map(|spread| spread.max.max(spread.median)).fold(0.0, f64::max);
    html! {
        figure.plot {
            figcaption { b { (measure.title) } " " span.muted { (direction) } }
            @if spreads().next().is_none() {
                p.absent { "Not measured." }
            } @else {
                (drawing(measure, cases, &Axis::linear(max, measure.unit, 3), first))
                p.readout aria-hidden="true" {}
            }
        }
    }
}

fn drawing(measure: &Measure, cases: &[Case<'_>], axis: &Axis, first: &str) -> Markup {
    let tops = tops(cases);
    let bottom = tops.last().copied().unwrap_or(0.0);
    let summary = format!("{} of each server by case; the tables have all figures", measure.title);
    html! {
        svg.bars viewBox=(format!("0 0 {WIDTH} {}", bottom + FOOT)) role="img"
            aria-label=(summary) {
            @for tick in &axis.ticks {
                @let x = at(axis, tick.value);
                line.grid x1=(x) x2=(x) y1="4" y2=(bottom) {}
                text.tick.middle x=(x) y=(bottom + 17.0) { (tick.label) }
            }
            @for (case, top) in cases.iter().zip(&tops) {
                text.case x="0" y=(top + 16.0) { (words::clean(case.title)) }
                @for (index, row) in case.rows.iter().enumerate() {
                    (bar(measure, row, axis, top + CASE_HEIGHT + index as f64 * BAR_STEP, first))
                }
            }
        }
    }
}

/// Where each case begins, and where the last ends.
fn tops(cases: &[Case<'_>]) -> Vec<f64> {
    let mut tops = vec![0.0];
    let mut top = 0.0;
    for case in cases {
        top += CASE_HEIGHT + case.rows.len() as f64 * BAR_STEP + 4.0;
        tops.push(top);
    }
    tops
}

fn bar(measure: &Measure, row: &Row, axis: &Axis, top: f64, first: &str) -> Markup {
    let middle = top + BAR_STEP / 2.0;
    let spread = (measure.of)(row);
    let name = words::clean(&row.server);
    html! {
        g.bar data-readout=(readout(measure, row, spread)) {
            rect.hit x="0" y=(top) width=(WIDTH) height=(BAR_STEP) {}
            text.name.end x=(LEFT - 7.0) y=(middle) dy=".35em" { (cut(&name)) }
            @if let Some(spread) = spread {
                rect.fill.first[row.server == first] x=(LEFT) y=(middle - BAR_HEIGHT / 2.0)
                    width=(format!("{:.2}", at(axis, spread.median) - LEFT)) height=(BAR_HEIGHT) {}
                (whisker(axis, spread, middle))
            }
            text.value x=(RIGHT + 10.0) y=(middle) dy=".35em" {
                @match spread {
                    None => tspan.faint { (words::NOT_MEASURED) },
                    Some(spread) => {
                        (measure.unit.text(spread.median))
                        @if let Some(ratio) = spread.ratio.filter(|_| row.server != first) {
                            tspan.faint dx="6" { (words::ratio(ratio)) }
                        }
                    }
                }
            }
        }
    }
}

/// A line from the smallest to the largest with short ends; one round has none.
fn whisker(axis: &Axis, spread: Spread, middle: f64) -> Markup {
    let (from, to) = (at(axis, spread.min), at(axis, spread.max));
    let (top, bottom) = (middle - 3.5, middle + 3.5);
    html! {
        @if to - from > 0.5 {
            path.whisker d=(format!(
                "M{from:.2} {top:.2}V{bottom:.2}M{from:.2} {middle:.2}H{to:.2}M{to:.2} {top:.2}V{bottom:.2}"
            )) {}
        }
    }
}

fn readout(measure: &Measure, row: &Row, spread: Option<Spread>) -> String {
    let text = |value| measure.unit.text(value);
    let figures = spread.map_or_else(
        || words::NOT_MEASURED.to_owned(),
        |spread| {
            let (median, min, max) = (text(spread.median), text(spread.min), text(spread.max));
            format!("median {median}, from {min} to {max}")
        },
    );
    format!("{}, {}: {figures}", words::clean(&row.case), words::clean(&row.server))
}

fn at(axis: &Axis, value: f64) -> f64 {
    let x = LEFT + axis.share(value) * (RIGHT - LEFT);
    (x * 100.0).round() / 100.0
}

fn cut(name: &str) -> String {
    if name.chars().count() <= NAME_CHARS_MAX {
        return name.to_owned();
    }
    name.chars().take(NAME_CHARS_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::MEASURES;

    fn row(server: &str, spread: Option<(f64, f64, f64)>) -> Row {
        let spread = spread.map(|(min, median, max)| Spread {
            median,
            min,
            max,
            ratio: Some(median / 4000.0),
        });
        Row { server: server.into(), relayed_per_s: spread, ..Row::default() }
    }

    fn drawn(rows: &[Row]) -> String {
        let rows = rows.iter().collect();
        let case = Case { name: "5 KiB, 100 sessions", title: "5 KiB, 100 sessions", rows };
        bars(&MEASURES[0], &[case], "Ringpost").into_string()
    }

    #[test]
    fn bars_have_names_medians_ratios_and_whiskers() {
        let text = drawn(&[
            row("Ringpost", Some((3900.0, 4000.0, 4000.0))),
            row("Postfix", Some((300.0, 400.0, 500.0))),
        ]);
        assert!(text.contains(">Postfix<") && text.contains("400/s") && text.contains("×0.1"));
        assert_eq!(text.matches("fill first").count(), 1, "one server stands out: {text}");
        assert!(text.find("fill first") < text.find(">Postfix<"), "and it is the first");
        assert_eq!(text.matches("class=\"whisker\"").count(), 2);
        assert!(text.contains("median 400/s, from 300/s to 500/s"));
        assert!(!text.contains("×1<"), "the first server's ratio to itself says nothing");
    }

    #[test]
    fn what_was_not_measured_has_no_bar() {
        let text = drawn(&[row("Ringpost", Some((1.0, 1.0, 1.0))), row("Exim", None)]);
        assert!(text.contains("not measured"));
        assert_eq!(text.matches("class=\"fill").count(), 1);
        assert!(drawn(&[row("Exim", None)]).contains("Not measured."));
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(cut("Ringpost, 1 shard"), "Ringpost, 1 sha…");
        assert_eq!(cut("Haraka"), "Haraka");
    }
}
