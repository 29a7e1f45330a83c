//! What the checkers found.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Offset;

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// The check's stable name, as in `kafkasim list checks`.
    pub name: String,
    /// How much a violation weighs.
    pub level: CheckLevel,
    /// What it found.
    pub result: CheckResult,
    /// How many things violate it (records, elections, …). Complete, even when the witness shows a few.
    pub count: u64,
    /// How many things it looked at.
    pub examined: u64,
    /// How often its condition was evaluated. 0 is vacuous or not applicable, never held.
    pub evaluations: u64,
    /// One sentence about the result; null when there is nothing to say.
    pub summary: Option<String>,
    /// The evidence, when it is violated.
    pub witness: Option<Witness>,
}

/// How much a violation weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CheckLevel {
    /// Decides the verdict.
    Error,
    /// Reported, decides nothing.
    Warn,
    /// A measurement.
    Info,
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CheckResult {
    /// It was evaluated and never failed.
    Held,
    /// It failed.
    Violated,
    /// The configuration or the workload does not promise it.
    NotApplicable,
    /// It applies, and was never exercised: it proves nothing.
    Vacuous,
    /// It failed within what the configuration allows after the faults that struck.
    PermittedLoss,
}

impl fmt::Display for CheckResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            CheckResult::Held => "held",
            CheckResult::Violated => "violated",
            CheckResult::NotApplicable => "not-applicable",
            CheckResult::Vacuous => "vacuous",
            CheckResult::PermittedLoss => "permitted-loss",
        })
    }
}

/// The minimal evidence for a violation: only the events that the check needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Witness {
    /// The partition concerned, as `topic/index`.
    pub partition: Option<String>,
    /// First and last offset concerned.
    pub offsets: Option<[Offset; 2]>,
    /// A few record keys concerned.
    pub keys_sample: Vec<String>,
    /// The events, oldest first.
    pub steps: Vec<Step>,
    /// The rule that is broken and its source, e.g. `KIP-101; KAFKA-4623`.
    pub spec: Option<String>,
    /// The event at which the violation became inevitable (state checks).
    pub first_bad_event: Option<u64>,
    /// The event at which a client could see it.
    pub final_bad_event: Option<u64>,
}

/// One event of a witness. Its event id is a moment: `replay --until EVENT` stops there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Event id.
    pub event: u64,
    /// When.
    pub t_us: u64,
    /// Where, e.g. `broker-0`.
    pub node: String,
    /// What happened, in Kafka's words.
    pub what: String,
    /// The offset concerned.
    pub offset: Option<Offset>,
    /// The leader epoch at that moment.
    pub leader_epoch: Option<i32>,
    /// The partition epoch at that moment.
    pub partition_epoch: Option<i32>,
    /// The node's high watermark at that moment.
    pub hw: Option<Offset>,
    /// The node's log end offset at that moment.
    pub leo: Option<Offset>,
}

/// Records that are gone, in a way that the configuration allows. Reported, never silent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PermittedLoss {
    /// The partition, as `topic/index`.
    pub partition: String,
    /// First and last offset lost.
    pub offsets: [Offset; 2],
    /// Number of acknowledged records lost.
    pub count: u64,
    /// The clause that allows it, e.g. `unclean.leader.election.enable=true`.
    pub reason: String,
    /// The faults and events without which the records would still be there.
    pub responsible: Vec<Responsible>,
}

/// One cause of a permitted loss: a fault, or an event that followed from one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Responsible {
    /// The firing, as `id#n`; null when the cause is not a fault itself (an unclean election).
    pub fault: Option<String>,
    /// Event id.
    pub event: u64,
    /// When.
    pub t_us: u64,
    /// What happened, in Kafka's words.
    pub what: String,
}

/// A panic inside a node: a violation in itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Panic {
    /// The node that panicked.
    pub node: String,
    /// The event that it was handling.
    pub event: u64,
    /// When.
    pub t_us: u64,
    /// The message.
    pub message: String,
    /// `file:line` in the sources, relative to the workspace.
    pub location: Option<String>,
    /// Whether an `invariant!` of ours raised it, with what it knew; false is an internal error.
    pub asserted: bool,
}
