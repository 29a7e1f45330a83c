//! The plan and its parts.

use std::collections::BTreeMap;

use broker::defects::{Defect, DefectSet};
use broker::ids::NodeId;
use scenarios::model::{
    Bound, ConfigMap, Distribution, Expect, Heal, Keys, Level, PhaseEnd, PhaseKind, SizeRange, Target,
};
use serde::{Deserialize, Serialize};

use super::{HostId, HostKind, PlannedFault};
use crate::seed::Seed;

/// Everything that a run needs to know. Two equal plans give the same run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The seed of every stream.
    pub seed: Seed,
    /// The scenario's name.
    pub scenario: String,
    /// The variant that was applied.
    pub variant: Option<String>,
    /// Digest of the scenario's source text.
    pub source_digest: String,
    /// Names of the planted defects, sorted.
    pub defects: Vec<String>,
    /// Every machine; its place in the list is its [`HostId`]. Brokers first, then controllers of their own, then clients.
    pub hosts: Vec<PlannedHost>,
    /// Rack name to the hosts in it.
    pub racks: BTreeMap<String, Vec<HostId>>,
    /// Created before the clients start, in this order.
    pub topics: Vec<PlannedTopic>,
    /// Links.
    pub network: PlannedNetwork,
    /// Disks.
    pub disk: PlannedDisk,
    /// The client that creates the topics.
    pub setup: HostId,
    /// The client that carries out cluster verbs, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<HostId>,
    /// Brokers that do not boot until a fault restarts them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standby: Vec<HostId>,
    /// Feature levels that the cluster is formatted with; features that are not here have Kafka's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub features: BTreeMap<String, i16>,
    /// Who writes.
    pub producers: Vec<PlannedProducer>,
    /// Who reads.
    pub consumers: Vec<PlannedConsumer>,
    /// In order: one `start` first, one `settle` last.
    pub phases: Vec<PlannedPhase>,
    /// In order of precedence at equal instants: scripted ones in file order, then random strikes.
    pub faults: Vec<PlannedFault>,
    /// What random strikes must leave standing.
    pub limits: ChaosLimits,
    /// Level of each check.
    pub checks: BTreeMap<String, Level>,
    /// Checks that the scenario itself lists or expects: they must be exercised.
    pub named_checks: Vec<String>,
    /// Bounds of checks, by check and bound.
    pub bounds: BTreeMap<String, BTreeMap<String, Bound>>,
    /// The expected verdict and the goals.
    pub expect: Expect,
    /// World time after which the run ends, in microseconds.
    pub time_limit_us: u64,
    /// Events after which the run ends.
    pub event_budget: u64,
    /// How long the cluster may take to settle, in microseconds.
    pub settle_within_us: u64,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedHost {
    /// `broker-0`, `controller-0`, or the client's name.
    pub name: String,
    /// What runs on it.
    pub kind: HostKind,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Broker and controller configs that the scenario sets; empty for clients.
    pub config: ConfigMap,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTopic {
    /// Its name.
    pub name: String,
    /// Number of partitions.
    pub partitions: u32,
    /// Replicas per partition.
    pub replication_factor: u32,
    /// Broker ids per partition, preferred leader first; `None`: the controller places replicas.
    pub assignment: Option<Vec<Vec<u32>>>,
    /// Topic configs.
    pub config: ConfigMap,
}

/// Every link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedNetwork {
    /// One-way latency per message, in microseconds.
    pub latency: Distribution,
    /// Probability that a transmission is lost, in parts per million.
    pub loss_ppm: u32,
    /// Exceptions, in order; later ones win.
    pub links: Vec<PlannedLink>,
}

/// Links that differ, in both directions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedLink {
    /// One end.
    pub one: Vec<HostId>,
    /// The other end.
    pub other: Vec<HostId>,
    /// Latency instead of the general one.
    pub latency: Option<Distribution>,
    /// Loss instead of the general one, in parts per million.
    pub loss_ppm: Option<u32>,
}

/// Every disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedDisk {
    /// A write into the page cache, in microseconds.
    pub write: Distribution,
    /// A sync, in microseconds.
    pub fsync: Distribution,
}

/// One producer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedProducer {
    /// Where it runs.
    pub host: HostId,
    /// Its number among all producers of the run, from 1: part of the identity of its records.
    pub number: u32,
    /// Where it writes.
    pub topic: String,
    /// Time between two records, in microseconds.
    pub interval_us: u64,
    /// Record keys.
    pub keys: Keys,
    /// Size of record values.
    pub value_bytes: SizeRange,
    /// Records after which it stops.
    pub records: Option<u64>,
    /// Producer configs.
    pub config: ConfigMap,
}

/// One consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedConsumer {
    /// Where it runs.
    pub host: HostId,
    /// What it reads.
    pub topic: String,
    /// Which partitions; `None`: all.
    pub partitions: Option<Vec<u32>>,
    /// Consumer configs.
    pub config: ConfigMap,
    /// Added by the plan so that reads are judged although the scenario has no consumer.
    pub is_verifier: bool,
}

