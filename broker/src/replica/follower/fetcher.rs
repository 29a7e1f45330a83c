//! The conversation of a follower with one leader (`ReplicaFetcherThread`).

use std::collections::BTreeMap;

use crate::ids::{LeaderEpoch, Offset};
use crate::replica::PartitionKey;
use crate::time::Instant;

/// Where one partition stands in the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FetchState {
    leader_epoch: LeaderEpoch,
    /// Tells this membership from an earlier one of the same partition.
    generation: u64,
    pause: Pause,
    /// The leader took this log for a part of its own since the leader epoch began.
    has_agreed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    None,
    /// After an error (`replica.fetch.backoff.ms`).
    Until(Instant),
    /// Fenced: this broker's metadata is old; a new leader epoch will come.
    UntilNewEpoch,
}

/// What one partition asked for: its answer counts only if the partition still stands there (R16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requested {
    /// The partition.
    pub key: PartitionKey,
    /// The leader epoch asked in.
    pub leader_epoch: LeaderEpoch,
    /// The offset asked for: the log end at that time.
    pub offset: Offset,
    generation: u64,
}

/// Fetches from one leader everything that it leads and this broker follows.
///
/// There is at most one fetch in flight; an answer with any other number is not even looked at (R16b).
#[derive(Debug, Default)]
pub struct Fetcher {
    partitions: BTreeMap<PartitionKey, FetchState>,
    in_flight: Option<(u64, Vec<Requested>)>,
    generations: u64,
    /// The last partition that got data: the next fetch begins behind it, so that all get their turn.
    last_served: Option<PartitionKey>,
}

impl Fetcher {
    /// Starts to fetch a partition, anew if it was being fetched.
    pub fn add(&mut self, key: PartitionKey, leader_epoch: LeaderEpoch) {
        self.generations += 1;
        let state =
            FetchState { leader_epoch, generation: self.generations, pause: Pause::None, has_agreed: false };
        self.partitions.insert(key, state);
    }

    /// Stops to fetch a partition; was it fetched?
    pub fn remove(&mut self, key: &PartitionKey) -> bool {
        self.partitions.remove(key).is_some()
    }

    /// The partitions that are fetched.
    pub fn keys(&self) -> impl Iterator<Item = &PartitionKey> {
        self.partitions.keys()
    }

    /// Is nothing fetched from this leader any more?
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// Is this partition fetched from this leader?
    pub fn contains(&self, key: &PartitionKey) -> bool {
        self.partitions.contains_key(key)
    }

    /// Is a fetch in flight?
    pub fn is_busy(&self) -> bool {
        self.in_flight.is_some()
    }

    /// The partitions that may be asked for now, with the leader epoch to ask in; served in turn.
    pub fn ready(&self, now: Instant) -> Vec<(PartitionKey, LeaderEpoch)> {
        let is_ready = |(key, state): (&PartitionKey, &FetchState)| match state.pause {
            Pause::Until(at) if at > now => None,
            Pause::UntilNewEpoch => None,
            Pause::None | Pause::Until(_) => Some((*key, state.leader_epoch)),
        };
        match self.last_served {
            None => self.partitions.iter().filter_map(is_ready).collect(),
            Some(last) => {
                let behind = (std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded);
                let rest = self.partitions.range(..=last);
                self.partitions.range(behind).chain(rest).filter_map(is_ready).collect()
            }
        }
    }

    /// When a paused partition may be asked for again.
    pub fn next_ready(&self) -> Option<Instant> {
        let until = |state: &FetchState| match state.pause {
            Pause::Until(at) => Some(at),
            Pause::None | Pause::UntilNewEpoch => None,
        };
        self.partitions.values().filter_map(until).min()
    }

    /// A fetch goes out under this number.
    pub fn sent(&mut self, call: u64, asked: impl Iterator<Item = (PartitionKey, Offset)>) {
        crate::invariant!(self.in_flight.is_none(), "a second fetch to the same leader");
        let partitions = &self.partitions;
        let requested = asked.filter_map(|(key, offset)| {
            let state = partitions.get(&key)?;
            let (leader_epoch, generation) = (state.leader_epoch, state.generation);
            Some(Requested { key, leader_epoch, offset, generation })
        });
        self.in_flight = Some((call, requested.collect()));
    }

    /// An answer arrived under this number; what was asked, if it is the fetch in flight.
    pub fn answered(&mut self, call: u64) -> Option<Vec<Requested>> {
        self.in_flight.take_if(|(id, _)| *id == call).map(|(_, requested)| requested)
    }

