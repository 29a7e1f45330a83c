//! Where unclean elections are allowed: what the plan says, what configs say since, and what an operator asks for.

use std::collections::{BTreeMap, BTreeSet};

use super::Ghost;
use crate::trace::WorldFact;

const ENABLE: &str = "unclean.leader.election.enable";

/// What the plan does not say about unclean elections.
#[derive(Debug, Clone, Default)]
pub(super) struct UncleanRules {
    /// The config of each topic that was changed.
    topics: BTreeMap<String, bool>,
    /// The default of all brokers, if it was changed.
    brokers: Option<bool>,
    /// Topics of which an operator ever had a leader elected uncleanly.
    asked: BTreeSet<String>,
    /// Elections that an operator has asked for and has no answer to yet: fault to topic.
    open: BTreeMap<String, String>,
}

impl Ghost {
    /// May the topic lose records to an unclean election, now or since one?
    pub fn allows_unclean(&self, topic: &str) -> bool {
        self.enables_unclean(topic) || self.unclean.asked.contains(topic)
    }

    /// May somebody be elected uncleanly now?
    pub fn may_elect_unclean(&self, topic: &str) -> bool {
        self.enables_unclean(topic) || self.unclean.open.values().any(|asked| asked == topic)
    }

    /// `unclean.leader.election.enable` of a topic, as it is now. A default of the brokers that turns it off again does not
    /// count: the topic may have a value of its own.
    pub(in super::super) fn enables_unclean(&self, topic: &str) -> bool {
        let planned = self.config.topics.get(topic).is_some_and(|facts| facts.unclean_elections);
        let since = self.unclean.topics.get(topic).copied();
        since.unwrap_or(planned || self.unclean.brokers == Some(true))
    }

    /// A config was set or taken away.
    pub(super) fn config_changed(&mut self, resource: &str, name: &str, value: Option<&str>) {
        if name != ENABLE {
            return;
        }
        let value = value.map(|value| value == "true");
        match (resource.strip_prefix("topic "), value) {
            (Some(topic), Some(value)) => drop(self.unclean.topics.insert(topic.to_owned(), value)),
            (Some(topic), None) => drop(self.unclean.topics.remove(topic)),
            (None, value) if resource == "broker" => self.unclean.brokers = value,
            (None, _) => {}
        }
    }

    /// A fault struck: it may be an operator's election.
    pub(super) fn election_asked(&mut self, fact: &WorldFact) {
        if let WorldFact::FaultFired { id, .. } = fact
            && let Some(topic) = self.config.unclean_requests.get(id).cloned()
        {
            self.unclean.asked.insert(topic.clone());
            self.unclean.open.insert(id.clone(), topic);
        }
    }

    /// The operator has its answer.
    pub(super) fn election_answered(&mut self, fault: &str) {
        self.unclean.open.remove(fault);
    }
}

#[cfg(test)]
mod tests {
    use broker::trace::MetadataFact;

    use super::super::super::findings::CheckOutcome;
    use super::super::super::fixture::*;
    use crate::history::HistoryEvent;
    use crate::trace::{CrashMode, Fact, WorldFact};

    /// The lone member of the ISR dies with two acknowledged records, and somebody else is elected.
    fn lost(before: impl FnOnce(&mut Paper)) -> (CheckOutcome, CheckOutcome) {
        let mut config = config();
        config.unclean_requests.insert("force".to_owned(), "orders".to_owned());
        let mut paper = Paper::started(config);
        paper.elect(Some(0), 0, &[0]).write(0, &[], batch(0, 2, 0, 1)).commit(0, 0, 0, 2);
        paper.ack(0, values(1..3)).crash(0, CrashMode::Process);
        before(&mut paper);
        paper.elect(Some(1), 1, &[1]).lead(1, 1, 0);
        let checks = paper.finish().checks;
        let of = |name: &str| checks.iter().find(|check| check.name == name).map(|check| check.result);
        (of("isr-legal").expect("it exists"), of("acked-writes-durable").expect("it exists"))
    }

    fn set(paper: &mut Paper, resource: &str, value: &str) {
        paper.meta(MetadataFact::ConfigChanged {
            resource: resource.to_owned(),
            name: super::ENABLE.to_owned(),
            value: Some(value.to_owned()),
        });
    }

    #[test]
    fn what_is_enabled_while_the_cluster_runs_counts() {
        let permitted = (CheckOutcome::Held, CheckOutcome::PermittedLoss);
        let forbidden = (CheckOutcome::Violated, CheckOutcome::Violated);
        assert_eq!(lost(|_| ()), forbidden);
        assert_eq!(lost(|paper| set(paper, "topic orders", "true")), permitted);
        assert_eq!(lost(|paper| set(paper, "topic other", "true")), forbidden);
        assert_eq!(lost(|paper| set(paper, "broker", "true")), permitted);
        let off_again = |paper: &mut Paper| {
            set(paper, "broker", "true");
            set(paper, "topic orders", "false");
        };
        assert_eq!(lost(off_again), forbidden);
    }

    #[test]
    fn what_an_operator_asks_for_is_allowed_until_it_has_its_answer() {
        let ask = |paper: &mut Paper| {
            let (id, kind) = ("force".to_owned(), "elect".to_owned());
            let fired = WorldFact::FaultFired { id, n: 1, kind, what: String::new(), targets: Vec::new() };
            paper.fact(None, Fact::World(fired));
        };
        assert_eq!(lost(ask), (CheckOutcome::Held, CheckOutcome::PermittedLoss));
        let too_late = |paper: &mut Paper| {
            ask(paper);
            paper.client(PRODUCER, HistoryEvent::Operated { fault: "force".to_owned(), n: 1, refused: None });
        };
        assert_eq!(lost(too_late).0, CheckOutcome::Violated);
    }
}
