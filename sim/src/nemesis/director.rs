//! Phases, and what is due in them.

use broker::io::Input;
use broker::time::{Duration, Instant};
use scenarios::model::{Condition, Heal, PhaseEnd, PhaseKind, Verb};

use super::condition::{depends_on, time_marks};
use super::held::Held;
use super::points::Sight;
use super::rolling::Rolling;
use super::strike::{Strike, Struck};
use super::trigger::{Look, Watch};
use super::{Bindings, Change, ClusterView, PhaseRecord, Unfired, UnfiredReason, heal, holds};
use crate::plan::{FaultScope, HostId, Plan, PlannedPhase, PlannedTrigger};
use crate::trace::{Fact, WorldFact};
use crate::world::Control;

/// The settle phase lasts at least so long, so that what was healed at its start is noticed. Source: ours.
const SETTLES_NOT_BEFORE: Duration = Duration::from_secs(3);

/// Takes a plan's phases and faults through a run.
pub struct Director {
    plan: Plan,
    /// Every verb does nothing, and counts as such: tests that no run turns green by itself.
    is_inert: bool,
    watches: Vec<Watch>,
    bindings: Bindings,
    held: Held,
    /// Strikes that end by themselves: when, which fault, which strike.
    expiries: Vec<(Instant, usize, u32)>,
    /// Restarts that go from machine to machine.
    rolling: Vec<Rolling>,
    phases: Vec<PhaseRecord>,
    first_run: Option<Instant>,
    last_resolved: Option<Instant>,
    skipped: u64,
    /// Reports of the operator that were read.
    heard: usize,
    /// Some fault waits for what a node says.
    watches_points: bool,
    /// It has come.
    is_hit: bool,
    interest: Change,
    wake: Option<Instant>,
    is_ended: bool,
    is_settled: bool,
    hit_time_limit: bool,
    facts: Vec<WorldFact>,
}

impl Director {
    /// Nothing has begun. With `is_inert` every verb does nothing.
    pub fn new(plan: &Plan, is_inert: bool) -> Director {
        Director {
            watches: plan.faults.iter().map(|fault| Watch::new(plan, fault)).collect(),
            plan: plan.clone(),
            is_inert,
            bindings: Bindings::new(),
            held: Held::with_idle(&plan.standby),
            expiries: Vec::new(),
            rolling: Vec::new(),
            phases: Vec::new(),
            first_run: None,
            last_resolved: None,
            skipped: 0,
            heard: 0,
            watches_points: plan
                .faults
                .iter()
                .any(|fault| matches!(fault.trigger, PlannedTrigger::On { .. })),
            is_hit: false,
            interest: Change::ALL,
            wake: None,
            is_ended: false,
            is_settled: false,
            hit_time_limit: false,
            facts: Vec::new(),
        }
    }

    /// Does what is due. Returns what happened, to be recorded; call again with what the view makes of it until nothing
    /// comes.
    pub fn step(&mut self, view: &ClusterView, change: Change, control: &mut dyn Control) -> Vec<WorldFact> {
        let now = control.now();
        let is_time = self.wake.is_none_or(|wake| now >= wake);
        let is_hit = std::mem::take(&mut self.is_hit);
        if self.is_ended || !(is_time || is_hit || change.touches(self.interest)) {
            return Vec::new();
        }
        if self.phases.is_empty() {
            self.enter(0, now, control);
        }
        self.hear(view, now);
        self.expire(now, control);
        self.held.start_awaited(control);
        self.roll(view, now, control);
        // After a strike the view must be looked at again, before anything else is decided in this event.
        if !self.strike_next(view, now, control) {
            self.end_phase_if_over(view, now, control);
        }
        if now.as_micros() >= self.plan.time_limit_us && !self.is_ended {
            self.hit_time_limit = true;
            self.end_run(control);
        }
        self.look_ahead(now, control);
        std::mem::take(&mut self.facts)
    }

    /// Looks at what a node says, for the faults that wait for just that. `view` knows it already.
    pub fn observe(&mut self, view: &ClusterView, host: Option<HostId>, fact: &Fact) {
        if !self.watches_points || self.is_ended {
            return;
        }
        let (Some(host), Fact::Node(fact)) = (host, fact) else { return };
        for index in 0..self.watches.len() {
            let fault = &self.plan.faults[index];
            let after = match &fault.trigger {
                PlannedTrigger::On { after, .. } => {
                    after.as_ref().is_none_or(|fault| self.completed(fault).is_some())
                }
                _ => continue,
            };
            let sight = Sight { host, fact, plan: &self.plan, view, bindings: &self.bindings };
            self.is_hit |= self.watches[index].sees(fault, &sight, after);
        }
    }

