//! What an operator does to the cluster: the nemesis resolves whom and what it is about and hands the task to the
//! operator's machine. What becomes of it is history; the [`super::Director`] reads it there.

use broker::ids::TopicPartition;
use broker::io::Listener;
use scenarios::model::{Configured, ElectionKind, Operation, PartitionRef, Replicas, Target, Verb};

use super::strike::{Strike, Struck};
use super::target::partitions;
use crate::client::{AdminStep, AdminTask, ConfigOwner};
use crate::plan::{HostId, HostKind};

/// What the operator is to do, in words and in steps, and the machines that it concerns.
struct Order {
    what: String,
    steps: Vec<AdminStep>,
    targets: Vec<HostId>,
}

/// Gives the operator its task.
pub(super) fn operate(strike: &mut Strike<'_>) -> Struck {
    let Verb::Operate { operation, .. } = strike.verb else { return Struck::NoEffect };
    let Some(operator) = strike.plan.operator else { return Struck::NoEffect };
    let Some(Order { what, steps, targets }) = order(strike, operation) else { return Struck::NoTarget };
    let task = AdminTask { fault: strike.fault.to_owned(), n: strike.n, steps };
    strike.control.tell(operator, task.to_input());
    Struck::Did { targets, what, undo: Vec::new(), isolated: Vec::new() }
}

/// `None`: what it is about does not exist.
fn order(strike: &mut Strike<'_>, operation: &Operation) -> Option<Order> {
    let of_topic = |topic: &String, what: &str, steps: Vec<AdminStep>| {
        Some(Order { what: format!("{what} topic {topic}"), steps, targets: Vec::new() })
    };
    match operation {
        Operation::Elect { partition, kind } => {
            let about = existing(strike, partition);
            let (topic, partitions) = of_one_topic(&about);
            let is_unclean = *kind == ElectionKind::Unclean;
            let kind = if is_unclean { "unclean" } else { "preferred" };
            let steps = vec![AdminStep::Elect { topic, partitions, is_unclean, is_needed: true }];
            let targets = leaders(strike, &about);
            (!about.is_empty()).then(|| Order {
                what: format!("{kind} election of {partition}"),
                steps,
                targets,
            })
        }
        Operation::MoveLeader { partition, to } => {
            let to = *brokers(strike, to).first()?;
            let about = existing(strike, partition);
            let steps: Vec<AdminStep> = about.iter().flat_map(|one| move_leader(strike, one, to)).collect();
            let (what, targets) =
                (format!("leadership of {partition} to broker {to}"), leaders(strike, &about));
            (!steps.is_empty()).then_some(Order { what, steps, targets })
        }
        Operation::Reassign { partition, replicas } => {
            let replicas: Vec<i32> = match replicas {
                Replicas::Listed(ids) => ids.iter().map(|id| *id as i32).collect(),
                Replicas::Target(target) => brokers(strike, target),
            };
            let about = existing(strike, partition);
            if replicas.is_empty() || about.is_empty() {
                return None;
            }
            let what = format!("{partition}: replicas become {replicas:?}");
            let steps = reassign(&about, &replicas);
            Some(Order { what, steps, targets: leaders(strike, &about) })
        }
        Operation::DeleteTopic { topic } => {
            of_topic(topic, "delete", vec![AdminStep::DeleteTopic { topic: topic.clone() }])
        }
        Operation::RecreateTopic { topic } => {
            let steps = vec![
                AdminStep::DeleteTopic { topic: topic.clone() },
                AdminStep::CreateTopic { topic: topic.clone() },
            ];
            of_topic(topic, "delete and create again", steps)
        }
        Operation::Alter { whose, config } => {
            let (whose, of) = match whose {
                Configured::Topic(topic) => (ConfigOwner::Topic(topic.clone()), format!("topic {topic}")),
                Configured::Broker(id) => (ConfigOwner::Broker(Some(*id as i32)), format!("broker {id}")),
                Configured::Brokers => (ConfigOwner::Broker(None), "all brokers".to_owned()),
            };
            let set: Vec<String> = config.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let steps = vec![AdminStep::Alter { whose, configs: config.clone() }];
            Some(Order { what: format!("{of}: {}", set.join(", ")), steps, targets: Vec::new() })
        }
        Operation::UpdateFeature { name, level } => {
            let steps = vec![AdminStep::UpdateFeature { name: name.clone(), level: *level }];
            Some(Order { what: format!("feature {name} to level {level}"), steps, targets: Vec::new() })
        }
        Operation::AddPartitions { topic, count } => {
            let step = AdminStep::AddPartitions { topic: topic.clone(), count: *count as i32 };
            let what = format!("topic {topic} is to have {count} partitions");
            Some(Order { what, steps: vec![step], targets: Vec::new() })
        }
        Operation::DeleteRecords { partition, before } => {
            let about = existing(strike, partition);
            let below = |one: &TopicPartition| AdminStep::DeleteRecords {
                topic: one.topic.to_string(),
                partition: one.partition,
                before: *before,
            };
            let steps: Vec<AdminStep> = about.iter().map(below).collect();
            let what = match before {
                ..0 => format!("delete what {partition} has below the high watermark"),
                _ => format!("delete what {partition} has below {before}"),
            };
            (!steps.is_empty()).then(|| Order { what, steps, targets: leaders(strike, &about) })
        }
        Operation::Unregister { target } => {
            let step = |broker: i32, _: &Strike<'_>, _| AdminStep::Unregister { broker };
            for_each(strike, target, "unregister broker", is_broker, step)
        }
        Operation::AddVoter { target } => {
            let step = |controller: i32, strike: &Strike<'_>, host: HostId| {
                let (host, port) = (strike.plan.host_name(host).to_owned(), Listener::Controller.port());
                AdminStep::AddVoter { controller, host, port }
            };
            for_each(strike, target, "add voter", is_controller, step)
        }
        Operation::RemoveVoter { target } => {
            let step = |controller: i32, _: &Strike<'_>, _| AdminStep::RemoveVoter { controller };
            for_each(strike, target, "remove voter", is_controller, step)
        }
    }
}

