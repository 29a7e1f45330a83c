//! From the spanned tree to the typed scenario, with every mistake of the file in one pass.
//!
//! Each table is opened with its [`TableSpec`]: unknown, missing and not yet modelled keys are reported there, once
//! for the whole language. Readers return `None` after they have reported what is wrong and the walk goes on.
//!
//! | file | reads |
//! |---|---|
//! | `mod.rs` | tables: which keys there are |
//! | `values.rs` | text, numbers, durations, draws, weights, comparisons |
//! | `distribution.rs` | distributions |
//! | `expression.rs` | targets, conditions, partitions |
//! | `params.rs` | `"${x}"`, replaced before anything else |
//! | `config.rs` | tables of Kafka configs |
//! | `cluster.rs` | cluster, topics, network, disk |
//! | `client.rs` | producers and consumers |
//! | `fault.rs` | scripted faults |
//! | `network.rs` | verbs of the network |
//! | `message.rs` | verbs that pick messages |
//! | `operation.rs` | their cluster verbs |
//! | `chaos.rs` | swarm and chaos |
//! | `goal.rs` | checks, expectations, variants |
//! | `phase.rs` | phases, and those that the language adds |
//! | `root.rs` | the file as a whole |
//! | `names.rs` | what one part of the file says about another: topics, ids, brokers |
//! | `lint.rs` | files that are valid and probably not meant so |

mod chaos;
mod client;
mod cluster;
mod config;
mod distribution;
mod expression;
mod fault;
mod goal;
mod lint;
mod message;
mod names;
mod network;
mod operation;
mod params;
mod phase;
mod root;
mod values;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;

pub(crate) use root::walk;

use crate::diagnostic::Diagnostic;
use crate::model::Span;
use crate::names::nearest;
use crate::spec::{Need, TableSpec};
use crate::syntax::scanner::Reference;
use crate::syntax::tree::{Entry, Node, Table, Val};

/// What the walk has found so far.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    text: &'a str,
    pub findings: Vec<Diagnostic>,
    /// `section: name` of configs that have no effect.
    pub unmodelled_configs: BTreeSet<String>,
    references: Vec<(Reference, Span)>,
}

impl<'a> Walk<'a> {
    pub fn new(text: &'a str) -> Self {
        Walk { text, findings: Vec::new(), unmodelled_configs: BTreeSet::new(), references: Vec::new() }
    }

    fn report(&mut self, finding: Diagnostic) {
        self.findings.push(finding);
    }

    /// Opens a table: reports keys that it may not have and keys that it lacks.
    fn open<'t>(&mut self, spec: &'static TableSpec, table: &'t Table, span: Span) -> Fields<'t> {
        for entry in &table.entries {
            match spec.key(&entry.key) {
                None => self.unknown_key(spec, entry),
                Some(key) if key.need == Need::NotYet => {
                    self.not_modelled_yet(&format!("`{}`", entry.key), entry.key_span);
                }
                Some(_) => {}
            }
        }
        for key in spec.keys.iter().filter(|key| key.need == Need::Required) {
            if table.get(key.name).is_none() {
                let message = format!("{} has no `{}`", spec.name, key.name);
                self.report(Diagnostic::error("scn::missing_key", message).at(span, "").help(key.doc));
            }
        }
        Fields { spec, table, span, asked: RefCell::new(BTreeSet::new()) }
    }

    /// As [`Walk::open`], for a value that must be a table.
    fn open_node<'t>(&mut self, spec: &'static TableSpec, node: &'t Node) -> Option<Fields<'t>> {
        match &node.value {
            Val::Table(table) => Some(self.open(spec, table, self.first_line(node.span))),
            _ => {
                self.wrong_type(node, &format!("{} is a table", spec.name));
                None
            }
        }
    }

    /// The tables of an array of tables.
    fn tables<'t>(&mut self, entry: Option<&'t Entry>, spec: &'static TableSpec) -> Vec<&'t Node> {
        match entry.map(|entry| &entry.node) {
            None => Vec::new(),
            Some(Node { value: Val::Array(items), .. }) => items.iter().collect(),
            Some(node) => {
                self.wrong_type(node, &format!("{} is an array of tables", spec.name));
                Vec::new()
            }
        }
    }

