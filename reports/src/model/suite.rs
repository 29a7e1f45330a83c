//! The report of a suite: `kafkasim.suite/1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Outcome, Seed, Tool, Verdict};

/// Exit codes of the command line that an item is counted by rather than by its outcome.
const EXIT_NONDETERMINISM: u8 = 3;
const EXIT_INTERNAL: u8 = 70;

/// Many runs, one line each. Written also when the suite was interrupted, with `complete` false.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SuiteReport {
    /// Always `kafkasim.suite/1`.
    #[schemars(extend("const" = "kafkasim.suite/1"))]
    pub schema: String,
    /// The program.
    pub tool: Tool,
    /// Digest of the list of all keys that the suite was to run: shards of one suite share it.
    pub plan_digest: String,
    /// Whether every run of the plan is among the items.
    pub complete: bool,
    /// The items, counted.
    pub counts: SuiteCounts,
    /// The runs, sorted by scenario, variant and seed, whatever the order in which they ended.
    pub items: Vec<SuiteItem>,
}

/// Items by kind. The kinds exclude each other: they sum up to `total`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SuiteCounts {
    /// All items.
    pub total: u64,
    /// As the scenario expects, or forgiven.
    pub as_expected: u64,
    /// Not as the scenario expects.
    pub unexpected: u64,
    /// Proves nothing.
    pub inconclusive: u64,
    /// Two runs of one seed differ (exit code 3).
    pub nondeterministic: u64,
    /// Internal error (exit code 70).
    pub internal: u64,
}

/// One run of a suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SuiteItem {
    /// `<scenario>[@variant]/seed-<N>`, also the directory of the run under `<out>`.
    pub key: String,
    /// The scenario's name.
    pub scenario: String,
    /// The variant, if one ran.
    pub variant: Option<String>,
    /// The seed.
    pub seed: Seed,
    /// Verdict against expectation.
    pub outcome: Outcome,
    /// What happened.
    pub verdict: Verdict,
    /// The exit code that this run alone gives.
    pub exit_code: u8,
    /// Whether the outcome does not count against the suite: `seeds = "some"` asks for one seed that shows what is
    /// expected, and another seed of the scenario shows it.
    #[serde(default)]
    pub forgiven: bool,
    /// Digest of the run's `report.json`; null when the run left none (internal error).
    pub report_digest: Option<String>,
}

/// What an item counts as, worst first: the precedence of exit codes. Not written; made from exit code and outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemKind {
    /// Internal error.
    Internal,
    /// Two runs of one seed differ.
    Nondeterministic,
    /// Not as the scenario expects.
    Unexpected,
    /// Proves nothing.
    Inconclusive,
    /// As the scenario expects.
    AsExpected,
}

/// `<scenario>[@variant]/seed-<N>`.
pub(crate) fn key(scenario: &str, variant: Option<&str>, seed: Seed) -> String {
    match variant {
        Some(variant) => format!("{scenario}@{variant}/seed-{seed}"),
        None => format!("{scenario}/seed-{seed}"),
    }
}

impl SuiteItem {
    /// An item with its key made from its parts.
    pub fn new(scenario: &str, variant: Option<&str>, seed: Seed) -> SuiteItem {
        SuiteItem {
            key: key(scenario, variant, seed),
            scenario: scenario.to_owned(),
            variant: variant.map(str::to_owned),
            seed,
            outcome: Outcome::Inconclusive,
            verdict: Verdict::Inconclusive,
            exit_code: 2,
            forgiven: false,
            report_digest: None,
        }
    }

    /// What it counts as. An exit code of nondeterminism or of an internal error outweighs the outcome.
    pub fn kind(&self) -> ItemKind {
        match (self.exit_code, self.outcome) {
            (EXIT_INTERNAL, _) => ItemKind::Internal,
            (EXIT_NONDETERMINISM, _) => ItemKind::Nondeterministic,
            (_, Outcome::AsExpected) => ItemKind::AsExpected,
            _ if self.forgiven => ItemKind::AsExpected,
            (_, Outcome::Unexpected) => ItemKind::Unexpected,
            (_, Outcome::Inconclusive) => ItemKind::Inconclusive,
        }
    }

    /// The item of a finished run; `report_digest` is the digest of the bytes of its `report.json`.
    pub fn of(report: &super::Report, report_digest: String) -> SuiteItem {
        SuiteItem {
            outcome: report.outcome,
            verdict: report.verdict,
            exit_code: report.exit_code,
            report_digest: Some(report_digest),
            ..SuiteItem::new(&report.scenario.name, report.scenario.variant.as_deref(), report.seed)
        }
    }
}

impl SuiteCounts {
    /// Counts items by kind.
    pub fn of(items: &[SuiteItem]) -> SuiteCounts {
        let mut counts = SuiteCounts { total: items.len() as u64, ..SuiteCounts::default() };
        for item in items {
            *counts.of_kind(item.kind()) += 1;
        }
        counts
    }

    fn of_kind(&mut self, kind: ItemKind) -> &mut u64 {
        match kind {
            ItemKind::Internal => &mut self.internal,
            ItemKind::Nondeterministic => &mut self.nondeterministic,
            ItemKind::Unexpected => &mut self.unexpected,
            ItemKind::Inconclusive => &mut self.inconclusive,
            ItemKind::AsExpected => &mut self.as_expected,
        }
    }
}

impl SuiteReport {
    /// A suite report from runs in any order: sorts and counts them, so that the number of workers does not show.
    pub fn assemble(
        tool: Tool,
        plan_digest: String,
        complete: bool,
        mut items: Vec<SuiteItem>,
    ) -> SuiteReport {
        items.sort_by(|a, b| (&a.scenario, &a.variant, a.seed).cmp(&(&b.scenario, &b.variant, b.seed)));
        SuiteReport {
            schema: <Self as crate::json::Document>::SCHEMA.to_owned(),
            tool,
            plan_digest,
            complete,
            counts: SuiteCounts::of(&items),
            items,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(seed: u64, outcome: Outcome, exit_code: u8) -> SuiteItem {
        SuiteItem { outcome, exit_code, ..SuiteItem::new("a", None, Seed(seed)) }
    }

    #[test]
    fn kinds_sum_up_to_the_total() {
        let items = [
            item(1, Outcome::AsExpected, 0),
            item(2, Outcome::Unexpected, 1),
            item(3, Outcome::Inconclusive, 2),
            item(4, Outcome::AsExpected, 3),
            item(5, Outcome::Unexpected, 70),
            item(6, Outcome::AsExpected, 0),
        ];
        let counts = SuiteCounts::of(&items);
        let want = SuiteCounts {
            total: 6,
            as_expected: 2,
            unexpected: 1,
            inconclusive: 1,
            nondeterministic: 1,
            internal: 1,
        };
        assert_eq!(counts, want);
    }

    #[test]
    fn the_order_in_which_runs_end_does_not_show() {
        let mut items: Vec<_> = [10, 9, 2].map(|seed| item(seed, Outcome::AsExpected, 0)).into();
        items.push(SuiteItem::new("a", Some("fixed"), Seed(1)));
        let forward = SuiteReport::assemble(Tool::default(), String::new(), true, items.clone());
        items.reverse();
        let backward = SuiteReport::assemble(Tool::default(), String::new(), true, items);
        assert_eq!(forward, backward);
        let keys: Vec<_> = forward.items.iter().map(|item| item.key.as_str()).collect();
        assert_eq!(keys, ["a/seed-2", "a/seed-9", "a/seed-10", "a@fixed/seed-1"]);
    }
}
