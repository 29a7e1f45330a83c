//! Performance figures: `kafkasim.bench/1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The figures of `kafkasim bench`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BenchReport {
    /// Always `kafkasim.bench/1`.
    #[schemars(extend("const" = "kafkasim.bench/1"))]
    pub schema: String,
    /// The figures, in the order in which they were measured.
    pub figures: Vec<Figure>,
}

/// One figure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Figure {
    /// Its stable name, e.g. `failover_seeds_per_cpu_min`.
    pub name: String,
    /// The value, rounded down to whole units.
    pub value: u64,
    /// The unit, e.g. `1/cpu_min`.
    pub unit: String,
    /// What exactly was measured.
    pub definition: String,
    /// The bar that it must reach; null when it is only measured.
    pub bar: Option<Bar>,
}

/// A bar for a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bar {
    /// The side on which the figure must lie.
    pub limit: Limit,
    /// The bar, in the figure's unit.
    pub value: u64,
}

/// The side of a bar on which a figure must lie. The bar itself is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// More is better.
    AtLeast,
    /// Less is better.
    AtMost,
}

impl BenchReport {
    /// A document of these figures.
    pub fn new(figures: Vec<Figure>) -> BenchReport {
        BenchReport { schema: <Self as crate::json::Document>::SCHEMA.to_owned(), figures }
    }
}

impl Figure {
    /// Whether the figure reaches its bar; `None` when it has none.
    pub fn reaches_bar(&self) -> Option<bool> {
        self.bar.map(|bar| match bar.limit {
            Limit::AtLeast => self.value >= bar.value,
            Limit::AtMost => self.value <= bar.value,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_has_a_side() {
        let figure =
            |value, limit| Figure { value, bar: Some(Bar { limit, value: 10 }), ..Figure::default() };
        assert_eq!(figure(10, Limit::AtLeast).reaches_bar(), Some(true));
        assert_eq!(figure(9, Limit::AtLeast).reaches_bar(), Some(false));
        assert_eq!(figure(10, Limit::AtMost).reaches_bar(), Some(true));
        assert_eq!(figure(11, Limit::AtMost).reaches_bar(), Some(false));
        assert_eq!(Figure::default().reaches_bar(), None);
    }
}
