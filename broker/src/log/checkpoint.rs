//! Checkpoint files: one offset per partition of a node, in Kafka's text format (LOG-5).
//!
//! `replication-offset-checkpoint` and `recovery-point-offset-checkpoint` have this form. They may be stale after a
//! crash; whoever reads one clamps.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::ids::*;
use crate::io::{Disk, DiskError, SyncToken};

/// Reads a checkpoint. Missing, unreadable or malformed files count as empty: what they say is only a hint.
///
/// Differs from Kafka: a malformed file does not take the log directory offline.
pub fn read_offset_checkpoint(path: &str, disk: &dyn Disk) -> BTreeMap<TopicPartition, Offset> {
    let content = disk.read_file(path).ok().flatten();
    content.and_then(|bytes| parse(std::str::from_utf8(&bytes).ok()?)).unwrap_or_default()
}

fn parse(text: &str) -> Option<BTreeMap<TopicPartition, Offset>> {
    let mut lines = text.lines();
    if lines.next()? != "0" {
        return None;
    }
    let count: usize = lines.next()?.parse().ok()?;
    let offsets: BTreeMap<_, _> = lines.map(parse_line).collect::<Option<_>>()?;
    (offsets.len() == count).then_some(offsets)
}

fn parse_line(line: &str) -> Option<(TopicPartition, Offset)> {
    let mut words = line.split(' ');
    let partition = TopicPartition::new(words.next()?, words.next()?.parse().ok()?);
    let offset = words.next()?.parse().ok()?;
    words.next().is_none().then_some((partition, offset))
}

/// Replaces a checkpoint as a whole: version 0, count, then `topic partition offset` per line. Errors: the disk's.
pub fn write_offset_checkpoint(
    path: &str,
    offsets: &BTreeMap<TopicPartition, Offset>,
    disk: &mut dyn Disk,
) -> Result<SyncToken, DiskError> {
    let mut text = format!("0\n{}\n", offsets.len());
    for (partition, offset) in offsets {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {} {offset}", partition.topic, partition.partition);
    }
    disk.replace(path, text.into())
}

#[cfg(test)]
mod tests {
    use super::super::MemoryDisk;
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut disk = MemoryDisk::new();
        let offsets: BTreeMap<_, _> =
            [(TopicPartition::new("a", 0), 5), (TopicPartition::new("b-1", 12), i64::MAX)].into();
        write_offset_checkpoint("replication-offset-checkpoint", &offsets, &mut disk).unwrap();
        let content = disk.read_file("replication-offset-checkpoint").unwrap().unwrap();
        assert_eq!(content, "0\n2\na 0 5\nb-1 12 9223372036854775807\n");
        assert_eq!(read_offset_checkpoint("replication-offset-checkpoint", &disk), offsets);
    }

    #[test]
    fn what_cannot_be_understood_is_empty() {
        let mut disk = MemoryDisk::new();
        assert!(read_offset_checkpoint("missing", &disk).is_empty());
        for content in ["", "1\n0\n", "0\n2\na 0 5\n", "0\n1\na 0\n", "0\n1\na 0 5 6\n", "0\nx\n", "\u{1}"] {
            disk.replace("c", content.into()).unwrap();
            assert!(read_offset_checkpoint("c", &disk).is_empty(), "{content:?}");
        }
    }
}
