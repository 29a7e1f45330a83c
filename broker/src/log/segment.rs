//! One segment file, and where its batches are.
//!
//! Differs from Kafka: the index holds every batch's header, lives in memory only, and is rebuilt from the file on open;
//! there are no `.index` and `.timeindex` files, hence none that can disagree with the log.

use bytes::Bytes;

use super::batch::{BatchHeader, HEADER_BYTES};
use crate::ids::Offset;
use crate::io::{Disk, DiskError, FileId};

/// One batch of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Where in the file it begins.
    pub position: u64,
    /// Its header as it is on the disk.
    pub header: BatchHeader,
}

impl Entry {
    pub fn end_position(&self) -> u64 {
        self.position + self.header.size_bytes() as u64
    }
}

/// Which file a segment is: `<20 digits>.log`, or `<20 digits>.<generation>.<previous>.log` after the first cut.
///
/// Every cut of the log begins a generation. A segment names the generation of the segment before it (`root`: there is
/// none), so that segments are told apart from ones of another history that end at the same offset (see `loader.rs`).
///
/// Differs from Kafka: its names hold the base offset only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SegmentName {
    pub generation: u64,
    pub base_offset: Offset,
    /// Generation of the segment before it.
    pub previous: Option<u64>,
}

impl SegmentName {
    /// The first segment of a log.
    pub const FIRST: SegmentName = SegmentName { generation: 0, base_offset: 0, previous: None };

    /// The first segment of a log that starts anew.
    pub fn root(generation: u64, base_offset: Offset) -> SegmentName {
        SegmentName { generation, base_offset, previous: None }
    }

    pub fn parse(file_name: &str) -> Option<SegmentName> {
        let mut parts = file_name.strip_suffix(".log")?.split('.');
        let digits = parts.next()?;
        if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let base_offset = digits.parse().ok()?;
        let Some(generation) = parts.next() else {
            return Some(SegmentName {
                generation: 0,
                base_offset,
                previous: (base_offset > 0).then_some(0),
            });
        };
        let generation = generation.parse().ok()?;
        let previous = match parts.next()? {
            "root" => None,
            previous => Some(previous.parse().ok()?),
        };
        parts.next().is_none().then_some(SegmentName { generation, base_offset, previous })
    }

    pub fn path(&self, dir: &str) -> String {
        let SegmentName { generation, base_offset, previous } = self;
        match previous {
            _ if *generation == 0 => format!("{dir}/{base_offset:020}.log"),
            None => format!("{dir}/{base_offset:020}.{generation}.root.log"),
            Some(previous) => format!("{dir}/{base_offset:020}.{generation}.{previous}.log"),
        }
    }
}

/// One segment.
#[derive(Debug)]
pub(super) struct Segment {
    pub name: SegmentName,
    pub base_offset: Offset,
    pub path: String,
    pub file: FileId,
    /// Size of the file in bytes.
    pub size: u64,
    /// Its batches in order; never a gap between two.
    pub index: Vec<Entry>,
    /// Which write of the log changed the file last; `None` if all of it is durable.
    pub dirty: Option<u64>,
}

impl Segment {
    /// Creates an empty segment.
    pub fn create(
        dir: &str,
        name: SegmentName,
        write: u64,
        disk: &mut dyn Disk,
    ) -> Result<Segment, DiskError> {
        let (path, base_offset) = (name.path(dir), name.base_offset);
        let file = disk.open(&path, true)?;
        if disk.len(file) > 0 {
            disk.truncate(file, 0)?;
        }
        Ok(Segment { name, base_offset, path, file, size: 0, index: Vec::new(), dirty: Some(write) })
    }

