//! Undoing what faults still hold.

use scenarios::model::{Heal, Verb};

use super::held::Held;
use super::strike::{Strike, Struck};
use crate::plan::Plan;
use crate::world::{Control, HostState};

/// The verb `heal`.
pub(super) fn heal(strike: &mut Strike<'_>) -> Struck {
    let Verb::Heal { heal } = strike.verb else { return Struck::NoEffect };
    let did = undo(heal, strike.plan, strike.held, strike.control);
    let what = match heal {
        Heal::All => "everything healed".to_owned(),
        Heal::Faults(ids) => format!("healed {}", ids.join(", ")),
    };
    match did {
        true => Struck::Did { targets: Vec::new(), what, undo: Vec::new(), isolated: Vec::new() },
        false => Struck::NoEffect,
    }
}

/// Undoes what faults hold; with `All`, machines that are down or paused for whatever reason run again.
/// `false`: there was nothing to undo.
pub(super) fn undo(heal: &Heal, plan: &Plan, held: &mut Held, control: &mut dyn Control) -> bool {
    match heal {
        Heal::Faults(ids) => held.release_faults(ids, control),
        Heal::All => {
            let mut did = held.release_all(control);
            for (host, _) in plan.hosts().filter(|(host, _)| !held.is_idle(*host)) {
                did |= match control.state(host) {
                    HostState::Down => control.start(host),
                    HostState::Paused => control.resume(host),
                    HostState::Up => false,
                };
            }
            did
        }
    }
}
