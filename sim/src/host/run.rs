//! One world from its first boot to its end.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, channel};

use broker::time::Instant;
use madsim::plugin::simulator;
use madsim::runtime::Runtime;

use super::scheduler::Scheduler;
use crate::world::core::{Core, EndReason};
use crate::world::panics::install_hook;
use crate::world::plugin::{Shared, Sim, WorldPlugin};
use crate::world::{Observer, Outputs, WorldSpec};

/// What is left of a run.
pub struct RunEnd {
    /// With everything that it saw.
    pub observer: Box<dyn Observer>,
    /// Why it ended.
    pub reason: EndReason,
    /// World time of the end.
    pub at: Instant,
    /// Inputs delivered.
    pub inputs: u64,
    /// Of those, frames.
    pub frames: u64,
}

impl RunEnd {
    /// The observer as what it was before the run; `None` if it was something else.
    pub fn observer_as<T: Observer>(self) -> Option<Box<T>> {
        let any: Box<dyn Any> = self.observer;
        any.downcast().ok()
    }
}

impl std::fmt::Debug for RunEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunEnd")
            .field("reason", &self.reason)
            .field("at", &self.at)
            .field("inputs", &self.inputs)
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

/// Runs a world to its end, on a fresh thread of its own, and waits for it.
///
/// Same specification and same observer give the same calls to the observer, in the same order, at the same world times,
/// unless the wall watchdog barks. The watchdog is looked at between events: one step that never ends is beyond it.
/// Panics of machines are facts of the run; a panic of the observer or the simulator ends the run as
/// [`EndReason::Failed`]. Source: ours (DESIGN decision 3).
pub fn run(spec: WorldSpec, observer: Box<dyn Observer>) -> RunEnd {
    if let Some((index, host)) = spec.hosts.iter().enumerate().find(|(i, host)| host.id.0 as usize != *i) {
        let message = format!("host {} ({}) stands at position {index}", host.id.0, host.name);
        let reason = EndReason::Failed { message };
        return RunEnd { observer, reason, at: Instant::ZERO, inputs: 0, frames: 0 };
    }
    install_hook();
    let watchdog = spec.wall_watchdog;
    let schedule_seed = spec.seed.derive("schedule");
    let sim = Sim { core: Core::new(spec), observer: Some(observer), outputs: Outputs::default() };
    let shared = Arc::new(Shared::new(sim));
    let (done, is_done) = channel();
    let world = shared.clone();
    let thread = std::thread::Builder::new().name("simulation".to_owned()).spawn(move || {
        // The runtime comes first: it fixes the keys of every hash map that madsim makes on this thread.
        let runtime = Runtime::with_seed_and_config(schedule_seed, madsim::Config::default());
        runtime.add_simulator::<WorldPlugin>();
        let result = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async { Scheduler::new(world, simulator::<WorldPlugin>()).run().await })
        }));
        drop(runtime);
        // Nobody listens only if the caller's thread died.
        let _ = done.send(());
        result.map_err(|payload| message_of(payload.as_ref()))
    });
    let result = match thread {
        Err(error) => Err(format!("failed to start a thread: {error}")),
        Ok(thread) => {
            if is_done.recv_timeout(watchdog) == Err(RecvTimeoutError::Timeout) {
                shared.stop.store(true, Ordering::Relaxed);
            }
            thread.join().unwrap_or_else(|payload| Err(message_of(payload.as_ref())))
        }
    };
    finish(&shared, result)
}

fn finish(shared: &Shared, result: Result<(), String>) -> RunEnd {
    let mut sim = shared.lock();
    let core = &mut sim.core;
    // After a panic of the simulator the tasks may still hold the world: leave nothing of the machines in it.
    core.hosts.iter_mut().for_each(|host| host.machine = None);
    let reason = match result {
        Err(message) => EndReason::Failed { message },
        Ok(()) => core.end.take().unwrap_or(EndReason::Quiet),
    };
    let (at, inputs, frames) = (Instant(core.now), core.inputs, core.frames);
    let observer = sim.observer.take().unwrap_or_else(|| Box::new(Gone));
    RunEnd { observer, reason, at, inputs, frames }
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text =
        payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
    format!("the simulator panicked: {}", text.unwrap_or("without a message"))
}

/// Stands in for an observer that panicked while it acted.
struct Gone;

impl Observer for Gone {
    fn input(&mut self, _: Instant, _: crate::plan::HostId, _: &broker::io::Input) {}
    fn fact(&mut self, _: Instant, _: Option<crate::plan::HostId>, _: crate::trace::Fact) {}
    fn after_step(&mut self, _: &mut dyn crate::world::Control) {}
    fn alarm(&mut self, _: &mut dyn crate::world::Control) {}
}
