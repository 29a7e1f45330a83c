//! [`MemoryDisk`]: a disk for tests and models. It keeps apart what a process sees and what a power failure leaves.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use crate::io::{Disk, DiskError, FileId, SyncToken};

/// The content of a file as the pieces in which it was appended.
#[derive(Debug, Clone, Default)]
struct Extents {
    pieces: Vec<(u64, Bytes)>,
    len: u64,
}

impl Extents {
    fn append(&mut self, bytes: Bytes) -> u64 {
        let at = self.len;
        self.len += bytes.len() as u64;
        if !bytes.is_empty() {
            self.pieces.push((at, bytes));
        }
        at
    }

    fn truncate(&mut self, len: u64) {
        self.len = self.len.min(len);
        let keep = self.pieces.partition_point(|(at, _)| *at < self.len);
        self.pieces.truncate(keep);
        if let Some((at, bytes)) = self.pieces.last_mut() {
            bytes.truncate((self.len - *at) as usize);
        }
    }

    /// A slice if one piece holds the range, else a copy.
    fn read(&self, at: u64, len: usize) -> Bytes {
        let end = at.saturating_add(len as u64).min(self.len);
        if at >= end {
            return Bytes::new();
        }
        let first = self.pieces.partition_point(|(start, bytes)| start + bytes.len() as u64 <= at);
        let cut = |(start, bytes): &(u64, Bytes)| {
            let from = at.saturating_sub(*start) as usize;
            let to = (end - start).min(bytes.len() as u64) as usize;
            bytes.slice(from..to)
        };
        let (start, bytes) = &self.pieces[first];
        if start + bytes.len() as u64 >= end {
            return cut(&self.pieces[first]);
        }
        let mut copy = BytesMut::with_capacity((end - at) as usize);
        for piece in self.pieces[first..].iter().take_while(|(start, _)| *start < end) {
            copy.extend_from_slice(&cut(piece));
        }
        copy.freeze()
    }
}

#[derive(Debug, Clone)]
enum Write {
    Append(Bytes),
    Truncate(u64),
}

impl Write {
    fn apply(self, content: &mut Extents) {
        match self {
            Write::Append(bytes) => {
                content.append(bytes);
            }
            Write::Truncate(len) => content.truncate(len),
        }
    }
}

/// A file apart from its name.
#[derive(Debug, Clone, Default)]
struct Inode {
    cached: Extents,
    durable: Extents,
    /// Writes that are not durable yet, with the disk-wide number of each.
    unsynced: Vec<(u64, Write)>,
}

impl Inode {
    /// Bytes at the beginning that no unsynced write touches.
    fn synced_len(&self) -> u64 {
        let cuts = self.unsynced.iter().map(|(_, write)| match write {
            Write::Truncate(len) => *len,
            Write::Append(_) => u64::MAX,
        });
        cuts.min().unwrap_or(u64::MAX).min(self.durable.len)
    }

    fn make_durable(&mut self, up_to: u64) {
        let count = self.unsynced.partition_point(|(number, _)| *number <= up_to);
        for (_, write) in self.unsynced.drain(..count) {
            write.apply(&mut self.durable);
        }
    }
}

/// A change of one name.
#[derive(Debug, Clone)]
struct NameChange {
    number: u64,
    path: String,
    /// `None`: the name is gone.
    inode: Option<usize>,
}

#[derive(Debug, Clone)]
enum Sync {
    File(usize),
    Directory(String),
}

/// A disk in memory with a page cache and explicit durability.
///
/// Syncs finish only when [`complete`](Self::complete) or [`complete_all`](Self::complete_all) is called.
/// *Model of a power failure:* each change of a name that was not synced survives or not, on its own; unsynced writes of a
/// file survive as a prefix, of which the last one may be torn, and a part of them may be zero; different files are
/// independent of each other. A replaced file is old or new as a whole.
#[derive(Debug, Default)]
pub struct MemoryDisk {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    unsynced_names: Vec<NameChange>,
    open_files: Vec<usize>,
    syncs: BTreeMap<SyncToken, (u64, Sync)>,
    next_token: u64,
    numbers: u64,
    fails_with: Option<DiskError>,
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every operation that changes something fails so from now on, until set to `None`.
    pub fn fail_writes_with(&mut self, error: Option<DiskError>) {
        self.fails_with = error;
    }

