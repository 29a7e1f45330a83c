//! Answering Fetch of the metadata log (KIP-595): who may ask, where logs differ, the long poll.

use super::RaftError;
use super::fetch_messages::{FetchAnswer, ReplicaFetch, fetch_response, read_fetch_request, with_endpoint};
use super::machine::Raft;
use super::metadata_log::Position;
use super::roles::Role;
use crate::defects::Defect;
use crate::ids::{LeaderEpoch, NodeId, Offset};
use crate::io::Disk;
use crate::rpc::ReplyTo;
use crate::time::Instant;
use crate::wire::ErrorCode;
use crate::wire::messages::{BrokerId, FetchRequest, FetchResponse};

/// A fetch that waits until there is something new, at most `MAX_FETCH_WAIT`.
#[derive(Debug, Clone)]
pub struct Parked {
    /// Whom to answer.
    pub to: ReplyTo,
    /// What was asked.
    pub fetch: ReplicaFetch,
    /// When to answer even so.
    pub deadline: Instant,
}

impl Raft {
    /// Answers or parks a fetch.
    pub(super) fn on_fetch_request(
        &mut self,
        to: ReplyTo,
        request: &FetchRequest,
        now: Instant,
        disk: &dyn Disk,
    ) -> Result<(), RaftError> {
        let refuse = |error: ErrorCode| FetchResponse::default().with_error_code(error.code());
        if let Some(error) = self.misdirected(request.cluster_id.as_ref(), BrokerId(-1)) {
            self.held.reply(to, refuse(error));
            return Ok(());
        }
        let Some(fetch) = read_fetch_request(request) else {
            self.held.reply(to, refuse(ErrorCode::InvalidRequest));
            return Ok(());
        };
        if let Some(error) = self.fetch_error(fetch.epoch) {
            let refusal = fetch_response(FetchAnswer::Refused(error), self.leadership(), None);
            self.reply_to_fetch(to, refusal);
            return Ok(());
        }
        if self.defects.has(Defect::FetchOfNonVoterRefused) && self.was_voter(fetch.replica) {
            let refusal = FetchAnswer::Refused(ErrorCode::InconsistentVoterSet);
            self.held.reply(to, fetch_response(refusal, self.leadership(), None));
            return Ok(());
        }
        self.replica_is_alive(fetch.replica, now);
        // A replica's end proves nothing as long as its log is not a prefix of this one: it is not counted.
        let unusable = match self.log.position_of(fetch.offset, fetch.last_epoch) {
            Position::Prefix => None,
            Position::Diverging(epoch, end_offset) => Some(FetchAnswer::Diverging { epoch, end_offset }),
            Position::Snapshot(id) => Some(FetchAnswer::Snapshot(id)),
            Position::Gone => Some(FetchAnswer::Refused(ErrorCode::OffsetOutOfRange)),
        };
        if let Some(answer) = unusable {
            self.answer_fetch(to, &fetch, answer);
            return Ok(());
        }
        if let Role::Leader(leader) = &mut self.role {
            leader.record_fetch(fetch.replica, fetch.offset);
            leader.progress.fetched(fetch.replica, fetch.directory_id, fetch.offset, self.log.end(), now);
        }
        self.advance_high_watermark(disk)?;
        let deadline = now + fetch.max_wait;
        if deadline <= now || self.has_news_for(&fetch) {
            self.answer_with_records(to, &fetch, disk)?;
        } else if let Role::Leader(leader) = &mut self.role {
            leader.parked.push(Parked { to, fetch, deadline });
        }
        self.wake_parked(now, disk)
    }

    /// The sender is in another epoch, or asks the wrong node. A leader does not step down for a replica that claims a higher
    /// epoch: it will hear of it by a vote request or from its successor.
    pub(super) fn fetch_error(&self, epoch: LeaderEpoch) -> Option<ErrorCode> {
        if epoch < self.quorum.epoch {
            Some(ErrorCode::FencedLeaderEpoch)
        } else if epoch > self.quorum.epoch {
            Some(ErrorCode::UnknownLeaderEpoch)
        } else if !matches!(self.role, Role::Leader(_)) {
            Some(ErrorCode::NotLeaderOrFollower)
        } else {
            None
        }
    }

    /// A replica fetches, be it a snapshot: it is alive, whatever its log proves (check-quorum).
    pub(super) fn replica_is_alive(&mut self, replica: NodeId, now: Instant) {
        if let Role::Leader(leader) = &mut self.role {
            leader.heard_from(replica, now);
        }
    }

