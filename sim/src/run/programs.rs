//! Kafka nodes as programs.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::config::{BrokerConfig, NodeConfig};
use broker::ids::NodeId;
use broker::io::{Address, Disk, Input, Listener};
use broker::node::Node;
use broker::time::Instant;

use crate::plan::{HostId, HostKind, Plan};
use crate::world::{Boot, Machine, Outputs, Program};

/// One Kafka node; every incarnation boots with the same configuration from what its disk holds.
struct NodeProgram {
    config: NodeConfig,
}

struct NodeMachine(Node);

impl Program for NodeProgram {
    fn boot(&self, boot: Boot<'_>) -> Result<Box<dyn Machine>, String> {
        let node = Node::boot(self.config.clone(), boot.disk, boot.now, boot.seed, &mut boot.out.effects);
        match node {
            Ok(node) => Ok(Box::new(NodeMachine(node))),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Machine for NodeMachine {
    fn step(&mut self, now: Instant, input: Input, disk: &mut dyn Disk, out: &mut Outputs) {
        self.0.step(now, input, disk, &mut out.effects);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.0.next_deadline()
    }
}

/// `controller.quorum.voters`: the controller listener of every controller.
fn voters(plan: &Plan) -> BTreeMap<NodeId, Address> {
    let address = |host: HostId| Address::new(plan.host_name(host), Listener::Controller.port());
    let controllers = plan.controllers().into_iter();
    controllers.filter_map(|host| Some((plan.node_id(host)?, address(host)))).collect()
}

/// The node that runs on a host of the plan. Errors: no node runs there, or a config value cannot be used.
pub fn node_program(plan: &Plan, host: HostId) -> Result<Box<dyn Program>, String> {
    let Some(planned) = plan.hosts.get(host.0 as usize) else { return Err(format!("no host {}", host.0)) };
    let HostKind::Node { node_id, is_broker, is_controller } = planned.kind else {
        return Err(format!("{} is no node", planned.name));
    };
    let broker =
        BrokerConfig::from_map(&planned.config).map_err(|error| format!("{}: {error}", planned.name))?;
    Ok(Box::new(NodeProgram {
        config: NodeConfig {
            node_id,
            cluster_id: format!("kafkasim-{}", plan.seed),
            is_broker,
            is_controller,
            host: Arc::from(planned.name.as_str()),
            voters: voters(plan),
            rack: planned.rack.clone(),
            features: plan.features.clone(),
            broker,
            defects: plan.defect_set(),
        },
    }))
}
