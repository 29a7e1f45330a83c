//! The world of a plan.

use std::sync::Arc;

use broker::time::Duration;
use scenarios::model::Distribution;

use super::Cast;
use crate::plan::{HostKind, Plan};
use crate::world::{ClockSpec, DiskSpec, HostSpec, LatencyDist, LinkSpec, NetSpec, WorldSpec};

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
        disk: DiskSpec { write: LatencyDist::of(&plan.disk.write), fsync: LatencyDist::of(&plan.disk.fsync) },
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
                latency: link.latency.as_ref().map(LatencyDist::of),
                loss_ppm: link.loss_ppm,
            });
        }
    }
    NetSpec { latency: LatencyDist::of(&network.latency), loss_ppm: network.loss_ppm, links }
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
