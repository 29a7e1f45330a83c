//! Toy machines and a recorder.

use std::sync::Arc;
use std::time::Duration;

use broker::io::{Address, ConnectionId, Disk, Effect, Input};
use broker::time::Instant;
use bytes::Bytes;
use sim::host::{Boot, Machine, Outputs, Program, RunEnd};
use sim::plan::HostId;
use sim::seed::Seed;
use sim::trace::{Fact, WorldFact};
use sim::world::{ClockSpec, Control, DiskSpec, HostSpec, LatencyDist, NetSpec, Observer, WorldSpec};

pub const MS: u64 = 1_000;
pub const S: u64 = 1_000_000;

/// What a toy machine may do in one step.
pub struct Turn<'a> {
    pub now: Instant,
    pub incarnation: u32,
    pub disk: &'a mut dyn Disk,
    pub out: &'a mut Outputs,
    /// The deadline that the machine names.
    pub deadline: &'a mut Option<Instant>,
    /// For the machine's own use; lost with the incarnation.
    pub memory: &'a mut Vec<u64>,
}

impl Turn<'_> {
    pub fn connect(&mut self, n: u64, host: &str, port: u16) {
        let to = Address::new(host, port);
        self.out.effects.push(Effect::Connect { connection: ConnectionId::outgoing(n), to });
    }

    pub fn send(&mut self, connection: ConnectionId, n: u64) {
        let frame = Bytes::copy_from_slice(&n.to_be_bytes());
        self.out.effects.push(Effect::Send { connection, frame });
    }
}

