//! Everything that a report is made of.

use broker::time::Instant;
use reports::model::EndReason;

use super::{Conclusion, Judgement, Tally};
use crate::nemesis::{PhaseRecord, Unfired};
use crate::plan::Plan;
use crate::trace::{Checkpoint, TraceEvent};

/// A goal of the scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReachRecord {
    /// The counter.
    pub name: String,
    /// What it should be, as written.
    pub want: String,
    /// What it was.
    pub got: u64,
    /// Whether that is enough.
    pub is_met: bool,
}

/// One run, judged. A function of plan and binary; no wall clock.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What ran.
    pub plan: Plan,
    /// Digest of everything that happened.
    pub fingerprint: String,
    /// Number of events in it.
    pub events: u64,
    /// Digests on the way.
    pub checkpoints: Vec<Checkpoint>,
    /// Why the run ended.
    pub end_reason: EndReason,
    /// What the simulator said when it could not go on.
    pub failure: Option<String>,
    /// World time of the end.
    pub at: Instant,
    /// Inputs delivered.
    pub inputs: u64,
    /// Of those, frames.
    pub frames: u64,
    /// Phases, in order.
    pub phases: Vec<PhaseRecord>,
    /// What keeps the cluster from being settled, one line each; empty if it is.
    pub unsettled: Vec<String>,
    /// Faults that never struck.
    pub unfired: Vec<Unfired>,
    /// Random strikes that would have broken more than the plan allows.
    pub skipped_strikes: u64,
    /// Faults that struck, panics, clients.
    pub tally: Tally,
    /// What the judge found.
    pub judgement: Judgement,
    /// Goals.
    pub reach: Vec<ReachRecord>,
    /// What happened against what was expected.
    pub conclusion: Conclusion,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Every fact in order, if asked for.
    pub trace: Option<Vec<TraceEvent>>,
}

impl Outcome {
    /// `scenario[@variant]/seed-N`: names the run in a suite.
    pub fn key(&self) -> String {
        run_key(&self.plan)
    }
}

/// `scenario[@variant]/seed-N`.
pub(super) fn run_key(plan: &Plan) -> String {
    let variant = plan.variant.as_ref().map(|variant| format!("@{variant}")).unwrap_or_default();
    format!("{}{variant}/seed-{}", plan.scenario, plan.seed)
}
