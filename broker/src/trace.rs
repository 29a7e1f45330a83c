//! Typed facts that a node emits for observers. They never influence the run.
//!
//! A fact is emitted where Kafka would log a state change. Checkers live outside of this crate and see only these.

use crate::ids::*;

/// One batch of a log, without its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BatchFact {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Offset of the last record (inclusive).
    pub last_offset: Offset,
    /// Epoch of the leader that appended it first.
    pub leader_epoch: LeaderEpoch,
    /// Producer id, -1 if the producer is not idempotent.
    pub producer_id: ProducerId,
    /// Producer epoch, -1 if none.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record, -1 if none.
    pub base_sequence: i32,
    /// CRC32C of the batch: stands for its content.
    pub crc: u32,
    /// Is it a control batch (LeaderChange, markers)?
    pub is_control: bool,
}

/// What a log says about one idempotent producer (IDM-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProducerFact {
    /// Its id.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of its last record.
    pub last_sequence: i32,
    /// Offset of its last record.
    pub last_offset: Offset,
}

/// One partition of a fetch session (KIP-227).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FetchSessionPartition {
    /// Which log.
    pub log: LogId,
    /// Where it is fetched.
    pub fetch_offset: Offset,
    /// The leader epoch that the follower is in.
    pub leader_epoch: LeaderEpoch,
}

/// Who appended: the leader itself, or a follower copying its leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AppendRole {
    /// Appended as the leader in this epoch.
    Leader(LeaderEpoch),
    /// Copied by a follower.
    Follower,
}

/// What a leader knew when it moved its high watermark.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeaderView {
    /// The epoch in which it leads.
    pub leader_epoch: LeaderEpoch,
    /// The committed ISR (for the metadata log: the voters).
    pub isr: Vec<NodeId>,
    /// The committed ISR and every member of an ISR proposed but not yet answered (REP-4 of KIP-497's maximal ISR).
    pub maximal_isr: Vec<NodeId>,
    /// Effective `min.insync.replicas` (for the metadata log: the majority).
    pub min_isr: i32,
}

/// Why a log was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TruncationReason {
    /// The leader's history differs (KIP-101, KIP-595 diverging epoch).
    DivergingEpoch,
    /// The own high watermark: only the R01 defect does that.
    HighWatermark,
    /// The offset is out of the leader's range: the log starts anew there.
    OutOfRange,
    /// A truncation on recovery: the torn tail of a crash (LOG-4).
    Recovery,
    /// A snapshot of the leader took the place of the whole log (KIP-630).
    Snapshot,
}

/// How a partition got its leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Election {
    /// The leader did not change.
    None,
    /// From the ISR.
    Clean,
    /// From outside of the ISR (`unclean.leader.election.enable`).
    Unclean,
}

/// The state of one partition in the metadata.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PartitionFact {
    /// `None`: no leader.
    pub leader: Option<NodeId>,
    /// Epoch of the leader.
    pub leader_epoch: LeaderEpoch,
    /// Version of the registration.
    pub partition_epoch: PartitionEpoch,
    /// Assigned replicas, preferred leader first.
    pub replicas: Vec<NodeId>,
    /// In-sync replicas.
    pub isr: Vec<NodeId>,
    /// Effective `min.insync.replicas`.
    pub min_isr: i32,
    /// Eligible leader replicas (KIP-966); empty without the feature.
    pub elr: Vec<NodeId>,
    /// The last known leader, when ISR and ELR are empty (KIP-966).
    pub last_known_elr: Vec<NodeId>,
    /// Replicas that a reassignment adds (KIP-455).
    pub adding: Vec<NodeId>,
    /// Replicas that a reassignment removes (KIP-455).
    pub removing: Vec<NodeId>,
    /// Elected uncleanly, and the leader has not yet reported that it is done (KIP-704).
    pub is_recovering: bool,
}

/// A metadata record that became committed, in terms of what it means.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MetadataFact {
    /// A broker registered; it starts fenced.
    BrokerRegistered { broker: NodeId, broker_epoch: BrokerEpoch },
    /// A broker was unregistered.
    BrokerUnregistered { broker: NodeId },
    /// The controller takes the broker for dead or not yet ready.
    BrokerFenced { broker: NodeId },
    /// The broker may lead again.
    BrokerUnfenced { broker: NodeId },
    /// The broker is on its way out: it may not lead or join an ISR (CTL-3).
    BrokerShuttingDown { broker: NodeId },
    /// A config of a topic or a broker was set (`None`: taken away). `resource` is `topic NAME` or `broker ID`; the
    /// default of all brokers is `broker`.
    ConfigChanged { resource: String, name: String, value: Option<String> },
    /// A feature's finalized level (KIP-584).
    FeatureChanged { name: String, level: i16 },
    /// A topic exists.
    TopicCreated { topic: String, topic_id: TopicId },
    /// A topic is gone.
    TopicDeleted { topic: String, topic_id: TopicId },
    /// A partition was created or changed.
    PartitionChanged { log: LogId, election: Election, state: PartitionFact },
    /// A block of producer ids `[first, first + size)` was handed to a broker.
    ProducerIdsAllocated { broker: NodeId, first: ProducerId, size: i32 },
}

