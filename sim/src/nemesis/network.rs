//! Faults of the network: cuts and bad links.

use broker::time::Duration;
use scenarios::model::{Direction, Halves, LinkScope, Links, PartitionShape, Verb};

use super::held::Undo;
use super::strike::{Strike, Struck};
use super::target::split;
use crate::plan::{HostId, sample};
use crate::world::{Cut, LinkEffect, TrafficClass};

fn classes(links: Links) -> (Vec<TrafficClass>, &'static str) {
    match links {
        Links::All => (Vec::new(), "all"),
        Links::Replication => (vec![TrafficClass::Replication], "replication"),
        Links::Controller => (vec![TrafficClass::Controller], "controller"),
        Links::Client => (vec![TrafficClass::Client], "client"),
    }
}

/// Everybody who is not in `hosts`.
fn others(strike: &Strike<'_>, hosts: &[HostId]) -> Vec<HostId> {
    strike.plan.hosts().map(|(id, _)| id).filter(|id| !hosts.contains(id)).collect()
}

/// The two sides of the cut.
fn sides(strike: &mut Strike<'_>, shape: &PartitionShape) -> (Vec<HostId>, Vec<HostId>) {
    match shape {
        PartitionShape::Isolate { isolate, from } => {
            let one = strike.resolve(isolate);
            let mut other = match from {
                Some(from) => strike.resolve(from),
                None => others(strike, &one),
            };
            // A set that is isolated from itself falls apart: all links inside it are cut.
            if one != other {
                other.retain(|host| !one.contains(host));
            }
            (one, other)
        }
        PartitionShape::Halves(Halves::Drawn { of }) => {
            let members = strike.resolve(of);
            split(members, strike.dice)
        }
        PartitionShape::Halves(Halves::Given { one, other }) => {
            let one = strike.resolve(one);
            let other = strike.resolve(other);
            (one, other)
        }
    }
}

/// Cuts the links between two sides.
pub(super) fn cut(strike: &mut Strike<'_>) -> Struck {
    let Verb::Partition { shape, one_way, links, .. } = strike.verb else { return Struck::NoEffect };
    let (one, other) = sides(strike, shape);
    if one.is_empty() || other.is_empty() || (one.len() == 1 && one == other) {
        return Struck::NoTarget;
    }
    // `split` puts the smaller half first, so that it is the one which counts as cut off.
    let cut_off = if *links == Links::All { one.clone() } else { Vec::new() };
    if !strike.is_allowed(&cut_off) {
        return Struck::Skipped;
    }
    let (classes, word) = classes(*links);
    let mut undo = Vec::new();
    let mut arrow = "<->";
    let mut cut = |from: &[HostId], to: &[HostId]| {
        let cut = Cut { from: from.to_vec(), to: to.to_vec(), classes: classes.clone() };
        undo.push(Undo::Heal(strike.control.cut(cut)));
    };
    if *one_way != Some(Direction::Inbound) || one == other {
        cut(&one, &other);
    }
    if *one_way != Some(Direction::Outbound) && one != other {
        cut(&other, &one);
    }
    match one_way {
        Some(Direction::Outbound) => arrow = "->",
        Some(Direction::Inbound) => arrow = "<-",
        None => {}
    }
    let what = format!("{word} links cut: {} {arrow} {}", strike.names(&one), strike.names(&other));
    Struck::Did { targets: one, what, undo, isolated: cut_off }
}

/// Makes links slow or lossy, in both directions. The delay is drawn once a strike.
/// Differs from the language: a delay distribution gives one delay per strike, not one per message.
pub(super) fn degrade(strike: &mut Strike<'_>) -> Struck {
    let Verb::Link { scope, delay, loss } = strike.verb else { return Struck::NoEffect };
    let (one, other) = match scope {
        LinkScope::Between { one, other } => (strike.resolve(one), strike.resolve(other)),
        LinkScope::Node { target } => {
            let one = strike.resolve(target);
            let other = others(strike, &one);
            (one, other)
        }
    };
    if one.is_empty() || other.is_empty() {
        return Struck::NoTarget;
    }
    let delay_us = delay.as_ref().map_or(0, |delay| sample(delay, strike.dice));
    if delay_us == 0 && loss.0 == 0 {
        return Struck::NoEffect;
    }
    let mut effect = |from: &[HostId], to: &[HostId]| {
        let delay = Duration::from_micros(delay_us);
        let effect = LinkEffect { from: from.to_vec(), to: to.to_vec(), delay, loss_ppm: loss.0 };
        Undo::Heal(strike.control.degrade(effect))
    };
    let undo = vec![effect(&one, &other), effect(&other, &one)];
    let delay = scenarios::model::Micros(delay_us);
    let (names, rest) = (strike.names(&one), strike.names(&other));
    let what = format!("links {names} <-> {rest}: {delay} slower, {} in a million lost", loss.0);
    Struck::Did { targets: one, what, undo, isolated: Vec::new() }
}
