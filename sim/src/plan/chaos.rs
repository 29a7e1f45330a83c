//! Random strikes: which kinds a seed enables, how fast, and every strike with its time.

use scenarios::model::{
    ChaosNodes, ChaosShape, CrashMode, Distribution, Halves, LinkScope, Links, MaxDown, MessageFilter,
    Micros, PartitionShape, Scenario, Target, Verb,
};

use super::draw::place;
use super::sample::{below, draw, sample, weighted};
use super::{ChaosLimits, FaultScope, Plan, PlannedFault, PlannedTrigger};
use crate::seed::{ChaCha8Rng, Seed};

/// More strikes than that of one kind are a mistake of the file, not a test.
const MOST_STRIKES: usize = 5_000;

/// What random strikes must leave standing. `max_down` is read against the smallest replication factor.
pub(super) fn limits(scenario: &Scenario, plan_topics: &[super::PlannedTopic], seed: Seed) -> ChaosLimits {
    let max_down = match &scenario.swarm.max_down {
        MaxDown::Count(count) => draw(count, &mut seed.stream("plan/swarm/max_down")),
        MaxDown::ReplicaMinority => {
            let smallest = plan_topics.iter().map(|topic| topic.replication_factor).min().unwrap_or(1);
            smallest.saturating_sub(1) / 2
        }
    };
    ChaosLimits { keep_quorum: scenario.swarm.keep_quorum, max_down }
}

/// Every random strike, in the order of kinds and times. `horizon_us`: how long the run phases may last.
pub(super) fn strikes(scenario: &Scenario, plan: &Plan, horizon_us: u64) -> Vec<PlannedFault> {
    let chaos = &scenario.chaos;
    let seed = plan.seed;
    let scale = draw(&scenario.swarm.rate_scale, &mut seed.stream("chaos/rate_scale")).0.max(1);
    let swarm = Swarm { seed, horizon_us, scale, enable_ppm: scenario.swarm.enable_each.0 };
    let mut all = Vec::new();
    if let Some(crash) = &chaos.crash {
        swarm.kind("crash", crash.mean_every, &crash.down, &mut all, |dice| {
            let target = weighted(&crash.targets, dice)?.clone();
            Some(Verb::Crash { target, mode: *weighted(&crash.mode, dice)?, bind: None })
        });
    }
    if let Some(pause) = &chaos.pause {
        swarm.kind("pause", pause.mean_every, &pause.hold, &mut all, |dice| {
            Some(Verb::Pause { target: weighted(&pause.targets, dice)?.clone(), bind: None })
        });
    }
    if let Some(partition) = &chaos.partition {
        swarm.kind("partition", partition.mean_every, &partition.hold, &mut all, |dice| {
            Some(cut(*weighted(&partition.shapes, dice)?, dice))
        });
    }
    if let Some(link) = &chaos.link {
        let nodes = node_targets(plan);
        swarm.kind("link", link.mean_every, &link.hold, &mut all, |dice| {
            let (one, other) = two_of(&nodes, dice)?;
            let scope = LinkScope::Between { one, other };
            Some(Verb::Link { scope, delay: link.delay.clone(), loss: link.loss, bandwidth: link.bandwidth })
        });
    }
    if let Some(hold) = &chaos.hold {
        swarm.kind("hold", hold.mean_every, &hold.hold, &mut all, |dice| {
            let message = weighted(&hold.messages, dice)?.clone();
            let what = MessageFilter { message, from: None, to: None, nth: Some(1) };
            Some(Verb::Hold { what, bind: None })
        });
    }
    type Verbs = fn(Target) -> Verb;
    let nodes: [(&str, &Option<ChaosNodes>, Verbs); 4] = [
        ("metadata_lag", &chaos.metadata_lag, |target| Verb::MetadataLag { target, bind: None }),
        ("fence", &chaos.fence, |target| Verb::Fence { target, bind: None }),
        ("shutdown", &chaos.shutdown, |target| Verb::Shutdown { target, bind: None }),
        ("wipe", &chaos.wipe, |target| Verb::Crash { target, mode: CrashMode::Wipe, bind: None }),
    ];
    for (kind, table, verb) in nodes {
        let Some(table) = table else { continue };
        swarm.kind(kind, table.mean_every, &table.hold, &mut all, |dice| {
            Some(verb(weighted(&table.targets, dice)?.clone()))
        });
    }
    all
}

