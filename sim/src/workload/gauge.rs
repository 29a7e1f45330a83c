//! What a run can read from outside while a load runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[derive(Debug, Default)]
struct Cells {
    is_done: AtomicBool,
    accepted: AtomicU64,
    refused: AtomicU64,
}

/// Shared between a program, its machines and the run. Survives the machine's crashes. Never influences a machine.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<Cells>);

impl Gauge {
    /// [`super::Setup`]: all topics exist. [`super::ProduceLoad`]: no record will follow and all have ended.
    pub fn is_done(&self) -> bool {
        self.0.is_done.load(Ordering::Relaxed)
    }

    /// Records that a producer took.
    pub fn accepted(&self) -> u64 {
        self.0.accepted.load(Ordering::Relaxed)
    }

    /// Records that no producer took within `max.block.ms`.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    pub(super) fn set_done(&self, is_done: bool) {
        self.0.is_done.store(is_done, Ordering::Relaxed);
    }

    pub(super) fn count_accepted(&self) {
        self.0.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_refused(&self) {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
    }
}