    /// Are there records for the replica, or a high watermark that it does not know?
    ///
    /// The second is KIP-1166: followers learn of a commit at once and not with the next record or time-out, so that after a
    /// failover less is left to be committed again. A replica that does not send its high watermark (before v18) is taken to
    /// know what it was told last; if that answer was lost it learns it with the next one.
    fn has_news_for(&self, fetch: &ReplicaFetch) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        let known: Option<Offset> = match fetch.high_watermark {
            Some(known) => Some(known),
            None => leader.told_high_watermarks.get(&fetch.replica).copied().flatten(),
        };
        fetch.offset < self.log.end() || known < leader.high_watermark
    }

    /// Answers the parked fetches that have news, or waited long enough.
    pub(super) fn wake_parked(&mut self, now: Instant, disk: &dyn Disk) -> Result<(), RaftError> {
        let Role::Leader(leader) = &mut self.role else { return Ok(()) };
        for parked in std::mem::take(&mut leader.parked) {
            if parked.deadline <= now || self.has_news_for(&parked.fetch) {
                self.answer_with_records(parked.to, &parked.fetch, disk)?;
            } else if let Role::Leader(leader) = &mut self.role {
                leader.parked.push(parked);
            }
        }
        Ok(())
    }

    fn answer_with_records(
        &mut self,
        to: ReplyTo,
        fetch: &ReplicaFetch,
        disk: &dyn Disk,
    ) -> Result<(), RaftError> {
        let max_bytes = usize::try_from(fetch.max_bytes).unwrap_or(0);
        let records = self.log.read(fetch.offset, max_bytes, disk)?;
        self.answer_fetch(to, fetch, FetchAnswer::Records(records));
        Ok(())
    }

    fn answer_fetch(&mut self, to: ReplyTo, fetch: &ReplicaFetch, answer: FetchAnswer) {
        let at = self.leadership();
        let Role::Leader(leader) = &mut self.role else { return };
        leader.told_high_watermarks.insert(fetch.replica, leader.high_watermark);
        self.held.reply(to, fetch_response(answer, at, leader.high_watermark));
    }

    /// Answers; a replica that is sent to another leader is told where that one is.
    fn reply_to_fetch(&mut self, to: ReplyTo, response: FetchResponse) {
        let leader = self.leader().filter(|leader| !self.voter_sets.is_configured(*leader));
        let address = leader.and_then(|leader| Some((leader, self.address_of(leader)?)));
        let response = match address {
            Some((leader, address)) => with_endpoint(response, leader, address),
            None => response,
        };
        self.held.reply(to, response);
    }

    /// Did the replica vote once, and does not any more?
    fn was_voter(&self, replica: NodeId) -> bool {
        !self.voters.contains(&replica) && self.voter_sets.ever_had(replica)
    }

    /// The node leads no longer: nobody waits for nothing.
    pub(super) fn refuse_parked(&mut self, parked: impl Iterator<Item = Parked>) {
        for parked in parked {
            let answer = FetchAnswer::Refused(ErrorCode::NotLeaderOrFollower);
            self.held.reply(parked.to, fetch_response(answer, self.leadership(), None));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Rig;
    use super::*;
    use bytes::Bytes;

    fn error(code: ErrorCode) -> Option<i16> {
        Some(code.code())
    }

    #[test]
    fn only_replicas_of_the_same_epoch_are_served() {
        let mut rig = Rig::new(1);
        let follower_asked = rig.fetch(2, 0, 0, 0).map(|f| f.head.error);
        assert_eq!(follower_asked, error(ErrorCode::NotLeaderOrFollower));
        let epoch = rig.elect();
        let mut code = |e| rig.fetch(2, e, 0, 0).map(|f| f.head.error);
        assert_eq!(code(epoch - 1), error(ErrorCode::FencedLeaderEpoch));
        assert_eq!(code(epoch + 1), error(ErrorCode::UnknownLeaderEpoch));
        assert_eq!(code(epoch), Some(0));
        assert!(rig.raft.is_leader(), "a claim of a higher epoch in a fetch unseats nobody");
    }

    #[test]
    fn a_log_that_differs_is_told_where_and_is_not_counted() {
        let mut rig = Rig::new(1);
        let epoch = rig.elect();
        let told = rig.fetch(2, epoch, 1, epoch - 1).unwrap();
        assert_eq!((told.diverging, told.records.is_empty()), (Some((epoch - 1, 0)), true));
        assert_eq!(rig.fetch(2, epoch, 7, epoch).unwrap().diverging, Some((epoch, 1)));
        assert_eq!(rig.raft.high_watermark(), 0);
        assert_eq!(rig.fetch(2, epoch, 1, epoch).unwrap().diverging, None);
        assert_eq!(rig.raft.high_watermark(), 1);
    }

    #[test]
    fn a_leader_shows_no_high_watermark_before_its_first_record_is_committed() {
        let mut rig = Rig::new(1);
        let epoch = rig.elect();
        assert_eq!(rig.fetch(3, epoch, 0, 0).unwrap().high_watermark, None);
        assert_eq!(rig.fetch(2, epoch, 1, epoch).unwrap().high_watermark, Some(1));
    }

    #[test]
    fn a_fetch_without_news_waits_for_records() {
        let mut rig = Rig::new(1);
        let epoch = rig.elect();
        rig.fetch(2, epoch, 1, epoch);
        assert_eq!(rig.fetch(2, epoch, 1, epoch), None, "parked");
        let now = rig.now;
        assert_eq!(rig.raft.append(epoch, vec![Bytes::from_static(b"v")], now), Ok(1));
        let list = rig.tick();
        assert!(list.iter().any(|o| matches!(o, crate::rpc::Outgoing::Reply { .. })), "{list:?}");
    }

    #[test]
    fn a_parked_fetch_is_answered_after_the_longest_wait_and_when_the_leader_goes() {
        let mut rig = Rig::new(1);
        let epoch = rig.elect();
        rig.fetch(2, epoch, 1, epoch);
        assert_eq!(rig.fetch(2, epoch, 1, epoch), None);
        let parked_at = rig.now;
        let answered = |list: &[crate::rpc::Outgoing]| {
            list.iter().any(|o| matches!(o, crate::rpc::Outgoing::Reply { .. }))
        };
        while !answered(&rig.tick()) {}
        assert_eq!(rig.now.saturating_since(parked_at).as_millis(), 500);
        assert_eq!(rig.fetch(2, epoch, 1, epoch), None);
        let (now, mut out) = (rig.now, crate::rpc::Outbox::default());
        rig.raft.resign(now, &mut rig.disk, &mut out);
        assert!(answered(&out.list));
    }
}
