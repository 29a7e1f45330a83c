//! Directed pairs of machines: latency, loss, cuts.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::RngCore;

use crate::seed::{ChaCha8Rng, Seed};
use crate::world::agenda::Agenda;
use crate::world::control::{Cut, CutId, LinkEffect, TrafficClass};
use crate::world::latency::Sampler;
use crate::world::spec::NetSpec;

const MILLION: u64 = 1_000_000;
/// A machine talking to itself, in microseconds. Source: ours.
const LOOPBACK_US: u64 = 20;
/// Traffic classes.
const CLASSES: usize = 3;

struct Link {
    sampler: Arc<Sampler>,
    base_loss_ppm: u32,
    /// Made at the first draw: most pairs of machines never talk.
    rng: Option<Box<ChaCha8Rng>>,
    /// How many cuts hold each class back.
    cuts: [u16; CLASSES],
    /// Added to every transmission.
    delays: Vec<Arc<Sampler>>,
    /// For those: effects move no draw of the link itself.
    delay_rng: Option<Box<ChaCha8Rng>>,
    bandwidth_bps: Option<u64>,
    /// Until then the link is busy with what was sent before.
    busy_until: u64,
    loss_ppm: u32,
}

/// All links, and what was done to them.
pub(crate) struct Links {
    seed: Seed,
    hosts: usize,
    links: Vec<Link>,
    cuts: BTreeMap<CutId, Cut>,
    effects: BTreeMap<CutId, LinkEffect>,
    last_id: u64,
}

impl Links {
    pub(crate) fn new(seed: Seed, hosts: usize, spec: &NetSpec) -> Links {
        let usual = Arc::new(Sampler::new(&spec.latency));
        let loopback = Arc::new(Sampler::Constant(LOOPBACK_US));
        let mut links: Vec<Link> = (0..hosts * hosts)
            .map(|i| {
                let is_loopback = i / hosts == i % hosts;
                let sampler = if is_loopback { loopback.clone() } else { usual.clone() };
                let loss_ppm = if is_loopback { 0 } else { spec.loss_ppm };
                Link {
                    sampler,
                    base_loss_ppm: loss_ppm,
                    rng: None,
                    cuts: [0; CLASSES],
                    delays: Vec::new(),
                    delay_rng: None,
                    bandwidth_bps: None,
                    busy_until: 0,
                    loss_ppm,
                }
            })
            .collect();
        for exception in &spec.links {
            let sampler = exception.latency.as_ref().map(|dist| Arc::new(Sampler::new(dist)));
            for (from, to) in pairs(&exception.from, &exception.to, hosts) {
                let link = &mut links[from * hosts + to];
                if let Some(sampler) = &sampler {
                    link.sampler = sampler.clone();
                }
                link.base_loss_ppm = exception.loss_ppm.unwrap_or(link.base_loss_ppm);
                link.loss_ppm = link.base_loss_ppm;
            }
        }
        Links { seed, hosts, links, cuts: BTreeMap::new(), effects: BTreeMap::new(), last_id: 0 }
    }

    /// One transmission: its latency, or `None` if it is lost or held back.
    pub(crate) fn transmit(&mut self, from: u32, to: u32, class: TrafficClass) -> Option<u64> {
        let seed = self.seed;
        let link = &mut self.links[from as usize * self.hosts + to as usize];
        if link.cuts[class as usize] > 0 {
            return None;
        }
        let rng = link.rng.get_or_insert_with(|| Box::new(seed.stream(&format!("net/link/{from}-{to}"))));
        if link.loss_ppm > 0 && (u64::from(rng.next_u32()) * MILLION) >> 32 < u64::from(link.loss_ppm) {
            return None;
        }
        let mut latency = link.sampler.sample(rng);
        if !link.delays.is_empty() {
            let rng = link
                .delay_rng
                .get_or_insert_with(|| Box::new(seed.stream(&format!("net/delay/{from}-{to}"))));
            latency = link.delays.iter().fold(latency, |sum, delay| sum.saturating_add(delay.sample(rng)));
        }
        Some(latency.min(Agenda::NEVER))
    }

