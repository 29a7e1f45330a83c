//! liveness (L-P*, L-Q1): after everything is healed the cluster comes to rest, complete, within a bound.

use std::collections::BTreeMap;

use broker::ids::{Offset, TopicPartition};

use super::config::{ConsumerFacts, EndOfRun, JudgeConfig};
use super::findings::{EvidenceStep, Findings, Violation};
use super::ghost::{Ghost, Step};
use super::judge::{Check, Tally};
use super::replica::LogGhost;
use super::topics::TopicGone;
use crate::history::HistoryEvent;
use crate::plan::HostId;
use crate::trace::{Fact, StopKind, TraceEvent, WorldFact};

/// At the end of the settle phase there is an active controller, every partition has a running leader, its ISR is all
/// replicas that run, their logs end alike, every record sent was acknowledged or given up, and consumers have read
/// everything. Source: L-Q1, L-P1 to L-P7. A run that never came to its settle phase is not judged.
#[derive(Debug, Default)]
pub struct Liveness {
    tally: Tally,
    waiting: BTreeMap<HostId, i64>,
    read: BTreeMap<(HostId, TopicPartition), Offset>,
}

impl Liveness {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(Liveness::default())
    }

    fn reads(consumer: &ConsumerFacts, partition: &TopicPartition) -> bool {
        let is_listed =
            |list: &Vec<u32>| list.iter().any(|number| i64::from(*number) == i64::from(partition.partition));
        consumer.topic == *partition.topic && consumer.partitions.as_ref().is_none_or(is_listed)
    }

    /// What is not as it should be about one log.
    fn partition(&self, log: &LogGhost, ghost: &Ghost) -> Option<String> {
        let state = log.partition.as_ref()?;
        let id = &log.id;
        let is_up = |host: &HostId| ghost.host(*host).is_some_and(|host| host.is_up && !host.is_paused);
        let leader = state.leader.and_then(|leader| ghost.host_of(leader)).filter(is_up);
        let Some(leader) = leader else { return Some(format!("{id} has no running leader")) };
        let members = state.replicas.iter().filter(|node| ghost.host_of(**node).as_ref().is_some_and(is_up));
        let missing: Vec<i32> =
            members.clone().filter(|node| !state.isr.contains(node)).map(|node| node.0).collect();
        if !missing.is_empty() {
            return Some(format!("running replicas {missing:?} of {id} are not in its isr"));
        }
        let chain = log.replica(leader).map(|replica| &replica.chain)?;
        for member in members {
            let replica = ghost.host_of(*member).and_then(|host| log.replica(host));
            let end = replica.map_or(0, |replica| replica.chain.end());
            if end != chain.end()
                || replica.is_some_and(|replica| {
                    replica.chain.hash() != chain.hash() && replica.chain.is_anchored()
                })
            {
                return Some(format!(
                    "the log of {id} ends at {end} on broker {member}, and at {} on its leader",
                    chain.end()
                ));
            }
        }
        if log.committed.end() < chain.end() {
            return Some(format!("{id} is committed to {} of {}", log.committed.end(), chain.end()));
        }
        let behind =
            ghost.config().consumers.iter().filter(|consumer| Self::reads(consumer, &id.partition)).find(
                |consumer| {
                    let read = self.read.get(&(consumer.host, id.partition.clone())).copied().unwrap_or(0);
                    is_up(&consumer.host) && read < chain.end()
                },
            );
        behind.map(|consumer| {
            format!(
                "the consumer on {} has not read {id} to its end {}",
                ghost.name(consumer.host),
                chain.end()
            )
        })
    }

    fn all(&self, ghost: &Ghost) -> Vec<(Option<usize>, String)> {
        let mut wrong = Vec::new();
        let has_controllers = ghost
            .config()
            .hosts
            .iter()
            .any(|kind| matches!(kind, crate::plan::HostKind::Node { is_controller: true, .. }));
        if has_controllers && ghost.active_controller().is_none() {
            wrong.push((None, "no controller is active".to_owned()));
        }
        let logs = ghost.logs().filter(|(_, log)| !log.id.is_metadata());
        wrong.extend(logs.filter_map(|(index, log)| Some((Some(index), self.partition(log, ghost)?))));
        let facts = &ghost.config().topics;
        for (topic, wanted) in facts {
            let exist =
                ghost.logs().filter(|(_, log)| *log.id.partition.topic == **topic && log.partition.is_some());
            let exist = exist.count() as u64;
            if ghost.is_topic_deleted(topic) {
                continue;
            }
            if exist < u64::from(wanted.partitions) {
                wrong.push((None, format!("{exist} of {} partitions of {topic} exist", wanted.partitions)));
            }
        }
        let waiting = self.waiting.iter().filter(|(_, records)| **records > 0);
        wrong.extend(waiting.map(|(host, records)| {
            (
                None,
                format!("{records} records on {} are neither acknowledged nor given up", ghost.name(*host)),
            )
        }));
        wrong
    }
}

