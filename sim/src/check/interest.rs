//! Which kinds of facts a check wants to see: with fifty checks, nobody is asked about what does not concern it.

use broker::trace::Observation;

use crate::history::HistoryEvent;
use crate::trace::{Fact, WorldFact};

/// A set of kinds of facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest(u64);

macro_rules! kinds {
    ($($name:ident = $bit:literal: $doc:literal,)+) => {
        impl Interest {
            $(#[doc = $doc] pub const $name: Interest = Interest(1 << $bit);)+
        }
    };
}

kinds! {
    LOG_OPENED = 0: "A log came back, was created or was deleted.",
    APPENDED = 1: "A batch was appended.",
    TRUNCATED = 2: "A log was cut.",
    LOG_START = 3: "A log's start moved.",
    PRODUCER_STATES = 4: "What a node remembers about producers.",
    FLUSHED = 5: "Something became durable.",
    HIGH_WATERMARK = 6: "A high watermark moved.",
    BECAME_LEADER = 7: "A broker leads.",
    BECAME_FOLLOWER = 8: "A broker follows.",
    FETCHER = 9: "A broker fetches from another one, or does not any more.",
    ISR_PROPOSED = 10: "A leader asks for another ISR.",
    ISR_COMMITTED = 11: "A leader learned that an ISR is committed.",
    QUORUM_ROLE = 12: "A node's role in the metadata quorum changed.",
    QUORUM_STATE = 13: "`quorum-state` is durable.",
    VOTE = 14: "A vote was given.",
    PRE_VOTE = 15: "A pre-vote was given.",
    QUORUM_FETCHED = 16: "A node fetches the metadata log.",
    VOTERS = 17: "A node's view of who votes changed.",
    SNAPSHOT = 18: "A snapshot was written or loaded.",
    METADATA_APPLIED = 19: "A node states a digest of its metadata.",
    CONTROLLER = 20: "A controller became active, or ceased to be.",
    METADATA = 21: "A metadata record is committed.",
    FETCH_SESSION = 22: "One side of a fetch session states its partitions.",
    OTHER_NODE = 23: "Any other fact of a node.",
    SENT = 32: "A record was handed to a producer.",
    ACKED = 33: "A batch was acknowledged.",
    FAILED = 34: "A batch was given up.",
    POLLED = 35: "Records were delivered.",
    POSITIONED = 36: "A consumer's position changed, or it was told where a partition ends.",
    OTHER_CLIENT = 37: "Any other fact of a client (a consumer has read everything, ...).",
    STARTED = 48: "A machine booted.",
    STOPPED = 49: "A machine stopped.",
    PAUSED = 50: "A machine was paused, or goes on.",
    FAULT = 51: "A fault struck, or was taken back.",
    OTHER_WORLD = 52: "Any other fact of the world.",
}

impl Interest {
    /// Nothing: it looks only at the end.
    pub const NOTHING: Interest = Interest(0);
    /// Everything.
    pub const ALL: Interest = Interest(u64::MAX);
    /// How many kinds there can be.
    pub const KINDS: usize = 64;

    /// Both.
    #[must_use]
    pub const fn and(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }

    /// Is this kind, given as its number, wanted?
    pub const fn has(self, kind: usize) -> bool {
        self.0 & (1 << kind) != 0
    }

    /// The number of the kind that a fact is of.
    pub fn number(fact: &Fact) -> usize {
        Interest::of(fact).0.trailing_zeros() as usize
    }

    fn of(fact: &Fact) -> Interest {
        match fact {
            Fact::Node(observation) => Interest::of_node(observation),
            Fact::Client(event) => Interest::of_client(event),
            Fact::World(fact) => match fact {
                WorldFact::Started { .. } => Interest::STARTED,
                WorldFact::Stopped { .. } => Interest::STOPPED,
                WorldFact::Paused | WorldFact::Resumed => Interest::PAUSED,
                WorldFact::FaultFired { .. } | WorldFact::FaultHealed { .. } => Interest::FAULT,
                _ => Interest::OTHER_WORLD,
            },
        }
    }

    fn of_node(observation: &Observation) -> Interest {
        match observation {
            Observation::LogOpened { .. }
            | Observation::LogCreated { .. }
            | Observation::LogDeleted { .. } => Interest::LOG_OPENED,
            Observation::Appended { .. } => Interest::APPENDED,
            Observation::Truncated { .. } => Interest::TRUNCATED,
            Observation::LogStartAdvanced { .. } => Interest::LOG_START,
            Observation::ProducerStates { .. } => Interest::PRODUCER_STATES,
            Observation::Flushed { .. } => Interest::FLUSHED,
            Observation::HighWatermark { .. } => Interest::HIGH_WATERMARK,
            Observation::BecameLeader { .. } => Interest::BECAME_LEADER,
            Observation::BecameFollower { .. } => Interest::BECAME_FOLLOWER,
            Observation::FetcherChanged { .. } => Interest::FETCHER,
            Observation::IsrProposed { .. } => Interest::ISR_PROPOSED,
            Observation::IsrCommitted { .. } => Interest::ISR_COMMITTED,
            Observation::QuorumRoleChanged { .. } => Interest::QUORUM_ROLE,
            Observation::QuorumStatePersisted { .. } => Interest::QUORUM_STATE,
            Observation::VoteGranted { .. } => Interest::VOTE,
            Observation::PreVoteGranted { .. } => Interest::PRE_VOTE,
            Observation::QuorumFetched { .. } => Interest::QUORUM_FETCHED,
            Observation::VotersChanged { .. } => Interest::VOTERS,
            Observation::SnapshotWritten { .. } | Observation::SnapshotLoaded { .. } => Interest::SNAPSHOT,
            Observation::MetadataApplied { .. } => Interest::METADATA_APPLIED,
            Observation::ControllerActive { .. } => Interest::CONTROLLER,
            Observation::MetadataCommitted { .. } => Interest::METADATA,
            Observation::FetchSessionPartitions { .. } => Interest::FETCH_SESSION,
            _ => Interest::OTHER_NODE,
        }
    }

    fn of_client(event: &HistoryEvent) -> Interest {
        match event {
            HistoryEvent::Sent { .. } => Interest::SENT,
            HistoryEvent::Acked { .. } => Interest::ACKED,
            HistoryEvent::Failed { .. } => Interest::FAILED,
            HistoryEvent::Polled { .. } => Interest::POLLED,
            HistoryEvent::Positioned { .. } | HistoryEvent::EndOffset { .. } => Interest::POSITIONED,
            _ => Interest::OTHER_CLIENT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_number_of_its_own() {
        let resumed = Fact::World(WorldFact::Resumed);
        assert_eq!(Interest::number(&resumed), Interest::number(&Fact::World(WorldFact::Paused)));
        let both = Interest::PAUSED.and(Interest::FLUSHED);
        assert!(both.has(Interest::number(&resumed)) && !both.has(0));
        assert!(Interest::ALL.has(Interest::KINDS - 1));
    }
}