/// The role of a node in the metadata quorum (KIP-595).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuorumRole {
    /// Knows no leader.
    Unattached,
    /// Follows a leader (voters and observers).
    Follower,
    /// Asks whether it would be elected, in the same epoch (KIP-996).
    Prospective,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
    /// Led, and gives up within the epoch.
    Resigned,
}

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Observation {
    // ---- logs (partitions and the metadata log) ----
    /// A log was opened at boot, after recovery; all its batches in order.
    LogOpened {
        log: LogId,
        log_start: Offset,
        log_end: Offset,
        high_watermark: Offset,
        batches: Vec<BatchFact>,
    },
    /// A new, empty log was created.
    LogCreated { log: LogId },
    /// A log was deleted with its topic or replica.
    LogDeleted { log: LogId },
    /// A batch was appended.
    Appended { log: LogId, role: AppendRole, batch: BatchFact },
    /// The log was cut: `to` is the new end, `from` the old one.
    Truncated { log: LogId, from: Offset, to: Offset, reason: TruncationReason },
    /// The log's start moved up: retention, DeleteRecords (RET-1, RET-2), a snapshot (KIP-630), or a follower that
    /// adopts its leader's start.
    LogStartAdvanced { log: LogId, from: Offset, to: Offset },
    /// What the node remembers about idempotent producers after it rebuilt it (boot, truncation) or began to lead:
    /// last state of each producer of the log below `log_end`, in order of id (IDM-4).
    ProducerStates { log: LogId, log_end: Offset, states: Vec<ProducerFact> },
    /// Everything below `up_to` is durable on this node's disk.
    Flushed { log: LogId, up_to: Offset },
    /// The node's high watermark moved; `leader` is set if it moved it as the leader.
    HighWatermark {
        log: LogId,
        from: Offset,
        to: Offset,
        log_start: Offset,
        log_end: Offset,
        leader: Option<LeaderView>,
    },
    // ---- partitions ----
    /// The broker applied metadata and leads the partition.
    BecameLeader {
        log: LogId,
        leader_epoch: LeaderEpoch,
        partition_epoch: PartitionEpoch,
        epoch_start: Offset,
    },
    /// The broker applied metadata and follows.
    BecameFollower { log: LogId, leader_epoch: LeaderEpoch, leader: Option<NodeId> },
    /// The broker fetches the partition from `leader` in this epoch, or (`None`) no longer fetches it (P-17).
    FetcherChanged { log: LogId, leader_epoch: LeaderEpoch, leader: Option<NodeId> },
    /// The leader asked the controller for another ISR.
    IsrProposed { log: LogId, leader_epoch: LeaderEpoch, from: Vec<NodeId>, to: Vec<NodeId> },
    /// The leader learned that an ISR is committed.
    IsrCommitted { log: LogId, leader_epoch: LeaderEpoch, partition_epoch: PartitionEpoch, isr: Vec<NodeId> },
    // ---- metadata quorum ----
    /// Role and epoch of the node in the quorum changed.
    QuorumRoleChanged { epoch: LeaderEpoch, role: QuorumRole, leader: Option<NodeId> },
    /// `quorum-state` is durable with this content.
    QuorumStatePersisted { epoch: LeaderEpoch, voted_for: Option<NodeId>, leader: Option<NodeId> },
    /// The node answered a vote request with yes.
    VoteGranted { epoch: LeaderEpoch, candidate: NodeId },
    /// The node answered a pre-vote request with yes; that is not recorded and binds nobody (KIP-996).
    PreVoteGranted { epoch: LeaderEpoch, candidate: NodeId },
    /// The node fetches the metadata log at `offset`: it promises that it has everything below (KIP-595).
    QuorumFetched { epoch: LeaderEpoch, offset: Offset },
    /// The node's view of who votes changed: a record in its log, possibly uncommitted, or its truncation (KIP-853).
    VotersChanged { offset: Offset, voters: Vec<NodeId> },
    /// A snapshot of the metadata below `offset` is on disk; `digest` stands for its content (KIP-630).
    SnapshotWritten { offset: Offset, epoch: LeaderEpoch, digest: u64 },
    /// The node's metadata were replaced by a snapshot.
    SnapshotLoaded { offset: Offset, epoch: LeaderEpoch, digest: u64 },
    /// The node has applied the committed metadata below `offset`; `digest` stands for the whole image. Stated
    /// now and then, at offsets that are the same on every node.
    MetadataApplied { offset: Offset, digest: u64 },
    // ---- controller and brokers ----
    /// The node became (or ceased to be) the active controller.
    ControllerActive { epoch: LeaderEpoch, active: bool },
    /// A committed metadata record was applied by this node's controller.
    MetadataCommitted { offset: Offset, fact: MetadataFact },
    /// The broker's own view of its state changed ("starting", "recovery", "running", "fenced", "shutting-down").
    BrokerState { state: &'static str },
    /// What a follower takes for the partitions of its fetch session when it sends the fetch with this session epoch, or
    /// (`is_leader`) what the leader makes of that fetch; `partitions` in order of their logs (KIP-227, P-18).
    FetchSessionPartitions {
        peer: NodeId,
        session_id: i32,
        session_epoch: i32,
        is_leader: bool,
        partitions: Vec<FetchSessionPartition>,
    },
}