    /// One transmission of so many bytes, which wait until the link has carried what was sent before.
    pub(crate) fn carry(
        &mut self,
        now: u64,
        (from, to, class): (u32, u32, TrafficClass),
        bytes: u64,
    ) -> Option<u64> {
        let latency = self.transmit(from, to, class)?;
        let link = &mut self.links[from as usize * self.hosts + to as usize];
        let Some(bps) = link.bandwidth_bps else { return Some(latency) };
        let takes = (u128::from(bytes) * 8 * u128::from(MILLION)).div_ceil(u128::from(bps.max(1)));
        link.busy_until =
            link.busy_until.max(now).saturating_add(u64::try_from(takes).unwrap_or(Agenda::NEVER));
        Some((link.busy_until - now).saturating_add(latency).min(Agenda::NEVER))
    }

    /// Is this class held back in this direction?
    pub(crate) fn is_cut(&self, from: u32, to: u32, class: TrafficClass) -> bool {
        self.links[from as usize * self.hosts + to as usize].cuts[class as usize] > 0
    }

    pub(crate) fn cut(&mut self, cut: Cut) -> CutId {
        self.count_cut(&cut, 1);
        let id = self.next_id();
        self.cuts.insert(id, cut);
        id
    }

    pub(crate) fn degrade(&mut self, effect: LinkEffect) -> CutId {
        let id = self.next_id();
        self.effects.insert(id, effect);
        self.recompute_effects();
        id
    }

    pub(crate) fn heal(&mut self, id: CutId) -> bool {
        if let Some(cut) = self.cuts.remove(&id) {
            self.count_cut(&cut, -1);
            return true;
        }
        let was_there = self.effects.remove(&id).is_some();
        if was_there {
            self.recompute_effects();
        }
        was_there
    }

    /// The youngest id that was given out.
    pub(super) fn last_id(&self) -> u64 {
        self.last_id
    }

    pub(super) fn next_id(&mut self) -> CutId {
        self.last_id += 1;
        CutId(self.last_id)
    }

    fn count_cut(&mut self, cut: &Cut, by: i16) {
        const ALL: [TrafficClass; CLASSES] =
            [TrafficClass::Client, TrafficClass::Replication, TrafficClass::Controller];
        for (from, to) in pairs(&cut.from, &cut.to, self.hosts).filter(|(from, to)| from != to) {
            for class in ALL.into_iter().filter(|class| cut.classes.is_empty() || cut.classes.contains(class))
            {
                let count = &mut self.links[from * self.hosts + to].cuts[class as usize];
                *count = count.saturating_add_signed(by);
            }
        }
    }

    fn recompute_effects(&mut self) {
        for link in &mut self.links {
            link.delays.clear();
            (link.bandwidth_bps, link.loss_ppm) = (None, link.base_loss_ppm);
        }
        for effect in self.effects.values() {
            let delay = effect.delay.as_ref().map(|delay| Arc::new(Sampler::new(delay)));
            for (from, to) in pairs(&effect.from, &effect.to, self.hosts).filter(|(from, to)| from != to) {
                let link = &mut self.links[from * self.hosts + to];
                link.delays.extend(delay.clone());
                link.bandwidth_bps = link.bandwidth_bps.into_iter().chain(effect.bandwidth_bps).min();
                link.loss_ppm = either_ppm(link.loss_ppm, effect.loss_ppm);
            }
        }
    }
}

/// 1-(1-p)(1-q), in parts per million.
fn either_ppm(p: u32, q: u32) -> u32 {
    let keep = |ppm: u32| MILLION - u64::from(ppm).min(MILLION);
    (MILLION - keep(p) * keep(q) / MILLION) as u32
}

