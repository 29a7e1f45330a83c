//! The judge. It sees only the trace (what nodes did) and the history (what clients were told), never a live node, so it
//! could judge saved files as well. Every event goes once into a shared picture ([`Ghost`]); then each check compares.
//! A check says *held*, *violated*, *not applicable*, *vacuous* or *permitted loss*, and how often it compared.
//!
//! To add a check: one file with its type, and one row in [`CHECKS`].
//!
//! | file | what |
//! |---|---|
//! | `config.rs` | [`JudgeConfig`], [`EndOfRun`]: what must be known besides the events |
//! | `judge.rs` | [`Judge`], [`Check`], [`Judgement`] |
//! | `findings.rs` | [`Findings`], [`Violation`], [`PermittedLoss`], [`CheckResult`] |
//! | `ghost.rs` | [`Ghost`]: the shared picture; `replica.rs`, `chain.rs`: its parts |
//! | `budget.rs` | the fault budget: which losses are allowed, and who is responsible |
//! | `coverage.rs` | [`Coverage`]: counters for `reach` |
//! | `failover.rs`, `measure.rs` | [`Measurements`]: failovers, ISR changes, availability |
//! | the others | one check each |

mod budget;
mod chain;
mod config;
mod coverage;
mod failover;
mod findings;
#[cfg(test)]
mod fixture;
mod ghost;
mod judge;
mod leader_complete;
mod measure;
mod replica;

pub use config::{ConsumerFacts, EndOfRun, JudgeConfig, Level, ProducerFacts, TopicFacts};
pub use coverage::Coverage;
pub use failover::{Availability, ControllerElection, Failover, IsrChange, Measurements, Window};
pub use findings::{
    CheckOutcome, CheckResult, EvidenceStep, Findings, PermittedLoss, Responsible, Violation,
};
pub use ghost::{Ghost, Step};
pub use judge::{Check, Judge, Judgement, Tally};

/// When a check speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckKind {
    /// After every event, from the trace.
    State,
    /// From what clients were told.
    History,
    /// After the cluster had its time to settle.
    Liveness,
}

/// One row of [`CHECKS`].
pub struct CheckRow {
    /// Its stable name.
    pub name: &'static str,
    /// When it speaks.
    pub kind: CheckKind,
    /// What it claims, in one sentence.
    pub claim: &'static str,
    /// Rule ids and where they come from.
    pub source: &'static str,
    /// A new one.
    pub new: fn(&JudgeConfig) -> Box<dyn Check>,
    /// Does the configuration promise anything of the kind?
    pub applies: fn(&JudgeConfig) -> bool,
}

const fn row(
    name: &'static str,
    kind: CheckKind,
    claim: &'static str,
    source: &'static str,
    new: fn(&JudgeConfig) -> Box<dyn Check>,
    applies: fn(&JudgeConfig) -> bool,
) -> CheckRow {
    CheckRow { name, kind, claim, source, new, applies }
}

fn always(_config: &JudgeConfig) -> bool {
    true
}

/// Every check, in the order of the report.
pub const CHECKS: &[CheckRow] = &[row(
    "leader-complete",
    CheckKind::State,
    "a new leader has every committed record",
    "P-2; KIP-101; VK 966 LeaderCompleteness",
    leader_complete::LeaderComplete::boxed,
    always,
)];
