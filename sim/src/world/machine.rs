//! What a host can run: anything sans-IO with the broker's border types.

use broker::io::{Disk, Effects, Input};
use broker::time::Instant;

use crate::history::HistoryEvent;

/// What one step of a machine produced: effects for the world, history for the judge.
#[derive(Debug, Default)]
pub struct Outputs {
    /// In order.
    pub effects: Effects,
    /// What the application on this machine was told, in order. Empty for nodes.
    pub history: Vec<HistoryEvent>,
}

/// A running state machine: a Kafka node or a client.
pub trait Machine: Send {
    /// Takes one input. `now` is this machine's own clock.
    fn step(&mut self, now: Instant, input: Input, disk: &mut dyn Disk, out: &mut Outputs);

    /// When it next wants `Input::TimerDue`, by its own clock. Asked after every step.
    fn next_deadline(&self) -> Option<Instant>;
}

/// What a booting machine is given.
pub struct Boot<'a> {
    /// Its own clock.
    pub now: Instant,
    /// Its disk, as the last incarnation left it (minus what a power loss took).
    pub disk: &'a mut dyn Disk,
    /// A seed of its own, different for each incarnation.
    pub seed: u64,
    /// 0 for the first boot.
    pub incarnation: u32,
    /// Effects of booting.
    pub out: &'a mut Outputs,
}

/// Makes machines: one per incarnation.
pub trait Program: Send {
    /// Boots an incarnation. Errors: the reason why it cannot start, for the operator.
    fn boot(&self, boot: Boot<'_>) -> Result<Box<dyn Machine>, String>;
}