/// One phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedPhase {
    /// Unique name.
    pub name: String,
    /// Its place.
    pub kind: PhaseKind,
    /// When it ends.
    pub end: PhaseEnd,
    /// What is undone when it begins.
    pub heal: Option<Heal>,
}

/// What random strikes must leave standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChaosLimits {
    /// A majority of controllers runs and is connected.
    pub keep_quorum: bool,
    /// At most so many brokers are down, paused or isolated at once.
    pub max_down: u32,
}

impl Plan {
    /// Events after which a run ends unless the plan says otherwise: far above any run that makes progress.
    pub const EVENT_BUDGET: u64 = 20_000_000;

    /// Every host with its id.
    pub fn hosts(&self) -> impl Iterator<Item = (HostId, &PlannedHost)> {
        self.hosts.iter().enumerate().map(|(index, host)| (HostId(index as u32), host))
    }

    /// The name of a host, for people.
    pub fn host_name(&self, host: HostId) -> &str {
        self.hosts.get(host.0 as usize).map_or("?", |host| host.name.as_str())
    }

    /// The host on which the node with this id runs.
    pub fn node(&self, id: NodeId) -> Option<HostId> {
        let runs =
            |host: &PlannedHost| matches!(&host.kind, HostKind::Node { node_id, .. } if *node_id == id);
        self.hosts().find(|(_, host)| runs(host)).map(|(id, _)| id)
    }

    /// The node id of a host, if a node runs on it.
    pub fn node_id(&self, host: HostId) -> Option<NodeId> {
        match self.hosts.get(host.0 as usize)?.kind {
            HostKind::Node { node_id, .. } => Some(node_id),
            HostKind::Client { .. } => None,
        }
    }

    /// Every broker, in order of id.
    pub fn brokers(&self) -> Vec<HostId> {
        let is_broker = |host: &PlannedHost| matches!(host.kind, HostKind::Node { is_broker: true, .. });
        self.hosts().filter(|(_, host)| is_broker(host)).map(|(id, _)| id).collect()
    }

    /// Every controller; its place in the list is the `k` of `controller(k)`.
    pub fn controllers(&self) -> Vec<HostId> {
        let is_controller =
            |host: &PlannedHost| matches!(host.kind, HostKind::Node { is_controller: true, .. });
        self.hosts().filter(|(_, host)| is_controller(host)).map(|(id, _)| id).collect()
    }

    /// Every client that the scenario has (without the ones that create topics and carry out cluster verbs).
    pub fn clients(&self) -> Vec<HostId> {
        let is_client = |host: &PlannedHost| matches!(host.kind, HostKind::Client { .. });
        let is_own = |id: HostId| id == self.setup || Some(id) == self.operator;
        self.hosts().filter(|(id, host)| is_client(host) && !is_own(*id)).map(|(id, _)| id).collect()
    }

    /// The client with this name.
    pub fn client(&self, name: &str) -> Option<HostId> {
        let is_it = |host: &PlannedHost| matches!(&host.kind, HostKind::Client { name: n } if n == name);
        self.hosts().find(|(_, host)| is_it(host)).map(|(id, _)| id)
    }

    /// Members of a target that is known before anything runs; roles, bindings and draws have none.
    pub fn static_members(&self, target: &Target) -> Vec<HostId> {
        let both = |a: &Target, b: &Target| (self.static_members(a), self.static_members(b));
        match target {
            Target::Broker(id) => self.node(NodeId(*id as i32)).into_iter().collect(),
            Target::Controller(k) => self.controllers().get(*k as usize).copied().into_iter().collect(),
            Target::Client(name) => self.client(name).into_iter().collect(),
            Target::Rack(name) => self.racks.get(name).cloned().unwrap_or_default(),
            Target::Brokers => self.brokers(),
            Target::Controllers => self.controllers(),
            Target::Clients => self.clients(),
            Target::Union(a, b) => {
                let (mut a, b) = both(a, b);
                a.extend(b);
                a.sort();
                a.dedup();
                a
            }
            Target::Minus(a, b) => {
                let (mut a, b) = both(a, b);
                a.retain(|host| !b.contains(host));
                a
            }
            Target::Intersection(a, b) => {
                let (mut a, b) = both(a, b);
                a.retain(|host| b.contains(host));
                a
            }
            _ => Vec::new(),
        }
    }

    /// The defects that are present. Names that are not known are passed over: [`Plan::draw`] refuses them.
    pub fn defect_set(&self) -> DefectSet {
        DefectSet::of(self.defects.iter().filter_map(|name| Defect::find(name)))
    }

    /// Level of a check.
    pub fn level(&self, check: &str) -> Level {
        self.checks.get(check).copied().unwrap_or_default()
    }

    /// The plan as JSON with keys in a fixed order.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a plan has only string keys")
    }

    /// `b3:` and the digest of the plan's JSON: names this plan.
    pub fn digest(&self) -> String {
        format!("b3:{}", blake3::hash(self.to_json().as_bytes()).to_hex())
    }
}
