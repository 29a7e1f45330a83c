//! Which topic of a name clients speak of. A topic that is deleted and created again is another topic (KIP-516), and a
//! client learns of it later than the cluster: what it is told meanwhile is about records that are gone by request.

use std::collections::{BTreeMap, BTreeSet};

use broker::ids::{TopicId, TopicPartition};
use broker::trace::{MetadataFact, Observation};

use super::config::JudgeConfig;
use super::findings::Responsible;
use super::replica::Permit;
use crate::history::HistoryEvent;
use crate::plan::HostId;
use crate::trace::{Fact, TraceEvent, WorldFact};

/// A topic was deleted, with every record in it.
#[derive(Debug, Clone)]
pub struct TopicGone {
    /// Its name.
    pub topic: String,
    /// Who asked for it; `None`: nobody did.
    pub permit: Option<Permit>,
}

impl TopicGone {
    /// Was this one of its partitions?
    pub fn had(&self, partition: &TopicPartition) -> bool {
        *partition.topic == *self.topic
    }
}

/// How an event is put to the checks.
pub enum Told {
    /// As it is.
    AsIs,
    /// In other words.
    Instead(Box<TraceEvent>),
    /// Not at all.
    Nothing,
}

/// Which topic of each name there is, and which one each client knows.
#[derive(Debug, Clone, Default)]
pub struct Topics {
    /// The first id that a name had.
    first: BTreeMap<String, TopicId>,
    /// The id that it has; absent while it has none.
    newest: BTreeMap<String, TopicId>,
    /// What a client knows a name for, if that is not the first.
    known: BTreeMap<(HostId, String), TopicId>,
    /// Names of topics that were ever deleted.
    deleted: BTreeSet<String>,
    /// Who asked for a deletion, by topic.
    asked: BTreeMap<String, Responsible>,
}

impl Topics {
    /// Takes one event in. `is_first`: a committed record that is news.
    pub fn observe(&mut self, event: &TraceEvent, is_first: bool, config: &JudgeConfig) -> Option<TopicGone> {
        match (&event.fact, event.host) {
            (Fact::Node(Observation::MetadataCommitted { fact, .. }), _) if is_first => self.metadata(fact),
            (Fact::Client(HistoryEvent::TopicReplaced { topic, topic_id }), Some(host)) => {
                self.known.insert((host, topic.clone()), *topic_id);
                None
            }
            (Fact::World(WorldFact::Started { .. }), Some(host)) if !self.deleted.is_empty() => {
                // A client that starts anew learns what there is now, without a word about what there was.
                let now = self.newest.iter().map(|(topic, id)| ((host, topic.clone()), *id));
                self.known.extend(now);
                None
            }
            (Fact::World(WorldFact::FaultFired { id, n, what, .. }), _) => {
                let topic = config.deletions.get(id)?;
                let (fault, what) = (Some(format!("{id}#{n}")), format!("fault {id}: {what}"));
                let cause = Responsible { fault, event: event.event, at: event.at, what };
                self.asked.insert(topic.clone(), cause);
                None
            }
            _ => None,
        }
    }

    fn metadata(&mut self, fact: &MetadataFact) -> Option<TopicGone> {
        match fact {
            MetadataFact::TopicCreated { topic, topic_id } => {
                self.first.entry(topic.clone()).or_insert(*topic_id);
                self.newest.insert(topic.clone(), *topic_id);
                None
            }
            MetadataFact::TopicDeleted { topic, topic_id } => {
                self.first.entry(topic.clone()).or_insert(*topic_id);
                self.newest.retain(|_, id| id != topic_id);
                self.deleted.insert(topic.clone());
                let permit = self.asked.get(topic).map(|cause| Permit {
                    reason: "deletion of the topic by request".to_owned(),
                    responsible: vec![cause.clone()],
                });
                Some(TopicGone { topic: topic.clone(), permit })
            }
            _ => None,
        }
    }

    /// How an event is put to the checks: what a client is told of a topic that is gone says nothing about the one that
    /// there is now, and what is acknowledged there has no known fate.
    pub fn put(&self, event: &TraceEvent) -> Told {
        let (Fact::Client(fact), Some(host)) = (&event.fact, event.host) else { return Told::AsIs };
        if self.deleted.is_empty() {
            return Told::AsIs;
        }
        match fact {
            HistoryEvent::Acked { partition, values, .. } if self.is_gone(host, partition) => {
                let fact = Fact::Client(HistoryEvent::Failed {
                    partition: partition.clone(),
                    is_definite: false,
                    error: "acknowledged by a topic that is gone".to_owned(),
                    values: values.clone(),
                });
                Told::Instead(Box::new(TraceEvent { fact, ..event.clone() }))
            }
            HistoryEvent::Polled { partition, .. }
            | HistoryEvent::Positioned { partition, .. }
            | HistoryEvent::CaughtUp { partition, .. }
            | HistoryEvent::EndOffset { partition, .. }
                if self.is_gone(host, partition) =>
            {
                Told::Nothing
            }
            _ => Told::AsIs,
        }
    }

