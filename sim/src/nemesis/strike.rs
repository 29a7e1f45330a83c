//! One strike of one fault: its verb, its victims, and the limits of random strikes.

use broker::ids::NodeId;
use scenarios::model::Verb;

use super::held::{Held, Undo};
use super::rolling::Course;
use super::target::{Bindings, resolve};
use super::{ClusterView, cluster, heal, message, network, process};
use crate::plan::{HostId, Plan};
use crate::seed::ChaCha8Rng;
use crate::world::Control;

/// A kind of fault.
pub struct Family {
    /// The verb that scenario files use.
    pub verb: &'static str,
    /// One line.
    pub about: &'static str,
    pub(super) strike: fn(&mut Strike<'_>) -> Struck,
}

/// Every kind of fault.
pub const FAMILIES: &[Family] = &[
    Family {
        verb: "crash",
        about: "the process dies, the machine loses power, or its disk is replaced",
        strike: process::crash,
    },
    Family { verb: "restart", about: "machines that are down boot", strike: process::restart },
    Family {
        verb: "shutdown",
        about: "a controlled shutdown: leaders move away first",
        strike: process::shutdown,
    },
    Family {
        verb: "rolling_restart",
        about: "one after another stops and boots again",
        strike: process::rolling_restart,
    },
    Family { verb: "pause", about: "the process stops and keeps its memory", strike: process::pause },
    Family {
        verb: "partition",
        about: "links are cut, one way or both, all traffic or one class",
        strike: network::cut,
    },
    Family { verb: "link", about: "links become slow, lossy or narrow", strike: network::degrade },
    Family { verb: "reset", about: "connections are reset; both ends learn it", strike: network::reset },
    Family {
        verb: "half_open",
        about: "one end forgets its connections and the other is not told",
        strike: network::half_open,
    },
    Family {
        verb: "hold",
        about: "messages of a kind wait, and what follows them; then they arrive in order",
        strike: message::hold,
    },
    Family {
        verb: "drop",
        about: "the connection is reset instead of delivering a message of a kind",
        strike: message::drop,
    },
    Family {
        verb: "metadata_lag",
        about: "brokers live on and hear nothing new about the cluster",
        strike: message::metadata_lag,
    },
    Family {
        verb: "fence",
        about: "heartbeats do not arrive: the controller fences brokers that live and fetch",
        strike: message::fence,
    },
    Family { verb: "heal", about: "what faults still hold is undone", strike: heal::heal },
    Family { verb: "elect", about: "an operator asks for a leader election", strike: cluster::operate },
    Family { verb: "move_leader", about: "an operator makes a broker lead", strike: cluster::operate },
    Family { verb: "reassign", about: "an operator moves replicas", strike: cluster::operate },
    Family { verb: "alter", about: "an operator changes configs", strike: cluster::operate },
    Family {
        verb: "admin",
        about: "an operator changes topics, records, features or voters",
        strike: cluster::operate,
    },
];

/// What a verb has at hand.
pub(super) struct Strike<'a> {
    /// The fault's id.
    pub fault: &'a str,
    /// Which strike of it that does something, from 1.
    pub n: u32,
    pub verb: &'a Verb,
    pub plan: &'a Plan,
    pub view: &'a ClusterView,
    pub bindings: &'a Bindings,
    pub held: &'a mut Held,
    pub control: &'a mut dyn Control,
    pub dice: &'a mut ChaCha8Rng,
    /// A random strike: it must leave standing what the plan's limits say.
    pub is_chaos: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Struck {
    /// Nobody has the role.
    NoTarget,
    /// It changed nothing.
    NoEffect,
    /// A random strike that would have broken too much.
    Skipped,
    /// It struck.
    Did { targets: Vec<HostId>, what: String, undo: Vec<Undo>, isolated: Vec<HostId> },
    /// It struck, and goes on by itself from machine to machine.
    Began { targets: Vec<HostId>, what: String, course: Course },
}

impl Strike<'_> {
    /// Who a target of the verb means now.
    pub fn resolve(&mut self, target: &scenarios::model::Target) -> Vec<HostId> {
        resolve(target, self.plan, self.view, self.bindings, self.dice)
    }

