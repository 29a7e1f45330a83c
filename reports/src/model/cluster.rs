//! What the cluster went through: failovers, elections, ISR changes, time without a leader.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One change of leader after a failure, measured.
///
/// The moments: the *fault* struck; it is *detected* when the controller fences the broker; a leader is *elected*
/// when the partition change is committed in the metadata log; it is *active* when the new leader has applied that
/// record; *first ack* and *first read* are the first acks=all success and the first successful fetch of a consumer
/// after it. A moment that did not come is null, and so is each duration that would need it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failover {
    /// The partition, as `topic/index`.
    pub partition: String,
    /// The fault that caused it, as `id#n`, when known.
    pub cause: Option<String>,
    /// Broker that led before.
    pub old_leader: Option<i32>,
    /// Broker that leads after.
    pub new_leader: Option<i32>,
    /// Leader epoch before.
    pub old_epoch: i32,
    /// Leader epoch after.
    pub new_epoch: i32,
    /// Whether the new leader came from outside the ISR.
    pub unclean: bool,
    /// The fault struck.
    pub fault_us: Option<u64>,
    /// The controller fenced the old leader.
    pub detected_us: Option<u64>,
    /// The partition change was committed.
    pub elected_us: Option<u64>,
    /// The new leader applied it.
    pub leader_active_us: Option<u64>,
    /// First acks=all success on the partition after the fault.
    pub first_ack_us: Option<u64>,
    /// First successful consumer fetch after the fault.
    pub first_read_us: Option<u64>,
    /// Fault to detected.
    pub detect_us: Option<u64>,
    /// Detected to elected.
    pub elect_us: Option<u64>,
    /// First failed or blocked produce attempt to first ack.
    pub unavailable_us: Option<u64>,
    /// In-sync replicas before.
    pub isr_before: Vec<i32>,
    /// In-sync replicas after.
    pub isr_after: Vec<i32>,
    /// Records that the other replicas cut off to follow the new leader.
    pub truncated_records: u64,
    /// The event id of the election.
    pub event: Option<u64>,
}

/// How long a partition had no leader, or took no writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Availability {
    /// Simulated time without a leader, summed.
    pub leaderless_us: u64,
    /// Simulated time in which acks=all writes could not succeed, summed.
    pub unwritable_us: u64,
    /// The windows without writes.
    pub windows: Vec<Window>,
}

/// One window in which a partition took no writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// First moment.
    pub from_us: u64,
    /// First moment after it.
    pub to_us: u64,
    /// Why.
    pub why: String,
}

/// One committed change of a partition's in-sync replicas.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IsrChange {
    /// When it was committed.
    pub t_us: u64,
    /// The partition, as `topic/index`.
    pub partition: String,
    /// Before.
    pub from: Vec<i32>,
    /// After.
    pub to: Vec<i32>,
    /// Why, e.g. `replica.lag.time.max.ms`, `caught up`, `fenced`.
    pub reason: String,
    /// The event id of the commit.
    pub event: Option<u64>,
}

/// Elections of the run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Elections {
    /// Each leader of the metadata quorum.
    pub controller: Vec<ControllerElection>,
    /// Partition leaders elected from the ISR.
    pub partition_clean: u64,
    /// Partition leaders elected from outside the ISR.
    pub partition_unclean: u64,
}

/// One election of the metadata quorum.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ControllerElection {
    /// When the leader took office.
    pub t_us: u64,
    /// The quorum's epoch.
    pub epoch: i32,
    /// Node id of the leader.
    pub leader: i32,
    /// The leader's name, as scenarios name it.
    pub node: String,
    /// The event id.
    pub event: Option<u64>,
}
