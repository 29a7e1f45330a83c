//! Faults of the network: cuts and bad links.

use scenarios::model::{Direction, Halves, LinkScope, Links, PartitionShape, Verb};

use super::held::Undo;
use super::strike::{Strike, Struck};
use super::target::split;
use crate::plan::HostId;
use crate::world::{Cut, LatencyDist, LinkEffect, TrafficClass};

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

/// The two sides of a cut that has two.
fn sides(strike: &mut Strike<'_>, shape: &PartitionShape) -> Option<(Vec<HostId>, Vec<HostId>)> {
    Some(match shape {
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
        PartitionShape::Groups(_) | PartitionShape::Bridge { .. } | PartitionShape::Ring { .. } => {
            return None;
        }
    })
}

/// A cut of more than two sides: who does not reach whom, who counts as cut off, and the same in words.
struct Web {
    members: Vec<HostId>,
    pairs: Vec<(Vec<HostId>, Vec<HostId>)>,
    cut_off: Vec<HostId>,
    words: String,
}

fn web(strike: &mut Strike<'_>, shape: &PartitionShape) -> Option<Web> {
    match shape {
        PartitionShape::Groups(targets) => {
            let groups: Vec<Vec<HostId>> = targets.iter().map(|target| strike.resolve(target)).collect();
            let mut pairs = Vec::new();
            for (place, one) in groups.iter().enumerate() {
                pairs.extend(groups[place + 1..].iter().map(|other| (one.clone(), other.clone())));
            }
            let largest = groups.iter().max_by_key(|group| group.len())?.clone();
            let members: Vec<HostId> = groups.iter().flatten().copied().collect();
            let cut_off = members.iter().copied().filter(|host| !largest.contains(host)).collect();
            let names: Vec<String> = groups.iter().map(|group| strike.names(group)).collect();
            Some(Web { members, pairs, cut_off, words: names.join(" | ") })
        }
        PartitionShape::Bridge { bridge } => {
            let bridge = strike.resolve(bridge);
            let mut rest = strike.plan.brokers();
            rest.extend(strike.plan.controllers());
            rest.sort();
            rest.dedup();
            rest.retain(|host| !bridge.contains(host));
            let (one, other) = split(rest, strike.dice);
            let words =
                format!("{} | {} over {}", strike.names(&one), strike.names(&other), strike.names(&bridge));
            let is_there = !bridge.is_empty() && !one.is_empty();
            let pairs = if is_there { vec![(one.clone(), other)] } else { Vec::new() };
            Some(Web { members: bridge, pairs, cut_off: one, words })
        }
        PartitionShape::Ring { ring } => {
            let members = strike.resolve(ring);
            let last = members.len().saturating_sub(1);
            let mut pairs = Vec::new();
            for one in 0..members.len() {
                let others = (one + 2..members.len()).filter(|other| (one, *other) != (0, last));
                pairs.extend(others.map(|other| (vec![members[one]], vec![members[other]])));
            }
            let words = format!("ring of {}", strike.names(&members));
            Some(Web { members, pairs, cut_off: Vec::new(), words })
        }
        PartitionShape::Isolate { .. } | PartitionShape::Halves(_) => None,
    }
}

/// Cuts the links of a shape.
pub(super) fn cut(strike: &mut Strike<'_>) -> Struck {
    let Verb::Partition { shape, one_way, links, .. } = strike.verb else { return Struck::NoEffect };
    let (classes, word) = classes(*links);
    if let Some((one, other)) = sides(strike, shape) {
        return cut_sides(strike, (one, other), *one_way, &classes, word);
    }
    let Some(Web { members, pairs, cut_off, words }) = web(strike, shape) else { return Struck::NoTarget };
    if members.is_empty() || pairs.iter().any(|(one, other)| one.is_empty() || other.is_empty()) {
        return Struck::NoTarget;
    }
    if pairs.is_empty() {
        return Struck::NoEffect;
    }
    let cut_off = if classes.is_empty() { cut_off } else { Vec::new() };
    if !strike.is_allowed(&cut_off) {
        return Struck::Skipped;
    }
    let mut undo = Vec::new();
    for (one, other) in &pairs {
        for (from, to) in [(one, other), (other, one)] {
            let cut = Cut { from: from.clone(), to: to.clone(), classes: classes.clone() };
            undo.push(Undo::Heal(strike.control.cut(cut)));
        }
    }
    let what = format!("{word} links cut: {words}");
    Struck::Did { targets: members, what, undo, isolated: cut_off }
}

