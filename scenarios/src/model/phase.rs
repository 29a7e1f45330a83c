//! Phases: `start` boots the cluster, run phases load it while faults strike, `settle` heals it and judges liveness.

use serde::{Deserialize, Serialize};

use super::{Condition, Heal, Micros, Span};

/// `[[phase]]`, or a phase that the language adds: a list without `start` or `settle` gets the default ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// Unique name.
    pub name: String,
    /// Its place in the run, decided by its name: `start`, `settle`, or anything else.
    pub kind: PhaseKind,
    /// When it ends.
    pub end: PhaseEnd,
    /// What is undone when it begins. Default: everything in `settle`, nothing elsewhere.
    pub heal: Option<Heal>,
    /// The table; `None` for a phase that the file does not write.
    pub span: Option<Span>,
}

/// The place of a phase in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseKind {
    /// Boot; no faults, no clients. By default until every partition has a full ISR, at most 60 s.
    Start,
    /// Clients run, faults strike.
    Run,
    /// Everything healed, producers stop, consumers drain; liveness is judged here. By default until
    /// `drained && all_isr_full`, at most 60 s.
    Settle,
}

/// When a phase ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseEnd {
    /// `for`: after this long.
    For { length: Micros },
    /// `until`, with `within` (default: the rest of the time limit): when it holds. In `settle`, an unmet
    /// condition is a liveness violation or, with that check off, an inconclusive run; elsewhere the run is
    /// inconclusive.
    Until { condition: Condition, within: Option<Micros> },
    /// The default run phase: `quiet` after the last scripted fault has completed (or, if there is none, after the
    /// phase began). The unfired ones are given up at `at_most` of simulated time, which is computed from their
    /// triggers.
    AfterFaults { quiet: Micros, at_most: Micros },
}
