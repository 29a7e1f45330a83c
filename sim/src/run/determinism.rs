//! Two runs of one plan, and their first difference (DESIGN decision 10).

use super::outcome::Outcome;
use super::recorder::EventLine;
use super::simulate::{RunOptions, Stage, replay};
use crate::plan::Plan;
use crate::trace::{Checkpoint, Fingerprint};

/// What two runs of one plan have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// Everything.
    Same { fingerprint: String },
    /// Not everything.
    Differs(Box<Divergence>),
}

/// Where two runs of one plan part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// Both fingerprints.
    pub fingerprints: [String; 2],
    /// The last number up to which checkpoints agree.
    pub agree_up_to: u64,
    /// The first event in which they differ, as each run saw it; `None` where one run was over already. `None` at all
    /// if looking a second time showed no difference in the range.
    pub first: Option<[Option<EventLine>; 2]>,
}

/// Runs the plan twice, at the same time, on two threads. If the fingerprints differ, runs it twice again to name the
/// first event that differs.
pub fn check(plan: &Plan, stage: &Stage<'_>, options: RunOptions) -> Comparison {
    let [(one, _), (other, _)] = twice(plan, stage, options, None);
    if is_same(&one, &other) {
        return Comparison::Same { fingerprint: one.fingerprint };
    }
    let agree_up_to = agreement(&one.checkpoints, &other.checkpoints);
    let window = (agree_up_to + 1, agree_up_to + Fingerprint::INTERVAL);
    let [(_, one_lines), (_, other_lines)] = twice(plan, stage, options, Some(window));
    let fingerprints = [one.fingerprint, other.fingerprint];
    let first = first_difference(&one_lines, &other_lines);
    Comparison::Differs(Box::new(Divergence { fingerprints, agree_up_to, first }))
}

fn is_same(one: &Outcome, other: &Outcome) -> bool {
    one.fingerprint == other.fingerprint
        && one.checkpoints == other.checkpoints
        && one.conclusion == other.conclusion
        && one.judgement == other.judgement
}

type Played = (Outcome, Vec<EventLine>);

fn twice(plan: &Plan, stage: &Stage<'_>, options: RunOptions, lines: Option<(u64, u64)>) -> [Played; 2] {
    std::thread::scope(|scope| {
        let other = scope.spawn(|| replay(plan, stage, options, lines));
        let one = replay(plan, stage, options, lines);
        let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        [one, other]
    })
}

/// The number of the last event up to which both have the same checkpoints.
fn agreement(one: &[Checkpoint], other: &[Checkpoint]) -> u64 {
    let same = one.iter().zip(other).take_while(|(a, b)| a == b);
    same.last().map_or(0, |(checkpoint, _)| checkpoint.event)
}

fn first_difference(one: &[EventLine], other: &[EventLine]) -> Option<[Option<EventLine>; 2]> {
    let longest = one.len().max(other.len());
    let differs = |i: &usize| one.get(*i) != other.get(*i);
    (0..longest).find(differs).map(|i| [one.get(i).cloned(), other.get(i).cloned()])
}

#[cfg(test)]
mod tests {
    use broker::time::Instant;

    use super::*;

    fn line(event: u64, what: &str) -> EventLine {
        EventLine { event, at: Instant(event), host: String::new(), what: what.into() }
    }

    #[test]
    fn the_first_difference_is_named_even_if_one_run_was_over() {
        let one = [line(1, "a"), line(2, "b")];
        assert_eq!(first_difference(&one, &one), None);
        let other = [line(1, "a"), line(2, "c")];
        assert_eq!(first_difference(&one, &other), Some([Some(line(2, "b")), Some(line(2, "c"))]));
        assert_eq!(first_difference(&one, &one[..1]), Some([Some(line(2, "b")), None]));
    }

    #[test]
    fn checkpoints_narrow_the_search() {
        let at = |event: u64, hash: &str| Checkpoint { event, at: Instant(event), hash: hash.into() };
        let one = [at(65_536, "x"), at(131_072, "y")];
        assert_eq!(agreement(&one, &[at(65_536, "x"), at(131_072, "z")]), 65_536);
        assert_eq!(agreement(&one, &[at(65_536, "w"), at(131_072, "y")]), 0);
    }
}
