//! The admin client, as far as a run needs it: creates topics and waits until metadata shows them (`KafkaAdminClient`).
//!
//! Differs from Kafka: it never gives up. Right after the start of a cluster the brokers that a topic needs may not have
//! registered yet; any refusal but "exists already" is tried again after the back-off.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::ids::NodeId;
use broker::io::{Address, Input};
use broker::time::{Instant, earliest};
use broker::wire::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use broker::wire::messages::{BrokerId, CreateTopicsRequest, TopicName};
use broker::wire::{ErrorCode, Response, StrBytes};

use crate::client::backoff::Backoff;
use crate::client::cluster::{Cluster, ClusterSettings};
use crate::client::config::AdminConfig;
use crate::client::network::{Lost, NetworkSettings};
use crate::host::Outputs;
use crate::seed::{ChaCha8Rng, Seed};

/// A topic to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: Arc<str>,
    /// Number of partitions; not looked at when `assignments` are given.
    pub partitions: i32,
    /// Number of replicas; not looked at when `assignments` are given.
    pub replication_factor: i16,
    /// Replicas by partition, the preferred leader first. Empty: the controller places them.
    pub assignments: BTreeMap<i32, Vec<NodeId>>,
    /// The topic's configs.
    pub configs: BTreeMap<String, String>,
}

impl NewTopic {
    fn partition_count(&self) -> usize {
        if self.assignments.is_empty() { self.partitions.max(0) as usize } else { self.assignments.len() }
    }

    pub(super) fn message(&self) -> CreatableTopic {
        let is_placed = !self.assignments.is_empty();
        let assignments = self.assignments.iter().map(|(partition, replicas)| {
            CreatableReplicaAssignment::default()
                .with_partition_index(*partition)
                .with_broker_ids(replicas.iter().map(|id| BrokerId(id.0)).collect())
        });
        let configs = self.configs.iter().map(|(name, value)| {
            CreatableTopicConfig::default()
                .with_name(StrBytes::from_string(name.clone()))
                .with_value(Some(StrBytes::from_string(value.clone())))
        });
        CreatableTopic::default()
            .with_name(TopicName::from(StrBytes::from_string(self.name.to_string())))
            .with_num_partitions(if is_placed { -1 } else { self.partitions })
            .with_replication_factor(if is_placed { -1 } else { self.replication_factor })
            .with_assignments(assignments.collect())
            .with_configs(configs.collect())
    }
}

/// An admin client with one task.
pub struct Admin {
    cluster: Cluster<()>,
    to_create: BTreeMap<Arc<str>, NewTopic>,
    expected: BTreeMap<Arc<str>, usize>,
    timeout_ms: i32,
    is_asked: bool,
    failures: u32,
    retry_at: Instant,
    retry: Backoff,
    rng: ChaCha8Rng,
    last_error: Option<String>,
    now: Instant,
}

impl Admin {
    /// An admin client that creates `topics` in the cluster behind `bootstrap`. `name` is its `client.id`.
    pub fn new(
        config: AdminConfig,
        name: &str,
        bootstrap: &[Address],
        topics: Vec<NewTopic>,
        seed: u64,
    ) -> Self {
        let retry = config.retry();
        let settings = ClusterSettings {
            network: NetworkSettings {
                client_id: name.to_string(),
                request_timeout: config.request_timeout,
                reconnect: Backoff { initial: config.reconnect_backoff, max: config.reconnect_backoff_max },
                max_in_flight: 1,
            },
            retry,
            metadata_max_age: config.metadata_max_age,
        };
        let mut cluster = Cluster::new(settings, bootstrap, seed);
        topics.iter().for_each(|topic| cluster.want(&topic.name));
        Admin {
            cluster,
            expected: topics.iter().map(|topic| (topic.name.clone(), topic.partition_count())).collect(),
            to_create: topics.into_iter().map(|topic| (topic.name.clone(), topic)).collect(),
            timeout_ms: i32::try_from(config.request_timeout.as_millis()).unwrap_or(i32::MAX),
            is_asked: false,
            failures: 0,
            retry_at: Instant::ZERO,
            retry,
            rng: Seed(seed).stream("admin/retry"),
            last_error: None,
            now: Instant::ZERO,
        }
    }

    /// Do all topics exist, with a leader for each partition?
    pub fn is_done(&self) -> bool {
        let is_ready = |(name, count): (&Arc<str>, &usize)| {
            let topic = self.cluster.metadata().topic(name);
            topic.is_some_and(|t| {
                t.partitions.len() == *count && t.partitions.values().all(|p| p.leader.is_some())
            })
        };
        self.to_create.is_empty() && self.expected.iter().all(is_ready)
    }

