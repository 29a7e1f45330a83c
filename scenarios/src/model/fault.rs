//! Scripted faults: exactly one trigger and one verb each.

use serde::{Deserialize, Serialize};

use super::{
    Condition, Distribution, MessageFilter, Micros, Operation, PartitionRef, Ppm, Span, Target, Value,
};

/// `[[fault]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Unique id; names the fault's random stream. Default `fault-N`, N counted from 1 over all faults.
    pub id: String,
    /// The phase in which the fault may fire. Default: any after `start`.
    pub phase: Option<String>,
    /// When it fires.
    pub trigger: Trigger,
    /// What it does.
    pub verb: Verb,
    /// `for`: how long it lasts, then it is undone by itself: a crashed node restarts, a paused one resumes, a cut
    /// or slowed link heals. Default: none, it lasts until `heal`, `restart` or the settle phase.
    pub duration: Option<Value<Micros>>,
    /// The whole table.
    pub span: Span,
    /// The trigger's key and value.
    pub trigger_span: Span,
    /// The verb's key and value.
    pub verb_span: Span,
}

/// When a fault fires. Times count from the start of the named phase, or from the start of the run (simulated
/// time zero, the times that reports show) if the fault names no phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// `at = "10s"`: once, at this time.
    At { at: Value<Micros> },
    /// `every = "25s"`: first after one period, then again after each; `jitter` moves each by up to that much
    /// later. `count` limits how often (default: until the phase ends).
    Every { every: Value<Micros>, jitter: Micros, count: Option<u32> },
    /// `when = "..."`: as soon as the condition becomes true. `once` (default true): only the first time,
    /// otherwise at each change from false to true. `within` bounds the wait, from the start of the phase (or run):
    /// if it was never true by then the fault is reported as unfired. Default: until the end of its phase.
    When { condition: Condition, once: bool, within: Option<Micros> },
    /// `after = "id"`: when that fault has completed (it fired, and its `for` is over if it has one). With `when`
    /// it then waits for the condition; `within` counts from that completion.
    After { fault: String, condition: Option<Condition>, within: Option<Micros> },
    /// `on = { point, node, partition, nth }`: at the very event. With `after` only what happens after that fault has
    /// completed counts. `within` as above.
    On { point: Point, after: Option<String>, within: Option<Micros> },
}

/// What a node says about itself, at which a fault strikes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Its name ([`crate::points::POINTS`]).
    pub point: String,
    /// On which nodes. Default: any.
    pub node: Option<Target>,
    /// Of which partition. Default: any.
    pub partition: Option<PartitionRef>,
    /// The how many-th time, from 1. Default 1.
    pub nth: u32,
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// `crash = "TARGET"` or `crash = { target, mode, as }`: the process dies.
    Crash { target: Target, mode: CrashMode, bind: Option<String> },
    /// `restart = "TARGET"`: starts nodes that are down.
    Restart { target: Target },
    /// `shutdown = "TARGET"` or `{ target, as }`: a controlled shutdown; with `for` they boot again afterwards.
    Shutdown { target: Target, bind: Option<String> },
    /// `rolling_restart = { target, mode, gap, down }`: one after another; each when the one before is at work again and
    /// `gap` has passed.
    RollingRestart { target: Target, mode: RollingMode, gap: Micros, down: Micros },
    /// `pause = "TARGET"` or `pause = { target, as }`: the process stops and keeps its memory (a GC pause).
    Pause { target: Target, bind: Option<String> },
    /// `partition = { ... }`: cuts links.
    Partition { shape: PartitionShape, one_way: Option<Direction>, links: Links, bind: Option<String> },
    /// `link = { ... }`: makes links slow or lossy. `delay` is added to every message, `loss` is the probability
    /// that a message is lost. One of them is given.
    /// `bandwidth` is in bits per second, of each direction of each link.
    Link { scope: LinkScope, delay: Option<Distribution>, loss: Ppm, bandwidth: Option<u64> },
    /// `reset = "TARGET"` or `{ between = [A, B] }`: their connections are reset; both ends learn it.
    Reset { scope: LinkScope },
    /// `half_open = ...`, as `reset`: the target (or the first side) forgets its connections; the other end learns it only
    /// when it sends something.
    HalfOpen { scope: LinkScope },
    /// `hold = { message, from, to, nth, as }`: messages of a kind wait until the fault is over, and whatever follows
    /// them on the same connection with them; then they arrive in order. A hold that never held anything has not fired.
    Hold { what: MessageFilter, bind: Option<String> },
    /// `drop = { message, from, to, nth, as }`: the connection is reset instead of delivering a message of a kind.
    Drop { what: MessageFilter, bind: Option<String> },
    /// `metadata_lag = "TARGET"` or `{ target, as }`: answers of controllers to metadata fetches of these brokers are
    /// held; heartbeats go on.
    MetadataLag { target: Target, bind: Option<String> },
    /// `fence = "TARGET"` or `{ target, as }`: heartbeats of these brokers do not arrive; everything else does.
    Fence { target: Target, bind: Option<String> },
    /// `heal = "all"`, `heal = "id"` or a list of ids: undoes what faults still hold.
    Heal { heal: Heal },
    /// `elect`, `move_leader`, `reassign`, `alter`, `admin`: an operator asks the cluster for something and repeats it
    /// until it is done or refused. `refused`: the Kafka error with which it must be refused.
    Operate { operation: Operation, refused: Option<String> },
}

