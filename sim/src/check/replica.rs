//! What the judge knows of one log: each replica, what is committed, who led.

use std::collections::BTreeMap;

use broker::ids::{LeaderEpoch, LogId, NO_EPOCH, NodeId, Offset, ProducerId};
use broker::time::Instant;
use broker::trace::PartitionFact;

use super::chain::Chain;
use super::findings::Responsible;
use crate::plan::HostId;

/// One replica's log.
#[derive(Debug, Clone, Default)]
pub struct Replica {
    /// Its content.
    pub chain: Chain,
    /// Its high watermark.
    pub high_watermark: Offset,
    /// Everything below is durable.
    pub flushed: Offset,
    /// Power failed since the log was last opened.
    pub power: Option<(u64, Instant)>,
    /// What it held before each cut since it was opened.
    pub before_cuts: Vec<Chain>,
    /// What the last power loss took, until it is fetched again.
    pub lost: Option<Lost>,
}

impl Replica {
    /// Contents remembered from before cuts; more cuts than this between two boots are not told apart.
    pub const CUTS: usize = 8;
}

/// Records that one replica lost with its power.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// First offset.
    pub from: Offset,
    /// First offset that was never there.
    pub to: Offset,
    /// The power loss.
    pub event: u64,
    /// When.
    pub at: Instant,
    /// Whether the broker was the only member of the ISR when it registered again; `None` before that.
    pub is_last_in_sync: Option<bool>,
}

/// One batch that a leader appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Its first offset.
    pub base: Offset,
    /// Hash of the log up to its end.
    pub hash: u64,
    /// Number of offsets.
    pub records: u32,
    /// Its producer, -1 if none.
    pub producer_id: ProducerId,
}

/// What the leader of one epoch appended.
#[derive(Debug, Clone)]
pub struct Line {
    /// Who.
    pub leader: HostId,
    /// Its first append.
    pub event: u64,
    /// When.
    pub at: Instant,
    /// In order of offsets.
    pub batches: Vec<Placed>,
}

impl Line {
    /// The batch that begins at `base`.
    pub fn at(&self, base: Offset) -> Option<&Placed> {
        let found = self.batches.binary_search_by_key(&base, |placed| placed.base);
        found.ok().and_then(|at| self.batches.get(at))
    }
}

/// An unclean election whose consequences are not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unclean {
    /// Its epoch.
    pub epoch: LeaderEpoch,
    /// The commit of the election.
    pub event: u64,
    /// When.
    pub at: Instant,
    /// Who leads.
    pub leader: NodeId,
}

/// Why a loss is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// The clause.
    pub reason: String,
    /// Who is responsible, oldest first.
    pub responsible: Vec<Responsible>,
}

/// Committed records that a new leader does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The log.
    pub log: usize,
    /// The new leader.
    pub host: HostId,
    /// Its epoch.
    pub epoch: LeaderEpoch,
    /// First offset that differs.
    pub from: Offset,
    /// End of what was committed.
    pub to: Offset,
    /// `None`: nothing allows it.
    pub permit: Option<Permit>,
}

/// What the judge knows of one log.
#[derive(Debug, Clone)]
pub struct LogGhost {
    /// Which log.
    pub id: LogId,
    /// By host.
    pub replicas: Vec<Option<Replica>>,
    /// What is committed: everything below the true high watermark, the largest one of a leader that is not stale
    /// (semantics P-7).
    pub committed: Chain,
    /// Newest committed registration; `None` for the metadata log.
    pub partition: Option<PartitionFact>,
    /// The last leader that there was.
    pub last_leader: Option<NodeId>,
    /// Newest committed leader epoch.
    pub newest_epoch: LeaderEpoch,
    /// Where the newest epoch's leader began it, once it leads.
    pub epoch_start: Option<Offset>,
    /// Committed leader of each epoch.
    pub leaders: BTreeMap<LeaderEpoch, NodeId>,
    /// Who appended what as leader, by epoch.
    pub lines: BTreeMap<LeaderEpoch, Line>,
    /// Pending unclean election.
    pub unclean: Option<Unclean>,
    /// Lowest offset from which on committed records were lost: histories may differ from there.
    pub floor: Option<Offset>,
    /// Why the first of them was allowed.
    pub floor_permit: Option<Permit>,
    /// The topic is gone.
    pub is_deleted: bool,
}

impl LogGhost {
    /// A log of which nothing is known yet, in a world of `hosts` machines.
    pub fn new(id: LogId, hosts: usize) -> LogGhost {
        LogGhost {
            id,
            replicas: vec![None; hosts],
            committed: Chain::default(),
            partition: None,
            last_leader: None,
            newest_epoch: NO_EPOCH,
            epoch_start: None,
            leaders: BTreeMap::new(),
            lines: BTreeMap::new(),
            unclean: None,
            floor: None,
            floor_permit: None,
            is_deleted: false,
        }
    }

    /// End of what is committed.
    pub fn true_high_watermark(&self) -> Offset {
        self.committed.end()
    }

    /// The replica on a host.
    pub fn replica(&self, host: HostId) -> Option<&Replica> {
        self.replicas.get(host.0 as usize)?.as_ref()
    }

    /// The replica on a host, created empty if the log was not known there.
    pub fn replica_mut(&mut self, host: HostId) -> &mut Replica {
        let index = host.0 as usize;
        if index >= self.replicas.len() {
            self.replicas.resize(index + 1, None);
        }
        self.replicas[index].get_or_insert_default()
    }

    /// May histories differ from `offset` on, because something was lost there?
    pub fn is_excused(&self, offset: Offset) -> bool {
        self.floor.is_some_and(|floor| offset >= floor)
    }
}