    // ---- phases ----

    fn current(&self) -> Option<&PlannedPhase> {
        self.plan.phases.get(self.phases.len().checked_sub(1)?)
    }

    fn enter(&mut self, index: usize, now: Instant, control: &mut dyn Control) {
        if let Some(last) = self.phases.last_mut() {
            last.end = Some(now);
        }
        let Some(phase) = self.plan.phases.get(index).cloned() else {
            self.end_run(control);
            return;
        };
        let record =
            PhaseRecord { name: phase.name.clone(), kind: phase.kind, start: now, end: None, is_met: true };
        self.phases.push(record);
        self.facts.push(WorldFact::PhaseStarted { name: phase.name.clone() });
        if phase.kind == PhaseKind::Run && self.first_run.is_none() {
            self.first_run = Some(now);
            self.start_clients(control);
        }
        for (fault, watch) in self.plan.faults.iter().zip(&mut self.watches) {
            let is_open = match &fault.scope {
                FaultScope::Run | FaultScope::AfterStart => phase.kind == PhaseKind::Run,
                FaultScope::Phase(name) => *name == phase.name,
            };
            if is_open {
                watch.arm(fault, now, self.first_run.unwrap_or(now));
            } else {
                watch.disarm();
            }
        }
        if phase.kind == PhaseKind::Settle {
            let what = phase.heal.as_ref().unwrap_or(&Heal::All);
            self.break_off(what, now, control);
            heal::undo(what, &self.plan, &mut self.held, control);
            self.expiries.clear();
            let producers = self.plan.producers.iter();
            producers.for_each(|producer| control.tell(producer.host, Input::ShutdownRequested));
        } else if let Some(what) = &phase.heal {
            self.break_off(what, now, control);
            heal::undo(what, &self.plan, &mut self.held, control);
        }
        self.note_healed(now);
    }

    fn start_clients(&self, control: &mut dyn Control) {
        for host in self.plan.clients() {
            control.start(host);
        }
    }

    fn end_phase_if_over(&mut self, view: &ClusterView, now: Instant, control: &mut dyn Control) {
        let (Some(phase), Some(record)) = (self.current().cloned(), self.phases.last().cloned()) else {
            return;
        };
        let passed = now.saturating_since(record.start);
        let is_past = |micros: u64| passed >= Duration::from_micros(micros);
        let all_well = Condition::And(vec![Condition::Drained, Condition::AllIsrFull]);
        let met = |condition| holds(condition, &self.plan, view, &self.bindings, now);
        let (is_over, is_met) = match &phase.end {
            PhaseEnd::For { length } if phase.kind == PhaseKind::Settle => {
                (is_past(length.0), met(&all_well) && !self.is_operator_at_work())
            }
            PhaseEnd::For { length } => (is_past(length.0), true),
            PhaseEnd::Until { condition, within } => {
                let bound = match phase.kind {
                    PhaseKind::Settle => Some(self.plan.settle_within_us),
                    _ => within.map(|within| within.0),
                };
                let is_met =
                    met(condition) && (phase.kind != PhaseKind::Settle || self.is_calm(view, passed));
                (is_met || bound.is_some_and(is_past), is_met)
            }
            PhaseEnd::AfterFaults { quiet, at_most } => {
                let quiet_since = self.faults_over_since(record.start);
                let is_quiet = quiet_since.is_some_and(|at| now >= at + Duration::from_micros(quiet.0));
                (is_quiet || now.as_micros() >= at_most.0, true)
            }
        };
        if !is_over {
            return;
        }
        if let Some(record) = self.phases.last_mut() {
            record.is_met = is_met;
        }
        self.is_settled = phase.kind == PhaseKind::Settle && is_met;
        self.enter(self.phases.len(), now, control);
    }

    /// A cluster that was healed a moment ago may still look whole because nobody has noticed yet that it is not: until a
    /// broker that came back has registered, the metadata speaks of the log that it had before.
    fn is_calm(&self, view: &ClusterView, passed: Duration) -> bool {
        let is_node = |host| self.plan.node_id(host).is_some() && !self.held.is_idle(host);
        let mut nodes = self.plan.hosts().filter(|(host, _)| is_node(*host));
        passed >= SETTLES_NOT_BEFORE
            && nodes.all(|(host, _)| view.is_at_work(host))
            && !self.is_operator_at_work()
    }