    /// Does the partition still stand where it asked (R16)?
    pub fn is_current(&self, requested: &Requested, log_end: Offset) -> bool {
        requested.offset == log_end
            && self.partitions.get(&requested.key).is_some_and(|state| {
                state.generation == requested.generation && state.leader_epoch == requested.leader_epoch
            })
    }

    /// The partition's log agrees with its leader's, and got data or there was none.
    pub fn agreed(&mut self, key: PartitionKey, has_records: bool) {
        if has_records {
            self.last_served = Some(key);
        }
        if let Some(state) = self.partitions.get_mut(&key) {
            state.has_agreed = true;
            if has_records {
                state.pause = Pause::None;
            }
        }
    }

    /// Did the leader take the partition's log for a part of its own since the leader epoch began?
    pub fn has_agreed(&self, key: &PartitionKey) -> bool {
        self.partitions.get(key).is_some_and(|state| state.has_agreed)
    }

    /// The partition waits until `at`, if it is still the same membership.
    pub fn pause(&mut self, requested: &Requested, at: Instant) {
        self.set_pause(requested, Pause::Until(at));
    }

    /// The partition waits for a new leader epoch.
    pub fn fence(&mut self, requested: &Requested) {
        self.set_pause(requested, Pause::UntilNewEpoch);
    }

    fn set_pause(&mut self, requested: &Requested, pause: Pause) {
        if let Some(state) = self.partitions.get_mut(&requested.key)
            && state.generation == requested.generation
        {
            state.pause = pause;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Uuid;

    const A: PartitionKey = (Uuid::from_u128(7), 0);
    const B: PartitionKey = (Uuid::from_u128(7), 1);

    fn asked(fetcher: &mut Fetcher, call: u64) -> Requested {
        fetcher.sent(call, [(A, 10)].into_iter());
        fetcher.answered(call).unwrap()[0]
    }

    #[test]
    fn an_answer_counts_only_for_the_fetch_in_flight() {
        let mut fetcher = Fetcher::default();
        fetcher.add(A, 3);
        fetcher.sent(1, [(A, 10)].into_iter());
        assert_eq!(fetcher.answered(7), None);
        assert!(fetcher.answered(1).is_some());
        assert_eq!(fetcher.answered(1), None, "a second copy of the same answer");
    }

    #[test]
    fn an_answer_counts_only_where_the_partition_still_stands() {
        let mut fetcher = Fetcher::default();
        fetcher.add(A, 3);
        let requested = asked(&mut fetcher, 1);
        assert!(fetcher.is_current(&requested, 10));
        assert!(!fetcher.is_current(&requested, 9), "the log was cut meanwhile");
        fetcher.add(A, 4);
        assert!(!fetcher.is_current(&requested, 10), "another leader epoch");
        fetcher.add(A, 3);
        assert!(!fetcher.is_current(&requested, 10), "another membership of the same epoch");
    }

    #[test]
    fn a_pause_ends_by_itself_and_a_fence_with_a_new_epoch() {
        let mut fetcher = Fetcher::default();
        fetcher.add(A, 3);
        let requested = asked(&mut fetcher, 1);
        fetcher.pause(&requested, Instant(50));
        assert_eq!((fetcher.ready(Instant(49)), fetcher.next_ready()), (vec![], Some(Instant(50))));
        assert_eq!(fetcher.ready(Instant(50)), [(A, 3)]);
        fetcher.fence(&requested);
        assert_eq!((fetcher.ready(Instant(99)), fetcher.next_ready()), (vec![], None));
        fetcher.add(A, 4);
        assert_eq!(fetcher.ready(Instant(99)), [(A, 4)]);
    }

    #[test]
    fn agreement_is_of_one_leader_epoch() {
        let mut fetcher = Fetcher::default();
        fetcher.add(A, 3);
        assert!(!fetcher.has_agreed(&A));
        fetcher.agreed(A, false);
        assert!(fetcher.has_agreed(&A));
        fetcher.add(A, 4);
        assert!(!fetcher.has_agreed(&A));
    }

    #[test]
    fn partitions_are_served_in_turn() {
        let mut fetcher = Fetcher::default();
        fetcher.add(A, 3);
        fetcher.add(B, 3);
        assert_eq!(fetcher.ready(Instant(0)), [(A, 3), (B, 3)]);
        fetcher.agreed(A, false);
        assert_eq!(fetcher.ready(Instant(0)), [(A, 3), (B, 3)], "there was nothing to give");
        fetcher.agreed(A, true);
        assert_eq!(fetcher.ready(Instant(0)), [(B, 3), (A, 3)]);
    }
}
