//! A plot of lines as a figure of the page: title, legend, inline SVG, and a line that the script fills.
//!
//! The plot is whole without the script. Series differ by colour and by dash. The legend's boxes
//! switch series off by CSS alone. The SVG carries its axes as data attributes, from which the script
//! reads the values under the pointer: the drawing is the data, so a page stays small.
//!
//! Everything that is text comes in through maud, which escapes it.

use std::fmt::Write;

use maud::{Markup, html};

use super::scale::Axis;
use crate::words::{self, Unit};

/// The drawing's own units; the page scales it to the width there is.
const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 58.0;
/// Half a label is right of it.
const RIGHT: f64 = 374.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 196.0;

/// Series beyond these begin the colours and dashes anew.
pub const STYLES: usize = 6;

/// Points a series keeps; more than the drawing has room for would only make the page large.
const POINTS_MAX: usize = 160;

/// A line.
pub struct Series {
    /// Its name in the legend.
    pub label: String,
    /// Ascending in x; `None` leaves a gap.
    pub points: Vec<(f64, Option<f64>)>,
}

impl Series {
    fn values(&self) -> impl Iterator<Item = f64> {
        self.points.iter().filter_map(|(_, value)| *value)
    }

    /// Whether there is anything to draw.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values().next().is_none()
    }

    /// The largest value, 0 without any.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.values().fold(0.0, f64::max)
    }

    /// The smallest value above zero, if any: where a logarithmic axis may begin.
    #[must_use]
    pub fn min_above_zero(&self) -> Option<f64> {
        self.values().filter(|value| *value > 0.0).reduce(f64::min)
    }

    /// At most [`POINTS_MAX`] points, each the mean of its neighbours: for rates and shares.
    #[must_use]
    pub fn mean(self) -> Self {
        self.thin(|values| values.iter().sum::<f64>() / values.len() as f64)
    }

    /// At most [`POINTS_MAX`] points, each the largest of its neighbours: for what may peak.
    #[must_use]
    pub fn peaks(self) -> Self {
        self.thin(|values| values.iter().copied().fold(f64::MIN, f64::max))
    }

    fn thin(self, combine: impl Fn(&[f64]) -> f64) -> Self {
        let each = self.points.len().div_ceil(POINTS_MAX).max(1);
        let point = |chunk: &[(f64, Option<f64>)]| {
            let values: Vec<f64> = chunk.iter().filter_map(|(_, value)| *value).collect();
            let at = chunk.last().map_or(0.0, |(at, _)| *at);
            (at, (!values.is_empty()).then(|| combine(&values)))
        };
        Self { label: self.label, points: self.points.chunks(each).map(point).collect() }
    }
}

/// What a plot's horizontal axis measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Across {
    /// Seconds since the start.
    Time,
    /// Nines of a percentile.
    Percentile,
}

/// A plot of lines.
pub struct Plot<'a> {
    /// What is shown.
    pub title: &'a str,
    /// The unit in words, or another remark: `messages a second`.
    pub note: &'a str,
    /// The values' unit.
    pub unit: Unit,
    /// The horizontal axis.
    pub across: Across,
    /// Its scale.
    pub x: Axis,
    /// The vertical scale.
    pub y: Axis,
    /// The lines; empty ones are not drawn, and the legend says that they were not measured.
    pub series: Vec<Series>,
}

