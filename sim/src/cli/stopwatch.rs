//! Wall and CPU time, for what stands beside a report. Nothing of it goes into one.

#![expect(
    clippy::disallowed_types,
    reason = "outside of any simulation: wall time for run-meta.json and progress"
)]

use cpu_time::ProcessTime;

/// Measures from its start.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    wall: std::time::Instant,
    cpu: ProcessTime,
}

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Stopwatch {
        Stopwatch { wall: std::time::Instant::now(), cpu: ProcessTime::now() }
    }

    /// Microseconds on the wall.
    pub fn wall_us(&self) -> u64 {
        u64::try_from(self.wall.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Microseconds of CPU time of the whole process.
    pub fn cpu_us(&self) -> u64 {
        u64::try_from(self.cpu.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
