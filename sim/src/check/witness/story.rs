//! Picks the steps of a story.

use std::collections::BTreeSet;

use broker::ids::{Offset, TopicPartition};
use broker::time::Instant;
use broker::trace::{Observation, PartitionFact, TruncationReason};

use super::super::findings::{EvidenceStep, StepFacts};
use super::faults::{Strike, strikes};
use super::question::Question;
use super::recipe::{self, Kind};
use super::state::{PartitionState, log_of};
use super::window::{self, Window, acks};
use super::words::{Words, record_name};
use crate::history::HistoryEvent;
use crate::plan::{HostId, Plan};
use crate::trace::{Fact, StopKind, TraceEvent, WorldFact};

/// The few events that explain a finding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Story {
    /// Oldest first. The last one is the finding itself.
    pub steps: Vec<EvidenceStep>,
    /// Some of the records concerned, as `producer#number`.
    pub records: Vec<String>,
}

/// Steps in a story. What matters least is left out first.
const STEPS: usize = 24;
/// Records named.
const RECORDS: usize = 5;

/// Looks in the trace for the events that explain a finding; it must reach up to it. `None`: the check tells its own
/// story, and it is complete.
pub fn explain(plan: &Plan, trace: &[TraceEvent], question: &Question<'_>) -> Option<Story> {
    let recipe = recipe::of(question.check)?;
    let trace = &trace[..trace.partition_point(|event| event.event <= question.event)];
    let window = window::of(question, recipe, trace);
    let mut teller = Teller::new(plan, trace, question, recipe, window);
    teller.walk();
    teller.finding();
    let mut picked = teller.picked;
    picked.sort_by_key(|(_, step)| step.event);
    leave_out(&mut picked);
    let steps = picked.into_iter().map(|(_, step)| step).collect();
    Some(Story { steps, records: records(plan, trace, question) })
}

/// Drops what matters least, the earliest first, until no more than [`STEPS`] are left.
fn leave_out(picked: &mut Vec<(Kind, EvidenceStep)>) {
    while picked.len() > STEPS {
        let least = picked.iter().enumerate().min_by_key(|(_, (kind, _))| *kind).map(|(at, _)| at);
        picked.remove(least.unwrap_or(0));
    }
}

/// The first records concerned of which the trace knows who sent them.
fn records(plan: &Plan, trace: &[TraceEvent], question: &Question<'_>) -> Vec<String> {
    let (Some(partition), Some((first, last))) = (question.partition, question.offsets) else {
        return Vec::new();
    };
    let mut known: Vec<(Offset, String)> = Vec::new();
    for event in trace {
        let records: Vec<_> = match &event.fact {
            Fact::Client(HistoryEvent::Acked { partition: of, base_offset: Some(base), values, .. })
                if of == partition =>
            {
                values.iter().enumerate().map(|(i, value)| (base + i as Offset, *value)).collect()
            }
            Fact::Client(HistoryEvent::Polled { partition: of, records }) if of == partition => {
                records.clone()
            }
            _ => continue,
        };
        for (offset, value) in records.into_iter().filter(|(offset, _)| (first..=last).contains(offset)) {
            known.push((offset, record_name(plan, value)));
        }
    }
    known.sort();
    known.dedup();
    known.into_iter().take(RECORDS).map(|(_, name)| name).collect()
}

struct Teller<'a> {
    words: Words<'a>,
    plan: &'a Plan,
    trace: &'a [TraceEvent],
    question: &'a Question<'a>,
    recipe: &'static [Kind],
    window: Window,
    strikes: Vec<Strike<'a>>,
    /// Machines that matter: those with a replica, or all nodes of the quorum.
    hosts: BTreeSet<HostId>,
    /// Machines that lead later, or where the finding is.
    heroes: BTreeSet<HostId>,
    /// The last place at which leader or ISR changed.
    last_change: usize,
    state: PartitionState,
    /// Strikes told so far, by their place.
    told: BTreeSet<usize>,
    picked: Vec<(Kind, EvidenceStep)>,
}

