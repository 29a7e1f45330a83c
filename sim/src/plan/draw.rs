//! From a scenario and a seed to a plan.

use std::collections::BTreeMap;

use broker::config::{BrokerConfig, ConfigError, TopicConfig};
use broker::defects::Defect;
use broker::ids::NodeId;
use scenarios::Parsed;
use scenarios::model::{
    Bound, ConfigMap, Level, Micros, Mode, Phase, PhaseEnd, PhaseKind, Producer, Scenario, Topic, Trigger,
    Verb, controllers_by_default,
};

use super::sample::{below, draw};
use super::{
    FaultScope, HostId, HostKind, Plan, PlannedConsumer, PlannedDisk, PlannedFault, PlannedHost, PlannedLink,
    PlannedNetwork, PlannedPhase, PlannedProducer, PlannedTopic, PlannedTrigger, chaos,
};
use crate::seed::{ChaCha8Rng, Seed};

/// Node id of the first controller that is a node of its own. Source: ours.
const FIRST_CONTROLLER_ID: i32 = 3_000;
/// How long a cluster may take to settle. Source: ours.
const SETTLE_WITHIN_US: u64 = 60_000_000;

/// What a scenario and a seed cannot be together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A cluster needs brokers and voters.
    #[error("the cluster has {brokers} brokers and {controllers} controllers: it needs at least one of each")]
    EmptyCluster { brokers: u32, controllers: u32 },
    /// Combined controllers share the nodes of brokers.
    #[error("{controllers} combined controllers do not fit on {brokers} brokers: use mode = \"isolated\"")]
    TooManyControllers { brokers: u32, controllers: u32 },
    /// More replicas than brokers.
    #[error("topic {topic} wants {wanted} replicas and there are {brokers} brokers")]
    ReplicationFactor { topic: String, wanted: u32, brokers: u32 },
    /// An assignment names a broker that the cluster does not have.
    #[error("topic {topic} is assigned to broker {broker}, which this seed's cluster does not have")]
    Assignment { topic: String, broker: u32 },
    /// A client of a topic that is not there.
    #[error("client {client} uses the topic {topic}, which the scenario does not have")]
    UnknownTopic { client: String, topic: String },
    /// A defect that the broker does not have.
    #[error("there is no defect called {0}")]
    UnknownDefect(String),
    /// A config value that cannot be used.
    #[error("{place}: {source}")]
    Config {
        /// Which host or topic.
        place: String,
        /// What is wrong.
        source: ConfigError,
    },
}

/// An index below `n`, or `None` if there is nothing to choose from.
pub(super) fn place(n: usize, dice: &mut ChaCha8Rng) -> Option<usize> {
    (n > 0).then(|| below(n as u64, dice) as usize)
}

impl Plan {
    /// Draws the plan of this scenario with this seed. The same two give the same plan.
    /// Errors: what the drawn values cannot be together.
    pub fn draw(parsed: &Parsed, seed: Seed) -> Result<Plan, PlanError> {
        Plan::draw_scenario(&parsed.scenario, &parsed.source_digest, seed)
    }

    /// As [`Plan::draw`], without the source text.
    pub fn draw_scenario(scenario: &Scenario, source_digest: &str, seed: Seed) -> Result<Plan, PlanError> {
        let (mut hosts, standby) = nodes(scenario, seed)?;
        let brokers =
            hosts.iter().filter(|h| matches!(h.kind, HostKind::Node { is_broker: true, .. })).count();
        let topics = topics(scenario, (brokers - standby.len()) as u32, seed)?;
        let setup = push_client(&mut hosts, "setup".into());
        let producers = producers(scenario, seed, &mut hosts)?;
        let consumers = consumers(scenario, seed, &mut hosts)?;
        let operator = needs_operator(scenario).then(|| push_client(&mut hosts, "operator".into()));
        let limits = chaos::limits(scenario, &topics, seed);
        let mut plan = Plan {
            seed,
            scenario: scenario.name.clone(),
            variant: scenario.variant.clone(),
            source_digest: source_digest.to_owned(),
            defects: defects(scenario)?,
            hosts,
            racks: BTreeMap::new(),
            topics,
            network: PlannedNetwork {
                latency: scenario.network.latency.clone(),
                loss_ppm: scenario.network.loss.0,
                links: Vec::new(),
            },
            disk: PlannedDisk { write: scenario.disk.write.clone(), fsync: scenario.disk.fsync.clone() },
            setup,
            operator,
            standby,
            features: scenario.cluster.features.clone(),
            producers,
            consumers,
            phases: scenario.phases.iter().map(phase).collect(),
            faults: scenario.faults.iter().map(|fault| scripted(fault, seed)).collect(),
            limits,
            checks: levels(scenario),
            named_checks: named_checks(scenario),
            bounds: bounds(scenario),
            expect: scenario.expect.clone(),
            time_limit_us: scenario.time_limit.0,
            event_budget: Plan::EVENT_BUDGET,
            settle_within_us: settle_within(scenario),
        };
        for (name, brokers) in &scenario.cluster.racks {
            let members = brokers.iter().filter_map(|id| plan.node(NodeId(*id as i32))).collect();
            plan.racks.insert(name.clone(), members);
        }
        plan.network.links = links(scenario, &plan);
        let strikes = chaos::strikes(scenario, &plan, horizon_us(scenario));
        plan.faults.extend(strikes);
        Ok(plan)
    }
}

