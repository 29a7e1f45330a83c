//! The judge. It sees only the trace (what nodes did) and the history (what clients were told), never a live node, so it
//! could judge saved files as well. Every event goes once into a shared picture ([`Ghost`]); then each check compares.
//! A check says *held*, *violated*, *not applicable*, *vacuous* or *permitted loss*, and how often it compared.
//!
//! To add a check: one file with its type, and one row in [`CHECKS`].
//!
//! | file | what |
//! |---|---|
//! | `config.rs` | [`JudgeConfig`], [`EndOfRun`]: what must be known besides the events |
//! | `interest.rs` | [`Interest`]: which kinds of facts a check wants to see |
//! | `judge.rs` | [`Judge`], [`Check`], [`Judgement`] |
//! | `findings.rs` | [`Findings`], [`Violation`], [`PermittedLoss`], [`CheckResult`] |
//! | `ghost.rs`, `ghost/` | [`Ghost`]: the shared picture, [`Step`]: what one event meant for it; `replica.rs`, `chain.rs`: its parts |
//! | `budget.rs` | the fault budget: which losses are allowed, and who is responsible |
//! | `coverage.rs` | [`Coverage`]: counters for `reach` |
//! | `failover.rs`, `measure.rs` | [`Measurements`]: failovers, ISR changes, availability |
//! | `witness/` | [`explain`]: the few events without which a finding cannot be understood |
//! | `log_matching_twin.rs` | the second opinion on log-matching, with whole logs, for tests |
//! | `topics.rs` | which topic of a name clients speak of: what is gone by request, and late words about it |
//! | `settle/` | what must come true once everything is healed, one check each |
//! | `table.rs` | from offsets to records, in eight bytes each |
//! | the others | one check each |

mod acked_durable;
mod availability;
mod broker_invariants;
mod budget;
mod candidates_complete;
mod chain;
mod commit_in_epoch;
mod config;
mod coverage;
mod epochs;
mod failover;
mod fetch_session;
mod fetcher_state;
mod findings;
#[cfg(test)]
mod fixture;
mod ghost;
mod high_watermark;
mod interest;
mod isr_legal;
mod isr_stable;
mod judge;
mod last_known_leader;
mod leader_complete;
mod liveness;
mod log_bounds;
mod log_matching;
#[cfg(test)]
mod log_matching_twin;
mod measure;
mod metadata_match;
mod no_duplicates;
mod no_truncation;
mod offsets_consistent;
mod one_leader;
mod one_vote;
mod pre_vote;
mod producer_fold;
mod producer_ids;
mod producer_order;
mod quorum_durable;
mod quorum_election;
mod quorum_epoch;
mod quorum_high_watermark;
mod quorum_log;
mod quorum_majority;
mod quorum_roles;
mod reads_monotonic;
mod recovery;
mod replica;
mod retry_offset;
mod settle;
mod single_active;
mod snapshot_start;
mod superset;
mod synced_promise;
mod table;
mod topics;
mod true_high_watermark;
mod unclean_exclusion;
mod visible;
mod voters_change;
mod witness;

pub use config::{ConsumerFacts, EndOfRun, JudgeConfig, Level, ProducerFacts, TopicFacts};
pub use coverage::Coverage;
pub use failover::{Availability, ControllerElection, Failover, IsrChange, Measurements, Window};
pub use findings::{
    CheckOutcome, CheckResult, EvidenceStep, Findings, PermittedLoss, Responsible, StepFacts, Violation,
};
pub use ghost::{Ghost, Stance, Step};
pub use interest::Interest;
pub use judge::{Check, Judge, Judgement, Tally};
pub use topics::TopicGone;
pub use witness::{Question, Story, explain, record_name};

/// When a check speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckKind {
    /// After every event, from the trace.
    State,
    /// From what clients were told.
    History,
    /// After the cluster had its time to settle.
    Liveness,
}

/// One row of [`CHECKS`].
pub struct CheckRow {
    /// Its stable name.
    pub name: &'static str,
    /// When it speaks.
    pub kind: CheckKind,
    /// What it claims, in one sentence.
    pub claim: &'static str,
    /// Rule ids and where they come from.
    pub source: &'static str,
    /// A new one.
    pub new: fn(&JudgeConfig) -> Box<dyn Check>,
    /// Does the configuration promise anything of the kind?
    pub applies: fn(&JudgeConfig) -> bool,
}

const fn row(
    name: &'static str,
    kind: CheckKind,
    claim: &'static str,
    source: &'static str,
    new: fn(&JudgeConfig) -> Box<dyn Check>,
    applies: fn(&JudgeConfig) -> bool,
) -> CheckRow {
    CheckRow { name, kind, claim, source, new, applies }
}

fn always(_config: &JudgeConfig) -> bool {
    true
}

