//! One snapshot as a file: its name, its content (KIP-630).
//!
//! `<20 digits of the end offset>-<10 digits of the epoch>.checkpoint`, beside the segments, as in Kafka. The content is
//! a run of record batches: a control batch with the header (and the voters, if a record ever named them), the records of
//! the state, a control batch with the footer. A file without its footer is no snapshot.
//!
//! Differs from Kafka: no timestamps, so that equal states give equal files.

use bytes::{Bytes, BytesMut};

use super::control_records::{ControlRecord, control_batch, read_control_batch};
use super::voters::VoterSet;
use crate::ids::{LeaderEpoch, Offset};
use crate::log::{BatchBuilder, batches};
use crate::metadata::MetadataSnapshot;

/// How many records go into one batch. Source: ours.
const RECORDS_PER_BATCH: usize = 500;
/// The record batches carry no time.
const NO_TIMESTAMP: i64 = -1;

/// Names a snapshot: everything below `end_offset`, whose last record is of `epoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    /// The offset after the last record that it covers.
    pub end_offset: Offset,
    /// The epoch of that record.
    pub epoch: LeaderEpoch,
}

impl SnapshotId {
    /// The file's path in `dir`.
    pub fn path(&self, dir: &str) -> String {
        format!("{dir}/{:020}-{:010}.checkpoint", self.end_offset, self.epoch)
    }

    /// Reads a file's name.
    pub fn parse(file_name: &str) -> Option<SnapshotId> {
        let (offset, epoch) = file_name.strip_suffix(".checkpoint")?.split_once('-')?;
        let is_number = |text: &str, digits| text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number(offset, 20) || !is_number(epoch, 10) {
            return None;
        }
        Some(SnapshotId { end_offset: offset.parse().ok()?, epoch: epoch.parse().ok()? })
    }
}

/// What a snapshot holds.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotContent {
    /// The state of the metadata.
    pub metadata: MetadataSnapshot,
    /// The voters, if a record below its end named them (KIP-853).
    pub voters: Option<VoterSet>,
}

impl SnapshotContent {
    /// Its name.
    pub fn id(&self) -> SnapshotId {
        SnapshotId { end_offset: self.metadata.end_offset, epoch: self.metadata.epoch }
    }

    /// The file's content.
    pub fn encode(&self) -> Bytes {
        let (mut file, mut offset) = (BytesMut::new(), 0);
        let mut add = |batch: BatchBuilder| {
            let count = batch.len() as Offset;
            file.extend_from_slice(&batch.base_offset(offset).leader_epoch(self.metadata.epoch).build());
            offset += count;
        };
        let mut head = vec![ControlRecord::SnapshotHeader];
        if let Some(voters) = &self.voters {
            head.extend([ControlRecord::KRaftVersion(1), ControlRecord::Voters(voters.clone())]);
        }
        add(control_batch(&head, NO_TIMESTAMP));
        for records in self.metadata.records.chunks(RECORDS_PER_BATCH) {
            let mut batch = BatchBuilder::new();
            for record in records {
                batch.push(NO_TIMESTAMP, None, Some(record), &[]);
            }
            add(batch);
        }
        add(control_batch(&[ControlRecord::SnapshotFooter], NO_TIMESTAMP));
        file.freeze()
    }

    /// Reads a file. `None`: it is damaged, or not complete.
    pub fn decode(id: SnapshotId, file: Bytes) -> Option<SnapshotContent> {
        let (mut voters, mut records) = (None, Vec::new());
        let (mut is_begun, mut is_complete) = (false, false);
        for batch in batches(file) {
            let batch = batch.ok()?;
            batch.validate().ok()?;
            if is_complete || batch.header.leader_epoch != id.epoch {
                return None;
            }
            if !batch.header.is_control() {
                if !is_begun {
                    return None;
                }
                for record in batch.records() {
                    records.push(batch.bytes.slice_ref(record.ok()?.value?));
                }
                continue;
            }
            for record in read_control_batch(&batch)? {
                match record {
                    ControlRecord::SnapshotHeader if !is_begun => is_begun = true,
                    ControlRecord::SnapshotFooter if is_begun => is_complete = true,
                    ControlRecord::Voters(set) if is_begun => voters = Some(set),
                    ControlRecord::KRaftVersion(_) | ControlRecord::Unknown(_) if is_begun => {}
                    _ => return None,
                }
            }
        }
        let metadata = MetadataSnapshot { end_offset: id.end_offset, epoch: id.epoch, records };
        is_complete.then_some(SnapshotContent { metadata, voters })
    }
}

#[cfg(test)]
mod tests {
    use super::super::voters::Voter;
    use super::*;
    use crate::ids::{NodeId, Uuid};

    fn content(records: usize, with_voters: bool) -> SnapshotContent {
        let voter = Voter { directory_id: Uuid::from_u128(3), address: None };
        SnapshotContent {
            metadata: MetadataSnapshot {
                end_offset: 77,
                epoch: 4,
                records: (0..records).map(|n| Bytes::from(format!("record {n}"))).collect(),
            },
            voters: with_voters.then(|| [(NodeId(1), voter)].into()),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for content in [content(0, false), content(1, true), content(1_700, false)] {
            assert_eq!(SnapshotContent::decode(content.id(), content.encode()), Some(content));
        }
    }

    #[test]
    fn no_part_of_a_file_and_no_damaged_file_is_a_snapshot() {
        let content = content(3, true);
        let file = content.encode();
        for length in 0..file.len() {
            assert_eq!(SnapshotContent::decode(content.id(), file.slice(..length)), None, "cut to {length}");
        }
        for at in 0..file.len() {
            let mut damaged = file.to_vec();
            damaged[at] ^= 1;
            if let Some(read) = SnapshotContent::decode(content.id(), damaged.into()) {
                // The base offset is outside of the checksum, and nobody reads it.
                assert_eq!(read, content, "byte {at}");
            }
        }
        let twice = [file.clone(), file].concat();
        assert_eq!(SnapshotContent::decode(content.id(), twice.into()), None);
    }

    #[test]
    fn names_are_kafkas() {
        let id = SnapshotId { end_offset: 77, epoch: 4 };
        assert_eq!(id.path("d"), "d/00000000000000000077-0000000004.checkpoint");
        assert_eq!(SnapshotId::parse("00000000000000000077-0000000004.checkpoint"), Some(id));
        for other in ["77-4.checkpoint", "00000000000000000077-0000000004.log", "x.checkpoint"] {
            assert_eq!(SnapshotId::parse(other), None);
        }
        assert!(id < SnapshotId { end_offset: 78, epoch: 3 });
    }
}
