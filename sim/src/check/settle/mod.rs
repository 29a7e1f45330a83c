//! What must come true once everything is healed: one check for each promise of liveness. The overall one is
//! [`super::liveness`]; these name what exactly did not come. A run that never got to its settle phase is not judged, and a
//! settle phase that was over before [`PATIENCE`] accuses nobody: it only shows what did come true.
//!
//! | file | promise |
//! |---|---|
//! | `brokers_unfenced.rs` | L-P1: every broker that runs is registered and unfenced |
//! | `isr_proposals.rs` | L-P2: every ISR that a leader asked for is answered |
//! | `metadata_converges.rs` | L-P3: every node knows the metadata |
//! | `writes_resolve.rs` | L-P4: every record sent is acknowledged or given up |
//! | `replicas_converge.rs` | L-P5: all replicas hold the same bytes |
//! | `reassignment.rs` | L-P6: every reassignment is complete |
//! | `isr_full.rs` | L-P7: every replica that runs is in the ISR |
//! | `quorum_leader.rs` | L-Q1: the metadata quorum has a leader |
//! | `quorum_progress.rs` | L-Q2: what it writes is committed |
//! | `voter_changes.rs` | L-Q3: every change of the voters is complete |
//! | `prospective.rs` | L-Q4: nobody asks for ever whether it would be elected |

mod brokers_unfenced;
mod isr_full;
mod isr_proposals;
mod metadata_converges;
mod prospective;
mod quorum_leader;
mod quorum_progress;
mod reassignment;
mod replicas_converge;
mod voter_changes;
mod writes_resolve;

pub use brokers_unfenced::BrokersUnfenced;
pub use isr_full::IsrFull;
pub use isr_proposals::IsrProposalsResolve;
pub use metadata_converges::MetadataConverges;
pub use prospective::ProspectiveLeaves;
pub use quorum_leader::QuorumLeaderElected;
pub use quorum_progress::QuorumProgress;
pub use reassignment::ReassignmentCompletes;
pub use replicas_converge::ReplicasConverge;
pub use voter_changes::VoterChangesComplete;
pub use writes_resolve::WritesResolve;

use broker::ids::NodeId;
use broker::time::{Duration, Instant};

use super::config::EndOfRun;
use super::findings::{EvidenceStep, Findings, Violation};
use super::ghost::Ghost;
use super::judge::Tally;
use super::replica::LogGhost;
use crate::plan::HostId;

/// What is younger than this at the end is work in progress: elections, registrations and fetches take seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Does the machine run?
fn runs(ghost: &Ghost, host: HostId) -> bool {
    ghost.host(host).is_some_and(|host| host.is_up && !host.is_paused)
}

/// The host of a node that runs.
fn running(ghost: &Ghost, node: NodeId) -> Option<HostId> {
    ghost.host_of(node).filter(|host| runs(ghost, *host))
}

/// Every machine with a node on it that runs.
fn running_nodes(ghost: &Ghost) -> impl Iterator<Item = (HostId, NodeId)> {
    let hosts = (0..ghost.config().hosts.len() as u32).map(HostId);
    hosts.filter(|host| runs(ghost, *host)).filter_map(|host| Some((host, ghost.node_of(host)?)))
}

/// Every partition that exists.
fn partitions(ghost: &Ghost) -> impl Iterator<Item = (usize, &LogGhost)> {
    ghost.logs().filter(|(_, log)| log.partition.is_some() && !log.id.is_metadata())
}

/// One thing that was looked at.
struct Looked {
    /// The log that it is about.
    log: Option<usize>,
    /// What is wrong, and since when at the latest; `None`: it came true.
    wrong: Option<(Instant, String)>,
}

impl Looked {
    fn right(log: Option<usize>) -> Looked {
        Looked { log, wrong: None }
    }

    /// Wrong, nobody knows since when.
    fn wrong(log: Option<usize>, what: String) -> Looked {
        Looked { log, wrong: Some((Instant::ZERO, what)) }
    }
}

/// Says what did not come true in time.
fn judge(
    looked: impl IntoIterator<Item = Looked>,
    end: &EndOfRun,
    ghost: &Ghost,
    tally: &mut Tally,
    found: &mut Findings,
) {
    let Some(started) = end.settle_started else { return };
    for Looked { log, wrong } in looked {
        tally.examined += 1;
        let Some((since, what)) = wrong else {
            tally.evaluations += 1;
            continue;
        };
        let waited = end.at - since.max(started);
        if waited < PATIENCE {
            continue;
        }
        tally.evaluations += 1;
        let seconds = waited.as_secs();
        let summary = format!("{seconds} s after everything was healed: {what}");
        let mut violation = Violation::seen_at_end(end, ghost, log, summary);
        let begins = EvidenceStep::new(end.event, started, None, "the settle phase begins".to_owned());
        violation.steps.push(begins);
        violation.steps.sort_by_key(|step| step.at);
        found.violation(violation);
    }
}
