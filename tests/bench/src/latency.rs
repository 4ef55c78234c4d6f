//! How long records took through the agent, out of the buckets of its histogram.

use serde::Serialize;

use crate::metrics::Samples;

const METRIC: &str = "watchfire_record_latency_seconds_bucket";

/// Records by how long they took at most: from the moment that each tells of, as the kernel saw it, to the queues of the
/// sinks.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Latency {
    /// Upper bounds of the buckets, seconds, each with the records that took no longer; ascending, the last one infinite.
    buckets: Vec<(f64, u64)>,
}

/// What half of the records and what 99 of 100 took at most, seconds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) p50_seconds: f64,
    pub(crate) p99_seconds: f64,
}

impl Latency {
    /// Of all records so far.
    pub(crate) fn of(samples: &Samples) -> Self {
        let bound = |text: &str| if text == "+Inf" { Some(f64::INFINITY) } else { text.parse().ok() };
        let mut buckets: Vec<(f64, u64)> = samples
            .labelled(METRIC, ["le"])
            .filter_map(|([limit], records)| Some((bound(limit)?, records)))
            .collect();
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        Self { buckets }
    }

    /// Of the records since an earlier look at the same agent.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        self.with(earlier, u64::saturating_sub)
    }

    /// Of the records of both.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        if self.buckets.is_empty() { other.clone() } else { self.with(other, u64::saturating_add) }
    }

    fn with(&self, other: &Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        let theirs = |limit: f64| other.buckets.iter().find(|(bound, _)| *bound == limit);
        let combined = |(limit, records): &(f64, u64)| {
            (*limit, combine(*records, theirs(*limit).map_or(0, |(_, records)| *records)))
        };
        Self { buckets: self.buckets.iter().map(combined).collect() }
    }

    /// None where there was no record.
    pub(crate) fn quantiles(&self) -> Option<Quantiles> {
        Some(Quantiles { p50_seconds: self.quantile(0.5)?, p99_seconds: self.quantile(0.99)? })
    }

    /// As Prometheus' `histogram_quantile`: records lie evenly within a bucket, the first of which begins at 0; what lies
    /// above the highest bound took that bound.
    fn quantile(&self, share: f64) -> Option<f64> {
        let (_, all) = self.buckets.last()?;
        if *all == 0 {
            return None;
        }
        let rank = share * *all as f64;
        let at = self.buckets.iter().position(|(_, records)| *records as f64 >= rank)?;
        let (limit, records) = self.buckets[at];
        let (begin, below) = at.checked_sub(1).map_or((0.0, 0), |before| self.buckets[before]);
        if limit.is_infinite() {
            return Some(begin);
        }
        Some(begin + (limit - begin) * (rank - below as f64) / (records - below) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(buckets: &[(&str, u64)]) -> Latency {
        let lines: Vec<String> = buckets
            .iter()
            .map(|(limit, records)| format!("{METRIC}{{le=\"{limit}\"}} {records}\n"))
            .collect();
        Latency::of(&Samples::of(&lines.concat()))
    }

    fn check(buckets: &[(&str, u64)], share: f64, expected: Option<f64>) {
        let found = latency(buckets).quantile(share);
        let is_as_expected = match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() < 1e-9,
            (found, expected) => found == expected,
        };
        assert!(is_as_expected, "{buckets:?}, {share}: {found:?} instead of {expected:?}");
    }

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let buckets = [("+Inf", 100), ("0.01", 100), ("0.001", 40), ("0.005", 80)];
        check(&buckets, 0.5, Some(0.001 + 0.004 * 10.0 / 40.0));
        check(&buckets, 0.2, Some(0.0005));
        check(&buckets, 0.4, Some(0.001));
        check(&buckets, 0.99, Some(0.005 + 0.005 * 19.0 / 20.0));
        check(&buckets, 1.0, Some(0.01));
        // Buckets without records are passed over.
        check(&[("1", 0), ("2", 0), ("4", 8), ("+Inf", 8)], 0.5, Some(3.0));
    }

    #[test]
    fn above_the_highest_bound_and_without_records() {
        check(&[("1", 10), ("2", 10), ("+Inf", 100)], 0.99, Some(2.0));
        check(&[("1", 0), ("+Inf", 0)], 0.5, None);
        check(&[], 0.5, None);
    }

    #[test]
    fn growth_and_sums() {
        let earlier = latency(&[("1", 5), ("+Inf", 7)]);
        let later = latency(&[("1", 6), ("+Inf", 11)]);
        let grown = latency(&[("1", 1), ("+Inf", 4)]);
        assert_eq!(later.since(&earlier), grown);
        assert_eq!(grown.plus(&earlier), later);
        assert_eq!(Latency::default().plus(&grown), grown);
    }
}
