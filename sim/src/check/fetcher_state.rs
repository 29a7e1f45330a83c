//! fetcher-state (P-17): a follower fetches from the leader of its epoch, and a leader from nobody.

use std::collections::BTreeSet;

use broker::ids::{LeaderEpoch, NodeId};
use broker::trace::{AppendRole, Observation};

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent, WorldFact};

/// One replica's fetcher.
#[derive(Debug, Clone, Copy, Default)]
struct Fetcher {
    /// Did the node ever state one in this boot? Otherwise nothing is known.
    is_stated: bool,
    target: Option<(NodeId, LeaderEpoch)>,
    /// The epoch that the broker obeys.
    epoch: LeaderEpoch,
}

/// A broker fetches a partition only from the committed leader of the epoch that it fetches in, never from itself; what it
/// appends as a follower comes in the epoch that it obeys; and while it appends as the leader it fetches from nobody.
/// Source: P-17, REP-1, REP-2, VK `ValidFetcherState`.
#[derive(Debug, Default)]
pub struct FetcherState {
    tally: Tally,
    /// By log, then by host.
    fetchers: Vec<Vec<Fetcher>>,
    reported: BTreeSet<(usize, HostId)>,
}

impl FetcherState {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(FetcherState::default())
    }

    fn fetcher(&mut self, log: usize, host: HostId) -> &mut Fetcher {
        let host = host.0 as usize;
        if log >= self.fetchers.len() {
            self.fetchers.resize(log + 1, Vec::new());
        }
        let row = &mut self.fetchers[log];
        if host >= row.len() {
            row.resize(host + 1, Fetcher::default());
        }
        &mut row[host]
    }
}

fn targets(ghost: &Ghost, log: usize, host: HostId, target: NodeId, epoch: LeaderEpoch) -> Option<String> {
    if ghost.node_of(host) == Some(target) {
        return Some(format!("fetches from itself in epoch {epoch}"));
    }
    let leader = ghost.log(log).leaders.get(&epoch)?;
    (*leader != target).then(|| format!("fetches from {target} in epoch {epoch}, whose leader is {leader}"))
}

fn appends(fetcher: &Fetcher, role: AppendRole) -> Option<String> {
    if !fetcher.is_stated {
        return None;
    }
    match (role, fetcher.target) {
        (AppendRole::Leader(epoch), Some((target, _))) => {
            Some(format!("appends as leader of epoch {epoch} and still fetches from {target}"))
        }
        (AppendRole::Follower, None) => Some("appends as a follower and fetches from nobody".to_owned()),
        (AppendRole::Follower, Some((target, epoch))) if epoch < fetcher.epoch => {
            let obeyed = fetcher.epoch;
            Some(format!("appends what {target} sent in epoch {epoch}, and obeys epoch {obeyed}"))
        }
        _ => None,
    }
}

impl Check for FetcherState {
    fn interest(&self) -> Interest {
        Interest::FETCHER
            .and(Interest::APPENDED)
            .and(Interest::BECAME_LEADER)
            .and(Interest::BECAME_FOLLOWER)
            .and(Interest::STARTED)
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Some(host) = event.host else { return };
        if matches!(event.fact, Fact::World(WorldFact::Started { .. })) {
            let rows = self.fetchers.iter_mut().filter_map(|row| row.get_mut(host.0 as usize));
            rows.for_each(|fetcher| *fetcher = Fetcher::default());
        }
        let (Fact::Node(observation), Some(index)) = (&event.fact, step.log) else { return };
        if ghost.log(index).id.is_metadata() {
            return;
        }
        let fetcher = self.fetcher(index, host);
        let (wrong, is_judged) = match observation {
            Observation::FetcherChanged { leader_epoch, leader, .. } => {
                let target = leader.map(|leader| (leader, *leader_epoch));
                (fetcher.is_stated, fetcher.target) = (true, target);
                (target.and_then(|(leader, epoch)| targets(ghost, index, host, leader, epoch)), true)
            }
            Observation::Appended { role, .. } => (appends(fetcher, *role), fetcher.is_stated),
            Observation::BecameLeader { leader_epoch, .. }
            | Observation::BecameFollower { leader_epoch, .. } => {
                fetcher.epoch = *leader_epoch;
                (None, false)
            }
            _ => return,
        };
        self.tally.examined += 1;
        self.tally.evaluations += u64::from(is_judged);
        if let Some(what) = wrong
            && self.reported.insert((index, host))
        {
            let summary = format!("{} {what} ({})", ghost.name(host), ghost.log(index).id);
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
    use super::*;

    const NAME: &str = "fetcher-state";

    fn fetches(leader_epoch: LeaderEpoch, leader: Option<i32>) -> Observation {
        Observation::FetcherChanged { log: log(), leader_epoch, leader: leader.map(NodeId) }
    }

    fn follows(leader_epoch: LeaderEpoch, leader: i32) -> Observation {
        Observation::BecameFollower { log: log(), leader_epoch, leader: Some(NodeId(leader)) }
    }

    #[test]
    fn a_follower_that_becomes_leader_is_accepted() {
        let mut paper = Paper::started(config());
        paper.node(1, follows(0, 0)).node(1, fetches(0, Some(0))).write(0, &[1], batch(0, 2, 0, 1));
        paper.elect(Some(1), 1, &[0, 1]).lead(1, 1, 2).node(1, fetches(1, None)).write(
            1,
            &[],
            batch(2, 2, 1, 1),
        );
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
    }

    #[test]
    fn p_17_a_fetcher_with_another_target_is_rejected() {
        for target in [1, 2] {
            let mut paper = Paper::started(config());
            paper.node(1, follows(0, 0)).node(1, fetches(0, Some(target)));
            assert_eq!(paper.outcome(NAME), CheckOutcome::Violated, "{target}");
        }
    }

    #[test]
    fn p_17_a_leader_that_fetches_is_rejected() {
        let mut paper = Paper::started(config());
        paper.node(1, fetches(0, Some(0))).elect(Some(1), 1, &[0, 1]).lead(1, 1, 0);
        paper.write(1, &[], batch(0, 2, 1, 1));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn r16_an_append_of_an_older_epoch_or_of_nobodys_is_rejected() {
        let mut paper = Paper::started(config());
        paper.node(1, fetches(0, Some(0))).node(1, follows(1, 2)).write(0, &[1], batch(0, 2, 0, 1));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
        let mut paper = Paper::started(config());
        paper.node(1, fetches(0, None)).write(0, &[1], batch(0, 2, 0, 1));
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }
}
