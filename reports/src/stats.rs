//! Exact quantiles over integers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Median, 99th percentile and maximum of a set of measurements, each a value that was measured (nearest rank).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    /// The median.
    pub p50: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The largest.
    pub max: u64,
}

impl Quantiles {
    /// The quantiles of `values`, in any order; `None` when there are none. Sorts the slice in place.
    pub fn of(values: &mut [u64]) -> Option<Quantiles> {
        values.sort_unstable();
        let max = *values.last()?;
        Some(Quantiles { p50: nearest_rank(values, 50)?, p99: nearest_rank(values, 99)?, max })
    }
}

/// The smallest value such that at least `percent` of all values are not above it; `None` for no values. `sorted`
/// must ascend. 0 percent gives the smallest value, 100 percent and more the largest.
pub fn nearest_rank(sorted: &[u64], percent: u64) -> Option<u64> {
    let count = sorted.len() as u128;
    let rank = (count * u128::from(percent)).div_ceil(100).clamp(1, count.max(1));
    sorted.get(usize::try_from(rank - 1).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, word by word, as a model.
    fn naive(values: &[u64], percent: u64) -> u64 {
        let enough = |candidate: u64| {
            let not_above = values.iter().filter(|value| **value <= candidate).count() as u64;
            not_above * 100 >= percent * values.len() as u64
        };
        values.iter().copied().filter(|value| enough(*value)).min().unwrap()
    }

    #[test]
    fn nothing_has_no_quantiles() {
        assert_eq!(Quantiles::of(&mut []), None);
        assert_eq!(nearest_rank(&[], 50), None);
    }

    #[test]
    fn one_value_is_all_of_them() {
        assert_eq!(Quantiles::of(&mut [7]), Some(Quantiles { p50: 7, p99: 7, max: 7 }));
    }

    #[test]
    fn a_hundred_values() {
        let mut values: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(Quantiles::of(&mut values), Some(Quantiles { p50: 50, p99: 99, max: 100 }));
    }

    #[test]
    fn every_size_agrees_with_the_definition() {
        for count in 1..250u64 {
            let mut values: Vec<u64> = (0..count).map(|index| index * 7919 % 101).collect();
            let model = values.clone();
            let got = Quantiles::of(&mut values).unwrap();
            assert_eq!((got.p50, got.p99), (naive(&model, 50), naive(&model, 99)), "{count} values");
            assert_eq!(nearest_rank(&values, 0), values.first().copied());
            assert_eq!(nearest_rank(&values, 100), Some(got.max));
        }
    }
}
