//! Files that are valid and probably do not say what was meant. Every one of these was written by accident once.

use super::chaos::{allows_none_down, may_lose_power};
use super::names::value_of;
use super::{Walk, fault::longest};
use crate::catalogue::{self, Section};
use crate::diagnostic::Diagnostic;
use crate::model::{
    Compare, Condition, CrashMode, ExpectedVerdict, Fault, Links, Measure, Micros, Operation, RollingMode,
    Scenario, Target, Topic, Trigger, Verb,
};
use crate::syntax::tree::{Node, Table};

/// Reports every lint as a warning.
pub(super) fn check(walk: &mut Walk<'_>, scenario: &Scenario, root: &Table) {
    for fault in &scenario.faults {
        crash_shorter_than_session(walk, scenario, fault);
        when_before_lag(walk, scenario, fault);
        partition_shorter_than_lag(walk, scenario, fault);
        fault_after_time_limit(walk, scenario, fault);
    }
    for topic in &scenario.topics {
        min_isr(walk, scenario, topic);
    }
    internal_topic_rf_above_brokers(walk, scenario, root);
    control_differs_by_more_than_fix(walk, scenario);
    reach_unreachable(walk, scenario, root);
}

/// Every lint that a file may allow itself (`allow`), by code without `scn::`.
const LINTS: &[&str] = &[
    "acks_all_min_isr_1",
    "control_differs_by_more_than_fix",
    "crash_shorter_than_session",
    "fault_after_time_limit",
    "internal_topic_rf_above_brokers",
    "min_isr_above_rf",
    "partition_shorter_than_lag",
    "reach_unreachable",
    "when_before_lag",
];

/// Takes back the warnings that the file allows.
pub(super) fn allow(walk: &mut Walk<'_>, node: Option<&Node>) {
    let Some(items) = node.and_then(|node| walk.list(node, "`allow` is a list of warnings")) else { return };
    for item in items {
        let Some(name) = walk.text(item) else { continue };
        if LINTS.contains(&name.as_str()) {
            walk.findings.retain(|finding| finding.code.strip_prefix("scn::") != Some(&name));
        } else {
            walk.unknown_word("scn::unknown_lint", "warning", &name, LINTS, item.span);
        }
    }
}

/// A millisecond config of the brokers, set or default.
fn broker_ms(scenario: &Scenario, name: &str) -> Micros {
    let text =
        scenario.broker_config.get(name).map(String::as_str).or(catalogue::default(Section::Broker, name));
    Micros(text.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0).saturating_mul(1_000))
}

fn crash_shorter_than_session(walk: &mut Walk<'_>, scenario: &Scenario, fault: &Fault) {
    let session = broker_ms(scenario, "broker.session.timeout.ms");
    // A controller has no session: its quorum notices by itself.
    let is_crash = matches!(&fault.verb, Verb::Crash { target, .. } if !is_of_controllers(target));
    if is_crash && fault.duration.is_some() && longest(&fault.duration) < session {
        let message = format!("this crash is shorter than broker.session.timeout.ms ({session})");
        let finding = Diagnostic::warning("scn::crash_shorter_than_session", message).at(fault.verb_span, "");
        walk.report(finding.help("the controller may never notice it: no failover is forced"));
    }
}

fn is_of_controllers(target: &Target) -> bool {
    match target {
        Target::Controller(_) | Target::Controllers | Target::ActiveController => true,
        Target::Random { of, .. } => is_of_controllers(of),
        Target::Union(a, b) => is_of_controllers(a) && is_of_controllers(b),
        Target::Minus(a, _) => is_of_controllers(a),
        _ => false,
    }
}

fn when_before_lag(walk: &mut Walk<'_>, scenario: &Scenario, fault: &Fault) {
    let (Trigger::When { condition, within: Some(within), .. }
    | Trigger::After { condition: Some(condition), within: Some(within), .. }) = &fault.trigger
    else {
        return;
    };
    let lag = broker_ms(scenario, "replica.lag.time.max.ms");
    let shrink = Micros(lag.0.saturating_add(lag.0 / 2));
    if waits_for_shrink(scenario, condition) && *within < shrink {
        let message = format!("an ISR shrink takes up to 1.5 x replica.lag.time.max.ms ({shrink})");
        let finding = Diagnostic::warning("scn::when_before_lag", message).at(fault.trigger_span, "");
        walk.report(finding.help("lengthen `within`, or lower replica.lag.time.max.ms"));
    }
}

