//! brokers-unfenced (L-P1): every broker that runs may lead.

use super::super::config::{EndOfRun, JudgeConfig};
use super::super::findings::Findings;
use super::super::ghost::{Ghost, Step};
use super::super::interest::Interest;
use super::super::judge::{Check, Tally};
use super::{Looked, judge, running_nodes};
use crate::plan::HostKind;
use crate::trace::TraceEvent;

/// At the end every broker that runs is registered in its present boot and is not fenced. Source: L-P1, VK 966
/// `EventuallyUnfenced`, CTL-3.
#[derive(Debug, Default)]
pub struct BrokersUnfenced {
    tally: Tally,
}

impl BrokersUnfenced {
    /// The check, before anything happened.
    pub fn boxed(_config: &JudgeConfig) -> Box<dyn Check> {
        Box::new(BrokersUnfenced::default())
    }
}

impl Check for BrokersUnfenced {
    fn interest(&self) -> Interest {
        Interest::NOTHING
    }

    fn observe(&mut self, _event: &TraceEvent, _step: &Step, _ghost: &Ghost, _found: &mut Findings) {}

    fn finish(&mut self, end: &EndOfRun, ghost: &Ghost, found: &mut Findings) {
        let kinds = &ghost.config().hosts;
        let is_broker =
            |index: u32| matches!(kinds.get(index as usize), Some(HostKind::Node { is_broker: true, .. }));
        let brokers = running_nodes(ghost).filter(|(host, _)| is_broker(host.0));
        let looked = brokers.map(|(host, node)| {
            if ghost.is_serving(node) {
                return Looked::right(None);
            }
            let state = match ghost.broker(node) {
                Some(broker) if broker.is_fenced => "is fenced",
                _ => "is not registered in its present boot",
            };
            Looked::wrong(None, format!("{} runs and {state}", ghost.name(host)))
        });
        judge(looked, end, ghost, &mut self.tally, found);
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use broker::ids::NodeId;
    use broker::trace::MetadataFact;

    use super::super::super::findings::CheckOutcome;
    use super::super::super::fixture::*;

    const NAME: &str = "brokers-unfenced";

    #[test]
    fn brokers_that_serve_are_accepted() {
        assert_eq!(Paper::started(config()).outcome(NAME), CheckOutcome::Held);
    }

    #[test]
    fn l_p1_a_broker_that_stays_fenced_is_rejected_after_a_while() {
        for (ms, expected) in [(60_000, CheckOutcome::Violated), (5_000, CheckOutcome::Held)] {
            let mut paper = Paper::started(config());
            paper.meta(MetadataFact::BrokerFenced { broker: NodeId(1) });
            assert_eq!(paper.verdict_after(ms, NAME).result, expected, "{ms} ms");
        }
    }
}
