//! What a step says.

use broker::ids::{LeaderEpoch, NodeId, Offset};
use broker::trace::{Election, MetadataFact, Observation, PartitionFact, QuorumRole, TruncationReason};

use crate::history::{Acks, HistoryEvent, Value};
use crate::plan::Plan;

/// Words about the machines of one plan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'a> {
    pub plan: &'a Plan,
}

impl Words<'_> {
    fn record(&self, value: Value) -> String {
        record_name(self.plan, value)
    }

    /// What struck, and the fault's name.
    pub fn fault(&self, what: &str, id: &str, n: u32) -> String {
        format!("{what} (fault {})", firing(id, n))
    }

    /// The end of a fault.
    pub fn healed(&self, id: &str, n: u32) -> String {
        format!("fault {} is over", firing(id, n))
    }

    /// What changed of a partition; `None`: nothing that matters here.
    pub fn change(&self, fact: &MetadataFact, before: Option<&PartitionFact>) -> Option<String> {
        let MetadataFact::PartitionChanged { log, election, state } = fact else { return None };
        let id = &log.partition;
        let leader = |leader: Option<NodeId>| leader.map_or("none".to_owned(), |leader| self.node(leader));
        let old_leader = before.and_then(|before| before.leader);
        let mut parts = Vec::new();
        if old_leader != state.leader || before.is_none_or(|before| before.leader_epoch != state.leader_epoch)
        {
            let word = if *election == Election::Unclean { "UNCLEAN " } else { "" };
            let from = before.map(|before| format!("{} -> ", leader(before.leader))).unwrap_or_default();
            parts.push(format!("{word}leader({id}) {from}{}", leader(state.leader)));
        }
        if before.is_none_or(|before| before.isr != state.isr) {
            let from = before.map(|before| format!("{} -> ", ids(&before.isr))).unwrap_or_default();
            parts.push(format!("isr({id}) {from}{}", ids(&state.isr)));
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    fn node(&self, node: NodeId) -> String {
        self.plan.node(node).map_or(node.to_string(), |host| self.plan.host_name(host).to_owned())
    }

    /// A log is cut.
    pub fn cut(&self, from: Offset, to: Offset, reason: TruncationReason) -> String {
        let why = match reason {
            TruncationReason::DivergingEpoch => "the leader's history differs",
            TruncationReason::HighWatermark => "to its own high watermark",
            TruncationReason::OutOfRange => "out of the leader's range",
            TruncationReason::Recovery => "torn by a crash",
            TruncationReason::Snapshot => "a snapshot takes its place",
        };
        format!("cuts its log from {from} to {to} ({why})")
    }

    /// A leader asks for another ISR.
    pub fn proposal(&self, from: &[NodeId], to: &[NodeId]) -> String {
        format!("asks the controller for isr {} -> {}", ids(from), ids(to))
    }

    /// A broker's role changes.
    pub fn role(&self, observation: &Observation) -> String {
        match observation {
            Observation::BecameLeader { log, epoch_start, .. } => {
                format!("leads {} from offset {epoch_start}", log.partition)
            }
            Observation::BecameFollower { log, leader, .. } => {
                let leader = leader.map_or("nobody".to_owned(), |leader| self.node(leader));
                format!("follows {leader} for {}", log.partition)
            }
            _ => String::new(),
        }
    }

    /// The metadata quorum moves; with the epoch.
    pub fn quorum(&self, observation: &Observation) -> Option<(String, LeaderEpoch)> {
        match observation {
            Observation::QuorumRoleChanged { epoch, role, .. } => {
                let word = match role {
                    QuorumRole::Leader => "leads the metadata quorum",
                    QuorumRole::Candidate => "asks for votes",
                    QuorumRole::Prospective => "asks whether it would be elected",
                    QuorumRole::Resigned => "resigns",
                    QuorumRole::Unattached => "knows no leader",
                    QuorumRole::Follower => "follows",
                };
                Some((word.to_owned(), *epoch))
            }
            Observation::VoteGranted { epoch, candidate } => {
                Some((format!("votes for {}", self.node(*candidate)), *epoch))
            }
            _ => None,
        }
    }

    /// The record at `offset` is acknowledged.
    pub fn ack(&self, fact: &HistoryEvent, offset: Offset, holders: &[&str]) -> String {
        let HistoryEvent::Acked { partition, acks, base_offset, values, .. } = fact else {
            return String::new();
        };
        let index = offset - base_offset.unwrap_or(offset);
        let value = usize::try_from(index).ok().and_then(|index| values.get(index));
        let record = value.map_or("a record".to_owned(), |value| self.record(*value));
        let acks = match acks {
            Acks::None => "0",
            Acks::Leader => "1",
            Acks::All => "all",
        };
        let holders = if holders.is_empty() { "nobody".to_owned() } else { holders.join(", ") };
        format!("acked {record} at {partition}@{offset} (acks={acks}), held by {holders}")
    }

    /// What a consumer was given, and the offset.
    pub fn read(&self, fact: &HistoryEvent) -> (String, Option<Offset>) {
        match fact {
            HistoryEvent::Polled { partition, records } => {
                let end = |record: Option<&(Offset, Value)>| {
                    record.map_or("nothing".to_owned(), |(offset, value)| {
                        format!("{} at {offset}", self.record(*value))
                    })
                };
                let what = match records.len() {
                    1 => format!("reads {partition}: {}", end(records.first())),
                    _ => format!("reads {partition}: {} to {}", end(records.first()), end(records.last())),
                };
                (what, records.first().map(|(offset, _)| *offset))
            }
            HistoryEvent::Positioned { partition, offset, reason } => {
                (format!("goes on reading {partition} at {offset} ({reason:?})"), Some(*offset))
            }
            _ => (String::new(), None),
        }
    }
}

/// A record's name: its producer and its number there, `p-0#17`; `p-0.2#17` if the producer was started anew twice.
pub fn record_name(plan: &Plan, value: Value) -> String {
    let producer = plan.producers.iter().find(|producer| producer.number == value.load());
    let name = producer.map_or("?", |producer| plan.host_name(producer.host));
    match value.producer() % Value::INCARNATIONS {
        0 => format!("{name}#{}", value.n()),
        incarnation => format!("{name}.{incarnation}#{}", value.n()),
    }
}

fn firing(id: &str, n: u32) -> String {
    if n > 1 { format!("{id}#{n}") } else { id.to_owned() }
}

/// `[0,1,2]`.
fn ids(nodes: &[NodeId]) -> String {
    let ids: Vec<String> = nodes.iter().map(|NodeId(id)| id.to_string()).collect();
    format!("[{}]", ids.join(","))
}
