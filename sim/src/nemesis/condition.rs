//! Whether a condition holds at this moment.

use broker::ids::TopicPartition;
use broker::time::Instant;
use scenarios::model::{Compare, Condition, Measure, NodeState, Operand, PartitionRef, Target};

use super::target::{Bindings, partitions, resolve};
use super::{Change, ClusterView};
use crate::plan::{HostId, Plan};

/// What a measure gives. Only equal kinds compare; the parser sees to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Reading {
    Int(i64),
    Set(Vec<u32>),
    Leader(Option<u32>),
    State(&'static str),
    Micros(u64),
}

/// Everything that a condition may look at.
pub(super) struct Eyes<'a> {
    pub plan: &'a Plan,
    pub view: &'a ClusterView,
    pub bindings: &'a Bindings,
    pub now: Instant,
}

/// Does the condition hold now? What cannot be read (no such partition, no leader whose log could be asked, an empty
/// target) makes its comparison false.
pub fn holds(
    condition: &Condition,
    plan: &Plan,
    view: &ClusterView,
    bindings: &Bindings,
    now: Instant,
) -> bool {
    Eyes { plan, view, bindings, now }.holds(condition)
}

/// What has to change before the condition can change.
pub(super) fn depends_on(condition: &Condition) -> Change {
    match condition {
        Condition::Drained => Change::CLIENTS.and(Change::OFFSETS).and(Change::METADATA),
        Condition::AllIsrFull => Change::METADATA,
        Condition::And(parts) | Condition::Or(parts) => {
            parts.iter().map(depends_on).fold(Change::NONE, Change::and)
        }
        Condition::Not(inner) => depends_on(inner),
        Condition::Compare { left, right, .. } => of_operand(left).and(of_operand(right)),
    }
}

fn of_operand(operand: &Operand) -> Change {
    match operand {
        Operand::Measure(measure) => match measure {
            Measure::IsrSize(_) | Measure::Isr(_) | Measure::Leader(_) | Measure::LeaderEpoch(_) => {
                Change::METADATA
            }
            Measure::HighWatermark(..) | Measure::LogEndOffset(..) | Measure::LastStableOffset(..) => {
                Change::OFFSETS.and(Change::METADATA)
            }
            Measure::State(_) => Change::HOSTS.and(Change::METADATA),
            Measure::Caught(_) => Change::HOSTS,
            Measure::Acked(_) | Measure::AckedSince(_) => Change::CLIENTS,
            Measure::Time => Change::ALL,
        },
        _ => Change::NONE,
    }
}

/// The times (in microseconds) at which the condition can change by itself.
pub(super) fn time_marks(condition: &Condition, marks: &mut Vec<u64>) {
    match condition {
        Condition::And(parts) | Condition::Or(parts) => parts.iter().for_each(|part| time_marks(part, marks)),
        Condition::Not(inner) => time_marks(inner, marks),
        Condition::Compare { left, right, .. } => {
            for (one, other) in [(left, right), (right, left)] {
                if let (Operand::Measure(Measure::Time), Operand::Duration(time)) = (one, other) {
                    // `time() > t` becomes true one tick later.
                    marks.extend([time.0, time.0 + 1]);
                }
            }
        }
        Condition::Drained | Condition::AllIsrFull => {}
    }
}

