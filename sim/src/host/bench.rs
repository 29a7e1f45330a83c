//! How fast the simulator is without a subject: frames that go round in a ring of machines, and the bare heap loop that no
//! simulator can beat.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use broker::io::{Address, ConnectionId, Disk, Effect, Input};
use broker::time::Instant;
use bytes::Bytes;
use cpu_time::ProcessTime;
use rand::Rng;

use super::run;
use crate::plan::HostId;
use crate::seed::Seed;
use crate::trace::Fact;
use crate::world::{
    Boot, ClockSpec, Control, DiskSpec, HostSpec, LatencyDist, Machine, NetSpec, Observer, Outputs, Program,
    WorldSpec,
};

/// Machines in the ring.
const HOSTS: u32 = 3;
/// Frames under way at any time.
const IN_FLIGHT: u64 = 100;
/// One frame.
const FRAME_BYTES: usize = 200;

/// What a measurement found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BenchResult {
    /// Messages delivered.
    pub messages: u64,
    /// CPU time of this process meanwhile, in microseconds: measure with nothing else going on.
    pub cpu_us: u64,
}

impl BenchResult {
    /// Messages per second of CPU time.
    pub fn per_second(&self) -> u64 {
        self.messages.saturating_mul(1_000_000) / self.cpu_us.max(1)
    }
}

/// Delivers about `n` frames of 200 bytes among three machines, 100 under way at any time. Call it outside of a run: CPU
/// clocks cannot be read inside.
pub fn messages(n: u64) -> BenchResult {
    let hosts = (0..HOSTS).map(ring_host).collect();
    let spec = WorldSpec {
        seed: Seed(1),
        hosts,
        net: NetSpec {
            latency: LatencyDist::Uniform { min: 100, max: 1_000 },
            loss_ppm: 0,
            links: Vec::new(),
        },
        disk: DiskSpec { write: LatencyDist::Constant(0), fsync: LatencyDist::Constant(0) },
        event_budget: n,
        wall_watchdog: Duration::from_secs(3_600),
    };
    let start = ProcessTime::now();
    let end = run(spec, Box::new(Nobody));
    BenchResult { messages: end.frames, cpu_us: micros(start.elapsed()) }
}

/// Takes `n` messages out of a heap and puts each back at a random later time, 100 under way.
pub fn bare_loop(n: u64) -> BenchResult {
    let mut rng = Seed(1).stream("bench");
    let start = ProcessTime::now();
    let mut heap: BinaryHeap<Reverse<(u64, u64)>> = (0..IN_FLIGHT).map(|i| Reverse((i, i))).collect();
    for sequence in IN_FLIGHT..IN_FLIGHT + n {
        if let Some(Reverse((at, _))) = heap.pop() {
            heap.push(Reverse((at + rng.gen_range(100..=1_000u64), sequence)));
        }
    }
    let cpu_us = micros(start.elapsed());
    // The heap's content is a result: without a reader the loop could be optimised away.
    let messages = if heap.len() as u64 == IN_FLIGHT { n } else { 0 };
    BenchResult { messages, cpu_us }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn ring_host(id: u32) -> HostSpec {
    let name = |id: u32| format!("ring-{id}");
    let program = RingProgram { next: Address::new(name((id + 1) % HOSTS), 9092), sends: id == 0 };
    HostSpec {
        id: HostId(id),
        name: name(id),
        address: name(id).into(),
        program: Box::new(program),
        starts: true,
        is_node: true,
        clock: ClockSpec::default(),
    }
}

struct RingProgram {
    next: Address,
    sends: bool,
}

impl Program for RingProgram {
    fn boot(&self, boot: Boot<'_>) -> Result<Box<dyn Machine>, String> {
        let connection = ConnectionId::outgoing(0);
        boot.out.effects.push(Effect::Connect { connection, to: self.next.clone() });
        Ok(Box::new(RingMachine { connection, sends: self.sends }))
    }
}

struct RingMachine {
    connection: ConnectionId,
    sends: bool,
}

impl Machine for RingMachine {
    fn step(&mut self, _: Instant, input: Input, _: &mut dyn Disk, out: &mut Outputs) {
        let connection = self.connection;
        match input {
            Input::FrameReceived { frame, .. } => out.effects.push(Effect::Send { connection, frame }),
            Input::ConnectionOpened { .. } if self.sends => {
                let frame = Bytes::from(vec![7; FRAME_BYTES]);
                (0..IN_FLIGHT)
                    .for_each(|_| out.effects.push(Effect::Send { connection, frame: frame.clone() }));
            }
            _ => {}
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}

struct Nobody;

impl Observer for Nobody {
    fn input(&mut self, _: Instant, _: HostId, _: &Input) {}
    fn fact(&mut self, _: Instant, _: Option<HostId>, _: Fact) {}
    fn after_step(&mut self, _: &mut dyn Control) {}
    fn alarm(&mut self, _: &mut dyn Control) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_delivers_what_was_asked_for() {
        let result = messages(2_000);
        assert!((1_900..=2_000).contains(&result.messages), "{result:?}");
        assert_eq!(bare_loop(1_000).messages, 1_000);
    }
}
