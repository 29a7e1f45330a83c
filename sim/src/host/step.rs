//! One input, one step, its effects, its facts. All of it happens under one lock, at one moment of world time.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use broker::io::{Effect, Input};
use broker::time::Instant;

use crate::plan::HostId;
use crate::trace::{Fact, StopKind};
use crate::world::core::EndReason;
use crate::world::panics::caught;
use crate::world::plugin::Sim;
use crate::world::{Boot, Control, HostState, Outputs};

/// Gives a machine its next turn: its boot, or one input. `false` if there is nothing to do.
pub(super) fn turn(sim: &mut Sim, host: u32) -> bool {
    let core = &mut sim.core;
    let slot = &mut core.hosts[host as usize];
    if core.end.is_some() || slot.state != HostState::Up {
        return false;
    }
    let boots = slot.machine.is_none();
    let mut outputs = std::mem::take(&mut sim.outputs);
    let failure = if boots {
        boot(sim, host, &mut outputs)
    } else {
        let Some(input) = slot.next_input(host, core.now, &mut core.agenda) else {
            sim.outputs = outputs;
            return false;
        };
        if core.inputs >= core.event_budget {
            core.end(EndReason::EventBudget);
            return false;
        }
        step(sim, host, input, &mut outputs)
    };
    let halted = carry_out(sim, host, &mut outputs);
    sim.outputs = outputs;
    match failure.or(halted) {
        Some(kind) => sim.core.stop(host, kind),
        None => sim.core.after_machine(host),
    }
    tell_facts(sim);
    observe(sim, |observer, control| observer.after_step(control));
    true
}

fn boot(sim: &mut Sim, host: u32, out: &mut Outputs) -> Option<StopKind> {
    let core = &mut sim.core;
    let slot = &mut core.hosts[host as usize];
    let incarnation = slot.incarnation;
    let seed = core.seed.derive(&format!("node/{host}/{incarnation}"));
    let (program, disk, now) = (&slot.program, &mut slot.disk, slot.clock.read(core.now));
    match caught(|| program.boot(Boot { now, disk, seed, incarnation, out })) {
        Ok(Ok(machine)) => {
            slot.machine = Some(machine);
            None
        }
        Ok(Err(reason)) => Some(StopKind::Halt { reason: format!("failed to boot: {reason}") }),
        Err(message) => Some(StopKind::Panic { message }),
    }
}

fn step(sim: &mut Sim, host: u32, input: Input, out: &mut Outputs) -> Option<StopKind> {
    let core = &mut sim.core;
    core.inputs += 1;
    core.frames += u64::from(matches!(input, Input::FrameReceived { .. }));
    if let Some(observer) = &mut sim.observer {
        observer.input(Instant(core.now), HostId(host), &input);
    }
    let slot = &mut core.hosts[host as usize];
    let now = slot.clock.read(core.now);
    let (machine, disk) = (slot.machine.as_mut()?, &mut slot.disk);
    caught(|| machine.step(now, input, disk, out)).err().map(|message| StopKind::Panic { message })
}

/// Effects in order, then history. After a halt only facts count. Returns why the machine stops, if it does.
fn carry_out(sim: &mut Sim, host: u32, out: &mut Outputs) -> Option<StopKind> {
    let mut stop = None;
    let at = Instant(sim.core.now);
    for effect in out.effects.list.drain(..) {
        let (net, mut around) = sim.core.net();
        match effect {
            Effect::Observe(observation) => {
                if let Some(observer) = &mut sim.observer {
                    observer.fact(at, Some(HostId(host)), Fact::Node(observation));
                }
            }
            _ if stop.is_some() => {}
            Effect::Send { connection, frame } => net.send(&mut around, host, connection, frame),
            Effect::Connect { connection, to } => {
                let refused = net.connect(&mut around, host, connection, &to);
                stop = refused.err().map(|message| StopKind::Panic { message });
            }
            Effect::Close { connection } => net.close(&mut around, host, connection),
            Effect::Halt { reason } => stop = Some(StopKind::Halt { reason }),
        }
    }
    for event in out.history.drain(..) {
        if let Some(observer) = &mut sim.observer {
            observer.fact(at, Some(HostId(host)), Fact::Client(event));
        }
    }
    stop
}

/// Lets the observer act on the world; what it does is told to it right after.
pub(super) fn observe(sim: &mut Sim, call: impl FnOnce(&mut dyn crate::world::Observer, &mut dyn Control)) {
    if let Some(mut observer) = sim.observer.take() {
        let result = catch_unwind(AssertUnwindSafe(|| call(observer.as_mut(), &mut sim.core)));
        sim.observer = Some(observer);
        if let Err(payload) = result {
            resume_unwind(payload); // a bug of the judge: the run is over, but what it saw is not lost
        }
    }
    tell_facts(sim);
}

/// Tells the observer what the world did.
pub(super) fn tell_facts(sim: &mut Sim) {
    let at = Instant(sim.core.now);
    for (host, fact) in sim.core.facts.drain(..) {
        if let Some(observer) = &mut sim.observer {
            observer.fact(at, host, fact);
        }
    }
}
