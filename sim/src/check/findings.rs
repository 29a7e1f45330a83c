//! What checks found.

use broker::ids::{LeaderEpoch, Offset, PartitionEpoch, TopicPartition};
use broker::time::Instant;

use super::config::EndOfRun;
use super::ghost::Ghost;
use super::replica::Permit;
use crate::plan::HostId;
use crate::trace::TraceEvent;

/// One event that a finding needs as evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceStep {
    /// Its number in the run.
    pub event: u64,
    /// When.
    pub at: Instant,
    /// Where; `None`: the whole world.
    pub host: Option<HostId>,
    /// What happened, in Kafka's words.
    pub what: String,
    /// Epochs and offsets of that moment.
    pub facts: StepFacts,
    /// The firing, as `id#n`, if a fault did it.
    pub fault: Option<String>,
}

impl EvidenceStep {
    /// A step of which no more is known than what happened.
    pub fn new(event: u64, at: Instant, host: Option<HostId>, what: String) -> EvidenceStep {
        EvidenceStep { event, at, host, what, facts: StepFacts::default(), fault: None }
    }
}

/// What is known of a partition at the moment of a step, on the node of the step (for a client: on the leader).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepFacts {
    /// The leader epoch.
    pub leader_epoch: Option<LeaderEpoch>,
    /// The partition epoch.
    pub partition_epoch: Option<PartitionEpoch>,
    /// The offset that the step is about.
    pub offset: Option<Offset>,
    /// The high watermark.
    pub high_watermark: Option<Offset>,
    /// The log end offset.
    pub log_end: Option<Offset>,
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The event at which it became visible to the check.
    pub event: u64,
    /// World time of that event.
    pub at: Instant,
    /// Where.
    pub host: Option<HostId>,
    /// The partition concerned.
    pub partition: Option<TopicPartition>,
    /// First and last offset concerned.
    pub offsets: Option<(Offset, Offset)>,
    /// One sentence.
    pub summary: String,
    /// The evidence, oldest first.
    pub steps: Vec<EvidenceStep>,
}

impl Violation {
    /// Events shown as evidence unless a check says otherwise.
    const STEPS: usize = 12;

    /// Something that must not be, seen at `event`, about the log with this index.
    pub fn seen_at(event: &TraceEvent, ghost: &Ghost, log: Option<usize>, summary: String) -> Violation {
        let mut steps = ghost.evidence(log, Self::STEPS);
        if steps.last().is_none_or(|last| last.event < event.event) {
            let (at, host, what) = (event.at, event.host, summary.clone());
            steps.push(EvidenceStep::new(event.event, at, host, what));
        }
        Violation {
            event: event.event,
            at: event.at,
            host: event.host,
            partition: log.map(|log| ghost.log(log).id.partition.clone()),
            offsets: None,
            summary,
            steps,
        }
    }

    /// Something that must not be, seen when the run was over.
    pub fn seen_at_end(end: &EndOfRun, ghost: &Ghost, log: Option<usize>, summary: String) -> Violation {
        Violation {
            event: end.event,
            at: end.at,
            host: None,
            partition: log.map(|log| ghost.log(log).id.partition.clone()),
            offsets: None,
            summary,
            steps: ghost.evidence(log, Self::STEPS),
        }
    }

    /// With the first offset and the end of the offsets concerned.
    pub fn with_offsets(self, from: Offset, end: Offset) -> Violation {
        Violation { offsets: Some((from, (end - 1).max(from))), ..self }
    }
}

/// A fault, or an event that followed from one, without which something would not have been lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Responsible {
    /// The firing, as `id#n`; `None`: not a fault itself.
    pub fault: Option<String>,
    /// Its number in the run.
    pub event: u64,
    /// When.
    pub at: Instant,
    /// What happened.
    pub what: String,
}

/// Acknowledged records that are gone, and may be (semantics 2.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermittedLoss {
    /// The partition.
    pub partition: TopicPartition,
    /// First and last offset lost.
    pub offsets: (Offset, Offset),
    /// Number of acknowledged records lost.
    pub records: u64,
    /// The event at which the check saw it.
    pub event: u64,
    /// World time of that event.
    pub at: Instant,
    /// The clause that allows it.
    pub reason: String,
    /// Who is responsible, oldest first.
    pub responsible: Vec<Responsible>,
}

impl PermittedLoss {
    /// `records` acknowledged records of `[from, end)`, found to be gone at `event`.
    pub fn seen_at(
        event: &TraceEvent,
        partition: TopicPartition,
        (from, end): (Offset, Offset),
        records: u64,
        permit: &Permit,
    ) -> Self {
        let (reason, responsible) = (permit.reason.clone(), permit.responsible.clone());
        let offsets = (from, (end - 1).max(from));
        PermittedLoss { partition, offsets, records, event: event.event, at: event.at, reason, responsible }
    }
}

/// Result of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckOutcome {
    /// It was evaluated, and nothing broke it.
    Held,
    /// Something broke it.
    Violated,
    /// The configuration promises nothing of the kind, or the check is off.
    NotApplicable,
    /// It was never evaluated: that says nothing.
    Vacuous,
    /// Only losses that the configuration allows.
    PermittedLoss,
}

/// Findings of one check. Counts are complete; details are kept of the first few.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Things that violate it (records, elections, ...).
    pub count: u64,
    /// The first violations.
    pub violations: Vec<Violation>,
    /// The first permitted losses.
    pub permitted: Vec<PermittedLoss>,
}

impl Findings {
    /// Violations and permitted losses kept in full.
    pub const KEPT: usize = 16;

    /// One violation.
    pub fn violation(&mut self, violation: Violation) {
        self.violations_of(1, violation);
    }

    /// A violation that concerns `count` things.
    pub fn violations_of(&mut self, count: u64, violation: Violation) {
        self.count += count;
        if self.violations.len() < Self::KEPT {
            self.violations.push(violation);
        }
    }

    /// A permitted loss; joined with the one before if it continues it.
    pub fn permitted(&mut self, loss: PermittedLoss) {
        if let Some(last) = self.permitted.last_mut()
            && last.partition == loss.partition
            && last.reason == loss.reason
            && last.responsible == loss.responsible
        {
            last.offsets = (last.offsets.0.min(loss.offsets.0), last.offsets.1.max(loss.offsets.1));
            last.records += loss.records;
            (last.event, last.at) = (loss.event, loss.at);
        } else if self.permitted.len() < Self::KEPT {
            self.permitted.push(loss);
        }
    }
}

/// What one check says at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckResult {
    /// Its name in [`super::CHECKS`].
    pub name: &'static str,
    /// What it found.
    pub result: CheckOutcome,
    /// How often it compared something. 0 is never [`CheckOutcome::Held`].
    pub evaluations: u64,
    /// How many things it looked at.
    pub examined: u64,
    /// How many things violate it.
    pub count: u64,
    /// The first violations, at most [`Findings::KEPT`].
    pub violations: Vec<Violation>,
    /// Losses that the configuration allows, at most [`Findings::KEPT`].
    pub permitted: Vec<PermittedLoss>,
}
