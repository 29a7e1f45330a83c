//! leader-complete (P-2): a new leader has every committed record.

use super::config::JudgeConfig;
use super::findings::{Findings, PermittedLoss, Violation};
use super::ghost::{Ghost, Step};
use super::judge::{Check, Tally};
use super::replica::Loss;
use crate::trace::TraceEvent;

/// Each broker that starts to lead, in the newest committed epoch, holds everything that was committed. Source: P-2,
/// KIP-101, VK 966 `LeaderCompleteness`.
#[derive(Debug, Default)]
pub struct LeaderComplete {
    tally: Tally,
}

impl LeaderComplete {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(LeaderComplete::default())
    }
}

impl Check for LeaderComplete {
    fn observe(&mut self, event: &TraceEvent, step: &Step, ghost: &Ghost, found: &mut Findings) {
        let Some(loss) = &step.took_over else { return };
        self.tally.evaluations += 1;
        self.tally.examined += 1;
        let Some(Loss { log, host, epoch, from, to, permit }) = loss else { return };
        let partition = ghost.log(*log).id.partition.clone();
        if let Some(permit) = permit {
            found.permitted(PermittedLoss {
                partition,
                offsets: (*from, to - 1),
                records: (to - from) as u64,
                reason: permit.reason.clone(),
                responsible: permit.responsible.clone(),
            });
            return;
        }
        found.violation(Violation {
            event: event.event,
            at: event.at,
            host: Some(*host),
            summary: format!(
                "{} leads {partition} in epoch {epoch} without the committed offsets {from}..{}",
                ghost.name(*host),
                to - 1
            ),
            offsets: Some((*from, to - 1)),
            partition: Some(partition),
            steps: ghost.evidence(Some(*log), 12),
        });
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}