impl Check for Liveness {
    fn observe(&mut self, event: &TraceEvent, _step: &Step, _ghost: &Ghost, _found: &mut Findings) {
        let Some(host) = event.host else { return };
        match &event.fact {
            Fact::Client(HistoryEvent::Sent { .. }) => *self.waiting.entry(host).or_default() += 1,
            Fact::Client(HistoryEvent::Acked { values, .. } | HistoryEvent::Failed { values, .. }) => {
                *self.waiting.entry(host).or_default() -= values.len() as i64;
            }
            Fact::Client(HistoryEvent::CaughtUp { partition, offset }) => {
                self.read.insert((host, partition.clone()), *offset);
            }
            Fact::World(WorldFact::Stopped { kind }) if *kind != StopKind::End => {
                self.waiting.remove(&host);
                self.read.retain(|(reader, _), _| *reader != host);
            }
            _ => {}
        }
    }

    fn finish(&mut self, end: &EndOfRun, ghost: &Ghost, found: &mut Findings) {
        let Some(started) = end.settle_started else { return };
        let wrong = self.all(ghost);
        self.tally.examined = ghost.logs().count() as u64 + 1;
        self.tally.evaluations = self.tally.examined;
        let bound_ms = end.settle_bound.as_millis();
        let mut report = |log: Option<usize>, what: String| {
            let summary = format!("{bound_ms} ms after everything was healed: {what}");
            let mut steps = ghost.evidence(log, 12);
            let what = "the settle phase begins".to_owned();
            steps.push(EvidenceStep::new(end.event, started, None, what));
            steps.sort_by_key(|step| step.at);
            found.violation(Violation {
                event: end.event,
                at: end.at,
                host: None,
                partition: log.map(|log| ghost.log(log).id.partition.clone()),
                offsets: None,
                summary,
                steps,
            });
        };
        if wrong.is_empty() && !end.settled {
            report(None, format!("the settle phase did not reach its goal ({})", end.reason));
        }
        for (log, what) in wrong {
            report(log, what);
        }
    }

    fn topic_gone(&mut self, gone: &TopicGone, _event: &TraceEvent, _ghost: &Ghost, _found: &mut Findings) {
        self.read.retain(|(_, partition), _| !gone.had(partition));
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;
    use super::*;
    use crate::history::Value;
    use crate::trace::CrashMode;

    fn rested() -> Paper {
        let mut paper = Paper::started(config());
        for value in values(1..3) {
            paper.client(PRODUCER, HistoryEvent::Sent { partition: partition(), value });
        }
        paper
            .write(0, &[1, 2], batch(0, 2, 0, 1))
            .commit(0, 0, 0, 2)
            .ack(0, values(1..3))
            .poll(0, values(1..3));
        paper.client(CONSUMER, HistoryEvent::CaughtUp { partition: partition(), offset: 2 });
        paper
    }

    #[test]
    fn a_cluster_at_rest_is_accepted() {
        let result = rested().verdict("liveness");
        assert_eq!(result.result, CheckOutcome::Held, "{:?}", result.violations);
    }

    #[test]
    fn the_end_of_the_run_itself_stops_nobody() {
        let mut paper = rested();
        for host in 0..=CONSUMER {
            paper.world(host, WorldFact::Stopped { kind: StopKind::End });
        }
        assert_eq!(paper.outcome("liveness"), CheckOutcome::Held);
    }

    #[test]
    fn l_everything_left_open_is_rejected() {
        type Breaks = fn(&mut Paper);
        let broken: [(&str, Breaks); 6] = [
            ("no running leader", |paper| {
                paper.elect(None, 1, &[0]);
            }),
            ("not in its isr", |paper| {
                paper.elect(Some(0), 0, &[0, 1]);
            }),
            ("ends at 2 on broker", |paper| {
                paper.write(0, &[1], batch(2, 1, 0, 5));
            }),
            ("neither acknowledged", |paper| {
                paper
                    .client(PRODUCER, HistoryEvent::Sent { partition: partition(), value: Value::new(1, 9) });
            }),
            ("has not read", |paper| {
                paper.write(0, &[1, 2], batch(2, 1, 0, 5)).commit(0, 0, 2, 3);
            }),
            ("no controller", |paper| {
                paper.crash(CONTROLLER, CrashMode::Process);
            }),
        ];
        for (expected, breaks) in broken {
            let mut paper = rested();
            breaks(&mut paper);
            let result = paper.verdict("liveness");
            let said: Vec<&str> =
                result.violations.iter().map(|violation| violation.summary.as_str()).collect();
            assert!(said.iter().any(|summary| summary.contains(expected)), "{expected}: {said:?}");
        }
    }

    #[test]
    fn a_run_that_never_settled_says_nothing() {
        let paper = rested();
        let end = EndOfRun { settle_started: None, ..paper.end() };
        assert_eq!(paper.verdict_at(&end, "liveness").result, CheckOutcome::Vacuous);
        let paper = rested();
        let end = EndOfRun { settled: false, ..paper.end() };
        assert_eq!(paper.verdict_at(&end, "liveness").result, CheckOutcome::Violated);
    }
}