/// Whether the condition asks for an ISR that is smaller than the replica set.
fn waits_for_shrink(scenario: &Scenario, condition: &Condition) -> bool {
    use crate::model::Operand;
    match condition {
        Condition::And(parts) => parts.iter().any(|part| waits_for_shrink(scenario, part)),
        Condition::Compare { left: Operand::Measure(measure), op, right } => {
            let (Measure::Isr(partition) | Measure::IsrSize(partition)) = measure else { return false };
            let replicas = scenario
                .topic(&partition.topic)
                .and_then(|topic| topic.replication_factor.min())
                .unwrap_or(0);
            let replicas = i64::from(replicas);
            match (op, right) {
                (Compare::Equal, Operand::Set(ids)) => i64::try_from(ids.len()).is_ok_and(|n| n < replicas),
                (Compare::Equal | Compare::LessOrEqual, Operand::Int(n)) => *n < replicas,
                (Compare::Less, Operand::Int(n)) => *n <= replicas,
                _ => false,
            }
        }
        _ => false,
    }
}

fn partition_shorter_than_lag(walk: &mut Walk<'_>, scenario: &Scenario, fault: &Fault) {
    let Verb::Partition { links: Links::Replication, .. } = &fault.verb else { return };
    let lag = broker_ms(scenario, "replica.lag.time.max.ms");
    if fault.duration.is_some() && longest(&fault.duration) < lag {
        let message = format!("this cut is shorter than replica.lag.time.max.ms ({lag})");
        let finding = Diagnostic::warning("scn::partition_shorter_than_lag", message).at(fault.verb_span, "");
        walk.report(finding.help("no follower leaves the ISR because of it"));
    }
}

fn fault_after_time_limit(walk: &mut Walk<'_>, scenario: &Scenario, fault: &Fault) {
    if let Trigger::At { at } = &fault.trigger
        && at.min().is_some_and(|at| at >= scenario.time_limit)
    {
        let message = format!("this fault fires after the time limit ({})", scenario.time_limit);
        walk.report(Diagnostic::warning("scn::fault_after_time_limit", message).at(fault.trigger_span, ""));
    }
}

fn min_isr(walk: &mut Walk<'_>, scenario: &Scenario, topic: &Topic) {
    let name = "min.insync.replicas";
    let set = topic.config.get(name).or(scenario.broker_config.get(name));
    let min_isr: u32 = set.and_then(|text| text.parse().ok()).unwrap_or(1);
    let span = walk.first_line(topic.span);
    let replicas = topic.replication_factor.max().unwrap_or(0);
    if min_isr > replicas {
        let message = format!("`{}` has min.insync.replicas = {min_isr} and {replicas} replicas", topic.name);
        let finding = Diagnostic::warning("scn::min_isr_above_rf", message).at(span, "");
        walk.report(finding.help("no record with acks=all can ever be written"));
    }
    let acks_all = |config: &crate::model::ConfigMap| config.get("acks").is_none_or(|acks| acks == "all");
    let has_writer = scenario.producers.iter().any(|p| p.topic == topic.name && acks_all(&p.config));
    // Said explicitly it is a choice; left to the default it is often an oversight.
    if set.is_none() && replicas > 1 && has_writer {
        let message = format!("`{}` is written with acks=all and min.insync.replicas is 1", topic.name);
        let finding = Diagnostic::warning("scn::acks_all_min_isr_1", message).at(span, "");
        walk.report(
            finding.help("a lone leader may acknowledge: set min.insync.replicas, even if it is to 1"),
        );
    }
}

fn internal_topic_rf_above_brokers(walk: &mut Walk<'_>, scenario: &Scenario, root: &Table) {
    let brokers = scenario.cluster.brokers.min().unwrap_or(0);
    for name in ["offsets.topic.replication.factor", "transaction.state.log.replication.factor"] {
        let replicas: u32 = scenario.broker_config.get(name).and_then(|text| text.parse().ok()).unwrap_or(0);
        let Some(node) = value_of(root, "broker") else { continue };
        if replicas > brokers {
            let message = format!("`{name}` is {replicas} and there may be only {brokers} brokers");
            let span = walk.first_line(node.span);
            walk.report(Diagnostic::warning("scn::internal_topic_rf_above_brokers", message).at(span, ""));
        }
    }
}

