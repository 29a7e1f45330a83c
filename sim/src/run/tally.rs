//! Faults, panics and clients of a run, in numbers.

use std::collections::BTreeMap;

use broker::time::Instant;
use scenarios::model::{CrashMode, Verb};

use super::under_way::UnderWay;
use crate::history::HistoryEvent;
use crate::plan::{HostId, Plan};
use crate::trace::{Fact, StopKind, TraceEvent, WorldFact};

/// One strike of one fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRecord {
    /// The fault's id.
    pub id: String,
    /// Which strike of it, from 1.
    pub n: u32,
    /// The verb.
    pub kind: String,
    /// `process`, `power` or `wipe`, of a crash.
    pub mode: Option<&'static str>,
    /// The trigger, as written.
    pub trigger: String,
    /// What it did, in words.
    pub what: String,
    /// Names of the machines that it struck.
    pub targets: Vec<String>,
    /// When.
    pub fired_at: Instant,
    /// When it was taken back; `None` if it was not.
    pub healed_at: Option<Instant>,
    /// The event.
    pub event: u64,
}

/// A machine panicked: a bug of the subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePanic {
    /// The machine's name.
    pub host: String,
    /// When.
    pub at: Instant,
    /// The event.
    pub event: u64,
    /// What it said.
    pub message: String,
}

impl NodePanic {
    /// Did an `invariant!` of ours raise it? Otherwise it is an error that nobody thought of.
    pub fn is_asserted(&self) -> bool {
        self.message.contains("broker invariant broken:")
    }
}

/// Counts as facts come in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Strikes, in order.
    pub faults: Vec<FaultRecord>,
    /// Panics, in order.
    pub panics: Vec<NodePanic>,
    /// Machines that ended themselves: name, when, why.
    pub halts: Vec<(String, Instant, String)>,
    /// Records handed to producers.
    pub produced: u64,
    /// Records acknowledged.
    pub acked: u64,
    /// Records that certainly failed.
    pub failed: u64,
    /// Records of which nobody knows (among them those whose producer died, or the run ended).
    pub indeterminate: u64,
    /// Records delivered to consumers.
    pub consumed: u64,
    /// Send to acknowledgement, in microseconds, in order of acknowledgement.
    pub ack_latencies_us: Vec<u64>,
    under_way: BTreeMap<HostId, UnderWay>,
}

impl Tally {
    /// Takes one event in.
    pub fn observe(&mut self, plan: &Plan, event: &TraceEvent) {
        match &event.fact {
            Fact::World(fact) => self.world(plan, event, fact),
            Fact::Client(history) => {
                if let Some(host) = event.host {
                    self.client(host, event.at, history);
                }
            }
            Fact::Node(_) => {}
        }
    }

    fn world(&mut self, plan: &Plan, event: &TraceEvent, fact: &WorldFact) {
        match fact {
            WorldFact::FaultFired { id, n, kind, what, targets } => {
                let fault = plan.faults.iter().find(|fault| fault.id == *id);
                let mode = fault.and_then(|fault| match fault.verb {
                    Verb::Crash { mode: CrashMode::Process, .. } => Some("process"),
                    Verb::Crash { mode: CrashMode::Power, .. } => Some("power"),
                    Verb::Crash { mode: CrashMode::Wipe, .. } => Some("wipe"),
                    _ => None,
                });
                self.faults.push(FaultRecord {
                    id: id.clone(),
                    n: *n,
                    kind: kind.clone(),
                    mode,
                    trigger: fault.map(|fault| fault.trigger.to_string()).unwrap_or_default(),
                    what: what.clone(),
                    targets: targets.iter().map(|host| plan.host_name(*host).to_owned()).collect(),
                    fired_at: event.at,
                    healed_at: None,
                    event: event.event,
                });
            }
            WorldFact::FaultHealed { id, n } => {
                let strike = self.faults.iter_mut().find(|strike| strike.id == *id && strike.n == *n);
                if let Some(strike) = strike {
                    strike.healed_at = Some(event.at);
                }
            }
            WorldFact::Stopped { kind } => self.stopped(plan, event, kind),
            _ => {}
        }
    }

    fn stopped(&mut self, plan: &Plan, event: &TraceEvent, kind: &StopKind) {
        let Some(host) = event.host else { return };
        let name = plan.host_name(host).to_owned();
        match kind {
            StopKind::Panic { message } => {
                let message = message.clone();
                self.panics.push(NodePanic { host: name, at: event.at, event: event.event, message });
            }
            StopKind::Halt { reason } => self.halts.push((name, event.at, reason.clone())),
            StopKind::Crash(_) | StopKind::End => {}
        }
        if let Some(lost) = self.under_way.remove(&host) {
            self.indeterminate += lost.len() as u64;
        }
    }

    fn client(&mut self, host: HostId, at: Instant, history: &HistoryEvent) {
        let under_way = self.under_way.entry(host).or_default();
        match history {
            HistoryEvent::Sent { value, .. } => {
                self.produced += 1;
                under_way.insert(*value, at);
            }
            HistoryEvent::Acked { values, .. } => {
                self.acked += values.len() as u64;
                let sent = values.iter().filter_map(|value| under_way.remove(*value));
                self.ack_latencies_us.extend(sent.map(|sent| (at - sent).as_micros() as u64));
            }
            HistoryEvent::Failed { values, is_definite, .. } => {
                values.iter().for_each(|value| {
                    under_way.remove(*value);
                });
                let count = if *is_definite { &mut self.failed } else { &mut self.indeterminate };
                *count += values.len() as u64;
            }
            HistoryEvent::Polled { records, .. } => self.consumed += records.len() as u64,
            HistoryEvent::Positioned { .. }
            | HistoryEvent::CaughtUp { .. }
            | HistoryEvent::EndOffset { .. }
            | HistoryEvent::TopicReplaced { .. }
            | HistoryEvent::Operated { .. } => {}
        }
    }

    /// The run is over: nobody will know about what is still under way.
    pub fn close(&mut self) {
        let lost: usize = std::mem::take(&mut self.under_way).values().map(UnderWay::len).sum();
        self.indeterminate += lost as u64;
    }
}
