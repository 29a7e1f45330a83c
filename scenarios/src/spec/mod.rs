//! Every key of the language: its type, its default, whether it is acted upon. The walker refuses what is not in
//! here, and the JSON Schema is printed from here, so that the two cannot disagree.
//!
//! | file | tables |
//! |---|---|
//! | `mod.rs` | the types, and the file itself |
//! | `cluster.rs` | `[cluster]`, `[broker]`, `[controller]`, `[[topic]]`, `[network]`, `[disk]` |
//! | `client.rs` | `[[producer]]`, `[[consumer]]` |
//! | `fault.rs` | `[[phase]]`, `[[fault]]` and its verbs |
//! | `message.rs` | verbs that pick messages |
//! | `operation.rs` | the cluster verbs of `[[fault]]` |
//! | `chaos.rs` | `[swarm]`, `[chaos]` |
//! | `goal.rs` | `[expect]`, `[[variant]]`, `[sweep]` |

mod chaos;
mod client;
mod cluster;
mod fault;
mod goal;
mod message;
mod operation;

pub(crate) use chaos::{
    CHAOS, CHAOS_CRASH, CHAOS_CRASH_MODES, CHAOS_EFFECT, CHAOS_FENCE, CHAOS_HOLD, CHAOS_LINK,
    CHAOS_METADATA_LAG, CHAOS_PARTITION, CHAOS_PAUSE, CHAOS_SHUTDOWN, CHAOS_WIPE, SHAPES, SWARM,
};
pub(crate) use client::{CONSUMER, PRODUCER};
pub(crate) use cluster::{BROKER, CLUSTER, CONTROLLER, DISK, MODES, NETWORK, NETWORK_LINK, OVERRIDE, TOPIC};
pub(crate) use fault::{
    CRASH, CRASH_MODES, DIRECTIONS, FAULT, HALF_OPEN, LINK, LINKS, ON, PARTITION, PAUSE, PHASE, RESET,
    ROLLING_MODES, ROLLING_RESTART, SHUTDOWN,
};
pub(crate) use goal::{EXPECT, LEVELS, QUANTIFIERS, SWEEP, VARIANT, VERDICTS};
pub(crate) use message::{DROP, FENCE, HOLD, METADATA_LAG};
pub(crate) use operation::{
    ADD_PARTITIONS, ADMIN, ALTER, DELETE_RECORDS, ELECT, ELECTIONS, MOVE_LEADER, REASSIGN, UPDATE_FEATURE,
};

use crate::catalogue::Section;

/// The keys of one table.
#[derive(Debug)]
pub(crate) struct TableSpec {
    /// How messages call it.
    pub name: &'static str,
    pub about: &'static str,
    pub keys: &'static [KeySpec],
}

/// One key.
#[derive(Debug)]
pub(crate) struct KeySpec {
    pub name: &'static str,
    pub kind: Kind,
    pub need: Need,
    pub doc: &'static str,
}

/// Whether a key must, may or cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    /// With the default, as text.
    Optional(&'static str),
    /// Known, and refused.
    NotYet,
}

