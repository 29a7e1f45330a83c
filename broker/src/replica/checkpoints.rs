//! What the broker knows of its logs across restarts: two offset checkpoints and the clean-shutdown marker (LOG-4, LOG-5).

use std::collections::BTreeMap;

use crate::ids::{BrokerEpoch, Offset, TopicPartition};
use crate::io::{Disk, DiskError, SyncToken};
use crate::log::{RecoveryHints, read_offset_checkpoint, write_offset_checkpoint};

/// High watermarks.
pub const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
/// Durable ends.
pub const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
/// Says that everything was flushed before the process ended. Source: Kafka's `CleanShutdownFileHandler`.
pub const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";

/// What the last run left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The broker epoch of the run that ended cleanly; `None` after a crash.
    pub clean_shutdown: Option<BrokerEpoch>,
    high_watermarks: BTreeMap<TopicPartition, Offset>,
    recovery_points: BTreeMap<TopicPartition, Offset>,
}

impl Left {
    /// Reads everything and removes the marker: from now on a crash is a crash. Errors: the disk's.
    pub fn take(disk: &mut dyn Disk) -> Result<Left, DiskError> {
        let marker = disk.read_file(CLEAN_SHUTDOWN)?;
        if marker.is_some() {
            disk.remove(CLEAN_SHUTDOWN)?;
            disk.sync_dir("");
        }
        Ok(Left {
            clean_shutdown: marker.map(|bytes| broker_epoch_in(&bytes)),
            high_watermarks: read_offset_checkpoint(HIGH_WATERMARKS, disk),
            recovery_points: read_offset_checkpoint(RECOVERY_POINTS, disk),
        })
    }

    /// What to believe of one log.
    pub fn hints(&self, partition: &TopicPartition) -> RecoveryHints {
        RecoveryHints {
            clean_shutdown: self.clean_shutdown.is_some(),
            recovery_point: self.recovery_points.get(partition).copied().unwrap_or(0),
            high_watermark: self.high_watermarks.get(partition).copied().unwrap_or(0),
        }
    }
}

/// Writes the marker. Errors: the disk's.
pub fn write_marker(broker_epoch: BrokerEpoch, disk: &mut dyn Disk) -> Result<SyncToken, DiskError> {
    disk.replace(CLEAN_SHUTDOWN, format!(r#"{{"version":0,"brokerEpoch":{broker_epoch}}}"#).into())
}

/// The broker epoch of a marker, -1 if it does not tell.
fn broker_epoch_in(marker: &[u8]) -> BrokerEpoch {
    let text = std::str::from_utf8(marker).unwrap_or_default();
    let behind = text.split_once(r#""brokerEpoch":"#).map_or("", |(_, behind)| behind);
    behind.split('}').next().and_then(|number| number.trim().parse().ok()).unwrap_or(-1)
}

/// One checkpoint file; written only if there is news.
#[derive(Debug)]
pub struct Checkpoint {
    path: &'static str,
    written: Option<BTreeMap<TopicPartition, Offset>>,
}

impl Checkpoint {
    /// A checkpoint that was not written in this run.
    pub fn new(path: &'static str) -> Self {
        Checkpoint { path, written: None }
    }

    /// Replaces the file, if it would say something else. Errors: the disk's.
    pub fn write(
        &mut self,
        offsets: BTreeMap<TopicPartition, Offset>,
        disk: &mut dyn Disk,
    ) -> Result<Option<SyncToken>, DiskError> {
        if self.written.as_ref() == Some(&offsets) {
            return Ok(None);
        }
        let token = write_offset_checkpoint(self.path, &offsets, disk)?;
        self.written = Some(offsets);
        Ok(Some(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::MemoryDisk;

    #[test]
    fn the_marker_is_believed_once() {
        let mut disk = MemoryDisk::new();
        write_marker(42, &mut disk).unwrap();
        assert_eq!(Left::take(&mut disk).unwrap().clean_shutdown, Some(42));
        assert_eq!(Left::take(&mut disk).unwrap().clean_shutdown, None);
    }

    #[test]
    fn a_marker_without_an_epoch_is_still_a_marker() {
        assert_eq!(broker_epoch_in(b"version: 0"), -1);
    }

    #[test]
    fn a_checkpoint_is_written_only_with_news() {
        let mut disk = MemoryDisk::new();
        let mut checkpoint = Checkpoint::new(HIGH_WATERMARKS);
        let offsets = BTreeMap::from([(TopicPartition::new("t", 0), 5)]);
        assert!(checkpoint.write(offsets.clone(), &mut disk).unwrap().is_some());
        assert!(checkpoint.write(offsets, &mut disk).unwrap().is_none());
        let left = Left::take(&mut disk).unwrap();
        assert_eq!(left.hints(&TopicPartition::new("t", 0)).high_watermark, 5);
        assert_eq!(left.hints(&TopicPartition::new("t", 1)).high_watermark, 0);
    }
}