impl<'a> Teller<'a> {
    fn new(
        plan: &'a Plan,
        trace: &'a [TraceEvent],
        question: &'a Question<'a>,
        recipe: &'static [Kind],
        window: Window,
    ) -> Teller<'a> {
        let mut hosts = BTreeSet::new();
        let mut heroes: BTreeSet<HostId> = question.host.into_iter().collect();
        let mut last_change = 0;
        if let Some(partition) = question.partition {
            let mut state = PartitionState::default();
            for (at, event) in trace.iter().enumerate() {
                if !state.observe(partition, event) {
                    continue;
                }
                let Some(PartitionFact { leader, replicas, .. }) = &state.registration else { continue };
                last_change = at;
                hosts.extend(replicas.iter().filter_map(|node| plan.node(*node)));
                if at >= window.start {
                    heroes.extend(leader.and_then(|leader| plan.node(leader)));
                }
            }
        }
        if hosts.is_empty() {
            hosts.extend(plan.controllers());
        }
        Teller {
            words: Words { plan },
            plan,
            trace,
            question,
            recipe,
            window,
            strikes: strikes(trace),
            hosts,
            heroes,
            last_change,
            state: PartitionState::default(),
            told: BTreeSet::new(),
            picked: Vec::new(),
        }
    }

    fn wants(&self, kind: Kind) -> bool {
        self.recipe.contains(&kind)
    }

    fn pick(&mut self, kind: Kind, at: usize, what: String, facts: StepFacts, fault: Option<String>) {
        let TraceEvent { event, at, host, .. } = &self.trace[at];
        let step = EvidenceStep { event: *event, at: *at, host: *host, what, facts, fault };
        self.picked.push((kind, step));
    }

    /// Goes through the trace once and picks what belongs to the story.
    fn walk(&mut self) {
        let trace = self.trace;
        for (at, event) in trace.iter().enumerate() {
            let before = self.state.registration.clone();
            let is_change = match self.question.partition {
                Some(partition) => {
                    self.reopened(at, partition);
                    self.state.observe(partition, event)
                }
                None => false,
            };
            if is_change && at >= self.window.start && self.wants(Kind::Change) {
                self.changed(at, before.as_ref());
            }
            match &event.fact {
                Fact::World(fact) => self.world(at, fact),
                Fact::Node(observation) => self.node(at, observation),
                Fact::Client(fact) => self.client(at, fact),
            }
        }
    }

    fn changed(&mut self, at: usize, before: Option<&PartitionFact>) {
        let Fact::Node(Observation::MetadataCommitted { fact, .. }) = &self.trace[at].fact else { return };
        let Some(what) = self.words.change(fact, before) else { return };
        let facts = self.state.registration.as_ref().map_or_else(StepFacts::default, |state| StepFacts {
            leader_epoch: Some(state.leader_epoch),
            partition_epoch: Some(state.partition_epoch),
            ..StepFacts::default()
        });
        self.pick(Kind::Change, at, what, facts, None);
    }

    fn world(&mut self, at: usize, fact: &WorldFact) {
        match fact {
            WorldFact::FaultFired { what, id, n, .. } => self.struck(at, what, id, *n),
            WorldFact::FaultHealed { id, n } => self.healed(at, id, *n),
            WorldFact::Stopped { kind } if at >= self.window.start => self.stopped(at, kind),
            WorldFact::Started { incarnation } if at >= self.window.start && *incarnation > 0 => {
                let is_hero = self.trace[at].host.is_some_and(|host| self.heroes.contains(&host));
                if is_hero && self.wants(Kind::Return) && !self.is_told_by_fault(at) {
                    self.pick(Kind::Return, at, "starts again".to_owned(), StepFacts::default(), None);
                }
            }
            WorldFact::DiskLost { bytes, .. }
                if at >= self.window.start && self.wants(Kind::Lost) && self.is_about_us(at) =>
            {
                let what = format!("the disk loses {bytes} unsynced bytes");
                self.pick(Kind::Lost, at, what, StepFacts::default(), None);
            }
            _ => {}
        }
    }

    fn struck(&mut self, at: usize, what: &str, id: &str, n: u32) {
        if !self.wants(Kind::Fault) {
            return;
        }
        let Some(strike) = self.strikes.iter().find(|strike| strike.at == at) else { return };
        let is_there = at >= self.window.start || strike.is_in_effect(self.window.start);
        // What only gives back matters if something came of it.
        let is_idle = strike.is_return() && at > self.last_change;
        if !is_there || is_idle || !strike.touches(&self.hosts) {
            return;
        }
        let (text, fault) = (self.words.fault(what, id, n), format!("{id}#{n}"));
        self.told.insert(at);
        self.pick(Kind::Fault, at, text, StepFacts::default(), Some(fault));
    }

    fn healed(&mut self, at: usize, id: &str, n: u32) {
        let ended =
            self.strikes.iter().find(|strike| strike.end == Some(at) && strike.id == id && strike.n == n);
        let Some(strike) = ended.filter(|strike| strike.has_telling_end()) else { return };
        if !self.wants(Kind::Heal) || !self.told.contains(&strike.at) || self.is_told_by_fault(at) {
            return;
        }
        if at > self.last_change
            && self.question.partition.is_some()
            && self.question.check != "reads-monotonic"
        {
            return;
        }
        let text = self.words.healed(id, n);
        self.pick(Kind::Heal, at, text, StepFacts::default(), Some(format!("{id}#{n}")));
    }

    /// A fault at the same moment says it already.
    fn is_told_by_fault(&self, at: usize) -> bool {
        let now = self.trace[at].at;
        self.strikes.iter().any(|strike| self.trace[strike.at].at == now)
    }

    /// Did it happen on a machine that matters?
    fn is_about_us(&self, at: usize) -> bool {
        self.trace[at].host.is_some_and(|host| self.hosts.contains(&host))
    }

    fn stopped(&mut self, at: usize, kind: &StopKind) {
        let what = match kind {
            StopKind::Halt { reason } => format!("ends itself: {reason}"),
            StopKind::Panic { message } => format!("PANIC {message}"),
            // The fault tells it.
            StopKind::Crash(_) | StopKind::End => return,
        };
        if self.is_about_us(at) && self.wants(Kind::Fault) {
            self.pick(Kind::Fault, at, what, StepFacts::default(), None);
        }
    }

    fn node(&mut self, at: usize, observation: &Observation) {
        let Some(host) = self.trace[at].host else { return };
        if self.window.others.contains(&at) {
            if let Some((what, epoch)) = self.words.quorum(observation) {
                let facts = StepFacts { leader_epoch: Some(epoch), ..StepFacts::default() };
                self.pick(Kind::Quorum, at, what, facts, None);
            }
            return;
        }
        if self.question.partition.is_none() || log_of(observation) != self.question.partition {
            return;
        }
        let first = self.question.offsets.map(|(first, _)| first);
        let facts = StepFacts { offset: first, ..self.state.facts(host) };
        let place = Some(at);
        if place == self.window.append || place == self.window.overwrite || place == self.window.commit {
            self.of_record(at, observation, facts);
            return;
        }
        if at < self.window.start {
            return;
        }
        match observation {
            Observation::Truncated { from, to, reason, .. } if *reason != TruncationReason::Recovery => {
                let reaches = self.question.offsets.is_none_or(|(_, last)| *to <= last)
                    && first.is_none_or(|first| *from > first);
                if reaches && self.wants(Kind::Cut) {
                    let facts = StepFacts { offset: Some(*to), ..facts };
                    self.pick(Kind::Cut, at, self.words.cut(*from, *to, *reason), facts, None);
                }
            }
            Observation::IsrProposed { from, to, .. } if self.wants(Kind::Proposal) => {
                let what = self.words.proposal(from, to);
                self.pick(Kind::Proposal, at, what, StepFacts { offset: None, ..facts }, None);
            }
            Observation::BecameLeader { .. } | Observation::BecameFollower { .. }
                if self.wants(Kind::Role) =>
            {
                let what = self.words.role(observation);
                self.pick(Kind::Role, at, what, StepFacts { offset: None, ..facts }, None);
            }
            _ => {}
        }
    }

    fn of_record(&mut self, at: usize, observation: &Observation, facts: StepFacts) {
        let partition = self.question.partition;
        let kind = match Some(at) {
            place if place == self.window.append => Kind::Append,
            place if place == self.window.commit => Kind::Commit,
            _ => Kind::Overwrite,
        };
        if !self.wants(kind) {
            return;
        }
        let (Some(partition), Some(offset)) = (partition, facts.offset) else { return };
        let what = match (kind, observation) {
            (Kind::Append, _) => format!("appends {partition}@{offset} as the leader"),
            (Kind::Commit, _) => format!("the high watermark passes {partition}@{offset}: it is committed"),
            _ => format!("appends something else at {partition}@{offset}"),
        };
        let epoch = match observation {
            Observation::Appended { batch, .. } => Some(batch.leader_epoch),
            _ => facts.leader_epoch,
        };
        self.pick(kind, at, what, StepFacts { leader_epoch: epoch, ..facts }, None);
    }

    /// A replica comes back without the record that it had: must be looked at before the state forgets what it had.
    fn reopened(&mut self, at: usize, partition: &TopicPartition) {
        let TraceEvent { host: Some(host), fact: Fact::Node(observation), .. } = &self.trace[at] else {
            return;
        };
        let Observation::LogOpened { log, log_end, high_watermark, .. } = observation else { return };
        let Some((first, last)) = self.question.offsets else { return };
        let had = self.state.replicas.get(host).map_or(0, |replica| replica.log_end);
        let is_lost = log.partition == *partition && had > first && *log_end <= last;
        if !is_lost || at < self.window.start || !self.wants(Kind::Lost) {
            return;
        }
        let what = format!("opens its log of {partition} again: it ends at {log_end}, it ended at {had}");
        let facts = StepFacts {
            high_watermark: Some(*high_watermark),
            log_end: Some(*log_end),
            ..StepFacts::default()
        };
        self.pick(Kind::Lost, at, what, facts, None);
    }

    fn client(&mut self, at: usize, fact: &HistoryEvent) {
        if self.window.others.contains(&at) && self.wants(Kind::Read) {
            let (what, offset) = self.words.read(fact);
            let facts = StepFacts { offset, ..StepFacts::default() };
            self.pick(Kind::Read, at, what, facts, None);
            return;
        }
        if Some(at) != self.window.ack || !self.wants(Kind::Ack) {
            return;
        }
        let (Some(partition), Some((offset, _))) = (self.question.partition, self.question.offsets) else {
            return;
        };
        if !acks(&self.trace[at], partition, offset) {
            return;
        }
        let leader = self.state.registration.as_ref().and_then(|state| state.leader);
        let facts = leader.and_then(|leader| self.plan.node(leader)).map(|host| self.state.facts(host));
        let holders = self.state.replicas.iter().filter(|(_, replica)| replica.log_end > offset);
        let holders: Vec<&str> = holders.map(|(host, _)| self.plan.host_name(*host)).collect();
        let what = self.words.ack(fact, offset, &holders);
        self.pick(Kind::Ack, at, what, StepFacts { offset: Some(offset), ..facts.unwrap_or_default() }, None);
    }

    /// The last step: the finding itself, in the place of whatever was picked of the same event.
    fn finding(&mut self) {
        let Question { event, at, host, summary, offsets, .. } = self.question;
        let (event, at, host): (u64, Instant, Option<HostId>) = (*event, *at, *host);
        let facts = host.map(|host| self.state.facts(host)).unwrap_or_default();
        let facts = StepFacts { offset: offsets.map(|(first, _)| first), ..facts };
        self.picked.retain(|(_, step)| step.event != event);
        let step = EvidenceStep { event, at, host, what: (*summary).to_owned(), facts, fault: None };
        self.picked.push((Kind::Finding, step));
    }
}