    /// Opens an existing segment and reads its headers, and with `check_crc` every batch. Batches must follow each other
    /// without a gap from the base offset; true in the answer if the file goes on with bytes that do not.
    pub fn open(
        dir: &str,
        name: SegmentName,
        check_crc: bool,
        disk: &mut dyn Disk,
    ) -> Result<(Segment, bool), DiskError> {
        let (path, base_offset) = (name.path(dir), name.base_offset);
        let file = disk.open(&path, false)?;
        let length = disk.len(file);
        let mut segment = Segment { name, base_offset, path, file, size: 0, index: Vec::new(), dirty: None };
        while segment.size < length {
            let Some(entry) = segment.scan(segment.size, length, check_crc, disk)? else {
                return Ok((segment, true));
            };
            segment.size = entry.end_position();
            segment.index.push(entry);
        }
        Ok((segment, false))
    }

    fn scan(
        &self,
        position: u64,
        length: u64,
        check_crc: bool,
        disk: &dyn Disk,
    ) -> Result<Option<Entry>, DiskError> {
        let Ok(header) = BatchHeader::parse(&disk.read(self.file, position, HEADER_BYTES)?) else {
            return Ok(None);
        };
        let entry = Entry { position, header };
        if header.base_offset != self.next_offset() || entry.end_position() > length {
            return Ok(None);
        }
        if check_crc && header.check_crc(&disk.read(self.file, position, header.size_bytes())?).is_err() {
            return Ok(None);
        }
        Ok(Some(entry))
    }

    /// The end that the header after the last good batch claims, if it is one.
    pub fn claimed_end(&self, disk: &dyn Disk) -> Result<Option<Offset>, DiskError> {
        let header = BatchHeader::parse(&disk.read(self.file, self.size, HEADER_BYTES)?).ok();
        Ok(header
            .filter(|header| header.base_offset == self.next_offset())
            .map(|header| header.next_offset()))
    }

    /// The offset after its last record.
    pub fn next_offset(&self) -> Offset {
        self.index.last().map_or(self.base_offset, |entry| entry.header.next_offset())
    }

    /// Appends whole batches whose headers are `headers`.
    pub fn append(
        &mut self,
        bytes: Bytes,
        headers: &[BatchHeader],
        write: u64,
        disk: &mut dyn Disk,
    ) -> Result<(), DiskError> {
        let length = bytes.len() as u64;
        let mut position = disk.append(self.file, bytes)?;
        crate::invariant!(position == self.size, "{} is {position} long, not {}", self.path, self.size);
        for header in headers {
            self.index.push(Entry { position, header: *header });
            position += header.size_bytes() as u64;
        }
        self.size += length;
        self.dirty = Some(write);
        Ok(())
    }

    /// Does a batch begin or the segment end at `offset`?
    pub fn has_border_at(&self, offset: Offset) -> bool {
        let begins = self.index.get(self.find(offset)).map(|entry| entry.header.base_offset);
        begins.unwrap_or(self.next_offset()) == offset
    }

    /// Index of the batch that holds `offset`, or of the first one after it.
    pub fn find(&self, offset: Offset) -> usize {
        self.index.partition_point(|entry| entry.header.last_offset() < offset)
    }

    /// Cuts the batch that holds `to` and everything after it.
    pub fn truncate(&mut self, to: Offset, write: u64, disk: &mut dyn Disk) -> Result<(), DiskError> {
        let keep = self.find(to);
        let Some(first_cut) = self.index.get(keep) else { return Ok(()) };
        disk.truncate(self.file, first_cut.position)?;
        self.size = first_cut.position;
        self.index.truncate(keep);
        self.dirty = Some(write);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        let name = |generation, base_offset, previous| SegmentName { generation, base_offset, previous };
        for (expected, name) in [
            ("d/00000000000000000000.log", SegmentName::FIRST),
            ("d/00000000000000000070.log", name(0, 70, Some(0))),
            ("d/00000000000000000070.3.1.log", name(3, 70, Some(1))),
            ("d/09223372036854775807.3.root.log", name(3, Offset::MAX, None)),
        ] {
            let path = name.path("d");
            assert_eq!(path, expected);
            assert_eq!(SegmentName::parse(&path[2..]), Some(name));
        }
        for other in ["7.log", "00000000000000000000.index", "0000000000000000000x.log", "partition.metadata"]
        {
            assert_eq!(SegmentName::parse(other), None);
        }
    }
}
