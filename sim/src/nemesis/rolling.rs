//! A rolling restart: one machine after another, each only when the last is back at work.

use std::collections::VecDeque;

use broker::io::Input;
use broker::time::{Duration, Instant};
use scenarios::model::RollingMode;

use super::ClusterView;
use super::held::Held;
use crate::plan::HostId;
use crate::trace::CrashMode;
use crate::world::{Control, HostState};

/// What the machine whose turn it is is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It was told to stop, and does not run any more once it is down.
    Stopping,
    /// It is down until then.
    Down(Instant),
    /// It was started then, and is at work once the metadata knows it again.
    Returning(Instant),
    /// It is at work; the next one's turn comes then.
    Back(Instant),
}

/// One strike that restarts several machines, one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rolling {
    /// Index of the fault in the plan.
    pub fault: usize,
    /// Which strike of it.
    pub n: u32,
    mode: RollingMode,
    gap: Duration,
    down: Duration,
    rest: VecDeque<HostId>,
    turn: Option<(HostId, Stage)>,
}

/// What a strike asks for, before the director knows its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Course {
    pub mode: RollingMode,
    pub gap: Duration,
    pub down: Duration,
}

impl Rolling {
    /// Nobody's turn has come yet.
    pub fn new(fault: usize, n: u32, course: &Course, hosts: &[HostId]) -> Rolling {
        let Course { mode, gap, down } = *course;
        Rolling { fault, n, mode, gap, down, rest: hosts.iter().copied().collect(), turn: None }
    }

    /// Does what is due. `true`: everybody had a turn.
    pub fn step(&mut self, view: &ClusterView, now: Instant, control: &mut dyn Control) -> bool {
        loop {
            let Some((host, stage)) = self.turn else {
                let Some(host) = self.rest.pop_front() else { return true };
                self.stop(host, control);
                self.turn = Some((host, Stage::Stopping));
                continue;
            };
            let next = match stage {
                Stage::Stopping if control.state(host) == HostState::Down => Stage::Down(now + self.down),
                Stage::Down(until) if now >= until => {
                    control.start(host);
                    Stage::Returning(now)
                }
                // The facts of the start itself are known a moment later.
                Stage::Returning(since) if now > since && view.is_at_work(host) => {
                    Stage::Back(now + self.gap)
                }
                Stage::Back(until) if now >= until => {
                    self.turn = None;
                    continue;
                }
                _ => return false,
            };
            self.turn = Some((host, next));
        }
    }

    fn stop(&self, host: HostId, control: &mut dyn Control) {
        match self.mode {
            RollingMode::Shutdown => control.tell(host, Input::ShutdownRequested),
            RollingMode::Process => {
                control.crash(host, CrashMode::Process);
            }
            RollingMode::Power => {
                control.crash(host, CrashMode::Power);
            }
        }
    }

    /// The next time at which something is due by itself.
    pub fn wake(&self) -> Option<Instant> {
        match self.turn?.1 {
            Stage::Stopping => None,
            Stage::Down(at) | Stage::Back(at) => Some(at),
            Stage::Returning(since) => Some(since + Duration::from_micros(1)),
        }
    }

    /// Breaks off: who is down or on its way there runs again, nobody else has a turn.
    pub fn break_off(self, held: &mut Held, control: &mut dyn Control) {
        if let Some((host, Stage::Stopping | Stage::Down(_))) = self.turn {
            held.start_when_down(host, control);
        }
    }
}