fn control_differs_by_more_than_fix(walk: &mut Walk<'_>, scenario: &Scenario) {
    let expects_loss =
        matches!(scenario.expect.verdict, ExpectedVerdict::Violation | ExpectedVerdict::PermittedLoss);
    let passes = |expect: &crate::model::Expect| expect.verdict == ExpectedVerdict::Pass;
    let has_control = scenario.variants.iter().any(|variant| variant.expect.as_ref().is_some_and(passes));
    if !expects_loss || !has_control {
        return;
    }
    for fault in &scenario.faults {
        if let Verb::Crash { mode: CrashMode::Power | CrashMode::Wipe, .. }
        | Verb::RollingRestart { mode: RollingMode::Power, .. } = fault.verb
        {
            let message = "a power loss may lose acknowledged records by itself";
            let finding =
                Diagnostic::warning("scn::control_differs_by_more_than_fix", message).at(fault.verb_span, "");
            walk.report(
                finding.help("the control variant may fail for another reason: use mode = \"process\""),
            );
        }
    }
}

fn reach_unreachable(walk: &mut Walk<'_>, scenario: &Scenario, root: &Table) {
    let Some(expect) =
        value_of(root, "expect").and_then(|node| node.as_table()?.get("reach")?.node.as_table())
    else {
        return;
    };
    for (goal, wanted) in &scenario.expect.reach {
        let wants_some = wanted.iter().any(|comparison| !comparison.holds(0));
        if wants_some
            && !is_reachable(scenario, goal)
            && let Some(entry) = expect.get(goal)
        {
            let message = format!("nothing in this file can make `{goal}` happen");
            walk.report(Diagnostic::warning("scn::reach_unreachable", message).at(entry.key_span, ""));
        }
    }
}

fn is_reachable(scenario: &Scenario, goal: &str) -> bool {
    let scripted = |test: &dyn Fn(&Verb) -> bool| scenario.faults.iter().any(|fault| test(&fault.verb));
    let chaos = &scenario.chaos;
    let may_crash = chaos.crash.is_some() && !allows_none_down(&scenario.swarm.max_down);
    match goal {
        "crashes" => {
            let crashes = |verb: &Verb| match verb {
                Verb::RollingRestart { mode, .. } => *mode != RollingMode::Shutdown,
                verb => matches!(verb, Verb::Crash { .. }),
            };
            may_crash || chaos.wipe.is_some() || scripted(&crashes)
        }
        "wipes" => {
            chaos.wipe.is_some()
                || scripted(&|verb| matches!(verb, Verb::Crash { mode: CrashMode::Wipe, .. }))
        }
        "shutdowns" => {
            chaos.shutdown.is_some()
                || scripted(&|verb| {
                    matches!(
                        verb,
                        Verb::Shutdown { .. } | Verb::RollingRestart { mode: RollingMode::Shutdown, .. }
                    )
                })
        }
        "power_losses" => {
            chaos.crash.as_ref().is_some_and(may_lose_power)
                || scripted(&|verb| {
                    matches!(
                        verb,
                        Verb::Crash { mode: CrashMode::Power, .. }
                            | Verb::RollingRestart { mode: RollingMode::Power, .. }
                    )
                })
        }
        "pauses" => chaos.pause.is_some() || scripted(&|verb| matches!(verb, Verb::Pause { .. })),
        "partitions" => chaos.partition.is_some() || scripted(&|verb| matches!(verb, Verb::Partition { .. })),
        "held_messages" => {
            chaos.hold.is_some()
                || chaos.metadata_lag.is_some()
                || scripted(&|verb| matches!(verb, Verb::Hold { .. } | Verb::MetadataLag { .. }))
        }
        "dropped_messages" => {
            chaos.fence.is_some() || scripted(&|verb| matches!(verb, Verb::Drop { .. } | Verb::Fence { .. }))
        }
        "acked_records" => !scenario.producers.is_empty(),
        "consumed_records" => !scenario.producers.is_empty() && !scenario.consumers.is_empty(),
        "controller_elections" => true,
        "unclean_elections" => {
            let name = "unclean.leader.election.enable";
            let is_on = |config: &crate::model::ConfigMap| config.get(name).is_some_and(|on| on == "true");
            let allowed =
                is_on(&scenario.broker_config) || scenario.topics.iter().any(|topic| is_on(&topic.config));
            let asked = |verb: &Verb| match verb {
                Verb::Operate { operation: Operation::Alter { config, .. }, .. } => is_on(config),
                Verb::Operate { operation, .. } => operation.forced_topic().is_some(),
                _ => false,
            };
            (allowed || scripted(&asked)) && scenario.has_faults()
        }
        _ => scenario.has_faults(),
    }
}
