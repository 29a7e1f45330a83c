//! One world from its first boot to its end.

use broker::time::Instant;

use crate::world::{Observer, WorldSpec};

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

/// Runs a world to its end.
pub fn run(spec: WorldSpec, observer: Box<dyn Observer>) -> RunEnd {
    let message = format!("no driver yet for {} hosts", spec.hosts.len());
    RunEnd { observer, reason: EndReason::Failed { message }, at: Instant::ZERO, inputs: 0, frames: 0 }
}
