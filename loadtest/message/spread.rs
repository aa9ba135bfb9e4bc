//! A figure that is fixed, chosen from a list or drawn from a distribution: sizes and recipient counts.
//!
//! As text: `5 KiB`; a list `1 KiB, 4 KiB, 64 KiB`, with weights `1 KiB *80, 64 KiB *20`; a range
//! `1 KiB..64 KiB` (even on a logarithmic scale, as sizes of mail are); `lognormal 8 KiB 1.5 1 MiB` (median, sigma of the
//! logarithm, largest).

use std::{fmt, str::FromStr};

use bytesize::ByteSize;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, LogNormal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Word", into = "String")]
#[schemars(with = "String")]
pub enum Spread {
    /// Always the same.
    Fixed(u64),
    /// One of these, by weight.
    Choice(Vec<(u64, u32)>),
    /// Between the two, both included, even on a logarithmic scale.
    Range(u64, u64),
    /// Most near the median, few far above it.
    LogNormal {
        /// Half of the values are below.
        median: u64,
        /// Standard deviation of the natural logarithm.
        sigma: f64,
        /// No value is above.
        max: u64,
    },
}

/// A number or a text, as TOML has them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Number(u64),
    Text(String),
}

impl Spread {
    /// Draws one value.
    pub fn draw(&self, random: &mut impl Rng) -> u64 {
        match self {
            Self::Fixed(value) => *value,
            Self::Choice(values) => {
                let total: u64 = values.iter().map(|(_, weight)| u64::from(*weight)).sum();
                let mut at = random.random_range(0..total.max(1));
                for (value, weight) in values {
                    match at.checked_sub(u64::from(*weight)) {
                        Some(rest) => at = rest,
                        None => return *value,
                    }
                }
                0
            }
            Self::Range(low, high) => {
                let (low, high) = ((*low).max(1) as f64, (*high).max(1) as f64);
                let drawn = random.random_range(low.ln()..=high.ln()).exp();
                drawn.round() as u64
            }
            Self::LogNormal { median, sigma, max } => {
                let median = (*median).max(1) as f64;
                let drawn = LogNormal::new(median.ln(), *sigma)
                    .map_or(median, |distribution| distribution.sample(random));
                (drawn.round() as u64).clamp(1, *max)
            }
        }
    }

    /// The largest value that can be drawn.
    #[must_use]
    pub fn max(&self) -> u64 {
        match self {
            Self::Fixed(value) => *value,
            Self::Choice(values) => values.iter().map(|(value, _)| *value).max().unwrap_or(0),
            Self::Range(_, high) => *high,
            Self::LogNormal { max, .. } => *max,
        }
    }

    /// Whether every draw gives the same.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed(_))
    }
}

impl FromStr for Spread {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("lognormal ") {
            return log_normal(rest);
        }
        if let Some((low, high)) = text.split_once("..") {
            let (low, high) = (value(low)?, value(high)?);
            if low > high {
                return Err(format!("'{text}': the smaller value comes first"));
            }
            return Ok(Self::Range(low, high));
        }
        let values = text.split(',').map(weighted).collect::<Result<Vec<_>, _>>()?;
        match values[..] {
            [(one, _)] => Ok(Self::Fixed(one)),
            _ if values.iter().all(|(_, weight)| *weight == 0) => {
                Err(format!("'{text}': all weights are zero"))
            }
            _ => Ok(Self::Choice(values)),
        }
    }
}

/// `MEDIAN SIGMA MAX`, where a unit may be a word of its own.
fn log_normal(text: &str) -> Result<Spread, String> {
    let wrong =
        || format!("'lognormal {text}': say median, sigma and largest: lognormal 8 KiB 1.5 1 MiB");
    let words: Vec<&str> = text.split_whitespace().collect();
    let at =
        words.iter().skip(1).position(|word| word.parse::<f64>().is_ok()).ok_or_else(wrong)? + 1;
    let sigma: f64 = words[at].parse().map_err(|_| wrong())?;
    if !(0.0..=5.0).contains(&sigma) || at + 1 >= words.len() {
        return Err(wrong());
    }
    Ok(Spread::LogNormal {
        median: value(&words[..at].join(" "))?,
        sigma,
        max: value(&words[at + 1..].join(" "))?,
    })
}

/// `VALUE` or `VALUE *WEIGHT`.
fn weighted(text: &str) -> Result<(u64, u32), String> {
    let (figure, weight) = text.split_once('*').unwrap_or((text, "1"));
    let weight = weight.trim().parse().map_err(|_| format!("'{text}': the weight is no number"))?;
    Ok((value(figure)?, weight))
}

fn value(text: &str) -> Result<u64, String> {
    let size: ByteSize = text.trim().parse().map_err(|error| format!("'{text}': {error}"))?;
    Ok(size.as_u64())
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(value) => write!(f, "{value}"),
            Self::Choice(values) => {
                for (at, (value, weight)) in values.iter().enumerate() {
                    write!(f, "{}{value} *{weight}", if at == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Self::Range(low, high) => write!(f, "{low}..{high}"),
            Self::LogNormal { median, sigma, max } => write!(f, "lognormal {median} {sigma} {max}"),
        }
    }
}

impl TryFrom<Word> for Spread {
    type Error = String;

    fn try_from(word: Word) -> Result<Self, String> {
        match word {
            Word::Number(number) => Ok(Self::Fixed(number)),
            Word::Text(text) => text.parse(),
        }
    }
}

impl From<Spread> for String {
    fn from(spread: Spread) -> Self {
        spread.to_string()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_pcg::Pcg64Mcg;

    use super::*;

    #[test]
    fn texts_are_read_and_written_back() {
        for (text, meant) in [
            ("5 KiB", Spread::Fixed(5120)),
            ("1, 2 KiB", Spread::Choice(vec![(1, 1), (2048, 1)])),
            ("1 *80, 50 *20", Spread::Choice(vec![(1, 80), (50, 20)])),
            ("1 KiB..2 KiB", Spread::Range(1024, 2048)),
            (
                "lognormal 8 KiB 1.5 1 MiB",
                Spread::LogNormal { median: 8192, sigma: 1.5, max: 1 << 20 },
            ),
        ] {
            assert_eq!(text.parse::<Spread>().as_ref(), Ok(&meant));
            assert_eq!(meant.to_string().parse::<Spread>(), Ok(meant));
        }
        for wrong in ["", "x", "2..1", "1 *0, 2 *0", "lognormal 8", "lognormal 8 9 9", "1*x"] {
            assert!(wrong.parse::<Spread>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn draws_follow_the_distribution_and_the_seed() {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        let spread: Spread = "lognormal 8000 1.0 100000".parse().unwrap();
        let mut drawn: Vec<u64> = (0..10_001).map(|_| spread.draw(&mut random)).collect();
        drawn.sort_unstable();
        assert!(drawn[5000].abs_diff(8000) < 500, "{}", drawn[5000]);
        assert!(drawn[10_000] <= 100_000);
        let choice: Spread = "1 *90, 2 *10".parse().unwrap();
        let twos = (0..10_000).filter(|_| choice.draw(&mut random) == 2).count();
        assert!(twos.abs_diff(1000) < 150, "{twos}");
        let again = |seed| spread.draw(&mut Pcg64Mcg::seed_from_u64(seed));
        assert_eq!(again(5), again(5));
    }
}
