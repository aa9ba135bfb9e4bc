//! From a histogram to what is told of it.

use hdrhistogram::Histogram;

use crate::result::{Latency, Quantile};

/// `None` when nothing was recorded.
#[must_use]
pub fn latency(histogram: &Histogram<u64>) -> Option<Latency> {
    if histogram.is_empty() {
        return None;
    }
    let at = |quantile| histogram.value_at_quantile(quantile);
    let curve = histogram.iter_quantiles(4).map(|step| Quantile {
        quantile: step.quantile_iterated_to(),
        us: step.value_iterated_to(),
    });
    Some(Latency {
        count: histogram.len(),
        mean_us: histogram.mean(),
        min_us: histogram.min(),
        p50_us: at(0.5),
        p90_us: at(0.9),
        p99_us: at(0.99),
        p999_us: at(0.999),
        max_us: histogram.max(),
        quantiles: curve.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_ascends_to_one() {
        assert!(latency(&crate::source::empty()).is_none());
        let mut histogram = crate::source::empty();
        for us in 1..=1000 {
            histogram.saturating_record(us * 10);
        }
        let latency = latency(&histogram).unwrap();
        assert!(latency.p50_us.abs_diff(5000) < 20 && latency.p99_us.abs_diff(9900) < 20);
        assert!(latency.quantiles.windows(2).all(|pair| pair[0].us <= pair[1].us));
        assert!((latency.quantiles.last().unwrap().quantile - 1.0).abs() < 1e-9);
    }
}