    fn is_gone(&self, host: HostId, partition: &TopicPartition) -> bool {
        let topic = &*partition.topic;
        if !self.deleted.contains(topic) {
            return false;
        }
        let known = self.known.get(&(host, topic.to_owned())).or(self.first.get(topic));
        known != self.newest.get(topic)
    }
}

#[cfg(test)]
mod tests {
    use broker::ids::TopicId;

    use super::super::findings::CheckOutcome;
    use super::super::fixture::*;
    use super::*;

    const NEW: TopicId = TopicId::from_u128(9);

    /// Two records are acknowledged and read, then the topic goes.
    fn deleted(is_asked: bool) -> Paper {
        let mut config = config();
        config.deletions.insert("drop".to_owned(), "orders".to_owned());
        let mut paper = Paper::started(config);
        paper.write(0, &[1, 2], batch(0, 2, 0, 1)).commit(0, 0, 0, 2);
        paper.ack(0, values(1..3)).poll(0, values(1..3));
        if is_asked {
            let (id, kind, what) = ("drop".to_owned(), "admin".to_owned(), "delete topic orders".to_owned());
            let fired = WorldFact::FaultFired { id, n: 1, kind, what, targets: Vec::new() };
            paper.fact(None, Fact::World(fired));
        }
        paper.meta(MetadataFact::TopicDeleted { topic: "orders".to_owned(), topic_id: log().topic_id });
        paper
    }

    fn created_again(paper: &mut Paper) {
        paper.meta(MetadataFact::TopicCreated { topic: "orders".to_owned(), topic_id: NEW });
    }

    #[test]
    fn what_goes_with_its_topic_by_request_is_a_permitted_loss() {
        let result = deleted(true).verdict("acked-writes-durable");
        assert_eq!(result.result, CheckOutcome::PermittedLoss);
        assert_eq!((result.permitted[0].records, result.permitted[0].offsets), (2, (0, 1)));
        assert_eq!(result.permitted[0].responsible[0].fault.as_deref(), Some("drop#1"));
    }

    #[test]
    fn a_topic_that_nobody_asked_to_delete_is_a_violation() {
        let result = deleted(false).verdict("acked-writes-durable");
        assert_eq!((result.result, result.count), (CheckOutcome::Violated, 2));
        assert!(result.violations[0].summary.contains("nobody asked"), "{}", result.violations[0].summary);
    }

    #[test]
    fn late_words_about_the_old_topic_say_nothing_about_the_new_one() {
        for is_told in [false, true] {
            let mut paper = deleted(true);
            created_again(&mut paper);
            if is_told {
                for host in [PRODUCER, CONSUMER] {
                    let topic = "orders".to_owned();
                    paper.client(host, HistoryEvent::TopicReplaced { topic, topic_id: NEW });
                }
            }
            paper.ack(0, values(7..9)).poll(0, values(7..9));
            // The second pair of words contradicts the first one.
            paper.ack(0, values(8..9));
            let result = paper.verdict("offsets-consistent");
            assert_eq!(result.result == CheckOutcome::Violated, is_told, "{result:?}");
        }
    }

    #[test]
    fn a_leader_of_the_old_topic_may_go_on_while_its_followers_are_gone_already() {
        let moves = |mut paper: Paper| {
            paper.write(0, &[], batch(2, 1, 0, 5)).commit(0, 0, 2, 3);
            paper.outcome("high-watermark-on-quorum")
        };
        assert_eq!(moves(deleted(true)), CheckOutcome::Held);
        let mut paper = Paper::started(config());
        paper.write(0, &[1, 2], batch(0, 2, 0, 1)).commit(0, 0, 0, 2);
        assert_eq!(moves(paper), CheckOutcome::Violated);
    }

    #[test]
    fn offsets_begin_again_in_the_new_topic() {
        let mut paper = deleted(true);
        created_again(&mut paper);
        for host in [PRODUCER, CONSUMER] {
            let topic = "orders".to_owned();
            paper.client(host, HistoryEvent::TopicReplaced { topic, topic_id: NEW });
        }
        paper.ack(0, values(3..5)).poll(0, values(3..5));
        let end = paper.end();
        let checks = paper.finish_at(&end).checks;
        for name in ["offsets-consistent", "no-duplicates", "producer-order", "reads-monotonic"] {
            let result = checks.iter().find(|check| check.name == name).expect("it exists");
            assert_ne!(result.result, CheckOutcome::Violated, "{name}: {:?}", result.violations);
        }
    }
}
