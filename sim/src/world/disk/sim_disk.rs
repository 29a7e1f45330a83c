//! The disk that a machine sees.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use broker::io::{Disk, DiskError, FileId, SyncToken};
use bytes::Bytes;

use super::content::Content;
use super::namespace::{self, Change, Namespace};
use super::power_loss::{self, Lost};
use crate::seed::{ChaCha8Rng, Seed};
use crate::world::latency::Sampler;

/// One file, whatever its names.
#[derive(Debug, Default)]
pub(super) struct Inode {
    pub(super) cache: Content,
    pub(super) durable: Content,
    /// Up to here cache and durable are the same bytes.
    pub(super) clean: u64,
    /// Open in the running incarnation.
    pub(super) handle: Option<FileId>,
    /// The latest sync that is through.
    pub(super) synced: Option<SyncToken>,
}

/// What a sync will make durable.
#[derive(Debug)]
enum Promise {
    /// The first `len` bytes of the cache, or of what the cache was before it was cut.
    File { inode: usize, len: u64, before: Option<Before> },
    /// There is no such file: the answer is an error.
    Nothing { file: FileId },
    /// Changes of a directory up to this number.
    Directory { path: String, upto: u64 },
}

/// A file's cache before it was cut while a sync was under way.
#[derive(Debug)]
struct Before {
    content: Content,
    /// The shortest cut since: up to there nothing changed.
    cut: u64,
}

/// One machine's disk.
pub(crate) struct SimDisk {
    write: Arc<Sampler>,
    fsync: Arc<Sampler>,
    latency_rng: ChaCha8Rng,
    loss_rng: ChaCha8Rng,
    pub(super) inodes: Vec<Option<Inode>>,
    /// Slots of `inodes` to use again.
    free: Vec<usize>,
    /// Files whose cached name is gone.
    orphans: Vec<usize>,
    pub(super) names: Namespace,
    handles: Vec<Option<usize>>,
    promises: BTreeMap<SyncToken, Promise>,
    tokens: u64,
    /// Asked for since the driver last looked: (token, latency in microseconds).
    requested: VecDeque<(SyncToken, u64)>,
}

impl SimDisk {
    pub(crate) fn new(seed: Seed, host: u32, write: Arc<Sampler>, fsync: Arc<Sampler>) -> SimDisk {
        SimDisk {
            write,
            fsync,
            latency_rng: seed.stream(&format!("disk/{host}/latency")),
            loss_rng: seed.stream(&format!("disk/{host}/power-loss")),
            inodes: Vec::new(),
            free: Vec::new(),
            orphans: Vec::new(),
            names: Namespace::default(),
            handles: Vec::new(),
            promises: BTreeMap::new(),
            tokens: 0,
            requested: VecDeque::new(),
        }
    }

    /// The oldest sync that the driver does not know of yet, with its latency in microseconds.
    pub(crate) fn take_requested(&mut self) -> Option<(SyncToken, u64)> {
        self.requested.pop_front()
    }

    /// A sync is through. `None` if nobody waits for it any more.
    pub(crate) fn complete(&mut self, token: SyncToken) -> Option<Result<(), DiskError>> {
        match self.promises.remove(&token)? {
            Promise::Nothing { file } => return Some(Err(no_such(file))),
            Promise::File { inode, len, before } => self.file_synced(token, inode, len, before),
            Promise::Directory { path, upto } => {
                self.names.synced(&path, upto);
                self.forget_orphans();
            }
        }
        Some(Ok(()))
    }

    /// The process is gone: its open files and the syncs that it waited for go with it.
    pub(crate) fn process_stopped(&mut self) {
        self.promises.clear();
        self.requested.clear();
        self.handles.clear();
        self.inodes.iter_mut().flatten().for_each(|inode| inode.handle = None);
    }

    /// The machine lost power.
    pub(crate) fn power_lost(&mut self) -> Lost {
        self.process_stopped();
        let lost = power_loss::strike(&mut self.inodes, &mut self.names, &mut self.loss_rng);
        self.orphans = (0..self.inodes.len()).filter(|&inode| self.inodes[inode].is_some()).collect();
        self.forget_orphans();
        self.orphans.clear();
        lost
    }

    /// The disk is taken out and an empty one put in.
    pub(crate) fn replaced(&mut self) {
        self.process_stopped();
        self.inodes.clear();
        self.free.clear();
        self.orphans.clear();
        self.names = Namespace::default();
    }

    fn file_synced(&mut self, token: SyncToken, inode: usize, len: u64, before: Option<Before>) {
        let Some(Some(file)) = self.inodes.get_mut(inode) else { return };
        if file.synced.is_some_and(|later| later > token) {
            return; // a sync asked for later was faster, and covered this one
        }
        file.synced = Some(token);
        match before {
            Some(before) => {
                file.durable = before.content;
                file.durable.truncate(len);
                file.clean = before.cut.min(len);
            }
            None => {
                file.durable.truncate(file.clean);
                file.cache.slices(file.clean, len).for_each(|bytes| file.durable.append(bytes));
                file.clean = len;
            }
        }
    }

