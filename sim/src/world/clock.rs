//! A machine's clock as a function of world time.

use broker::time::Instant;

use super::spec::ClockSpec;

const MILLION: i128 = 1_000_000;

/// offset + world * (1 + drift), never below 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeClock {
    offset_us: i64,
    drift_ppm: i32,
}

impl NodeClock {
    pub(crate) fn new(spec: ClockSpec) -> NodeClock {
        NodeClock { offset_us: spec.offset_us, drift_ppm: spec.drift_ppm.max(1 - MILLION as i32) }
    }

    /// What this clock reads at a world time.
    pub(crate) fn read(&self, world: u64) -> Instant {
        if self.drift_ppm == 0 {
            return Instant(world.saturating_add_signed(self.offset_us));
        }
        let gained = (i128::from(world) * i128::from(self.drift_ppm)).div_euclid(MILLION);
        let reading = i128::from(world) + gained + i128::from(self.offset_us);
        Instant(u64::try_from(reading.max(0)).unwrap_or(u64::MAX))
    }

    /// The first world time at which this clock reads at least `deadline`: never early.
    pub(crate) fn world_of(&self, deadline: Instant) -> u64 {
        if deadline == Instant::ZERO {
            return 0;
        }
        if self.drift_ppm == 0 {
            return match deadline.0.checked_add_signed(self.offset_us.saturating_neg()) {
                Some(world) => world,
                None if self.offset_us > 0 => 0,
                None => u64::MAX,
            };
        }
        let target = (i128::from(deadline.0) - i128::from(self.offset_us)).max(0) * MILLION;
        let rate = MILLION + i128::from(self.drift_ppm);
        u64::try_from((target + rate - 1).div_euclid(rate)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_maps_to_the_first_moment_at_which_it_has_come() {
        for offset_us in [-700_000, 0, 3, 5_000_000] {
            for drift_ppm in [-999_999, -500_000, -37, 0, 1, 250, 2_000_000] {
                let clock = NodeClock::new(ClockSpec { offset_us, drift_ppm });
                for deadline in [0, 1, 2, 999, 700_001, 12_345_678] {
                    let world = clock.world_of(Instant(deadline));
                    assert!(clock.read(world).0 >= deadline, "early: {clock:?} {deadline}");
                    assert!(world == 0 || clock.read(world - 1).0 < deadline, "late: {clock:?} {deadline}");
                }
            }
        }
    }

    #[test]
    fn offset_and_drift_do_what_they_say() {
        let clock = NodeClock::new(ClockSpec { offset_us: 10, drift_ppm: 100 });
        assert_eq!(clock.read(2_000_000), Instant(2_000_210));
        assert_eq!(NodeClock::new(ClockSpec { offset_us: -10, drift_ppm: 0 }).read(3), Instant(0));
    }
}
