//! The cluster verbs: what an operator asks of the cluster.

use super::{Fields, Walk};
use crate::catalogue::Section;
use crate::diagnostic::Diagnostic;
use crate::model::{ConfigMap, Configured, ElectionKind, Operation, Replicas, Verb};
use crate::names::FEATURES;
use crate::spec;
use crate::syntax::tree::{Node, Val};

/// The keys of `admin` that say what is to be done.
const TASKS: &[&str] = &[
    "delete_topic",
    "recreate_topic",
    "add_partitions",
    "delete_records",
    "unregister",
    "update_feature",
    "add_voter",
    "remove_voter",
];

fn operate(operation: Operation, refused: Option<String>) -> Verb {
    Verb::Operate { operation, refused }
}

impl Walk<'_> {
    pub(super) fn elect(&mut self, node: &Node) -> Option<Verb> {
        let fields = self.open_node(&spec::ELECT, node)?;
        let partition = fields.node("partition").and_then(|node| self.partition(node));
        let kind = fields.node("kind").and_then(|node| self.word(node, spec::ELECTIONS));
        let kind = if kind == Some("unclean") { ElectionKind::Unclean } else { ElectionKind::Preferred };
        let refused = self.refusal(&fields);
        fields.close();
        Some(operate(Operation::Elect { partition: partition?, kind }, refused))
    }

    pub(super) fn move_leader(&mut self, node: &Node) -> Option<Verb> {
        let fields = self.open_node(&spec::MOVE_LEADER, node)?;
        let partition = fields.node("partition").and_then(|node| self.partition(node));
        let to = fields.node("to").and_then(|node| self.target(node));
        let refused = self.refusal(&fields);
        fields.close();
        Some(operate(Operation::MoveLeader { partition: partition?, to: to? }, refused))
    }

    pub(super) fn reassign(&mut self, node: &Node) -> Option<Verb> {
        let fields = self.open_node(&spec::REASSIGN, node)?;
        let partition = fields.node("partition").and_then(|node| self.partition(node));
        let replicas = fields.node("replicas").and_then(|node| self.replicas(node));
        let refused = self.refusal(&fields);
        fields.close();
        Some(operate(Operation::Reassign { partition: partition?, replicas: replicas? }, refused))
    }

    fn replicas(&mut self, node: &Node) -> Option<Replicas> {
        let Val::Array(items) = &node.value else {
            return self.target(node).map(Replicas::Target);
        };
        let mut ids = Vec::new();
        for item in items {
            let id = self.small_int(item, 0, u32::MAX)?;
            self.refer_broker(id, item);
            ids.push(id);
        }
        if ids.is_empty() {
            self.bad_value(node.span, "a partition has at least one replica");
            return None;
        }
        Some(Replicas::Listed(ids))
    }

    pub(super) fn alter(&mut self, node: &Node) -> Option<Verb> {
        let fields = self.open_node(&spec::ALTER, node)?;
        let topic = fields.node("topic").and_then(|node| {
            let topic = self.text(node)?;
            self.refer_topic(&topic, node);
            Some(Configured::Topic(topic))
        });
        let broker = fields.node("broker").and_then(|node| {
            let id = self.small_int(node, 0, u32::MAX)?;
            self.refer_broker(id, node);
            Some(Configured::Broker(id))
        });
        let brokers = fields.node("brokers").and_then(|node| {
            let is_all = self.boolean(node)?;
            is_all.then_some(Configured::Brokers)
        });
        let given: Vec<Configured> = [topic, broker, brokers].into_iter().flatten().collect();
        let whose = <[Configured; 1]>::try_from(given).ok().map(|[whose]| whose);
        if whose.is_none() {
            let message = "an `alter` is about a topic, about one broker, or about all of them";
            let finding = Diagnostic::error("scn::bad_alter", message).at(fields.span, "");
            self.report(finding.help("give `topic = \"...\"`, `broker = N`, or `brokers = true`"));
        }
        let section =
            if matches!(whose, Some(Configured::Topic(_))) { Section::Topic } else { Section::Broker };
        let config: ConfigMap = match &whose {
            Some(_) => self.config(fields.node("config"), section),
            // Whose they are decides which names there are.
            None => {
                fields.get("config");
                ConfigMap::new()
            }
        };
        if let (Some(_), Some(node), true) = (&whose, fields.node("config"), config.is_empty())
            && node.as_table().is_some_and(|table| table.entries.is_empty())
        {
            self.bad_value(node.span, "an `alter` sets at least one config");
        }
        let refused = self.refusal(&fields);
        fields.close();
        Some(operate(Operation::Alter { whose: whose?, config }, refused))
    }

    pub(super) fn admin(&mut self, node: &Node) -> Option<Verb> {
        let fields = self.open_node(&spec::ADMIN, node)?;
        let given: Vec<&str> = TASKS.iter().copied().filter(|key| fields.table.get(key).is_some()).collect();
        if given.len() != 1 {
            let message = match given.is_empty() {
                true => "this `admin` asks for nothing".to_owned(),
                false => format!("an `admin` asks for one thing, not for {}", given.join(" and ")),
            };
            let finding = Diagnostic::error("scn::bad_admin", message).at(fields.span, "");
            self.report(finding.help(format!("give one of {}", TASKS.join(", "))));
        }
        let topic = |walk: &mut Self, key| {
            fields.node(key).and_then(|node| {
                let topic = walk.text(node)?;
                walk.refer_topic(&topic, node);
                Some(topic)
            })
        };
        let target = |walk: &mut Self, key| fields.node(key).and_then(|node| walk.target(node));
        let found = [
            topic(self, "delete_topic").map(|topic| Operation::DeleteTopic { topic }),
            topic(self, "recreate_topic").map(|topic| Operation::RecreateTopic { topic }),
            fields.node("add_partitions").and_then(|node| self.add_partitions(node)),
            fields.node("delete_records").and_then(|node| self.delete_records(node)),
            target(self, "unregister").map(|target| Operation::Unregister { target }),
            fields.node("update_feature").and_then(|node| self.update_feature(node)),
            target(self, "add_voter").map(|target| Operation::AddVoter { target }),
            target(self, "remove_voter").map(|target| Operation::RemoveVoter { target }),
        ];
        let refused = self.refusal(&fields);
        fields.close();
        let operation = found.into_iter().flatten().next()?;
        Some(operate(operation, refused))
    }

    fn add_partitions(&mut self, node: &Node) -> Option<Operation> {
        let fields = self.open_node(&spec::ADD_PARTITIONS, node)?;
        let topic = fields.node("topic").and_then(|node| {
            let topic = self.text(node)?;
            self.refer_topic(&topic, node);
            Some(topic)
        });
        let count = fields.node("count").and_then(|node| self.small_int(node, 1, 10_000));
        fields.close();
        Some(Operation::AddPartitions { topic: topic?, count: count? })
    }

    fn delete_records(&mut self, node: &Node) -> Option<Operation> {
        let fields = self.open_node(&spec::DELETE_RECORDS, node)?;
        let partition = fields.node("partition").and_then(|node| self.partition(node));
        let before = match fields.node("before") {
            None => Some(-1),
            Some(node) => self.offset(node),
        };
        fields.close();
        Some(Operation::DeleteRecords { partition: partition?, before: before? })
    }

    /// An offset, or -1.
    fn offset(&mut self, node: &Node) -> Option<i64> {
        match &node.value {
            Val::Int(-1) => Some(-1),
            _ => self.int(node, 0, i64::MAX as u64).and_then(|n| i64::try_from(n).ok()),
        }
    }

    fn update_feature(&mut self, node: &Node) -> Option<Operation> {
        let fields = self.open_node(&spec::UPDATE_FEATURE, node)?;
        let name = fields.node("name").and_then(|node| {
            let name = self.text(node)?;
            self.known_feature(&name, node).then_some(name)
        });
        let level = fields.node("level").and_then(|node| self.level_of_feature(node));
        fields.close();
        Some(Operation::UpdateFeature { name: name?, level: level? })
    }

    pub(super) fn known_feature(&mut self, name: &str, node: &Node) -> bool {
        let is_known = FEATURES.contains(&name);
        if !is_known {
            self.unknown_word("scn::unknown_feature", "feature", name, FEATURES, node.span);
        }
        is_known
    }

    pub(super) fn level_of_feature(&mut self, node: &Node) -> Option<i16> {
        self.int(node, 0, i16::MAX as u64).and_then(|n| i16::try_from(n).ok())
    }

    /// The error with which the cluster must refuse.
    fn refusal(&mut self, fields: &Fields<'_>) -> Option<String> {
        let node = fields.node("refused")?;
        let text = self.text(node)?;
        let is_code = !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        if !is_code {
            self.bad_value(node.span, "an error has Kafka's name, such as ELECTION_NOT_NEEDED");
            return None;
        }
        Some(text)
    }
}
