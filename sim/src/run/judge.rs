//! The judge of the room `check`, as a run uses it.

use std::collections::BTreeMap;

use broker::config::{BrokerConfig, TopicConfig};
use broker::time::Duration;
use reports::model::CheckResult as Word;
use scenarios::model::{Bound, Level, Operation, Verb};

use super::judging::{Ending, Finding, Judgement, Judging};
use crate::check::{
    self, CheckOutcome, CheckResult, ConsumerFacts, EndOfRun, Judge, JudgeConfig, ProducerFacts, TopicFacts,
};
use crate::client::ProducerConfig;
use crate::plan::{Plan, PlannedTopic};
use crate::trace::TraceEvent;

/// Judges a run by every check that exists.
pub struct KafkaJudge {
    judge: Option<Judge>,
    plan: Plan,
    last_event: u64,
}

impl KafkaJudge {
    /// A judge for one run of this plan.
    pub fn new(plan: &Plan) -> KafkaJudge {
        KafkaJudge { judge: Some(Judge::new(judge_config(plan))), plan: plan.clone(), last_event: 0 }
    }

    /// As [`KafkaJudge::new`], for [`super::Stage`].
    pub fn boxed(plan: &Plan) -> Box<dyn Judging> {
        Box::new(KafkaJudge::new(plan))
    }
}

impl Judging for KafkaJudge {
    fn observe(&mut self, event: &TraceEvent) {
        self.last_event = event.event;
        if let Some(judge) = &mut self.judge {
            judge.observe(event);
        }
    }

    fn has_violation(&self) -> bool {
        self.judge.as_ref().is_some_and(Judge::has_violation)
    }

    fn finish(&mut self, ending: &Ending) -> Judgement {
        let Some(judge) = self.judge.take() else { return Judgement::default() };
        let said = judge.finish(&EndOfRun {
            event: self.last_event,
            at: ending.at,
            settle_started: ending.settle_started,
            settle_bound: Duration::from_micros(ending.settle_within_us),
            settled: ending.is_settled,
            reason: ending.reason.clone(),
        });
        Judgement {
            findings: said.checks.iter().map(|result| finding(&self.plan, result)).collect(),
            coverage: said.coverage.all().into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
            checks: said.checks,
            measurements: said.measurements,
        }
    }
}

fn finding(plan: &Plan, result: &CheckResult) -> Finding {
    let violated = result.violations.iter().filter_map(|violation| violation.partition.as_ref());
    let lost = result.permitted.iter().map(|loss| &loss.partition);
    let mut partitions: Vec<String> = violated.chain(lost).map(ToString::to_string).collect();
    partitions.sort();
    partitions.dedup();
    let lost: u64 = result.permitted.iter().map(|loss| loss.records).sum();
    let violation = result.violations.first().map(|violation| violation.summary.clone());
    let loss = result.permitted.first().map(|loss| format!("{lost} records lost: {}", loss.reason));
    let evidence = result
        .violations
        .iter()
        .flat_map(|violation| violation.steps.iter().map(|step| step.event).chain([violation.event]));
    Finding {
        check: result.name.to_owned(),
        level: plan.level(result.name),
        result: word(result.result),
        count: if result.result == CheckOutcome::PermittedLoss { lost } else { result.count },
        evaluations: result.evaluations,
        examined: result.examined,
        partitions,
        summary: violation.or(loss),
        last_event: evidence.chain(result.permitted.iter().map(|loss| loss.event)).max(),
    }
}

fn word(outcome: CheckOutcome) -> Word {
    match outcome {
        CheckOutcome::Held => Word::Held,
        CheckOutcome::Violated => Word::Violated,
        CheckOutcome::NotApplicable => Word::NotApplicable,
        CheckOutcome::Vacuous => Word::Vacuous,
        CheckOutcome::PermittedLoss => Word::PermittedLoss,
    }
}

/// What the judge must know of a plan.
fn judge_config(plan: &Plan) -> JudgeConfig {
    let level = |level: &Level| match level {
        Level::Error => check::Level::Error,
        Level::Warn => check::Level::Warn,
        Level::Off => check::Level::Off,
    };
    let producers = plan.producers.iter().map(|producer| {
        // The cast refuses a plan whose values cannot be used; here the defaults stand in.
        let config = ProducerConfig::from_map(&producer.config).unwrap_or_default();
        ProducerFacts {
            number: producer.number,
            host: producer.host,
            topic: producer.topic.clone(),
            acks: config.acks,
            is_idempotent: config.enable_idempotence,
        }
    });
    let consumers = plan.consumers.iter().map(|consumer| ConsumerFacts {
        host: consumer.host,
        topic: consumer.topic.clone(),
        partitions: consumer.partitions.clone(),
    });
    let decides = first_controller(plan);
    JudgeConfig {
        hosts: plan.hosts.iter().map(|host| host.kind.clone()).collect(),
        names: plan.hosts.iter().map(|host| host.name.clone()).collect(),
        levels: plan.checks.iter().map(|(name, own)| (name.clone(), level(own))).collect(),
        topics: plan.topics.iter().map(|topic| (topic.name.clone(), topic_facts(plan, topic))).collect(),
        producers: producers.collect(),
        consumers: consumers.collect(),
        deletions: operations(plan, |operation| operation.deleted_topic()),
        unclean_requests: operations(plan, |operation| operation.forced_topic()),
        quorum_fetch_timeout: decides.quorum_fetch_timeout,
        replica_lag_time: decides.replica_lag_time_max,
        bounds: bounds(plan),
    }
}

fn bounds(plan: &Plan) -> BTreeMap<String, BTreeMap<String, u64>> {
    let number = |bound: &Bound| match bound {
        Bound::Count(count) => *count,
        Bound::Duration(time) => time.0,
    };
    let of_one = |bounds: &BTreeMap<String, Bound>| {
        bounds.iter().map(|(name, bound)| (name.clone(), number(bound))).collect()
    };
    plan.bounds.iter().map(|(check, bounds)| (check.clone(), of_one(bounds))).collect()
}

/// The configuration of the first controller, which decides for topics.
fn first_controller(plan: &Plan) -> BrokerConfig {
    let host = plan.controllers().first().and_then(|host| plan.hosts.get(host.0 as usize));
    host.map(|host| BrokerConfig::from_map(&host.config).unwrap_or_default()).unwrap_or_default()
}

/// The topic that each cluster verb of a kind is about, by fault.
fn operations(plan: &Plan, topic: impl Fn(&Operation) -> Option<&str>) -> BTreeMap<String, String> {
    let faults = plan.faults.iter().filter_map(|fault| match &fault.verb {
        Verb::Operate { operation, .. } => Some((fault.id.clone(), topic(operation)?.to_owned())),
        _ => None,
    });
    faults.collect()
}

/// A topic's own values over those of the first controller, which decides.
fn topic_facts(plan: &Plan, topic: &PlannedTopic) -> TopicFacts {
    let config = TopicConfig::over(&first_controller(plan), &topic.config).unwrap_or_default();
    TopicFacts {
        unclean_elections: config.unclean_leader_election,
        min_isr: config.min_insync_replicas,
        replication_factor: topic.replication_factor,
        partitions: topic.partitions,
    }
}
