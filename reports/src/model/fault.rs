//! What struck, what did not, and which goals of the scenario were met.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One firing of a fault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// The fault's `id` in the scenario.
    pub id: String,
    /// Which firing of that fault this is, from 1. `id#n` names it elsewhere in the report.
    pub n: u64,
    /// The verb: `crash`, `partition`, `pause`, …
    pub kind: String,
    /// The verb's mode, e.g. `process` or `power`.
    pub mode: Option<String>,
    /// The trigger as the scenario spells it.
    pub trigger: Option<String>,
    /// When it struck.
    pub fired_at_us: u64,
    /// When it ended; null for what does not end (a crash) or had not ended.
    pub healed_at_us: Option<u64>,
    /// The nodes that it struck, after roles were resolved.
    pub targets: Vec<String>,
    /// The event id of the firing.
    pub event: u64,
}

/// A fault of the plan that did not do what it was there for. Each makes the verdict inconclusive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnfiredFault {
    /// The fault's `id` in the scenario.
    pub id: String,
    /// The verb.
    pub kind: String,
    /// The trigger as the scenario spells it.
    pub trigger: Option<String>,
    /// Why it did nothing.
    pub reason: UnfiredReason,
    /// The same for a person, with the values seen last.
    pub detail: String,
}

/// Why a fault did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnfiredReason {
    /// Its time or condition never came.
    ConditionUnmet,
    /// It was due, and no node had the role that it aims at.
    NoTarget,
    /// It fired and touched nothing: no frame was dropped, no unsynced byte was lost.
    NoEffect,
    /// The cluster refused what the operator asked for, or did not refuse what it should have.
    Refused,
    /// The operator was still at work when the run ended.
    Unfinished,
}

impl fmt::Display for UnfiredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            UnfiredReason::ConditionUnmet => "condition-unmet",
            UnfiredReason::NoTarget => "no-target",
            UnfiredReason::NoEffect => "no-effect",
            UnfiredReason::Refused => "refused",
            UnfiredReason::Unfinished => "unfinished",
        })
    }
}

/// A goal of the scenario: something that must have happened for the run to prove anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reach {
    /// The counter.
    pub name: String,
    /// The condition on it, e.g. `>= 1`.
    pub want: String,
    /// Its value at the end.
    pub got: u64,
    /// Whether the condition holds.
    pub ok: bool,
}
