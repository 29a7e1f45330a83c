//! The world as a madsim plugin: madsim tells it when a node is made or dies.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use madsim::plugin::Simulator;
use madsim::rand::GlobalRng;
use madsim::task::NodeId;
use madsim::time::TimeHandle;

use super::control::Observer;
use super::core::Core;
use super::machine::Outputs;

/// The world and who watches it.
pub(crate) struct Sim {
    pub(crate) core: Core,
    /// Absent only while it acts, and after the run.
    pub(crate) observer: Option<Box<dyn Observer>>,
    /// Used again for every step.
    pub(crate) outputs: Outputs,
}

/// What the tasks of one run share. Only the run's own thread takes the lock while the run lasts.
pub(crate) struct Shared {
    sim: Mutex<Sim>,
    /// Set from outside when the wall watchdog barks.
    pub(crate) stop: AtomicBool,
}

impl Shared {
    pub(crate) fn new(sim: Sim) -> Shared {
        Shared { sim: Mutex::new(sim), stop: AtomicBool::new(false) }
    }

    /// The world. A poisoned lock is taken too: after a panic of the simulator its remains are still to be returned.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Sim> {
        self.sim.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Network, disks and clocks as one madsim simulator. It draws nothing from madsim's generator, and its hooks depend on no
/// order among simulators.
#[derive(Default)]
pub(crate) struct WorldPlugin {
    shared: OnceLock<Arc<Shared>>,
    nodes: Mutex<Nodes>,
}

#[derive(Default)]
struct Nodes {
    /// The machine that the next node belongs to.
    expected: Option<u32>,
    /// By machine; absent before its first start.
    ids: Vec<Option<NodeId>>,
}

impl WorldPlugin {
    /// Gives the plugin its world. Called once, before any node exists.
    pub(crate) fn install(&self, shared: Arc<Shared>) {
        let hosts = shared.lock().core.hosts.len();
        self.nodes().ids.resize(hosts, None);
        let _ = self.shared.set(shared);
    }

    /// The next node to be created belongs to this machine.
    pub(crate) fn expect(&self, host: u32) {
        self.nodes().expected = Some(host);
    }

    /// The node of a machine, if it ever ran.
    pub(crate) fn node(&self, host: u32) -> Option<NodeId> {
        self.nodes().ids.get(host as usize).copied().flatten()
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Simulator for WorldPlugin {
    fn new(_rand: &GlobalRng, _time: &TimeHandle, _config: &madsim::Config) -> Self {
        WorldPlugin::default()
    }

    fn create_node(&self, id: NodeId) {
        let mut nodes = self.nodes();
        if let Some(host) = nodes.expected.take() {
            nodes.ids[host as usize] = Some(id);
        }
    }

    /// The node's task is gone: nobody is there to be woken.
    fn reset_node(&self, id: NodeId) {
        let host = self.nodes().ids.iter().position(|known| *known == Some(id));
        if let (Some(host), Some(shared)) = (host, self.shared.get()) {
            shared.lock().core.hosts[host].waker = None;
        }
    }
}