    /// Names for people.
    pub fn names(&self, hosts: &[HostId]) -> String {
        let names: Vec<&str> = hosts.iter().map(|host| self.plan.host_name(*host)).collect();
        names.join(", ")
    }

    /// May a random strike take these machines out as well?
    pub fn is_allowed(&self, victims: &[HostId]) -> bool {
        if !self.is_chaos {
            return true;
        }
        let out = |host: &HostId| victims.contains(host) || self.held.is_impaired(*host, self.control);
        let brokers_out = self.plan.brokers().iter().filter(|host| out(host)).count();
        let hits_broker = self.plan.brokers().iter().any(|host| victims.contains(host));
        let controllers = self.plan.controllers();
        let hits_controller = controllers.iter().any(|host| victims.contains(host));
        let controllers_in = controllers.iter().filter(|host| !out(host)).count();
        let keeps_quorum = controllers_in * 2 > controllers.len();
        let limits = self.plan.limits;
        (!hits_broker || brokers_out <= limits.max_down as usize)
            && (!hits_controller || !limits.keep_quorum || keeps_quorum)
    }

    /// May a random strike replace these machines' disks? Only while nothing that is acknowledged can be lost by it: with what
    /// is out of sync already, fewer replicas than `min.insync.replicas` lack anything, and somebody is left in the ISR.
    /// Voters keep their disks if the quorum is to be kept: a voter that forgets its vote breaks what no majority can mend.
    pub fn may_lose_disks(&self, victims: &[HostId]) -> bool {
        if !self.is_chaos {
            return true;
        }
        let voters = self.plan.controllers();
        if self.plan.limits.keep_quorum && victims.iter().any(|victim| voters.contains(victim)) {
            return false;
        }
        let nodes: Vec<NodeId> = victims.iter().filter_map(|host| self.view.node_of(*host)).collect();
        self.view.partitions().filter(|state| state.replicas.iter().any(|id| nodes.contains(id))).all(
            |state| {
                let is_whole = |id: &&NodeId| state.isr.contains(id) && !nodes.contains(id);
                let whole = state.replicas.iter().filter(is_whole).count();
                let lacking = state.replicas.len() - whole;
                whole > 0 && (lacking as i64) < i64::from(state.min_isr)
            },
        )
    }

    /// May a random strike crash these machines, losing what was not synced or not? The controller cannot tell: whoever
    /// shuts down uncleanly is not eligible any more until it is back in the ISR. So once anybody has lost something,
    /// fewer than `min.insync.replicas` replicas of a partition may be away in that way (KIP-966, semantics 2.7).
    pub fn may_crash(&self, victims: &[HostId], is_lossy: bool) -> bool {
        let shaken = self.view.shaken();
        if !self.is_chaos || !(is_lossy || shaken.values().any(|has_lost| *has_lost)) {
            return true;
        }
        let nodes: Vec<NodeId> = victims.iter().filter_map(|host| self.view.node_of(*host)).collect();
        self.view.partitions().filter(|state| state.replicas.iter().any(|id| nodes.contains(id))).all(
            |state| {
                let is_away = |id: &&NodeId| nodes.contains(id) || shaken.contains_key(id);
                let away = state.replicas.iter().filter(is_away).count();
                (away as i64) < i64::from(state.min_isr)
            },
        )
    }

    /// Carries the verb out.
    pub fn carry_out(&mut self) -> Struck {
        let word = self.verb.word();
        match FAMILIES.iter().find(|family| family.verb == word) {
            Some(family) => (family.strike)(self),
            None => Struck::NoEffect,
        }
    }
}
