//! Which program plays which host.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::ids::NodeId;
use broker::io::{Address, Listener};
use broker::time::{Duration, Instant};
use scenarios::model::Keys;

use super::programs::node_program;
use crate::client::{AdminConfig, ConsumerConfig, NewTopic, ProducerConfig};
use crate::plan::{HostId, Plan, PlannedConsumer, PlannedProducer, PlannedTopic};
use crate::workload::{self, ConsumeLoad, Gauge, OperatorDesk, ProduceLoad, Setup};
use crate::world::Program;

/// Gives each host of a plan its program. A run of Kafka nodes and clients is one cast; a test may bring another.
pub trait Cast: Send + Sync {
    /// What runs on this host. Errors: why this host cannot be played, for the operator.
    fn program(&self, plan: &Plan, host: HostId) -> Result<Box<dyn Program>, String>;
}

/// Kafka nodes, producers, consumers, the client that creates the topics, and the operator.
#[derive(Debug, Clone, Copy, Default)]
pub struct KafkaCast;

impl Cast for KafkaCast {
    fn program(&self, plan: &Plan, host: HostId) -> Result<Box<dyn Program>, String> {
        if host == plan.setup {
            return Ok(Box::new(setup(plan)));
        }
        if Some(host) == plan.operator {
            return Ok(Box::new(operator(plan, host)));
        }
        if let Some(producer) = plan.producers.iter().find(|producer| producer.host == host) {
            return Ok(Box::new(produce(plan, producer)?));
        }
        if let Some(consumer) = plan.consumers.iter().find(|consumer| consumer.host == host) {
            return Ok(Box::new(consume(plan, consumer)?));
        }
        node_program(plan, host)
    }
}

/// `bootstrap.servers`: the client listener of every broker.
fn bootstrap(plan: &Plan) -> Vec<Address> {
    let address = |host: HostId| Address::new(plan.host_name(host), Listener::Client.port());
    plan.brokers().into_iter().map(address).collect()
}

fn setup(plan: &Plan) -> Setup {
    Setup {
        name: plan.host_name(plan.setup).to_owned(),
        bootstrap: bootstrap(plan),
        config: AdminConfig::default(),
        topics: plan.topics.iter().map(new_topic).collect(),
        gauge: Gauge::default(),
    }
}

/// How long the operator waits for an answer before asking somebody else. Source: ours; far below Kafka's 30 s, because a
/// directed schedule must not stand still when the broker that was asked is the one that is cut off.
const OPERATOR_PATIENCE: Duration = Duration::from_secs(3);

fn operator(plan: &Plan, host: HostId) -> OperatorDesk {
    OperatorDesk {
        name: plan.host_name(host).to_owned(),
        bootstrap: bootstrap(plan),
        config: AdminConfig { request_timeout: OPERATOR_PATIENCE, ..AdminConfig::default() },
        topics: plan.topics.iter().map(new_topic).collect(),
    }
}

fn new_topic(topic: &PlannedTopic) -> NewTopic {
    let replicas = |ids: &Vec<u32>| ids.iter().map(|id| NodeId(*id as i32)).collect();
    let lists = topic.assignment.iter().flatten().enumerate();
    let assignments: BTreeMap<i32, Vec<NodeId>> =
        lists.map(|(partition, ids)| (partition as i32, replicas(ids))).collect();
    NewTopic {
        name: Arc::from(topic.name.as_str()),
        partitions: topic.partitions as i32,
        replication_factor: topic.replication_factor as i16,
        assignments,
        configs: topic.config.clone(),
    }
}

fn produce(plan: &Plan, producer: &PlannedProducer) -> Result<ProduceLoad, String> {
    let name = plan.host_name(producer.host).to_owned();
    let config = ProducerConfig::from_map(&producer.config).map_err(|error| format!("{name}: {error}"))?;
    Ok(ProduceLoad {
        name,
        number: producer.number,
        bootstrap: bootstrap(plan),
        config,
        topic: Arc::from(producer.topic.as_str()),
        interval: Duration::from_micros(producer.interval_us),
        keys: match producer.keys {
            Keys::None => workload::Keys::None,
            Keys::Uniform { n } => workload::Keys::Uniform { n },
            // Differs from the language: the load knows whole exponents only.
            Keys::Zipf { n, s } => workload::Keys::Zipf { n, s: (s.0 as u32).div_ceil(1_000).max(1) },
        },
        value_bytes: (producer.value_bytes.min, producer.value_bytes.max),
        total: producer.records,
        start_at: Instant::ZERO,
        gauge: Gauge::default(),
    })
}

fn consume(plan: &Plan, consumer: &PlannedConsumer) -> Result<ConsumeLoad, String> {
    let name = plan.host_name(consumer.host).to_owned();
    let config = ConsumerConfig::from_map(&consumer.config).map_err(|error| format!("{name}: {error}"))?;
    let partitions = consumer.partitions.as_ref();
    Ok(ConsumeLoad {
        name,
        bootstrap: bootstrap(plan),
        config,
        topic: Arc::from(consumer.topic.as_str()),
        partitions: partitions.map(|list| list.iter().map(|partition| *partition as i32).collect()),
    })
}