impl Verb {
    /// The key that names the verb in a file.
    pub fn word(&self) -> &'static str {
        match self {
            Verb::Crash { .. } => "crash",
            Verb::Restart { .. } => "restart",
            Verb::Shutdown { .. } => "shutdown",
            Verb::RollingRestart { .. } => "rolling_restart",
            Verb::Pause { .. } => "pause",
            Verb::Partition { .. } => "partition",
            Verb::Link { .. } => "link",
            Verb::Reset { .. } => "reset",
            Verb::HalfOpen { .. } => "half_open",
            Verb::Hold { .. } => "hold",
            Verb::Drop { .. } => "drop",
            Verb::MetadataLag { .. } => "metadata_lag",
            Verb::Fence { .. } => "fence",
            Verb::Heal { .. } => "heal",
            Verb::Operate { operation, .. } => operation.word(),
        }
    }

    /// Every target expression of the verb, in file order.
    pub fn targets(&self) -> Vec<&Target> {
        match self {
            Verb::Crash { target, .. }
            | Verb::Restart { target }
            | Verb::Shutdown { target, .. }
            | Verb::RollingRestart { target, .. }
            | Verb::Pause { target, .. }
            | Verb::MetadataLag { target, .. }
            | Verb::Fence { target, .. } => vec![target],
            Verb::Hold { what, .. } | Verb::Drop { what, .. } => what.from.iter().chain(&what.to).collect(),
            Verb::Partition { shape: PartitionShape::Isolate { isolate, from }, .. } => {
                std::iter::once(isolate).chain(from).collect()
            }
            Verb::Partition { shape: PartitionShape::Halves(Halves::Drawn { of }), .. } => vec![of],
            Verb::Partition { shape: PartitionShape::Halves(Halves::Given { one, other }), .. } => {
                vec![one, other]
            }
            Verb::Partition { shape: PartitionShape::Groups(groups), .. } => groups.iter().collect(),
            Verb::Partition { shape: PartitionShape::Bridge { bridge }, .. } => vec![bridge],
            Verb::Partition { shape: PartitionShape::Ring { ring }, .. } => vec![ring],
            Verb::Link { scope, .. } | Verb::Reset { scope } | Verb::HalfOpen { scope } => match scope {
                LinkScope::Between { one, other } => vec![one, other],
                LinkScope::Node { target } => vec![target],
            },
            Verb::Heal { .. } => Vec::new(),
            Verb::Operate { operation, .. } => operation.target().into_iter().collect(),
        }
    }

    /// The name that `as` binds the struck nodes to.
    pub fn binds(&self) -> Option<&str> {
        match self {
            Verb::Crash { bind, .. }
            | Verb::Shutdown { bind, .. }
            | Verb::Pause { bind, .. }
            | Verb::Partition { bind, .. }
            | Verb::Hold { bind, .. }
            | Verb::Drop { bind, .. }
            | Verb::MetadataLag { bind, .. }
            | Verb::Fence { bind, .. } => bind.as_deref(),
            Verb::Restart { .. }
            | Verb::RollingRestart { .. }
            | Verb::Link { .. }
            | Verb::Reset { .. }
            | Verb::HalfOpen { .. }
            | Verb::Heal { .. }
            | Verb::Operate { .. } => None,
        }
    }
}

/// What survives a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrashMode {
    /// The page cache survives: everything written is still there. The default.
    Process,
    /// The machine loses power: unsynced bytes and directory entries are lost or torn.
    Power,
    /// The disk is replaced: nothing survives, and the machine loses power as well.
    Wipe,
}

/// How each machine of a rolling restart stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollingMode {
    /// Controlled. The default.
    Shutdown,
    /// Its process is killed.
    Process,
    /// It loses power.
    Power,
}

/// Which links a partition cuts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionShape {
    /// `isolate = "TARGET"`, optionally `from = "TARGET"` (default: every other node and client): cuts the link
    /// between each member of the one and each other member of the other. The two may overlap: `isolate = "brokers"`,
    /// `from = "brokers"` cuts every pair of brokers.
    Isolate { isolate: Target, from: Option<Target> },
    /// `halves = ...`.
    Halves(Halves),
    /// `groups = ["T", "T", ...]`: nobody reaches a member of another group; who is in none reaches everybody.
    Groups(Vec<Target>),
    /// `bridge = "TARGET"`: all other nodes are split at random into two halves that do not reach each other; the target
    /// reaches both.
    Bridge { bridge: Target },
    /// `ring = "TARGET"`: in order of id, each member reaches only its two neighbours.
    Ring { ring: Target },
}

/// The two sides of `halves`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Halves {
    /// `halves = "TARGET"`: its members are split at random into two sides whose sizes differ by at most one.
    Drawn { of: Target },
    /// `halves = ["TARGET", "TARGET"]`: these two sides.
    Given { one: Target, other: Target },
}

/// Which way of a cut link is cut, seen from the isolated side (or from the first of two halves).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Nothing arrives at it; what it sends still arrives.
    Inbound,
    /// Nothing that it sends arrives; it still hears the others.
    Outbound,
}

/// Which class of traffic a partition cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Links {
    /// Everything. The default.
    All,
    /// Fetches of followers from leaders.
    Replication,
    /// Brokers to controllers and voters among each other: heartbeats, AlterPartition, the metadata log.
    Controller,
    /// Clients to brokers.
    Client,
}

/// Which links a link effect applies to, in both directions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkScope {
    /// `between = ["TARGET", "TARGET"]`.
    Between { one: Target, other: Target },
    /// `target = "TARGET"`: every link of these nodes.
    Node { target: Target },
}

/// What a heal undoes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heal {
    /// Every fault; crashed nodes restart, paused ones resume.
    All,
    /// What these faults hold; another fault that cuts the same link keeps it cut.
    Faults(Vec<String>),
}
