//! How long a node waits in the quorum: the settings, and the dice for elections.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::config::BrokerConfig;
use crate::defects::{Defect, DefectSet};
use crate::time::Duration;

/// How long a leader may hold a fetch that has nothing new (`KafkaRaftClient.MAX_FETCH_WAIT_MS`).
pub const MAX_FETCH_WAIT: Duration = Duration::from_millis(500);
/// The most bytes asked for in one fetch (`KafkaRaftClient.MAX_FETCH_SIZE_BYTES`).
pub const MAX_FETCH_SIZE_BYTES: i32 = 8 * 1024 * 1024;
/// The unit of the back-off between elections (`KafkaRaftClient.RETRY_BACKOFF_BASE_MS`).
const ELECTION_BACKOFF_UNIT_MS: u64 = 100;

/// Tells the quorum's draws from those of other components with the same seed ("raft" in ASCII).
const DICE_STREAM: u64 = 0x7261_6674;

/// The quorum's time-outs (`controller.quorum.*`) and the node's own stream of chance.
///
/// *Invariant:* this is the only place of the room that draws; a seed fixes every election.
#[derive(Debug, Clone)]
pub struct Timing {
    dice: ChaCha8Rng,
    /// K07: no draw; everybody waits as long as everybody else.
    is_fixed: bool,
    election_timeout: Duration,
    backoff_max: Duration,
    /// `controller.quorum.fetch.timeout.ms`.
    pub fetch_timeout: Duration,
    /// `controller.quorum.append.linger.ms`.
    pub append_linger: Duration,
    /// `controller.quorum.request.timeout.ms`.
    pub request_timeout: Duration,
    /// `controller.quorum.retry.backoff.ms`.
    pub retry_backoff: Duration,
}

impl Timing {
    /// The settings of a node, and its stream.
    pub fn new(config: &BrokerConfig, defects: &DefectSet, seed: u64) -> Self {
        // A stream of its own: other components of the node may draw from the same seed.
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        dice.set_stream(DICE_STREAM);
        Timing {
            dice,
            is_fixed: defects.has(Defect::FixedElectionTimeout),
            election_timeout: config.quorum_election_timeout,
            backoff_max: config.quorum_election_backoff_max,
            fetch_timeout: config.quorum_fetch_timeout,
            append_linger: config.quorum_append_linger,
            request_timeout: config.quorum_request_timeout,
            retry_backoff: config.quorum_retry_backoff,
        }
    }

    fn up_to(&mut self, limit: Duration) -> Duration {
        let micros = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        if micros == 0 { Duration::ZERO } else { Duration::from_micros(self.draw(0, micros - 1)) }
    }

    /// A number within `least..=most`.
    fn draw(&mut self, least: u64, most: u64) -> u64 {
        if self.is_fixed { least } else { self.dice.gen_range(least..=most) }
    }

    /// How long a leader goes on without hearing from a majority: half as long again as a follower waits for it
    /// (`LeaderState.CHECK_QUORUM_TIMEOUT_FACTOR`, KAFKA-15489).
    pub fn check_quorum_timeout(&self) -> Duration {
        self.fetch_timeout + self.fetch_timeout / 2
    }

    /// How long to wait for a leader, or for votes: the time-out and up to as much again (KIP-595).
    pub fn election_timeout(&mut self) -> Duration {
        self.election_timeout + self.up_to(self.election_timeout)
    }

    /// How long to rest after the `retries`-th lost election: binary exponential, at most
    /// `controller.quorum.election.backoff.max.ms` (KIP-595).
    pub fn election_backoff(&mut self, retries: u32) -> Duration {
        let units = self.draw(1, 1 << retries.min(16));
        Duration::from_millis(units * ELECTION_BACKOFF_UNIT_MS).min(self.backoff_max)
    }

    /// How long a follower waits after EndQuorumEpoch before it asks for votes: the first of the successors not at all,
    /// the later ones so that the last waits half of the longest back-off and each before it half of its next's (KIP-595).
    /// A voter that the leader did not name waits a random part of the longest back-off. Source of the latter: ours.
    pub fn succession_backoff(&mut self, position: Option<usize>, successors: usize) -> Duration {
        match position {
            None => self.up_to(self.backoff_max),
            Some(0) => Duration::ZERO,
            Some(k) => {
                let halvings = u32::try_from(successors.saturating_sub(k)).unwrap_or(u32::MAX).min(31);
                self.backoff_max / 2u32.saturating_pow(halvings)
            }
        }
    }

    /// One of `choices`, or `None` if there is none.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        if choices.is_empty() { None } else { Some(choices[self.dice.gen_range(0..choices.len())]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(seed: u64) -> Timing {
        Timing::new(&BrokerConfig::default(), &DefectSet::none(), seed)
    }

    #[test]
    fn k07_makes_every_node_wait_as_long_as_the_others() {
        let defects = DefectSet::of([Defect::FixedElectionTimeout]);
        let waits = |defects: &DefectSet, seed| {
            let mut timing = Timing::new(&BrokerConfig::default(), defects, seed);
            (0..9).map(|k| timing.election_timeout() + timing.election_backoff(k)).collect::<Vec<_>>()
        };
        assert_eq!(waits(&defects, 1), waits(&defects, 2));
        assert_ne!(waits(&DefectSet::none(), 1), waits(&DefectSet::none(), 2));
    }

    #[test]
    fn election_time_outs_are_within_one_and_two_settings_and_a_function_of_the_seed() {
        let draw = |seed| {
            let mut timing = timing(seed);
            (0..64).map(|_| timing.election_timeout()).collect::<Vec<_>>()
        };
        assert!(draw(1).iter().all(|d| (Duration::from_secs(1)..Duration::from_secs(2)).contains(d)));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn back_off_grows_and_is_bounded() {
        let mut timing = timing(3);
        assert!((0..64).all(|_| timing.election_backoff(1) <= Duration::from_millis(200)));
        assert!((0..64).all(|_| timing.election_backoff(30) <= Duration::from_secs(1)));
    }

    #[test]
    fn successors_wait_in_their_order() {
        let mut timing = timing(3);
        let waits: Vec<_> = (0..4).map(|k| timing.succession_backoff(Some(k), 4).as_millis()).collect();
        assert_eq!(waits, [0, 125, 250, 500]);
    }
}