    /// The syncs that were asked for and are not finished, oldest first.
    pub fn pending_syncs(&self) -> Vec<SyncToken> {
        self.syncs.keys().copied().collect()
    }

    /// Finishes one sync: what it covers becomes durable. False if there is no such sync.
    pub fn complete(&mut self, token: SyncToken) -> bool {
        let Some((number, sync)) = self.syncs.remove(&token) else { return false };
        match sync {
            Sync::File(inode) => self.inodes[inode].make_durable(number),
            Sync::Directory(dir) => {
                let (now, later) = std::mem::take(&mut self.unsynced_names)
                    .into_iter()
                    .partition(|change| change.number <= number && directory_of(&change.path) == dir);
                self.unsynced_names = later;
                apply_names(&mut self.durable_names, now);
            }
        }
        true
    }

    /// Finishes every sync, in the order in which they were asked for.
    pub fn complete_all(&mut self) -> Vec<SyncToken> {
        let tokens = self.pending_syncs();
        for token in &tokens {
            self.complete(*token);
        }
        tokens
    }

    /// The process ends: open files and running syncs are forgotten, the page cache stays (and stays undurable).
    pub fn process_crash(&mut self) {
        self.open_files.clear();
        self.syncs.clear();
    }

    /// Power fails. `choose(n)` picks a number in `0..n` for each cut that the model leaves open.
    pub fn power_loss(&mut self, choose: &mut dyn FnMut(u64) -> u64) {
        self.process_crash();
        let survivors = std::mem::take(&mut self.unsynced_names).into_iter().filter(|_| choose(2) == 1);
        let survivors: Vec<NameChange> = survivors.collect();
        apply_names(&mut self.durable_names, survivors);
        self.names = self.durable_names.clone();
        for inode in &mut self.inodes {
            let survivors = choose(inode.unsynced.len() as u64 + 1) as usize;
            let mut lost = inode.unsynced.split_off(survivors).into_iter();
            let synced = inode.synced_len();
            inode.make_durable(u64::MAX);
            if let Some((_, Write::Append(bytes))) = lost.next() {
                inode.durable.append(bytes.slice(..choose(bytes.len() as u64 + 1) as usize));
            }
            if inode.durable.len > synced && choose(4) == 1 {
                lose_a_part(&mut inode.durable, synced, choose);
            }
            inode.cached = inode.durable.clone();
        }
    }

    /// Changes one byte of a file as it is read from now on. False if there is no such byte.
    pub fn flip(&mut self, path: &str, at: u64) -> bool {
        let Some(inode) = self.names.get(path).map(|inode| &mut self.inodes[*inode]) else { return false };
        if at >= inode.cached.len {
            return false;
        }
        let mut bytes = BytesMut::from(&inode.cached.read(0, inode.cached.len as usize)[..]);
        bytes[at as usize] ^= 0x55;
        inode.cached = Extents::default();
        inode.cached.append(bytes.freeze());
        true
    }

    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn check(&self) -> Result<(), DiskError> {
        self.fails_with.clone().map_or(Ok(()), Err)
    }

    fn ask(&mut self, sync: Sync) -> SyncToken {
        self.next_token += 1;
        let token = SyncToken(self.next_token);
        self.syncs.insert(token, (self.numbers, sync));
        token
    }

    fn set_name(&mut self, path: &str, inode: Option<usize>) {
        let number = self.next_number();
        let change = NameChange { number, path: path.to_owned(), inode };
        apply_names(&mut self.names, vec![change.clone()]);
        self.unsynced_names.push(change);
    }

    fn inode(&self, file: FileId) -> Result<usize, DiskError> {
        self.open_files.get(file.0 as usize).copied().ok_or(DiskError::NotFound(format!("file {}", file.0)))
    }

