//! A world without machines: remembers what was done to it.

use broker::io::Input;
use broker::time::Instant;

use crate::client::AdminTask;
use crate::plan::HostId;
use crate::trace::CrashMode;
use crate::world::{Control, Cut, CutId, HostState, Intercept, LinkEffect};

/// Fake [`Control`]: states only.
#[derive(Debug, Default)]
pub struct FakeControl {
    pub now: Instant,
    pub states: Vec<HostState>,
    pub cuts: Vec<(u64, Cut)>,
    pub effects: Vec<(u64, LinkEffect)>,
    pub intercepts: Vec<(u64, Intercept)>,
    pub resets: Vec<(Vec<HostId>, Vec<HostId>, bool)>,
    pub wakes: Vec<Instant>,
    pub told: Vec<HostId>,
    /// What the operator was given to do.
    pub tasks: Vec<AdminTask>,
    pub is_ended: bool,
    next_cut: u64,
}

impl FakeControl {
    pub fn new(hosts: usize) -> FakeControl {
        FakeControl { states: vec![HostState::Up; hosts], ..FakeControl::default() }
    }

    fn shift(&mut self, host: HostId, from: &[HostState], to: HostState) -> bool {
        let state = &mut self.states[host.0 as usize];
        let changes = from.contains(state);
        if changes {
            *state = to;
        }
        changes
    }

    fn id(&mut self) -> u64 {
        self.next_cut += 1;
        self.next_cut
    }
}

impl Control for FakeControl {
    fn now(&self) -> Instant {
        self.now
    }
    fn state(&self, host: HostId) -> HostState {
        self.states[host.0 as usize]
    }
    fn crash(&mut self, host: HostId, _mode: CrashMode) -> bool {
        self.shift(host, &[HostState::Up, HostState::Paused], HostState::Down)
    }
    fn start(&mut self, host: HostId) -> bool {
        self.shift(host, &[HostState::Down], HostState::Up)
    }
    fn pause(&mut self, host: HostId) -> bool {
        self.shift(host, &[HostState::Up], HostState::Paused)
    }
    fn resume(&mut self, host: HostId) -> bool {
        self.shift(host, &[HostState::Paused], HostState::Up)
    }
    fn cut(&mut self, cut: Cut) -> CutId {
        let id = self.id();
        self.cuts.push((id, cut));
        CutId(id)
    }
    fn degrade(&mut self, effect: LinkEffect) -> CutId {
        let id = self.id();
        self.effects.push((id, effect));
        CutId(id)
    }
    fn intercept(&mut self, what: Intercept) -> CutId {
        let id = self.id();
        self.intercepts.push((id, what));
        CutId(id)
    }
    fn heal(&mut self, id: CutId) -> bool {
        let before = self.cuts.len() + self.effects.len() + self.intercepts.len();
        self.cuts.retain(|(cut, _)| *cut != id.0);
        self.effects.retain(|(effect, _)| *effect != id.0);
        self.intercepts.retain(|(rule, _)| *rule != id.0);
        self.cuts.len() + self.effects.len() + self.intercepts.len() < before
    }
    fn reset(&mut self, from: &[HostId], to: &[HostId], is_told: bool) -> usize {
        self.resets.push((from.to_vec(), to.to_vec(), is_told));
        1
    }
    fn tell(&mut self, host: HostId, input: Input) {
        self.tasks.extend(AdminTask::from_input(&input));
        self.told.push(host);
    }
    fn wake_at(&mut self, at: Instant) {
        self.wakes.push(at);
    }
    fn end_run(&mut self) {
        self.is_ended = true;
    }
}
