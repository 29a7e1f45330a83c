//! One partition: its position and what it needs next (`SubscriptionState.TopicPartitionState`).

use broker::ids::{LeaderEpoch, NO_EPOCH, Offset};
use broker::time::Instant;

use crate::history::PositionReason;

/// What a partition needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// An offset by `auto.offset.reset` (ListOffsets).
    Reset(PositionReason),
    /// To know whether the new leader's log holds what was read (OffsetForLeaderEpoch, KIP-320).
    Validate,
    /// Records.
    Fetch,
    /// Nothing: the application gave the partition up.
    Stopped,
}

/// One assigned partition.
#[derive(Debug)]
pub(super) struct Position {
    pub(super) stage: Stage,
    /// The next offset to deliver.
    pub(super) offset: Offset,
    /// The leader epoch of the last delivered record, or [`NO_EPOCH`].
    pub(super) offset_epoch: LeaderEpoch,
    /// The leader epoch in which the position is known to be good.
    pub(super) leader_epoch: LeaderEpoch,
    /// A request for an offset or an epoch's end is under way.
    pub(super) is_asked: bool,
    pub(super) failures: u32,
    pub(super) retry_at: Instant,
    pub(super) caught_up_at: Option<Offset>,
}

impl Position {
    pub(super) fn new(stage: Stage) -> Self {
        Position {
            stage,
            offset: 0,
            offset_epoch: NO_EPOCH,
            leader_epoch: NO_EPOCH,
            is_asked: false,
            failures: 0,
            retry_at: Instant::ZERO,
            caught_up_at: None,
        }
    }

    /// May something be asked for it now?
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.is_asked && self.stage != Stage::Stopped && self.retry_at <= now
    }

    /// The partition has this leader epoch now: a position that was read under another one must be validated, if it is
    /// known under which (`maybeValidatePositionForCurrentLeader`).
    pub(super) fn on_leader_epoch(&mut self, epoch: LeaderEpoch) {
        if epoch == self.leader_epoch {
            return;
        }
        match self.stage {
            Stage::Fetch if self.offset_epoch != NO_EPOCH => self.stage = Stage::Validate,
            Stage::Fetch => self.leader_epoch = epoch,
            Stage::Reset(_) | Stage::Validate | Stage::Stopped => {}
        }
    }

    /// Goes on at `offset`, under the leader of `leader_epoch`.
    pub(super) fn move_to(&mut self, offset: Offset, offset_epoch: LeaderEpoch, leader_epoch: LeaderEpoch) {
        self.offset = offset;
        self.offset_epoch = offset_epoch;
        self.leader_epoch = leader_epoch;
        self.stage = Stage::Fetch;
        self.caught_up_at = None;
    }
}
