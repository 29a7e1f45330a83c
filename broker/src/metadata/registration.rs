//! What the metadata says about one broker and about one partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::topic_records::{PartitionChangeRecord, PartitionRecord};
use crate::ids::{BrokerEpoch, LeaderEpoch, NodeId, Offset, PartitionEpoch, Uuid};
use crate::io::{Address, Listener};

/// The name under which a listener is registered (`listeners`, `controller.listener.names`). Source: ours.
pub fn listener_name(listener: Listener) -> &'static str {
    match listener {
        Listener::Client => "CLIENT",
        Listener::Replication => "REPLICATION",
        Listener::Controller => "CONTROLLER",
    }
}

/// One listener of a broker as it registered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name, see [`listener_name`].
    pub name: String,
    /// Where it is reached.
    pub host: Arc<str>,
    /// Where it is reached.
    pub port: u16,
    /// Kafka's id of the security protocol; 0 is PLAINTEXT.
    pub security_protocol: i16,
}

/// A feature and the levels of it that a broker supports (KIP-584).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupportedLevels {
    /// Lowest supported level.
    pub min: i16,
    /// Highest supported level.
    pub max: i16,
}

/// A registered broker (KIP-631).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerRegistration {
    /// `node.id`.
    pub id: NodeId,
    /// The offset of the register record that began this incarnation's registration.
    pub broker_epoch: BrokerEpoch,
    /// The offset of the latest register record; a broker is caught up from there on (CTL-3).
    pub registration_offset: Offset,
    /// Chosen anew by each process of the broker.
    pub incarnation_id: Uuid,
    /// The controller takes it for dead or not yet ready: it may not lead or be in an ISR.
    pub fenced: bool,
    /// It is on its way out: it may not lead or join an ISR.
    pub in_controlled_shutdown: bool,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Its listeners.
    pub endpoints: Vec<Endpoint>,
    /// What it supports.
    pub features: BTreeMap<String, SupportedLevels>,
    /// Ids of its log directories (KIP-858).
    pub log_dirs: Vec<Uuid>,
}

impl BrokerRegistration {
    /// May it lead and join an ISR: neither fenced nor shutting down (`ClusterControlManager.isActive`)?
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    /// Where one of its listeners is reached; `None` if it registered none of that name.
    pub fn address(&self, listener: Listener) -> Option<Address> {
        let name = listener_name(listener);
        self.endpoints.iter().find(|e| e.name == name).map(|e| Address::new(e.host.clone(), e.port))
    }
}

/// Whether the leader has finished recovering from an unclean election (KIP-704).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeaderRecoveryState {
    /// The usual state.
    Recovered,
    /// Elected uncleanly and not yet reported as recovered.
    Recovering,
}

impl LeaderRecoveryState {
    /// Kafka's number.
    pub fn code(self) -> i8 {
        match self {
            LeaderRecoveryState::Recovered => 0,
            LeaderRecoveryState::Recovering => 1,
        }
    }

    /// The state behind Kafka's number; `None` if there is no such state.
    pub fn of_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(LeaderRecoveryState::Recovered),
            1 => Some(LeaderRecoveryState::Recovering),
            _ => None,
        }
    }
}

/// A partition's state in the metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionRegistration {
    /// Assigned replicas, the preferred leader first.
    pub replicas: Vec<NodeId>,
    /// In-sync replicas.
    pub isr: Vec<NodeId>,
    /// The leader; `None` if there is none.
    pub leader: Option<NodeId>,
    /// Counts leader changes (and the loss of a leader).
    pub leader_epoch: LeaderEpoch,
    /// Counts changes of any kind.
    pub partition_epoch: PartitionEpoch,
    /// Whether the leader still recovers from an unclean election.
    pub leader_recovery_state: LeaderRecoveryState,
    /// Replicas that a reassignment under way adds (KIP-455).
    pub adding: Vec<NodeId>,
    /// Replicas that a reassignment under way removes (KIP-455).
    pub removing: Vec<NodeId>,
    /// Eligible leader replicas: not in sync, but they have everything that was acknowledged (KIP-966).
    pub elr: Vec<NodeId>,
    /// The last leader, while ISR and leader are missing (KIP-966).
    pub last_known_elr: Vec<NodeId>,
}

impl PartitionRegistration {
    /// The state that a partition record sets up.
    pub fn new(record: &PartitionRecord) -> Self {
        PartitionRegistration {
            replicas: record.replicas.clone(),
            isr: record.isr.clone(),
            leader: record.leader,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
            leader_recovery_state: record.leader_recovery_state,
            adding: record.adding.clone(),
            removing: record.removing.clone(),
            elr: record.elr.clone(),
            last_known_elr: record.last_known_elr.clone(),
        }
    }

    /// The replica that leads if it can: the first assigned one.
    pub fn preferred(&self) -> Option<NodeId> {
        self.replicas.first().copied()
    }

    /// Carries out a change: the partition epoch rises always, the leader epoch exactly if the record names a leader,
    /// be it the same one (CTL-5, `PartitionRegistration.merge`).
    pub fn merge(&mut self, change: &PartitionChangeRecord) {
        if let Some(isr) = &change.isr {
            self.isr.clone_from(isr);
        }
        if let Some(leader) = change.leader {
            self.leader = leader;
            self.leader_epoch += 1;
        }
        if let Some(replicas) = &change.replicas {
            self.replicas.clone_from(replicas);
        }
        if let Some(removing) = &change.removing {
            self.removing.clone_from(removing);
        }
        if let Some(adding) = &change.adding {
            self.adding.clone_from(adding);
        }
        if let Some(state) = change.leader_recovery_state {
            self.leader_recovery_state = state;
        }
        if let Some(elr) = &change.elr {
            self.elr.clone_from(elr);
        }
        if let Some(last_known) = &change.last_known_elr {
            self.last_known_elr.clone_from(last_known);
        }
        self.partition_epoch += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> PartitionRegistration {
        PartitionRegistration::new(&PartitionRecord {
            partition: 0,
            topic_id: Uuid::from_u128(7),
            replicas: vec![NodeId(1), NodeId(2)],
            isr: vec![NodeId(1), NodeId(2)],
            leader: Some(NodeId(1)),
            leader_epoch: 4,
            partition_epoch: 9,
            leader_recovery_state: LeaderRecoveryState::Recovered,
            adding: vec![],
            removing: vec![],
            elr: vec![],
            last_known_elr: vec![],
        })
    }

    #[test]
    fn a_shrink_alone_leaves_the_leader_epoch() {
        let mut p = partition();
        p.merge(&PartitionChangeRecord {
            isr: Some(vec![NodeId(1)]),
            ..PartitionChangeRecord::new(Uuid::from_u128(7), 0)
        });
        assert_eq!((p.leader_epoch, p.partition_epoch), (4, 10));
    }

    #[test]
    fn losing_the_leader_is_a_leader_change() {
        let mut p = partition();
        p.merge(&PartitionChangeRecord {
            leader: Some(None),
            ..PartitionChangeRecord::new(Uuid::from_u128(7), 0)
        });
        assert_eq!((p.leader, p.leader_epoch, p.partition_epoch), (None, 5, 10));
        assert_eq!(p.isr.len(), 2);
    }
}