impl Eyes<'_> {
    fn holds(&self, condition: &Condition) -> bool {
        match condition {
            Condition::And(parts) => parts.iter().all(|part| self.holds(part)),
            Condition::Or(parts) => parts.iter().any(|part| self.holds(part)),
            Condition::Not(inner) => !self.holds(inner),
            Condition::Drained => self.view.drained(),
            Condition::AllIsrFull => self.view.all_isr_full(),
            Condition::Compare { left, op, right } => self.compare(left, *op, right),
        }
    }

    fn compare(&self, left: &Operand, op: Compare, right: &Operand) -> bool {
        let (Some(left), Some(right)) = (self.read(left), self.read(right)) else { return false };
        let longest = left.len().max(right.len());
        if left.is_empty() || right.is_empty() {
            return false;
        }
        // Two wildcards go side by side; a single value meets each of the other side.
        let at = |side: &[Reading], i: usize| {
            side[if side.len() == 1 { 0 } else { i.min(side.len() - 1) }].clone()
        };
        (0..longest).all(|i| op.holds(&at(&left, i), &at(&right, i)))
    }

    /// Every value that the operand stands for; `None` if one of them cannot be read.
    fn read(&self, operand: &Operand) -> Option<Vec<Reading>> {
        Some(match operand {
            Operand::Int(n) => vec![Reading::Int(*n)],
            Operand::Set(ids) => vec![Reading::Set(ids.clone())],
            Operand::None => vec![Reading::Leader(None)],
            Operand::Duration(time) => vec![Reading::Micros(time.0)],
            Operand::State(state) => vec![Reading::State(state.word())],
            Operand::Measure(measure) => return self.measure(measure),
        })
    }

    fn measure(&self, measure: &Measure) -> Option<Vec<Reading>> {
        match measure {
            Measure::IsrSize(p) => self.each(p, |v, p| Some(Reading::Int(v.partition(p)?.isr.len() as i64))),
            Measure::Isr(p) => self.each(p, |v, p| {
                let mut ids: Vec<u32> = v.partition(p)?.isr.iter().map(|id| id.0 as u32).collect();
                ids.sort_unstable();
                Some(Reading::Set(ids))
            }),
            Measure::Leader(p) => self.each(p, |v, p| {
                let leader = v.partition(p)?.leader;
                Some(Reading::Leader(leader.map(|id| id.0 as u32)))
            }),
            Measure::LeaderEpoch(p) => {
                self.each(p, |v, p| Some(Reading::Int(i64::from(v.partition(p)?.leader_epoch))))
            }
            Measure::HighWatermark(p, node) | Measure::LastStableOffset(p, node) => {
                self.offsets(p, node.as_ref(), ClusterView::high_watermark)
            }
            Measure::LogEndOffset(p, node) => self.offsets(p, node.as_ref(), ClusterView::log_end),
            Measure::State(target) => {
                let states = self.hosts(target).into_iter().map(|host| self.view.state(host));
                Some(states.map(|state: NodeState| Reading::State(state.word())).collect())
            }
            Measure::Acked(topic) => Some(vec![Reading::Int(self.view.acked(topic) as i64)]),
            Measure::AckedSince(fault) => Some(vec![Reading::Int(self.view.acked_since(fault) as i64)]),
            Measure::Caught(fault) => Some(vec![Reading::Int(self.view.caught(fault) as i64)]),
            Measure::Time => Some(vec![Reading::Micros(self.now.as_micros())]),
        }
    }

    fn each(
        &self,
        reference: &PartitionRef,
        read: impl Fn(&ClusterView, &TopicPartition) -> Option<Reading>,
    ) -> Option<Vec<Reading>> {
        partitions(reference, self.view).iter().map(|partition| read(self.view, partition)).collect()
    }

    fn offsets(
        &self,
        reference: &PartitionRef,
        node: Option<&Target>,
        read: impl Fn(&ClusterView, &TopicPartition, Option<HostId>) -> Option<i64>,
    ) -> Option<Vec<Reading>> {
        let hosts = match node {
            None => vec![None],
            Some(target) => self.hosts(target).into_iter().map(Some).collect(),
        };
        let partitions = partitions(reference, self.view);
        let pairs = partitions.iter().flat_map(|partition| hosts.iter().map(move |host| (partition, *host)));
        pairs.map(|(partition, host)| read(self.view, partition, host).map(Reading::Int)).collect()
    }

    /// A condition that says `random(...)` means the same members every time.
    fn hosts(&self, target: &Target) -> Vec<HostId> {
        let mut dice = self.plan.seed.stream("condition");
        resolve(target, self.plan, self.view, self.bindings, &mut dice)
    }
}
