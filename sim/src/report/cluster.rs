//! What the cluster went through: failovers, elections, ISR changes, time without a leader.

use std::collections::BTreeMap;

use broker::ids::NodeId;
use broker::time::{Duration, Instant};
use reports::model as m;

use crate::check::{Availability, ControllerElection, Failover, IsrChange};
use crate::run::Outcome;

pub(super) fn failovers(outcome: &Outcome) -> Vec<m::Failover> {
    outcome.judgement.measurements.failovers.iter().map(failover).collect()
}

fn failover(failover: &Failover) -> m::Failover {
    let between = |from: Option<Instant>, to: Option<Instant>| Some(to?.0.saturating_sub(from?.0));
    m::Failover {
        partition: failover.partition.to_string(),
        cause: failover.cause.clone(),
        old_leader: failover.old_leader.map(|NodeId(id)| id),
        new_leader: Some(failover.new_leader.0),
        old_epoch: failover.old_epoch,
        new_epoch: failover.new_epoch,
        unclean: failover.is_unclean,
        fault_us: failover.fault.map(|at| at.0),
        detected_us: failover.detected.map(|at| at.0),
        elected_us: Some(failover.elected.0),
        leader_active_us: failover.active.map(|at| at.0),
        first_ack_us: failover.first_ack.map(|at| at.0),
        first_read_us: failover.first_read.map(|at| at.0),
        detect_us: between(failover.fault, failover.detected),
        elect_us: between(failover.detected, Some(failover.elected)),
        unavailable_us: between(failover.blocked_since, failover.first_ack),
        isr_before: ids(&failover.isr_before),
        isr_after: ids(&failover.isr_after),
        truncated_records: failover.truncated_records,
        event: Some(failover.event),
    }
}

fn ids(nodes: &[NodeId]) -> Vec<i32> {
    nodes.iter().map(|node| node.0).collect()
}

pub(super) fn availability(outcome: &Outcome) -> BTreeMap<String, m::Availability> {
    let all = outcome.judgement.measurements.availability.iter();
    all.map(|(partition, availability)| (partition.to_string(), of_partition(availability))).collect()
}

fn of_partition(availability: &Availability) -> m::Availability {
    let window = |window: &crate::check::Window| m::Window {
        from_us: window.from.0,
        to_us: window.to.0,
        why: window.why.to_owned(),
    };
    m::Availability {
        leaderless_us: micros(availability.leaderless),
        unwritable_us: micros(availability.unwritable),
        windows: availability.windows.iter().map(window).collect(),
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

pub(super) fn isr_changes(outcome: &Outcome) -> Vec<m::IsrChange> {
    let change = |change: &IsrChange| m::IsrChange {
        t_us: change.at.0,
        partition: change.partition.to_string(),
        from: ids(&change.from),
        to: ids(&change.to),
        reason: change.reason.to_owned(),
        event: Some(change.event),
    };
    outcome.judgement.measurements.isr_changes.iter().map(change).collect()
}

pub(super) fn elections(outcome: &Outcome) -> m::Elections {
    let count = |name: &str| outcome.judgement.coverage.get(name).copied().unwrap_or(0);
    let name =
        |id| outcome.plan.node(id).map_or_else(String::new, |host| outcome.plan.host_name(host).to_owned());
    let election = |election: &ControllerElection| m::ControllerElection {
        t_us: election.at.0,
        epoch: election.epoch,
        leader: election.leader.0,
        node: name(election.leader),
        event: Some(election.event),
    };
    let unclean = count("unclean_elections");
    m::Elections {
        controller: outcome.judgement.measurements.controller_elections.iter().map(election).collect(),
        partition_clean: count("leader_changes").saturating_sub(unclean),
        partition_unclean: unclean,
    }
}
