//! What the run is judged by: check levels, the expected verdict, goals, variants.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Compare, Micros, PartitionRef, Span};

/// `[checks]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChecksConfig {
    /// Level of checks that are not listed. Default error.
    pub default: Level,
    /// Checks that are listed, by id ([`crate::names::CHECKS`]).
    pub checks: BTreeMap<String, CheckConfig>,
}

impl ChecksConfig {
    /// The level of this check.
    pub fn level(&self, check: &str) -> Level {
        self.checks.get(check).map_or(self.default, |config| config.level)
    }

    /// A bound of this check, if the file sets it.
    pub fn bound(&self, check: &str, bound: &str) -> Option<Bound> {
        self.checks.get(check)?.bounds.get(bound).copied()
    }
}

/// How one check is judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckConfig {
    /// Its level. Default error.
    pub level: Level,
    /// Its bounds by name, such as `settle_within` of `liveness`. Default: those of the check.
    pub bounds: BTreeMap<String, Bound>,
    /// Key and value.
    pub span: Span,
}

/// What a failed check does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// It makes the verdict a violation.
    #[default]
    Error,
    /// It is reported and does not change the verdict.
    Warn,
    /// It is not evaluated.
    Off,
}

/// A bound of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// A count.
    Count(u64),
    /// A duration in microseconds.
    Duration(Micros),
}

/// `[expect]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Expect {
    /// Default pass.
    pub verdict: ExpectedVerdict,
    /// The check that must be violated (or whose loss must be permitted). Required for these two verdicts.
    pub check: Option<String>,
    /// Where it must happen. Default: anywhere.
    pub partition: Option<PartitionRef>,
    /// How often, all of them. Default: at least once.
    pub count: Vec<Comparison>,
    /// Whether each seed must show it. Default every.
    pub seeds: SeedQuantifier,
    /// Goals by name ([`crate::names::REACH`]); one that is not reached makes the run inconclusive.
    pub reach: BTreeMap<String, Vec<Comparison>>,
}

/// What the run is expected to end with. Any other violation than the named one still fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExpectedVerdict {
    /// Every check holds.
    #[default]
    Pass,
    /// The named check is violated.
    Violation,
    /// The named check finds a loss that the configuration permits.
    PermittedLoss,
    /// The run cannot be judged.
    Inconclusive,
}

/// How many seeds must behave as expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeedQuantifier {
    /// Each of them.
    #[default]
    Every,
    /// At least one of those that ran.
    Some,
}

/// `">= 5"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The operator.
    pub op: Compare,
    /// What is compared with.
    pub value: u64,
}

impl Comparison {
    /// Whether `got op value` holds.
    pub fn holds(&self, got: u64) -> bool {
        self.op.holds(&got, &self.value)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.op.symbol(), self.value)
    }
}

/// `[[variant]]`: the same file with some values replaced and an expectation of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Unique name.
    pub name: String,
    /// Dotted path to new value, as for `--set`.
    pub set: BTreeMap<String, serde_json::Value>,
    /// Replaces the whole expectation of the file. Default: that of the file.
    pub expect: Option<Expect>,
    /// The table.
    pub span: Span,
}

/// `[sweep]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sweep {
    /// How many seeds a campaign over this file runs. Default: none given, the command decides.
    pub seeds: Option<u32>,
}
