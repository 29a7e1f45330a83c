//! Runs a plan.

use broker::time::{Duration, Instant};
use reports::model::EndReason;
use scenarios::model::PhaseKind;

use super::judging::{Ending, Judging};
use super::outcome::{Outcome, ReachRecord};
use super::recorder::{EventLine, Keep, Recorder, Until};
use super::verdict::{Evidence, judge_run};
use super::world_spec::{approximated, world_spec};
use super::{Cast, KafkaCast, KafkaJudge};
use crate::host;
use crate::plan::Plan;

/// How a plan is run. None of this changes what happens up to the point where it stops, `inert_faults` apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunOptions {
    /// Keep every fact up to the event with this number.
    pub trace_until: Option<u64>,
    /// Stop here.
    pub until: Option<Until>,
    /// Stop at the first violation of a check of level `error`.
    pub until_violation: bool,
    /// Every fault does nothing: shows that a scenario does not turn green (or red) by itself.
    pub inert_faults: bool,
    /// Stop after so much time on the wall: a livelock must not hang a suite.
    pub wall_watchdog: Duration,
}

impl Default for RunOptions {
    fn default() -> Self {
        let wall_watchdog = Duration::from_secs(300);
        RunOptions {
            trace_until: None,
            until: None,
            until_violation: false,
            inert_faults: false,
            wall_watchdog,
        }
    }
}

/// Who plays and who judges.
pub struct Stage<'a> {
    /// Which program plays which host.
    pub cast: &'a dyn Cast,
    /// Makes a judge for a plan.
    pub judge: &'a (dyn Fn(&Plan) -> Box<dyn Judging> + Sync),
}

impl Stage<'_> {
    /// Kafka nodes and clients, judged by every check.
    pub fn kafka() -> Stage<'static> {
        Stage { cast: &KafkaCast, judge: &KafkaJudge::boxed }
    }
}

/// Runs a plan to its end, or to where the options stop it.
pub fn simulate(plan: &Plan, stage: &Stage<'_>, options: RunOptions) -> Outcome {
    replay(plan, stage, options, None).0
}

/// As [`simulate`]; a run that violates something is run again, with every fact up to the last that the evidence needs.
/// The second run must be the first one again; a warning says so if it is not.
pub fn simulate_and_explain(plan: &Plan, stage: &Stage<'_>, options: RunOptions) -> Outcome {
    let outcome = simulate(plan, stage, options);
    let last = outcome.judgement.findings.iter().filter_map(|finding| finding.last_event).max();
    let Some(last) = last.filter(|_| options.trace_until.is_none()) else { return outcome };
    let mut again = simulate(plan, stage, RunOptions { trace_until: Some(last), ..options });
    if again.fingerprint != outcome.fingerprint {
        again.warnings.push("two runs of this plan differ: the witness is from the second one".to_owned());
        again.conclusion.exit_code = super::worst_exit_code([again.conclusion.exit_code, 3]);
    }
    again
}

/// Runs a plan; also gives every input and every fact with a number in the range, as a line for people.
pub fn replay(
    plan: &Plan,
    stage: &Stage<'_>,
    options: RunOptions,
    lines: Option<(u64, u64)>,
) -> (Outcome, Vec<EventLine>) {
    let keep = Keep {
        trace_until: options.trace_until,
        lines,
        until: options.until,
        until_violation: options.until_violation,
    };
    let recorder = Recorder::new(plan.clone(), options.inert_faults, (stage.judge)(plan), keep);
    let spec = match world_spec(plan, stage.cast, options.wall_watchdog) {
        Ok(spec) => spec,
        Err(message) => {
            let end =
                End { reason: host::EndReason::Failed { message }, at: Instant::ZERO, inputs: 0, frames: 0 };
            return conclude(recorder, end, options);
        }
    };
    let run = host::run(spec, Box::new(recorder));
    let end = End { reason: run.reason.clone(), at: run.at, inputs: run.inputs, frames: run.frames };
    match run.observer_as::<Recorder>() {
        Some(recorder) => conclude(*recorder, end, options),
        None => {
            let message = "the world did not give the recorder back".to_owned();
            let recorder = Recorder::new(plan.clone(), false, (stage.judge)(plan), Keep::default());
            conclude(recorder, End { reason: host::EndReason::Failed { message }, ..end }, options)
        }
    }
}

struct End {
    reason: host::EndReason,
    at: Instant,
    inputs: u64,
    frames: u64,
}

fn end_reason(recorder: &Recorder, reason: &host::EndReason) -> (EndReason, Option<String>) {
    match reason {
        host::EndReason::Ended if recorder.director.hit_time_limit() => (EndReason::TimeLimit, None),
        host::EndReason::Ended if recorder.was_cut => {
            (EndReason::Fatal, Some("it was stopped where it was asked to".to_owned()))
        }
        host::EndReason::Ended => (EndReason::Settled, None),
        host::EndReason::Quiet => (EndReason::Fatal, Some("no event will ever come".to_owned())),
        host::EndReason::EventBudget => (EndReason::EventBudget, None),
        host::EndReason::WallWatchdog => (EndReason::WallWatchdog, None),
        host::EndReason::Failed { message } => (EndReason::Fatal, Some(message.clone())),
    }
}

fn conclude(mut recorder: Recorder, end: End, options: RunOptions) -> (Outcome, Vec<EventLine>) {
    let (end_reason, failure) = end_reason(&recorder, &end.reason);
    recorder.tally.close();
    let phases = recorder.director.phases().to_vec();
    let settle = phases.iter().find(|phase| phase.kind == PhaseKind::Settle);
    let judgement = recorder.judge.finish(&Ending {
        is_settled: recorder.director.is_settled(),
        settle_started: settle.map(|phase| phase.start),
        settle_within_us: recorder.plan.settle_within_us,
        at: end.at,
        reason: end_reason.to_string(),
    });
    let unfired = recorder.director.unfired(&recorder.view);
    let plan = recorder.plan;
    let reach: Vec<ReachRecord> = goals(&plan, &judgement);
    let conclusion = judge_run(&Evidence {
        expect: &plan.expect,
        named_checks: &plan.named_checks,
        findings: &judgement.findings,
        unfired: &unfired,
        reach: &reach,
        phases: &phases,
        panics: &recorder.tally.panics,
        end_reason,
        is_internal_error: matches!(end.reason, host::EndReason::Failed { .. }),
    });
    let outcome = Outcome {
        fingerprint: recorder.fingerprint.digest(),
        events: recorder.fingerprint.events(),
        checkpoints: recorder.fingerprint.checkpoints().to_vec(),
        end_reason,
        failure,
        at: end.at,
        inputs: end.inputs,
        frames: end.frames,
        phases,
        unsettled: if recorder.director.is_settled() { Vec::new() } else { recorder.view.unsettled() },
        unfired,
        skipped_strikes: recorder.director.skipped(),
        tally: recorder.tally,
        judgement,
        reach,
        conclusion,
        warnings: approximated(&plan),
        trace: options.trace_until.map(|_| recorder.trace),
        plan,
    };
    (outcome, recorder.lines)
}

fn goals(plan: &Plan, judgement: &super::Judgement) -> Vec<ReachRecord> {
    let goal = |(name, wanted): (&String, &Vec<scenarios::model::Comparison>)| {
        let got = judgement.coverage.get(name).copied().unwrap_or(0);
        let words: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        let is_met = wanted.iter().all(|wanted| wanted.holds(got));
        ReachRecord { name: name.clone(), want: words.join(" and "), got, is_met }
    };
    plan.expect.reach.iter().map(goal).collect()
}