    fn write(&mut self, file: FileId, write: Write) -> Result<(), DiskError> {
        self.check()?;
        let inode = self.inode(file)?;
        let number = self.next_number();
        write.clone().apply(&mut self.inodes[inode].cached);
        self.inodes[inode].unsynced.push((number, write));
        Ok(())
    }
}

fn directory_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

fn apply_names(names: &mut BTreeMap<String, usize>, changes: Vec<NameChange>) {
    for change in changes {
        match change.inode {
            Some(inode) => names.insert(change.path, inode),
            None => names.remove(&change.path),
        };
    }
}

/// The smallest run of bytes that is lost in front of others. A disk loses sectors; anything shorter than a few fields
/// could hit just those of a batch that no checksum covers, which no disk does.
const LOST_BYTES_MIN: u64 = 32;

/// Zeros where something after `synced` did not reach the disk although later bytes did.
fn lose_a_part(content: &mut Extents, synced: u64, choose: &mut dyn FnMut(u64) -> u64) {
    let mut bytes = BytesMut::from(&content.read(0, content.len as usize)[..]);
    let begin = synced + choose(content.len - synced);
    let end = (begin + LOST_BYTES_MIN + choose(content.len - begin)).min(content.len);
    bytes[begin as usize..end as usize].fill(0);
    *content = Extents::default();
    content.append(bytes.freeze());
}

impl Disk for MemoryDisk {
    fn open(&mut self, path: &str, create: bool) -> Result<FileId, DiskError> {
        let inode = match self.names.get(path) {
            Some(inode) => *inode,
            None if !create => return Err(DiskError::NotFound(path.to_owned())),
            None => {
                self.check()?;
                self.inodes.push(Inode::default());
                self.set_name(path, Some(self.inodes.len() - 1));
                self.inodes.len() - 1
            }
        };
        self.open_files.push(inode);
        Ok(FileId(self.open_files.len() as u32 - 1))
    }

    fn append(&mut self, file: FileId, bytes: Bytes) -> Result<u64, DiskError> {
        let at = self.len(file);
        self.write(file, Write::Append(bytes))?;
        Ok(at)
    }

    fn read(&self, file: FileId, at: u64, len: usize) -> Result<Bytes, DiskError> {
        Ok(self.inodes[self.inode(file)?].cached.read(at, len))
    }

    fn len(&self, file: FileId) -> u64 {
        self.inode(file).map_or(0, |inode| self.inodes[inode].cached.len)
    }

    fn truncate(&mut self, file: FileId, len: u64) -> Result<(), DiskError> {
        self.write(file, Write::Truncate(len))
    }

    fn remove(&mut self, path: &str) -> Result<(), DiskError> {
        self.check()?;
        if !self.names.contains_key(path) {
            return Err(DiskError::NotFound(path.to_owned()));
        }
        self.set_name(path, None);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.check()?;
        let inode = *self.names.get(from).ok_or_else(|| DiskError::NotFound(from.to_owned()))?;
        self.set_name(to, Some(inode));
        self.set_name(from, None);
        Ok(())
    }

    fn list(&self, dir: &str) -> Vec<String> {
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let inside = self.names.keys().filter_map(|path| path.strip_prefix(&prefix));
        let mut names: Vec<String> =
            inside.map(|rest| rest.split_once('/').map_or(rest, |(name, _)| name).to_owned()).collect();
        names.sort();
        names.dedup();
        names
    }

    fn sync(&mut self, file: FileId) -> SyncToken {
        // A closed file has nothing left to make durable.
        let sync = self.inode(file).map_or(Sync::Directory("?".to_owned()), Sync::File);
        self.ask(sync)
    }

    fn sync_dir(&mut self, dir: &str) -> SyncToken {
        self.ask(Sync::Directory(dir.to_owned()))
    }

