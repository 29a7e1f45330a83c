//! Time as the core sees it: told from outside, in whole microseconds.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

pub use std::time::Duration;

/// A reading of a node's own clock, in microseconds since the world began.
///
/// It never runs backwards for one node; two nodes' readings need not agree. Source: ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Instant(pub u64);

/// What an [`Instant`] of zero is on the wall, in milliseconds since 1970: 2026-01-01T00:00:00Z. Source: ours.
pub const WORLD_BEGINS_UNIX_MS: i64 = 1_767_225_600_000;

impl Instant {
    /// The moment the world begins.
    pub const ZERO: Instant = Instant(0);

    /// Microseconds since the world began.
    pub fn as_micros(self) -> u64 {
        self.0
    }

    /// The wall-clock reading that goes into record timestamps, in milliseconds since 1970.
    pub fn as_unix_ms(self) -> i64 {
        WORLD_BEGINS_UNIX_MS + (self.0 / 1_000) as i64
    }

    /// Time passed since `earlier`, zero if `earlier` is later.
    pub fn saturating_since(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, d: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(d.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, d: Duration) {
        *self = *self + d;
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;
    fn sub(self, earlier: Instant) -> Duration {
        self.saturating_since(earlier)
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// Keyed deadlines. Scheduling a key again replaces its deadline; ties fire in order of scheduling. Source: ours.
#[derive(Debug, Clone)]
pub struct TimerQueue<K: Ord + Clone> {
    by_time: BTreeMap<(Instant, u64), K>,
    by_key: BTreeMap<K, (Instant, u64)>,
    sequence: u64,
}

impl<K: Ord + Clone> Default for TimerQueue<K> {
    fn default() -> Self {
        TimerQueue { by_time: BTreeMap::new(), by_key: BTreeMap::new(), sequence: 0 }
    }
}

impl<K: Ord + Clone> TimerQueue<K> {
    /// Sets the deadline of `key`, replacing the one it had.
    pub fn schedule(&mut self, key: K, at: Instant) {
        self.cancel(&key);
        self.sequence += 1;
        self.by_key.insert(key.clone(), (at, self.sequence));
        self.by_time.insert((at, self.sequence), key);
    }

    /// Removes the deadline of `key`; nothing happens if it has none.
    pub fn cancel(&mut self, key: &K) {
        if let Some(slot) = self.by_key.remove(key) {
            self.by_time.remove(&slot);
        }
    }

    /// The deadline of `key`, if it has one.
    pub fn deadline(&self, key: &K) -> Option<Instant> {
        self.by_key.get(key).map(|(at, _)| *at)
    }

    /// The earliest deadline.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.by_time.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes one key that is due at `now`, earliest first.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        let (&slot, _) = self.by_time.first_key_value()?;
        if slot.0 > now {
            return None;
        }
        let key = self.by_time.remove(&slot)?;
        self.by_key.remove(&key);
        Some(key)
    }
}

/// The earlier of two optional deadlines.
pub fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rescheduled_key_fires_once_at_its_new_time() {
        let mut timers = TimerQueue::default();
        timers.schedule("a", Instant(10));
        timers.schedule("b", Instant(20));
        timers.schedule("a", Instant(30));
        assert_eq!(timers.next_deadline(), Some(Instant(20)));
        assert_eq!(timers.pop_due(Instant(15)), None);
        assert_eq!(timers.pop_due(Instant(40)), Some("b"));
        assert_eq!(timers.pop_due(Instant(40)), Some("a"));
        assert_eq!(timers.pop_due(Instant(40)), None);
    }

    #[test]
    fn ties_fire_in_order_of_scheduling() {
        let mut timers = TimerQueue::default();
        for key in ["z", "a", "m"] {
            timers.schedule(key, Instant(5));
        }
        let fired: Vec<_> = std::iter::from_fn(|| timers.pop_due(Instant(5))).collect();
        assert_eq!(fired, ["z", "a", "m"]);
    }
}
