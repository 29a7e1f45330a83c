//! The world of a plan.

use std::sync::Arc;

use broker::time::Duration;
use scenarios::model::Distribution;

use super::Cast;
use crate::plan::{HostKind, Plan, pareto_quantiles};
use crate::world::{ClockSpec, DiskSpec, HostSpec, LatencyDist, LinkSpec, NetSpec, WorldSpec};

/// How far the 99th percentile of a normal distribution is from its mean, in thousandths of the deviation.
const Z99_MILLI: u64 = 2_326;

/// Builds the world in which a plan runs. Clients do not start by themselves: the first run phase starts them.
/// Errors: a host that the cast cannot play.
pub(super) fn world_spec(plan: &Plan, cast: &dyn Cast, wall_watchdog: Duration) -> Result<WorldSpec, String> {
    let mut hosts = Vec::new();
    for (id, host) in plan.hosts() {
        let is_node = matches!(host.kind, HostKind::Node { .. });
        hosts.push(HostSpec {
            id,
            name: host.name.clone(),
            address: Arc::from(host.name.as_str()),
            program: cast.program(plan, id)?,
            starts: (is_node && !plan.standby.contains(&id)) || id == plan.setup || Some(id) == plan.operator,
            is_node,
            clock: ClockSpec::default(),
        });
    }
    Ok(WorldSpec {
        seed: plan.seed,
        hosts,
        net: net(plan),
        disk: DiskSpec { write: latency(&plan.disk.write), fsync: latency(&plan.disk.fsync) },
        event_budget: plan.event_budget,
        wall_watchdog,
    })
}

fn net(plan: &Plan) -> NetSpec {
    let network = &plan.network;
    let mut links = Vec::new();
    for link in &network.links {
        for (from, to) in [(&link.one, &link.other), (&link.other, &link.one)] {
            links.push(LinkSpec {
                from: from.clone(),
                to: to.clone(),
                latency: link.latency.as_ref().map(latency),
                loss_ppm: link.loss_ppm,
            });
        }
    }
    NetSpec { latency: latency(&network.latency), loss_ppm: network.loss_ppm, links }
}

/// Differs from the language: the world knows four kinds; a normal and a Pareto distribution become the log-normal one
/// with the same median and 99th percentile ([`approximated`] says which).
fn latency(distribution: &Distribution) -> LatencyDist {
    match distribution {
        Distribution::Constant { value } => LatencyDist::Constant(value.0),
        Distribution::Uniform { min, max } => LatencyDist::Uniform { min: min.0, max: max.0 },
        Distribution::Exponential { mean } => LatencyDist::Exp { mean: mean.0 },
        Distribution::LogNormal { median, p99 } => LatencyDist::LogNormal { median: median.0, p99: p99.0 },
        Distribution::Normal { mean, stddev } => {
            let p99 = mean.0.saturating_add(stddev.0.saturating_mul(Z99_MILLI) / 1_000);
            LatencyDist::LogNormal { median: mean.0.max(1), p99: p99.max(1) }
        }
        Distribution::Pareto { min, alpha } => {
            let (median, p99) = pareto_quantiles(*min, *alpha);
            LatencyDist::LogNormal { median: median.max(1), p99: p99.max(1) }
        }
    }
}

/// Warnings about latencies that the world only approximates.
pub(super) fn approximated(plan: &Plan) -> Vec<String> {
    let disk = [("disk.write", &plan.disk.write), ("disk.fsync", &plan.disk.fsync)];
    let links = plan.network.links.iter().filter_map(|link| link.latency.as_ref());
    let all = disk
        .into_iter()
        .chain([("network.latency", &plan.network.latency)])
        .chain(links.map(|latency| ("network.link.latency", latency)));
    let is_known = |distribution: &Distribution| {
        !matches!(distribution, Distribution::Normal { .. } | Distribution::Pareto { .. })
    };
    let unknown = all.filter(|(_, distribution)| !is_known(distribution));
    unknown
        .map(|(place, _)| format!("{place}: taken as log-normal with the same median and 99th percentile"))
        .collect()
}
