//! What a run can see of the world and do to it.

use std::any::Any;

use broker::io::Input;
use broker::time::Instant;

use super::latency::LatencyDist;
use crate::plan::HostId;
use crate::trace::{CrashMode, Fact};

/// Classes of traffic that a fault can pick. A connection belongs to the class of the listener that it reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrafficClass {
    /// Clients to brokers.
    Client,
    /// Follower fetches.
    Replication,
    /// Quorum traffic and brokers to the controller.
    Controller,
}

/// A cut in one direction: frames from any of `from` to any of `to`, of these classes (empty: all), do not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Senders.
    pub from: Vec<HostId>,
    /// Receivers.
    pub to: Vec<HostId>,
    /// Empty means all.
    pub classes: Vec<TrafficClass>,
}

/// A worse link in one direction. Delays of several effects add; losses combine as 1-(1-p)(1-q).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkEffect {
    /// Senders.
    pub from: Vec<HostId>,
    /// Receivers.
    pub to: Vec<HostId>,
    /// Added to the latency, drawn for each frame.
    pub delay: Option<LatencyDist>,
    /// Probability of losing a transmission, in parts per million. The transport retransmits: loss shows as delay.
    pub loss_ppm: u32,
    /// Frames leave one after another at this rate, in bits per second. The narrowest of several counts.
    pub bandwidth_bps: Option<u64>,
}

/// What becomes of an intercepted message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// It waits until the rule is taken back, and so does what follows it on the same connection.
    Held,
    /// Its connection is reset instead.
    Reset,
    /// It vanishes; the connection lives on.
    Swallowed,
}

/// Messages of one kind that do not arrive as they should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intercept {
    /// The fault that wants it: facts name it.
    pub fault: String,
    /// The kind, in words.
    pub message: String,
    /// The API's key.
    pub api_key: i16,
    /// Its responses, otherwise its requests.
    pub is_response: bool,
    /// Senders of the message; `None`: anybody.
    pub from: Option<Vec<HostId>>,
    /// Receivers of the message; `None`: anybody.
    pub to: Option<Vec<HostId>>,
    /// Only on connections of this class.
    pub class: Option<TrafficClass>,
    /// Only the n-th that matches, from 1.
    pub nth: Option<u32>,
    /// What becomes of it.
    pub fate: Fate,
}

/// Names a cut, link effect or interception so that it can be taken back alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CutId(pub u64);

/// What a machine is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostState {
    /// Runs.
    Up,
    /// Lives but does not run.
    Paused,
    /// Does not live.
    Down,
}

/// What can be done to the world. Each call takes effect at once and records its own facts
/// (`Started`, `Stopped`, `Paused`, ...); calls that change nothing return `false`.
pub trait Control {
    /// World time.
    fn now(&self) -> Instant;
    /// State of a machine.
    fn state(&self, host: HostId) -> HostState;
    /// Stops a machine. `false` if it is down.
    fn crash(&mut self, host: HostId, mode: CrashMode) -> bool;
    /// Boots a machine that is down. `false` if it is not.
    fn start(&mut self, host: HostId) -> bool;
    /// `false` unless it is up.
    fn pause(&mut self, host: HostId) -> bool;
    /// `false` unless it is paused.
    fn resume(&mut self, host: HostId) -> bool;
    /// Cuts links; frames under way are held back too.
    fn cut(&mut self, cut: Cut) -> CutId;
    /// Makes links worse.
    fn degrade(&mut self, effect: LinkEffect) -> CutId;
    /// Keeps messages of a kind from arriving.
    fn intercept(&mut self, what: Intercept) -> CutId;
    /// Takes one cut, link effect or interception back; what was held arrives. `false` if it is gone already.
    fn heal(&mut self, id: CutId) -> bool;
    /// Ends the open connections between machines of `from` and of `to`: the ends on `from` now; the others learn it after
    /// a trip or, unless `is_told`, when they next send something. Returns how many there were.
    fn reset(&mut self, from: &[HostId], to: &[HostId], is_told: bool) -> usize;
    /// Asks the operator's question to a machine (such as `ShutdownRequested`) as its next input.
    fn tell(&mut self, host: HostId, input: Input);
    /// Has [`Observer::alarm`] called at this world time (several may be pending).
    fn wake_at(&mut self, at: Instant);
    /// Ends the run: nothing more is delivered.
    fn end_run(&mut self);
}

/// Who watches a run: recorder, judge and nemesis behind one door.
///
/// It first gets to act after the first machine's boot. Facts of what it does are told to it as soon as it returns. `Any`
/// lets the caller of a run have its own type back.
pub trait Observer: Any + Send {
    /// A machine is about to be given an input. `host` and the input are part of the fingerprint.
    fn input(&mut self, at: Instant, host: HostId, input: &Input);
    /// Something happened.
    fn fact(&mut self, at: Instant, host: Option<HostId>, fact: Fact);
    /// A step is over and its effects are carried out: no other event lies between the facts of the step and this call,
    /// so a condition hits a window one event wide.
    fn after_step(&mut self, control: &mut dyn Control);
    /// A time asked for by `wake_at` has come.
    fn alarm(&mut self, control: &mut dyn Control);
}
