//! What a run needs of a judge, and what it gets back.

use std::collections::BTreeMap;

use broker::time::Instant;
use reports::model::CheckResult;
use scenarios::model::Level;

use crate::check::{CheckResult as CheckDetails, Measurements};
use crate::trace::TraceEvent;

/// Watches a run, and says afterwards what held.
pub trait Judging: Send {
    /// Takes one fact in.
    fn observe(&mut self, event: &TraceEvent);
    /// Has a check of level `error` been violated so far?
    fn has_violation(&self) -> bool {
        false
    }
    /// The run is over.
    fn finish(&mut self, ending: &Ending) -> Judgement;
}

/// How the run ended, for checks that look at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Did the cluster settle in time?
    pub is_settled: bool,
    /// When the settle phase began; `None` if the run never got there.
    pub settle_started: Option<Instant>,
    /// How long it had, in microseconds.
    pub settle_within_us: u64,
    /// World time of the end.
    pub at: Instant,
    /// Why it ended, in words.
    pub reason: String,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub check: String,
    /// How much a violation weighs.
    pub level: Level,
    /// What it found.
    pub result: CheckResult,
    /// How many things violate it, or were lost with permission.
    pub count: u64,
    /// How often it was really evaluated.
    pub evaluations: u64,
    /// How many things it looked at.
    pub examined: u64,
    /// Where, as `topic/index`, sorted.
    pub partitions: Vec<String>,
    /// One sentence.
    pub summary: Option<String>,
    /// The last event that the evidence needs.
    pub last_event: Option<u64>,
}

/// Everything that the judge found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judgement {
    /// One per check, in the order of the judge's table.
    pub findings: Vec<Finding>,
    /// What happened how often, by the names that `reach` uses.
    pub coverage: BTreeMap<String, u64>,
    /// The findings with all their evidence.
    pub checks: Vec<CheckDetails>,
    /// Failovers, ISR changes, elections, availability.
    pub measurements: Measurements,
}

/// A judge that looks at nothing: what it watches can only be inconclusive.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unjudged;

impl Judging for Unjudged {
    fn observe(&mut self, _event: &TraceEvent) {}
    fn finish(&mut self, _ending: &Ending) -> Judgement {
        Judgement::default()
    }
}