impl Plot<'_> {
    /// The figure; says `not measured` when there is nothing to draw.
    #[must_use]
    pub fn render(&self) -> Markup {
        html! {
            figure.plot {
                figcaption { b { (self.title) } " " span.muted { (self.note) } }
                @if self.shown().next().is_none() {
                    p.absent { "Not measured." }
                } @else {
                    @if self.series.len() > 1 { (self.legend()) }
                    (self.drawing())
                    p.readout aria-hidden="true" {}
                }
            }
        }
    }

    /// The lines that there are, each with the number of its style.
    fn shown(&self) -> impl Iterator<Item = (usize, &Series)> {
        let styled = self.series.iter().enumerate();
        styled
            .map(|(index, series)| (index % STYLES, series))
            .filter(|(_, series)| !series.is_empty())
    }

    /// Boxes to switch series off; of a single series the title says all.
    fn legend(&self) -> Markup {
        html! {
            div.legend {
                @for (style, series) in self.shown() {
                    label {
                        input.{ "t" (style) } type="checkbox" checked;
                        svg.key viewBox="0 0 28 10" aria-hidden="true" {
                            path.line.{ "s" (style) } d="M2 5h24" {}
                        }
                        span { (words::clean(&series.label)) }
                    }
                }
                @for series in self.series.iter().filter(|series| series.is_empty()) {
                    span.muted { (words::clean(&series.label)) ": " (words::NOT_MEASURED) }
                }
            }
        }
    }

    fn drawing(&self) -> Markup {
        let across = match self.across {
            Across::Time => "time",
            Across::Percentile => "percentile",
        };
        html! {
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" tabindex="0"
                aria-label=(self.summary()) data-unit=(self.unit.name()) data-across=(across)
                data-x=(format!("{} {}", self.x.low, self.x.high))
                data-y=(format!("{} {} {}", self.y.low, self.y.high, u8::from(self.y.is_log)))
                data-box=(format!("{LEFT} {TOP} {RIGHT} {BOTTOM}")) {
                (self.grid())
                @for (style, series) in self.shown() {
                    path.line.{ "s" (style) } data-label=(series.label)
                        d=(self.path(series)) {}
                }
            }
        }
    }

    /// What someone hears who does not see the drawing.
    fn summary(&self) -> String {
        let line =
            |series: &Series| format!("{} up to {}", series.label, self.unit.text(series.max()));
        let lines: Vec<_> = self.shown().map(|(_, series)| line(series)).collect();
        format!("{}: {}", self.title, lines.join(", "))
    }

    fn grid(&self) -> Markup {
        html! {
            @for tick in &self.y.ticks {
                @let y = self.y_at(tick.value);
                line.grid x1=(LEFT) x2=(RIGHT) y1=(y) y2=(y) {}
                text.tick.end x=(LEFT - 7.0) y=(y) dy=".35em" { (tick.label) }
            }
            @for tick in &self.x.ticks {
                @let x = self.x_at(tick.value);
                line.grid.fine[self.across == Across::Time] x1=(&x) x2=(&x) y1=(TOP) y2=(BOTTOM) {}
                text.tick.middle x=(&x) y=(BOTTOM + 18.0) { (tick.label) }
            }
            line.base x1=(LEFT) x2=(RIGHT) y1=(BOTTOM) y2=(BOTTOM) {}
        }
    }

    fn x_at(&self, value: f64) -> String {
        short(LEFT + self.x.share(value) * (RIGHT - LEFT))
    }

    fn y_at(&self, value: f64) -> String {
        short(BOTTOM - self.y.share(value) * (BOTTOM - TOP))
    }

    /// Lines through the points; a lone point becomes a dot by its round ends.
    fn path(&self, series: &Series) -> String {
        let mut path = String::with_capacity(series.points.len() * 12);
        let mut pen_down = false;
        let mut segment = 0;
        for (at, value) in &series.points {
            let Some(value) = value.filter(|value| value.is_finite()) else {
                pen_down = false;
                continue;
            };
            if pen_down {
                segment += 1;
            } else {
                end_segment(&mut path, segment);
                segment = 1;
            }
            let command = if pen_down { 'L' } else { 'M' };
            let _ = write!(path, "{command}{} {}", self.x_at(*at), self.y_at(value));
            pen_down = true;
        }
        end_segment(&mut path, segment);
        path
    }
}

fn end_segment(path: &mut String, points: usize) {
    if points == 1 {
        path.push_str("h0");
    }
}

/// Two decimals, without zeros at the end.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(series: Vec<Series>) -> String {
        let (x, y) = (Axis::time(10.0), Axis::linear(100.0, Unit::Rate, 4));
        let (unit, across) = (Unit::Rate, Across::Time);
        Plot { title: "Rate", note: "", unit, across, x, y, series }.render().into_string()
    }

    fn series(label: &str, points: &[(f64, Option<f64>)]) -> Series {
        Series { label: label.into(), points: points.to_vec() }
    }

    #[test]
    fn a_line_has_gaps_where_nothing_was_measured() {
        let points = [(0.0, Some(0.0)), (5.0, None), (6.0, Some(50.0)), (10.0, Some(100.0))];
        let text = plot(vec![series("accepted", &points)]);
        assert!(text.contains(r#"d="M58 196h0M247.6 103L374 10""#), "{text}");
    }

    #[test]
    fn nothing_to_draw_is_said() {
        let text = plot(vec![series("accepted", &[(0.0, None)])]);
        assert!(text.contains("Not measured.") && !text.contains("<svg"), "{text}");
    }

    #[test]
    fn names_are_escaped() {
        let points = [(0.0, Some(1.0)), (1.0, Some(1.0))];
        let text = plot(vec![series("<script>\"'", &points), series("b", &points)]);
        assert!(!text.contains("<script"), "{text}");
        assert_eq!(text.matches("checkbox").count(), 2);
        let absent = plot(vec![series("server", &[(0.0, None)]), series("generator", &points)]);
        assert!(absent.contains("server: not measured") && absent.contains("line s1"), "{absent}");
    }

    #[test]
    fn long_series_are_thinned_to_means_or_peaks() {
        let points: Vec<_> = (0..1000).map(|n| (f64::from(n), Some(f64::from(n % 10)))).collect();
        let mean = series("a", &points).mean();
        assert!(mean.points.len() <= POINTS_MAX);
        assert!(mean.max() < 9.0);
        assert_eq!(series("a", &points).peaks().max(), 9.0);
    }
}
