//! The observer that ties fingerprint, view, nemesis and judge together.

use broker::io::Input;
use broker::time::Instant;

use super::hashing::{HashedFact, HashedInput, describe};
use super::judging::Judging;
use super::tally::Tally;
use crate::nemesis::{Change, ClusterView, Director};
use crate::plan::{HostId, Plan};
use crate::trace::{Fact, Fingerprint, TraceEvent, WorldFact};
use crate::world::{Control, Observer};

/// Where a run is stopped early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// After the event with this number.
    Event(u64),
    /// At this world time.
    Time(Instant),
}

/// One event as a line: enough to see in what two runs differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLine {
    /// Number of the event.
    pub event: u64,
    /// World time.
    pub at: Instant,
    /// Name of the machine.
    pub host: String,
    /// What.
    pub what: String,
}

/// What is kept beside the fingerprint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Keep {
    /// Every fact, up to the event with this number.
    pub trace_until: Option<u64>,
    /// Every input and fact with a number in this range, as a line.
    pub lines: Option<(u64, u64)>,
    /// Stop here.
    pub until: Option<Until>,
    /// Stop at the first violation.
    pub until_violation: bool,
}

/// Everything that a run leaves behind.
pub(super) struct Recorder {
    pub plan: Plan,
    pub fingerprint: Fingerprint,
    pub view: ClusterView,
    pub director: Director,
    pub judge: Box<dyn Judging>,
    pub tally: Tally,
    pub trace: Vec<TraceEvent>,
    pub lines: Vec<EventLine>,
    /// The run was stopped where it was asked to.
    pub was_cut: bool,
    keep: Keep,
}

impl Recorder {
    pub fn new(plan: Plan, is_inert: bool, judge: Box<dyn Judging>, keep: Keep) -> Recorder {
        Recorder {
            fingerprint: Fingerprint::default(),
            view: ClusterView::new(&plan),
            director: Director::new(&plan, is_inert),
            judge,
            tally: Tally::default(),
            trace: Vec::new(),
            lines: Vec::new(),
            was_cut: false,
            keep,
            plan,
        }
    }

    fn line(&mut self, event: u64, at: Instant, host: Option<HostId>, what: impl FnOnce() -> String) {
        if self.keep.lines.is_some_and(|(from, to)| (from..=to).contains(&event)) {
            let host = host.map_or("", |host| self.plan.host_name(host)).to_owned();
            self.lines.push(EventLine { event, at, host, what: what() });
        }
    }

    fn record(&mut self, at: Instant, host: Option<HostId>, fact: Fact) {
        let number = self.fingerprint.event(at, &HashedFact(host, &fact));
        self.line(number, at, host, || format!("{fact:?}"));
        self.view.observe(host, &fact);
        self.director.observe(&self.view, host, &fact);
        let event = TraceEvent { event: number, at, host, fact };
        self.tally.observe(&self.plan, &event);
        self.judge.observe(&event);
        if self.keep.trace_until.is_some_and(|until| number <= until) {
            self.trace.push(event);
        }
    }

    /// Lets the nemesis act until nothing comes of it any more.
    fn direct(&mut self, mut change: Change, control: &mut dyn Control) {
        loop {
            let facts = self.director.step(&self.view, change, control);
            if facts.is_empty() {
                return;
            }
            let at = control.now();
            for fact in facts {
                self.record(at, fact_host(&fact), Fact::World(fact));
            }
            self.view.look_at_hosts(control);
            change = self.view.take_change();
        }
    }

    fn cut_if_asked(&mut self, control: &mut dyn Control) {
        let is_there = match self.keep.until {
            None => false,
            Some(Until::Event(event)) => self.fingerprint.events() >= event,
            Some(Until::Time(at)) => control.now() >= at,
        };
        let is_there = is_there || (self.keep.until_violation && self.judge.has_violation());
        if is_there && !self.was_cut {
            self.was_cut = true;
            control.end_run();
        }
    }
}

/// A strike concerns the whole world, unless it concerns one machine only.
fn fact_host(fact: &WorldFact) -> Option<HostId> {
    match fact {
        WorldFact::FaultFired { targets, .. } if targets.len() == 1 => targets.first().copied(),
        _ => None,
    }
}

impl Observer for Recorder {
    fn input(&mut self, at: Instant, host: HostId, input: &Input) {
        let number = self.fingerprint.event(at, &HashedInput(host, input));
        self.line(number, at, Some(host), || describe(input));
    }

    fn fact(&mut self, at: Instant, host: Option<HostId>, fact: Fact) {
        self.record(at, host, fact);
    }

    fn after_step(&mut self, control: &mut dyn Control) {
        let change = self.view.take_change();
        self.direct(change, control);
        self.cut_if_asked(control);
    }

    fn alarm(&mut self, control: &mut dyn Control) {
        let change = self.view.take_change().and(Change::TIME);
        self.direct(change, control);
        self.cut_if_asked(control);
    }
}