    /// When the last scripted fault was over, or the phase began if that is later; `None` while one is to come.
    fn faults_over_since(&self, phase_start: Instant) -> Option<Instant> {
        let faults = self.plan.faults.iter().enumerate();
        let mut scripted = faults.filter(|(_, fault)| !fault.is_chaos && fault.scope == FaultScope::Run);
        let is_held = |index| {
            self.expiries.iter().any(|(_, fault, _)| *fault == index)
                || self.rolling.iter().any(|rolling| rolling.fault == index)
        };
        let is_over = |watch: &Watch| watch.is_over && watch.under_way == 0;
        let all_over = scripted.all(|(index, _)| is_over(&self.watches[index]) && !is_held(index));
        all_over.then(|| self.last_resolved.map_or(phase_start, |at| at.max(phase_start)))
    }

    fn end_run(&mut self, control: &mut dyn Control) {
        self.is_ended = true;
        control.end_run();
    }

    // ---- faults ----

    /// Carries out the first fault that is due, in the order of the plan. `false`: none did anything.
    fn strike_next(&mut self, view: &ClusterView, now: Instant, control: &mut dyn Control) -> bool {
        for index in 0..self.watches.len() {
            let after = match &self.plan.faults[index].trigger {
                PlannedTrigger::After { fault, .. } | PlannedTrigger::On { after: Some(fault), .. } => {
                    self.completed(fault)
                }
                _ => None,
            };
            let look = Look { plan: &self.plan, view, bindings: &self.bindings, now, after };
            let was_over = self.watches[index].is_over;
            let is_due = self.watches[index].is_due(&self.plan.faults[index], &look);
            if is_due {
                let facts = self.facts.len();
                self.strike(index, view, now, control);
                if self.facts.len() > facts {
                    return true;
                }
            } else if !was_over && self.watches[index].is_over {
                self.last_resolved = Some(now);
            }
        }
        false
    }

    fn completed(&self, id: &str) -> Option<Instant> {
        let index = self.plan.faults.iter().position(|fault| fault.id == id)?;
        self.watches[index].completed
    }

    fn strike(&mut self, index: usize, view: &ClusterView, now: Instant, control: &mut dyn Control) {
        let fault = self.plan.faults[index].clone();
        self.watches[index].tried += 1;
        let mut dice = self.plan.seed.stream(&format!("{}/{}", fault.stream, self.watches[index].tried));
        let broke_off = match &fault.verb {
            Verb::Heal { heal } if !self.is_inert => self.break_off(heal, now, control),
            _ => false,
        };
        let struck = if self.is_inert {
            Struck::NoEffect
        } else {
            let mut strike = Strike {
                fault: &fault.id,
                n: self.watches[index].fired + 1,
                verb: &fault.verb,
                plan: &self.plan,
                view,
                bindings: &self.bindings,
                held: &mut self.held,
                control,
                dice: &mut dice,
                is_chaos: fault.is_chaos,
            };
            match strike.carry_out() {
                Struck::NoEffect if broke_off => Struck::Did {
                    targets: Vec::new(),
                    what: "a rolling restart broken off".to_owned(),
                    undo: Vec::new(),
                    isolated: Vec::new(),
                },
                struck => struck,
            }
        };
        self.last_resolved = Some(now);
        match struck {
            Struck::NoTarget => self.watches[index].missed = Some(UnfiredReason::NoTarget),
            Struck::NoEffect => self.watches[index].missed = Some(UnfiredReason::NoEffect),
            Struck::Skipped => self.skipped += 1,
            Struck::Began { targets, what, course } => {
                self.watches[index].fired += 1;
                let n = self.watches[index].fired;
                self.rolling.push(Rolling::new(index, n, &course, &targets));
                let kind = fault.verb.word().to_owned();
                self.facts.push(WorldFact::FaultFired { id: fault.id, n, kind, what, targets });
                self.roll(view, now, control);
            }
            Struck::Did { targets, what, undo, isolated } => {
                let watch = &mut self.watches[index];
                watch.fired += 1;
                let n = watch.fired;
                match fault.hold_us {
                    Some(hold) if !undo.is_empty() => {
                        self.expiries.push((now + Duration::from_micros(hold), index, n));
                    }
                    _ if matches!(fault.verb, Verb::Operate { .. }) => watch.under_way += 1,
                    _ => watch.completed = watch.completed.or(Some(now)),
                }
                if let Some(name) = fault.verb.binds() {
                    self.bindings.insert(name.to_owned(), targets.clone());
                }
                self.held.hold(&fault.id, n, undo, isolated);
                let kind = fault.verb.word().to_owned();
                self.facts.push(WorldFact::FaultFired { id: fault.id, n, kind, what, targets });
            }
        }
        self.note_healed(now);
    }

