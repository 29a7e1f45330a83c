//! Swarm and chaos.

use super::Walk;
use crate::diagnostic::Diagnostic;
use crate::model::{
    Chaos, ChaosCrash, ChaosHold, ChaosLink, ChaosNodes, ChaosPartition, ChaosPause, ChaosShape, CrashMode,
    Distribution, MaxDown, Micros, Ppm, Swarm, Target, Value, Weighted,
};
use crate::spec::{self, TableSpec};
use crate::syntax::tree::{Node, Val};

/// The only formula that `max_down` may be, without its spaces.
const REPLICA_MINORITY: &str = "floor((replication_factor-1)/2)";

impl Walk<'_> {
    pub(super) fn swarm(&mut self, node: Option<&Node>) -> Swarm {
        let mut swarm = Swarm::default();
        let Some(fields) = node.and_then(|node| self.open_node(&spec::SWARM, node)) else { return swarm };
        if let Some(node) = fields.node("enable_each") {
            swarm.enable_each = self.probability(node).unwrap_or(swarm.enable_each);
        }
        if let Some(node) = fields.node("rate_scale") {
            swarm.rate_scale = self.draw(node, Walk::factor).unwrap_or(swarm.rate_scale);
        }
        if let Some(node) = fields.node("keep_quorum") {
            swarm.keep_quorum = self.boolean(node).unwrap_or(true);
        }
        if let Some(node) = fields.node("max_down") {
            swarm.max_down = self.max_down(node).unwrap_or(swarm.max_down);
        }
        fields.close();
        swarm
    }

    fn max_down(&mut self, node: &Node) -> Option<MaxDown> {
        let Val::Str(text) = &node.value else {
            return self.int_draw(node, 0, 1_000).map(MaxDown::Count);
        };
        let formula: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        if formula == REPLICA_MINORITY {
            return Some(MaxDown::ReplicaMinority);
        }
        let finding = Diagnostic::error("scn::bad_value", "this formula is not known").at(node.span, "");
        self.report(finding.help("write a number, or \"floor((replication_factor - 1) / 2)\""));
        None
    }

    pub(super) fn chaos(&mut self, node: Option<&Node>) -> Chaos {
        let Some(fields) = node.and_then(|node| self.open_node(&spec::CHAOS, node)) else {
            return Chaos::default();
        };
        let chaos = Chaos {
            crash: fields.node("crash").and_then(|node| self.chaos_crash(node)),
            pause: fields.node("pause").and_then(|node| self.chaos_pause(node)),
            partition: fields.node("partition").and_then(|node| self.chaos_partition(node)),
            link: fields.node("link").and_then(|node| self.chaos_link(node)),
            hold: fields.node("hold").and_then(|node| self.chaos_hold(node)),
            metadata_lag: fields
                .node("metadata_lag")
                .and_then(|node| self.chaos_nodes(&spec::CHAOS_METADATA_LAG, "hold", node)),
            fence: fields.node("fence").and_then(|node| self.chaos_nodes(&spec::CHAOS_FENCE, "hold", node)),
            shutdown: fields
                .node("shutdown")
                .and_then(|node| self.chaos_nodes(&spec::CHAOS_SHUTDOWN, "down", node)),
            wipe: fields.node("wipe").and_then(|node| self.chaos_nodes(&spec::CHAOS_WIPE, "down", node)),
        };
        fields.close();
        chaos
    }

    fn chaos_crash(&mut self, node: &Node) -> Option<ChaosCrash> {
        let fields = self.open_node(&spec::CHAOS_CRASH, node)?;
        let targets = self.chaos_targets(fields.node("targets"));
        let mean_every = fields.node("mean_every").and_then(|node| self.period(node));
        let mode = fields.node("mode").and_then(|node| self.weights(node, Walk::chaos_crash_mode));
        let down = self.hold(fields.node("down"));
        let span = fields.whole();
        fields.close();
        let mode = mode.unwrap_or_else(|| vec![(CrashMode::Process, 1)]);
        Some(ChaosCrash { targets, mean_every: mean_every?, mode, down, span })
    }

    fn chaos_crash_mode(&mut self, node: &Node) -> Option<CrashMode> {
        self.word(node, spec::CHAOS_CRASH_MODES)
            .map(|word| if word == "power" { CrashMode::Power } else { CrashMode::Process })
    }

    fn chaos_pause(&mut self, node: &Node) -> Option<ChaosPause> {
        let fields = self.open_node(&spec::CHAOS_PAUSE, node)?;
        let targets = self.chaos_targets(fields.node("targets"));
        let mean_every = fields.node("mean_every").and_then(|node| self.period(node));
        let hold = self.hold(fields.node("hold"));
        let span = fields.whole();
        fields.close();
        Some(ChaosPause { targets, mean_every: mean_every?, hold, span })
    }

    fn chaos_partition(&mut self, node: &Node) -> Option<ChaosPartition> {
        let fields = self.open_node(&spec::CHAOS_PARTITION, node)?;
        let shapes = fields.node("shapes").and_then(|node| self.weights(node, Walk::shape));
        let mean_every = fields.node("mean_every").and_then(|node| self.period(node));
        let hold = self.hold(fields.node("hold"));
        let span = fields.whole();
        fields.close();
        let shapes = shapes.unwrap_or_else(|| vec![(ChaosShape::Isolate, 1)]);
        Some(ChaosPartition { shapes, mean_every: mean_every?, hold, span })
    }

    fn shape(&mut self, node: &Node) -> Option<ChaosShape> {
        match self.word(node, spec::SHAPES)? {
            "isolate" => Some(ChaosShape::Isolate),
            "halves" => Some(ChaosShape::Halves),
            "one_way" => Some(ChaosShape::OneWay),
            "bridge" => Some(ChaosShape::Bridge),
            "ring" => Some(ChaosShape::Ring),
            shape => {
                self.not_modelled_yet(&format!("the partition shape `{shape}`"), node.span);
                None
            }
        }
    }

    fn chaos_link(&mut self, node: &Node) -> Option<ChaosLink> {
        let fields = self.open_node(&spec::CHAOS_LINK, node)?;
        let mean_every = fields.node("mean_every").and_then(|node| self.period(node));
        let hold = self.hold(fields.node("hold"));
        let effect = fields.node("effect").and_then(|node| self.open_node(&spec::CHAOS_EFFECT, node));
        let (mut delay, mut loss, mut bandwidth) = (None, Ppm(0), None);
        if let Some(effect) = effect {
            delay = effect.node("delay").and_then(|node| self.distribution(node));
            loss = effect.node("loss").and_then(|node| self.probability(node)).unwrap_or(loss);
            bandwidth = effect.node("bandwidth").and_then(|node| self.bandwidth(node));
            if effect.table.entries.is_empty() {
                self.bad_value(
                    effect.span,
                    "this link effect does nothing: give `delay`, `loss` or `bandwidth`",
                );
            }
            effect.close();
        }
        let span = fields.whole();
        fields.close();
        Some(ChaosLink { mean_every: mean_every?, hold, delay, loss, bandwidth, span })
    }

    fn chaos_hold(&mut self, node: &Node) -> Option<ChaosHold> {
        let fields = self.open_node(&spec::CHAOS_HOLD, node)?;
        let messages = fields.node("messages").and_then(|node| self.weights(node, Walk::message));
        let mean_every = fields.node("mean_every").and_then(|node| self.period(node));
        let hold = self.hold(fields.node("hold"));
        let span = fields.whole();
        fields.close();
        Some(ChaosHold { messages: messages?, mean_every: mean_every?, hold, span })
    }

    /// `hold`: the key that says how long.
    fn chaos_nodes(
        &mut self,
        spec: &'static TableSpec,
        hold: &'static str,
        node: &Node,
    ) -> Option<ChaosNodes> {
        let fields = self.open_node(spec, node)?;
        let targets = self.chaos_targets(fields.node("targets"));
        let mean_every = fields.node("mean_every").and_then(|node| self.period(node));
        let hold = self.hold(fields.node(hold));
        let span = fields.whole();
        fields.close();
        Some(ChaosNodes { targets, mean_every: mean_every?, hold, span })
    }

    fn chaos_targets(&mut self, node: Option<&Node>) -> Weighted<Target> {
        let default = || vec![(Target::Random { count: 1, of: Box::new(Target::Brokers) }, 1)];
        node.and_then(|node| self.weights(node, Walk::target)).unwrap_or_else(default)
    }

    fn period(&mut self, node: &Node) -> Option<Micros> {
        let period = self.duration(node)?;
        if period == Micros(0) {
            self.bad_value(node.span, "a mean time is longer than 0");
            return None;
        }
        Some(period)
    }

    fn hold(&mut self, node: Option<&Node>) -> Distribution {
        let default = Distribution::Exponential { mean: Micros::from_secs(5) };
        node.and_then(|node| self.distribution(node)).unwrap_or(default)
    }
}

/// The rarest and the most frequent mode that chaos may crash with.
pub(super) fn may_lose_power(crash: &ChaosCrash) -> bool {
    crash.mode.iter().any(|(mode, weight)| *mode == CrashMode::Power && *weight > 0)
}

/// Whether `max_down` allows any broker to go down at all.
pub(super) fn allows_none_down(max_down: &MaxDown) -> bool {
    matches!(max_down, MaxDown::Count(Value::Fixed(0)))
}
