//! Faults of processes: crash, restart, shutdown, rolling restart, pause.

use broker::io::Input;
use broker::time::Duration;
use scenarios::model::{CrashMode, RollingMode, Verb};

use super::held::Undo;
use super::rolling::Course;
use super::strike::{Strike, Struck};
use crate::trace;
use crate::world::HostState;

/// Kills whoever of the targets lives.
pub(super) fn crash(strike: &mut Strike<'_>) -> Struck {
    let Verb::Crash { target, mode, .. } = strike.verb else { return Struck::NoEffect };
    let victims = strike.resolve(target);
    if victims.is_empty() {
        return Struck::NoTarget;
    }
    let is_wipe = *mode == CrashMode::Wipe;
    let is_lossy = *mode != CrashMode::Process;
    if !strike.is_allowed(&victims)
        || !strike.may_crash(&victims, is_lossy)
        || (is_wipe && !strike.may_lose_disks(&victims))
    {
        return Struck::Skipped;
    }
    let (mode, word) = match mode {
        CrashMode::Process => (trace::CrashMode::Process, "process crash"),
        CrashMode::Power => (trace::CrashMode::Power, "power loss"),
        CrashMode::Wipe => (trace::CrashMode::Wipe, "disk replaced"),
    };
    let down: Vec<_> = victims.into_iter().filter(|host| strike.control.crash(*host, mode)).collect();
    if down.is_empty() {
        return Struck::NoEffect;
    }
    let what = format!("{word} of {}", strike.names(&down));
    let undo = down.iter().map(|host| Undo::Start(*host)).collect();
    Struck::Did { targets: down, what, undo, isolated: Vec::new() }
}

/// Boots whoever of the targets is down.
pub(super) fn restart(strike: &mut Strike<'_>) -> Struck {
    let Verb::Restart { target } = strike.verb else { return Struck::NoEffect };
    let targets = strike.resolve(target);
    if targets.is_empty() {
        return Struck::NoTarget;
    }
    let up: Vec<_> = targets.into_iter().filter(|host| strike.control.start(*host)).collect();
    if up.is_empty() {
        return Struck::NoEffect;
    }
    up.iter().for_each(|host| strike.held.started(*host));
    let what = format!("restart of {}", strike.names(&up));
    Struck::Did { targets: up, what, undo: Vec::new(), isolated: Vec::new() }
}

/// Asks whoever of the targets runs to shut down. A paused machine does not hear it.
pub(super) fn shutdown(strike: &mut Strike<'_>) -> Struck {
    let Verb::Shutdown { target, .. } = strike.verb else { return Struck::NoEffect };
    let victims = strike.resolve(target);
    if victims.is_empty() {
        return Struck::NoTarget;
    }
    if !strike.is_allowed(&victims) {
        return Struck::Skipped;
    }
    let is_up = |host: &_| strike.control.state(*host) == HostState::Up;
    let told: Vec<_> = victims.into_iter().filter(is_up).collect();
    if told.is_empty() {
        return Struck::NoEffect;
    }
    told.iter().for_each(|host| strike.control.tell(*host, Input::ShutdownRequested));
    let what = format!("controlled shutdown of {}", strike.names(&told));
    let undo = told.iter().map(|host| Undo::StartWhenDown(*host)).collect();
    Struck::Did { targets: told.clone(), what, undo, isolated: told }
}

/// Restarts the targets that run, one after another.
pub(super) fn rolling_restart(strike: &mut Strike<'_>) -> Struck {
    let Verb::RollingRestart { target, mode, gap, down } = strike.verb else { return Struck::NoEffect };
    let mut targets = strike.resolve(target);
    if targets.is_empty() {
        return Struck::NoTarget;
    }
    targets.retain(|host| strike.control.state(*host) == HostState::Up);
    if targets.is_empty() {
        return Struck::NoEffect;
    }
    let word = match mode {
        RollingMode::Shutdown => "controlled",
        RollingMode::Process => "process crashes",
        RollingMode::Power => "power losses",
    };
    let what = format!("rolling restart of {} ({word})", strike.names(&targets));
    let (gap, down) = (Duration::from_micros(gap.0), Duration::from_micros(down.0));
    Struck::Began { targets, what, course: Course { mode: *mode, gap, down } }
}

/// Stops whoever of the targets runs, without killing it.
pub(super) fn pause(strike: &mut Strike<'_>) -> Struck {
    let Verb::Pause { target, .. } = strike.verb else { return Struck::NoEffect };
    let victims = strike.resolve(target);
    if victims.is_empty() {
        return Struck::NoTarget;
    }
    if !strike.is_allowed(&victims) {
        return Struck::Skipped;
    }
    let is_up = |host: &_| strike.control.state(*host) == HostState::Up;
    let up: Vec<_> = victims.into_iter().filter(is_up).collect();
    let paused: Vec<_> = up.into_iter().filter(|host| strike.control.pause(*host)).collect();
    if paused.is_empty() {
        return Struck::NoEffect;
    }
    let what = format!("pause of {}", strike.names(&paused));
    let undo = paused.iter().map(|host| Undo::Resume(*host)).collect();
    Struck::Did { targets: paused, what, undo, isolated: Vec::new() }
}