    fn is_operator_at_work(&self) -> bool {
        self.watches.iter().any(|watch| watch.under_way > 0)
    }

    /// Reads what became of the operator's tasks.
    fn hear(&mut self, view: &ClusterView, now: Instant) {
        for report in view.operated().iter().skip(self.heard) {
            self.heard += 1;
            let Some(index) = self.plan.faults.iter().position(|fault| fault.id == report.fault) else {
                continue;
            };
            let expected = match &self.plan.faults[index].verb {
                Verb::Operate { refused, .. } => refused.as_deref(),
                _ => None,
            };
            let watch = &mut self.watches[index];
            watch.under_way = watch.under_way.saturating_sub(1);
            watch.completed = watch.completed.or(Some(now));
            watch.refusal = match (report.refused.as_deref(), expected) {
                (got, wanted) if got == wanted => watch.refusal.take(),
                (Some(got), None) => Some(format!("the cluster refused it: {got}")),
                (None, Some(wanted)) => Some(format!("it was done, and {wanted} was expected")),
                (Some(got), Some(wanted)) => {
                    Some(format!("the cluster refused it: {got}, and {wanted} was expected"))
                }
                (None, None) => None,
            };
            self.last_resolved = Some(now);
        }
    }

    /// Takes back what has lasted long enough.
    fn expire(&mut self, now: Instant, control: &mut dyn Control) {
        let (due, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.expiries).into_iter().partition(|e| e.0 <= now);
        self.expiries = rest;
        for (_, index, n) in due {
            self.held.release(&self.plan.faults[index].id, n, control);
            self.watches[index].completed = self.watches[index].completed.or(Some(now));
            self.last_resolved = Some(now);
        }
        self.note_healed(now);
    }

    /// Takes restarts further that go from machine to machine.
    fn roll(&mut self, view: &ClusterView, now: Instant, control: &mut dyn Control) {
        for mut rolling in std::mem::take(&mut self.rolling) {
            if rolling.step(view, now, control) {
                self.rolled(&rolling, now);
            } else {
                self.rolling.push(rolling);
            }
        }
    }

    fn rolled(&mut self, rolling: &Rolling, now: Instant) {
        let watch = &mut self.watches[rolling.fault];
        watch.completed = watch.completed.or(Some(now));
        self.last_resolved = Some(now);
        let id = self.plan.faults[rolling.fault].id.clone();
        self.facts.push(WorldFact::FaultHealed { id, n: rolling.n });
    }

    /// Ends restarts that are under way and healed. `false`: none was.
    fn break_off(&mut self, heal: &Heal, now: Instant, control: &mut dyn Control) -> bool {
        let is_meant = |rolling: &Rolling| match heal {
            Heal::All => true,
            Heal::Faults(ids) => ids.contains(&self.plan.faults[rolling.fault].id),
        };
        let (broken, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.rolling).into_iter().partition(is_meant);
        self.rolling = rest;
        let was_any = !broken.is_empty();
        for rolling in broken {
            self.rolled(&rolling, now);
            rolling.break_off(&mut self.held, control);
        }
        was_any
    }

    /// Records what was healed. A fault that was healed by other means is over too.
    fn note_healed(&mut self, now: Instant) {
        for fact in self.held.take_healed() {
            if let WorldFact::FaultHealed { id, n } = &fact
                && let Some(index) = self.plan.faults.iter().position(|fault| fault.id == *id)
            {
                self.expiries.retain(|(_, fault, strike)| (*fault, *strike) != (index, *n));
                self.watches[index].completed = self.watches[index].completed.or(Some(now));
                self.last_resolved = Some(now);
            }
            self.facts.push(fact);
        }
    }

