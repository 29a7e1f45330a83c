//! The parts of the picture that are not logs, and what one event meant for it.

use broker::ids::{BrokerEpoch, LeaderEpoch, NodeId, Offset};
use broker::time::Instant;
use broker::trace::{Election, PartitionFact, QuorumRole};

use super::super::findings::Responsible;
use super::super::replica::Loss;
use crate::plan::HostId;

/// One machine.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// It lives (it may be paused).
    pub is_up: bool,
    /// It lives but does not run.
    pub is_paused: bool,
    /// Which boot it is in.
    pub incarnation: u32,
    /// How often its disk was replaced by an empty one.
    pub lost_disks: u32,
    /// Its place in the metadata quorum, if it lives and has one.
    pub stance: Option<Stance>,
    /// It ended itself last time.
    pub(super) was_halted: bool,
    pub(super) faults: Vec<Responsible>,
}

/// A node's place in the metadata quorum, as it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stance {
    /// The epoch that it is in.
    pub epoch: LeaderEpoch,
    /// Its role there.
    pub role: QuorumRole,
    /// Whom it takes for the leader.
    pub leader: Option<NodeId>,
    /// Since when.
    pub since: Instant,
}

/// One broker, as the quorum has committed it.
#[derive(Debug, Clone, Default)]
pub struct Broker {
    /// Its broker epoch.
    pub epoch: BrokerEpoch,
    /// Fenced.
    pub is_fenced: bool,
    /// On its way out (CTL-3).
    pub is_shutting_down: bool,
    /// The boot in which it registered.
    pub incarnation: u32,
}

/// A committed change of a partition, applied for the first time.
#[derive(Debug, Clone)]
pub struct PartitionStep {
    /// The log.
    pub log: usize,
    /// The registration before; `None`: it is new.
    pub before: Option<PartitionFact>,
    /// The last leader that there was before.
    pub last_leader: Option<NodeId>,
    /// How it got its leader.
    pub election: Election,
}

/// A log came back at boot.
#[derive(Debug, Clone)]
pub struct Reopened {
    /// Its end before.
    pub before_end: Offset,
    /// What was durable before.
    pub flushed: Offset,
    /// Everything below is the same as before.
    pub same_as_before: Offset,
    /// Everything below was in this log once, though it may have been cut since the last sync.
    pub common_end: Offset,
    /// Did power fail meanwhile?
    pub is_power: bool,
}

/// What one event meant for the shared picture.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// The log that the event is about.
    pub log: Option<usize>,
    /// A metadata record was applied for the first time.
    pub is_first: bool,
    /// A partition changed.
    pub partition: Option<PartitionStep>,
    /// Where a log ended before an append, and in which epoch.
    pub appended_at: Option<(Offset, Option<LeaderEpoch>)>,
    /// The high watermark before a cut.
    pub cut_from_high_watermark: Option<Offset>,
    /// A log came back.
    pub reopened: Option<Reopened>,
    /// An append was compared with what the leader of its epoch wrote there; `false`: it differs.
    pub matches_leader: Option<bool>,
    /// Another host appended as leader of the same epoch.
    pub rival: Option<HostId>,
    /// High watermark of a leader that is not stale.
    pub is_current_leader: bool,
    /// That leader's log differs from what is committed, from this offset on.
    pub conflict: Option<Offset>,
    /// A node changed its role in the metadata quorum: what it was before, in this boot.
    pub stance_before: Option<Stance>,
    /// A new leader lacks committed records, or was found to have them all.
    pub took_over: Option<Option<Loss>>,
}
