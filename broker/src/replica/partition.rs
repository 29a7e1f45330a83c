//! One partition on this broker: leader or follower, its ISR, its high watermark (REP-1, REP-2, REP-5, REP-7..9).

use crate::config::TopicConfig;
use crate::defects::{Defect, DefectSet};
use crate::ids::{BrokerEpoch, LeaderEpoch, NO_EPOCH, NodeId, Offset, PartitionEpoch};
use crate::io::Disk;
use crate::log::{LogError, PartitionLog};
use crate::metadata::{MetadataImage, PartitionRegistration};
use crate::replica::isr::Isr;
use crate::replica::remote::Remote;
use crate::rpc::Outbox;
use crate::time::{Duration, Instant};
use crate::trace::{LeaderView, Observation, TruncationReason};
use crate::wire::ErrorCode;

/// What all partitions of a broker have in common.
#[derive(Debug, Clone)]
pub struct Rules {
    /// This broker.
    pub me: NodeId,
    /// `replica.lag.time.max.ms`.
    pub lag_time_max: Duration,
    /// Historic bugs that are present.
    pub defects: DefectSet,
}

impl Rules {
    /// Does a new leader record where its epoch begins before it has data? Otherwise (R15) the epochs of a log are those
    /// of its records, a follower may ask for one that its leader does not know, and then cuts at its own high watermark
    /// as it did before KAFKA-7415.
    pub fn records_epoch_at_election(&self) -> bool {
        !self.defects.has(Defect::NoEpochAtElection)
    }

    /// Does a leader that is elected again go on counting what it knew of a follower (R19, H01)?
    fn keeps_across_epochs(&self, is_in_sync: bool) -> bool {
        self.defects.has(if is_in_sync {
            Defect::IsrMemberEndAcrossEpochs
        } else {
            Defect::FollowerStateAcrossEpochs
        })
    }
}

/// What a leader has and a follower has not.
#[derive(Debug, Clone)]
pub struct Leadership {
    /// The log end when the epoch began (LESO): what the leader has below may be unknown to its high watermark.
    pub epoch_start: Offset,
    /// Who is in sync.
    pub isr: Isr,
    /// The other replicas.
    pub remotes: Vec<Remote>,
}

/// The role in the current leader epoch.
#[derive(Debug, Clone)]
pub enum Role {
    /// Leads.
    Leader(Leadership),
    /// Follows, or waits for a leader to be elected.
    Follower,
}

/// An ISR that the leader asks the controller for (KIP-497).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsrProposal {
    /// Numbers the proposals of one partition.
    pub number: u64,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// The registration that the proposal builds upon.
    pub partition_epoch: PartitionEpoch,
    /// The members, each with the broker epoch under which it fetched; -1 if it did not yet.
    pub isr: Vec<(NodeId, BrokerEpoch)>,
}

/// The controller's answer to one [`IsrProposal`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsrAnswer {
    /// `None`: granted.
    pub error: Option<ErrorCode>,
    /// The leader epoch of the registration.
    pub leader_epoch: LeaderEpoch,
    /// The version of the registration.
    pub partition_epoch: PartitionEpoch,
    /// The committed ISR.
    pub isr: Vec<NodeId>,
}

/// What came of an [`IsrAnswer`] (REP-9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Not an answer to the proposal in flight, or older than what is known.
    Ignored,
    /// The ISR is committed.
    Committed,
    /// Certainly not applied: the last committed ISR is in force again.
    RolledBack,
    /// May have been applied by this or an earlier attempt: stays proposed until metadata says more.
    StaysPending,
    /// Ask the same again.
    Retry,
}

/// One partition on this broker.
#[derive(Debug)]
pub struct Partition {
    /// Its log.
    pub log: PartitionLog,
    role: Role,
    leader: Option<NodeId>,
    leader_epoch: LeaderEpoch,
    partition_epoch: PartitionEpoch,
    replicas: Vec<NodeId>,
    min_isr_config: i32,
    proposals: u64,
}

impl Partition {
    /// A replica without a role yet.
    pub fn new(log: PartitionLog, config: &TopicConfig) -> Self {
        Partition {
            log,
            role: Role::Follower,
            leader: None,
            leader_epoch: NO_EPOCH,
            partition_epoch: -1,
            replicas: Vec::new(),
            min_isr_config: config.min_insync_replicas,
            proposals: 0,
        }
    }

