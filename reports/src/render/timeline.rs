//! The moments that mattered, merged by time: faults, elections, ISR changes, panics.

use std::collections::BTreeSet;

use super::story;
use super::style::Tone;
use crate::model::{Failover, Fault, Panic, Report};

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    pub t_us: u64,
    /// Orders moments of one time; unknown ids come last.
    pub event: Option<u64>,
    pub weight: Weight,
    /// The node, or what stands for it.
    pub node: String,
    pub what: String,
    pub tone: Tone,
}

/// How much a moment matters, least first: the order in which lines are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    IsrChange,
    Healing,
    Election,
    Fault,
    Unclean,
    Evidence,
}

/// All moments of a report in order of time, at most `limit`, and how many were left out.
///
/// What the story of a violation tells is not told again.
pub(super) fn of(report: &Report, limit: usize) -> (Vec<Moment>, usize) {
    let told = story::told(report);
    let mut moments = general(report);
    moments.extend(panics(report));
    moments.retain(|moment| moment.event.is_none_or(|event| !told.contains(&event)));
    moments.sort_by_key(|moment| (moment.t_us, moment.event.unwrap_or(u64::MAX)));
    let omitted = leave_out(&mut moments, limit);
    (moments, omitted)
}

/// Drops the least weighty moments, the latest of equal weight first, until `limit` are left.
fn leave_out(moments: &mut Vec<Moment>, limit: usize) -> usize {
    let excess = moments.len().saturating_sub(limit);
    let mut by_weight: Vec<usize> = (0..moments.len()).collect();
    by_weight.sort_by_key(|index| (moments[*index].weight, usize::MAX - index));
    let dropped: BTreeSet<usize> = by_weight.into_iter().take(excess).collect();
    let mut index = 0;
    moments.retain(|_| {
        index += 1;
        !dropped.contains(&(index - 1))
    });
    excess
}

/// Panics. The steps of witnesses have a place of their own, see `story.rs`.
fn panics(report: &Report) -> Vec<Moment> {
    let moment = |panic: &Panic| Moment {
        t_us: panic.t_us,
        event: Some(panic.event),
        weight: Weight::Evidence,
        node: panic.node.clone(),
        what: format!("PANIC {}", panic.message),
        tone: Tone::Bad,
    };
    report.panics.iter().map(moment).collect()
}

/// Faults, elections and ISR changes.
fn general(report: &Report) -> Vec<Moment> {
    let mut moments: Vec<Moment> = report.faults.iter().flat_map(of_fault).collect();
    moments.extend(report.elections.controller.iter().map(|election| Moment {
        t_us: election.t_us,
        event: election.event,
        weight: Weight::Election,
        node: election.node.clone(),
        what: format!("becomes the active controller, epoch {}", election.epoch),
        tone: Tone::Plain,
    }));
    moments.extend(report.failovers.iter().filter_map(of_failover));
    moments.extend(report.isr_changes.iter().map(|change| Moment {
        t_us: change.t_us,
        event: change.event,
        weight: Weight::IsrChange,
        node: change.partition.clone(),
        what: format!("isr {} -> {} ({})", ids(&change.from), ids(&change.to), change.reason),
        tone: Tone::Plain,
    }));
    moments
}

/// The moment a fault struck and, if it has one, the moment it ended.
fn of_fault(fault: &Fault) -> Vec<Moment> {
    let node = fault.targets.join(" ");
    let name = if fault.n > 1 { format!("{}#{}", fault.id, fault.n) } else { fault.id.clone() };
    let mode = fault.mode.as_ref().map(|mode| format!(", {mode}")).unwrap_or_default();
    let mut moments = vec![Moment {
        t_us: fault.fired_at_us,
        event: Some(fault.event),
        weight: Weight::Fault,
        node: node.clone(),
        what: format!("fault {name}: {}{mode}", fault.kind),
        tone: Tone::Doubt,
    }];
    moments.extend(fault.healed_at_us.map(|t_us| Moment {
        t_us,
        event: None,
        weight: Weight::Healing,
        node,
        what: format!("fault {name} healed"),
        tone: Tone::Plain,
    }));
    moments
}

/// The election that ended a failover; a failover without one has no moment.
fn of_failover(failover: &Failover) -> Option<Moment> {
    let t_us = failover.elected_us?;
    let broker = |id: Option<i32>| id.map_or_else(|| "none".to_owned(), |id| id.to_string());
    let leaders = format!("{} -> {}", broker(failover.old_leader), broker(failover.new_leader));
    let epoch = failover.new_epoch;
    let (what, weight, tone) = if failover.unclean {
        (format!("UNCLEAN leader {leaders}, epoch {epoch}"), Weight::Unclean, Tone::Bad)
    } else {
        (format!("leader {leaders}, epoch {epoch}"), Weight::Election, Tone::Plain)
    };
    Some(Moment { t_us, event: failover.event, weight, node: failover.partition.clone(), what, tone })
}

/// `[0,1,2]`.
pub(super) fn ids(ids: &[i32]) -> String {
    let ids: Vec<String> = ids.iter().map(i32::to_string).collect();
    format!("[{}]", ids.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(t_us: u64, weight: Weight) -> Moment {
        Moment { t_us, event: None, weight, node: String::new(), what: String::new(), tone: Tone::Plain }
    }

    #[test]
    fn what_matters_least_is_left_out_first_and_counted() {
        let mut moments = vec![
            moment(1, Weight::IsrChange),
            moment(2, Weight::Evidence),
            moment(3, Weight::IsrChange),
            moment(4, Weight::Fault),
        ];
        assert_eq!(leave_out(&mut moments, 3), 1);
        let times: Vec<u64> = moments.iter().map(|moment| moment.t_us).collect();
        assert_eq!(times, [1, 2, 4]);
        assert_eq!(leave_out(&mut moments, 1), 2);
        assert_eq!(moments[0].weight, Weight::Evidence);
        assert_eq!(leave_out(&mut moments, 9), 0);
    }
}