/// One step for each node of one kind among the members of a target.
fn for_each(
    strike: &mut Strike<'_>,
    target: &Target,
    what: &str,
    is_one: fn(&HostKind) -> bool,
    step: impl Fn(i32, &Strike<'_>, HostId) -> AdminStep,
) -> Option<Order> {
    let members = nodes(strike, target, is_one);
    let steps: Vec<AdminStep> = members.iter().map(|(host, id)| step(*id, strike, *host)).collect();
    let ids: Vec<String> = members.iter().map(|(_, id)| id.to_string()).collect();
    let targets = members.iter().map(|(host, _)| *host).collect();
    (!steps.is_empty()).then(|| Order { what: format!("{what} {}", ids.join(", ")), steps, targets })
}

/// Puts a broker in the first place of a partition's replicas and has it elected. One that holds no replica takes the
/// place of the preferred leader.
fn move_leader(strike: &Strike<'_>, partition: &TopicPartition, to: i32) -> Vec<AdminStep> {
    let Some(state) = strike.view.partition(partition) else { return Vec::new() };
    let replicas: Vec<i32> = state.replicas.iter().map(|id| id.0).collect();
    let others: Vec<i32> = match replicas.contains(&to) {
        true => replicas.iter().copied().filter(|id| *id != to).collect(),
        false => replicas.iter().copied().skip(1).collect(),
    };
    let wanted: Vec<i32> = std::iter::once(to).chain(others).collect();
    let about = std::slice::from_ref(partition);
    let mut steps = if replicas == wanted { Vec::new() } else { reassign(about, &wanted) };
    let (topic, partitions) = of_one_topic(about);
    steps.push(AdminStep::Elect { topic, partitions, is_unclean: false, is_needed: false });
    steps
}

/// Moves all these partitions of one topic, then waits until it is complete.
fn reassign(about: &[TopicPartition], replicas: &[i32]) -> Vec<AdminStep> {
    let (topic, partitions) = of_one_topic(about);
    let replicas = replicas.to_vec();
    vec![
        AdminStep::Reassign {
            topic: topic.clone(),
            partitions: partitions.clone(),
            replicas: replicas.clone(),
        },
        AdminStep::AwaitReplicas { topic, partitions, replicas },
    ]
}

/// A reference names partitions of one topic.
fn of_one_topic(about: &[TopicPartition]) -> (String, Vec<i32>) {
    let topic = about.first().map_or_else(String::new, |partition| partition.topic.to_string());
    (topic, about.iter().map(|partition| partition.partition).collect())
}

/// Those of the partitions that exist.
fn existing(strike: &Strike<'_>, reference: &PartitionRef) -> Vec<TopicPartition> {
    let mut about = partitions(reference, strike.view);
    about.retain(|partition| strike.view.partition(partition).is_some());
    about
}

/// The machines of their leaders: what happens to the leadership is the operator's doing.
fn leaders(strike: &Strike<'_>, about: &[TopicPartition]) -> Vec<HostId> {
    let states = about.iter().filter_map(|partition| strike.view.partition(partition));
    let mut hosts: Vec<HostId> = states.filter_map(|state| strike.view.host_of(state.leader?)).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

/// The ids of the brokers among the members of a target.
fn brokers(strike: &mut Strike<'_>, target: &Target) -> Vec<i32> {
    nodes(strike, target, is_broker).into_iter().map(|(_, id)| id).collect()
}

fn is_broker(kind: &HostKind) -> bool {
    matches!(kind, HostKind::Node { is_broker: true, .. })
}

fn is_controller(kind: &HostKind) -> bool {
    matches!(kind, HostKind::Node { is_controller: true, .. })
}

/// The nodes of one kind among the members of a target, with their ids.
fn nodes(strike: &mut Strike<'_>, target: &Target, is_one: fn(&HostKind) -> bool) -> Vec<(HostId, i32)> {
    let members = strike.resolve(target);
    let id = |host: HostId| match &strike.plan.hosts.get(host.0 as usize)?.kind {
        kind @ HostKind::Node { node_id, .. } if is_one(kind) => Some((host, node_id.0)),
        _ => None,
    };
    members.into_iter().filter_map(id).collect()
}
