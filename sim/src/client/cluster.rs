//! The cluster as one client reaches it: connections and metadata together.
//!
//! Producer, consumer and admin own one each and see only the answers to their own questions.

use std::sync::Arc;

use broker::ids::{NodeId, TopicId, TopicPartition};
use broker::io::{Address, Input};
use broker::time::{Duration, Instant, earliest};
use broker::wire::{Request, Response};

use super::backoff::Backoff;
use super::metadata::{LeaderHint, Metadata};
use super::network::{Lost, Network, NetworkEvent, NetworkSettings};
use crate::history::HistoryEvent;
use crate::host::Outputs;
use crate::seed::{ChaCha8Rng, Seed};

/// What every client needs to reach a cluster.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// For the connections.
    pub network: NetworkSettings,
    /// `retry.backoff.ms` and its maximum.
    pub retry: Backoff,
    /// `metadata.max.age.ms`.
    pub metadata_max_age: Duration,
}

#[derive(Debug)]
enum Tag<T> {
    Metadata,
    Own(T),
}

/// The end of one of the owner's questions.
#[derive(Debug)]
pub struct Answer<T> {
    /// Who was asked.
    pub node: NodeId,
    /// The owner's note on the question.
    pub tag: T,
    /// What came of it.
    pub result: Result<Response, Lost>,
}

/// Connections and metadata of one client.
#[derive(Debug)]
pub struct Cluster<T> {
    network: Network<Tag<T>>,
    metadata: Metadata,
    rng: ChaCha8Rng,
    now: Instant,
}

impl<T> Cluster<T> {
    /// Reaches the cluster through `bootstrap` (`bootstrap.servers`), whose nodes have negative ids until metadata
    /// tells their real ones, as in the Java client.
    pub fn new(settings: ClusterSettings, bootstrap: &[Address], seed: u64) -> Self {
        let mut network = Network::new(settings.network, Seed(seed).stream("client/network"));
        let mut ids = Vec::with_capacity(bootstrap.len());
        for (address, id) in bootstrap.iter().zip((i32::MIN..=-1).rev()) {
            network.set_address(NodeId(id), address.clone());
            ids.push(NodeId(id));
        }
        let metadata = Metadata::new(settings.metadata_max_age, settings.retry, ids);
        Cluster { network, metadata, rng: Seed(seed).stream("client/metadata"), now: Instant::ZERO }
    }

    /// What is known.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Asks for this topic from now on.
    pub fn want(&mut self, topic: &Arc<str>) {
        self.metadata.want(topic);
    }

    /// The view is old.
    pub fn request_update(&mut self) {
        self.metadata.request_update();
    }

    /// A refusal said who leads a partition (KIP-951); says whether that is news.
    pub fn take_leader_hint(
        &mut self,
        partition: &TopicPartition,
        topic_id: TopicId,
        hint: &LeaderHint,
    ) -> bool {
        let is_news = self.metadata.on_leader_hint(partition, topic_id, hint);
        if let Some(address) = hint.address.clone().filter(|_| is_news) {
            self.network.set_address(hint.leader, address);
        }
        is_news
    }

    /// May this node be asked now? Starts to connect if need be.
    pub fn ready(&mut self, node: NodeId, now: Instant, out: &mut Outputs) -> bool {
        self.network.ready(node, now, out)
    }

    /// Some node that can be asked now; starts to connect to one if there is none.
    pub fn any_ready(&mut self, now: Instant, out: &mut Outputs) -> Option<NodeId> {
        let node = self.network.least_loaded(&self.metadata.nodes(), now)?;
        self.network.ready(node, now, out).then_some(node)
    }

    /// As [`Cluster::any_ready`], but not this node while there are others.
    pub fn any_ready_but(
        &mut self,
        avoided: Option<NodeId>,
        now: Instant,
        out: &mut Outputs,
    ) -> Option<NodeId> {
        let mut nodes = self.metadata.nodes();
        if nodes.len() > 1 {
            nodes.retain(|node| Some(*node) != avoided);
        }
        let node = self.network.least_loaded(&nodes, now)?;
        self.network.ready(node, now, out).then_some(node)
    }

    /// Asks a node that is ready.
    pub fn ask(
        &mut self,
        node: NodeId,
        request: impl Into<Request>,
        tag: T,
        now: Instant,
        out: &mut Outputs,
    ) {
        self.network.ask(node, &request.into(), Tag::Own(tag), now, out);
    }

    /// Tells a node that is ready something that has no answer (acks=0).
    pub fn tell(&mut self, node: NodeId, request: impl Into<Request>, now: Instant, out: &mut Outputs) {
        self.network.tell(node, &request.into(), now, out);
    }

    /// Takes one input; returns the answers that it brought.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Outputs) -> Vec<Answer<T>> {
        let mut answers = Vec::new();
        for event in self.network.step(now, input, out) {
            match event {
                NetworkEvent::Finished { node, tag: Tag::Own(tag), result } => {
                    answers.push(Answer { node, tag, result });
                }
                NetworkEvent::Finished { tag: Tag::Metadata, result, .. } => {
                    self.on_metadata(result, now, out);
                }
                NetworkEvent::Disconnected { .. } => self.metadata.request_update(),
            }
        }
        self.refresh(now, out);
        answers
    }

    fn on_metadata(&mut self, result: Result<Response, Lost>, now: Instant, out: &mut Outputs) {
        match result {
            Ok(Response::Metadata(response)) => {
                for (node, address) in self.metadata.on_response(&response, now, &mut self.rng) {
                    self.network.set_address(node, address);
                }
                for (topic, topic_id) in self.metadata.take_replaced() {
                    let topic = topic.to_string();
                    out.history.push(HistoryEvent::TopicReplaced { topic, topic_id });
                }
            }
            Ok(_) | Err(_) => self.metadata.on_lost(now, &mut self.rng),
        }
    }

    /// Asks for metadata if that is due.
    pub fn refresh(&mut self, now: Instant, out: &mut Outputs) {
        self.now = now;
        if self.metadata.due_at().is_none_or(|at| at > now) {
            return;
        }
        if let Some(node) = self.any_ready(now, out) {
            let request = self.metadata.ask(now).into();
            self.network.ask(node, &request, Tag::Metadata, now, out);
        }
    }

    /// When connections or metadata need `Input::TimerDue`.
    pub fn next_deadline(&self) -> Option<Instant> {
        // A refresh that is due already waits for a connection, which has its own deadline.
        earliest(self.network.next_deadline(), self.metadata.due_at().filter(|at| *at > self.now))
    }
}
