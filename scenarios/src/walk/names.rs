//! What one part of the file says about another: unique ids, topics, partitions, brokers, faults, bindings.

use std::collections::BTreeMap;

use super::Walk;
use crate::diagnostic::Diagnostic;
use crate::model::{Operation, PartitionIndex, Scenario, Span, Trigger, Value, Verb};
use crate::syntax::scanner::Reference;
use crate::syntax::tree::{Node, Table};

/// Checks every name once the whole file is known.
pub(super) fn check(walk: &mut Walk<'_>, scenario: &Scenario, root: &Table) {
    unique(walk, root, "topic", "topic", "name");
    unique(walk, root, "fault", "fault", "id");
    unique(walk, root, "phase", "phase", "name");
    unique(walk, root, "variant", "variant", "name");
    unique_clients(walk, scenario);
    references(walk, scenario);
    phases_of_faults(walk, scenario, root);
    after_cycles(walk, scenario);
    sizes(walk, scenario);
}

fn unique(walk: &mut Walk<'_>, root: &Table, key: &str, what: &str, id: &str) {
    let nodes = root.get(key).and_then(|entry| entry.node.as_array()).unwrap_or_default();
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    for node in nodes.iter().filter_map(|node| node.as_table()?.get(id)).map(|entry| &entry.node) {
        let Some(name) = node.as_str() else { continue };
        match seen.get(name) {
            Some(first) => {
                let finding =
                    Diagnostic::error("scn::duplicate_id", format!("two {what}s are called `{name}`"));
                walk.report(
                    finding
                        .at(*first, "the first")
                        .at(node.span, "the second")
                        .help("names are unique: they name random streams and lanes of the report"),
                );
            }
            None => drop(seen.insert(name, node.span)),
        }
    }
}

fn unique_clients(walk: &mut Walk<'_>, scenario: &Scenario) {
    let producers = scenario.producers.iter().map(|producer| (producer.name.as_str(), producer.span));
    let consumers = scenario.consumers.iter().map(|consumer| (consumer.name.as_str(), consumer.span));
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    for (name, span) in producers.chain(consumers) {
        let span = walk.first_line(span);
        match seen.get(name) {
            Some(first) => {
                let finding = Diagnostic::error(
                    "scn::duplicate_id",
                    format!("two tables of clients are called `{name}`"),
                );
                walk.report(
                    finding.at(*first, "the first").at(span, "the second").help("give each its own `name`"),
                );
            }
            None => drop(seen.insert(name, span)),
        }
    }
}

fn references(walk: &mut Walk<'_>, scenario: &Scenario) {
    let most = |count: &Value<u32>| count.max().unwrap_or(0);
    let cluster = &scenario.cluster;
    let controllers = cluster.controllers.as_ref().map_or(most(&cluster.brokers).min(3), most);
    let controllers = controllers + most(&cluster.observers);
    let brokers = most(&cluster.brokers) + most(&cluster.standby);
    let topics: Vec<&str> = scenario.topics.iter().map(|topic| topic.name.as_str()).collect();
    let faults: Vec<&str> = scenario.faults.iter().map(|fault| fault.id.as_str()).collect();
    let racks: Vec<&str> = scenario.cluster.racks.keys().map(String::as_str).collect();
    let bindings: Vec<&str> = scenario.faults.iter().filter_map(|fault| fault.verb.binds()).collect();
    let clients = client_names(scenario);
    let mut seen = Vec::new();
    for (reference, span) in std::mem::take(&mut walk.references) {
        // A parameter or a draw may bring the same place here twice.
        if seen.contains(&(reference.clone(), span)) {
            continue;
        }
        match &reference {
            Reference::Topic(topic) if !topics.contains(&topic.as_str()) => {
                walk.unknown_word("scn::unknown_topic", "topic", topic, &topics, span);
            }
            Reference::Partition(partition) => match scenario.topic(&partition.topic) {
                None => walk.unknown_word("scn::unknown_topic", "topic", &partition.topic, &topics, span),
                Some(topic) => {
                    let count =
                        topic.partitions.max().unwrap_or(0).max(partitions_added(scenario, &topic.name));
                    if let PartitionIndex::One(index) = partition.partition
                        && index >= count
                    {
                        let last = count.saturating_sub(1);
                        let message =
                            format!("the partitions of `{}` are numbered from 0 to {last}", topic.name);
                        walk.report(Diagnostic::error("scn::unknown_partition", message).at(span, ""));
                    }
                }
            },
            Reference::Broker(id) if *id >= brokers => {
                let message = format!(
                    "there is no broker {id}: brokers are numbered from 0 to {}",
                    brokers.saturating_sub(1)
                );
                walk.report(Diagnostic::error("scn::unknown_node", message).at(span, ""));
            }
            Reference::Controller(id) if *id >= controllers => {
                let last = controllers.saturating_sub(1);
                let message =
                    format!("there is no controller {id}: controllers are numbered from 0 to {last}");
                walk.report(Diagnostic::error("scn::unknown_node", message).at(span, ""));
            }
            Reference::Client(name)
                if !clients.iter().any(|(table, count)| is_client(name, table, *count)) =>
            {
                let known: Vec<String> = clients.iter().map(|(table, _)| format!("{table}-0")).collect();
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                walk.unknown_word("scn::unknown_client", "client", name, &known, span);
            }
            Reference::Rack(rack) if !racks.contains(&rack.as_str()) => {
                walk.unknown_word("scn::unknown_rack", "rack", rack, &racks, span);
            }
            Reference::Fault(fault) if !faults.contains(&fault.as_str()) => {
                walk.unknown_word("scn::unknown_fault", "fault", fault, &faults, span);
            }
            Reference::Binding(name) if !bindings.contains(&name.as_str()) => {
                walk.unknown_word("scn::unknown_binding", "binding", name, &bindings, span);
            }
            _ => {}
        }
        seen.push((reference, span));
    }
}

