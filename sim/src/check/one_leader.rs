//! one-leader-per-epoch (P-1): one broker at most leads a partition in one leader epoch.

use std::collections::BTreeSet;

use broker::ids::LeaderEpoch;
use broker::trace::Observation;

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::judge::{Check, Tally};
use crate::trace::{Fact, TraceEvent};

/// In one leader epoch of a partition only one broker appends as the leader, and only the one that the quorum has
/// committed as the leader of that epoch takes over. Source: P-1, CTL-5.
#[derive(Debug, Default)]
pub struct OneLeader {
    tally: Tally,
    reported: BTreeSet<(usize, LeaderEpoch)>,
}

impl OneLeader {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(OneLeader::default())
    }
}

impl Check for OneLeader {
    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let (Some(index), Some(host), Fact::Node(observation)) = (step.log, event.host, &event.fact) else {
            return;
        };
        let log = ghost.log(index);
        if log.id.is_metadata() {
            return;
        }
        let name = ghost.name(host);
        let (epoch, wrong) = match observation {
            Observation::Appended { role: broker::trace::AppendRole::Leader(epoch), .. } => {
                let wrong = step.rival.map(|rival| {
                    format!(
                        "{name} and {} both append as leader of {} in epoch {epoch}",
                        ghost.name(rival),
                        log.id
                    )
                });
                (*epoch, wrong)
            }
            Observation::BecameLeader { leader_epoch, .. } => {
                let committed = log.leaders.get(leader_epoch).copied();
                let is_wrong = committed.is_none() || committed != ghost.node_of(host);
                let wrong = is_wrong.then(|| {
                    let leader = committed.map_or("nobody".to_owned(), |node| format!("broker {node}"));
                    format!(
                        "{name} leads {} in epoch {leader_epoch}, whose committed leader is {leader}",
                        log.id
                    )
                });
                (*leader_epoch, wrong)
            }
            _ => return,
        };
        self.tally.evaluations += 1;
        self.tally.examined += 1;
        if let Some(summary) = wrong
            && self.reported.insert((index, epoch))
        {
            found.violation(Violation::seen_at(event, ghost, Some(index), summary));
        }
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;

    #[test]
    fn a_leader_per_epoch_is_accepted() {
        let mut paper = Paper::started(config());
        paper.write(0, &[1, 2], batch(0, 2, 0, 1)).elect(Some(1), 1, &[0, 1, 2]).lead(1, 1, 2);
        paper.write(1, &[0, 2], batch(2, 2, 1, 2));
        assert_eq!(paper.outcome("one-leader-per-epoch"), CheckOutcome::Held);
    }

    #[test]
    fn p_1_two_brokers_that_append_in_one_epoch_are_rejected() {
        let mut paper = Paper::started(config());
        paper.write(0, &[], batch(0, 2, 0, 1)).write(1, &[], batch(0, 2, 0, 2)).write(
            1,
            &[],
            batch(2, 2, 0, 3),
        );
        assert_eq!(paper.verdict("one-leader-per-epoch").count, 1);
    }

    #[test]
    fn p_1_a_leader_that_nobody_elected_is_rejected() {
        let mut paper = Paper::started(config());
        paper.lead(2, 0, 0);
        assert_eq!(paper.outcome("one-leader-per-epoch"), CheckOutcome::Violated);
    }
}
