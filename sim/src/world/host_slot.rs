//! What the world knows of one machine.

use std::collections::VecDeque;
use std::task::Waker;

use broker::io::Input;

use super::agenda::{Agenda, Event};
use super::clock::NodeClock;
use super::control::HostState;
use super::disk::SimDisk;
use super::machine::{Machine, Program};

/// The machine's own deadline. Entries of the agenda cannot be taken back: they are checked when they come.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    /// World time.
    deadline: Option<u64>,
    /// The earliest entry of the agenda.
    armed: Option<u64>,
    /// `TimerDue` waits in the mailbox.
    is_queued: bool,
}

/// One machine.
pub(crate) struct HostSlot {
    pub(crate) name: String,
    pub(crate) program: Box<dyn Program>,
    pub(crate) is_node: bool,
    pub(crate) clock: NodeClock,
    pub(crate) disk: SimDisk,
    pub(crate) state: HostState,
    /// Does its kernel live?
    pub(crate) is_powered: bool,
    /// The running incarnation, or the last one.
    pub(crate) incarnation: u32,
    pub(crate) boots: u32,
    /// Absent while down, and before the incarnation's first turn.
    pub(crate) machine: Option<Box<dyn Machine>>,
    pub(crate) mailbox: VecDeque<Input>,
    pub(crate) waker: Option<Waker>,
    pub(crate) timer: Timer,
}

impl HostSlot {
    pub(crate) fn new(
        name: String,
        program: Box<dyn Program>,
        is_node: bool,
        clock: NodeClock,
        disk: SimDisk,
    ) -> HostSlot {
        HostSlot {
            name,
            program,
            is_node,
            clock,
            disk,
            state: HostState::Down,
            is_powered: true,
            incarnation: 0,
            boots: 0,
            machine: None,
            mailbox: VecDeque::new(),
            waker: None,
            timer: Timer::default(),
        }
    }

    /// Puts an input into the mailbox.
    pub(crate) fn give(&mut self, input: Input) {
        self.mailbox.push_back(input);
        self.wake();
    }

    pub(crate) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Does it have something to do now?
    pub(crate) fn is_ready(&self) -> bool {
        self.state == HostState::Up && (self.machine.is_none() || !self.mailbox.is_empty())
    }

    /// The next input. `TimerDue` is passed over if the machine has moved its deadline on meanwhile.
    pub(crate) fn next_input(&mut self, host: u32, now: u64, agenda: &mut Agenda) -> Option<Input> {
        loop {
            let input = self.mailbox.pop_front()?;
            if !matches!(input, Input::TimerDue) {
                return Some(input);
            }
            self.timer.is_queued = false;
            if self.timer.deadline.is_some_and(|deadline| deadline <= now) {
                return Some(input);
            }
            self.arm(host, agenda);
        }
    }

    /// Asks the machine for its deadline.
    pub(crate) fn ask_deadline(&mut self, host: u32, now: u64, agenda: &mut Agenda) {
        let deadline = self.machine.as_ref().and_then(|machine| machine.next_deadline());
        self.timer.deadline = deadline.map(|at| self.clock.world_of(at).max(now));
        self.arm(host, agenda);
    }

    /// An entry of the agenda came.
    pub(crate) fn deadline_came(&mut self, host: u32, now: u64, agenda: &mut Agenda) {
        if self.timer.armed.is_some_and(|armed| armed <= now) {
            self.timer.armed = None;
        }
        if self.timer.is_queued {
            return;
        }
        if self.timer.deadline.is_some_and(|deadline| deadline <= now) {
            self.timer.is_queued = true;
            self.give(Input::TimerDue);
        } else {
            self.arm(host, agenda);
        }
    }

    fn arm(&mut self, host: u32, agenda: &mut Agenda) {
        let Some(deadline) = self.timer.deadline else { return };
        if !self.timer.is_queued && self.timer.armed.is_none_or(|armed| deadline < armed) {
            self.timer.armed = Some(deadline);
            agenda.schedule(deadline, Event::Deadline { host, incarnation: self.incarnation });
        }
    }
}