fn cut_sides(
    strike: &mut Strike<'_>,
    (one, other): (Vec<HostId>, Vec<HostId>),
    one_way: Option<Direction>,
    classes: &[TrafficClass],
    word: &str,
) -> Struck {
    if one.is_empty() || other.is_empty() || (one.len() == 1 && one == other) {
        return Struck::NoTarget;
    }
    // `split` puts the smaller half first, so that it is the one which counts as cut off.
    let cut_off = if classes.is_empty() { one.clone() } else { Vec::new() };
    if !strike.is_allowed(&cut_off) {
        return Struck::Skipped;
    }
    let mut undo = Vec::new();
    let mut cut = |from: &[HostId], to: &[HostId]| {
        let cut = Cut { from: from.to_vec(), to: to.to_vec(), classes: classes.to_vec() };
        undo.push(Undo::Heal(strike.control.cut(cut)));
    };
    if one_way != Some(Direction::Inbound) || one == other {
        cut(&one, &other);
    }
    if one_way != Some(Direction::Outbound) && one != other {
        cut(&other, &one);
    }
    let arrow = match one_way {
        Some(Direction::Outbound) => "->",
        Some(Direction::Inbound) => "<-",
        None => "<->",
    };
    let what = format!("{word} links cut: {} {arrow} {}", strike.names(&one), strike.names(&other));
    Struck::Did { targets: one, what, undo, isolated: cut_off }
}

/// The two ends of a link effect.
fn ends(strike: &mut Strike<'_>, scope: &LinkScope) -> (Vec<HostId>, Vec<HostId>) {
    match scope {
        LinkScope::Between { one, other } => (strike.resolve(one), strike.resolve(other)),
        LinkScope::Node { target } => {
            let one = strike.resolve(target);
            let other = others(strike, &one);
            (one, other)
        }
    }
}

/// Makes links slow, lossy or narrow, in both directions.
pub(super) fn degrade(strike: &mut Strike<'_>) -> Struck {
    let Verb::Link { scope, delay, loss, bandwidth } = strike.verb else { return Struck::NoEffect };
    let (one, other) = ends(strike, scope);
    if one.is_empty() || other.is_empty() {
        return Struck::NoTarget;
    }
    let delay = delay.as_ref().map(LatencyDist::of).filter(|delay| *delay != LatencyDist::Constant(0));
    if delay.is_none() && loss.0 == 0 && bandwidth.is_none() {
        return Struck::NoEffect;
    }
    let mut words = Vec::new();
    match &delay {
        Some(LatencyDist::Constant(us)) => words.push(format!("{} slower", scenarios::model::Micros(*us))),
        Some(_) => words.push("slower by a draw".to_owned()),
        None => {}
    }
    if loss.0 > 0 {
        words.push(format!("{} in a million lost", loss.0));
    }
    words.extend(bandwidth.map(|bps| format!("{bps} bit/s")));
    let mut effect = |from: &[HostId], to: &[HostId]| {
        let (from, to) = (from.to_vec(), to.to_vec());
        let effect =
            LinkEffect { from, to, delay: delay.clone(), loss_ppm: loss.0, bandwidth_bps: *bandwidth };
        Undo::Heal(strike.control.degrade(effect))
    };
    let undo = vec![effect(&one, &other), effect(&other, &one)];
    let (names, rest) = (strike.names(&one), strike.names(&other));
    let what = format!("links {names} <-> {rest}: {}", words.join(", "));
    Struck::Did { targets: one, what, undo, isolated: Vec::new() }
}

/// Resets connections; both ends learn it.
pub(super) fn reset(strike: &mut Strike<'_>) -> Struck {
    let Verb::Reset { scope } = strike.verb else { return Struck::NoEffect };
    end_connections(strike, scope, true)
}

/// One end forgets its connections; the other learns it when it sends something.
pub(super) fn half_open(strike: &mut Strike<'_>) -> Struck {
    let Verb::HalfOpen { scope } = strike.verb else { return Struck::NoEffect };
    end_connections(strike, scope, false)
}

fn end_connections(strike: &mut Strike<'_>, scope: &LinkScope, is_told: bool) -> Struck {
    let (one, other) = ends(strike, scope);
    if one.is_empty() || other.is_empty() {
        return Struck::NoTarget;
    }
    let count = strike.control.reset(&one, &other, is_told);
    if count == 0 {
        return Struck::NoEffect;
    }
    let word = if is_told { "reset" } else { "forgotten by the first end" };
    let what = format!("{count} connections {word}: {} <-> {}", strike.names(&one), strike.names(&other));
    Struck::Did { targets: one, what, undo: Vec::new(), isolated: Vec::new() }
}
