//! Giving up leadership: on shutdown, or because no majority can be heard (KIP-595, KAFKA-15489).

use super::RaftError;
use super::machine::Raft;
use super::messages::{end_request, read_end_response};
use super::peer_calls::PeerCalls;
use super::roles::Role;
use crate::ids::NodeId;
use crate::io::Disk;
use crate::rpc::{CallResult, Outbox};
use crate::time::{Duration, Instant};
use crate::wire::Response;

/// How long a node that shuts down waits for somebody else to lead (`KafkaRaftManager.shutdown`).
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// A leader that gave up within its epoch. It may not vote in it, nor lead it again: its page cache may have lost what it
/// wrote, and an (offset, epoch) pair must never be issued twice.
#[derive(Debug, Clone)]
pub struct Resigned {
    /// When it leaves the epoch.
    pub election_deadline: Instant,
    /// Who is to be told, with EndQuorumEpoch.
    pub calls: PeerCalls,
    /// The voters, who should follow first comes first; empty after a restart.
    pub successors: Vec<NodeId>,
}

impl Raft {
    /// Gives up leading, in an orderly way: tells the voters, who should follow first comes first. Nothing happens if the
    /// node does not lead.
    pub fn resign(&mut self, now: Instant, disk: &mut dyn Disk, out: &mut Outbox) {
        if !self.halted {
            self.give_up_leading(now);
            self.settle(Ok(()), now, disk, out);
        }
    }

    /// Begins an orderly end: a leader resigns, and nobody stands for election any more. See [`Raft::is_shut_down`].
    pub fn shut_down(&mut self, now: Instant, disk: &mut dyn Disk, out: &mut Outbox) {
        if self.shutdown_deadline.is_none() {
            self.shutdown_deadline = Some(now + SHUTDOWN_TIMEOUT);
            self.resign(now, disk, out);
        }
    }

    /// May a node that shuts down end now? A voter stays until somebody else leads, so that its vote helps with the
    /// election, but not for ever.
    pub fn is_shut_down(&self, now: Instant) -> bool {
        let Some(deadline) = self.shutdown_deadline else { return false };
        let others_vote = self.voters.iter().any(|voter| *voter != self.me);
        let has_other_leader = self.leader().is_some_and(|leader| leader != self.me);
        deadline <= now || self.halted || !self.is_voter || !others_vote || has_other_leader
    }

    /// The leader gives up within its epoch.
    pub(super) fn give_up_leading(&mut self, now: Instant) {
        if let Role::Leader(leader) = &self.role {
            let successors = leader.successors();
            self.become_resigned(successors, now);
        }
    }

    /// The wait of a node that resigned is over. It leaves the epoch that it led, since it can neither vote nor follow in it;
    /// the election deadline that has passed makes it ask for the next one.
    pub(super) fn leave_led_epoch(&mut self, now: Instant) {
        match self.quorum.epoch.checked_add(1) {
            Some(epoch) => self.become_unattached(epoch, now),
            // A peer claimed the last epoch there is: nobody can be elected any more, and nobody must panic over it.
            None => self.wait_for_leader(None, now),
        }
    }

    /// Tells the voters that this node has resigned.
    pub(super) fn drive_resigned(&mut self, now: Instant) {
        let Role::Resigned(resigned) = &self.role else { return };
        let successors = resigned.successors.clone();
        for voter in resigned.calls.due(now) {
            let id = self.call(voter, end_request(&self.cluster_id, self.me, self.quorum.epoch, &successors));
            if let Role::Resigned(resigned) = &mut self.role {
                resigned.calls.sent(voter, id);
            }
        }
    }

    /// Takes the answer to EndQuorumEpoch.
    pub(super) fn on_end_result(
        &mut self,
        from: NodeId,
        result: CallResult,
        now: Instant,
    ) -> Result<(), RaftError> {
        let head = match &result {
            Ok(Response::EndQuorumEpoch(response)) => read_end_response(response),
            _ => None,
        };
        if self.learn_from(head, now)? {
            return Ok(());
        }
        let retry_at = now + self.timing.fetch_timeout / 2;
        let Role::Resigned(resigned) = &mut self.role else { return Ok(()) };
        match head {
            Some(_) => resigned.calls.done(from),
            None => resigned.calls.again(from, retry_at),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::RaftEvent;
    use super::super::messages::{begin_request, read_end_request};
    use super::super::testing::{Rig, THREE, TWO, calls};
    use super::*;
    use crate::wire::Request;

    fn shut_down(rig: &mut Rig) -> Outbox {
        let (now, mut out) = (rig.now, Outbox::default());
        rig.raft.shut_down(now, &mut rig.disk, &mut out);
        rig.events.extend(rig.raft.take_events());
        out
    }

    #[test]
    fn a_leader_that_shuts_down_names_its_successors_and_waits_for_one() {
        let mut rig = Rig::new(1);
        let epoch = rig.elect();
        rig.fetch(3, epoch, 1, epoch);
        let told = calls(&shut_down(&mut rig).list);
        assert!(rig.events.contains(&RaftEvent::Resigned { epoch }));
        let Request::EndQuorumEpoch(request) = &told[0].request else { panic!("{told:?}") };
        assert_eq!(read_end_request(request), Some((epoch, NodeId(1), vec![THREE, TWO])));
        assert!(!rig.raft.is_shut_down(rig.now));
        rig.answer(begin_request("c", NodeId(1), THREE, epoch + 1));
        assert!(rig.raft.is_shut_down(rig.now));
    }

    #[test]
    fn a_node_that_shuts_down_waits_five_seconds_at_most_and_never_stands_for_election() {
        let mut rig = Rig::new(1);
        rig.elect();
        let began = rig.now;
        shut_down(&mut rig);
        let mut epochs = Vec::new();
        while !rig.raft.is_shut_down(rig.now) {
            rig.tick();
            rig.sync();
            epochs.push(rig.raft.epoch());
        }
        assert_eq!(rig.now.saturating_since(began), SHUTDOWN_TIMEOUT);
        assert_eq!(epochs.into_iter().max(), Some(2), "it leaves the epoch that it led, and goes no further");
    }

    #[test]
    fn whoever_follows_or_observes_ends_at_once() {
        let mut rig = Rig::new(1);
        assert!(!rig.raft.is_shut_down(rig.now), "nobody asked for it");
        rig.answer(begin_request("c", NodeId(1), TWO, 5));
        shut_down(&mut rig);
        assert!(rig.raft.is_shut_down(rig.now));
        let mut observer = Rig::new(4);
        shut_down(&mut observer);
        assert!(observer.raft.is_shut_down(observer.now));
    }

    #[test]
    fn a_resigned_leader_consents_to_others_but_does_not_vote_in_its_epoch() {
        let mut rig = Rig::new(1);
        let epoch = rig.elect();
        shut_down(&mut rig);
        assert!(!rig.vote(TWO, epoch, 0, 9));
        assert!(rig.pre_vote(TWO, epoch, epoch, 1));
        assert!(!rig.pre_vote(TWO, epoch, epoch, 0), "but not to a shorter log");
    }
}
