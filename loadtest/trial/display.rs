//! What a person sees while a run goes on: a bar on a terminal, a line every few seconds elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::result::Sample;

/// Without a terminal a line comes so often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// See the module. All of it goes to standard error.
pub struct Display {
    bar: ProgressBar,
    name: String,
    last_line: Instant,
    quiet: bool,
}

impl Display {
    /// For `total` messages, when that is known.
    #[must_use]
    pub fn new(name: &str, total: Option<u64>, quiet: bool) -> Self {
        let bar = if quiet {
            ProgressBar::hidden()
        } else {
            total.map_or_else(ProgressBar::no_length, ProgressBar::new)
        };
        let template = match total {
            Some(_) => "{prefix} [{bar:30}] {pos}/{len} {msg} {elapsed}",
            None => "{prefix} {spinner} {pos} {msg} {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(name.to_owned());
        Self { bar, name: name.to_owned(), last_line: Instant::now(), quiet }
    }

    /// The latest figures; `done` messages are through.
    pub fn show(&mut self, done: u64, sample: &Sample) {
        let p99 = sample
            .accept_p99_us
            .map_or("–".to_owned(), |us| format!("{:.1} ms", us as f64 / 1e3));
        let text = format!(
            "{:.0}/s in, {:.0}/s out, {} in flight, p99 {p99}, {} errors",
            sample.accepted_per_s, sample.arrived_per_s, sample.in_flight, sample.errors
        );
        self.bar.set_position(done);
        if self.bar.is_hidden() && !self.quiet && self.last_line.elapsed() >= LINE_EVERY {
            eprintln!("{}: {done} through after {:.0} s, {text}", self.name, sample.at_s);
            self.last_line = Instant::now();
        }
        self.bar.set_message(text);
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