    fn unknown_key(&mut self, spec: &'static TableSpec, entry: &Entry) {
        let known: Vec<&str> = spec.keys.iter().map(|key| key.name).collect();
        let finding =
            Diagnostic::error("scn::unknown_key", format!("{} has no key `{}`", spec.name, entry.key))
                .at(entry.key_span, "");
        let help = match nearest(&entry.key, known.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("it may have: {}", spec.modelled().collect::<Vec<_>>().join(", ")),
        };
        self.report(finding.help(help));
    }

    fn not_modelled_yet(&mut self, what: &str, span: Span) {
        self.report(
            Diagnostic::error("scn::not_modelled_yet", format!("{what} is not modelled yet"))
                .at(span, "")
                .help("the language knows it, the simulator does not: leave it out for now"),
        );
    }

    fn wrong_type(&mut self, node: &Node, wanted: &str) {
        let span = self.first_line(node.span);
        self.report(
            Diagnostic::error("scn::wrong_type", format!("{wanted}, not {}", node.kind())).at(span, ""),
        );
    }

    fn bad_value(&mut self, span: Span, message: impl Into<String>) {
        self.report(Diagnostic::error("scn::bad_value", message).at(span, ""));
    }

    /// A word that is not in the list, with the one that was meant.
    fn unknown_word(&mut self, code: &'static str, what: &str, word: &str, known: &[&str], span: Span) {
        let help = match nearest(word, known.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None if known.is_empty() => format!("the file has no {what}"),
            None => format!("known: {}", known.join(", ")),
        };
        self.report(Diagnostic::error(code, format!("unknown {what} `{word}`")).at(span, "").help(help));
    }

    /// The part of a string value that an expression error is about, if the text is plain enough to tell.
    fn inner_span(&self, node: &Node, content: &str, range: Range<usize>) -> Span {
        let source = self.text.get(node.span.start..node.span.end).unwrap_or("");
        let is_plain = source.len() == content.len() + 2 && source.get(1..source.len() - 1) == Some(content);
        if !is_plain {
            return self.first_line(node.span);
        }
        let start = node.span.start + 1 + range.start;
        Span::new(start, (node.span.start + 1 + range.end).max(start))
    }

    /// The first line of a span: enough to point at a table.
    fn first_line(&self, span: Span) -> Span {
        let source = self.text.get(span.start..span.end).unwrap_or("");
        let length = source.find('\n').unwrap_or(source.len());
        Span::new(span.start, span.start + length)
    }
}

/// A table while it is read. Every key that its spec calls modelled must be asked for: a key that is accepted and
/// then ignored is a bug in this crate.
#[derive(Debug)]
struct Fields<'t> {
    spec: &'static TableSpec,
    table: &'t Table,
    /// What to underline when something is missing.
    span: Span,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'t> Fields<'t> {
    /// The entry, if the file has the key and it is modelled.
    fn get(&self, key: &'static str) -> Option<&'t Entry> {
        self.asked.borrow_mut().insert(key);
        debug_assert!(self.spec.key(key).is_some(), "{} has no key {key} in its spec", self.spec.name);
        if self.spec.key(key).is_some_and(|spec| spec.need == Need::NotYet) {
            return None;
        }
        self.table.get(key)
    }

    /// The value, as [`Fields::get`].
    fn node(&self, key: &'static str) -> Option<&'t Node> {
        self.get(key).map(|entry| &entry.node)
    }

    /// The whole table, from its header to the end of its last value.
    fn whole(&self) -> Span {
        let end = self.table.entries.iter().map(|entry| end_of(&entry.node)).max().unwrap_or(self.span.end);
        Span::new(self.span.start, end.max(self.span.end))
    }

    /// Whether there is a key that was reported as unknown: probably the one that seems to be missing.
    fn has_unknown_key(&self) -> bool {
        self.table.entries.iter().any(|entry| self.spec.key(&entry.key).is_none())
    }

    /// Ends the reading.
    fn close(self) {
        let asked = self.asked.borrow();
        let ignored: Vec<&str> = self.spec.modelled().filter(|key| !asked.contains(key)).collect();
        debug_assert!(ignored.is_empty(), "{} accepts and ignores {ignored:?}", self.spec.name);
    }
}

fn end_of(node: &Node) -> usize {
    match &node.value {
        Val::Table(table) => {
            table.entries.iter().map(|entry| end_of(&entry.node)).max().unwrap_or(0).max(node.span.end)
        }
        _ => node.span.end,
    }
}
