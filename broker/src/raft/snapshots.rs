//! The snapshots on a node's disk: which there are, which one is being written (KIP-630).
//!
//! A file is written aside, synced and renamed, so a crash leaves the old content or the new. It counts only once that is
//! durable: the log behind a snapshot goes afterwards, never before.

use bytes::Bytes;
use std::collections::BTreeSet;

use super::snapshot_file::{SnapshotContent, SnapshotId};
use crate::ids::Offset;
use crate::io::{Disk, DiskError, SyncToken};

/// How many durable snapshots are kept. Source: ours; Kafka keeps what `metadata.max.retention.*` allow.
const KEPT: usize = 2;

/// The snapshots of one log.
#[derive(Debug, Default)]
pub struct Snapshots {
    dir: String,
    /// Complete ones. Those that were found at boot may not be durable, but for the newest of the kept ones that is asked for.
    complete: BTreeSet<SnapshotId>,
    writing: Option<(SyncToken, SnapshotContent)>,
}

impl Snapshots {
    /// Looks through `dir`. Returns the newest complete snapshot; files that are none go. It is written once more: what was
    /// read may be page cache that a crash left unsynced. Errors: the disk's.
    pub fn open(dir: &str, disk: &mut dyn Disk) -> Result<(Snapshots, Option<SnapshotContent>), DiskError> {
        let mut snapshots = Snapshots { dir: dir.to_owned(), ..Snapshots::default() };
        let mut newest = None;
        let mut ids: Vec<_> = disk.list(dir).iter().filter_map(|name| SnapshotId::parse(name)).collect();
        ids.sort_unstable();
        for id in ids.into_iter().rev() {
            let path = id.path(dir);
            let file = disk.read_file(&path)?.unwrap_or_default();
            let Some(content) = SnapshotContent::decode(id, file) else {
                disk.remove(&path)?;
                continue;
            };
            if newest.is_none() {
                snapshots.write(&content, disk)?;
                newest = Some(content);
            }
            snapshots.complete.insert(id);
        }
        Ok((snapshots, newest))
    }

    /// The newest complete snapshot.
    pub fn latest(&self) -> Option<SnapshotId> {
        self.complete.last().copied()
    }

    /// The oldest complete snapshot: where the log begins, or will.
    pub fn earliest(&self) -> Option<SnapshotId> {
        self.complete.first().copied()
    }

    /// The one that ends at `offset`.
    pub fn ending_at(&self, offset: Offset) -> Option<SnapshotId> {
        self.complete.iter().copied().find(|id| id.end_offset == offset)
    }

    /// Is it here, complete?
    pub fn has(&self, id: SnapshotId) -> bool {
        self.complete.contains(&id)
    }

    /// Is one being written?
    pub fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Starts to write a snapshot. Errors: the disk's.
    pub fn write(&mut self, content: &SnapshotContent, disk: &mut dyn Disk) -> Result<(), DiskError> {
        let token = disk.replace(&content.id().path(&self.dir), content.encode())?;
        self.writing = Some((token, content.clone()));
        Ok(())
    }

    /// Takes the completion of a write; `None`: the token is not of a snapshot. Errors: the write failed.
    pub fn on_synced(
        &mut self,
        token: SyncToken,
        result: &Result<(), DiskError>,
    ) -> Option<Result<SnapshotContent, DiskError>> {
        let (_, content) = self.writing.take_if(|(mine, _)| *mine == token)?;
        Some(result.clone().map(|()| {
            self.complete.insert(content.id());
            content
        }))
    }

    /// Removes all but the newest ones; the newest is durable. Errors: the disk's.
    pub fn remove_old(&mut self, disk: &mut dyn Disk) -> Result<(), DiskError> {
        while self.complete.len() > KEPT
            && let Some(oldest) = self.complete.pop_first()
        {
            disk.remove(&oldest.path(&self.dir))?;
        }
        Ok(())
    }

    /// Removes all that are older than `id`: the log begins behind it. Errors: the disk's.
    pub fn remove_below(&mut self, id: SnapshotId, disk: &mut dyn Disk) -> Result<(), DiskError> {
        while let Some(oldest) = self.complete.first().copied().filter(|oldest| *oldest < id) {
            disk.remove(&oldest.path(&self.dir))?;
            self.complete.pop_first();
        }
        Ok(())
    }