    /// Why the last attempt did not work, for the operator.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Takes one input, then asks for what is still to be done.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Outputs) {
        for answer in self.cluster.step(now, input, out) {
            self.on_answer(answer.result, now);
        }
        self.pump(now, out);
    }

    /// Asks for what is still to be done.
    pub fn pump(&mut self, now: Instant, out: &mut Outputs) {
        self.now = now;
        if !self.to_create.is_empty() && !self.is_asked && self.retry_at <= now {
            // Any broker forwards to the active controller (KIP-590).
            if let Some(node) = self.cluster.any_ready(now, out) {
                let topics = self.to_create.values().map(NewTopic::message).collect();
                let request =
                    CreateTopicsRequest::default().with_timeout_ms(self.timeout_ms).with_topics(topics);
                self.is_asked = true;
                self.cluster.ask(node, request, (), now, out);
            }
        } else if !self.is_done() && self.to_create.is_empty() {
            self.cluster.request_update();
        }
        self.cluster.refresh(now, out);
    }

    fn on_answer(&mut self, result: Result<Response, Lost>, now: Instant) {
        self.is_asked = false;
        match result {
            Ok(Response::CreateTopics(response)) => {
                for topic in &response.topics {
                    match ErrorCode::try_from_code(topic.error_code) {
                        None | Some(ErrorCode::TopicAlreadyExists) => {
                            self.to_create.remove(topic.name.as_str());
                        }
                        Some(error) => self.last_error = Some(format!("{}: {error}", topic.name.as_str())),
                    }
                }
                self.cluster.request_update();
            }
            Ok(_) => self.last_error = Some(Lost::Unreadable.to_string()),
            Err(why) => self.last_error = Some(why.to_string()),
        }
        if !self.to_create.is_empty() {
            self.failures = self.failures.saturating_add(1);
            self.retry_at = now + self.retry.after(self.failures, &mut self.rng);
        }
    }

    /// When the admin client wants `Input::TimerDue`; never again once it is done.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.is_done() {
            return None;
        }
        let retry = (!self.is_asked && self.retry_at > self.now).then_some(self.retry_at);
        earliest(retry, self.cluster.next_deadline())
    }
}

#[cfg(test)]
mod tests {
    use broker::wire::Request;
    use broker::wire::messages::CreateTopicsResponse;
    use broker::wire::messages::create_topics_response::CreatableTopicResult;

    use super::*;
    use crate::client::testing::{Asked, FakeCluster, TOPIC, bootstrap, topic};

    fn answer(cluster: &mut FakeCluster<Admin>, asked: &Asked, error: i16) {
        let name = TopicName::from(StrBytes::from_static_str(TOPIC));
        let result = CreatableTopicResult::default().with_name(name).with_error_code(error);
        cluster.answer(asked, CreateTopicsResponse::default().with_topics(vec![result]));
    }

    #[test]
    fn tries_again_until_the_topic_exists_and_has_leaders() {
        let wanted = NewTopic {
            name: topic(),
            partitions: 1,
            replication_factor: 1,
            assignments: BTreeMap::from([(0, vec![NodeId(2), NodeId(1)])]),
            configs: BTreeMap::from([("min.insync.replicas".to_string(), "2".to_string())]),
        };
        let admin = Admin::new(AdminConfig::default(), "admin", &bootstrap(), vec![wanted], 3);
        let mut cluster = FakeCluster::new(admin);
        cluster.is_topic_known = false;
        cluster.pass_ms(100);
        let asked = cluster.next();
        let Request::CreateTopics(request) = &asked.request else { panic!("{:?}", asked.request) };
        assert_eq!(request.topics[0].num_partitions, -1);
        assert_eq!(request.topics[0].assignments[0].broker_ids, [BrokerId(2), BrokerId(1)]);
        assert_eq!(request.topics[0].configs[0].name.as_str(), "min.insync.replicas");
        answer(&mut cluster, &asked, ErrorCode::InvalidReplicationFactor.code());
        assert!(cluster.client.last_error().is_some());
        cluster.pass_ms(2_000);
        let asked = cluster.next();
        answer(&mut cluster, &asked, 0);
        assert!(!cluster.client.is_done(), "metadata does not show it yet");
        cluster.is_topic_known = true;
        cluster.leaders.insert(0, (-1, 1));
        cluster.pass_ms(3_000);
        assert!(!cluster.client.is_done(), "no leader yet");
        cluster.leaders.insert(0, (2, 1));
        cluster.pass_ms(3_000);
        assert!(cluster.client.is_done());
        assert_eq!(cluster.client.next_deadline(), None);
    }
}
