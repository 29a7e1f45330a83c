//! What struck, what did not, when phases were, what was reached.

use broker::time::Instant;
use reports::model as m;

use crate::nemesis::UnfiredReason;
use crate::run::Outcome;

/// How the fingerprint is made: BLAKE3 over all events in order, see [`crate::trace::Fingerprint`].
const ALGORITHM: &str = "blake3-chain/1";

pub(super) fn fingerprint(outcome: &Outcome) -> m::Fingerprint {
    let checkpoint = |checkpoint: &crate::trace::Checkpoint| m::Checkpoint {
        event: checkpoint.event,
        t_us: checkpoint.at.0,
        hash: checkpoint.hash.clone(),
    };
    m::Fingerprint {
        algo: ALGORITHM.to_owned(),
        events: outcome.events,
        last: outcome.fingerprint.clone(),
        checkpoints: outcome.checkpoints.iter().map(checkpoint).collect(),
    }
}

pub(super) fn time(outcome: &Outcome) -> m::TimeSpan {
    let phases = outcome.phases.iter().map(|phase| m::Phase {
        name: phase.name.clone(),
        start_us: phase.start.0,
        end_us: phase.end.unwrap_or(outcome.at).0,
    });
    m::TimeSpan { end_us: outcome.at.0, phases: phases.collect() }
}

pub(super) fn faults(outcome: &Outcome) -> Vec<m::Fault> {
    let fault = |strike: &crate::run::FaultRecord| m::Fault {
        id: strike.id.clone(),
        n: u64::from(strike.n),
        kind: strike.kind.clone(),
        mode: strike.mode.map(str::to_owned),
        trigger: some_text(&strike.trigger),
        fired_at_us: strike.fired_at.0,
        healed_at_us: strike.healed_at.map(|Instant(at)| at),
        targets: strike.targets.clone(),
        event: strike.event,
    };
    outcome.tally.faults.iter().map(fault).collect()
}

pub(super) fn unfired(outcome: &Outcome) -> Vec<m::UnfiredFault> {
    let unfired = |fault: &crate::nemesis::Unfired| m::UnfiredFault {
        id: fault.id.clone(),
        kind: fault.kind.clone(),
        trigger: some_text(&fault.trigger),
        reason: match fault.reason {
            UnfiredReason::ConditionUnmet => m::UnfiredReason::ConditionUnmet,
            UnfiredReason::NoTarget => m::UnfiredReason::NoTarget,
            UnfiredReason::NoEffect => m::UnfiredReason::NoEffect,
            UnfiredReason::Refused => m::UnfiredReason::Refused,
            UnfiredReason::Unfinished => m::UnfiredReason::Unfinished,
        },
        detail: fault.detail.clone(),
    };
    outcome.unfired.iter().map(unfired).collect()
}

pub(super) fn reach(outcome: &Outcome) -> Vec<m::Reach> {
    let goal = |goal: &crate::run::ReachRecord| m::Reach {
        name: goal.name.clone(),
        want: goal.want.clone(),
        got: goal.got,
        ok: goal.is_met,
    };
    outcome.reach.iter().map(goal).collect()
}

fn some_text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
