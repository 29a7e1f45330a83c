//! Takes the measurements of [`super::failover`].

use super::config::EndOfRun;
use super::failover::Measurements;
use super::ghost::{Ghost, Step};
use crate::trace::TraceEvent;

/// Takes measurements, event by event.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    taken: Measurements,
}

impl Meter {
    /// Takes one event in.
    pub fn observe(&mut self, _event: &TraceEvent, _step: &Step, _ghost: &Ghost) {}

    /// The run is over.
    pub fn finish(self, _end: &EndOfRun, _ghost: &Ghost) -> Measurements {
        self.taken
    }
}
