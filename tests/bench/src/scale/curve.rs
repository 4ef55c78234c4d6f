//! The samples of a curve, and what they say.

use std::collections::BTreeMap;

use serde::Serialize;

use super::dimension::Dimension;
use super::point::Sample;
use crate::statistics::median;

/// Samples by size.
#[derive(Debug, Serialize)]
pub(super) struct Curve {
    pub(super) dimension: Dimension,
    pub(super) points: BTreeMap<u32, Vec<Sample>>,
}

/// The middle of some values, and their ends.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Spread {
    /// Of at least one value.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.collect();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self { median: median(values), low, high }
    }
}

impl Curve {
    /// Without samples.
    pub(super) const fn of(dimension: Dimension) -> Self {
        Self { dimension, points: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, size: u32, sample: Sample) {
        self.points.entry(size).or_default().push(sample);
    }

    /// A value by size, with its spread.
    pub(super) fn spreads(&self, value: impl Fn(&Sample) -> f64 + Copy) -> Vec<(u32, Spread)> {
        let spread = |(size, samples): (&u32, &Vec<Sample>)| (*size, Spread::of(samples.iter().map(value)));
        self.points.iter().map(spread).collect()
    }

    /// How much a value grows for each, between the smallest and the largest size.
    pub(super) fn slope(&self, value: impl Fn(&Sample) -> f64 + Copy) -> Option<f64> {
        let spreads = self.spreads(value);
        let ((few, low), (many, high)) = (spreads.first()?, spreads.last()?);
        (many > few).then(|| (high.median - low.median) / f64::from(many - few))
    }

    /// A value at the largest size over that at the smallest.
    pub(super) fn ratio(&self, value: impl Fn(&Sample) -> f64 + Copy) -> Option<f64> {
        let spreads = self.spreads(value);
        Some(spreads.last()?.1.median / spreads.first()?.1.median)
    }
}

/// All series of a metric in a text exposition together.
pub(super) fn sum(text: &str, name: &str) -> f64 {
    let value = |line: &str| {
        let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']))?;
        rest.rsplit_once(' ')?.1.parse::<f64>().ok()
    };
    text.lines().filter_map(value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(resident_bytes: u64, cpu_ns: u64) -> Sample {
        Sample {
            ready_ns: 1,
            ready_cpu_ns: 1,
            resident_bytes,
            records: 1000,
            cpu_ns,
            programs_ns: 0,
            idle_share: 0.0,
            lost_by_log: 0,
            series: 0,
            change_ns: None,
        }
    }

    #[test]
    fn slopes_and_ratios_are_of_medians() {
        let mut curve = Curve::of(Dimension::Pods);
        for (size, bytes, cpu) in [(100, 1000, 10), (100, 5000, 30), (100, 2000, 20), (1100, 7000, 40)] {
            curve.add(size, sample(bytes, cpu));
        }
        let slope = curve.slope(|sample| sample.resident_bytes as f64).unwrap();
        assert!((slope - 5.0).abs() < 1e-9, "{slope}");
        let ratio = curve.ratio(Sample::cpu_each_million).unwrap();
        assert!((ratio - 2.0).abs() < 1e-9, "{ratio}");
        let spread = curve.spreads(|sample| sample.resident_bytes as f64)[0].1;
        assert_eq!(spread, Spread { median: 2000.0, low: 1000.0, high: 5000.0 });
    }

    #[test]
    fn series_of_one_name() {
        let text = "# TYPE x counter\nx{a=\"1\"} 1.5\nx 2\nx_more 7\n";
        assert!((sum(text, "x") - 3.5).abs() < 1e-9);
    }
}
