//! What the nemesis says afterwards.

use broker::time::Instant;
use scenarios::model::PhaseKind;

/// A phase that began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseRecord {
    /// Its name.
    pub name: String,
    /// Its place.
    pub kind: PhaseKind,
    /// When it began.
    pub start: Instant,
    /// When it ended; `None` if the run ended first.
    pub end: Option<Instant>,
    /// Whether what it waited for came in time.
    pub is_met: bool,
}

/// Why a fault did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnfiredReason {
    /// Its time or condition never came.
    ConditionUnmet,
    /// It was due, and nobody had the role that it aims at.
    NoTarget,
    /// It was due and changed nothing.
    NoEffect,
    /// The cluster refused what the operator asked for, or did not refuse what it should have.
    Refused,
    /// The operator was still at work when the run ended.
    Unfinished,
}

/// A fault that never did what it was there for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfired {
    /// Its id.
    pub id: String,
    /// The verb.
    pub kind: String,
    /// The trigger, as written.
    pub trigger: String,
    /// Why.
    pub reason: UnfiredReason,
    /// The same in words.
    pub detail: String,
}