    /// Frees files that lost their name and that no durable or journalled name leads to any more.
    fn forget_orphans(&mut self) {
        let (inodes, names, free) = (&mut self.inodes, &self.names, &mut self.free);
        self.orphans.retain(|&inode| {
            let is_named = names.is_named(inode);
            if !is_named {
                inodes[inode] = None;
                free.push(inode);
            }
            is_named
        });
    }

    fn new_inode(&mut self, inode: Inode) -> usize {
        match self.free.pop() {
            Some(slot) => {
                self.inodes[slot] = Some(inode);
                slot
            }
            None => {
                self.inodes.push(Some(inode));
                self.inodes.len() - 1
            }
        }
    }

    fn inode_of(&self, file: FileId) -> Option<usize> {
        self.handles.get(file.0 as usize).copied().flatten()
    }

    fn file(&self, file: FileId) -> Result<&Inode, DiskError> {
        let inode = self.inode_of(file).and_then(|inode| self.inodes[inode].as_ref());
        inode.ok_or_else(|| no_such(file))
    }

    fn file_mut(&mut self, file: FileId) -> Result<&mut Inode, DiskError> {
        let inode = self.inode_of(file).and_then(|inode| self.inodes[inode].as_mut());
        inode.ok_or_else(|| no_such(file))
    }

    fn promise(&mut self, promise: Promise) -> SyncToken {
        let token = SyncToken(self.tokens);
        self.tokens += 1;
        let write = self.write.sample(&mut self.latency_rng);
        let latency = write.saturating_add(self.fsync.sample(&mut self.latency_rng));
        self.promises.insert(token, promise);
        self.requested.push_back((token, latency));
        token
    }

    /// The name is about to lead elsewhere.
    fn unname(&mut self, path: &str) {
        let Some(&inode) = self.names.cached.get(path) else { return };
        self.orphans.push(inode);
        if let Some(handle) = self.inodes[inode].as_mut().and_then(|file| file.handle.take()) {
            self.handles[handle.0 as usize] = None;
        }
    }
}

fn no_such(file: FileId) -> DiskError {
    DiskError::NotFound(format!("file handle {}", file.0))
}

impl Disk for SimDisk {
    fn open(&mut self, path: &str, create: bool) -> Result<FileId, DiskError> {
        let inode = match self.names.cached.get(path) {
            Some(&inode) => inode,
            None if !create => return Err(DiskError::NotFound(path.to_owned())),
            None => {
                let inode = self.new_inode(Inode::default());
                self.names.change(Change::Create { path: path.to_owned(), inode });
                inode
            }
        };
        let next = FileId(self.handles.len() as u32);
        let Some(file) = self.inodes[inode].as_mut() else {
            return Err(DiskError::NotFound(path.to_owned()));
        };
        let handle = *file.handle.get_or_insert(next);
        if handle == next {
            self.handles.push(Some(inode));
        }
        Ok(handle)
    }

    fn append(&mut self, file: FileId, bytes: Bytes) -> Result<u64, DiskError> {
        let inode = self.file_mut(file)?;
        let at = inode.cache.len();
        inode.cache.append(bytes);
        Ok(at)
    }

    fn read(&self, file: FileId, at: u64, len: usize) -> Result<Bytes, DiskError> {
        Ok(self.file(file)?.cache.read(at, len))
    }

    fn len(&self, file: FileId) -> u64 {
        self.file(file).map_or(0, |inode| inode.cache.len())
    }

