//! Everything that exists in a world, and what can be done to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use broker::io::Input;
use broker::time::Instant;

use super::agenda::{Agenda, Event, NetEvent, Tenant};
use super::clock::NodeClock;
use super::control::{Control, Cut, CutId, HostState, Intercept, LinkEffect};
use super::disk::SimDisk;
use super::host_slot::HostSlot;
use super::latency::Sampler;
use super::net::{Around, Leaving, Links, SimNet};
use super::panics::caught;
use super::spec::WorldSpec;
use crate::plan::HostId;
use crate::seed::Seed;
use crate::trace::{CrashMode, Fact, StopKind, WorldFact};

/// Why a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndReason {
    /// The observer said so (`Control::end_run`).
    Ended,
    /// No event will ever come.
    Quiet,
    /// [`WorldSpec::event_budget`] inputs were delivered.
    EventBudget,
    /// [`WorldSpec::wall_watchdog`] passed on the wall.
    WallWatchdog,
    /// The simulator itself could not go on.
    Failed { message: String },
}

/// What the scheduler has to do for a machine once nobody holds the world any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifecycle {
    Start(u32),
    Kill(u32),
    Pause(u32),
    Resume(u32),
}

/// The world.
pub(crate) struct Core {
    /// World time in microseconds.
    pub(crate) now: u64,
    pub(crate) seed: Seed,
    pub(crate) hosts: Vec<HostSlot>,
    pub(crate) net: SimNet,
    pub(crate) agenda: Agenda,
    /// Not yet told to the observer.
    pub(crate) facts: Vec<(Option<HostId>, Fact)>,
    /// Not yet told to the scheduler.
    pub(crate) lifecycle: Vec<Lifecycle>,
    pub(crate) end: Option<EndReason>,
    pub(crate) inputs: u64,
    pub(crate) frames: u64,
    pub(crate) event_budget: u64,
    /// Wakes the task that carries the agenda out, which sleeps until `pump_until`.
    pub(crate) pump: Option<Waker>,
    pub(crate) pump_until: u64,
}

impl Core {
    /// The world before time 0; nothing runs.
    pub(crate) fn new(spec: WorldSpec) -> Core {
        let count = spec.hosts.len();
        let links = Links::new(spec.seed, count, &spec.net);
        let names: BTreeMap<Arc<str>, u32> =
            spec.hosts.iter().zip(0..).map(|(host, i)| (host.address.clone(), i)).collect();
        let write = Arc::new(Sampler::new(&spec.disk.write));
        let fsync = Arc::new(Sampler::new(&spec.disk.fsync));
        let mut starting = Vec::new();
        let mut hosts = Vec::with_capacity(count);
        for (host, i) in spec.hosts.into_iter().zip(0..) {
            if host.starts {
                starting.push(HostId(i));
            }
            let disk = SimDisk::new(spec.seed, i, write.clone(), fsync.clone());
            let clock = NodeClock::new(host.clock);
            hosts.push(HostSlot::new(host.name, host.program, host.is_node, clock, disk));
        }
        let mut core = Core {
            now: 0,
            seed: spec.seed,
            hosts,
            net: SimNet::new(links, names, count),
            agenda: Agenda::default(),
            facts: Vec::new(),
            lifecycle: Vec::new(),
            end: None,
            inputs: 0,
            frames: 0,
            event_budget: spec.event_budget,
            pump: None,
            pump_until: 0,
        };
        for host in starting {
            core.start(host);
        }
        core
    }

    /// The network, and what it needs to work.
    pub(crate) fn net(&mut self) -> (&mut SimNet, Around<'_>) {
        let around = Around {
            now: self.now,
            agenda: &mut self.agenda,
            hosts: &mut self.hosts,
            facts: &mut self.facts,
        };
        (&mut self.net, around)
    }

    /// An event of the agenda happens. `true` if the observer wants to be called.
    pub(crate) fn happen(&mut self, event: Event) -> bool {
        match event {
            Event::Net(tenant, event) => self.net_event(tenant, event),
            Event::Disk { host, incarnation, token } => {
                let token = broker::io::SyncToken(token);
                let slot = &mut self.hosts[host as usize];
                if slot.incarnation == incarnation
                    && let Some(result) = slot.disk.complete(token)
                {
                    slot.give(Input::DiskSynced { token, result });
                }
            }
            Event::Deadline { host, incarnation } => {
                let slot = &mut self.hosts[host as usize];
                if slot.incarnation == incarnation && slot.state != HostState::Down {
                    slot.deadline_came(host, self.now, &mut self.agenda);
                }
            }
            Event::Alarm => return true,
        }
        false
    }

    fn net_event(&mut self, tenant: Tenant, event: NetEvent) {
        let (net, mut around) = self.net();
        net.on(&mut around, tenant, event);
    }

    /// Schedules the syncs that a machine asked for in its step, and its next deadline.
    pub(crate) fn after_machine(&mut self, host: u32) {
        let slot = &mut self.hosts[host as usize];
        while let Some((token, latency)) = slot.disk.take_requested() {
            let event = Event::Disk { host, incarnation: slot.incarnation, token: token.0 };
            self.agenda.schedule(self.now.saturating_add(latency), event);
        }
        slot.ask_deadline(host, self.now, &mut self.agenda);
    }

