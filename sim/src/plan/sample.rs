//! Drawing numbers with integers only: a float logarithm is not the same on every machine.
//!
//! Logarithms and powers are fixed-point, base 2, with 32 fractional bits; relative errors stay below 10^-8.

use rand::RngCore;
use scenarios::model::{Distribution, Micros, Milli, Mode, Ppm, Rate, Value};

use crate::seed::ChaCha8Rng;

/// Fractional bits of logarithms.
const BITS: u32 = 32;
/// No sample is longer than a day, in microseconds: an unbounded tail would only stop a run.
const LONGEST_US: u64 = 86_400_000_000;
/// The standard normal's 99th percentile times 2^32.
const Z99: i128 = 9_991_588_038;
/// 1 / log2(e) = ln 2, times 2^32.
const LN_2: u128 = 2_977_044_472;

/// `ROOTS[i]` is 2^(2^-(i+1)), times 2^62.
const ROOTS: [u64; BITS as usize] = {
    let mut roots = [0; BITS as usize];
    let mut root: u128 = 2 << 62;
    let mut i = 0;
    while i < roots.len() {
        root = (root << 62).isqrt();
        roots[i] = root as u64;
        i += 1;
    }
    roots
};

/// A number in `0..n`, each equally likely; 0 if `n` is 0.
pub fn below(n: u64, stream: &mut ChaCha8Rng) -> u64 {
    ((u128::from(stream.next_u64()) * u128::from(n)) >> 64) as u64
}

/// log2 of a positive number, times 2^32.
fn log2(x: u64) -> i128 {
    let whole = 63 - x.leading_zeros();
    let mut mantissa = u128::from(x) << (63 - whole);
    let mut log = i128::from(whole);
    for _ in 0..BITS {
        mantissa = (mantissa * mantissa) >> 63;
        log <<= 1;
        if mantissa >> 64 != 0 {
            mantissa >>= 1;
            log |= 1;
        }
    }
    log
}

/// `factor` * 2^(`exponent` / 2^32), at most a day.
fn scaled_power(factor: u64, exponent: i128) -> u64 {
    let whole = exponent >> BITS;
    if whole >= 40 {
        return LONGEST_US;
    }
    if whole <= -64 {
        return 0;
    }
    let mut mantissa: u128 = 1 << 62;
    for (i, root) in ROOTS.iter().enumerate() {
        if (exponent >> (BITS as usize - 1 - i)) & 1 == 1 {
            mantissa = (mantissa * u128::from(*root)) >> 62;
        }
    }
    let factor = u128::from(factor.min(LONGEST_US)) * (mantissa >> 14);
    let half = 1 << 47;
    let value = if whole >= 0 {
        ((factor << whole) + half) >> 48
    } else {
        (factor + (half << -whole)) >> (48 - whole)
    };
    value.min(u128::from(LONGEST_US)) as u64
}

/// -log2 of a uniform number in (0, 1), times 2^32.
fn surprise(stream: &mut ChaCha8Rng) -> i128 {
    (64 << BITS) - log2(stream.next_u64().max(1))
}

/// A nearly normal number with mean 0 and deviation 1, times 2^32: the sum of twelve uniform ones, which ends at six
/// deviations.
fn normal(stream: &mut ChaCha8Rng) -> i128 {
    let sum: i128 = (0..12).map(|_| i128::from(stream.next_u32())).sum();
    sum - (6 << BITS)
}

/// One duration in microseconds, at most a day. Source: ours.
pub fn sample(distribution: &Distribution, stream: &mut ChaCha8Rng) -> u64 {
    match distribution {
        Distribution::Constant { value } => value.0,
        Distribution::Uniform { min, max } => between(min.0, max.0, stream),
        Distribution::Exponential { mean } => {
            let nats = (surprise(stream) as u128 * LN_2) >> BITS;
            let value = (u128::from(mean.0) * nats) >> BITS;
            value.min(u128::from(LONGEST_US)) as u64
        }
        Distribution::Normal { mean, stddev } => {
            let value = i128::from(mean.0) + ((i128::from(stddev.0) * normal(stream)) >> BITS);
            value.clamp(0, i128::from(LONGEST_US)) as u64
        }
        Distribution::LogNormal { median, p99 } => {
            let spread = log2(p99.0.max(1)) - log2(median.0.max(1));
            scaled_power(median.0, spread * normal(stream) / Z99)
        }
        Distribution::Pareto { min, alpha } => {
            scaled_power(min.0, surprise(stream) * 1_000 / i128::from(alpha.0.max(1)))
        }
    }
}

/// Median and 99th percentile of a Pareto distribution, in microseconds.
pub fn pareto_quantiles(min: Micros, alpha: Milli) -> (u64, u64) {
    let quantile = |tail: u64| scaled_power(min.0, log2(tail) * 1_000 / i128::from(alpha.0.max(1)));
    (quantile(2), quantile(100))
}

fn between(min: u64, max: u64, stream: &mut ChaCha8Rng) -> u64 {
    min + below(max.saturating_sub(min).saturating_add(1), stream)
}