    fn truncate(&mut self, file: FileId, len: u64) -> Result<(), DiskError> {
        let truncated = self.inode_of(file);
        let inode = truncated.and_then(|inode| self.inodes[inode].as_mut()).ok_or_else(|| no_such(file))?;
        if len >= inode.cache.len() {
            return Ok(());
        }
        for promise in self.promises.values_mut() {
            if let Promise::File { inode: promised, len: until, before } = promise
                && Some(*promised) == truncated
                && *until > len
            {
                let before = before.get_or_insert_with(|| Before { content: inode.cache.clone(), cut: len });
                before.cut = before.cut.min(len);
            }
        }
        inode.cache.truncate(len);
        inode.clean = inode.clean.min(len);
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<(), DiskError> {
        if !self.names.cached.contains_key(path) {
            return Err(DiskError::NotFound(path.to_owned()));
        }
        self.unname(path);
        self.names.change(Change::Remove { path: path.to_owned() });
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        let Some(&inode) = self.names.cached.get(from) else {
            return Err(DiskError::NotFound(from.to_owned()));
        };
        if from != to {
            self.unname(to);
            self.names.change(Change::Rename { from: from.to_owned(), to: to.to_owned(), inode });
        }
        Ok(())
    }

    fn list(&self, dir: &str) -> Vec<String> {
        self.names.list(dir)
    }

    fn sync(&mut self, file: FileId) -> SyncToken {
        match self.inode_of(file) {
            Some(inode) => self.promise(Promise::File { inode, len: self.len(file), before: None }),
            None => self.promise(Promise::Nothing { file }),
        }
    }

    fn sync_dir(&mut self, dir: &str) -> SyncToken {
        let upto = self.names.latest();
        self.promise(Promise::Directory { path: dir.to_owned(), upto })
    }

    fn replace(&mut self, path: &str, bytes: Bytes) -> Result<SyncToken, DiskError> {
        self.unname(path);
        let content = Content::whole(bytes);
        let clean = content.len();
        // The content is synced before the rename: whoever sees the new name sees all of it.
        let file = Inode { cache: content.clone(), durable: content, clean, ..Inode::default() };
        let inode = self.new_inode(file);
        self.names.change(Change::Replace { path: path.to_owned(), inode });
        Ok(self.sync_dir(namespace::parent(path)))
    }

    fn read_file(&self, path: &str) -> Result<Option<Bytes>, DiskError> {
        let inode = self.names.cached.get(path).and_then(|&inode| self.inodes[inode].as_ref());
        Ok(inode.map(|file| file.cache.read(0, usize::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::world::latency::LatencyDist;

    /// What the last completed sync promised, kept the naive way.
    struct Model {
        text: Vec<u8>,
        /// Asked for: token, content then, shortest cut since.
        asked: Vec<(SyncToken, Vec<u8>, usize)>,
        promised: (Option<SyncToken>, Vec<u8>, usize),
    }

    fn history(seed: u64) {
        let constant = Arc::new(Sampler::new(&LatencyDist::Constant(1)));
        let mut disk = SimDisk::new(Seed(seed), 0, constant.clone(), constant);
        let mut rng = Seed(seed).stream("history");
        let mut file = disk.open("log", true).unwrap();
        let token = disk.sync_dir("");
        assert_eq!(disk.complete(token), Some(Ok(())));
        let mut model = Model { text: Vec::new(), asked: Vec::new(), promised: (None, Vec::new(), 0) };
        for step in 0..200u8 {
            match rng.gen_range(0..20u32) {
                0..8 => {
                    let bytes = vec![step + 1; rng.gen_range(1..700)];
                    assert_eq!(disk.append(file, Bytes::from(bytes.clone())), Ok(model.text.len() as u64));
                    model.text.extend(bytes);
                }
                8..11 => {
                    let len = rng.gen_range(0..=model.text.len());
                    disk.truncate(file, len as u64).unwrap();
                    model.text.truncate(len);
                    model.asked.iter_mut().for_each(|(.., cut)| *cut = len.min(*cut));
                    model.promised.2 = len.min(model.promised.2);
                }
                11..15 => model.asked.push((disk.sync(file), model.text.clone(), model.text.len())),
                15..19 if !model.asked.is_empty() => {
                    let (token, text, cut) = model.asked.remove(rng.gen_range(0..model.asked.len()));
                    assert_eq!(disk.complete(token), Some(Ok(())));
                    if model.promised.0.is_none_or(|earlier| earlier < token) {
                        model.promised = (Some(token), text, cut);
                    }
                }
                19 => {
                    disk.power_lost();
                    let found = disk.read_file("log").unwrap().unwrap().to_vec();
                    let (_, text, cut) = &model.promised;
                    assert_eq!(
                        found[..*cut],
                        text[..*cut],
                        "seed {seed}, step {step}: synced bytes are gone"
                    );
                    file = disk.open("log", false).unwrap();
                    model.asked.clear();
                    let len = found.len();
                    model.promised = (model.promised.0, found.clone(), len);
                    model.text = found;
                }
                _ => {}
            }
            assert_eq!(disk.read_file("log").unwrap().unwrap(), model.text, "seed {seed}, step {step}");
        }
    }

    #[test]
    fn no_power_loss_takes_what_a_completed_sync_covers() {
        (0..200).for_each(history);
    }

    #[test]
    fn files_without_a_name_are_forgotten() {
        let constant = Arc::new(Sampler::new(&LatencyDist::Constant(1)));
        let mut disk = SimDisk::new(Seed(1), 0, constant.clone(), constant);
        for n in 0..100u8 {
            let token = disk.replace("meta", Bytes::from(vec![n])).unwrap();
            disk.complete(token);
        }
        assert_eq!(disk.inodes.len(), 2, "the file and its replacement");
        assert_eq!(disk.complete(SyncToken(7)), None, "a token comes back once");
    }
}
