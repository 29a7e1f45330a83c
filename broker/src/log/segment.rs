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

/// One segment: `<dir>/<20 digits>.log`, named for its base offset.
#[derive(Debug)]
pub(super) struct Segment {
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

/// The path of a segment.
pub(super) fn segment_path(dir: &str, base_offset: Offset) -> String {
    format!("{dir}/{base_offset:020}.log")
}

/// The base offset that a file name stands for.
pub(super) fn base_offset_of(file_name: &str) -> Option<Offset> {
    let digits = file_name.strip_suffix(".log")?;
    if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

impl Segment {
    /// Creates an empty segment.
    pub fn create(
        dir: &str,
        base_offset: Offset,
        write: u64,
        disk: &mut dyn Disk,
    ) -> Result<Segment, DiskError> {
        let path = segment_path(dir, base_offset);
        let file = disk.open(&path, true)?;
        if disk.len(file) > 0 {
            disk.truncate(file, 0)?;
        }
        Ok(Segment { base_offset, path, file, size: 0, index: Vec::new(), dirty: Some(write) })
    }

    /// Opens an existing segment and reads its headers, and with `check_crc` every batch. Batches must follow each other
    /// without a gap from the base offset; true in the answer if the file goes on with bytes that do not.
    pub fn open(
        dir: &str,
        base_offset: Offset,
        check_crc: bool,
        disk: &mut dyn Disk,
    ) -> Result<(Segment, bool), DiskError> {
        let path = segment_path(dir, base_offset);
        let file = disk.open(&path, false)?;
        let length = disk.len(file);
        let mut segment = Segment { base_offset, path, file, size: 0, index: Vec::new(), dirty: None };
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