    /// A machine stops, for whatever reason.
    pub(crate) fn stop(&mut self, host: u32, kind: StopKind) {
        let leaving = match &kind {
            StopKind::Crash(CrashMode::Power | CrashMode::Wipe) => Leaving::PowerLoss,
            StopKind::Halt { .. } | StopKind::End => Leaving::Exit,
            StopKind::Crash(CrashMode::Process) | StopKind::Panic { .. } => Leaving::Death,
        };
        let slot = &mut self.hosts[host as usize];
        slot.state = HostState::Down;
        slot.is_powered = leaving != Leaving::PowerLoss;
        slot.mailbox.clear();
        slot.timer = Default::default();
        let machine = slot.machine.take();
        // A machine may panic once more while it is dropped; that says nothing new.
        let _ = caught(move || drop(machine));
        let lost = match leaving {
            Leaving::PowerLoss if kind == StopKind::Crash(CrashMode::Wipe) => {
                slot.disk.replaced();
                Default::default()
            }
            Leaving::PowerLoss => slot.disk.power_lost(),
            _ => {
                slot.disk.process_stopped();
                Default::default()
            }
        };
        if kind != StopKind::End {
            let (net, mut around) = self.net();
            net.host_stopped(&mut around, host, leaving);
        }
        self.record(host, WorldFact::Stopped { kind });
        if lost != Default::default() {
            self.record(host, WorldFact::DiskLost { bytes: lost.bytes, entries: lost.entries });
        }
        self.lifecycle.push(Lifecycle::Kill(host));
    }

    fn record(&mut self, host: u32, fact: WorldFact) {
        self.facts.push((Some(HostId(host)), Fact::World(fact)));
    }

    fn slot(&mut self, host: HostId) -> Option<&mut HostSlot> {
        self.hosts.get_mut(host.0 as usize)
    }

    /// Ends the run, unless it has ended already.
    pub(crate) fn end(&mut self, reason: EndReason) {
        self.end.get_or_insert(reason);
        self.wake_pump();
    }

    /// The pump has to look at the agenda.
    pub(crate) fn wake_pump(&mut self) {
        if let Some(pump) = self.pump.take() {
            pump.wake();
        }
    }
}

impl Control for Core {
    fn now(&self) -> Instant {
        Instant(self.now)
    }

    fn state(&self, host: HostId) -> HostState {
        self.hosts.get(host.0 as usize).map_or(HostState::Down, |slot| slot.state)
    }

    fn crash(&mut self, host: HostId, mode: CrashMode) -> bool {
        let is_alive = self.state(host) != HostState::Down;
        if is_alive {
            self.stop(host.0, StopKind::Crash(mode));
        }
        is_alive
    }

    fn start(&mut self, host: HostId) -> bool {
        let Some(slot) = self.slot(host).filter(|slot| slot.state == HostState::Down) else { return false };
        slot.state = HostState::Up;
        slot.is_powered = true;
        slot.incarnation = slot.boots;
        slot.boots += 1;
        let incarnation = slot.incarnation;
        self.record(host.0, WorldFact::Started { incarnation });
        self.lifecycle.push(Lifecycle::Start(host.0));
        true
    }

    fn pause(&mut self, host: HostId) -> bool {
        let Some(slot) = self.slot(host).filter(|slot| slot.state == HostState::Up) else { return false };
        slot.state = HostState::Paused;
        self.record(host.0, WorldFact::Paused);
        self.lifecycle.push(Lifecycle::Pause(host.0));
        true
    }

    fn resume(&mut self, host: HostId) -> bool {
        let Some(slot) = self.slot(host).filter(|slot| slot.state == HostState::Paused) else { return false };
        slot.state = HostState::Up;
        slot.wake();
        self.record(host.0, WorldFact::Resumed);
        self.lifecycle.push(Lifecycle::Resume(host.0));
        true
    }

    fn cut(&mut self, cut: Cut) -> CutId {
        self.net.links.cut(cut)
    }

    fn degrade(&mut self, effect: LinkEffect) -> CutId {
        self.net.links.degrade(effect)
    }

    fn intercept(&mut self, what: Intercept) -> CutId {
        self.net.intercept(what)
    }

    fn heal(&mut self, id: CutId) -> bool {
        let (net, mut around) = self.net();
        net.heal_intercept(&mut around, id) || net.links.heal(id)
    }

    fn reset(&mut self, from: &[HostId], to: &[HostId], is_told: bool) -> usize {
        let (net, mut around) = self.net();
        net.reset_between(&mut around, from, to, is_told)
    }

    fn tell(&mut self, host: HostId, input: Input) {
        if let Some(slot) = self.slot(host).filter(|slot| slot.state != HostState::Down) {
            slot.give(input);
        }
    }

    fn wake_at(&mut self, at: Instant) {
        self.agenda.schedule(at.0.max(self.now), Event::Alarm);
    }

    fn end_run(&mut self) {
        self.end(EndReason::Ended);
    }
}
