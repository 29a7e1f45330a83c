//! Verbs of the network: partition, link, reset, half_open.

use super::Walk;
use crate::diagnostic::Diagnostic;
use crate::model::{Direction, Halves, LinkScope, Links, PartitionShape, Ppm, Target, Verb};
use crate::spec::{self, TableSpec};
use crate::syntax::scalar;
use crate::syntax::tree::{Node, Val};

impl Walk<'_> {
    pub(super) fn partition_verb(&mut self, node: &Node) -> Option<Verb> {
        let fields = self.open_node(&spec::PARTITION, node)?;
        let isolate = fields.node("isolate").map(|node| self.target(node));
        let from = fields.node("from").map(|node| self.target(node));
        let halves = fields.node("halves").map(|node| self.halves(node));
        let one_way = fields.node("one_way").and_then(|node| self.direction(node));
        let links = fields.node("links").and_then(|node| self.links(node)).unwrap_or(Links::All);
        let bind = fields.node("as").and_then(|node| self.name(node));
        let groups = fields.node("groups").map(|node| self.groups(node));
        let bridge = fields.node("bridge").map(|node| self.target(node));
        let ring = fields.node("ring").map(|node| self.target(node));
        let is_round = groups.is_some() || bridge.is_some() || ring.is_some();
        if let (true, Some(entry)) = (is_round, fields.get("one_way")) {
            let message = "`one_way` goes with `isolate` or `halves`";
            self.report(Diagnostic::error("scn::stray_key", message).at(entry.key_span, ""));
        }
        if let (None, Some(entry)) = (&isolate, fields.get("from")) {
            let message = "`from` goes with `isolate`";
            self.report(Diagnostic::error("scn::stray_key", message).at(entry.key_span, ""));
        }
        // What could not be read was reported.
        let is_from_read = from != Some(None);
        let shapes = [
            isolate.map(|isolate| {
                let isolate = isolate.filter(|_| is_from_read)?;
                Some(PartitionShape::Isolate { isolate, from: from.flatten() })
            }),
            halves.map(|halves| halves.map(PartitionShape::Halves)),
            groups.map(|groups| groups.map(PartitionShape::Groups)),
            bridge.map(|bridge| bridge.map(|bridge| PartitionShape::Bridge { bridge })),
            ring.map(|ring| ring.map(|ring| PartitionShape::Ring { ring })),
        ];
        let mut given: Vec<Option<PartitionShape>> = shapes.into_iter().flatten().collect();
        let shape = match given.len() {
            1 => given.pop().flatten(),
            _ => {
                let finding =
                    Diagnostic::error("scn::bad_partition", "a partition has one shape").at(fields.span, "");
                self.report(
                    finding.help("give `isolate` (and `from`), `halves`, `groups`, `bridge`, or `ring`"),
                );
                None
            }
        };
        fields.close();
        Some(Verb::Partition { shape: shape?, one_way, links, bind })
    }

    fn halves(&mut self, node: &Node) -> Option<Halves> {
        match &node.value {
            Val::Array(_) => self.two_targets(node).map(|(one, other)| Halves::Given { one, other }),
            _ => self.target(node).map(|of| Halves::Drawn { of }),
        }
    }

    fn direction(&mut self, node: &Node) -> Option<Direction> {
        let word = self.word(node, spec::DIRECTIONS)?;
        Some(if word == "inbound" { Direction::Inbound } else { Direction::Outbound })
    }

    fn links(&mut self, node: &Node) -> Option<Links> {
        match self.word(node, spec::LINKS)? {
            "replication" => Some(Links::Replication),
            "controller" => Some(Links::Controller),
            "client" => Some(Links::Client),
            "group" => {
                self.not_modelled_yet("cutting group traffic", node.span);
                None
            }
            _ => Some(Links::All),
        }
    }

    pub(super) fn link(&mut self, node: &Node) -> Option<Verb> {
        let fields = self.open_node(&spec::LINK, node)?;
        let between = fields.node("between").map(|node| self.two_targets(node));
        let target = fields.node("target").map(|node| self.target(node));
        let delay = fields.node("delay").and_then(|node| self.distribution(node));
        let loss = fields.node("loss").and_then(|node| self.probability(node)).unwrap_or(Ppm(0));
        let bandwidth = fields.node("bandwidth").and_then(|node| self.bandwidth(node));
        let scope = match (between, target) {
            (Some(pair), None) => pair.map(|(one, other)| LinkScope::Between { one, other }),
            (None, Some(target)) => target.map(|target| LinkScope::Node { target }),
            _ => {
                let finding =
                    Diagnostic::error("scn::bad_link", "a link effect has one scope").at(fields.span, "");
                self.report(finding.help("give `between = [A, B]`, or `target`"));
                None
            }
        };
        let has_effect = ["delay", "loss", "duplicate", "reorder", "corrupt", "bandwidth"];
        if !has_effect.iter().any(|key| fields.table.get(key).is_some()) {
            let finding =
                Diagnostic::error("scn::bad_link", "this link effect does nothing").at(fields.span, "");
            self.report(finding.help("give `delay`, `loss` or `bandwidth`"));
        }
        fields.close();
        Some(Verb::Link { scope: scope?, delay, loss, bandwidth })
    }

    /// `"TARGET"`, or a table with `between`.
    pub(super) fn reset_scope(&mut self, spec: &'static TableSpec, node: &Node) -> Option<LinkScope> {
        if !matches!(node.value, Val::Table(_)) {
            return self.target(node).map(|target| LinkScope::Node { target });
        }
        let fields = self.open_node(spec, node)?;
        let between = fields.node("between").and_then(|node| self.two_targets(node));
        fields.close();
        between.map(|(one, other)| LinkScope::Between { one, other })
    }

    fn groups(&mut self, node: &Node) -> Option<Vec<Target>> {
        let items = self.list(node, "this is a list of targets")?;
        if items.len() < 2 {
            self.bad_value(node.span, "there are at least two groups");
            return None;
        }
        let groups: Vec<Target> = items.iter().filter_map(|item| self.target(item)).collect();
        (groups.len() == items.len()).then_some(groups)
    }

    /// Bits per second.
    pub(super) fn bandwidth(&mut self, node: &Node) -> Option<u64> {
        let text = self.text(node)?;
        let bandwidth = scalar::bandwidth(&text);
        if bandwidth.is_none() {
            let message = format!("`{text}` is not a bandwidth");
            let finding = Diagnostic::error("scn::bad_bandwidth", message).at(node.span, "");
            self.report(
                finding.help("write a number above 0 and a unit: bit, kbit, Mbit or Gbit, as in \"1Mbit\""),
            );
        }
        bandwidth
    }
}
