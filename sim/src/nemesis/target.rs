//! Who a target expression means at this moment.

use std::collections::BTreeMap;

use broker::ids::{NodeId, TopicPartition};
use broker::trace::PartitionFact;
use scenarios::model::{PartitionIndex, PartitionRef, Target};

use super::ClusterView;
use crate::plan::{HostId, Plan, below};
use crate::seed::ChaCha8Rng;

/// What faults bound with `as`.
pub type Bindings = BTreeMap<String, Vec<HostId>>;

/// The hosts that a target means now, sorted, without repetition. `dice` decides `random(...)`.
pub fn resolve(
    target: &Target,
    plan: &Plan,
    view: &ClusterView,
    bindings: &Bindings,
    dice: &mut ChaCha8Rng,
) -> Vec<HostId> {
    let mut inner = |target: &Target| resolve(target, plan, view, bindings, dice);
    let mut hosts = match target {
        Target::Leader(p) => nodes_of(p, view, |state| state.leader.into_iter().collect()),
        Target::Follower(p) => nodes_of(p, view, |state| except(&state.replicas, state.leader)),
        Target::IsrFollower(p) => nodes_of(p, view, |state| except(&state.isr, state.leader)),
        Target::NonIsr(p) => nodes_of(p, view, |state| {
            state.replicas.iter().copied().filter(|id| !state.isr.contains(id)).collect()
        }),
        Target::Replica(p, place) => {
            nodes_of(p, view, |state| state.replicas.get(*place as usize).copied().into_iter().collect())
        }
        Target::PreferredLeader(p) => {
            nodes_of(p, view, |state| state.replicas.first().copied().into_iter().collect())
        }
        Target::ActiveController => {
            view.active_controller().and_then(|node| view.host_of(node)).into_iter().collect()
        }
        Target::Bound(name) => bindings.get(name).cloned().unwrap_or_default(),
        Target::Random { count, of } => {
            let members = inner(of);
            choose(*count as usize, members, dice)
        }
        Target::Union(a, b) => {
            let mut a = inner(a);
            a.extend(inner(b));
            a
        }
        Target::Minus(a, b) => {
            let (mut a, b) = (inner(a), inner(b));
            a.retain(|host| !b.contains(host));
            a
        }
        Target::Intersection(a, b) => {
            let (mut a, b) = (inner(a), inner(b));
            a.retain(|host| b.contains(host));
            a
        }
        fixed => plan.static_members(fixed),
    };
    hosts.sort();
    hosts.dedup();
    hosts
}

/// Draws `count` distinct members, or all if there are fewer.
fn choose(count: usize, mut members: Vec<HostId>, dice: &mut ChaCha8Rng) -> Vec<HostId> {
    let mut chosen = Vec::new();
    while chosen.len() < count && !members.is_empty() {
        chosen.push(members.remove(below(members.len() as u64, dice) as usize));
    }
    chosen
}

/// Splits into two sides whose sizes differ by at most one.
pub(super) fn split(members: Vec<HostId>, dice: &mut ChaCha8Rng) -> (Vec<HostId>, Vec<HostId>) {
    let mut one = choose(members.len() / 2, members.clone(), dice);
    one.sort();
    let other = members.into_iter().filter(|host| !one.contains(host)).collect();
    (one, other)
}

fn except(nodes: &[NodeId], leader: Option<NodeId>) -> Vec<NodeId> {
    nodes.iter().copied().filter(|id| Some(*id) != leader).collect()
}

/// The partitions that a reference means.
pub(super) fn partitions(reference: &PartitionRef, view: &ClusterView) -> Vec<TopicPartition> {
    match reference.partition {
        PartitionIndex::One(index) => vec![TopicPartition::new(reference.topic.as_str(), index as i32)],
        PartitionIndex::All => view.partitions_of(&reference.topic),
    }
}

fn nodes_of(
    reference: &PartitionRef,
    view: &ClusterView,
    pick: impl Fn(&PartitionFact) -> Vec<NodeId>,
) -> Vec<HostId> {
    let partitions = partitions(reference, view);
    let states = partitions.iter().filter_map(|partition| view.partition(partition));
    states.flat_map(pick).filter_map(|node| view.host_of(node)).collect()
}
