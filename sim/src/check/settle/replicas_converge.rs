//! replicas-converge (L-P5): all replicas hold the same bytes.

use super::super::config::{EndOfRun, JudgeConfig};
use super::super::findings::Findings;
use super::super::ghost::{Ghost, Step};
use super::super::interest::Interest;
use super::super::judge::{Check, Tally};
use super::super::replica::LogGhost;
use super::{Looked, judge, partitions, running};
use crate::trace::TraceEvent;

/// At the end every replica that runs holds, batch by batch and byte by byte (as far as checksums tell), what the leader
/// holds, and all of it is committed. Source: L-P5, L-P7, VK 966 `AckedValueFullyReplicated`.
#[derive(Debug, Default)]
pub struct ReplicasConverge {
    tally: Tally,
}

impl ReplicasConverge {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(ReplicasConverge::default())
    }
}

fn look(index: usize, log: &LogGhost, ghost: &Ghost) -> Vec<Looked> {
    let Some(state) = &log.partition else { return Vec::new() };
    let leader = state.leader.and_then(|leader| running(ghost, leader)).and_then(|host| log.replica(host));
    // Without a leader there is nothing to converge to; that is another check's business.
    let Some(leader) = leader.map(|leader| &leader.chain) else { return Vec::new() };
    let mut looked = Vec::new();
    for (node, host) in state.replicas.iter().filter_map(|node| Some((*node, running(ghost, *node)?))) {
        let chain = log.replica(host).map(|replica| &replica.chain);
        let end = chain.map_or(0, |chain| chain.end());
        let is_known = |chain: &&super::super::chain::Chain| chain.is_anchored() && leader.is_anchored();
        let differs = chain.filter(is_known).is_some_and(|chain| chain.hash() != leader.hash());
        looked.push(if end == leader.end() && !differs {
            Looked::right(Some(index))
        } else {
            let how = if end == leader.end() { "with other content " } else { "" };
            let what = format!(
                "{} on broker {node} ends at {end} {how}and at {} on its leader",
                log.id,
                leader.end()
            );
            Looked::wrong(Some(index), what)
        });
    }
    let (committed, end) = (log.committed.end(), leader.end());
    if committed < end {
        looked.push(Looked::wrong(Some(index), format!("{} is committed to {committed} of {end}", log.id)));
    }
    looked
}

impl Check for ReplicasConverge {
    fn interest(&self) -> Interest {
        Interest::NOTHING
    }

    fn observe(&mut self, _event: &TraceEvent, _step: &Step, _ghost: &Ghost, _found: &mut Findings) {}

    fn finish(&mut self, end: &EndOfRun, ghost: &Ghost, found: &mut Findings) {
        let looked: Vec<Looked> =
            partitions(ghost).flat_map(|(index, log)| look(index, log, ghost)).collect();
        judge(looked, end, ghost, &mut self.tally, found);
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use broker::trace::AppendRole;

    use super::super::super::findings::CheckOutcome;
    use super::super::super::fixture::*;

    const NAME: &str = "replicas-converge";

    fn outcome(third: u32, is_committed: bool) -> CheckOutcome {
        let mut paper = Paper::started(config());
        paper.write(0, &[1], batch(0, 2, 0, 1));
        if third > 0 {
            paper.append(2, AppendRole::Follower, batch(0, 2, 0, third));
        }
        if is_committed {
            paper.commit(0, 0, 0, 2);
        }
        paper.verdict_after(60_000, NAME).result
    }

    #[test]
    fn equal_logs_are_accepted() {
        assert_eq!(outcome(1, true), CheckOutcome::Held);
    }

    #[test]
    fn l_p5_a_log_that_is_shorter_other_or_not_committed_is_rejected() {
        assert_eq!(outcome(0, true), CheckOutcome::Violated);
        assert_eq!(outcome(9, true), CheckOutcome::Violated);
        assert_eq!(outcome(1, false), CheckOutcome::Violated);
    }
}
