//! The whole border between a node and the world: inputs, effects, the disk.
//!
//! Ordering rules. Effects of one step are carried out in the order in which they were written. Frames sent on one
//! connection arrive in order or not at all. A disk write is visible to reads at once (the page cache) and durable only
//! after the [`SyncToken`] of a later sync came back as [`Input::DiskSynced`]; a node that promises durability waits for it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::trace::Observation;

/// A connection as one side sees it. The two ends use different ids for the same connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    const OUTGOING: u64 = 1 << 63;

    /// A connection that this side opened; `n` is this side's own counter.
    pub fn outgoing(n: u64) -> Self {
        ConnectionId(n | Self::OUTGOING)
    }

    /// A connection that this side accepted; `n` is the driver's counter.
    pub fn incoming(n: u64) -> Self {
        ConnectionId(n & !Self::OUTGOING)
    }

    /// Did this side open it?
    pub fn is_outgoing(self) -> bool {
        self.0 & Self::OUTGOING != 0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_outgoing() { "out-" } else { "in-" }, self.0 & !Self::OUTGOING)
    }
}

/// Which of a node's listeners a connection reaches (`listeners`, `inter.broker.listener.name`,
/// `controller.listener.names`). Traffic classes of the fault model follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Listener {
    /// Where clients connect.
    Client,
    /// Where brokers fetch from brokers.
    Replication,
    /// Where voters, observers and brokers reach a controller.
    Controller,
}

impl Listener {
    /// The port by convention of this project. Source: ours.
    pub fn port(self) -> u16 {
        match self {
            Listener::Client => 9092,
            Listener::Replication => 9091,
            Listener::Controller => 9093,
        }
    }

    /// The listener behind a conventional port.
    pub fn of_port(port: u16) -> Option<Listener> {
        [Listener::Client, Listener::Replication, Listener::Controller].into_iter().find(|l| l.port() == port)
    }
}

/// Host and port of a listener, as Kafka's metadata carries them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// A host name that the driver can resolve.
    pub host: Arc<str>,
    /// A TCP port.
    pub port: u16,
}

impl Address {
    /// Names a listener's address.
    pub fn new(host: impl Into<Arc<str>>, port: u16) -> Self {
        Address { host: host.into(), port }
    }
}

/// Names one requested sync; comes back in [`Input::DiskSynced`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyncToken(pub u64);

/// What a node is told, one at a time.
#[derive(Debug, Clone)]
pub enum Input {
    /// A peer connected to `listener`.
    ConnectionAccepted { connection: ConnectionId, listener: Listener },
    /// A connection that this node opened is established.
    ConnectionOpened { connection: ConnectionId },
    /// A connection ended or could not be opened; nothing more will come from it.
    ConnectionClosed { connection: ConnectionId },
    /// One whole frame: a 4-byte big-endian length, then that many bytes.
    FrameReceived { connection: ConnectionId, frame: Bytes },
    /// The deadline that the node named has passed.
    TimerDue,
    /// A sync that the node asked for is durable, or failed.
    DiskSynced { token: SyncToken, result: Result<(), DiskError> },
    /// The operator asks for a controlled shutdown.
    ShutdownRequested,
}

/// What a node wants done.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Open a connection; answered by `ConnectionOpened` or `ConnectionClosed`.
    Connect { connection: ConnectionId, to: Address },
    /// Close a connection; the peer is told.
    Close { connection: ConnectionId },
    /// Send one whole frame (length prefix included).
    Send { connection: ConnectionId, frame: Bytes },
    /// A fact for observers. Never influences the run.
    Observe(Observation),
    /// The process ends itself; the reason is for the operator.
    Halt { reason: String },
}

/// The effects of one step, in order.
#[derive(Debug, Default)]
pub struct Effects {
    /// What to do, in order.
    pub list: Vec<Effect>,
}

impl Effects {
    /// Adds one effect.
    pub fn push(&mut self, effect: Effect) {
        self.list.push(effect);
    }

    /// Adds one fact.
    pub fn observe(&mut self, observation: Observation) {
        self.list.push(Effect::Observe(observation));
    }
}

/// An open file of one node's disk. Valid until the node's next boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// What a disk can answer instead of success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    /// No such file or directory.
    #[error("no such file: {0}")]
    NotFound(String),
    /// The device reported an error (EIO).
    #[error("input/output error on {0}")]
    Io(String),
    /// No space left (ENOSPC).
    #[error("no space left on device")]
    Full,
}

/// One node's disk. Paths are relative, `/`-separated; a directory exists as soon as a file in it does.
///
/// Reads and writes are immediate (page cache), only durability is asynchronous: Kafka's own model.
/// Tests use [`crate::log::MemoryDisk`]; the simulator and the real driver bring their own.
pub trait Disk {
    /// Opens a file for reading and appending, creating it if `create`. Errors: `NotFound`, `Io`, `Full`.
    fn open(&mut self, path: &str, create: bool) -> Result<FileId, DiskError>;
    /// Appends; returns the position at which `bytes` begin. On error nothing is appended. Keeps `bytes` without copying.
    fn append(&mut self, file: FileId, bytes: Bytes) -> Result<u64, DiskError>;
    /// Reads up to `len` bytes; fewer only at the end of the file. A slice of what was appended where possible.
    fn read(&self, file: FileId, at: u64, len: usize) -> Result<Bytes, DiskError>;
    /// The file's length in bytes.
    fn len(&self, file: FileId) -> u64;
    /// Cuts the file to `len` bytes; not durable before the next sync of the file.
    fn truncate(&mut self, file: FileId, len: u64) -> Result<(), DiskError>;
    /// Closes and removes a file; not durable before the next `sync_dir`.
    fn remove(&mut self, path: &str) -> Result<(), DiskError>;
    /// Renames a file over another; not durable before the next `sync_dir`.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError>;
    /// Names of the files and directories directly in `dir` (`""` is the root), sorted. Empty if there is none.
    fn list(&self, dir: &str) -> Vec<String>;
    /// Asks for everything written to the file so far to be made durable.
    fn sync(&mut self, file: FileId) -> SyncToken;
    /// Asks for creations, renames and removals in `dir` so far to be made durable.
    fn sync_dir(&mut self, dir: &str) -> SyncToken;
    /// Replaces a whole small file the safe way (write a temporary, sync it, rename, sync the directory): after a power
    /// loss there is the old content or the new, never a mixture; the new one for sure once the token came back. Reads
    /// see the new content at once.
    fn replace(&mut self, path: &str, bytes: Bytes) -> Result<SyncToken, DiskError>;
    /// The whole content of a file, or `None` if there is none.
    fn read_file(&self, path: &str) -> Result<Option<Bytes>, DiskError>;
}
