//! How many random seeds it takes until a run turns red.

use super::simulate::{RunOptions, Stage, simulate};
use super::{Judgement, Outcome};
use crate::check::CheckOutcome;
use crate::plan::Plan;

/// One campaign: seeds from a first one on, until one is red.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// Seeds that were run.
    pub seeds: u64,
    /// Events that were simulated: stands for the effort.
    pub events: u64,
    /// The check that was violated first; `None`: every seed up to the limit was green.
    pub red_by: Option<String>,
}

/// Runs the plans in order and stops at the first that violates a check of level `error`, at that very event.
pub fn campaign(plans: impl Iterator<Item = Plan>, stage: &Stage<'_>) -> Campaign {
    let mut campaign = Campaign { seeds: 0, events: 0, red_by: None };
    let options = RunOptions { until_violation: true, ..RunOptions::default() };
    for plan in plans {
        let outcome = simulate(&plan, stage, options);
        campaign.seeds += 1;
        campaign.events += outcome.events;
        campaign.red_by = red_by(&outcome);
        if campaign.red_by.is_some() {
            break;
        }
    }
    campaign
}

/// What a run is red by, if it is: the check that saw it first, or a broker that broke an invariant of its own.
fn red_by(outcome: &Outcome) -> Option<String> {
    let violated = first_violated(&outcome.judgement, &outcome.plan);
    violated.or_else(|| outcome.tally.panics.first().map(|_| "panic".to_owned()))
}

/// Of the checks of level `error` that are violated, the one whose first violation came first; of two that saw it at the
/// same event, the one that stands first in the table.
fn first_violated(judgement: &Judgement, plan: &Plan) -> Option<String> {
    let violated = judgement.checks.iter().filter(|check| {
        check.result == CheckOutcome::Violated && plan.level(check.name) == scenarios::model::Level::Error
    });
    let event = |check: &&crate::check::CheckResult| check.violations.first().map_or(u64::MAX, |v| v.event);
    violated.min_by_key(event).map(|check| check.name.to_owned())
}

/// The middle of the campaigns' efforts, of two middle ones the greater; a campaign that never turned red took longer
/// than any that did. `None` if the middle one never turned red, or if there are none.
pub fn median<T: Ord + Copy>(efforts: impl IntoIterator<Item = Option<T>>) -> Option<T> {
    let mut efforts: Vec<Option<T>> = efforts.into_iter().collect();
    efforts.sort_by_key(|effort| (effort.is_none(), *effort));
    efforts.get(efforts.len() / 2).copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_counts_what_never_turned_red_as_longest() {
        assert_eq!(median([Some(3), None, Some(1)]), Some(3));
        assert_eq!(median([Some(3), None, Some(1), None]), None);
        assert_eq!(median([Some(4), Some(2)]), Some(4));
        assert_eq!(median([None, Some(1)]), None);
        assert_eq!(median::<u64>([]), None);
    }
}
