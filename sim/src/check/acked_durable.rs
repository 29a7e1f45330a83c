//! acked-writes-durable (H-1, P-13): what was acknowledged with `acks=all` stays.

use std::collections::BTreeMap;

use broker::ids::{NodeId, Offset, TopicPartition};

use super::budget;
use super::chain::Chain;
use super::config::{EndOfRun, JudgeConfig};
use super::findings::{EvidenceStep, Findings, PermittedLoss, Responsible, Violation};
use super::ghost::{Ghost, Step};
use super::judge::{Check, Tally};
use super::replica::{LogGhost, Permit};
use super::topics::TopicGone;
use crate::history::{Acks, HistoryEvent};
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent};

/// One acknowledged batch.
#[derive(Debug, Clone)]
struct Run {
    end: Offset,
    /// Hash of the log up to its end, where somebody called it committed; `None`: nobody did.
    hash: Option<u64>,
    is_promised: bool,
    ack: EvidenceStep,
}

impl Run {
    fn is_in(&self, chain: &Chain) -> bool {
        match self.hash {
            Some(hash) if chain.is_anchored() => chain.holds(self.end, hash),
            _ => self.end <= chain.end(),
        }
    }
}

/// Every record acknowledged with `acks=all` is in the log of each later leader, at the offset that the producer was told,
/// and in the final leader's log. Source: H-1, P-13, KIP-101.
///
/// Seen first when a leader without it takes over, and again at the end of the run. That consumers get it follows from
/// `reads-monotonic` (nothing is skipped) and `offsets-consistent` (it is this record). What was acknowledged with `acks=1`
/// may be lost whenever the leader changes, and is reported as a permitted loss.
#[derive(Debug, Default)]
pub struct AckedDurable {
    tally: Tally,
    runs: BTreeMap<TopicPartition, BTreeMap<Offset, Run>>,
}

impl AckedDurable {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(AckedDurable::default())
    }

    fn acked(
        &mut self,
        event: &TraceEvent,
        partition: &TopicPartition,
        acks: Acks,
        base: Offset,
        n: i64,
        ghost: &Ghost,
    ) {
        let end = base + n;
        let log = ghost.log_of(partition).map(|log| ghost.log(log));
        let what = format!("offsets {base}..{end} of {partition} are acknowledged");
        let ack = EvidenceStep::new(event.event, event.at, event.host, what);
        let hash = log.and_then(|log| identity(ghost, log, end, acks));
        let run = Run { end, hash, is_promised: acks == Acks::All, ack };
        if acks == Acks::All {
            self.tally.examined += n as u64;
        }
        self.runs.entry(partition.clone()).or_default().insert(base, run);
    }

    /// Takes out what `chain` lacks, looking from `from` on.
    fn take_lost(&mut self, partition: &TopicPartition, chain: &Chain, from: Offset) -> Vec<(Offset, Run)> {
        let Some(runs) = self.runs.get_mut(partition) else { return Vec::new() };
        let looked_at: Vec<Offset> = runs.range(from..).map(|(base, _)| *base).collect();
        let mut lost = Vec::new();
        for base in looked_at {
            let Some(run) = runs.get(&base) else { continue };
            self.tally.evaluations += u64::from(run.is_promised);
            if !run.is_in(chain)
                && let Some(run) = runs.remove(&base)
            {
                lost.push((base, run));
            }
        }
        lost
    }

    fn report(
        event: &TraceEvent,
        ghost: &Ghost,
        index: usize,
        host: HostId,
        (lost, permit): (Vec<(Offset, Run)>, Option<Permit>),
        found: &mut Findings,
    ) {
        let log = ghost.log(index);
        let partition = &log.id.partition;
        let (promised, weak): (Vec<_>, Vec<_>) = lost.into_iter().partition(|(_, run)| run.is_promised);
        if let Some((from, to, records)) = extent(&weak) {
            let takeover = format!("{} leads epoch {}", ghost.name(host), log.newest_epoch);
            let cause = Responsible { fault: None, event: event.event, at: event.at, what: takeover };
            let permit = Permit { reason: "acks=1".to_owned(), responsible: vec![cause] };
            found.permitted(PermittedLoss::seen_at(event, partition.clone(), (from, to), records, &permit));
        }
        let Some((from, to, records)) = extent(&promised) else { return };
        if let Some(permit) = permit {
            found.permitted(PermittedLoss::seen_at(event, partition.clone(), (from, to), records, &permit));
            return;
        }
        let name = ghost.name(host);
        let epoch = log.newest_epoch;
        let are = if records == 1 { "record is" } else { "records are" };
        let summary = format!(
            "{records} acknowledged {are} not in the log of {name}, the leader of epoch {epoch}: {partition}@{from}{}",
            if records == 1 { String::new() } else { format!(" to @{}", to - 1) }
        );
        let mut violation = Violation::seen_at(event, ghost, Some(index), summary).with_offsets(from, to);
        violation.steps.extend(promised.first().map(|(_, run)| run.ack.clone()));
        violation.steps.sort_by_key(|step| step.event);
        found.violations_of(records, violation);
    }
}