    fn replace(&mut self, path: &str, bytes: Bytes) -> Result<SyncToken, DiskError> {
        self.check()?;
        // The temporary file is synced before it gets its name: only the name can be lost.
        let mut content = Extents::default();
        content.append(bytes);
        self.inodes.push(Inode { cached: content.clone(), durable: content, unsynced: Vec::new() });
        self.set_name(path, Some(self.inodes.len() - 1));
        Ok(self.ask(Sync::Directory(directory_of(path).to_owned())))
    }

    fn read_file(&self, path: &str) -> Result<Option<Bytes>, DiskError> {
        let content = self.names.get(path).map(|inode| &self.inodes[*inode].cached);
        Ok(content.map(|content| content.read(0, content.len as usize)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep_nothing(_: u64) -> u64 {
        0
    }

    fn content(disk: &MemoryDisk, path: &str) -> Option<Bytes> {
        disk.read_file(path).unwrap()
    }

    #[test]
    fn a_write_is_seen_at_once_and_durable_after_both_syncs() {
        let mut disk = MemoryDisk::new();
        let file = disk.open("d/a", true).unwrap();
        assert_eq!(disk.append(file, "one".into()), Ok(0));
        assert_eq!(disk.append(file, "two".into()), Ok(3));
        assert_eq!(disk.read(file, 1, 4), Ok("netw".into()));
        disk.sync(file);
        disk.sync_dir("d");
        assert_eq!(disk.complete_all().len(), 2);
        disk.append(file, "lost".into()).unwrap();
        disk.power_loss(&mut keep_nothing);
        assert_eq!(content(&disk, "d/a"), Some("onetwo".into()));
    }

    #[test]
    fn a_file_vanishes_whose_directory_was_not_synced() {
        let mut disk = MemoryDisk::new();
        let file = disk.open("d/a", true).unwrap();
        disk.append(file, "one".into()).unwrap();
        disk.sync(file);
        disk.complete_all();
        disk.power_loss(&mut keep_nothing);
        assert_eq!((content(&disk, "d/a"), disk.list("")), (None, vec![]));
        assert!(disk.append(file, "x".into()).is_err(), "file ids end with the boot");
    }

    #[test]
    fn a_sync_covers_only_what_came_before_it() {
        let mut disk = MemoryDisk::new();
        let file = disk.open("a", true).unwrap();
        disk.append(file, "one".into()).unwrap();
        disk.sync_dir("");
        disk.sync(file);
        disk.append(file, "two".into()).unwrap();
        disk.truncate(file, 1).unwrap();
        disk.complete_all();
        disk.power_loss(&mut keep_nothing);
        assert_eq!(content(&disk, "a"), Some("one".into()));
    }

    #[test]
    fn the_last_surviving_write_may_be_torn() {
        let mut disk = MemoryDisk::new();
        let file = disk.open("a", true).unwrap();
        disk.sync_dir("");
        disk.complete_all();
        disk.append(file, "abcdef".into()).unwrap();
        // No whole write survives; of the torn one four bytes; they are zero from the third on.
        let mut choices = [0, 4, 1, 2].into_iter();
        disk.power_loss(&mut |_| choices.next().unwrap_or(0));
        assert_eq!(content(&disk, "a"), Some(Bytes::from_static(b"ab\0\0")));
    }

    #[test]
    fn a_replaced_file_is_old_or_new() {
        let mut disk = MemoryDisk::new();
        disk.replace("d/c", "old".into()).unwrap();
        disk.complete_all();
        disk.replace("d/c", "new".into()).unwrap();
        assert_eq!(content(&disk, "d/c"), Some("new".into()));
        disk.power_loss(&mut keep_nothing);
        assert_eq!(content(&disk, "d/c"), Some("old".into()));
    }

    #[test]
    fn a_crash_of_the_process_keeps_the_page_cache_and_its_debts() {
        let mut disk = MemoryDisk::new();
        let file = disk.open("a", true).unwrap();
        disk.append(file, "one".into()).unwrap();
        disk.rename("a", "b").unwrap();
        disk.process_crash();
        assert_eq!((content(&disk, "b"), content(&disk, "a")), (Some("one".into()), None));
        disk.power_loss(&mut keep_nothing);
        assert_eq!(content(&disk, "b"), None);
    }
}
