//! The small values of which a scenario is made. Integers only: a float would not be the same on every machine.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Simulated time or a duration, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub u64);

impl Micros {
    /// `n` milliseconds.
    pub const fn from_millis(n: u64) -> Self {
        Micros(n * 1_000)
    }

    /// `n` seconds.
    pub const fn from_secs(n: u64) -> Self {
        Micros(n * 1_000_000)
    }

    /// The sum, or the largest representable time.
    pub fn saturating_add(self, other: Micros) -> Micros {
        Micros(self.0.saturating_add(other.0))
    }

    /// `n` times as long, or the largest representable time.
    pub fn saturating_mul(self, n: u64) -> Micros {
        Micros(self.0.saturating_mul(n))
    }
}

impl fmt::Display for Micros {
    /// The largest unit that needs no fraction: `2m`, `90s`, `250ms`, `400us`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Micros(us) = *self;
        for (unit, size) in [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000)] {
            if us >= size && us % size == 0 {
                return write!(f, "{}{unit}", us / size);
            }
        }
        write!(f, "{us}us")
    }
}

/// A byte range in the source text of the scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The range `start..end`.
    pub const fn new(start: usize, end: usize) -> Self {
        Span { start, end }
    }
}

impl From<std::ops::Range<usize>> for Span {
    fn from(range: std::ops::Range<usize>) -> Self {
        Span { start: range.start, end: range.end }
    }
}

/// A probability in parts per million, 0 to 1,000,000. Written as a decimal (`0.05`) in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ppm(pub u32);

impl Ppm {
    /// Certainty.
    pub const ONE: Ppm = Ppm(1_000_000);
}

/// A factor in thousandths (1,000 = unchanged). Written as a decimal (`0.5`) in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Milli(pub u64);

impl Milli {
    /// Times one.
    pub const ONE: Milli = Milli(1_000);
}

/// A value that is drawn at most once per run, from the stream named after the place where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value<T> {
    /// `x`: no draw.
    Fixed(T),
    /// `{ uniform = [a, b] }`: each value of `a..=b` is equally likely.
    Uniform { min: T, max: T },
    /// `{ log_uniform = [a, b] }`: each order of magnitude between `a` and `b` is equally likely; `a > 0`.
    LogUniform { min: T, max: T },
    /// `{ choice = [a, b, ...] }`: each entry is equally likely; never empty.
    Choice(Vec<T>),
    /// `{ a = 3, b = 1 }` (words only): each entry is as likely as its weight; the sum is positive.
    Weights(Vec<(T, u32)>),
}

impl<T> Value<T> {
    /// The value when there is nothing to draw.
    pub fn fixed(&self) -> Option<&T> {
        match self {
            Value::Fixed(value) => Some(value),
            _ => None,
        }
    }

    /// Every value that the text names: the only one, the ends of a range, or the entries of a list. The
    /// smallest and the largest value that can be drawn are among them.
    pub fn named(&self) -> Vec<&T> {
        match self {
            Value::Fixed(value) => vec![value],
            Value::Uniform { min, max } | Value::LogUniform { min, max } => vec![min, max],
            Value::Choice(values) => values.iter().collect(),
            Value::Weights(pairs) => pairs.iter().map(|(value, _)| value).collect(),
        }
    }
}

impl<T: Ord + Copy> Value<T> {
    /// The smallest value that can be drawn.
    pub fn min(&self) -> Option<T> {
        self.named().into_iter().copied().min()
    }

    /// The largest value that can be drawn.
    pub fn max(&self) -> Option<T> {
        self.named().into_iter().copied().max()
    }
}

/// A distribution of durations in microseconds, drawn every time it is needed. A plain duration is `Constant`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "dist", rename_all = "snake_case")]
pub enum Distribution {
    /// `"5ms"` or `{ dist = "constant", value = "5ms" }`.
    Constant { value: Micros },
    /// `{ dist = "uniform", min, max }`, both ends included.
    Uniform { min: Micros, max: Micros },
    /// `{ dist = "exp", mean }`.
    Exponential { mean: Micros },
    /// `{ dist = "normal", mean, stddev }`, cut off at zero.
    Normal { mean: Micros, stddev: Micros },
    /// `{ dist = "lognormal", median, p99 }`; `p99 >= median > 0`.
    LogNormal { median: Micros, p99: Micros },
    /// `{ dist = "pareto", min, alpha }`: `min` is the smallest value, `alpha` the tail index in thousandths
    /// (1.5 is 1,500; greater than 0).
    Pareto { min: Micros, alpha: Milli },
}

impl Distribution {
    /// Always `value`.
    pub const fn constant(value: Micros) -> Self {
        Distribution::Constant { value }
    }
}