/// What allows the loss: something new, or the loss that began at or below it.
fn permit(ghost: &Ghost, index: usize, host: HostId, from: Offset) -> Option<Permit> {
    let log = ghost.log(index);
    let earlier = || log.floor_permit.clone().filter(|_| log.is_excused(from));
    budget::permit(ghost, index, host, from).or_else(earlier)
}

fn extent(lost: &[(Offset, Run)]) -> Option<(Offset, Offset, u64)> {
    let (from, to) = (lost.first()?.0, lost.last()?.1.end);
    Some((from, to, lost.iter().map(|(base, run)| (run.end - base) as u64).sum()))
}

/// Whose log counts at the end of the run: the leader's. One that came back and has not registered again does not lead
/// any more, though the metadata still says so: the member of the ISR that would be elected counts in its place.
fn last_word(log: &LogGhost, ghost: &Ghost) -> Option<NodeId> {
    let state = log.partition.as_ref();
    let leader = state.and_then(|state| state.leader).or(log.last_leader);
    let heirs = state.into_iter().flat_map(|state| state.isr.iter().copied());
    let mut candidates = leader.into_iter().chain(heirs);
    candidates.find(|node| ghost.is_serving(*node)).or(leader)
}

/// The content that was acknowledged: what is committed at this offset, or what a replica holds that calls it committed
/// (a stale leader may acknowledge too, and its ISR keeps that promise). For `acks=1`: what the leader holds, and only
/// if it holds nothing there (the answer of an earlier leader came late), what anybody holds.
fn identity(ghost: &Ghost, log: &LogGhost, end: Offset, acks: Acks) -> Option<u64> {
    if log.committed.end() >= end {
        return log.committed.hash_at(end);
    }
    let replicas = || log.replicas.iter().flatten().filter(|replica| replica.chain.is_anchored());
    let committed = replicas().filter(|replica| replica.high_watermark >= end);
    let found = committed.filter_map(|replica| replica.chain.hash_at(end)).next();
    if found.is_some() || acks != Acks::Leader {
        return found;
    }
    let leader = log.last_leader.and_then(|node| ghost.host_of(node)).and_then(|host| log.replica(host));
    let leaders = leader.filter(|replica| replica.chain.is_anchored());
    leaders.into_iter().chain(replicas()).find_map(|replica| replica.chain.hash_at(end))
}