    /// Finds out what to wait for, and asks to be woken.
    fn look_ahead(&mut self, now: Instant, control: &mut dyn Control) {
        if self.is_ended {
            return;
        }
        let mut interest = Change::NONE;
        let mut wakes = vec![Instant(self.plan.time_limit_us)];
        if !self.rolling.is_empty() || self.held.awaits() {
            interest = interest.and(Change::HOSTS).and(Change::METADATA);
            wakes.extend(self.rolling.iter().filter_map(Rolling::wake));
        }
        for (fault, watch) in self.plan.faults.iter().zip(&self.watches) {
            interest = interest.and(watch.interest(fault));
            wakes.extend(watch.wake(fault, now));
        }
        if self.is_operator_at_work() {
            interest = interest.and(Change::CLIENTS);
        }
        wakes.extend(self.expiries.iter().map(|(at, _, _)| *at));
        if let (Some(phase), Some(record)) = (self.current(), self.phases.last()) {
            let from = |start: Instant, micros: u64| start + Duration::from_micros(micros);
            match &phase.end {
                PhaseEnd::For { length } => wakes.push(from(record.start, length.0)),
                PhaseEnd::Until { condition, within } => {
                    interest = interest.and(depends_on(condition)).and(Change::METADATA);
                    let mut marks = Vec::new();
                    time_marks(condition, &mut marks);
                    wakes.extend(marks.into_iter().map(Instant).filter(|at| *at > now));
                    wakes.extend(within.map(|within| from(record.start, within.0)));
                    wakes.push(from(record.start, self.plan.settle_within_us));
                    wakes.push(record.start + SETTLES_NOT_BEFORE);
                }
                PhaseEnd::AfterFaults { quiet, at_most } => {
                    wakes.push(Instant(at_most.0));
                    wakes.extend(self.faults_over_since(record.start).map(|at| from(at, quiet.0)));
                }
            }
        }
        // Facts of this step may complete what another fault waits for.
        self.interest = if self.facts.is_empty() { interest } else { interest.and(Change::HOSTS) };
        let next = wakes.into_iter().filter(|at| *at > now).min();
        if next != self.wake
            && let Some(at) = next
        {
            control.wake_at(at);
        }
        self.wake = next.or(Some(Instant(u64::MAX)));
    }

    // ---- afterwards ----

    /// Phases that began, in order.
    pub fn phases(&self) -> &[PhaseRecord] {
        &self.phases
    }

    /// Did the settle phase reach its condition?
    pub fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// Did the run end by the plan's time limit?
    pub fn hit_time_limit(&self) -> bool {
        self.hit_time_limit
    }

    /// Random strikes that would have broken more than the plan allows.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Faults that never did anything, in the order of the plan. A random strike that had no victim, or came too late, is
    /// nothing that a scenario counts on.
    pub fn unfired(&self, view: &ClusterView) -> Vec<Unfired> {
        let mut unfired = Vec::new();
        for (fault, watch) in self.plan.faults.iter().zip(&self.watches) {
            // A net that caught nothing was not there.
            let is_empty = watch.fired > 0 && catches(&fault.verb) && view.caught(&fault.id) == 0;
            let unanswered = match (&watch.refusal, watch.under_way) {
                (Some(_), _) => Some(UnfiredReason::Refused),
                (None, 0) => None,
                (None, _) => Some(UnfiredReason::Unfinished),
            };
            let did = watch.fired > 0 && !is_empty && unanswered.is_none();
            if did || (fault.is_chaos && !(self.is_inert && watch.tried > 0)) {
                continue;
            }
            let missed = unanswered.or(watch.missed).unwrap_or(UnfiredReason::ConditionUnmet);
            let reason = if is_empty { UnfiredReason::NoEffect } else { missed };
            let detail = match reason {
                _ if is_empty => "it struck and no message that it waits for came by".to_owned(),
                UnfiredReason::Refused => watch.refusal.clone().unwrap_or_default(),
                UnfiredReason::Unfinished => "the operator was still at it when the run ended".to_owned(),
                UnfiredReason::ConditionUnmet => format!("{} never came", fault.trigger),
                UnfiredReason::NoTarget => "it was due and nobody had the role that it aims at".to_owned(),
                UnfiredReason::NoEffect => "it was due and changed nothing".to_owned(),
            };
            let (kind, trigger) = (fault.verb.word().to_owned(), fault.trigger.to_string());
            unfired.push(Unfired { id: fault.id.clone(), kind, trigger, reason, detail });
        }
        unfired
    }
}

/// Does the verb do nothing by itself, but wait for messages?
fn catches(verb: &Verb) -> bool {
    matches!(verb, Verb::Hold { .. } | Verb::Drop { .. } | Verb::MetadataLag { .. } | Verb::Fence { .. })
}