/// The most partitions that faults give to a topic.
fn partitions_added(scenario: &Scenario, name: &str) -> u32 {
    let counts = scenario.faults.iter().filter_map(|fault| match &fault.verb {
        Verb::Operate { operation: Operation::AddPartitions { topic, count }, .. } if topic == name => {
            Some(*count)
        }
        _ => None,
    });
    counts.max().unwrap_or(0)
}

/// Names of client tables with the largest number of clients each.
fn client_names(scenario: &Scenario) -> Vec<(&str, u32)> {
    let most = |count: &Value<u32>| count.max().unwrap_or(0);
    let producers = scenario.producers.iter().map(|producer| (producer.name.as_str(), most(&producer.count)));
    producers
        .chain(scenario.consumers.iter().map(|consumer| (consumer.name.as_str(), most(&consumer.count))))
        .collect()
}

fn is_client(name: &str, table: &str, count: u32) -> bool {
    let number = name.strip_prefix(table).and_then(|rest| rest.strip_prefix('-'));
    number.and_then(|number| number.parse::<u32>().ok()).is_some_and(|number| number < count)
}

fn phases_of_faults(walk: &mut Walk<'_>, scenario: &Scenario, root: &Table) {
    let known: Vec<&str> = scenario.phases.iter().map(|phase| phase.name.as_str()).collect();
    let nodes = root.get("fault").and_then(|entry| entry.node.as_array()).unwrap_or_default();
    for node in nodes.iter().filter_map(|node| node.as_table()?.get("phase")).map(|entry| &entry.node) {
        match node.as_str() {
            Some("start" | "settle") => {
                let message = "no fault fires while the cluster boots or settles";
                walk.report(
                    Diagnostic::error("scn::unknown_phase", message)
                        .at(node.span, "")
                        .help("name a run phase"),
                );
            }
            Some(name) if !known.contains(&name) => {
                walk.unknown_word("scn::unknown_phase", "phase", name, &known, node.span);
            }
            _ => {}
        }
    }
}

fn after_cycles(walk: &mut Walk<'_>, scenario: &Scenario) {
    for fault in &scenario.faults {
        let mut at = fault;
        for _ in 0..scenario.faults.len() {
            let (Trigger::After { fault: before, .. } | Trigger::On { after: Some(before), .. }) =
                &at.trigger
            else {
                break;
            };
            let Some(next) = scenario.fault(before) else { break };
            if next.id == fault.id {
                let finding =
                    Diagnostic::error("scn::after_cycle", format!("`{}` waits for itself", fault.id));
                walk.report(
                    finding
                        .at(fault.trigger_span, "")
                        .help("a chain of `after` ends at a fault with another trigger"),
                );
                break;
            }
            at = next;
        }
    }
}

/// Counts that cannot be met whatever is drawn.
fn sizes(walk: &mut Walk<'_>, scenario: &Scenario) {
    let brokers = scenario.cluster.brokers.max().unwrap_or(0);
    for topic in &scenario.topics {
        if topic.replication_factor.min().is_some_and(|replicas| replicas > brokers) {
            let span = walk.first_line(topic.span);
            let message = format!("`{}` wants more replicas than there are brokers ({brokers})", topic.name);
            walk.report(Diagnostic::error("scn::too_many_replicas", message).at(span, ""));
        }
    }
    let is_combined = scenario.cluster.mode.named().contains(&&crate::model::Mode::Combined);
    let controllers = scenario.cluster.controllers.as_ref().and_then(Value::min).unwrap_or(0);
    if is_combined && scenario.cluster.mode.fixed().is_some() && controllers > brokers {
        let message = format!(
            "in combined mode controllers share the {brokers} brokers: there cannot be {controllers}"
        );
        walk.report(
            Diagnostic::error("scn::too_many_controllers", message)
                .at(cluster_span(walk), "")
                .help("lower `controllers`, or set `mode = \"isolated\"`"),
        );
    }
}

/// The header of `[cluster]`, found in the text since the cluster keeps no span.
fn cluster_span(walk: &Walk<'_>) -> Span {
    let start = walk.text.find("[cluster]").unwrap_or(0);
    walk.first_line(Span::new(start, walk.text.len()))
}

/// The value of a key of a table, for lints that point at it.
pub(super) fn value_of<'t>(root: &'t Table, key: &str) -> Option<&'t Node> {
    root.get(key).map(|entry| &entry.node)
}