    /// The leader epoch of the applied registration; -1 before the first.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// The version of the applied registration; -1 before the first.
    pub fn partition_epoch(&self) -> PartitionEpoch {
        self.partition_epoch
    }

    /// Who leads, as far as known.
    pub fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    /// Does this broker lead?
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// The leader's own state; `None` on a follower.
    pub fn leadership(&self) -> Option<&Leadership> {
        match &self.role {
            Role::Leader(leadership) => Some(leadership),
            Role::Follower => None,
        }
    }

    /// Is the broker one of the assigned replicas?
    pub fn has_replica(&self, id: NodeId) -> bool {
        self.replicas.contains(&id)
    }

    /// min(`min.insync.replicas`, replicas), at least 1.
    pub fn effective_min_isr(&self) -> usize {
        let config = usize::try_from(self.min_isr_config).unwrap_or(1);
        config.min(self.replicas.len()).max(1)
    }

    /// Takes over a changed topic configuration.
    pub fn configure(&mut self, config: &TopicConfig) {
        self.min_isr_config = config.min_insync_replicas;
    }

    /// Fences a request by leader epoch (REP-3, KIP-320). -1 asks for no check.
    pub fn check_epoch(&self, requested: LeaderEpoch) -> Result<(), ErrorCode> {
        match requested {
            NO_EPOCH => Ok(()),
            older if older < self.leader_epoch => Err(ErrorCode::FencedLeaderEpoch),
            newer if newer > self.leader_epoch => Err(ErrorCode::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }

    /// Leads as the registration says (REP-1). An older registration than the one known is passed over.
    ///
    /// Differs from Kafka: a registration that the answer to AlterPartition already told (same partition epoch) does not
    /// drop a proposal made since; dropping it would forget a member that the controller may commit.
    pub fn become_leader(
        &mut self,
        registration: &PartitionRegistration,
        image: &MetadataImage,
        rules: &Rules,
        now: Instant,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), LogError> {
        let is_new_epoch = registration.leader_epoch > self.leader_epoch;
        if self.is_outdated(registration, rules) {
            return Ok(());
        }
        if registration.partition_epoch == self.partition_epoch && !is_new_epoch {
            return Ok(());
        }
        self.adopt(registration);
        let log_end = self.log.log_end_offset();
        let (mut remotes, mut epoch_start, was_leader) =
            match std::mem::replace(&mut self.role, Role::Follower) {
                Role::Leader(old) => (old.remotes, old.epoch_start, true),
                Role::Follower => (Vec::new(), log_end, false),
            };
        remotes.retain(|remote| registration.replicas.contains(&remote.id));
        for id in registration.replicas.iter().copied().filter(|id| *id != rules.me) {
            if !remotes.iter().any(|remote| remote.id == id) {
                remotes.push(Remote::unknown(id));
            }
        }
        if is_new_epoch {
            epoch_start = log_end;
            if rules.records_epoch_at_election() {
                self.log.assign_epoch(self.leader_epoch, log_end, disk)?;
            }
            for remote in &mut remotes {
                let is_in_sync = registration.isr.contains(&remote.id);
                if was_leader && rules.keeps_across_epochs(is_in_sync) {
                    remote.keep_across_epochs(is_in_sync, log_end, now);
                } else {
                    remote.begin_epoch(is_in_sync, now);
                }
            }
        }
        let isr = Isr::committed_as(registration.isr.clone());
        self.role = Role::Leader(Leadership { epoch_start, isr, remotes });
        if is_new_epoch {
            out.fact(Observation::BecameLeader {
                log: self.log.id().clone(),
                leader_epoch: self.leader_epoch,
                partition_epoch: self.partition_epoch,
                epoch_start,
            });
            self.log.state_producers(out);
        }
        self.state_committed_isr(out);
        self.advance_high_watermark(image, rules, now, out);
        Ok(())
    }

    /// Follows as the registration says (REP-2). If the leader epoch is new, the fetcher must start anew, even if the
    /// leader is the same.
    pub fn become_follower(
        &mut self,
        registration: &PartitionRegistration,
        rules: &Rules,
        disk: &mut dyn Disk,
        out: &mut Outbox,
    ) -> Result<(), LogError> {
        if self.is_outdated(registration, rules) {
            return Ok(());
        }
        let is_new_epoch = registration.leader_epoch > self.leader_epoch;
        self.adopt(registration);
        if !is_new_epoch {
            return Ok(());
        }
        self.role = Role::Follower;
        out.fact(Observation::BecameFollower {
            log: self.log.id().clone(),
            leader_epoch: self.leader_epoch,
            leader: self.leader,
        });
        if rules.defects.has(Defect::TruncateToHighWatermark) {
            self.log.truncate_to(self.log.high_watermark(), TruncationReason::HighWatermark, disk, out)?;
        }
        Ok(())
    }

    /// Is the registration older than what is known already, from the answer to an AlterPartition?
    fn is_outdated(&self, registration: &PartitionRegistration, rules: &Rules) -> bool {
        registration.partition_epoch < self.partition_epoch && !rules.defects.has(Defect::OldControllerObeyed)
    }

    fn adopt(&mut self, registration: &PartitionRegistration) {
        self.leader = registration.leader;
        self.leader_epoch = registration.leader_epoch;
        self.partition_epoch = registration.partition_epoch;
        self.replicas.clone_from(&registration.replicas);
    }

    /// A follower's log begins at `start` (KIP-107); false if that is no news.
    pub fn follower_begins_at(&mut self, follower: NodeId, start: Offset) -> bool {
        let Role::Leader(leadership) = &mut self.role else { return false };
        let remote = leadership.remotes.iter_mut().find(|remote| remote.id == follower);
        remote.is_some_and(|remote| remote.log_start.replace(start) != Some(start))
    }

    /// A follower fetched at `offset` when this log ended at `leader_end` (REP-5, REP-8). Returns the ISR to ask for.
    /// Call [`Partition::advance_high_watermark`] afterwards.
    #[expect(clippy::too_many_arguments, reason = "one accepted fetch has this many sides")]
    pub fn follower_fetched(
        &mut self,
        follower: NodeId,
        broker_epoch: BrokerEpoch,
        offset: Offset,
        leader_end: Offset,
        image: &MetadataImage,
        rules: &Rules,
        now: Instant,
        out: &mut Outbox,
    ) -> Option<IsrProposal> {
        let high_watermark = self.log.high_watermark();
        let Role::Leader(leadership) = &mut self.role else { return None };
        let remote = leadership.remotes.iter_mut().find(|remote| remote.id == follower)?;
        remote.fetched(offset, leader_end, broker_epoch, now);
        if leadership.isr.pending().is_some() {
            return None;
        }
        // Only who fetches may join. A position from an earlier epoch that still counts is the work of a defect (R19).
        let isr = leadership.isr.committed();
        let mut outside = leadership.remotes.iter().filter(|remote| isr.binary_search(&remote.id).is_err());
        let joining = outside.find(|remote| remote.id == follower || remote.is_remembered)?;
        let (joining_id, offset) = (joining.id, joining.log_end?);
        // The own high watermark may be older than the one under which records were acknowledged; what is above it was
        // in the log when the epoch began (KAFKA-7128).
        let reached_epoch_start =
            offset >= leadership.epoch_start || rules.defects.has(Defect::IsrExpandIgnoresEpochStart);
        if offset < high_watermark || !reached_epoch_start || !joining.is_eligible(image) {
            return None;
        }
        let from = isr.to_vec();
        let to = leadership.isr.propose_expand(joining_id, self.proposals + 1)?;
        Some(self.propose(from, to, rules, image, out))
    }

    /// Members that fell behind leave (REP-7). Returns the ISR to ask for.
    pub fn shrink(
        &mut self,
        image: &MetadataImage,
        rules: &Rules,
        now: Instant,
        out: &mut Outbox,
    ) -> Option<IsrProposal> {
        let leader_end = self.log.log_end_offset();
        let Role::Leader(leadership) = &mut self.role else { return None };
        let behind: Vec<NodeId> = leadership
            .remotes
            .iter()
            .filter(|remote| !remote.is_caught_up(leader_end, now, rules.lag_time_max))
            .map(|remote| remote.id)
            .collect();
        let from = leadership.isr.committed().to_vec();
        let to = leadership.isr.propose_shrink(&behind, self.proposals + 1)?;
        Some(self.propose(from, to, rules, image, out))
    }

    fn propose(
        &mut self,
        from: Vec<NodeId>,
        to: Vec<NodeId>,
        rules: &Rules,
        image: &MetadataImage,
        out: &mut Outbox,
    ) -> IsrProposal {
        self.proposals += 1;
        let epoch_of = |id: NodeId| {
            if id == rules.me {
                return image.broker(id).map_or(-1, |broker| broker.broker_epoch);
            }
            let remotes = self.leadership().map_or(&[][..], |leadership| &leadership.remotes);
            remotes.iter().find(|remote| remote.id == id).and_then(|remote| remote.broker_epoch).unwrap_or(-1)
        };
        let isr = to.iter().map(|id| (*id, epoch_of(*id))).collect();
        let log = self.log.id().clone();
        out.fact(Observation::IsrProposed { log, leader_epoch: self.leader_epoch, from, to });
        IsrProposal {
            number: self.proposals,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            isr,
        }
    }

    /// The controller answered proposal `number` (REP-9). An answer that does not match the proposal in flight says
    /// nothing (R23).
    pub fn isr_answered(&mut self, number: u64, answer: IsrAnswer, out: &mut Outbox) -> Settled {
        let Role::Leader(leadership) = &mut self.role else { return Settled::Ignored };
        if leadership.isr.pending() != Some(number) {
            return Settled::Ignored;
        }
        match answer.error {
            None if answer.leader_epoch != self.leader_epoch
                || answer.partition_epoch < self.partition_epoch =>
            {
                Settled::Ignored
            }
            None => {
                leadership.isr.commit(answer.isr);
                self.partition_epoch = answer.partition_epoch;
                self.state_committed_isr(out);
                Settled::Committed
            }
            Some(ErrorCode::IneligibleReplica | ErrorCode::OperationNotAttempted) => {
                leadership.isr.roll_back();
                Settled::RolledBack
            }
            Some(
                ErrorCode::FencedLeaderEpoch
                | ErrorCode::InvalidUpdateVersion
                | ErrorCode::UnknownTopicOrPartition
                | ErrorCode::UnknownTopicId
                | ErrorCode::InvalidRequest
                | ErrorCode::NewLeaderElected,
            ) => Settled::StaysPending,
            Some(_) => Settled::Retry,
        }
    }

    fn state_committed_isr(&self, out: &mut Outbox) {
        if let Some(leadership) = self.leadership() {
            out.fact(Observation::IsrCommitted {
                log: self.log.id().clone(),
                leader_epoch: self.leader_epoch,
                partition_epoch: self.partition_epoch,
                isr: leadership.isr.committed().to_vec(),
            });
        }
    }

    /// Moves the leader's high watermark up to what everybody who counts has (REP-5); never with fewer than
    /// `min.insync.replicas` in sync. Returns whether it moved.
    pub fn advance_high_watermark(
        &mut self,
        image: &MetadataImage,
        rules: &Rules,
        now: Instant,
        out: &mut Outbox,
    ) -> bool {
        let Role::Leader(leadership) = &self.role else { return false };
        let min_isr = self.effective_min_isr();
        let is_under_min_isr = leadership.isr.committed().len() < min_isr;
        if is_under_min_isr && !rules.defects.has(Defect::HighWatermarkBelowMinIsr) {
            return false;
        }
        let leader_end = self.log.log_end_offset();
        let mut to = self.log.promised_end();
        for remote in &leadership.remotes {
            let end = remote.log_end.unwrap_or(-1);
            if end < to && holds_back(remote, &leadership.isr, leader_end, image, rules, now) {
                to = end;
            }
        }
        if to <= self.log.high_watermark() {
            return false;
        }
        let view = LeaderView {
            leader_epoch: self.leader_epoch,
            isr: leadership.isr.committed().to_vec(),
            maximal_isr: leadership.isr.maximal().to_vec(),
            min_isr: i32::try_from(min_isr).unwrap_or(i32::MAX),
        };
        self.log.set_high_watermark(to, Some(view), out);
        true
    }
}

/// Does the high watermark wait for this replica? It does for every member of the maximal ISR, and for one that is about
/// to be proposed: caught up and eligible (KAFKA-9750).
fn holds_back(
    remote: &Remote,
    isr: &Isr,
    leader_end: Offset,
    image: &MetadataImage,
    rules: &Rules,
    now: Instant,
) -> bool {
    if rules.defects.has(Defect::NoMaximalIsr) {
        return isr.committed().binary_search(&remote.id).is_ok();
    }
    // A member that is to leave counts until the controller has let it go: it may elect it at any time before (R07).
    let counted = if rules.defects.has(Defect::EagerShrink) { isr.proposed() } else { isr.maximal() };
    counted.binary_search(&remote.id).is_ok()
        || (remote.is_caught_up(leader_end, now, rules.lag_time_max) && remote.is_eligible(image))
}
