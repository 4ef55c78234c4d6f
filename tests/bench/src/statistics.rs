//! From the ratios of groups to what can be said of them.

use serde::Serialize;
use watchfire_tests::policy::Random;

/// Draws of the bootstrap and of the permutation test.
const DRAWS: usize = 10_000;
/// The interval holds this share of the draws.
const SHARE: f64 = 0.95;
/// Where the pseudo-random numbers begin: the same ratios give the same answer.
const SEED: u64 = 0x5741_5443_4846_4952;

/// What the ratios of a cell say.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(crate) struct Summary {
    /// Median of the ratios.
    pub(crate) median: f64,
    /// Ends of the 95 % bootstrap interval of the median.
    pub(crate) low: f64,
    /// See [`Self::low`].
    pub(crate) high: f64,
    /// How often chance alone would give a mean as far from 1 (sign-flip permutation test on the logarithms).
    pub(crate) p: f64,
}

impl Summary {
    /// Of ratios, at least one.
    pub(crate) fn of(ratios: &[f64]) -> Self {
        let mut random = Random::new(SEED);
        let mut medians: Vec<f64> = (0..DRAWS)
            .map(|_| {
                let drawn: Vec<f64> = ratios.iter().map(|_| ratios[random.below(ratios.len())]).collect();
                median(drawn)
            })
            .collect();
        medians.sort_by(f64::total_cmp);
        let at = |share: f64| medians[((DRAWS - 1) as f64 * share).round() as usize];
        Self {
            median: median(ratios.to_vec()),
            low: at((1.0 - SHARE) / 2.0),
            high: at(f64::midpoint(1.0, SHARE)),
            p: permutation(ratios, &mut random),
        }
    }
}

/// The middle of some values, at least one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// With the agent or without it is a label that chance may swap in each group: how often is the mean then as extreme?
fn permutation(ratios: &[f64], random: &mut Random) -> f64 {
    let logarithms: Vec<f64> = ratios.iter().map(|ratio| ratio.ln()).collect();
    let seen = logarithms.iter().sum::<f64>().abs();
    let as_extreme = (0..DRAWS)
        .filter(|_| {
            let flipped = |value: &f64| if random.one_in(2) { *value } else { -*value };
            logarithms.iter().map(flipped).sum::<f64>().abs() >= seen - f64::EPSILON
        })
        .count();
    (as_extreme + 1) as f64 / (DRAWS + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }

    #[test]
    fn a_clear_difference_is_told_from_noise() {
        let clear = Summary::of(&[1.10, 1.11, 1.09, 1.10, 1.12, 1.10, 1.08, 1.11, 1.10, 1.09]);
        assert!((1.08..=1.12).contains(&clear.median), "{clear:?}");
        assert!(clear.low > 1.05 && clear.high < 1.15 && clear.low <= clear.high, "{clear:?}");
        assert!(clear.p < 0.01, "{clear:?}");
        let noise = Summary::of(&[1.02, 0.98, 1.01, 0.99, 1.03, 0.97, 1.0, 1.0, 1.01, 0.99]);
        assert!(noise.low <= 1.0 && noise.high >= 1.0 && noise.p > 0.2, "{noise:?}");
    }

    #[test]
    fn the_same_ratios_give_the_same_answer() {
        let ratios = [1.0, 1.2, 0.9, 1.1];
        assert_eq!(Summary::of(&ratios), Summary::of(&ratios));
    }
}
