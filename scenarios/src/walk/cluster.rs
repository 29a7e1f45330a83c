//! Cluster, topics, network, disk.

use std::collections::BTreeMap;

use super::Walk;
use crate::catalogue::{self, Section};
use crate::diagnostic::Diagnostic;
use crate::model::{BrokerOverride, Cluster, ConfigMap, Disk, Mode, Network, NetworkLink, Ppm, Topic, Value};
use crate::spec;
use crate::syntax::tree::Node;

/// Most nodes of a kind: far beyond what one process simulates usefully.
const NODES_MAX: u32 = 1_000;
/// Most partitions of a topic.
const PARTITIONS_MAX: u32 = 10_000;

impl Walk<'_> {
    pub(super) fn cluster(&mut self, node: Option<&Node>) -> Cluster {
        let mut cluster = Cluster {
            brokers: Value::Fixed(3),
            controllers: None,
            mode: Value::Fixed(Mode::Combined),
            racks: BTreeMap::new(),
            features: BTreeMap::new(),
            standby: Value::Fixed(0),
            observers: Value::Fixed(0),
        };
        let Some(fields) = node.and_then(|node| self.open_node(&spec::CLUSTER, node)) else { return cluster };
        if let Some(node) = fields.node("brokers") {
            cluster.brokers = self.int_draw(node, 1, NODES_MAX).unwrap_or(cluster.brokers);
        }
        if let Some(node) = fields.node("controllers") {
            cluster.controllers = self.int_draw(node, 1, NODES_MAX);
        }
        if let Some(node) = fields.node("mode") {
            cluster.mode = self.mode(node).unwrap_or(cluster.mode);
        }
        if let Some(node) = fields.node("racks") {
            match node.as_table() {
                Some(table) => {
                    for entry in &table.entries {
                        for item in entry.node.as_array().unwrap_or_default() {
                            if let Some(id) = self.small_int(item, 0, NODES_MAX) {
                                self.refer_broker(id, item);
                            }
                        }
                        let ids = self.ints(&entry.node).unwrap_or_default();
                        cluster.racks.insert(entry.key.clone(), ids);
                    }
                }
                None => self.wrong_type(node, "`racks` is a table of rack names"),
            }
        }
        if let Some(node) = fields.node("features") {
            cluster.features = self.features(node);
        }
        if let Some(node) = fields.node("standby") {
            cluster.standby = self.int_draw(node, 0, NODES_MAX).unwrap_or(cluster.standby);
        }
        if let Some(node) = fields.node("observers") {
            cluster.observers = self.int_draw(node, 0, NODES_MAX).unwrap_or(cluster.observers);
        }
        fields.close();
        cluster
    }

    /// Feature names have dots, which TOML reads as nested tables.
    fn features(&mut self, node: &Node) -> BTreeMap<String, i16> {
        let Some(table) = node.as_table() else {
            self.wrong_type(node, "`features` is a table of feature names");
            return BTreeMap::new();
        };
        let mut flat = Vec::new();
        self.flatten(table, "", &mut flat);
        let mut features = BTreeMap::new();
        for (name, span, node) in flat {
            let place = Node { span, value: node.value.clone() };
            if self.known_feature(&name, &place)
                && let Some(level) = self.level_of_feature(node)
            {
                features.insert(name, level);
            }
        }
        features
    }

    fn mode(&mut self, node: &Node) -> Option<Value<Mode>> {
        self.draw(node, |walk, node| {
            walk.word(node, spec::MODES)
                .map(|word| if word == "isolated" { Mode::Isolated } else { Mode::Combined })
        })
    }

    /// Configs of all brokers and overrides of some.
    pub(super) fn broker(&mut self, node: Option<&Node>) -> (ConfigMap, Vec<BrokerOverride>) {
        let Some(fields) = node.and_then(|node| self.open_node(&spec::BROKER, node)) else {
            return (ConfigMap::new(), Vec::new());
        };
        let config = self.config(fields.node("config"), Section::Broker);
        let mut overrides = Vec::new();
        for node in self.tables(fields.get("override"), &spec::OVERRIDE) {
            let Some(fields) = self.open_node(&spec::OVERRIDE, node) else { continue };
            let mut brokers = Vec::new();
            if let Some(node) = fields.node("brokers") {
                for item in self.list(node, "`brokers` is a list of broker ids").unwrap_or_default() {
                    if let Some(id) = self.small_int(item, 0, NODES_MAX) {
                        self.refer_broker(id, item);
                        brokers.push(id);
                    }
                }
            }
            let config = self.config(fields.node("config"), Section::Broker);
            overrides.push(BrokerOverride { brokers, config, span: fields.whole() });
            fields.close();
        }
        fields.close();
        (config, overrides)
    }

    pub(super) fn controller(&mut self, node: Option<&Node>) -> ConfigMap {
        let Some(fields) = node.and_then(|node| self.open_node(&spec::CONTROLLER, node)) else {
            return ConfigMap::new();
        };
        let config = self.config(fields.node("config"), Section::Controller);
        fields.close();
        config
    }

    pub(super) fn topic(&mut self, node: &Node, broker_config: &ConfigMap) -> Option<Topic> {
        let fields = self.open_node(&spec::TOPIC, node)?;
        let name = fields.node("name").and_then(|node| self.name(node));
        let config = self.config(fields.node("config"), Section::Topic);
        let assignment = fields.node("assignment").and_then(|node| self.assignment(node));
        let replicas = fields.node("replication_factor");
        let partitions = fields.node("partitions");
        if let (Some(assignment), Some(other)) = (fields.get("assignment"), fields.get("replication_factor"))
        {
            let finding = Diagnostic::error(
                "scn::replicas_twice",
                "`assignment` already says how many replicas there are",
            );
            self.report(
                finding.at(assignment.key_span, "the replicas").at(other.key_span, "the replicas again"),
            );
        }
        let default = |name: &str| {
            let text =
                broker_config.get(name).map(String::as_str).or(catalogue::default(Section::Broker, name));
            Value::Fixed(text.and_then(|text| text.parse().ok()).unwrap_or(1))
        };
        let length = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let given_partitions = partitions.and_then(|node| self.int_draw(node, 1, PARTITIONS_MAX));
        if let (Some(lists), Some(Value::Fixed(count)), Some(node)) =
            (&assignment, &given_partitions, partitions)
            && *count != length(lists.len())
        {
            self.bad_value(node.span, format!("`assignment` has {} partitions", lists.len()));
        }
        let given_replicas = replicas.and_then(|node| self.int_draw(node, 1, NODES_MAX));
        let topic = Topic {
            name: name.clone().unwrap_or_default(),
            partitions: match &assignment {
                Some(lists) => Value::Fixed(length(lists.len())),
                None => given_partitions.unwrap_or_else(|| default("num.partitions")),
            },
            replication_factor: match assignment.as_ref().and_then(|lists| lists.first()) {
                Some(list) => Value::Fixed(length(list.len())),
                None => given_replicas.unwrap_or_else(|| default("default.replication.factor")),
            },
            assignment,
            config,
            span: fields.whole(),
        };
        fields.close();
        name.map(|_| topic)
    }

    fn assignment(&mut self, node: &Node) -> Option<Vec<Vec<u32>>> {
        let rows = self.list(node, "`assignment` is a list of replica lists")?;
        let mut lists: Vec<Vec<u32>> = Vec::new();
        for row in rows {
            let items = self.list(row, "a partition's replicas are a list of broker ids")?;
            let mut ids = Vec::new();
            for item in items {
                let id = self.small_int(item, 0, NODES_MAX)?;
                self.refer_broker(id, item);
                if ids.contains(&id) {
                    self.bad_value(item.span, format!("broker {id} holds this partition twice"));
                }
                ids.push(id);
            }
            if ids.is_empty() || lists.first().is_some_and(|first| first.len() != ids.len()) {
                self.bad_value(row.span, "all partitions have the same number of replicas, at least one");
            }
            lists.push(ids);
        }
        if lists.is_empty() {
            self.bad_value(node.span, "an assignment has at least one partition");
            return None;
        }
        Some(lists)
    }

    pub(super) fn network(&mut self, node: Option<&Node>) -> Network {
        let mut network = Network::default();
        let Some(fields) = node.and_then(|node| self.open_node(&spec::NETWORK, node)) else { return network };
        if let Some(node) = fields.node("latency") {
            network.latency = self.distribution(node).unwrap_or(network.latency);
        }
        network.loss = fields.node("loss").and_then(|node| self.probability(node)).unwrap_or(Ppm(0));
        for node in self.tables(fields.get("link"), &spec::NETWORK_LINK) {
            let Some(fields) = self.open_node(&spec::NETWORK_LINK, node) else { continue };
            let between = fields.node("between").and_then(|node| {
                let pair = self.two_targets(node)?;
                if !pair.0.is_static() || !pair.1.is_static() {
                    let message = "the network is laid out before anybody leads: name brokers, controllers, clients or racks";
                    self.bad_value(node.span, message);
                }
                Some(pair)
            });
            let latency = fields.node("latency").and_then(|node| self.distribution(node));
            let loss = fields.node("loss").and_then(|node| self.probability(node));
            let span = fields.whole();
            network.links.extend(between.map(|between| NetworkLink { between, latency, loss, span }));
            fields.close();
        }
        fields.close();
        network
    }

    pub(super) fn disk(&mut self, node: Option<&Node>) -> Disk {
        let mut disk = Disk::default();
        let Some(fields) = node.and_then(|node| self.open_node(&spec::DISK, node)) else { return disk };
        if let Some(node) = fields.node("write") {
            disk.write = self.distribution(node).unwrap_or(disk.write);
        }
        if let Some(node) = fields.node("fsync") {
            disk.fsync = self.distribution(node).unwrap_or(disk.fsync);
        }
        fields.close();
        disk
    }
}
