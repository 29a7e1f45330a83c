//! What a world is made of.

use std::sync::Arc;

use broker::time::Duration;

use super::latency::LatencyDist;
use super::machine::Program;
use crate::plan::HostId;
use crate::seed::Seed;

/// Everything that decides a run, together with the observer.
pub struct WorldSpec {
    /// Decides schedule, latencies, losses and what a power loss takes.
    pub seed: Seed,
    /// Machine i has `HostId(i)`.
    pub hosts: Vec<HostSpec>,
    /// The network when nothing is wrong.
    pub net: NetSpec,
    /// Every machine's disk.
    pub disk: DiskSpec,
    /// The run ends after this many inputs were delivered.
    pub event_budget: u64,
    /// The run ends after this much time on the wall: a livelock of the subject must not hang a suite.
    pub wall_watchdog: Duration,
}

/// One machine.
pub struct HostSpec {
    /// Its position in [`WorldSpec::hosts`].
    pub id: HostId,
    /// For people and panics.
    pub name: String,
    /// The host name that resolves to it.
    pub address: Arc<str>,
    /// What it runs, once per incarnation.
    pub program: Box<dyn Program>,
    /// Does it boot at time 0?
    pub starts: bool,
    /// Does it have the three listeners? Others refuse connections.
    pub is_node: bool,
    /// Its clock.
    pub clock: ClockSpec,
}

/// How a machine's clock differs from world time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockSpec {
    /// Ahead of world time by this many microseconds (behind if negative; a clock never reads less than 0).
    pub offset_us: i64,
    /// Gains this many microseconds per second of world time (loses if negative; above -1 000 000).
    pub drift_ppm: i32,
}

/// The network when nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetSpec {
    /// One way, per transmission.
    pub latency: LatencyDist,
    /// Probability of losing a transmission, in parts per million. The transport retransmits: loss shows as delay.
    pub loss_ppm: u32,
    /// Exceptions; a later one wins.
    pub links: Vec<LinkSpec>,
}

/// An exception for some links, in one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSpec {
    /// Senders.
    pub from: Vec<HostId>,
    /// Receivers.
    pub to: Vec<HostId>,
    /// Instead of [`NetSpec::latency`].
    pub latency: Option<LatencyDist>,
    /// Instead of [`NetSpec::loss_ppm`].
    pub loss_ppm: Option<u32>,
}

/// How fast disks are. Writes go to the page cache at once; a sync takes one draw of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskSpec {
    /// Writing dirty pages back.
    pub write: LatencyDist,
    /// The barrier itself.
    pub fsync: LatencyDist,
}

impl std::fmt::Debug for WorldSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorldSpec")
            .field("seed", &self.seed)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for HostSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostSpec").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}