fn pairs<'a>(
    from: &'a [crate::plan::HostId],
    to: &'a [crate::plan::HostId],
    hosts: usize,
) -> impl Iterator<Item = (usize, usize)> + 'a {
    from.iter()
        .flat_map(move |a| to.iter().map(move |b| (a.0 as usize, b.0 as usize)))
        .filter(move |&(a, b)| a < hosts && b < hosts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::HostId;
    use crate::world::latency::LatencyDist;

    fn links() -> Links {
        Links::new(Seed(1), 3, &NetSpec { latency: LatencyDist::Constant(100), loss_ppm: 0, links: vec![] })
    }

    #[test]
    fn a_cut_has_one_direction_and_its_classes_and_overlapping_cuts_count() {
        let mut links = links();
        let cut =
            Cut { from: vec![HostId(0)], to: vec![HostId(1)], classes: vec![TrafficClass::Replication] };
        let all = Cut { classes: vec![], ..cut.clone() };
        let (a, b) = (links.cut(cut), links.cut(all));
        assert!(links.is_cut(0, 1, TrafficClass::Replication) && links.is_cut(0, 1, TrafficClass::Client));
        assert!(!links.is_cut(1, 0, TrafficClass::Replication));
        assert!(links.heal(b) && !links.heal(b));
        assert!(links.is_cut(0, 1, TrafficClass::Replication) && !links.is_cut(0, 1, TrafficClass::Client));
        assert!(links.heal(a) && !links.is_cut(0, 1, TrafficClass::Replication));
    }

    #[test]
    fn delays_add_and_losses_combine() {
        let mut links = links();
        let effect = LinkEffect {
            from: vec![HostId(0)],
            to: vec![HostId(1)],
            delay: Some(LatencyDist::Constant(50)),
            loss_ppm: 0,
            bandwidth_bps: None,
        };
        let a = links.degrade(effect.clone());
        links.degrade(effect);
        assert_eq!(links.transmit(0, 1, TrafficClass::Client), Some(200));
        assert_eq!(links.transmit(1, 0, TrafficClass::Client), Some(100));
        links.heal(a);
        assert_eq!(links.transmit(0, 1, TrafficClass::Client), Some(150));
        assert_eq!(either_ppm(500_000, 500_000), 750_000);
    }

    #[test]
    fn a_narrow_link_carries_one_frame_after_another_and_the_narrowest_effect_counts() {
        let mut links = links();
        let narrow = |bps| LinkEffect {
            from: vec![HostId(0)],
            to: vec![HostId(1)],
            delay: None,
            loss_ppm: 0,
            bandwidth_bps: Some(bps),
        };
        let id = links.degrade(narrow(8_000));
        links.degrade(narrow(8_000_000));
        let way = (0, 1, TrafficClass::Client);
        assert_eq!(links.carry(0, way, 100), Some(100_100), "a byte takes a millisecond");
        assert_eq!(links.carry(50_000, way, 100), Some(150_100), "after the one before");
        assert_eq!(links.carry(0, (1, 0, TrafficClass::Client), 100), Some(100), "the other way is wide");
        links.heal(id);
        assert_eq!(links.carry(1_000_000, way, 100), Some(200));
    }

    #[test]
    fn a_delay_is_drawn_for_each_message_and_moves_no_latency() {
        let spec =
            NetSpec { latency: LatencyDist::Uniform { min: 0, max: 1_000 }, loss_ppm: 0, links: vec![] };
        let draws = |links: &mut Links| {
            (0..20).map(|_| links.transmit(0, 1, TrafficClass::Client).unwrap_or(0)).collect::<Vec<_>>()
        };
        let (mut plain, mut slow) = (Links::new(Seed(1), 3, &spec), Links::new(Seed(1), 3, &spec));
        slow.degrade(LinkEffect {
            from: vec![HostId(0)],
            to: vec![HostId(1)],
            delay: Some(LatencyDist::Exp { mean: 1_000_000 }),
            loss_ppm: 0,
            bandwidth_bps: None,
        });
        let extra: std::collections::BTreeSet<u64> =
            draws(&mut plain).into_iter().zip(draws(&mut slow)).map(|(plain, slow)| slow - plain).collect();
        assert!(extra.len() > 15, "{extra:?}");
    }

    #[test]
    fn a_draw_on_one_link_moves_no_other() {
        let spec =
            NetSpec { latency: LatencyDist::Uniform { min: 0, max: 1 << 40 }, loss_ppm: 0, links: vec![] };
        let mut alone = Links::new(Seed(1), 3, &spec);
        let mut busy = Links::new(Seed(1), 3, &spec);
        busy.transmit(1, 2, TrafficClass::Client);
        assert_eq!(alone.transmit(0, 1, TrafficClass::Client), busy.transmit(0, 1, TrafficClass::Client));
    }
}
