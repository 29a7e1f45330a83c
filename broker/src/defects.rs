//! Historic Kafka bugs as switches, all off by default. The judge is judged with them.
//!
//! A switch is read in exactly one place: the guard that it disables. A scenario turns it on with a top-level
//! `defects = ["..."]` (name or museum id) and the report records it. To add one: a row of the table below, and the
//! same row in `scenarios/src/names.rs`.

use serde::{Serialize, Serializer};

macro_rules! defects {
    ($($variant:ident = $id:literal, $name:literal, $about:literal;)+) => {
        /// One historic bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Defect { $(#[doc = concat!($id, ": ", $about, ".")] $variant,)+ }

        impl Defect {
            /// Every switch, in order of museum id.
            pub const ALL: &[Defect] = &[$(Defect::$variant),+];

            /// The id in the museum catalogue.
            pub fn id(self) -> &'static str {
                match self { $(Defect::$variant => $id),+ }
            }

            /// The name used in scenario files.
            pub fn name(self) -> &'static str {
                match self { $(Defect::$variant => $name),+ }
            }

            /// What was wrong and where it is told.
            pub fn about(self) -> &'static str {
                match self { $(Defect::$variant => $about),+ }
            }
        }
    };
}

defects! {
    TruncateToHighWatermark = "R01", "truncate-to-high-watermark",
        "a follower truncates to its own stale high watermark before it asks the leader (KAFKA-1211, KIP-101)";
    OffsetOnlyDivergence = "R02", "offset-only-divergence",
        "a leader takes a follower for consistent if its end is not beyond its own, whatever the epochs say (KAFKA-3919, KIP-101)";
    NextEpochLookup = "R03", "next-epoch-lookup",
        "a leader answers an unknown epoch with the start of the next one, and the follower cuts there at once (KAFKA-6361, KIP-279)";
    UnfencedFetch = "R04", "unfenced-fetch",
        "fetches carry neither leader epoch nor last fetched epoch, and a follower truncates only when its epoch changes (KAFKA-6880, KIP-320)";
    IsrExpandIgnoresEpochStart = "R05", "isr-expand-ignores-epoch-start",
        "an out-of-sync follower joins the ISR on the leader's stale high watermark (KAFKA-7128)";
    NoMaximalIsr = "R06", "no-maximal-isr",
        "the high watermark ignores a proposed ISR that the controller may have committed (KIP-497, KAFKA-8836)";
    EagerShrink = "R07", "eager-shrink",
        "the high watermark trusts a proposed smaller ISR before the controller has confirmed it (KIP-497)";
    AlterPartitionSkipsBrokerEpoch = "R08", "alter-partition-skips-broker-epoch",
        "the ISR may name an incarnation of a broker that is not the one which fetched (KAFKA-14139, KIP-903)";
    FencedReplicaMayJoin = "R09", "fenced-replica-may-join",
        "a fenced or stopping broker may be put back into the ISR (KAFKA-13916, KIP-841)";
    LastReplicaStanding = "R10", "last-replica-standing",
        "the last member of the ISR is kept there although it may have lost its tail; nobody else is remembered as eligible (KAFKA-15332, KIP-966)";
    HighWatermarkBelowMinIsr = "R11", "high-watermark-below-min-isr",
        "the high watermark moves although the ISR is smaller than min.insync.replicas (KIP-966)";
    UncleanBrokerStaysEligible = "R12", "unclean-broker-stays-eligible",
        "a broker that lost its tail in an unclean shutdown stays an eligible leader replica (KAFKA-15586, KIP-966)";
    FencedLastKnownLeader = "R12b", "fenced-last-known-leader",
        "a fenced last known leader is elected (KAFKA-19522)";
    FetchStateOnDivergence = "R13", "fetch-state-on-divergence",
        "a leader records the fetch offset of a follower whose history differs (KAFKA-13141)";
    EpochsKeptOnEmptyTruncate = "R14", "epochs-kept-on-empty-truncate",
        "a truncation that cuts nothing leaves conflicting entries in the leader epoch cache (KAFKA-10706)";
    NoEpochAtElection = "R15", "no-epoch-at-election",
        "a new leader does not record the start of its epoch before it has data (KAFKA-7415)";
    StaleFetchResponse = "R16", "stale-fetch-response",
        "a follower applies a fetch response although its fetch state has moved on";
    ListOffsetsBelowEpochStart = "R17", "list-offsets-below-epoch-start",
        "a new leader answers offset lookups from its stale high watermark (KIP-207)";
    AlterPartitionSkipsPartitionEpoch = "R18", "alter-partition-skips-partition-epoch",
        "the controller accepts an ISR that was proposed against an older partition epoch (KAFKA-12367)";
    FollowerStateAcrossEpochs = "R19", "follower-state-across-epochs",
        "a leader that is elected again takes an out-of-sync follower for caught up by what it remembers (KAFKA-13790)";
    DeleteBeyondHighWatermark = "R20", "delete-beyond-high-watermark",
        "retention deletes segments above the high watermark (KAFKA-5634)";
    OldLogForNewTopic = "R22", "old-log-for-new-topic",
        "a broker serves the log of a deleted topic for its re-created namesake (KAFKA-14616, KIP-516)";
    UnmatchedIsrAnswer = "R23", "unmatched-isr-answer",
        "an AlterPartition answer is applied to a proposal that it does not belong to";
    IsrMemberEndAcrossEpochs = "H01", "isr-member-end-across-epochs",
        "a leader that is elected again counts what members of the ISR had in an earlier epoch";
    VoteNotDurable = "K01", "vote-not-durable",
        "a vote is given before it is on disk (KIP-595)";
    LeaderResumesItsEpoch = "K02", "leader-resumes-its-epoch",
        "a restarted leader goes on leading its epoch (KAFKA-10527)";
    CommitByCountingOldEpochs = "K03", "commit-by-counting-old-epochs",
        "the quorum's leader commits records of earlier epochs before one of its own (Raft 5.4.2)";
    UnsyncedFetchCounts = "K04", "unsynced-fetch-counts",
        "a voter fetches on before what it has is on disk (KIP-595)";
    LeaderCountsUnsynced = "K04b", "leader-counts-unsynced",
        "the quorum's leader counts its own records before they are on its disk (KIP-595)";
    NoCheckQuorum = "K05", "no-check-quorum",
        "a leader that no majority fetches from does not resign (KAFKA-15489)";
    NoPreVote = "K06", "no-pre-vote",
        "a voter that hears of no leader raises the epoch at once (KAFKA-16164, KIP-996)";
    FixedElectionTimeout = "K07", "fixed-election-timeout",
        "election time-outs and back-offs are not drawn (KAFKA-18345)";
    MetadataDeletedWithoutSnapshot = "K08", "metadata-deleted-without-snapshot",
        "old metadata segments are deleted although no snapshot covers them (KAFKA-14238)";
    VotersChangeBeforeOwnEpoch = "K09", "voters-change-before-own-epoch",
        "the voters change before the leader has committed a record of its epoch (KIP-853)";
    ConcurrentVoterChanges = "K09b", "concurrent-voter-changes",
        "a second change of the voters begins before the first is committed (KIP-853)";
    LeaderAlwaysCounts = "K10", "leader-always-counts",
        "a leader that is no voter any more counts itself (KAFKA-16530)";
    FetchOfNonVoterRefused = "K11", "fetch-of-non-voter-refused",
        "a leader refuses to serve a node that does not know yet that it is no voter any more (KIP-853)";
    NoRevertOnResign = "K12", "no-revert-on-resign",
        "an active controller that resigns keeps what it never committed (KAFKA-13114)";
    UncommittedReads = "K13", "uncommitted-reads",
        "the controller answers from what is not committed yet (KAFKA-15048)";
    OldControllerObeyed = "K14", "old-controller-obeyed",
        "a broker obeys metadata of an older leader epoch (KAFKA-6082, KIP-380)";
    RegisterWithoutFencing = "K15", "register-without-fencing",
        "a broker may register again while its earlier incarnation is still unfenced";
}

impl Defect {
    /// Finds a switch by name or museum id.
    pub fn find(name_or_id: &str) -> Option<Defect> {
        Defect::ALL
            .iter()
            .copied()
            .find(|d| d.name() == name_or_id || d.id().eq_ignore_ascii_case(name_or_id))
    }
}

impl Serialize for Defect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The switches that are on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DefectSet(Vec<Defect>);

impl DefectSet {
    /// The production path.
    pub fn none() -> Self {
        Self::default()
    }

    /// Exactly these.
    pub fn of(defects: impl IntoIterator<Item = Defect>) -> Self {
        let mut list: Vec<Defect> = defects.into_iter().collect();
        list.sort();
        list.dedup();
        DefectSet(list)
    }

    /// Is this bug present?
    pub fn has(&self, defect: Defect) -> bool {
        self.0.contains(&defect)
    }

    /// The bugs that are present, in order of id.
    pub fn iter(&self) -> impl Iterator<Item = Defect> + '_ {
        self.0.iter().copied()
    }
}