struct Swarm {
    seed: Seed,
    horizon_us: u64,
    /// Factor of every rate, in thousandths.
    scale: u64,
    enable_ppm: u32,
}

impl Swarm {
    /// Draws the strikes of one kind. Gaps come from one stream, everything else about strike N from a stream of its own,
    /// so that a file that changes what strikes are keeps when they are.
    fn kind(
        &self,
        kind: &str,
        mean: Micros,
        hold: &Distribution,
        all: &mut Vec<PlannedFault>,
        verb: impl Fn(&mut ChaCha8Rng) -> Option<Verb>,
    ) {
        let enabled = below(1_000_000, &mut self.seed.stream(&format!("chaos/{kind}/enable")));
        if enabled >= u64::from(self.enable_ppm) {
            return;
        }
        let mean = Micros((u128::from(mean.0) * 1_000 / u128::from(self.scale)).max(1) as u64);
        let gap = Distribution::Exponential { mean };
        let mut gaps = self.seed.stream(&format!("chaos/{kind}"));
        let mut at_us = 0_u64;
        for n in 1..=MOST_STRIKES {
            at_us = at_us.saturating_add(sample(&gap, &mut gaps).max(1));
            if at_us >= self.horizon_us {
                return;
            }
            let stream = format!("chaos/{kind}/{n}");
            let mut dice = self.seed.stream(&stream);
            let Some(verb) = verb(&mut dice) else { return };
            all.push(PlannedFault {
                id: format!("chaos-{kind}-{n}"),
                stream: format!("{stream}/strike"),
                is_chaos: true,
                scope: FaultScope::AfterStart,
                trigger: PlannedTrigger::At { at_us },
                verb,
                hold_us: Some(sample(hold, &mut dice).max(1)),
            });
        }
    }
}

fn everybody() -> Target {
    Target::Union(Box::new(Target::Brokers), Box::new(Target::Controllers))
}

fn cut(shape: ChaosShape, dice: &mut ChaCha8Rng) -> Verb {
    use scenarios::model::Direction::{Inbound, Outbound};
    let isolate = || PartitionShape::Isolate {
        isolate: Target::Random { count: 1, of: Box::new(everybody()) },
        from: None,
    };
    let (shape, one_way) = match shape {
        ChaosShape::Isolate => (isolate(), None),
        ChaosShape::Halves => (PartitionShape::Halves(Halves::Drawn { of: everybody() }), None),
        ChaosShape::Bridge => {
            let bridge = Target::Random { count: 1, of: Box::new(everybody()) };
            (PartitionShape::Bridge { bridge }, None)
        }
        ChaosShape::Ring => (PartitionShape::Ring { ring: everybody() }, None),
        ChaosShape::OneWay => (isolate(), Some(if below(2, dice) == 0 { Inbound } else { Outbound })),
    };
    Verb::Partition { shape, one_way, links: Links::All, bind: None }
}

fn node_targets(plan: &Plan) -> Vec<Target> {
    let brokers = plan.brokers();
    let places = plan.controllers().into_iter().enumerate();
    let lone = places.filter(|(_, host)| !brokers.contains(host));
    let lone: Vec<Target> = lone.map(|(place, _)| Target::Controller(place as u32)).collect();
    (0..brokers.len() as u32).map(Target::Broker).chain(lone).collect()
}

fn two_of(nodes: &[Target], dice: &mut ChaCha8Rng) -> Option<(Target, Target)> {
    let one = place(nodes.len(), dice)?;
    let mut rest: Vec<&Target> = nodes.iter().collect();
    let one = rest.remove(one);
    let other = *rest.get(place(rest.len(), dice)?)?;
    Some((one.clone(), other.clone()))
}