/// Does anything in the scenario need an operator?
fn needs_operator(scenario: &Scenario) -> bool {
    scenario.faults.iter().any(|fault| matches!(fault.verb, Verb::Operate { .. }))
}

/// Every node, and those of them that wait to be put into service.
fn nodes(scenario: &Scenario, seed: Seed) -> Result<(Vec<PlannedHost>, Vec<HostId>), PlanError> {
    let cluster = &scenario.cluster;
    let brokers = draw(&cluster.brokers, &mut seed.stream("plan/cluster/brokers"));
    let controllers = match &cluster.controllers {
        Some(value) => draw(value, &mut seed.stream("plan/cluster/controllers")),
        None => controllers_by_default(brokers),
    };
    let mode = draw(&cluster.mode, &mut seed.stream("plan/cluster/mode"));
    if brokers == 0 || controllers == 0 {
        return Err(PlanError::EmptyCluster { brokers, controllers });
    }
    if mode == Mode::Combined && controllers > brokers {
        return Err(PlanError::TooManyControllers { brokers, controllers });
    }
    let standby = draw(&cluster.standby, &mut seed.stream("plan/cluster/standby"));
    let mut hosts = Vec::new();
    for id in 0..brokers + standby {
        let is_controller = mode == Mode::Combined && id < controllers;
        let mut config = scenario.broker_config.clone();
        if is_controller {
            config.extend(scenario.controller_config.clone());
        }
        for own in scenario.broker_overrides.iter().filter(|own| own.brokers.contains(&id)) {
            config.extend(own.config.clone());
        }
        let rack =
            cluster.racks.iter().find(|(_, members)| members.contains(&id)).map(|(name, _)| name.clone());
        let kind = HostKind::Node { node_id: NodeId(id as i32), is_broker: true, is_controller };
        hosts.push(PlannedHost { name: format!("broker-{id}"), kind, rack, config });
    }
    if mode == Mode::Isolated {
        for k in 0..controllers {
            let node_id = NodeId(FIRST_CONTROLLER_ID + k as i32);
            let kind = HostKind::Node { node_id, is_broker: false, is_controller: true };
            let config = scenario.controller_config.clone();
            hosts.push(PlannedHost { name: format!("controller-{k}"), kind, rack: None, config });
        }
    }
    for host in &hosts {
        BrokerConfig::from_map(&host.config)
            .map_err(|source| PlanError::Config { place: host.name.clone(), source })?;
    }
    Ok((hosts, (brokers..brokers + standby).map(HostId).collect()))
}

fn topics(scenario: &Scenario, brokers: u32, seed: Seed) -> Result<Vec<PlannedTopic>, PlanError> {
    scenario.topics.iter().map(|topic| planned_topic(topic, brokers, seed)).collect()
}

