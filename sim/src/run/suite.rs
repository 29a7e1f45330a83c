//! Many plans on several workers. What comes back is in the order of the plans, whatever the workers did.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reports::model::Outcome as Word;
use scenarios::model::SeedQuantifier;

use super::outcome::{Outcome, run_key};
use super::simulate::{RunOptions, Stage, simulate_and_explain};
use super::verdict::worst_exit_code;
use crate::plan::Plan;

/// How a suite is run.
pub struct SuiteOptions<'a> {
    /// Number of workers; at least one.
    pub workers: usize,
    /// How each plan is run.
    pub run: RunOptions,
    /// No run is begun after this is set. Those under way come to their end.
    pub interrupted: &'a AtomicBool,
}

/// Runs every plan and makes something of each outcome (`keep`, on the worker that ran it). `None`: not run, because of
/// an interruption. The result does not depend on the number of workers.
pub fn run<T: Send>(
    plans: &[Plan],
    stage: &Stage<'_>,
    options: &SuiteOptions<'_>,
    keep: impl Fn(usize, Outcome) -> T + Sync,
) -> Vec<Option<T>> {
    let work = |index: usize| keep(index, simulate_and_explain(&plans[index], stage, options.run));
    spread(plans.len(), options.workers, options.interrupted, work)
}

/// Calls `work` once for each index, on so many threads; results in order of index. `None`: not done, because of an
/// interruption.
pub fn spread<T: Send>(
    count: usize,
    workers: usize,
    interrupted: &AtomicBool,
    work: impl Fn(usize) -> T + Sync,
) -> Vec<Option<T>> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<T>>> = (0..count).map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..workers.clamp(1, count.max(1)) {
            scope.spawn(|| {
                while !interrupted.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(slot) = results.get(index) else { return };
                    let result = work(index);
                    *slot.lock().expect("nobody panics while holding it") = Some(result);
                }
            });
        }
    });
    let take = |slot: Mutex<Option<T>>| slot.into_inner().expect("nobody panics while holding it");
    results.into_iter().map(take).collect()
}

/// What a suite needs of one run to conclude.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuiteItem {
    /// `scenario[@variant]/seed-N`.
    pub key: String,
    /// `scenario[@variant]`.
    pub group: String,
    /// Whether each seed of the group must be as expected.
    pub seeds: SeedQuantifier,
    /// The word.
    pub outcome: Word,
    /// The exit code of the run alone.
    pub exit_code: u8,
    /// All that is wrong is that an expected finding is absent.
    pub is_absence: bool,
}

impl SuiteItem {
    /// Of one outcome.
    pub fn of(outcome: &Outcome) -> SuiteItem {
        let key = run_key(&outcome.plan);
        let group = key.rsplit_once('/').map_or(key.as_str(), |(group, _)| group).to_owned();
        SuiteItem {
            key,
            group,
            seeds: outcome.plan.expect.seeds,
            outcome: outcome.conclusion.outcome,
            exit_code: outcome.conclusion.exit_code,
            is_absence: outcome.conclusion.is_absence,
        }
    }
}

/// Whether each of the items is forgiven: with `seeds = "some"`, a seed that does not show what is expected is, if
/// another seed of the same scenario and variant shows it.
pub fn forgiven(items: &[SuiteItem]) -> Vec<bool> {
    let mut shown: BTreeMap<&str, bool> = BTreeMap::new();
    for item in items {
        *shown.entry(&item.group).or_default() |= item.outcome == Word::AsExpected;
    }
    let is_forgiven = |item: &SuiteItem| {
        item.seeds == SeedQuantifier::Some && item.is_absence && shown.get(item.group.as_str()) == Some(&true)
    };
    items.iter().map(is_forgiven).collect()
}

/// The exit code of a suite: the worst of those that are not [`forgiven`].
pub fn exit_code(items: &[SuiteItem]) -> u8 {
    let counted = items.iter().zip(forgiven(items)).filter(|(_, is_forgiven)| !is_forgiven);
    worst_exit_code(counted.map(|(item, _)| item.exit_code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(group: &str, seeds: SeedQuantifier, outcome: Word, exit_code: u8) -> SuiteItem {
        let (key, group) = (format!("{group}/seed-1"), group.to_owned());
        SuiteItem { key, group, seeds, outcome, exit_code, is_absence: outcome == Word::Unexpected }
    }

    #[test]
    fn results_come_in_order_whatever_the_workers_do() {
        let go = AtomicBool::new(false);
        for workers in [0, 1, 3, 50] {
            let results = spread(20, workers, &go, |index| index * index);
            let wanted: Vec<_> = (0..20).map(|index| Some(index * index)).collect();
            assert_eq!(results, wanted);
        }
        assert_eq!(spread(0, 4, &go, |index| index), []);
    }

    #[test]
    fn an_interruption_leaves_the_rest_undone() {
        let stop = AtomicBool::new(false);
        let results = spread(5, 1, &stop, |index| {
            stop.store(index == 1, Ordering::Relaxed);
            index
        });
        assert_eq!(results, [Some(0), Some(1), None, None, None]);
    }

    #[test]
    fn some_seed_is_enough_only_if_one_shows_it() {
        let some = |outcome, code| item("m", SeedQuantifier::Some, outcome, code);
        assert_eq!(exit_code(&[some(Word::Unexpected, 1), some(Word::AsExpected, 0)]), 0);
        assert_eq!(exit_code(&[some(Word::Unexpected, 1), some(Word::Unexpected, 1)]), 1);
        let every = |outcome, code| item("m", SeedQuantifier::Every, outcome, code);
        assert_eq!(exit_code(&[every(Word::Unexpected, 1), every(Word::AsExpected, 0)]), 1);
        let foreign = item("other", SeedQuantifier::Some, Word::AsExpected, 0);
        assert_eq!(exit_code(&[some(Word::Unexpected, 1), foreign]), 1);
    }

    #[test]
    fn the_worst_code_counts() {
        assert_eq!(worst_exit_code([0, 2, 1, 3, 70]), 70);
        assert_eq!(worst_exit_code([0, 2, 1, 3]), 3);
        assert_eq!(worst_exit_code([2, 1, 0]), 1);
        assert_eq!(worst_exit_code([2, 0]), 2);
        assert_eq!(worst_exit_code([]), 0);
    }
}