impl Check for AckedDurable {
    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        if let Fact::Client(HistoryEvent::Acked {
            partition, acks, base_offset: Some(base), values, ..
        }) = &event.fact
        {
            self.acked(event, partition, *acks, *base, values.len() as i64, ghost);
            return;
        }
        let (Some(took_over), Some(index), Some(host)) = (&step.took_over, step.log, event.host) else {
            return;
        };
        let log = ghost.log(index);
        let Some(replica) = log.replica(host) else { return };
        // After the takeover `committed` ends where the new leader's log parts from it: all below is there.
        let from = log.committed.end();
        let lost = self.take_lost(&log.id.partition, &replica.chain, from);
        let is_promised =
            self.runs.get(&log.id.partition).is_some_and(|runs| runs.values().any(|run| run.is_promised));
        self.tally.evaluations += u64::from(is_promised);
        if lost.is_empty() {
            return;
        }
        let permit = match took_over {
            Some(loss) => loss.permit.clone(),
            None => permit(ghost, index, host, from),
        };
        Self::report(event, ghost, index, host, (lost, permit), found);
    }

    fn topic_gone(&mut self, gone: &TopicGone, event: &TraceEvent, ghost: &Ghost, found: &mut Findings) {
        let of_it: Vec<TopicPartition> = self.runs.keys().filter(|one| gone.had(one)).cloned().collect();
        for partition in of_it {
            let runs = self.runs.remove(&partition).unwrap_or_default();
            let lost: Vec<(Offset, Run)> = runs.into_iter().filter(|(_, run)| run.is_promised).collect();
            self.tally.evaluations += lost.len() as u64;
            let Some((from, to, records)) = extent(&lost) else { continue };
            if let Some(permit) = &gone.permit {
                found.permitted(PermittedLoss::seen_at(event, partition, (from, to), records, permit));
                continue;
            }
            let summary = format!(
                "{partition} is deleted, which nobody asked for, with {records} acknowledged records"
            );
            let violation = Violation::seen_at(event, ghost, ghost.log_of(&partition), summary);
            found.violations_of(records, violation.with_offsets(from, to));
        }
    }

    fn finish(&mut self, end: &EndOfRun, ghost: &Ghost, found: &mut Findings) {
        let event = TraceEvent { event: end.event, at: end.at, host: None, fact: Fact::World(end_of_run()) };
        let partitions: Vec<TopicPartition> = self.runs.keys().cloned().collect();
        for partition in partitions {
            let Some(index) = ghost.log_of(&partition) else { continue };
            let log = ghost.log(index);
            if log.is_deleted {
                continue;
            }
            let Some(host) = last_word(log, ghost).and_then(|node| ghost.host_of(node)) else { continue };
            let Some(replica) = log.replica(host) else { continue };
            let lost = self.take_lost(&partition, &replica.chain, 0);
            let first = lost.first().map_or(0, |(base, _)| *base);
            let permit = permit(ghost, index, host, first);
            Self::report(&event, ghost, index, host, (lost, permit), found);
        }
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

fn end_of_run() -> crate::trace::WorldFact {
    crate::trace::WorldFact::PhaseStarted { name: "end".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;
    use super::*;
    use crate::trace::CrashMode;

    const NAME: &str = "acked-writes-durable";

    fn acked() -> Paper {
        let mut paper = Paper::started(config());
        paper.write(0, &[1, 2], batch(0, 2, 0, 1)).write(0, &[1, 2], batch(2, 2, 0, 2)).commit(0, 0, 0, 4);
        paper.ack(0, values(1..3)).ack(2, values(3..5));
        paper
    }

    #[test]
    fn what_every_later_leader_has_is_accepted() {
        let mut paper = acked();
        paper.crash(0, CrashMode::Process).elect(Some(1), 1, &[1, 2]).lead(1, 1, 4);
        let result = paper.verdict(NAME);
        assert_eq!((result.result, result.examined), (CheckOutcome::Held, 4));
    }

    #[test]
    fn h_1_a_leader_that_lacks_acknowledged_records_is_rejected_when_it_takes_over() {
        let mut paper = acked();
        paper.cut(1, 4, 2).crash(0, CrashMode::Process).elect(Some(1), 1, &[1, 2]).lead(1, 1, 2);
        let result = paper.verdict(NAME);
        assert_eq!((result.result, result.count), (CheckOutcome::Violated, 2));
        assert_eq!(result.violations[0].offsets, Some((2, 3)));
        let steps = &result.violations[0].steps;
        assert!(steps.iter().any(|step| step.what.contains("are acknowledged")), "{steps:?}");
    }

    #[test]
    fn p_13_another_record_at_the_acknowledged_offset_is_rejected() {
        let mut paper = acked();
        paper.cut(1, 4, 2).append(1, broker::trace::AppendRole::Leader(1), batch(2, 2, 1, 9));
        paper.crash(0, CrashMode::Process).elect(Some(1), 1, &[1, 2]).lead(1, 1, 4);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn an_acknowledgement_of_a_record_that_nobody_has_is_rejected_at_the_end() {
        let mut paper = Paper::started(config());
        paper.write(0, &[1, 2], batch(0, 2, 0, 1)).commit(0, 0, 0, 2).ack(2, values(3..5));
        assert_eq!(paper.verdict(NAME).count, 2);
    }

    #[test]
    fn under_acks_1_each_record_is_lost_once_whatever_the_old_leader_holds() {
        let mut paper = Paper::started(config());
        // Broker 0 acknowledges alone and dies; broker 1 acknowledges others at the same offsets, and keeps them.
        paper.write(0, &[], batch(0, 2, 0, 1)).ack_as(Acks::Leader, 0, values(1..3));
        paper.crash(0, CrashMode::Process).elect(Some(1), 1, &[1, 2]).lead(1, 1, 0);
        paper.write(1, &[2], batch(0, 2, 1, 2)).ack_as(Acks::Leader, 0, values(3..5));
        let result = paper.verdict(NAME);
        assert_eq!(result.result, CheckOutcome::PermittedLoss);
        assert_eq!(result.permitted.iter().map(|loss| loss.records).sum::<u64>(), 2);
    }

    #[test]
    fn a_leader_that_came_back_and_is_not_registered_has_not_the_last_word() {
        let came_back = |isr: &[i32]| {
            let mut paper = acked();
            paper.crash(0, CrashMode::Power).elect(Some(0), 0, isr).open(0, 1, &[]);
            paper
        };
        assert_eq!(came_back(&[0, 1, 2]).outcome(NAME), CheckOutcome::Held);
        let mut paper = came_back(&[0, 1, 2]);
        paper.cut(1, 4, 2);
        assert_eq!(paper.verdict(NAME).count, 2, "the next leader must have it");
    }

    #[test]
    fn a_stale_leaders_acknowledgement_must_be_kept_too() {
        let mut paper = Paper::started(config());
        paper.write(0, &[1, 2], batch(0, 2, 0, 1)).elect(Some(1), 1, &[1, 2]).commit(0, 0, 0, 2);
        paper.ack(0, values(1..3)).cut(1, 2, 0).lead(1, 1, 0);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn acks_1_may_be_lost_when_the_leader_changes() {
        let mut config = config();
        config.producers[0].acks = Acks::Leader;
        let mut paper = Paper::started(config.clone());
        paper.write(0, &[], batch(0, 2, 0, 1)).ack_as(Acks::Leader, 0, values(1..3));
        paper.crash(0, CrashMode::Process).elect(Some(1), 1, &[1, 2]).lead(1, 1, 0);
        let result = paper.verdict(NAME);
        assert_eq!((result.result, result.permitted[0].records), (CheckOutcome::PermittedLoss, 2));
        assert_eq!(Paper::started(config).outcome(NAME), CheckOutcome::NotApplicable);
    }

    #[test]
    fn an_unclean_election_permits_the_loss_only_where_the_topic_enables_it() {
        for (unclean, expected) in [(true, CheckOutcome::PermittedLoss), (false, CheckOutcome::Violated)] {
            let mut config = config();
            config.topics.get_mut("orders").expect("it is there").unclean_elections = unclean;
            let mut paper = Paper::started(config);
            paper.elect(Some(0), 0, &[0]).write(0, &[], batch(0, 3, 0, 1)).commit(0, 0, 0, 3);
            paper.ack(0, values(1..4)).crash(0, CrashMode::Process);
            paper.elect(Some(1), 1, &[1]).lead(1, 1, 0);
            assert_eq!(paper.outcome(NAME), expected);
        }
    }
}
