//! When one fault is due.

use broker::time::{Duration, Instant};

use super::condition::{depends_on, time_marks};
use super::points::Sight;
use super::{Bindings, Change, ClusterView, UnfiredReason, holds};
use crate::plan::{FaultScope, Plan, PlannedFault, PlannedTrigger, below};
use crate::seed::ChaCha8Rng;

/// How far one fault has come.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    /// Strikes that did something.
    pub fired: u32,
    /// Strikes of any outcome.
    pub tried: u32,
    /// Why the last strike without effect had none.
    pub missed: Option<UnfiredReason>,
    /// Strikes at which the operator still works.
    pub under_way: u32,
    /// What was wrong with the cluster's answer to the operator, in words.
    pub refusal: Option<String>,
    /// When the fault first had fired and its hold was over.
    pub completed: Option<Instant>,
    /// It will not strike any more.
    pub is_over: bool,
    /// Times count from here; `None` while the fault may not strike.
    anchor: Option<Instant>,
    next: Option<Instant>,
    deadline: Option<Instant>,
    period: u64,
    was_true: bool,
    /// Events of its point so far.
    seen: u32,
    /// The event has come, and the fault has not struck yet.
    is_hit: bool,
    jitter: ChaCha8Rng,
}

/// What a fault looks at to find out whether it is due.
pub(super) struct Look<'a> {
    pub plan: &'a Plan,
    pub view: &'a ClusterView,
    pub bindings: &'a Bindings,
    pub now: Instant,
    /// When the fault that an `after` waits for had completed.
    pub after: Option<Instant>,
}

fn later(from: Instant, micros: u64) -> Instant {
    from + Duration::from_micros(micros)
}

impl Watch {
    pub fn new(plan: &Plan, fault: &PlannedFault) -> Watch {
        Watch {
            fired: 0,
            tried: 0,
            missed: None,
            under_way: 0,
            refusal: None,
            completed: None,
            is_over: false,
            anchor: None,
            next: None,
            deadline: None,
            period: 0,
            was_true: false,
            seen: 0,
            is_hit: false,
            jitter: plan.seed.stream(&format!("{}/jitter", fault.stream)),
        }
    }

    /// The fault's time begins. `first_run`: when the start phase ended.
    pub fn arm(&mut self, fault: &PlannedFault, now: Instant, first_run: Instant) {
        if self.anchor.is_some() {
            return;
        }
        let anchor = match fault.scope {
            FaultScope::Run => Instant::ZERO,
            FaultScope::AfterStart => first_run,
            FaultScope::Phase(_) => now,
        };
        self.anchor = Some(anchor);
        match &fault.trigger {
            PlannedTrigger::At { at_us } => self.next = Some(later(anchor, *at_us)),
            PlannedTrigger::Every { every_us, jitter_us, .. } => {
                // Periods that passed while the cluster was still booting do not strike all at once now.
                self.period = now.saturating_since(anchor).as_micros() as u64 / every_us;
                self.next_period(anchor, *every_us, *jitter_us);
            }
            PlannedTrigger::When { within_us, .. } => {
                self.deadline = within_us.map(|within| later(anchor, within));
            }
            PlannedTrigger::On { after: None, within_us, .. } => {
                self.deadline = within_us.map(|within| later(anchor, within));
            }
            PlannedTrigger::After { .. } | PlannedTrigger::On { .. } => {}
        }
    }

    /// The fault's time is over.
    pub fn disarm(&mut self) {
        self.is_over |= self.anchor.is_some();
        self.next = None;
        self.deadline = None;
    }

    fn is_watching(&self) -> bool {
        self.anchor.is_some() && !self.is_over
    }

    fn next_period(&mut self, anchor: Instant, every_us: u64, jitter_us: u64) {
        self.period += 1;
        let jitter = below(jitter_us.saturating_add(1), &mut self.jitter);
        self.next = Some(later(anchor, self.period.saturating_mul(every_us).saturating_add(jitter)));
    }

    /// Is the fault due? Says so once for each strike that it shall do.
    pub fn is_due(&mut self, fault: &PlannedFault, look: &Look<'_>) -> bool {
        let (Some(anchor), false) = (self.anchor, self.is_over) else { return false };
        let is_past = |at: Option<Instant>| at.is_some_and(|at| look.now >= at);
        match &fault.trigger {
            PlannedTrigger::At { .. } => {
                let is_due = is_past(self.next);
                self.is_over = is_due;
                is_due
            }
            PlannedTrigger::Every { every_us, jitter_us, count } => {
                if !is_past(self.next) {
                    return false;
                }
                self.next_period(anchor, *every_us, *jitter_us);
                self.is_over = count.is_some_and(|count| self.tried + 1 >= count);
                true
            }
            PlannedTrigger::When { condition, once, .. } => {
                let is_true = holds(condition, look.plan, look.view, look.bindings, look.now);
                let is_due = is_true && !self.was_true;
                self.was_true = is_true;
                self.is_over = (is_due && *once) || (!is_due && self.tried == 0 && is_past(self.deadline));
                is_due
            }
            PlannedTrigger::On { after, within_us, .. } => {
                if after.is_some() {
                    self.deadline = look.after.and_then(|after| within_us.map(|within| later(after, within)));
                }
                let is_due = std::mem::take(&mut self.is_hit);
                self.is_over = is_due || is_past(self.deadline);
                is_due
            }
            PlannedTrigger::After { condition, within_us, .. } => {
                let Some(after) = look.after else { return false };
                self.deadline = within_us.map(|within| later(after, within));
                let is_true = |condition| holds(condition, look.plan, look.view, look.bindings, look.now);
                let is_due = condition.as_ref().is_none_or(is_true);
                self.is_over = is_due || is_past(self.deadline);
                is_due
            }
        }
    }

    /// A node says something. `true`: it is what the fault waits for. `after`: the fault that it waits for has completed,
    /// if there is one.
    pub fn sees(&mut self, fault: &PlannedFault, sight: &Sight<'_>, after: bool) -> bool {
        let PlannedTrigger::On { point, .. } = &fault.trigger else { return false };
        if !self.is_watching() || !after || !sight.is_at(point) {
            return false;
        }
        self.seen += 1;
        self.is_hit |= self.seen == point.nth;
        self.is_hit
    }

    /// What must change before the fault can become due; time apart.
    pub fn interest(&self, fault: &PlannedFault) -> Change {
        match &fault.trigger {
            PlannedTrigger::When { condition, .. }
            | PlannedTrigger::After { condition: Some(condition), .. }
                if self.is_watching() =>
            {
                depends_on(condition)
            }
            _ => Change::NONE,
        }
    }

    /// The next time at which it may become due by itself.
    pub fn wake(&self, fault: &PlannedFault, now: Instant) -> Option<Instant> {
        if !self.is_watching() {
            return None;
        }
        let mut marks = Vec::new();
        match &fault.trigger {
            PlannedTrigger::When { condition, .. }
            | PlannedTrigger::After { condition: Some(condition), .. } => {
                time_marks(condition, &mut marks);
            }
            _ => {}
        }
        let marks = marks.into_iter().map(Instant).filter(|at| *at > now);
        let deadline = self.deadline.filter(|at| *at > now);
        marks.chain(self.next).chain(deadline).min()
    }
}
