//! leader-complete (P-2): a new leader has every committed record.

use super::config::JudgeConfig;
use super::findings::{Findings, PermittedLoss, Violation};
use super::ghost::{Ghost, Step};
use super::judge::{Check, Tally};
use super::replica::Loss;
use crate::trace::TraceEvent;

/// Each broker that starts to lead, in the newest committed epoch, holds everything that was committed. Source: P-2,
/// KIP-101, VK 966 `LeaderCompleteness`.
#[derive(Debug, Default)]
pub struct LeaderComplete {
    tally: Tally,
}

impl LeaderComplete {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(LeaderComplete::default())
    }
}

impl Check for LeaderComplete {
    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Some(took_over) = &step.took_over else { return };
        self.tally.evaluations += 1;
        self.tally.examined += 1;
        let Some(Loss { log, host, epoch, from, to, permit }) = took_over else { return };
        let partition = ghost.log(*log).id.partition.clone();
        if let Some(permit) = permit {
            found.permitted(PermittedLoss::seen_at(
                event,
                partition,
                (*from, *to),
                (to - from) as u64,
                permit,
            ));
            return;
        }
        let name = ghost.name(*host);
        let summary =
            format!("{name} leads {partition} in epoch {epoch} without the committed offsets {from}..{to}");
        found.violation(Violation::seen_at(event, ghost, Some(*log), summary).with_offsets(*from, *to));
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;
    use crate::trace::CrashMode;

    /// Broker 1 takes over from broker 0 with `batches` in its log, out of two committed ones.
    fn takeover(batches: i64) -> Paper {
        let mut paper = Paper::started(config());
        paper.write(0, &[1, 2], batch(0, 2, 0, 1)).write(0, &[1, 2], batch(2, 2, 0, 2)).commit(0, 0, 0, 4);
        paper.cut(1, 4, batches * 2).crash(0, CrashMode::Process);
        paper.elect(Some(1), 1, &[1, 2]).lead(1, 1, batches * 2);
        paper
    }

    #[test]
    fn p_2_a_leader_that_has_everything_is_accepted() {
        assert_eq!(takeover(2).outcome("leader-complete"), CheckOutcome::Held);
    }

    #[test]
    fn p_2_a_leader_without_a_committed_record_is_rejected() {
        let result = takeover(1).verdict("leader-complete");
        assert_eq!((result.result, result.count), (CheckOutcome::Violated, 1));
        assert_eq!(result.violations[0].offsets, Some((2, 3)));
        assert!(result.violations[0].steps.iter().any(|step| step.what.contains("fault crash-0")));
    }

    #[test]
    fn one_cause_is_one_report() {
        let mut paper = takeover(1);
        paper.cut(2, 4, 2).elect(Some(2), 2, &[2]).lead(2, 2, 2);
        assert_eq!(paper.verdict("leader-complete").count, 1);
    }

    #[test]
    fn a_loss_by_an_unclean_election_that_the_topic_enables_is_permitted() {
        let mut config = config();
        config.topics.get_mut("orders").expect("it is there").unclean_elections = true;
        let mut paper = Paper::started(config);
        paper.elect(Some(0), 0, &[0]).write(0, &[], batch(0, 3, 0, 1)).commit(0, 0, 0, 3);
        paper.crash(0, CrashMode::Process).elect(Some(1), 1, &[1]).lead(1, 1, 0);
        let result = paper.verdict("leader-complete");
        assert_eq!(result.result, CheckOutcome::PermittedLoss);
        assert_eq!((result.permitted[0].records, result.permitted[0].offsets), (3, (0, 2)));
        let causes = &result.permitted[0].responsible;
        assert_eq!(causes[0].fault.as_deref(), Some("crash-0#1"));
        assert!(causes[1].what.contains("unclean election"));
    }

    #[test]
    fn only_a_lossy_power_loss_of_the_last_in_sync_replica_is_permitted() {
        for (mode, isr, expected) in [
            (CrashMode::Power, &[0][..], CheckOutcome::PermittedLoss),
            (CrashMode::Wipe, &[0], CheckOutcome::PermittedLoss),
            (CrashMode::Process, &[0], CheckOutcome::Violated),
            (CrashMode::Power, &[0, 1], CheckOutcome::Violated),
        ] {
            let mut paper = Paper::started(config());
            paper
                .write(0, &[1, 2], batch(0, 2, 0, 1))
                .write(0, &[1, 2], batch(2, 2, 0, 2))
                .commit(0, 0, 0, 4);
            paper.elect(Some(0), 0, isr).crash(0, mode).open(0, 1, &[batch(0, 2, 0, 1)]);
            paper.register(0).elect(Some(0), 1, isr).lead(0, 1, 2);
            assert_eq!(paper.outcome("leader-complete"), expected, "{mode:?} {isr:?}");
        }
    }

    /// The last member of the ISR loses its tail with its power; so do `others`, if they are as many as it takes.
    fn last_one_loses(level: i16, others: &[u32]) -> CheckOutcome {
        let mut paper = Paper::started(config());
        paper.feature("eligible.leader.replicas.version", level);
        paper.write(0, &[1, 2], batch(0, 2, 0, 1)).write(0, &[1, 2], batch(2, 2, 0, 2)).commit(0, 0, 0, 4);
        paper.elect(Some(0), 0, &[0]);
        for host in others.iter().copied().chain([0]) {
            paper.crash(host, CrashMode::Power).open(host, 1, &[batch(0, 2, 0, 1)]).register(host);
        }
        paper.elect(Some(0), 1, &[0]).lead(0, 1, 2);
        paper.outcome("leader-complete")
    }

    #[test]
    fn with_eligible_leader_replicas_fewer_lossy_crashes_than_min_isr_take_nothing() {
        assert_eq!(last_one_loses(0, &[]), CheckOutcome::PermittedLoss);
        assert_eq!(last_one_loses(1, &[]), CheckOutcome::Violated);
        assert_eq!(last_one_loses(1, &[1]), CheckOutcome::PermittedLoss);
    }
}
