//! The judge: shared picture, checks, coverage and measurements behind one door.

use super::config::{EndOfRun, JudgeConfig, Level};
use super::coverage::Coverage;
use super::failover::Measurements;
use super::findings::{CheckOutcome, CheckResult, Findings};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::measure::Meter;
use super::topics::{Told, TopicGone, Topics};
use super::{CHECKS, CheckRow};
use crate::trace::{Fact, TraceEvent};

/// How much a check did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How often it compared something.
    pub evaluations: u64,
    /// How many things it looked at.
    pub examined: u64,
}

/// One property, judged event by event. It sees the event, what the event meant, and the picture after it.
pub trait Check: Send {
    /// Which kinds of facts it wants to see: it is not asked about others.
    fn interest(&self) -> Interest {
        Interest::ALL
    }
    /// Takes one event in.
    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings);
    /// A topic was deleted: what clients were told of its records is of no concern any more.
    fn topic_gone(&mut self, _gone: &TopicGone, _event: &TraceEvent, _ghost: &Ghost, _found: &mut Findings) {}
    /// The run is over.
    fn finish(&mut self, _end: &EndOfRun, _ghost: &Ghost, _found: &mut Findings) {}
    /// How much it did so far.
    fn tally(&self) -> Tally;
}

struct Seat {
    row: &'static CheckRow,
    check: Box<dyn Check>,
    found: Findings,
}

/// Everything that the judge says about a run.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// In the order of [`CHECKS`].
    pub checks: Vec<CheckResult>,
    /// What the run went through.
    pub coverage: Coverage,
    /// Failovers, ISR changes, elections, availability.
    pub measurements: Measurements,
}

/// Judges one run. Feed it every event, in order, then finish it.
pub struct Judge {
    ghost: Ghost,
    seats: Vec<Seat>,
    /// Who wants to see facts of a kind, by the kind's number.
    wanting: Vec<Vec<usize>>,
    topics: Topics,
    coverage: Coverage,
    meter: Meter,
}

impl Judge {
    /// A judge for one run.
    pub fn new(config: JudgeConfig) -> Judge {
        let is_on = |row: &&CheckRow| config.level(row.name) != Level::Off;
        let seat =
            |row: &'static CheckRow| Seat { row, check: (row.new)(&config), found: Findings::default() };
        let seats: Vec<Seat> = CHECKS.iter().filter(is_on).map(seat).collect();
        let wants = |kind: usize| {
            let asked = seats.iter().enumerate().filter(|(_, seat)| seat.check.interest().has(kind));
            asked.map(|(index, _)| index).collect()
        };
        let wanting = (0..Interest::KINDS).map(wants).collect();
        let (coverage, meter) = (Coverage::default(), Meter::default());
        Judge { ghost: Ghost::new(config), seats, wanting, topics: Topics::default(), coverage, meter }
    }

    /// Takes one event in.
    pub fn observe(&mut self, event: &TraceEvent) {
        let step = self.ghost.observe(event);
        if let Some(gone) = self.topics.observe(event, step.is_first, self.ghost.config()) {
            for seat in &mut self.seats {
                seat.check.topic_gone(&gone, event, &self.ghost, &mut seat.found);
            }
        }
        // What becomes of a log after its topic was deleted is of no concern: its replicas go one by one.
        let is_past = |log: usize| self.ghost.log(log).is_deleted;
        if matches!(event.fact, Fact::Node(_)) && step.log.is_some_and(is_past) {
            return;
        }
        match self.topics.put(event) {
            Told::AsIs => self.put(event, &step),
            Told::Instead(event) => self.put(&event, &step),
            Told::Nothing => {}
        }
    }

    fn put(&mut self, event: &TraceEvent, step: &Step) {
        self.coverage.observe(event, step, &self.ghost);
        self.meter.observe(event, step, &self.ghost);
        for index in &self.wanting[Interest::number(&event.fact)] {
            let seat = &mut self.seats[*index];
            seat.check.observe(event, step, &self.ghost, &mut seat.found);
        }
    }

    /// The counters so far.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Has a check of level `error` been violated so far?
    pub fn has_violation(&self) -> bool {
        let config = self.ghost.config();
        self.seats.iter().any(|seat| seat.found.count > 0 && config.level(seat.row.name) == Level::Error)
    }

    /// Says the last word.
    pub fn finish(mut self, end: &EndOfRun) -> Judgement {
        for seat in &mut self.seats {
            seat.check.finish(end, &self.ghost, &mut seat.found);
        }
        let mut seats = std::mem::take(&mut self.seats);
        let checks = CHECKS.iter().map(|row| {
            let seat = seats.iter().position(|seat| seat.row.name == row.name).map(|at| seats.remove(at));
            result(row, seat, (row.applies)(self.ghost.config()))
        });
        Judgement {
            checks: checks.collect(),
            coverage: self.coverage,
            measurements: self.meter.finish(end, &self.ghost),
        }
    }
}

fn result(row: &CheckRow, seat: Option<Seat>, applies: bool) -> CheckResult {
    let is_on = seat.is_some() && applies;
    let (found, tally) = seat.map_or_else(Default::default, |seat| (seat.found, seat.check.tally()));
    let result = if found.count > 0 {
        CheckOutcome::Violated
    } else if !found.permitted.is_empty() {
        CheckOutcome::PermittedLoss
    } else if !is_on {
        CheckOutcome::NotApplicable
    } else if tally.evaluations == 0 {
        CheckOutcome::Vacuous
    } else {
        CheckOutcome::Held
    };
    CheckResult {
        name: row.name,
        result,
        evaluations: tally.evaluations,
        examined: tally.examined,
        count: found.count,
        violations: found.violations,
        permitted: found.permitted,
    }
}
