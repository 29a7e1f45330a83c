//! Where a story begins, and which events it turns on.

use broker::ids::{Offset, TopicPartition};
use broker::trace::{AppendRole, Observation};

use super::question::Question;
use super::recipe::Kind;
use super::state::PartitionState;
use crate::history::HistoryEvent;
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent};

/// Places in the trace that the story turns on.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    /// The first place that belongs to the story, faults in effect apart.
    pub start: usize,
    /// The record was appended.
    pub append: Option<usize>,
    /// It was acknowledged.
    pub ack: Option<usize>,
    /// It was committed.
    pub commit: Option<usize>,
    /// Who wrote something else at the offset, in a later epoch.
    pub overwrite: Option<usize>,
    /// Deliveries, movements, quorum events: the last few.
    pub others: Vec<usize>,
}

/// Quorum events in a story.
const QUORUM_EVENTS: usize = 8;
/// Client events in a story.
const READS: usize = 3;

/// Finds the places.
pub(super) fn of(question: &Question<'_>, recipe: &[Kind], trace: &[TraceEvent]) -> Window {
    let mut window = Window::default();
    let Some(partition) = question.partition else {
        window.others = last(trace, QUORUM_EVENTS, is_quorum);
        window.start = window.others.first().copied().unwrap_or(trace.len());
        return window;
    };
    if let Some((first, _)) = question.offsets {
        record(&mut window, partition, first, recipe, trace);
    }
    if recipe.contains(&Kind::Read) {
        window.others = reads(question, partition, trace);
    }
    if recipe.contains(&Kind::Quorum) {
        window.others = last(trace, QUORUM_EVENTS, is_quorum);
    }
    let begins = [window.append, window.ack, window.others.first().copied()];
    let begin = begins.into_iter().flatten().min();
    window.start = calm_before(begin, partition, trace);
    window
}

/// Append, acknowledgement, commit and overwriting of the record at `offset`.
fn record(
    window: &mut Window,
    partition: &TopicPartition,
    offset: Offset,
    recipe: &[Kind],
    trace: &[TraceEvent],
) {
    if recipe.contains(&Kind::Ack) {
        window.ack = trace.iter().position(|event| acks(event, partition, offset));
    }
    if recipe.contains(&Kind::Commit) {
        window.commit = trace.iter().position(|event| commits(event, partition, offset));
    }
    let told = window.ack.or(window.commit).unwrap_or(trace.len());
    let is_append = |event: &TraceEvent| appends(event, partition, offset).is_some();
    window.append = trace[..told].iter().rposition(is_append);
    let Some(append) = window.append.filter(|_| recipe.contains(&Kind::Overwrite)) else { return };
    let epoch = appends(&trace[append], partition, offset);
    let is_other =
        |event: &TraceEvent| appends(event, partition, offset).is_some_and(|own| Some(own) != epoch);
    window.overwrite = trace[append..].iter().position(is_other).map(|at| append + at);
}

/// The epoch in which the event appends the record as a leader.
fn appends(event: &TraceEvent, partition: &TopicPartition, offset: Offset) -> Option<i32> {
    match &event.fact {
        Fact::Node(Observation::Appended { log, role: AppendRole::Leader(epoch), batch })
            if log.partition == *partition && (batch.base_offset..=batch.last_offset).contains(&offset) =>
        {
            Some(*epoch)
        }
        _ => None,
    }
}

/// Does the event acknowledge the record?
pub(super) fn acks(event: &TraceEvent, partition: &TopicPartition, offset: Offset) -> bool {
    match &event.fact {
        Fact::Client(HistoryEvent::Acked { partition: of, base_offset: Some(base), values, .. }) => {
            of == partition && (*base..base + values.len() as Offset).contains(&offset)
        }
        _ => false,
    }
}

/// Does a leader's high watermark pass the record?
fn commits(event: &TraceEvent, partition: &TopicPartition, offset: Offset) -> bool {
    match &event.fact {
        Fact::Node(Observation::HighWatermark { log, from, to, leader: Some(_), .. }) => {
            log.partition == *partition && (*from..*to).contains(&offset)
        }
        _ => false,
    }
}

fn is_quorum(event: &TraceEvent) -> bool {
    use broker::trace::QuorumRole::{Candidate, Leader, Resigned};
    match &event.fact {
        Fact::Node(Observation::QuorumRoleChanged { role, .. }) => {
            matches!(role, Leader | Candidate | Resigned)
        }
        Fact::Node(Observation::VoteGranted { .. }) => true,
        _ => false,
    }
}

/// What the reader did last, or who was given the offset before.
fn reads(question: &Question<'_>, partition: &TopicPartition, trace: &[TraceEvent]) -> Vec<usize> {
    let host: Option<HostId> = question.host.filter(|_| question.check == "reads-monotonic");
    let (low, high) = question.offsets.unwrap_or((Offset::MIN, Offset::MAX));
    last(trace, READS, |event| match &event.fact {
        Fact::Client(HistoryEvent::Polled { partition: of, records }) if of == partition => match host {
            Some(host) => event.host == Some(host),
            None => records.iter().any(|(offset, _)| (low..=high).contains(offset)),
        },
        Fact::Client(HistoryEvent::Positioned { partition: of, .. }) => {
            of == partition && host.is_some() && event.host == host
        }
        _ => false,
    })
}

fn last(trace: &[TraceEvent], count: usize, is_one: impl Fn(&TraceEvent) -> bool) -> Vec<usize> {
    let all = trace.iter().enumerate().rev().filter(|(_, event)| is_one(event));
    let mut places: Vec<usize> = all.map(|(at, _)| at).take(count).collect();
    places.reverse();
    places
}

/// The place from which on the ISR was not full any more before `begin`; `begin` itself if it was full then. Without a
/// place to begin at: the last but one change of the partition.
fn calm_before(begin: Option<usize>, partition: &TopicPartition, trace: &[TraceEvent]) -> usize {
    let mut state = PartitionState::default();
    let mut changes = Vec::new();
    let mut since = None;
    for (at, event) in trace.iter().enumerate() {
        if begin.is_some_and(|begin| at >= begin) {
            break;
        }
        if state.observe(partition, event) {
            changes.push(at);
            let is_full =
                state.registration.as_ref().is_some_and(|state| state.isr.len() == state.replicas.len());
            since = if is_full { None } else { since.or(Some(at)) };
        }
    }
    let fallback = || changes.len().checked_sub(2).and_then(|at| changes.get(at)).copied().unwrap_or(0);
    since.or(begin).unwrap_or_else(fallback)
}