/// Every check, in the order of the report.
pub const CHECKS: &[CheckRow] = &[
    row(
        "acked-writes-durable",
        CheckKind::History,
        "what was acknowledged with acks=all is in every later leader's log, at its offset",
        "H-1, P-13; KIP-101",
        acked_durable::AckedDurable::boxed,
        JudgeConfig::promises_durability,
    ),
    row(
        "offsets-consistent",
        CheckKind::History,
        "one offset of a partition names one record, for every client and for ever",
        "H-4, P-14; Jepsen inconsistent-offsets",
        offsets_consistent::OffsetsConsistent::boxed,
        always,
    ),
    row(
        "no-duplicates",
        CheckKind::History,
        "a record of an idempotent producer is in the log once",
        "D-4, D-5; KIP-98",
        no_duplicates::NoDuplicates::boxed,
        JudgeConfig::promises_no_duplicates,
    ),
    row(
        "producer-order",
        CheckKind::History,
        "records of an idempotent producer stand in the order in which they were sent",
        "H-5; KIP-98",
        producer_order::ProducerOrder::boxed,
        JudgeConfig::promises_no_duplicates,
    ),
    row(
        "reads-monotonic",
        CheckKind::History,
        "a consumer reads on: no record again, no committed record skipped",
        "H-3; Jepsen nonmonotonic-poll, poll-skip",
        reads_monotonic::ReadsMonotonic::boxed,
        JudgeConfig::has_readers,
    ),
    row(
        "availability",
        CheckKind::State,
        "no partition is without a leader, or refuses writes, for longer than the scenario allows",
        "ours",
        availability::Availability::boxed,
        availability::Availability::is_bounded,
    ),
    row(
        "log-matching",
        CheckKind::State,
        "equal offset and leader epoch, equal history; equal below high watermarks",
        "P-5, P-6; KIP-101, KIP-279, KIP-320",
        log_matching::LogMatching::boxed,
        always,
    ),
    row(
        "one-leader-per-epoch",
        CheckKind::State,
        "one broker at most leads a partition in one leader epoch, the committed one",
        "P-1; CTL-5",
        one_leader::OneLeader::boxed,
        always,
    ),
    row(
        "leader-complete",
        CheckKind::State,
        "a new leader has every committed record",
        "P-2; KIP-101; VK 966 LeaderCompleteness",
        leader_complete::LeaderComplete::boxed,
        always,
    ),
    row(
        "candidates-complete",
        CheckKind::State,
        "every serving member of the committed ISR has every committed record",
        "P-3; VK 966 LeaderCandidateCompleteness; HK StrongIsr",
        candidates_complete::CandidatesComplete::boxed,
        always,
    ),
    row(
        "high-watermark-on-quorum",
        CheckKind::State,
        "nothing is committed that a member of the maximal or the committed ISR lacks, nor below min.insync.replicas",
        "P-4, P-9; REP-5; KIP-497",
        high_watermark::HighWatermarkOnQuorum::boxed,
        always,
    ),
    row(
        "log-bounds",
        CheckKind::State,
        "log start <= high watermark <= log end, and logs have no holes",
        "P-8",
        log_bounds::LogBounds::boxed,
        always,
    ),
    row(
        "isr-legal",
        CheckKind::State,
        "committed ISRs, leaders and epochs make sense; unclean elections only where enabled",
        "P-10, P-11; VK ValidControllerState; HK LeaderInIsr",
        isr_legal::IsrLegal::boxed,
        always,
    ),
    row(
        "quorum-election-safety",
        CheckKind::State,
        "one controller leads an epoch; votes are durable before they are given, one per epoch",
        "Q-1, Q-2, Q-3; KIP-595",
        quorum_election::QuorumElectionSafety::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "quorum-log-matching",
        CheckKind::State,
        "the metadata log is one; what is committed is on a majority's disks and stays",
        "Q-4, Q-5, Q-6, Q-7, Q-9; KIP-595",
        quorum_log::QuorumLogMatching::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "recovery-is-prefix",
        CheckKind::State,
        "a log that comes back is a prefix of what it was, with all that was synced; a process crash costs nothing",
        "D-1; LOG-4",
        recovery::RecoveryIsPrefix::boxed,
        always,
    ),
    row(
        "replication-quorum-superset",
        CheckKind::State,
        "a leader waits for every member of the isr and of the eligible leader replicas that the quorum has committed",
        "P-4; KIP-497, KIP-966; VK 966 ReplicationQuorumSuperset",
        superset::QuorumSuperset::boxed,
        always,
    ),
    row(
        "unclean-exclusion",
        CheckKind::State,
        "a broker that lost its tail is trusted again only when it has caught up",
        "P-15; KIP-903, KIP-966",
        unclean_exclusion::UncleanExclusion::boxed,
        always,
    ),
    row(
        "quorum-commit-durable",
        CheckKind::State,
        "what the metadata quorum has committed is in every later leader's log, and on the disk of some voter",
        "Q-4, Q-6, Q-11; KIP-595",
        quorum_durable::QuorumCommitDurable::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "quorum-commit-on-majority",
        CheckKind::State,
        "what a leader of the quorum commits is on the disks of a majority of voters",
        "Q-7; KIP-595, KIP-853",
        quorum_majority::QuorumCommitOnMajority::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "pre-vote-quiet",
        CheckKind::State,
        "nobody raises the quorum's epoch unless a majority would vote for it",
        "Q-18; KIP-996, KAFKA-16164",
        pre_vote::PreVoteQuiet::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "single-active-controller",
        CheckKind::State,
        "two controllers are not active at the same time for long",
        "K05; KAFKA-15489",
        single_active::SingleActive::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "high-watermark-visible",
        CheckKind::History,
        "no client is told that a partition ends before what it has read",
        "HWMONO; KIP-207",
        visible::HighWatermarkVisible::boxed,
        JudgeConfig::has_readers,
    ),
    row(
        "one-vote",
        CheckKind::State,
        "a voter votes for one candidate per epoch, and has that on disk first",
        "Q-2; KIP-595",
        one_vote::OneVote::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "quorum-epoch-monotone",
        CheckKind::State,
        "epochs of the metadata quorum never fall, and nobody acts in one that is not on its disk",
        "Q-3; AK MonotonicEpoch",
        quorum_epoch::QuorumEpochMonotone::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "quorum-high-watermark-monotone",
        CheckKind::State,
        "what the quorum calls committed only grows, and so does what each node has applied",
        "Q-8; AK MonotonicHighWatermark",
        quorum_high_watermark::QuorumHighWatermarkMonotone::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "no-truncation-below-commit",
        CheckKind::State,
        "nobody cuts off metadata that it knows to be committed",
        "Q-9; KIP-595",
        no_truncation::NoTruncationBelowCommit::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "commit-in-own-epoch",
        CheckKind::State,
        "a leader of the quorum commits first what it wrote itself",
        "Q-10; Raft 5.4.2",
        commit_in_epoch::CommitInOwnEpoch::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "quorum-roles-legal",
        CheckKind::State,
        "nodes of the quorum change their roles as the protocol allows, and know one leader per epoch",
        "Q-12, Q-13; VK 996 ValidRolesAndStates",
        quorum_roles::QuorumRolesLegal::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "snapshot-at-log-start",
        CheckKind::State,
        "the metadata log is cut at its beginning only behind a snapshot of what is committed",
        "Q-14, Q-15; KIP-630",
        snapshot_start::SnapshotAtLogStart::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "voters-one-at-a-time",
        CheckKind::State,
        "the voters change one by one, each change committed before the next",
        "Q-16; KIP-853",
        voters_change::VotersOneAtATime::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "metadata-log-matching",
        CheckKind::State,
        "the same offset of the metadata log means the same to every node",
        "P-12, Q-17; VK MetadataLogMatching",
        metadata_match::MetadataLogMatching::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "true-high-watermark-monotone",
        CheckKind::State,
        "what one leader committed, no later leader takes back",
        "P-7; KIP-207; VK 966 6.4",
        true_high_watermark::TrueHighWatermarkMonotone::boxed,
        always,
    ),
    row(
        "epochs-monotone",
        CheckKind::State,
        "leader, partition and broker epochs only rise",
        "P-11; CTL-2, CTL-5; KIP-380",
        epochs::EpochsMonotone::boxed,
        always,
    ),
    row(
        "last-known-leader-kept",
        CheckKind::State,
        "a partition without candidates remembers its last leader",
        "P-16; KIP-966; KAFKA-19522",
        last_known_leader::LastKnownLeaderKept::boxed,
        always,
    ),
    row(
        "fetcher-state",
        CheckKind::State,
        "a follower fetches from the leader of its epoch, a leader from nobody",
        "P-17; REP-1, REP-2; VK ValidFetcherState",
        fetcher_state::FetcherState::boxed,
        always,
    ),
    row(
        "fetch-session-equivalence",
        CheckKind::State,
        "both ends of a fetch session mean the same partitions",
        "P-18; KIP-227",
        fetch_session::FetchSessionEquivalence::boxed,
        always,
    ),
    row(
        "synced-before-promised",
        CheckKind::State,
        "a voter promises only what its disk has confirmed",
        "D-2; KIP-595",
        synced_promise::SyncedBeforePromised::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "producer-state-is-fold",
        CheckKind::State,
        "what a broker remembers of idempotent producers is what its log says",
        "D-3; IDM-4; KIP-98",
        producer_fold::ProducerStateIsFold::boxed,
        JudgeConfig::promises_no_duplicates,
    ),
    row(
        "retry-same-offset",
        CheckKind::History,
        "an idempotent producer is told where its batch is, however often it asked",
        "D-5; IDM-2; KIP-98",
        retry_offset::RetrySameOffset::boxed,
        JudgeConfig::promises_no_duplicates,
    ),
    row(
        "producer-id-unique",
        CheckKind::State,
        "no producer id is handed out twice",
        "D-6; KIP-730",
        producer_ids::ProducerIdUnique::boxed,
        JudgeConfig::promises_no_duplicates,
    ),
    row(
        "isr-stable",
        CheckKind::State,
        "when nothing is wrong nobody leaves the isr again and again",
        "REP-6, REP-7; ours",
        isr_stable::IsrStable::boxed,
        always,
    ),
    row(
        "broker-invariants",
        CheckKind::State,
        "no node's own assertions fail, and nobody panics",
        "ours",
        broker_invariants::BrokerInvariants::boxed,
        always,
    ),
    row(
        "brokers-unfenced",
        CheckKind::Liveness,
        "after heal every broker that runs is registered and unfenced",
        "L-P1; VK 966",
        settle::BrokersUnfenced::boxed,
        always,
    ),
    row(
        "isr-proposals-resolve",
        CheckKind::Liveness,
        "after heal every isr that a leader asked for is answered",
        "L-P2; REP-9; VK 966",
        settle::IsrProposalsResolve::boxed,
        always,
    ),
    row(
        "metadata-converges",
        CheckKind::Liveness,
        "after heal every node knows what is committed of the metadata",
        "L-P3; VK 966",
        settle::MetadataConverges::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "writes-resolve",
        CheckKind::Liveness,
        "after heal every record sent is acknowledged or given up",
        "L-P4; VK 966",
        settle::WritesResolve::boxed,
        always,
    ),
    row(
        "replicas-converge",
        CheckKind::Liveness,
        "after heal all replicas hold the same bytes, all committed",
        "L-P5; VK 966",
        settle::ReplicasConverge::boxed,
        always,
    ),
    row(
        "reassignment-completes",
        CheckKind::Liveness,
        "after heal every reassignment comes to its end",
        "L-P6; KIP-455",
        settle::ReassignmentCompletes::boxed,
        always,
    ),
    row(
        "isr-full",
        CheckKind::Liveness,
        "after heal every partition has a leader and every replica that runs is in its isr",
        "L-P7; VK 966",
        settle::IsrFull::boxed,
        always,
    ),
    row(
        "quorum-leader-elected",
        CheckKind::Liveness,
        "after heal the metadata quorum has a leader that every voter follows",
        "L-Q1; VK 853, VK 996",
        settle::QuorumLeaderElected::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "quorum-progress",
        CheckKind::Liveness,
        "after heal what the leader of the quorum writes is committed",
        "L-Q2; VK 853",
        settle::QuorumProgress::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "voter-changes-complete",
        CheckKind::Liveness,
        "after heal every change of the voters comes to its end",
        "L-Q3; KIP-853",
        settle::VoterChangesComplete::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "prospective-leaves",
        CheckKind::Liveness,
        "after heal nobody asks for ever whether it would be elected",
        "L-Q4; KIP-996",
        settle::ProspectiveLeaves::boxed,
        JudgeConfig::has_controllers,
    ),
    row(
        "liveness",
        CheckKind::Liveness,
        "after heal, within a bound: a controller, leaders, full ISRs, equal logs, no open sends, consumers at the end",
        "L-P1..L-P7, L-Q1",
        liveness::Liveness::boxed,
        always,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_every_check_that_the_language_knows() {
        let known: Vec<&str> = scenarios::names::CHECKS.iter().map(|check| check.id).collect();
        let held: Vec<&str> = CHECKS.iter().map(|row| row.name).collect();
        assert_eq!(held, known);
    }

    #[test]
    fn nothing_happened_means_nothing_is_said() {
        let judgement = fixture::Paper::new().finish();
        let is_late =
            |name: &str| CHECKS.iter().any(|row| row.name == name && row.kind == CheckKind::Liveness);
        assert!(judgement.checks.iter().all(|check| check.evaluations == 0 || is_late(check.name)));
        assert!(judgement.checks.iter().all(|check| check.result != CheckOutcome::Held));
    }

    #[test]
    fn a_check_that_is_off_is_not_applicable() {
        let mut config = fixture::config();
        config.levels.insert("log-bounds".to_owned(), Level::Off);
        let mut paper = fixture::Paper::started(config);
        paper.high_watermark(0, 0, 3, 2, None);
        assert_eq!(paper.outcome("log-bounds"), CheckOutcome::NotApplicable);
    }
}
