//! Distributions of latencies in whole microseconds, sampled without a float.
//!
//! Curved distributions become a table of quantiles, computed once with integer logarithms; a draw picks a probability
//! and interpolates. The tables end at a survival of about one in a million: nothing is longer than that quantile.

use rand::RngCore;
use scenarios::model::Distribution;

use crate::plan::pareto_quantiles;

/// How long something takes, in microseconds. Source: ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LatencyDist {
    /// Always the same.
    Constant(u64),
    /// Any value of the closed range, equally likely.
    Uniform { min: u64, max: u64 },
    /// Exponential.
    Exp { mean: u64 },
    /// Log-normal, given by two quantiles; a `p99` below the median counts as the median.
    LogNormal { median: u64, p99: u64 },
}

/// How far the 99th percentile of a normal distribution is from its mean, in thousandths of the deviation.
const Z99_MILLI: u64 = 2_326;

impl LatencyDist {
    /// What the world makes of a distribution of the language.
    ///
    /// Differs from the language: the world knows four kinds; a normal and a Pareto distribution become the log-normal one
    /// with the same median and 99th percentile.
    pub fn of(distribution: &Distribution) -> LatencyDist {
        match distribution {
            Distribution::Constant { value } => LatencyDist::Constant(value.0),
            Distribution::Uniform { min, max } => LatencyDist::Uniform { min: min.0, max: max.0 },
            Distribution::Exponential { mean } => LatencyDist::Exp { mean: mean.0 },
            Distribution::LogNormal { median, p99 } => {
                LatencyDist::LogNormal { median: median.0, p99: p99.0 }
            }
            Distribution::Normal { mean, stddev } => {
                let p99 = mean.0.saturating_add(stddev.0.saturating_mul(Z99_MILLI) / 1_000);
                LatencyDist::LogNormal { median: mean.0.max(1), p99: p99.max(1) }
            }
            Distribution::Pareto { min, alpha } => {
                let (median, p99) = pareto_quantiles(*min, *alpha);
                LatencyDist::LogNormal { median: median.max(1), p99: p99.max(1) }
            }
        }
    }
}

/// A distribution made ready for drawing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sampler {
    Constant(u64),
    Uniform {
        min: u64,
        /// Number of values.
        count: u64,
    },
    /// (cumulative probability in 1/2^32, microseconds), from probability 0 to 1.
    Quantiles(Box<[(u64, u64)]>),
}

/// ln 2 in 1/2^32.
const LN_2_Q32: u128 = 2_977_044_472;
/// The upper half of the standard normal distribution: (probability in millionths, quantile in 1/100 000).
const NORMAL: [(u64, i64); 18] = [
    (500_000, 0),
    (550_000, 12_566),
    (600_000, 25_335),
    (650_000, 38_532),
    (700_000, 52_440),
    (750_000, 67_449),
    (800_000, 84_162),
    (850_000, 103_643),
    (900_000, 128_155),
    (950_000, 164_485),
    (975_000, 195_996),
    (990_000, 232_635),
    (995_000, 257_583),
    (999_000, 309_023),
    (999_500, 329_053),
    (999_900, 371_902),
    (999_990, 426_489),
    (1_000_000, 475_342),
];
/// The normal quantile of 0.99 in 1/100 000.
const NORMAL_P99: i128 = 232_635;

impl Sampler {
    /// Prepares a distribution.
    pub(crate) fn new(dist: &LatencyDist) -> Sampler {
        match *dist {
            LatencyDist::Constant(us) => Sampler::Constant(us),
            LatencyDist::Uniform { min, max } => {
                Sampler::Uniform { min, count: max.saturating_sub(min).saturating_add(1) }
            }
            LatencyDist::Exp { mean } => Sampler::Quantiles(exponential(mean.min(1 << 53))),
            LatencyDist::LogNormal { median, p99 } => Sampler::Quantiles(log_normal(median, p99)),
        }
    }

    /// One draw.
    pub(crate) fn sample(&self, rng: &mut impl RngCore) -> u64 {
        match self {
            Sampler::Constant(us) => *us,
            Sampler::Uniform { min, count } => min + ((rng.next_u64() as u128 * *count as u128) >> 64) as u64,
            Sampler::Quantiles(knots) => {
                let p = u64::from(rng.next_u32());
                let right = knots.partition_point(|&(at, _)| at <= p).clamp(1, knots.len() - 1);
                let ((p0, v0), (p1, v1)) = (knots[right - 1], knots[right]);
                v0 + (v1.saturating_sub(v0) as u128 * (p - p0) as u128 / (p1 - p0) as u128) as u64
            }
        }
    }
}