/// `None` as input is the boot.
type Behaviour = Arc<dyn Fn(&mut Turn<'_>, Option<Input>) + Send + Sync>;

struct Toy {
    behaviour: Behaviour,
    incarnation: u32,
    deadline: Option<Instant>,
    memory: Vec<u64>,
}

impl Machine for Toy {
    fn step(&mut self, now: Instant, input: Input, disk: &mut dyn Disk, out: &mut Outputs) {
        if matches!(input, Input::TimerDue) {
            self.deadline = None;
        }
        self.turn(now, Some(input), disk, out);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

impl Toy {
    fn turn(&mut self, now: Instant, input: Option<Input>, disk: &mut dyn Disk, out: &mut Outputs) {
        let mut turn = Turn {
            now,
            incarnation: self.incarnation,
            disk,
            out,
            deadline: &mut self.deadline,
            memory: &mut self.memory,
        };
        (self.behaviour)(&mut turn, input);
    }
}

struct ToyProgram(Behaviour);

impl Program for ToyProgram {
    fn boot(&self, boot: Boot<'_>) -> Result<Box<dyn Machine>, String> {
        let mut toy = Toy {
            behaviour: self.0.clone(),
            incarnation: boot.incarnation,
            deadline: None,
            memory: Vec::new(),
        };
        toy.turn(boot.now, None, boot.disk, boot.out);
        Ok(Box::new(toy))
    }
}

/// One line per input and fact, and things to do at given times.
#[derive(Default)]
pub struct Recorder {
    pub lines: Vec<(u64, Option<u32>, String)>,
    is_started: bool,
    alarms: Vec<(u64, Alarm)>,
}

type Alarm = Box<dyn FnMut(&mut dyn Control) + Send>;

impl Recorder {
    pub fn at(mut self, at: u64, act: impl FnMut(&mut dyn Control) + Send + 'static) -> Self {
        self.alarms.push((at, Box::new(act)));
        self
    }

    /// Times at which this host was given inputs (or facts) whose text contains `what`.
    pub fn times(&self, host: u32, what: &str) -> Vec<u64> {
        let of_host =
            self.lines.iter().filter(|(_, at_host, line)| *at_host == Some(host) && line.contains(what));
        of_host.map(|(at, ..)| *at).collect()
    }

    /// The numbers in the frames that this host received.
    pub fn frames(&self, host: u32) -> Vec<u64> {
        let of_host = self.lines.iter().filter(|(_, at_host, _)| *at_host == Some(host));
        of_host.filter_map(|(.., line)| line.strip_prefix("frame ")?.parse().ok()).collect()
    }
}

impl Observer for Recorder {
    fn input(&mut self, at: Instant, host: HostId, input: &Input) {
        let line = match input {
            Input::FrameReceived { frame, .. } => {
                format!("frame {}", u64::from_be_bytes(frame[..8].try_into().unwrap()))
            }
            other => format!("{other:?}"),
        };
        self.lines.push((at.0, Some(host.0), line));
    }

    fn fact(&mut self, at: Instant, host: Option<HostId>, fact: Fact) {
        if !matches!(fact, Fact::World(WorldFact::Stopped { kind: sim::trace::StopKind::End })) {
            self.lines.push((at.0, host.map(|host| host.0), format!("{fact:?}")));
        }
    }

    fn after_step(&mut self, control: &mut dyn Control) {
        if !std::mem::replace(&mut self.is_started, true) {
            self.alarms.iter().for_each(|(at, _)| control.wake_at(Instant(*at)));
        }
    }

    fn alarm(&mut self, control: &mut dyn Control) {
        let now = control.now().0;
        while let Some(due) = self.alarms.iter().position(|(at, _)| *at <= now) {
            (self.alarms.remove(due).1)(control);
        }
    }
}

pub fn host(id: u32, behaviour: impl Fn(&mut Turn<'_>, Option<Input>) + Send + Sync + 'static) -> HostSpec {
    HostSpec {
        id: HostId(id),
        name: format!("h{id}"),
        address: format!("h{id}").into(),
        program: Box::new(ToyProgram(Arc::new(behaviour))),
        starts: true,
        is_node: true,
        clock: ClockSpec::default(),
    }
}

pub fn world(seed: u64, hosts: Vec<HostSpec>) -> WorldSpec {
    WorldSpec {
        seed: Seed(seed),
        hosts,
        net: NetSpec { latency: LatencyDist::Constant(MS), loss_ppm: 0, links: Vec::new() },
        disk: DiskSpec { write: LatencyDist::Constant(0), fsync: LatencyDist::Constant(5 * MS) },
        event_budget: 1_000_000,
        wall_watchdog: Duration::from_secs(60),
    }
}

/// Runs and gives back what was seen.
pub fn run(spec: WorldSpec, recorder: Recorder) -> (Box<Recorder>, RunEndFacts) {
    let end = sim::host::run(spec, Box::new(recorder));
    let facts = RunEndFacts { reason: end.reason.clone(), at: end.at.0, inputs: end.inputs };
    (observer(end), facts)
}

pub struct RunEndFacts {
    pub reason: sim::host::EndReason,
    pub at: u64,
    pub inputs: u64,
}

fn observer(end: RunEnd) -> Box<Recorder> {
    end.observer_as::<Recorder>().expect("the recorder went in")
}

/// Answers every frame with the same frame.
pub fn echo(id: u32) -> HostSpec {
    host(id, |turn, input| {
        if let Some(Input::FrameReceived { connection, frame }) = input {
            turn.out.effects.push(Effect::Send { connection, frame });
        }
    })
}

/// Connects to `peer` at boot and sends 0, 1, 2, … at this interval.
pub fn sender(id: u32, peer: &'static str, interval: u64, count: u64) -> HostSpec {
    let connection = ConnectionId::outgoing(0);
    host(id, move |turn, input| match input {
        None => turn.connect(0, peer, 9092),
        Some(Input::ConnectionOpened { .. } | Input::TimerDue) if (turn.memory.len() as u64) < count => {
            turn.send(connection, turn.memory.len() as u64);
            turn.memory.push(0);
            *turn.deadline = Some(turn.now + Duration::from_micros(interval));
        }
        _ => {}
    })
}
