//! The second opinion on `log-matching`: keeps whole logs, compares each with each, and must say the same of any history.
//!
//! The check compares one hash per event with what it remembers of leaders and of what is committed. This twin remembers
//! nothing but the logs themselves, batch by batch, and looks at all of them every few events. Both are given random
//! histories, most of them bad: a cluster on paper whose followers sometimes copy another batch than their leader's.

use broker::ids::Offset;
use broker::trace::{AppendRole, BatchFact};

use super::fixture::*;

/// Random numbers enough for a history on paper (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % limit
    }
}

/// Three whole logs, everything that leaders wrote, and what is committed.
#[derive(Default)]
struct Twin {
    logs: [Vec<BatchFact>; 3],
    marks: [Offset; 3],
    /// For each epoch, the whole log of its leader, as long as it ever was.
    lines: Vec<Vec<BatchFact>>,
    committed: Vec<BatchFact>,
    has_objected: bool,
}

impl Twin {
    fn end(&self, host: usize) -> Offset {
        self.logs[host].last().map_or(0, |batch| batch.last_offset + 1)
    }

    /// P-6: a copied batch and everything below is what the leader of its epoch had. P-5: below its high watermark each log
    /// is what is committed.
    fn look(&mut self) {
        for (log, mark) in self.logs.iter().zip(self.marks) {
            for (at, batch) in log.iter().enumerate() {
                let line = self.lines.get(batch.leader_epoch as usize);
                let is_written = line.is_some_and(|line| line.get(..=at) == Some(&log[..=at]));
                self.has_objected |= !is_written;
            }
            let both = log.iter().zip(&self.committed).filter(|(batch, _)| batch.last_offset < mark);
            let mut below = both;
            self.has_objected |= below.any(|(own, committed)| own != committed);
        }
    }
}

/// One random history: what the check says, and what its twin says. `spoils`: one copy in so many is another batch.
fn history(seed: u64, spoils: u64, looks_every: u64) -> (bool, bool) {
    let mut dice = Dice(seed);
    let mut twin = Twin { lines: vec![Vec::new()], ..Twin::default() };
    let mut paper = Paper::started(config());
    let mut leader = 0_usize;
    let mut crc = 0;
    for step in 0..120 {
        let epoch = twin.lines.len() as i32 - 1;
        match dice.below(8) {
            0..=2 => {
                crc += 1;
                let batch = batch(twin.end(leader), 1 + dice.below(3) as i64, epoch, crc);
                twin.logs[leader].push(batch);
                twin.lines[epoch as usize] = twin.logs[leader].clone();
                paper.append(leader as u32, AppendRole::Leader(epoch), batch);
            }
            3..=5 => {
                let host = (leader + 1 + dice.below(2) as usize) % 3;
                let at = twin.logs[host].len();
                let Some(mut next) = twin.logs[leader].get(at).copied() else { continue };
                if spoils > 0 && dice.below(spoils) == 0 {
                    next.crc = 1_000_000 + crc;
                }
                twin.logs[host].push(next);
                paper.append(host as u32, AppendRole::Follower, next);
            }
            6 => {
                // What all three have is committed, and somebody hears of it.
                let shared = (0..3).map(|host| twin.end(host)).min().unwrap_or(0);
                let batches = twin.logs[leader].iter().take_while(|batch| batch.last_offset < shared);
                let (batches, before) = (batches.copied().collect::<Vec<_>>(), twin.marks[leader]);
                let to = batches.last().map_or(0, |batch| batch.last_offset + 1);
                if to <= before {
                    continue;
                }
                twin.committed = batches;
                twin.marks[leader] = to;
                paper.commit(leader as u32, epoch, before, to);
                let host = (leader + 1) % 3;
                if to <= twin.end(host) {
                    paper.high_watermark(host as u32, twin.marks[host], to, twin.end(host), None);
                    twin.marks[host] = to;
                }
            }
            _ => {
                // Another leader; everybody cuts what it does not have, as KIP-101 wants it.
                leader = (leader + 1) % 3;
                let own = twin.logs[leader].clone();
                for host in 0..3 {
                    let same = twin.logs[host].iter().zip(&own).take_while(|(a, b)| a == b).count();
                    let (from, cut) = (twin.end(host), same < twin.logs[host].len());
                    twin.logs[host].truncate(same);
                    let to = twin.end(host);
                    twin.marks[host] = twin.marks[host].min(to);
                    if cut {
                        paper.cut(host as u32, from, to);
                    }
                }
                twin.lines.push(own);
                let next = epoch + 1;
                paper.elect(Some(leader as i32), next, &[0, 1, 2]).lead(
                    leader as u32,
                    next,
                    twin.end(leader),
                );
            }
        }
        if step % looks_every == 0 {
            twin.look();
        }
    }
    twin.look();
    (paper.verdict("log-matching").count > 0, twin.has_objected)
}

#[test]
fn good_histories_please_both() {
    for seed in 0..150 {
        assert_eq!(history(seed, 0, 10), (false, false), "seed {seed}");
    }
}

#[test]
fn the_check_and_its_twin_say_the_same_of_bad_histories() {
    let mut objections = 0;
    for seed in 0..400 {
        let (check, twin) = history(seed, 40, 1);
        assert_eq!(check, twin, "seed {seed}");
        objections += u32::from(check);
    }
    assert!((50..400).contains(&objections), "{objections} of 400 histories are bad: nothing is compared");
}

#[test]
fn a_twin_that_looks_seldom_never_objects_alone() {
    for seed in 0..200 {
        let (check, twin) = history(seed, 40, 7);
        assert!(check || !twin, "seed {seed}: only the twin objects");
    }
}