/// -ln(survival) times the mean, at survivals 64/64 … 1/64, then halving.
fn exponential(mean: u64) -> Box<[(u64, u64)]> {
    let value = |log2_q32: u64| ((log2_q32 as u128 * LN_2_Q32 * mean as u128) >> 64) as u64;
    let mut knots: Vec<(u64, u64)> =
        (0..64u64).map(|i| (i << 26, value((6 << 32) - log2_q32(64 - i)))).collect();
    for halvings in 1..=14u64 {
        let survival = (1 << 26) >> halvings;
        knots.push(((1 << 32) - survival, value((6 + halvings) << 32)));
    }
    knots.push((1 << 32, value(21 << 32)));
    knots.into()
}

/// median * (p99 / median)^(z / z99) at the knots of [`NORMAL`] and their mirror images.
fn log_normal(median: u64, p99: u64) -> Box<[(u64, u64)]> {
    let median = median.max(1);
    let spread = i128::from(log2_q32(p99.max(median)) - log2_q32(median));
    let value = |z: i64| times_power_of_two(median, (i128::from(z) * spread / NORMAL_P99) as i64);
    let at = |millionths: u64| ((u128::from(millionths) << 32) / 1_000_000) as u64;
    let lower = NORMAL.iter().rev().map(|&(p, z)| (at(1_000_000 - p), value(-z)));
    let upper = NORMAL.iter().skip(1).map(|&(p, z)| (at(p), value(z)));
    lower.chain(upper).collect()
}

/// log2(x) in 1/2^32, by repeated squaring. `x` is at least 1.
fn log2_q32(x: u64) -> u64 {
    let mut mantissa = u128::from(x) << x.leading_zeros();
    let mut log = u64::from(63 - x.leading_zeros());
    for _ in 0..32 {
        mantissa = (mantissa * mantissa) >> 63;
        log <<= 1;
        if mantissa >= 1 << 64 {
            mantissa >>= 1;
            log |= 1;
        }
    }
    log
}

/// x * 2^(exponent / 2^32), by repeated square roots; saturates.
fn times_power_of_two(x: u64, exponent_q32: i64) -> u64 {
    let (whole, fraction) = (exponent_q32 >> 32, (exponent_q32 & 0xffff_ffff) as u64);
    let mut product: u128 = 1 << 60;
    let mut root: u128 = 2 << 60;
    for bit in (0..32).rev() {
        root = (root << 60).isqrt();
        if fraction >> bit & 1 == 1 {
            product = (product * root) >> 60;
        }
    }
    let scaled = u128::from(x) * product;
    let shifted = if whole >= 0 {
        scaled >> 60u32.saturating_sub(whole as u32)
    } else {
        scaled >> (60 - whole).min(127)
    };
    u64::try_from(shifted).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    fn sorted(dist: LatencyDist) -> Vec<u64> {
        let sampler = Sampler::new(&dist);
        let mut rng = Seed(1).stream("latency");
        let mut draws: Vec<u64> = (0..20_000).map(|_| sampler.sample(&mut rng)).collect();
        draws.sort_unstable();
        draws
    }

    fn near(value: u64, expected: u64) {
        assert!(value.abs_diff(expected) * 20 <= expected, "{value} is not within 5 % of {expected}");
    }

    #[test]
    fn constant_and_uniform_stay_in_their_range() {
        assert!(sorted(LatencyDist::Constant(7)).iter().all(|&us| us == 7));
        let draws = sorted(LatencyDist::Uniform { min: 10, max: 12 });
        assert_eq!((draws[0], draws[19_999]), (10, 12));
        near(draws.iter().filter(|&&us| us == 11).count() as u64, 6_667);
    }

    #[test]
    fn exponential_has_its_mean_and_median() {
        let draws = sorted(LatencyDist::Exp { mean: 10_000 });
        near(draws.iter().sum::<u64>() / 20_000, 10_000);
        near(draws[10_000], 6_931);
        near(draws[19_800], 46_051);
    }

    #[test]
    fn log_normal_has_its_median_and_p99() {
        let draws = sorted(LatencyDist::LogNormal { median: 500, p99: 5_000 });
        near(draws[10_000], 500);
        let p99 = draws[19_800];
        assert!((4_200..5_800).contains(&p99), "{p99}");
    }

    #[test]
    fn integer_logarithms_are_right() {
        assert_eq!(log2_q32(8), 3 << 32);
        assert_eq!(log2_q32(3), 6807362105);
        assert_eq!(times_power_of_two(100, 3 << 32), 800);
        assert_eq!(times_power_of_two(1_000, -(1 << 31)), 707);
    }
}
