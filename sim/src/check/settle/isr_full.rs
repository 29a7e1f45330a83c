//! isr-full (L-P7): every replica that runs is in the ISR.

use super::super::config::{EndOfRun, JudgeConfig};
use super::super::findings::Findings;
use super::super::ghost::{Ghost, Step};
use super::super::interest::Interest;
use super::super::judge::{Check, Tally};
use super::super::replica::LogGhost;
use super::{Looked, judge, partitions, running};
use crate::trace::TraceEvent;

/// At the end every partition has a leader that runs, and every replica that runs is in the committed ISR. Source: L-P7.
#[derive(Debug, Default)]
pub struct IsrFull {
    tally: Tally,
}

impl IsrFull {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(IsrFull::default())
    }
}

fn wrong(log: &LogGhost, ghost: &Ghost) -> Option<String> {
    let state = log.partition.as_ref()?;
    if state.leader.and_then(|leader| running(ghost, leader)).is_none() {
        return Some(format!("{} has no leader that runs", log.id));
    }
    let is_missing =
        |node: &&broker::ids::NodeId| running(ghost, **node).is_some() && !state.isr.contains(node);
    let missing: Vec<i32> = state.replicas.iter().filter(is_missing).map(|node| node.0).collect();
    (!missing.is_empty()).then(|| format!("replicas {missing:?} of {} run and are not in its isr", log.id))
}

impl Check for IsrFull {
    fn interest(&self) -> Interest {
        Interest::NOTHING
    }

    fn observe(&mut self, _event: &TraceEvent, _step: &Step, _ghost: &Ghost, _found: &mut Findings) {}

    fn finish(&mut self, end: &EndOfRun, ghost: &Ghost, found: &mut Findings) {
        let looked = partitions(ghost).map(|(index, log)| match wrong(log, ghost) {
            Some(what) => Looked::wrong(Some(index), what),
            None => Looked::right(Some(index)),
        });
        judge(looked, end, ghost, &mut self.tally, found);
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::findings::CheckOutcome;
    use super::super::super::fixture::*;
    use crate::trace::CrashMode;

    const NAME: &str = "isr-full";

    #[test]
    fn a_full_isr_and_one_without_a_dead_member_are_accepted() {
        assert_eq!(Paper::started(config()).verdict_after(60_000, NAME).result, CheckOutcome::Held);
        let mut paper = Paper::started(config());
        paper.crash(2, CrashMode::Process).elect(Some(0), 0, &[0, 1]);
        assert_eq!(paper.verdict_after(60_000, NAME).result, CheckOutcome::Held);
    }

    #[test]
    fn l_p7_a_replica_outside_or_no_leader_is_rejected() {
        let mut paper = Paper::started(config());
        paper.elect(Some(0), 0, &[0, 1]);
        assert_eq!(paper.verdict_after(60_000, NAME).result, CheckOutcome::Violated);
        let mut paper = Paper::started(config());
        paper.elect(None, 1, &[0]);
        assert_eq!(paper.verdict_after(60_000, NAME).result, CheckOutcome::Violated);
    }
}