/// A value of a scenario that stands for a whole number.
pub(super) trait Scalar: Copy {
    fn number(self) -> u64;
    fn of(number: u64) -> Self;
}

macro_rules! scalar {
    ($($type:ident($inner:ty)),+) => {$(
        impl Scalar for $type {
            fn number(self) -> u64 { u64::from(self.0) }
            fn of(number: u64) -> Self { $type(number as $inner) }
        }
    )+};
}

scalar!(Micros(u64), Milli(u64), Rate(u64), Ppm(u32));

impl Scalar for u32 {
    fn number(self) -> u64 {
        self.into()
    }
    fn of(number: u64) -> Self {
        number as u32
    }
}

impl Scalar for Mode {
    fn number(self) -> u64 {
        match self {
            Mode::Combined => 0,
            Mode::Isolated => 1,
        }
    }
    fn of(number: u64) -> Self {
        if number == 0 { Mode::Combined } else { Mode::Isolated }
    }
}

/// One entry, as likely as its weight. `None` if there is none or all weigh nothing.
pub(super) fn weighted<'a, T>(entries: &'a [(T, u32)], stream: &mut ChaCha8Rng) -> Option<&'a T> {
    let total: u64 = entries.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let mut at = below(total, stream);
    for (entry, weight) in entries {
        if at < u64::from(*weight) {
            return Some(entry);
        }
        at -= u64::from(*weight);
    }
    None
}

/// Draws a value once. An empty list (which the language refuses) gives zero.
pub(super) fn draw<T: Scalar>(value: &Value<T>, stream: &mut ChaCha8Rng) -> T {
    match value {
        Value::Fixed(value) => *value,
        Value::Uniform { min, max } => T::of(between(min.number(), max.number(), stream)),
        Value::LogUniform { min, max } => {
            let (low, high) = (min.number().max(1), max.number().max(1));
            let exponent = ((log2(high) - log2(low)) * i128::from(stream.next_u32())) >> BITS;
            T::of(scaled_power(low, exponent).clamp(low, high))
        }
        Value::Choice(values) => match values.get(below(values.len() as u64, stream) as usize) {
            Some(value) => *value,
            None => T::of(0),
        },
        Value::Weights(entries) => weighted(entries, stream).copied().unwrap_or(T::of(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    fn samples(distribution: Distribution) -> Vec<u64> {
        let mut stream = Seed(7).stream("test");
        let mut values: Vec<u64> = (0..20_000).map(|_| sample(&distribution, &mut stream)).collect();
        values.sort_unstable();
        values
    }

    fn percentile(values: &[u64], percent: usize) -> u64 {
        values[values.len() * percent / 100]
    }

    fn near(got: u64, want: u64, percent: u64) {
        assert!(got.abs_diff(want) * 100 <= want * percent, "{got} is not within {percent}% of {want}");
    }

    #[test]
    fn logarithms_and_powers_undo_each_other() {
        for x in [1_u64, 2, 3, 400, 6_000, 1_000_000, 86_000_000_000] {
            near(scaled_power(1 << 20, log2(x) - (20 << BITS)), x, 1);
        }
        assert_eq!(log2(8), 3 << BITS);
    }

    #[test]
    fn distributions_have_the_moments_that_they_name() {
        let exponential = samples(Distribution::Exponential { mean: Micros(1_000_000) });
        near(exponential.iter().sum::<u64>() / exponential.len() as u64, 1_000_000, 3);
        near(percentile(&exponential, 50), 693_147, 4);
        let lognormal = samples(Distribution::LogNormal { median: Micros(400), p99: Micros(6_000) });
        near(percentile(&lognormal, 50), 400, 5);
        near(percentile(&lognormal, 99), 6_000, 12);
        let normal = samples(Distribution::Normal { mean: Micros(10_000), stddev: Micros(1_000) });
        near(percentile(&normal, 50), 10_000, 2);
        near(percentile(&normal, 84), 11_000, 2);
        let pareto = samples(Distribution::Pareto { min: Micros(1_000), alpha: Milli(2_000) });
        near(percentile(&pareto, 75), 2_000, 5);
        let uniform = samples(Distribution::Uniform { min: Micros(10), max: Micros(19) });
        assert_eq!((uniform[0], uniform[19_999]), (10, 19));
    }

    #[test]
    fn log_uniform_values_stay_inside_and_spread_over_magnitudes() {
        let value = Value::LogUniform { min: Micros(10), max: Micros(100_000) };
        let mut stream = Seed(1).stream("test");
        let drawn: Vec<u64> = (0..2_000).map(|_| draw(&value, &mut stream).0).collect();
        assert!(drawn.iter().all(|d| (10..=100_000).contains(d)));
        near(drawn.iter().filter(|d| **d < 1_000).count() as u64, 1_000, 10);
    }

    #[test]
    fn weights_decide() {
        let mut stream = Seed(3).stream("test");
        let entries = [("never", 0), ("often", 9), ("rare", 1)];
        let often = (0..1_000).filter(|_| weighted(&entries, &mut stream) == Some(&"often")).count();
        near(often as u64, 900, 6);
        assert_eq!(weighted::<u8>(&[], &mut stream), None);
    }
}
