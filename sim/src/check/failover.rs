//! Failovers, ISR changes and time without a leader, measured per partition.

use std::collections::BTreeMap;

use broker::ids::{LeaderEpoch, NodeId, TopicPartition};
use broker::time::{Duration, Instant};

/// One change of leader after a failure. The moments: the fault struck; the controller *detected* it (the fencing is
/// committed); a leader is *elected* (the partition change is committed); it is *active* (the new leader applied that);
/// *first ack* and *first read* are the first `acks=all` success and the first delivery of a record from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failover {
    /// The partition.
    pub partition: TopicPartition,
    /// The fault that caused it, as `id#n`.
    pub cause: Option<String>,
    /// Who led before.
    pub old_leader: Option<NodeId>,
    /// Who leads after.
    pub new_leader: NodeId,
    /// Leader epoch before.
    pub old_epoch: LeaderEpoch,
    /// Leader epoch after.
    pub new_epoch: LeaderEpoch,
    /// Did the new leader come from outside of the ISR?
    pub is_unclean: bool,
    /// The fault struck.
    pub fault: Option<Instant>,
    /// The fencing of the old leader was committed.
    pub detected: Option<Instant>,
    /// The election was committed.
    pub elected: Instant,
    /// The new leader applied it.
    pub active: Option<Instant>,
    /// First `acks=all` success after it.
    pub first_ack: Option<Instant>,
    /// First delivery to a consumer after it.
    pub first_read: Option<Instant>,
    /// When producers began to wait: the oldest record without an answer at the election, or the fault.
    pub blocked_since: Option<Instant>,
    /// ISR before.
    pub isr_before: Vec<NodeId>,
    /// ISR after.
    pub isr_after: Vec<NodeId>,
    /// Records that replicas cut off to follow the new leader.
    pub truncated_records: u64,
    /// The event of the election.
    pub event: u64,
}

/// One committed change of an ISR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsrChange {
    /// When it was committed.
    pub at: Instant,
    /// The partition.
    pub partition: TopicPartition,
    /// Before.
    pub from: Vec<NodeId>,
    /// After.
    pub to: Vec<NodeId>,
    /// Why: `replica.lag.time.max.ms`, `caught up`, `fenced`, `unclean election`.
    pub reason: &'static str,
    /// The event of the commit.
    pub event: u64,
}

/// One election of the metadata quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerElection {
    /// When the controller became active.
    pub at: Instant,
    /// The quorum's epoch.
    pub epoch: LeaderEpoch,
    /// Who.
    pub leader: NodeId,
    /// The event.
    pub event: u64,
}

/// A time without writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// First moment.
    pub from: Instant,
    /// First moment after it.
    pub to: Instant,
    /// Why.
    pub why: &'static str,
}

/// How long a partition had no leader, or took no writes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Availability {
    /// Time in which no running broker led it.
    pub leaderless: Duration,
    /// Time in which producers waited after a failover.
    pub unwritable: Duration,
    /// The times without writes.
    pub windows: Vec<Window>,
}

/// Everything that was measured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Measurements {
    /// Every failover, in order of election.
    pub failovers: Vec<Failover>,
    /// Every ISR change, in order of commit.
    pub isr_changes: Vec<IsrChange>,
    /// Every election of the quorum.
    pub controller_elections: Vec<ControllerElection>,
    /// Per partition.
    pub availability: BTreeMap<TopicPartition, Availability>,
}
