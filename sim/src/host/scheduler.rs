//! The tasks of a run: one carries the agenda out, one per machine gives it its turns. Which ready task is next is madsim's
//! seeded choice.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use madsim::runtime::Handle;
use madsim::time::{Sleep, TimeHandle, sleep};

use super::step::{observe, tell_facts, turn};
use crate::trace::StopKind;
use crate::world::HostState;
use crate::world::core::{EndReason, Lifecycle};
use crate::world::plugin::{Shared, Sim, WorldPlugin};

/// What every task needs.
pub(super) struct Scheduler {
    shared: Arc<Shared>,
    plugin: Arc<WorldPlugin>,
    handle: Handle,
    time: TimeHandle,
}

/// The timers that madsim still holds for the pump, which cannot be taken back.
struct Pump {
    sleep: Pin<Box<Sleep>>,
    timers: BinaryHeap<Reverse<u64>>,
}

impl Scheduler {
    /// Inside of madsim only.
    pub(super) fn new(shared: Arc<Shared>, plugin: Arc<WorldPlugin>) -> Scheduler {
        plugin.install(shared.clone());
        Scheduler { shared, plugin, handle: Handle::current(), time: TimeHandle::current() }
    }

    /// Runs the world to its end, then takes it down so that nothing of it stays in memory.
    pub(super) async fn run(self) {
        let this = Arc::new(self);
        let mut pump = Pump { sleep: Box::pin(sleep(Duration::ZERO)), timers: BinaryHeap::new() };
        poll_fn(|context| this.poll_pump(&mut pump, context)).await;
        this.take_down();
        sleep(Duration::from_millis(1)).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sim> {
        let mut sim = self.shared.lock();
        sim.core.now = u64::try_from(self.time.elapsed().as_micros()).unwrap_or(u64::MAX);
        sim
    }

    fn poll_pump(self: &Arc<Self>, pump: &mut Pump, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut sim = self.lock();
            tell_facts(&mut sim);
            let is_over = self.carry_out_due(&mut sim);
            if !sim.core.lifecycle.is_empty() {
                let orders = std::mem::take(&mut sim.core.lifecycle);
                drop(sim);
                self.obey(&orders);
                continue;
            }
            if is_over {
                return Poll::Ready(());
            }
            let core = &mut sim.core;
            core.pump = Some(context.waker().clone());
            core.pump_until = u64::MAX;
            let Some(at) = core.agenda.next_at() else { return Poll::Pending };
            core.pump_until = at;
            while pump.timers.peek().is_some_and(|&Reverse(timer)| timer <= core.now) {
                pump.timers.pop();
            }
            if pump.timers.peek().is_some_and(|&Reverse(timer)| timer <= at) {
                return Poll::Pending; // an older timer comes first; then there is time to look again
            }
            let started = self.time.now_instant() - self.time.elapsed();
            pump.sleep.as_mut().reset(started + Duration::from_micros(at));
            if pump.sleep.as_mut().poll(context).is_pending() {
                pump.timers.push(Reverse(at));
                return Poll::Pending;
            }
        }
    }

    /// Everything whose time has come, until somebody has to be started or stopped. `true` if the run is over.
    fn carry_out_due(&self, sim: &mut Sim) -> bool {
        loop {
            if self.shared.stop.load(Ordering::Relaxed) {
                sim.core.end(EndReason::WallWatchdog);
            }
            if sim.core.end.is_some() {
                return true;
            }
            if !sim.core.lifecycle.is_empty() {
                return false;
            }
            match sim.core.agenda.pop_due(sim.core.now) {
                Some(event) => {
                    if sim.core.happen(event) {
                        observe(sim, |observer, control| observer.alarm(control));
                    } else if !sim.core.facts.is_empty() {
                        tell_facts(sim);
                        observe(sim, |observer, control| observer.after_step(control));
                    }
                }
                None => {
                    let is_quiet = sim.core.agenda.next_at().is_none()
                        && !sim.core.hosts.iter().any(|host| host.is_ready());
                    if is_quiet {
                        sim.core.end(EndReason::Quiet);
                    }
                    return is_quiet;
                }
            }
        }
    }

    fn poll_host(self: &Arc<Self>, host: u32, context: &mut Context<'_>) -> Poll<()> {
        let mut sim = self.lock();
        if self.shared.stop.load(Ordering::Relaxed) {
            sim.core.end(EndReason::WallWatchdog);
        }
        let worked = turn(&mut sim, host);
        let core = &mut sim.core;
        if core.agenda.next_at().is_none_or(|at| at < core.pump_until) {
            core.wake_pump();
        }
        let slot = &mut core.hosts[host as usize];
        if worked && slot.is_ready() {
            context.waker().wake_by_ref();
        } else if !slot.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            slot.waker = Some(context.waker().clone());
        }
        if !core.lifecycle.is_empty() {
            let orders = std::mem::take(&mut core.lifecycle);
            drop(sim);
            self.obey(&orders);
        }
        Poll::Pending
    }

    /// Tells madsim what happened to machines. Never called with the world locked: madsim calls the plugin's hooks.
    fn obey(self: &Arc<Self>, orders: &[Lifecycle]) {
        for order in orders {
            match *order {
                Lifecycle::Start(host) => self.start(host),
                Lifecycle::Kill(host) => self.with_node(host, |handle, node| handle.kill(node)),
                Lifecycle::Pause(host) => self.with_node(host, |handle, node| handle.pause(node)),
                Lifecycle::Resume(host) => self.with_node(host, |handle, node| handle.resume(node)),
            }
        }
    }

    /// Always a kill before a restart: a restart alone leaves what the plugins know of the old incarnation.
    fn start(self: &Arc<Self>, host: u32) {
        if let Some(node) = self.plugin.node(host) {
            self.handle.kill(node);
            self.handle.restart(node);
            return;
        }
        self.plugin.expect(host);
        let name = self.shared.lock().core.hosts[host as usize].name.clone();
        let scheduler = Arc::downgrade(self);
        let task = move || {
            let scheduler = scheduler.upgrade();
            poll_fn(move |context| match &scheduler {
                Some(scheduler) => scheduler.poll_host(host, context),
                None => Poll::Ready(()),
            })
        };
        self.handle.create_node().name(name).init(task).build();
    }

    fn with_node(&self, host: u32, order: impl FnOnce(&Handle, madsim::task::NodeId)) {
        if let Some(node) = self.plugin.node(host) {
            order(&self.handle, node);
        }
    }

    fn take_down(self: &Arc<Self>) {
        let mut sim = self.lock();
        for host in 0..sim.core.hosts.len() {
            if sim.core.hosts[host].state != HostState::Down {
                sim.core.stop(host as u32, StopKind::End);
            }
        }
        tell_facts(&mut sim);
        sim.core.agenda.clear();
        sim.core.pump = None;
        let orders = std::mem::take(&mut sim.core.lifecycle);
        drop(sim);
        self.obey(&orders);
    }
}