fn planned_topic(topic: &Topic, brokers: u32, seed: Seed) -> Result<PlannedTopic, PlanError> {
    let name = &topic.name;
    let stream = |what: &str| seed.stream(&format!("plan/topic/{name}/{what}"));
    let planned = PlannedTopic {
        name: name.clone(),
        partitions: draw(&topic.partitions, &mut stream("partitions")),
        replication_factor: draw(&topic.replication_factor, &mut stream("replication_factor")),
        assignment: topic.assignment.clone(),
        config: topic.config.clone(),
    };
    let wanted = planned.replication_factor;
    if wanted == 0 || wanted > brokers {
        return Err(PlanError::ReplicationFactor { topic: name.clone(), wanted, brokers });
    }
    if let Some(&broker) = topic.assignment.iter().flatten().flatten().find(|id| **id >= brokers) {
        return Err(PlanError::Assignment { topic: name.clone(), broker });
    }
    TopicConfig::from_map(&topic.config)
        .map_err(|source| PlanError::Config { place: format!("topic {name}"), source })?;
    Ok(planned)
}

fn push_client(hosts: &mut Vec<PlannedHost>, name: String) -> HostId {
    let kind = HostKind::Client { name: name.clone() };
    hosts.push(PlannedHost { name, kind, rack: None, config: ConfigMap::new() });
    HostId(hosts.len() as u32 - 1)
}

fn known_topic(scenario: &Scenario, client: &str, topic: &str) -> Result<(), PlanError> {
    match scenario.topic(topic) {
        Some(_) => Ok(()),
        None => Err(PlanError::UnknownTopic { client: client.into(), topic: topic.into() }),
    }
}

fn producers(
    scenario: &Scenario,
    seed: Seed,
    hosts: &mut Vec<PlannedHost>,
) -> Result<Vec<PlannedProducer>, PlanError> {
    let mut all = Vec::new();
    for table in &scenario.producers {
        known_topic(scenario, &table.name, &table.topic)?;
        let count = draw(&table.count, &mut seed.stream(&format!("plan/client/{}/count", table.name)));
        for n in 0..count {
            let name = format!("{}-{n}", table.name);
            let host = push_client(hosts, name.clone());
            all.push(producer(table, &name, host, all.len() as u32 + 1, seed));
        }
    }
    Ok(all)
}

fn producer(table: &Producer, name: &str, host: HostId, number: u32, seed: Seed) -> PlannedProducer {
    // The rate is in thousandths of a record per second.
    let rate = draw(&table.rate, &mut seed.stream(&format!("plan/client/{name}/rate"))).0;
    PlannedProducer {
        host,
        number,
        topic: table.topic.clone(),
        interval_us: (1_000_000_000 / rate.max(1)).max(1),
        keys: table.keys,
        value_bytes: table.value_bytes,
        records: table.records,
        config: table.config.clone(),
    }
}

fn consumers(
    scenario: &Scenario,
    seed: Seed,
    hosts: &mut Vec<PlannedHost>,
) -> Result<Vec<PlannedConsumer>, PlanError> {
    let mut all = Vec::new();
    for table in &scenario.consumers {
        known_topic(scenario, &table.name, &table.topic)?;
        let count = draw(&table.count, &mut seed.stream(&format!("plan/client/{}/count", table.name)));
        for n in 0..count {
            all.push(PlannedConsumer {
                host: push_client(hosts, format!("{}-{n}", table.name)),
                topic: table.topic.clone(),
                partitions: table.partitions.clone(),
                config: table.config.clone(),
                is_verifier: false,
            });
        }
    }
    for topic in &scenario.topics {
        let is_read = all.iter().any(|consumer| consumer.topic == topic.name);
        if !is_read {
            let earliest = ConfigMap::from([("auto.offset.reset".to_string(), "earliest".to_string())]);
            all.push(PlannedConsumer {
                host: push_client(hosts, format!("verifier-{}", topic.name)),
                topic: topic.name.clone(),
                partitions: None,
                config: earliest,
                is_verifier: true,
            });
        }
    }
    Ok(all)
}

fn defects(scenario: &Scenario) -> Result<Vec<String>, PlanError> {
    let find = |name: &String| Defect::find(name).ok_or_else(|| PlanError::UnknownDefect(name.clone()));
    let mut found = scenario.defects.iter().map(find).collect::<Result<Vec<Defect>, PlanError>>()?;
    found.sort();
    found.dedup();
    Ok(found.into_iter().map(|defect| defect.name().to_owned()).collect())
}

