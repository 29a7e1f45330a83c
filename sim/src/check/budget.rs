//! The fault budget: which losses the configuration allows, and who is responsible (semantics 2.7).
//!
//! | clause | allows |
//! |---|---|
//! | unclean election, where the topic enables it | loss of what the new leader lacks |
//! | lossy crash of the last member of the ISR, without eligible leader replicas (KIP-966) | loss of what it had not synced |
//! | as many overlapping lossy crashes as `min.insync.replicas` | loss of what they had not synced |
//! | a replaced disk | as a power loss that had synced nothing; of a voter: loss of committed metadata (P18) |
//! | process crashes, pauses, partitions | nothing |
//!
//! *Lossy* is a crash that costs a log records: a power loss, a replaced disk, a disk that had not synced what it said.
//! Two overlap as long as the first one has not fetched again what it lost. With eligible leader replicas the last member
//! leaves the ISR like everybody else, and whoever comes back without its tail is not eligible: one crash takes nothing.
//!
//! What `acks` 0 and 1 allow is decided by the check that follows acknowledgements.

use broker::ids::{NodeId, Offset};

use super::findings::Responsible;
use super::ghost::Ghost;
use super::replica::{Lost, Permit};
use crate::plan::HostId;

/// May the replica on `host` lack committed records of `[from, to)`? `None`: nothing allows it.
pub fn permit(ghost: &Ghost, log: usize, host: HostId, from: Offset) -> Option<Permit> {
    let state = ghost.log(log);
    if state.id.is_metadata() {
        // Synced before it is promised: no number of power losses may take it (semantics 2.7, last row but one).
        return by_wiped_voter(ghost, log);
    }
    by_unclean_election(ghost, log).or_else(|| by_power_loss(ghost, log, host, from))
}

fn by_unclean_election(ghost: &Ghost, log: usize) -> Option<Permit> {
    let state = ghost.log(log);
    let unclean = state.unclean.as_ref()?;
    if !ghost.allows_unclean(&state.id.partition.topic) {
        return None;
    }
    let members = state.partition.iter().flat_map(|partition| partition.replicas.iter().copied());
    let mut responsible = faults_of(ghost, members.filter(|member| *member != unclean.leader));
    responsible.push(Responsible {
        fault: None,
        event: unclean.event,
        at: unclean.at,
        what: format!("unclean election: broker {} leads epoch {}", unclean.leader, unclean.epoch),
    });
    let reason = match ghost.enables_unclean(&state.id.partition.topic) {
        true => "unclean.leader.election.enable=true",
        false => "an unclean election by request",
    };
    Some(Permit { reason: reason.to_owned(), responsible })
}

fn by_power_loss(ghost: &Ghost, log: usize, host: HostId, from: Offset) -> Option<Permit> {
    let state = ghost.log(log);
    let own = state.replica(host)?.lost.as_ref().filter(|lost| lost.from <= from && from < lost.to)?;
    let members = || state.replicas.iter().enumerate();
    let lossy: Vec<(HostId, &Lost)> = members()
        .filter_map(|(index, replica)| Some((HostId(index as u32), replica.as_ref()?.lost.as_ref()?)))
        .filter(|(_, lost)| lost.from <= from && from < lost.to)
        .collect();
    let partition = state.partition.as_ref()?;
    let node = ghost.node_of(host)?;
    let is_alone = partition.isr == [node];
    // With eligible leader replicas the last member of the ISR is not kept in it, and need not lead (KIP-966).
    let reason = if !ghost.has_elr() && own.is_last_in_sync.unwrap_or(is_alone) {
        "power loss of the last in-sync replica"
    } else if lossy.len() as i64 >= i64::from(partition.min_isr.max(1)) {
        "as many lossy power losses as min.insync.replicas"
    } else {
        return None;
    };
    let mut responsible = Vec::new();
    for (host, lost) in lossy {
        responsible.extend(ghost.fault_at(host, lost.event));
        responsible.push(Responsible {
            fault: None,
            event: lost.event,
            at: lost.at,
            what: format!(
                "{} lost offsets {}..{} with its {}",
                ghost.name(host),
                lost.from,
                lost.to,
                if ghost.lost_disk(host) { "disk" } else { "power" }
            ),
        });
    }
    responsible.sort_by_key(|cause| cause.event);
    Some(Permit { reason: reason.to_owned(), responsible })
}

/// A voter that forgot what it promised may help to elect a leader that lacks what was committed: Kafka wants such a voter
/// to be removed before its disk is replaced (KIP-853).
fn by_wiped_voter(ghost: &Ghost, log: usize) -> Option<Permit> {
    let replicas = ghost.log(log).replicas.iter().enumerate();
    let forgetful = replicas.filter_map(|(index, replica)| {
        let (host, replica) = (HostId(index as u32), replica.as_ref()?);
        let forgot = replica.lost.is_some() || replica.power.is_some();
        (forgot && ghost.lost_disk(host)).then_some(host)
    });
    let responsible: Vec<Responsible> = forgetful.filter_map(|host| ghost.fault_at(host, u64::MAX)).collect();
    (!responsible.is_empty())
        .then(|| Permit { reason: "the disk of a voter was replaced".to_owned(), responsible })
}

/// The last fault that named each of these nodes.
fn faults_of(ghost: &Ghost, nodes: impl Iterator<Item = NodeId>) -> Vec<Responsible> {
    let hosts = nodes.filter_map(|node| ghost.host_of(node));
    let mut faults: Vec<Responsible> = hosts.filter_map(|host| ghost.fault_at(host, u64::MAX)).collect();
    faults.sort_by_key(|fault| fault.event);
    faults.dedup();
    faults
}
