//! The file as a whole.

use super::{Walk, lint, names, params};
use crate::diagnostic::Diagnostic;
use crate::model::{Micros, Scenario};
use crate::names::{DEFECTS, defect};
use crate::spec;
use crate::syntax::tree::{Node, Val};

/// The only version of the language.
const FORMAT: u64 = 1;

/// The scenario that `root` describes, as far as it can be read. It is only meaningful if no error was reported.
pub(crate) fn walk(walk: &mut Walk<'_>, mut root: Node, variant: Option<String>) -> Option<Scenario> {
    let Val::Table(table) = &mut root.value else { return None };
    let params = params::resolve(walk, table);
    let span = crate::model::Span::new(0, 0);
    let fields = walk.open(&spec::ROOT, table, span);
    fields.get("params");
    if let Some(node) = fields.node("format")
        && walk.int(node, 0, u64::MAX).is_some_and(|format| format != FORMAT)
    {
        let finding = Diagnostic::error("scn::unknown_format", "this version of the language is not known")
            .at(node.span, "");
        walk.report(finding.help("this program reads `format = 1`"));
    }
    let name = fields.node("name").and_then(|node| walk.scenario_name(node));
    let (broker_config, broker_overrides) = walk.broker(fields.node("broker"));
    let each = |walk: &mut Walk<'_>, key, spec| walk.tables(fields.get(key), spec);
    let topics = each(walk, "topic", &spec::TOPIC);
    let topics = topics.iter().filter_map(|node| walk.topic(node, &broker_config)).collect();
    let producers = each(walk, "producer", &spec::PRODUCER);
    let producers =
        default_names("p", &producers).filter_map(|(node, name)| walk.producer(node, &name)).collect();
    let consumers = each(walk, "consumer", &spec::CONSUMER);
    let consumers =
        default_names("c", &consumers).filter_map(|(node, name)| walk.consumer(node, &name)).collect();
    let faults = each(walk, "fault", &spec::FAULT);
    let faults: Vec<_> =
        faults.iter().enumerate().filter_map(|(index, node)| walk.fault(node, index + 1)).collect();
    let phases = each(walk, "phase", &spec::PHASE);
    let phases: Vec<_> = phases.iter().filter_map(|node| walk.phase(node)).collect();
    let variants = each(walk, "variant", &spec::VARIANT);
    let scenario = Scenario {
        name: name.unwrap_or_default(),
        about: fields.node("about").and_then(|node| walk.text(node)).unwrap_or_default().trim().to_owned(),
        tags: fields.node("tags").map(|node| walk.texts(node)).unwrap_or_default(),
        refs: fields.node("refs").map(|node| walk.texts(node)).unwrap_or_default(),
        seed: fields.node("seed").and_then(|node| walk.seed(node)),
        time_limit: fields
            .node("time_limit")
            .and_then(|node| walk.duration(node))
            .unwrap_or(Micros::from_secs(600)),
        defects: fields.node("defects").map(|node| walk.defects(node)).unwrap_or_default(),
        params,
        cluster: walk.cluster(fields.node("cluster")),
        broker_config,
        broker_overrides,
        controller_config: walk.controller(fields.node("controller")),
        topics,
        network: walk.network(fields.node("network")),
        disk: walk.disk(fields.node("disk")),
        producers,
        consumers,
        phases: walk.complete_phases(phases, &faults),
        faults,
        swarm: walk.swarm(fields.node("swarm")),
        chaos: walk.chaos(fields.node("chaos")),
        checks: walk.checks(fields.node("checks")),
        expect: walk.expect(fields.node("expect")),
        variants: variants.iter().filter_map(|node| walk.variant(node)).collect(),
        sweep: walk.sweep(fields.node("sweep")),
        variant,
    };
    names::check(walk, &scenario, table);
    lint::check(walk, &scenario, table);
    lint::allow(walk, fields.node("allow"));
    fields.close();
    Some(scenario)
}

/// Tables with the name that each gets if it has none: `p`, `p2`, `p3`.
fn default_names<'n>(word: &'n str, nodes: &'n [&'n Node]) -> impl Iterator<Item = (&'n Node, String)> {
    nodes.iter().enumerate().map(move |(index, node)| {
        let name = if index == 0 { word.to_owned() } else { format!("{word}{}", index + 1) };
        (*node, name)
    })
}

impl Walk<'_> {
    fn scenario_name(&mut self, node: &Node) -> Option<String> {
        let name = self.text(node)?;
        let is_plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        if !name.split('/').all(is_plain) {
            // The name is a directory of the output: it may not leave it.
            self.bad_value(
                node.span,
                "a scenario name has words of letters, digits, dashes and dots, separated by `/`",
            );
            return None;
        }
        Some(name)
    }

    fn seed(&mut self, node: &Node) -> Option<u64> {
        match &node.value {
            Val::Str(text) => match text.parse() {
                Ok(seed) => Some(seed),
                Err(_) => {
                    self.bad_value(node.span, "a seed is an integer from 0 to 18446744073709551615");
                    None
                }
            },
            _ => self.int(node, 0, u64::MAX),
        }
    }

    fn defects(&mut self, node: &Node) -> Vec<String> {
        let mut names = Vec::new();
        for item in self.list(node, "`defects` is a list of names").unwrap_or_default() {
            let Some(text) = self.text(item) else { continue };
            match defect(&text) {
                Some(defect) if names.iter().any(|name| name == defect.name) => {
                    self.bad_value(item.span, format!("the defect `{text}` is listed twice"));
                }
                Some(defect) => names.push(defect.name.to_owned()),
                None => {
                    let known: Vec<&str> =
                        DEFECTS.iter().flat_map(|defect| [defect.id, defect.name]).collect();
                    self.unknown_word("scn::unknown_defect", "defect", &text, &known, item.span);
                }
            }
        }
        names
    }
}