fn links(scenario: &Scenario, plan: &Plan) -> Vec<PlannedLink> {
    let link = |link: &scenarios::model::NetworkLink| PlannedLink {
        one: plan.static_members(&link.between.0),
        other: plan.static_members(&link.between.1),
        latency: link.latency.clone(),
        loss_ppm: link.loss.map(|loss| loss.0),
    };
    scenario.network.links.iter().map(link).collect()
}

fn phase(phase: &Phase) -> PlannedPhase {
    PlannedPhase {
        name: phase.name.clone(),
        kind: phase.kind,
        end: phase.end.clone(),
        heal: phase.heal.clone(),
    }
}

fn scripted(fault: &scenarios::model::Fault, seed: Seed) -> PlannedFault {
    let stream = format!("fault/{}", fault.id);
    let micros = |what: &str, value: &scenarios::model::Value<Micros>| {
        draw(value, &mut seed.stream(&format!("{stream}/{what}"))).0
    };
    let trigger = match &fault.trigger {
        Trigger::At { at } => PlannedTrigger::At { at_us: micros("at", at) },
        Trigger::Every { every, jitter, count } => PlannedTrigger::Every {
            every_us: micros("every", every).max(1),
            jitter_us: jitter.0,
            count: *count,
        },
        Trigger::When { condition, once, within } => PlannedTrigger::When {
            condition: condition.clone(),
            once: *once,
            within_us: within.map(|within| within.0),
        },
        Trigger::On { point, after, within } => PlannedTrigger::On {
            point: point.clone(),
            after: after.clone(),
            within_us: within.map(|within| within.0),
        },
        Trigger::After { fault, condition, within } => PlannedTrigger::After {
            fault: fault.clone(),
            condition: condition.clone(),
            within_us: within.map(|within| within.0),
        },
    };
    PlannedFault {
        id: fault.id.clone(),
        is_chaos: false,
        scope: match &fault.phase {
            Some(phase) => FaultScope::Phase(phase.clone()),
            None => FaultScope::Run,
        },
        trigger,
        verb: fault.verb.clone(),
        hold_us: fault.duration.as_ref().map(|duration| micros("for", duration)),
        stream,
    }
}

fn levels(scenario: &Scenario) -> BTreeMap<String, scenarios::model::Level> {
    let checks = scenarios::names::CHECKS.iter();
    checks.map(|check| (check.id.to_owned(), scenario.checks.level(check.id))).collect()
}

fn named_checks(scenario: &Scenario) -> Vec<String> {
    let listed = scenario.checks.checks.iter().filter(|(_, check)| check.level != Level::Off);
    let mut named: Vec<String> = listed.map(|(name, _)| name.clone()).collect();
    named.extend(scenario.expect.check.clone());
    named.sort();
    named.dedup();
    named
}

fn bounds(scenario: &Scenario) -> BTreeMap<String, BTreeMap<String, Bound>> {
    let listed = scenario.checks.checks.iter().filter(|(_, check)| !check.bounds.is_empty());
    listed.map(|(name, check)| (name.clone(), check.bounds.clone())).collect()
}

/// The bound of the check wins over that of the phase.
fn settle_within(scenario: &Scenario) -> u64 {
    if let Some(Bound::Duration(bound)) = scenario.checks.bound("liveness", "settle_within") {
        return bound.0;
    }
    let settle = scenario.phases.iter().find(|phase| phase.kind == PhaseKind::Settle);
    match settle.map(|phase| &phase.end) {
        Some(PhaseEnd::Until { within: Some(within), .. }) => within.0,
        Some(PhaseEnd::For { length }) => length.0,
        _ => SETTLE_WITHIN_US,
    }
}

/// How long the phases between `start` and `settle` may last together, in microseconds.
fn horizon_us(scenario: &Scenario) -> u64 {
    let limit = scenario.time_limit.0;
    let run = scenario.phases.iter().filter(|phase| phase.kind == PhaseKind::Run);
    let length = run.fold(0_u64, |sum, phase| {
        sum.saturating_add(match &phase.end {
            PhaseEnd::For { length } => length.0,
            PhaseEnd::Until { within, .. } => within.map_or(limit, |within| within.0),
            PhaseEnd::AfterFaults { quiet, at_most } => at_most.0.max(quiet.0),
        })
    });
    length.min(limit)
}
