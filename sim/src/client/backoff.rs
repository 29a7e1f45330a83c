//! Exponential back-off with jitter, as Kafka's clients do it (KIP-580).

use broker::time::Duration;
use rand::Rng;

use crate::seed::ChaCha8Rng;

/// How long to wait after the n-th failure in a row.
///
/// Kafka's `ExponentialBackoff`: base 2, jitter of one fifth in both directions, never above the maximum.
/// Differs from Kafka: computed in integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub initial: Duration,
    /// Never longer than this.
    pub max: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row (the first is 1; 0 counts as 1).
    pub fn after(self, failures: u32, rng: &mut ChaCha8Rng) -> Duration {
        let initial = micros(self.initial);
        let max = micros(self.max).max(initial);
        let doublings = failures.saturating_sub(1).min(40);
        let plain = initial.saturating_mul(1 << doublings).min(max);
        let percent = rng.gen_range(80..=120u64);
        Duration::from_micros((plain.saturating_mul(percent) / 100).min(max))
    }
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn doubles_within_a_fifth_up_to_the_maximum() {
        let backoff = Backoff { initial: Duration::from_millis(100), max: Duration::from_millis(1_000) };
        let mut rng = Seed(1).stream("test");
        for (failures, low, high) in
            [(0, 80, 120), (1, 80, 120), (2, 160, 240), (4, 640, 960), (9, 800, 1_000), (900, 800, 1_000)]
        {
            for _ in 0..50 {
                let wait = backoff.after(failures, &mut rng).as_millis() as u64;
                assert!((low..=high).contains(&wait), "{failures} failures: {wait} ms");
            }
        }
    }
}
