//! quorum-high-watermark-monotone: what the quorum calls committed only grows.

use broker::ids::Offset;
use broker::trace::Observation;

use super::config::JudgeConfig;
use super::findings::{Findings, Violation};
use super::ghost::{Ghost, Step};
use super::interest::Interest;
use super::judge::{Check, Tally};
use crate::trace::{Fact, TraceEvent};

/// What one node said in its present boot.
#[derive(Debug, Clone, Copy, Default)]
struct Said {
    committed: Option<Offset>,
    applied: Option<Offset>,
    digested: Option<Offset>,
}

/// The high watermark of the metadata log that leaders of the newest epoch expose never falls, from one leader to the next;
/// on each node neither its high watermark nor what it has applied falls in one boot. Source: Q-8, AK `MonotonicHighWatermark`.
#[derive(Debug, Default)]
pub struct QuorumHighWatermarkMonotone {
    tally: Tally,
    exposed: Offset,
    /// By host.
    said: Vec<Said>,
}

impl QuorumHighWatermarkMonotone {
    /// The check, before anything happened.
    pub fn boxed(config: &JudgeConfig) -> Box<dyn Check> {
        let said = vec![Said::default(); config.hosts.len()];
        Box::new(QuorumHighWatermarkMonotone { said, ..QuorumHighWatermarkMonotone::default() })
    }
}

/// Remembers `now`; says what is wrong if it falls.
fn follows(last: &mut Option<Offset>, now: Offset, what: &str) -> Option<String> {
    let before = last.replace(now).filter(|before| *before > now)?;
    Some(format!("{what} falls from {before} to {now}"))
}

impl Check for QuorumHighWatermarkMonotone {
    fn interest(&self) -> Interest {
        Interest::HIGH_WATERMARK
            .and(Interest::METADATA)
            .and(Interest::METADATA_APPLIED)
            .and(Interest::STARTED)
    }

    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Some(said) = event.host.and_then(|host| self.said.get_mut(host.0 as usize)) else { return };
        let wrong = match &event.fact {
            Fact::Node(Observation::HighWatermark { log, to, leader, .. }) if log.is_metadata() => {
                let own = follows(&mut said.committed, *to, "its high watermark");
                let is_exposed = leader.is_some() && step.is_current_leader;
                let lower = is_exposed && *to < self.exposed;
                let before = self.exposed;
                if is_exposed {
                    self.exposed = before.max(*to);
                }
                own.or_else(|| lower.then(|| format!("it exposes {to}, after a leader exposed {before}")))
            }
            Fact::Node(Observation::MetadataCommitted { offset, .. }) => {
                follows(&mut said.applied, *offset, "the metadata that its controller has applied")
            }
            Fact::Node(Observation::MetadataApplied { offset, .. }) => {
                follows(&mut said.digested, *offset, "the metadata that it has applied")
            }
            Fact::Node(_) => return,
            _ => {
                *said = Said::default();
                return;
            }
        };
        self.tally.evaluations += 1;
        self.tally.examined += 1;
        if let (Some(what), Some(host)) = (wrong, event.host) {
            let summary = format!("{}: {what} (metadata log)", ghost.name(host));
            found.violation(Violation::seen_at(
                event,
                ghost,
                ghost.metadata_log().map(|(log, _)| log),
                summary,
            ));
        }
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use broker::trace::AppendRole;

    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;
    use super::*;
    use crate::trace::WorldFact;

    const NAME: &str = "quorum-high-watermark-monotone";

    fn two_batches() -> Paper {
        let mut paper = committed_quorum();
        for (host, role) in [(0, AppendRole::Leader(1)), (1, AppendRole::Follower)] {
            paper.quorum_append(host, role, batch(1, 1, 1, 2)).quorum_flush(host, 2);
        }
        paper.quorum_commit(0, 1, 2);
        paper
    }

    #[test]
    fn marks_that_grow_are_accepted_and_a_boot_begins_anew() {
        let mut paper = two_batches();
        paper.quorum_high_watermark(1, 0, 2, None).world(1, WorldFact::Started { incarnation: 1 });
        paper.quorum_high_watermark(1, 0, 1, None);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Held);
    }

    #[test]
    fn q_8_a_mark_or_an_applied_offset_that_falls_is_rejected() {
        let mut paper = two_batches();
        paper.quorum_high_watermark(1, 0, 2, None).quorum_high_watermark(1, 2, 1, None);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
        let mut paper = two_batches();
        for offset in [512, 256] {
            paper.node(1, Observation::MetadataApplied { offset, digest: 0 });
        }
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }

    #[test]
    fn q_8_a_later_leader_that_exposes_less_is_rejected() {
        let mut paper = two_batches();
        paper.quorum_commit(1, 2, 1);
        assert_eq!(paper.outcome(NAME), CheckOutcome::Violated);
    }
}
