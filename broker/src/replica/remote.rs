//! What a leader knows about one follower (REP-1, REP-5, REP-6).

use crate::ids::{BrokerEpoch, NodeId, Offset};
use crate::metadata::MetadataImage;
use crate::time::{Duration, Instant};

/// A follower as its leader sees it. `None` is "never in this leadership", which Kafka writes as -1 or 0; a clock that
/// begins at zero must not turn it into "just now".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// The follower's broker.
    pub id: NodeId,
    /// The offset of its last accepted fetch: it has everything below.
    pub log_end: Option<Offset>,
    /// Where its log began at its last accepted fetch (KIP-107).
    pub log_start: Option<Offset>,
    /// When it fetched last, and the leader's log end then.
    last_fetch: Option<(Instant, Offset)>,
    /// When it had everything that the leader had.
    last_caught_up: Option<Instant>,
    /// The broker epoch that came with its last accepted fetch (KIP-903).
    pub broker_epoch: Option<BrokerEpoch>,
    /// Its position is from an earlier leader epoch and counts as if it had fetched in this one: only the R19 defect
    /// lets that happen.
    pub is_remembered: bool,
}

impl Remote {
    /// A follower of which nothing is known.
    pub fn unknown(id: NodeId) -> Self {
        Remote {
            id,
            log_end: None,
            log_start: None,
            last_fetch: None,
            last_caught_up: None,
            broker_epoch: None,
            is_remembered: false,
        }
    }

    /// A new leader epoch begins: nothing that is known from an earlier one counts, even if this broker led then too. The
    /// follower may have followed somebody else in between and cut its log (REP-1, KAFKA-13790). A member of the ISR has
    /// all of `replica.lag.time.max.ms` to fetch.
    pub fn begin_epoch(&mut self, is_in_sync: bool, now: Instant) {
        *self = Remote { last_caught_up: is_in_sync.then_some(now), ..Remote::unknown(self.id) };
    }

    /// A new leader epoch begins and, by a defect, what the follower had in an earlier one goes on to count (R19, H01).
    pub fn keep_across_epochs(&mut self, is_in_sync: bool, leader_end: Offset, now: Instant) {
        if is_in_sync {
            self.last_fetch = Some((now, leader_end));
            self.last_caught_up = Some(now);
        } else {
            self.is_remembered = self.log_end.is_some();
        }
    }

    /// It fetched at `offset` when the leader's log ended at `leader_end` (REP-5, REP-6).
    pub fn fetched(&mut self, offset: Offset, leader_end: Offset, broker_epoch: BrokerEpoch, now: Instant) {
        let caught_up = match self.last_fetch {
            _ if offset >= leader_end => Some(now),
            Some((at, end_then)) if offset >= end_then => Some(at),
            _ => None,
        };
        self.last_caught_up = self.last_caught_up.max(caught_up);
        self.log_end = Some(offset);
        self.last_fetch = Some((now, leader_end));
        self.broker_epoch = Some(broker_epoch);
        self.is_remembered = false;
    }

    /// Has it everything, or had it within `replica.lag.time.max.ms` (REP-6)?
    pub fn is_caught_up(&self, leader_end: Offset, now: Instant, lag_time_max: Duration) -> bool {
        self.log_end == Some(leader_end)
            || self.last_caught_up.is_some_and(|at| now.saturating_since(at) <= lag_time_max)
    }

    /// May it be a member of the ISR as far as the metadata says: alive, staying, and the same incarnation that
    /// fetched (REP-8, KIP-841, KIP-903)?
    pub fn is_eligible(&self, image: &MetadataImage) -> bool {
        image.broker(self.id).is_some_and(|broker| {
            !broker.fenced && !broker.in_controlled_shutdown && self.broker_epoch == Some(broker.broker_epoch)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG: Duration = Duration::from_micros(100);

    #[test]
    fn it_is_caught_up_as_of_the_previous_fetch_if_it_reached_the_end_of_then() {
        let mut remote = Remote::unknown(NodeId(2));
        remote.fetched(5, 10, 1, Instant(1_000));
        assert!(!remote.is_caught_up(10, Instant(1_000), LAG), "it never had everything");
        remote.fetched(10, 20, 1, Instant(1_050));
        assert!(remote.is_caught_up(20, Instant(1_100), LAG), "at 1000 the end was 10, and it has 10");
        assert!(!remote.is_caught_up(20, Instant(1_101), LAG));
        remote.fetched(20, 20, 1, Instant(1_200));
        assert!(
            remote.is_caught_up(20, Instant(9_999), LAG),
            "it has everything, however long ago it fetched"
        );
    }

    #[test]
    fn a_follower_that_never_fetched_is_not_caught_up_at_the_beginning_of_the_world() {
        assert!(!Remote::unknown(NodeId(2)).is_caught_up(0, Instant::ZERO, LAG));
    }

    #[test]
    fn a_new_epoch_forgets_positions_and_gives_only_the_isr_credit() {
        let mut remote = Remote::unknown(NodeId(2));
        remote.fetched(10, 10, 1, Instant(1_000));
        let mut outside = remote.clone();
        remote.begin_epoch(true, Instant(2_000));
        outside.begin_epoch(false, Instant(2_000));
        assert_eq!((remote.log_end, outside.log_end), (None, None));
        assert!(remote.is_caught_up(12, Instant(2_100), LAG));
        assert!(!outside.is_caught_up(12, Instant(2_000), LAG));
    }

    #[test]
    fn what_is_kept_across_epochs_goes_on_to_count_until_the_next_fetch() {
        let mut remote = Remote::unknown(NodeId(2));
        remote.fetched(10, 10, 1, Instant(1_000));
        remote.keep_across_epochs(false, 12, Instant(2_000));
        assert_eq!((remote.log_end, remote.is_remembered), (Some(10), true));
        remote.fetched(3, 12, 1, Instant(2_050));
        assert_eq!((remote.log_end, remote.is_remembered), (Some(3), false));
    }
}
