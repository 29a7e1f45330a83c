//! What can happen in a run.

use broker::time::Instant;
use broker::trace::Observation;

use crate::history::HistoryEvent;
use crate::plan::HostId;

/// How a process ends by a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CrashMode {
    /// The process dies; the page cache survives; peers get a reset.
    Process,
    /// The machine loses power: unsynced bytes and directory entries are lost or torn; peers hear nothing.
    Power,
    /// Power is lost and the disk is replaced by an empty one.
    Wipe,
}

/// Why a machine stopped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StopKind {
    /// By a fault.
    Crash(CrashMode),
    /// It ended itself.
    Halt { reason: String },
    /// It panicked: a bug of the subject.
    Panic { message: String },
    /// The run is over.
    End,
}

/// What the world did.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WorldFact {
    /// A machine booted; incarnations count from 0.
    Started { incarnation: u32 },
    /// A machine stopped.
    Stopped { kind: StopKind },
    /// A power loss cost this machine's disk something: bytes never synced, directory entries never synced.
    DiskLost { bytes: u64, entries: u64 },
    /// The machine does not run, but lives (a long garbage collection).
    Paused,
    /// It runs again.
    Resumed,
    /// A fault struck: the `n`-th time (from 1) of the fault with this id.
    FaultFired { id: String, n: u32, kind: String, what: String, targets: Vec<HostId> },
    /// A message did not arrive when it should: a fault holds it back.
    MessageHeld { fault: String, message: String, from: HostId, to: HostId },
    /// A message never arrived: a fault swallowed it, or reset its connection instead.
    MessageDropped { fault: String, message: String, from: HostId, to: HostId },
    /// A fault was taken back.
    FaultHealed { id: String, n: u32 },
    /// A phase began.
    PhaseStarted { name: String },
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fact {
    /// A node says so.
    Node(Observation),
    /// A client was told so.
    Client(HistoryEvent),
    /// The world did so.
    World(WorldFact),
}

/// A fact with its place in the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEvent {
    /// Number of the event in the run ("moment"), as used by `replay --until`.
    pub event: u64,
    /// World time.
    pub at: Instant,
    /// Where it happened; `None` for what concerns the whole world.
    pub host: Option<HostId>,
    /// What happened.
    pub fact: Fact,
}
