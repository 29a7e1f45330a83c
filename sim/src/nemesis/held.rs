//! What faults still hold, and how it is undone.

use crate::plan::HostId;
use crate::trace::WorldFact;
use crate::world::{Control, CutId, HostState};

/// How one effect is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undo {
    /// Boot a machine that was crashed.
    Start(HostId),
    /// Boot a machine that was told to shut down, as soon as it has.
    StartWhenDown(HostId),
    /// Let a machine run again.
    Resume(HostId),
    /// Take back a cut or a link effect.
    Heal(CutId),
}

#[derive(Debug, Clone)]
struct Grip {
    fault: String,
    n: u32,
    undo: Vec<Undo>,
    /// Machines that this effect takes out of the cluster although they run.
    isolated: Vec<HostId>,
}

/// Every effect that is still there, in the order in which it struck.
#[derive(Debug, Clone, Default)]
pub struct Held {
    grips: Vec<Grip>,
    healed: Vec<(String, u32)>,
    /// Machines that have never run, and are not to run before a fault starts them.
    idle: Vec<HostId>,
    /// On their way down, and to be started then.
    awaited: Vec<HostId>,
}

impl Held {
    /// Nothing is broken; these machines have not been put into service yet.
    pub(super) fn with_idle(idle: &[HostId]) -> Held {
        Held { idle: idle.to_vec(), ..Held::default() }
    }

    /// Is the machine not in service yet? Nothing that heals starts it.
    pub(super) fn is_idle(&self, host: HostId) -> bool {
        self.idle.contains(&host)
    }

    /// Remembers what the `n`-th strike of a fault did.
    pub(super) fn hold(&mut self, fault: &str, n: u32, undo: Vec<Undo>, isolated: Vec<HostId>) {
        if !undo.is_empty() {
            self.grips.push(Grip { fault: fault.to_owned(), n, undo, isolated });
        }
    }

    /// Undoes what one strike still holds.
    pub(super) fn release(&mut self, fault: &str, n: u32, control: &mut dyn Control) -> bool {
        self.release_where(control, |grip| grip.fault == fault && grip.n == n)
    }

    /// Undoes what these faults still hold. `false`: nothing.
    pub(super) fn release_faults(&mut self, faults: &[String], control: &mut dyn Control) -> bool {
        self.release_where(control, |grip| faults.contains(&grip.fault))
    }

    /// Undoes everything. `false`: nothing.
    pub(super) fn release_all(&mut self, control: &mut dyn Control) -> bool {
        self.release_where(control, |_| true)
    }

    fn release_where(&mut self, control: &mut dyn Control, mut choose: impl FnMut(&Grip) -> bool) -> bool {
        let (chosen, rest): (Vec<Grip>, Vec<Grip>) =
            std::mem::take(&mut self.grips).into_iter().partition(|grip| choose(grip));
        self.grips = rest;
        for grip in &chosen {
            for undo in &grip.undo {
                match undo {
                    Undo::Start(host) => control.start(*host),
                    Undo::StartWhenDown(host) => self.start_when_down(*host, control),
                    // Another fault may still hold it.
                    Undo::Resume(host) => !self.holds(Undo::Resume(*host)) && control.resume(*host),
                    Undo::Heal(cut) => control.heal(*cut),
                };
            }
            self.healed.push((grip.fault.clone(), grip.n));
        }
        !chosen.is_empty()
    }

    fn holds(&self, undo: Undo) -> bool {
        self.grips.iter().any(|grip| grip.undo.contains(&undo))
    }

    /// Starts a machine that is down, or will be.
    pub(super) fn start_when_down(&mut self, host: HostId, control: &mut dyn Control) -> bool {
        let is_down = control.state(host) == HostState::Down;
        if !is_down && !self.awaited.contains(&host) {
            self.awaited.push(host);
        }
        is_down && control.start(host)
    }

    /// Starts who was awaited and is down now.
    pub(super) fn start_awaited(&mut self, control: &mut dyn Control) {
        self.awaited.retain(|host| control.state(*host) != HostState::Down || !control.start(*host));
    }

    /// Is somebody awaited?
    pub(super) fn awaits(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// A machine was started by other means: no fault holds it down any more.
    pub(super) fn started(&mut self, host: HostId) {
        self.idle.retain(|idle| *idle != host);
        self.awaited.retain(|awaited| *awaited != host);
        for grip in &mut self.grips {
            grip.undo.retain(|undo| ![Undo::Start(host), Undo::StartWhenDown(host)].contains(undo));
            if grip.undo.is_empty() {
                self.healed.push((grip.fault.clone(), grip.n));
            }
        }
        self.grips.retain(|grip| !grip.undo.is_empty());
    }

    /// What was healed since the last call, as facts.
    pub(super) fn take_healed(&mut self) -> Vec<WorldFact> {
        let healed = std::mem::take(&mut self.healed);
        healed.into_iter().map(|(id, n)| WorldFact::FaultHealed { id, n }).collect()
    }

    /// Is this machine out of the cluster: down, paused or isolated?
    pub(super) fn is_impaired(&self, host: HostId, control: &dyn Control) -> bool {
        (control.state(host) != HostState::Up && !self.is_idle(host))
            || self.grips.iter().any(|grip| grip.isolated.contains(&host))
    }
}