    /// The bytes of a snapshot; `None` if it is not here. Errors: the disk's.
    pub fn read(&self, id: SnapshotId, disk: &dyn Disk) -> Result<Option<Bytes>, DiskError> {
        if self.has(id) { disk.read_file(&id.path(&self.dir)) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::MemoryDisk;
    use crate::metadata::MetadataSnapshot;

    fn content(end_offset: i64) -> SnapshotContent {
        let records = vec![Bytes::from(format!("state at {end_offset}"))];
        SnapshotContent { metadata: MetadataSnapshot { end_offset, epoch: 1, records }, voters: None }
    }

    fn finish(snapshots: &mut Snapshots, disk: &mut MemoryDisk) {
        for token in disk.complete_all() {
            assert!(snapshots.on_synced(token, &Ok(())).is_some());
        }
    }

    fn files(disk: &MemoryDisk) -> usize {
        disk.list("d").iter().filter(|name| SnapshotId::parse(name).is_some()).count()
    }

    #[test]
    fn a_snapshot_counts_when_it_is_durable_and_the_newest_two_stay() {
        let mut disk = MemoryDisk::new();
        let (mut snapshots, newest) = Snapshots::open("d", &mut disk).unwrap();
        assert_eq!(newest, None);
        for end in [10, 20, 30] {
            snapshots.write(&content(end), &mut disk).unwrap();
            assert!(snapshots.is_writing() && !snapshots.has(content(end).id()));
            finish(&mut snapshots, &mut disk);
            snapshots.remove_old(&mut disk).unwrap();
        }
        let ends = (snapshots.earliest().unwrap().end_offset, snapshots.latest().unwrap().end_offset);
        assert_eq!((ends, files(&disk)), ((20, 30), 2));
        let bytes = snapshots.read(content(30).id(), &disk).unwrap();
        assert_eq!(bytes, Some(content(30).encode()));
        assert_eq!(snapshots.read(content(10).id(), &disk), Ok(None));
    }

    #[test]
    fn a_crash_at_any_point_of_writing_leaves_the_old_snapshot_or_the_new_one() {
        for completed in 0..2 {
            for keep in 0..2u64 {
                let mut disk = MemoryDisk::new();
                let (mut snapshots, _) = Snapshots::open("d", &mut disk).unwrap();
                snapshots.write(&content(10), &mut disk).unwrap();
                finish(&mut snapshots, &mut disk);
                snapshots.write(&content(20), &mut disk).unwrap();
                if completed == 1 {
                    finish(&mut snapshots, &mut disk);
                }
                disk.power_loss(&mut |n| if keep == 0 { 0 } else { n - 1 });
                let (again, newest) = Snapshots::open("d", &mut disk).unwrap();
                let end = newest.expect("one of them").metadata.end_offset;
                assert!(end == 20 || completed == 0 && end == 10, "{end}");
                assert_eq!(again.latest().map(|id| id.end_offset), Some(end));
            }
        }
    }

    #[test]
    fn a_damaged_file_is_no_snapshot() {
        let mut disk = MemoryDisk::new();
        for end in [10, 20] {
            disk.replace(&content(end).id().path("d"), content(end).encode()).unwrap();
        }
        disk.flip(&content(20).id().path("d"), 70);
        let (snapshots, newest) = Snapshots::open("d", &mut disk).unwrap();
        assert_eq!(newest.map(|c| c.metadata.end_offset), Some(10));
        assert_eq!((snapshots.latest(), files(&disk)), (Some(content(10).id()), 1));
    }

    #[test]
    fn a_failed_write_is_told() {
        let mut disk = MemoryDisk::new();
        let (mut snapshots, _) = Snapshots::open("d", &mut disk).unwrap();
        snapshots.write(&content(10), &mut disk).unwrap();
        let token = disk.pending_syncs()[0];
        let failed = Err(DiskError::Io("disk".into()));
        assert_eq!(snapshots.on_synced(token, &failed), Some(Err(DiskError::Io("disk".into()))));
        assert_eq!((snapshots.latest(), snapshots.is_writing()), (None, false));
    }
}
