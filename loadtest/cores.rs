//! Which cores the generator's executors run on.

use std::{fmt, str::FromStr};

use glommio::Placement;

/// One executor a core, or some that the system places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cores {
    /// So many, placed by the system.
    Free(usize),
    /// One pinned to each of these.
    Pinned(Vec<usize>),
}

impl Cores {
    /// How many executors there are, at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Free(count) => (*count).max(1),
            Self::Pinned(cores) => cores.len().max(1),
        }
    }
}

/// Where executor number `index` runs.
#[must_use]
pub fn placement(cores: &Cores, index: usize) -> Placement {
    match cores {
        Cores::Free(_) => Placement::Unbound,
        Cores::Pinned(cores) => {
            cores.get(index).map_or(Placement::Unbound, |core| Placement::Fixed(*core))
        }
    }
}

impl FromStr for Cores {
    type Err = String;

    /// `any:2`, or core numbers: `0,1` or `2-3`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |_| {
            format!("'{text}': say core numbers (0,1 or 2-3), or any:2 for two that are not pinned")
        };
        if let Some(count) = text.strip_prefix("any:") {
            return Ok(Self::Free(count.parse().map_err(wrong)?));
        }
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            let low: usize = low.trim().parse().map_err(wrong)?;
            cores.extend(low..=high.trim().parse().map_err(wrong)?);
        }
        Ok(Self::Pinned(cores))
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free(count) => write!(f, "any:{count}"),
            Self::Pinned(cores) => {
                let cores: Vec<String> = cores.iter().map(usize::to_string).collect();
                f.write_str(&cores.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_written_back() {
        for (text, meant) in [
            ("0", Cores::Pinned(vec![0])),
            ("0,2-3", Cores::Pinned(vec![0, 2, 3])),
            ("any:2", Cores::Free(2)),
        ] {
            assert_eq!(text.parse::<Cores>().as_ref(), Ok(&meant));
            assert_eq!(meant.to_string().parse::<Cores>(), Ok(meant));
        }
        assert!("x".parse::<Cores>().is_err() && "any:".parse::<Cores>().is_err());
    }
}
