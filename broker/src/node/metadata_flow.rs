//! What the quorum commits, on its way to the controller and the broker; and the snapshots that come back (KIP-630).

use super::node::Node;
use crate::io::Disk;
use crate::metadata::{CommittedBatch, MetadataSnapshot};
use crate::time::Instant;
use crate::trace::Observation;

/// A node says what its metadata add up to whenever it applies a multiple of this many records.
const DIGEST_INTERVAL: i64 = 256;

/// Does the batch reach to, or over, a multiple of [`DIGEST_INTERVAL`]? The same on every node.
fn is_milestone(batch: &CommittedBatch) -> bool {
    batch.base_offset / DIGEST_INTERVAL != (batch.last_offset + 1) / DIGEST_INTERVAL
}

impl Node {
    /// Hands a committed batch to the controller, has the broker load it, and writes a snapshot if one is due.
    pub(super) fn committed(&mut self, batch: &CommittedBatch, now: Instant, disk: &mut dyn Disk) {
        if let Some(controller) = &mut self.controller {
            controller.committed(batch, now, &mut self.outbox);
        }
        if let Some(broker) = &mut self.broker
            && let Err(reason) = broker.load(batch)
        {
            return self.outbox.halt(reason);
        }
        if is_milestone(batch)
            && let Some(digest) = self.image().map(|image| image.digest())
        {
            self.outbox.fact(Observation::MetadataApplied { offset: batch.last_offset + 1, digest });
        }
        if self.raft.wants_snapshot(now)
            && let Some(snapshot) = self.image().map(|image| image.to_snapshot())
        {
            self.raft.write_snapshot(snapshot, now, disk, &mut self.outbox);
        }
    }

    /// The broker acts upon what it has loaded.
    pub(super) fn publish(&mut self, now: Instant, disk: &mut dyn Disk) {
        if let Some(broker) = &mut self.broker {
            broker.publish(now, disk, &mut self.outbox);
        }
    }

    /// A snapshot takes the place of everything that was applied so far.
    pub(super) fn snapshot_loaded(&mut self, snapshot: &MetadataSnapshot, now: Instant, disk: &mut dyn Disk) {
        if let Some(controller) = &mut self.controller {
            controller.load_snapshot(snapshot, now, &mut self.outbox);
        }
        if let Some(broker) = &mut self.broker
            && let Err(reason) = broker.load_snapshot(snapshot, now, disk, &mut self.outbox)
        {
            self.outbox.halt(reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milestones_are_where_a_multiple_is_reached() {
        let is = |base_offset, last_offset| {
            is_milestone(&CommittedBatch { base_offset, last_offset, epoch: 1, records: vec![] })
        };
        assert!(!is(0, 254) && is(0, 255) && is(255, 255) && is(200, 300));
        assert!(!is(256, 256) && !is(257, 510) && is(257, 511));
    }
}