/// The type of a key's value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Text,
    Texts,
    Int,
    Bool,
    /// A decimal from 0 to 1.
    Probability,
    Duration,
    DurationDraw,
    IntDraw,
    DecimalDraw,
    RateDraw,
    WordDraw(&'static [&'static str]),
    Word(&'static [&'static str]),
    Distribution,
    /// An integer or `[min, max]`.
    Size,
    Keys,
    /// An integer, or digits in a string.
    Seed,
    Target,
    TwoTargets,
    /// A target, or a list of two.
    TargetOrTwo,
    /// A target, or this table.
    TargetOr(&'static TableSpec),
    /// A target, or a list of broker ids.
    TargetOrInts,
    /// `"orders/0"` or `"orders/*"`.
    Partition,
    /// An offset, or -1.
    Offset,
    Condition,
    /// `"Fetch response"`.
    Message,
    /// The name of a point.
    Point,
    /// A list of targets.
    Targets,
    /// `"1Mbit"`.
    Bandwidth,
    Ints,
    IntLists,
    /// A word, or a list of ids.
    Ids,
    /// Words with weights, or one of them.
    Weights(&'static [&'static str]),
    TargetWeights,
    /// Kinds of messages with weights, or one of them.
    MessageWeights,
    MaxDown,
    /// `">= 5"` or a list of them.
    Comparisons,
    Table(&'static TableSpec),
    Tables(&'static TableSpec),
    Config(Section),
    /// Configs of a topic or of brokers: another key says which.
    AlteredConfig,
    /// A table whose keys the file chooses.
    Map,
    Checks,
    Reach,
    /// Not looked at: the key is refused.
    Anything,
}

const fn required(name: &'static str, kind: Kind, doc: &'static str) -> KeySpec {
    KeySpec { name, kind, need: Need::Required, doc }
}

const fn optional(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> KeySpec {
    KeySpec { name, kind, need: Need::Optional(default), doc }
}

const fn not_yet(name: &'static str) -> KeySpec {
    KeySpec { name, kind: Kind::Anything, need: Need::NotYet, doc: "Known, not modelled yet: refused." }
}

impl TableSpec {
    pub fn key(&self, name: &str) -> Option<&'static KeySpec> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Names of the keys that are acted upon.
    pub fn modelled(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().filter(|key| key.need != Need::NotYet).map(|key| key.name)
    }
}

/// The file.
pub(crate) static ROOT: TableSpec = TableSpec {
    name: "the file",
    about: "A kafkasim scenario: a cluster, its clients, what breaks, and what must hold.",
    keys: &[
        required("format", Kind::Int, "Version of the language: 1."),
        required("name", Kind::Text, "Unique name, lower-case words separated by dashes and slashes."),
        optional("about", Kind::Text, "\"\"", "What the scenario shows, in sentences."),
        optional("tags", Kind::Texts, "[]", "Labels for filters."),
        optional("refs", Kind::Texts, "[]", "Where the story comes from, such as KIP-101."),
        optional(
            "seed",
            Kind::Seed,
            "none",
            "The seed when the command line gives none; an integer, or a string for any u64.",
        ),
        optional(
            "time_limit",
            Kind::Duration,
            "10m",
            "Simulated time after which the run ends whatever happens.",
        ),
        optional("defects", Kind::Texts, "[]", "Planted defects, by museum id or name."),
        optional(
            "allow",
            Kind::Texts,
            "[]",
            "Warnings about this file that are not worth a line: it is meant so.",
        ),
        optional("params", Kind::Map, "{}", "Values that \"${name}\" stands for."),
        optional("cluster", Kind::Table(&CLUSTER), "3 brokers, 3 controllers, combined", "The nodes."),
        optional("broker", Kind::Table(&BROKER), "{}", "Configs of brokers."),
        optional("controller", Kind::Table(&CONTROLLER), "{}", "Configs of controllers."),
        optional("topic", Kind::Tables(&TOPIC), "[]", "Topics."),
        optional("network", Kind::Table(&NETWORK), "{}", "The network when nothing is broken."),
        optional("disk", Kind::Table(&DISK), "{}", "The disks when nothing is broken."),
        optional("producer", Kind::Tables(&PRODUCER), "[]", "Producers."),
        optional("consumer", Kind::Tables(&CONSUMER), "[]", "Consumers with manually assigned partitions."),
        not_yet("group"),
        not_yet("transform"),
        optional("phase", Kind::Tables(&PHASE), "start, run, settle", "Phases, in order."),
        optional("fault", Kind::Tables(&FAULT), "[]", "Scripted faults: one trigger, one verb each."),
        optional("swarm", Kind::Table(&SWARM), "{}", "Limits of random faults."),
        optional("chaos", Kind::Table(&CHAOS), "{}", "Random faults."),
        optional("checks", Kind::Checks, "every check at error", "Levels and bounds of checks."),
        optional("expect", Kind::Table(&EXPECT), "{ verdict = \"pass\" }", "What must come out."),
        optional("variant", Kind::Tables(&VARIANT), "[]", "The same file with some values replaced."),
        optional("sweep", Kind::Table(&SWEEP), "{}", "Campaigns over many seeds."),
    ],
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::syntax::tree::{Node, Val};

    fn collect(spec: &'static TableSpec, node: &Node, seen: &mut BTreeSet<(&'static str, &'static str)>) {
        let tables: Vec<&Node> = match &node.value {
            Val::Array(items) => items.iter().collect(),
            _ => vec![node],
        };
        for entry in tables.iter().filter_map(|node| node.as_table()).flat_map(|table| &table.entries) {
            let Some(key) = spec.key(&entry.key) else { continue };
            seen.insert((spec.name, key.name));
            if let Kind::Table(inner) | Kind::Tables(inner) | Kind::TargetOr(inner) = key.kind {
                collect(inner, &entry.node, seen);
            }
        }
    }

    fn all(spec: &'static TableSpec, found: &mut BTreeSet<(&'static str, &'static str)>) {
        for key in spec.keys.iter().filter(|key| key.need != Need::NotYet) {
            if found.insert((spec.name, key.name))
                && let Kind::Table(inner) | Kind::Tables(inner) | Kind::TargetOr(inner) = key.kind
            {
                all(inner, found);
            }
        }
    }

    /// Together with the assertion in `Fields::close` this proves that every key is acted upon.
    #[test]
    fn the_file_with_all_keys_has_all_keys() {
        let text = include_str!("../../tests/all-keys.toml");
        let (mut seen, mut expected) = (BTreeSet::new(), BTreeSet::new());
        collect(&ROOT, &crate::syntax::toml::parse(text).0, &mut seen);
        all(&ROOT, &mut expected);
        assert_eq!(expected.difference(&seen).collect::<Vec<_>>(), Vec::<&(&str, &str)>::new());
        assert!(crate::parse("all-keys.toml", text).is_ok());
    }
}
