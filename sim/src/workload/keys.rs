//! Keys of records: none, even or skewed.

use bytes::Bytes;
use rand::Rng;

use crate::seed::ChaCha8Rng;

/// How keys are drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// Records have no key: the sticky partitioner spreads them.
    None,
    /// `n` keys, each as likely as the next.
    Uniform { n: u32 },
    /// `n` keys, the k-th with a weight of 1/k^s.
    Zipf { n: u32, s: u32 },
}

/// Draws keys for one load. Weights are whole numbers, so that every machine draws the same.
#[derive(Debug)]
pub(super) struct KeyDraw {
    n: u32,
    /// Running sums of the weights; empty unless skewed.
    sums: Vec<u64>,
}

const HEAVIEST: u64 = 1_000_000_000;

impl KeyDraw {
    pub(super) fn new(keys: &Keys) -> Self {
        match keys {
            Keys::None => KeyDraw { n: 0, sums: Vec::new() },
            Keys::Uniform { n } => KeyDraw { n: (*n).max(1), sums: Vec::new() },
            Keys::Zipf { n, s } => {
                let n = (*n).max(1);
                let weight = |k: u32| (HEAVIEST / u64::from(k).saturating_pow(*s)).max(1);
                let sums = (1..=n).scan(0, |sum, k| {
                    *sum += weight(k);
                    Some(*sum)
                });
                KeyDraw { n, sums: sums.collect() }
            }
        }
    }

    /// The next key; `None` if records have none.
    pub(super) fn next(&self, rng: &mut ChaCha8Rng) -> Option<Bytes> {
        if self.n == 0 {
            return None;
        }
        let number = match self.sums.last() {
            None => rng.gen_range(0..self.n) as usize,
            Some(total) => {
                let at = rng.gen_range(0..*total);
                self.sums.partition_point(|sum| *sum <= at)
            }
        };
        Some(Bytes::from(format!("k{number}")))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::seed::Seed;

    fn draws(keys: &Keys, times: usize) -> BTreeMap<Bytes, usize> {
        let draw = KeyDraw::new(keys);
        let mut rng = Seed(5).stream("test");
        let mut counts = BTreeMap::new();
        for _ in 0..times {
            *counts.entry(draw.next(&mut rng).unwrap()).or_default() += 1;
        }
        counts
    }

    #[test]
    fn even_keys_are_even_and_skewed_keys_are_not() {
        let even = draws(&Keys::Uniform { n: 10 }, 10_000);
        assert_eq!(even.len(), 10);
        assert!(even.values().all(|count| (800..1_200).contains(count)), "{even:?}");
        let skewed = draws(&Keys::Zipf { n: 10, s: 1 }, 10_000);
        // 1/1 against the tenth harmonic number, 2.93.
        assert!((3_200..3_650).contains(&skewed[&Bytes::from("k0")]), "{skewed:?}");
        assert!(skewed[&Bytes::from("k0")] > 5 * skewed[&Bytes::from("k9")]);
    }

    #[test]
    fn no_keys_are_drawn_without_keys() {
        assert_eq!(KeyDraw::new(&Keys::None).next(&mut Seed(1).stream("test")), None);
    }
}
