//! Every key of the language: its type, its default, whether it is acted upon. The walker refuses what is not in
//! here, and the JSON Schema is printed from here, so that the two cannot disagree.

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
    Condition,
    Ints,
    IntLists,
    /// A word, or a list of ids.
    Ids,
    /// Words with weights, or one of them.
    Weights(&'static [&'static str]),
    TargetWeights,
    MaxDown,
    /// `">= 5"` or a list of them.
    Comparisons,
    Table(&'static TableSpec),
    Tables(&'static TableSpec),
    Config(Section),
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

pub(crate) const MODES: &[&str] = &["combined", "isolated"];

/// `[cluster]`.
pub(crate) static CLUSTER: TableSpec = TableSpec {
    name: "[cluster]",
    about: "How many nodes of which role. Brokers are numbered from 0.",
    keys: &[
        optional("brokers", Kind::IntDraw, "3", "Number of brokers."),
        optional("controllers", Kind::IntDraw, "min(3, brokers)", "Number of controllers."),
        optional(
            "mode",
            Kind::WordDraw(MODES),
            "combined",
            "Whether controllers share the processes of the first brokers.",
        ),
        optional("racks", Kind::Map, "{}", "Rack name to broker ids."),
    ],
};

/// `[broker]`.
pub(crate) static BROKER: TableSpec = TableSpec {
    name: "[broker]",
    about: "Configs of brokers.",
    keys: &[
        optional("config", Kind::Config(Section::Broker), "{}", "Kafka configs of every broker."),
        optional("override", Kind::Tables(&OVERRIDE), "[]", "Configs of some brokers."),
    ],
};

/// `[[broker.override]]`.
pub(crate) static OVERRIDE: TableSpec = TableSpec {
    name: "[[broker.override]]",
    about: "Configs of some brokers, over those of all.",
    keys: &[
        required("brokers", Kind::Ints, "Broker ids."),
        required("config", Kind::Config(Section::Broker), "Their Kafka configs."),
    ],
};

/// `[controller]`.
pub(crate) static CONTROLLER: TableSpec = TableSpec {
    name: "[controller]",
    about: "Configs of controllers.",
    keys: &[optional(
        "config",
        Kind::Config(Section::Controller),
        "{}",
        "Kafka configs of every controller.",
    )],
};

/// `[[topic]]`.
pub(crate) static TOPIC: TableSpec = TableSpec {
    name: "[[topic]]",
    about: "A topic that exists before clients start.",
    keys: &[
        required("name", Kind::Text, "Kafka topic name."),
        optional("partitions", Kind::IntDraw, "num.partitions of the brokers (1)", "Number of partitions."),
        optional(
            "replication_factor",
            Kind::IntDraw,
            "default.replication.factor of the brokers (1)",
            "Replicas of each partition.",
        ),
        optional(
            "assignment",
            Kind::IntLists,
            "placed by the controller",
            "Replica lists, one per partition.",
        ),
        optional("config", Kind::Config(Section::Topic), "{}", "Kafka configs of the topic."),
    ],
};

/// `[network]`.
pub(crate) static NETWORK: TableSpec = TableSpec {
    name: "[network]",
    about: "Every link, unless [[network.link]] says otherwise.",
    keys: &[
        optional(
            "latency",
            Kind::Distribution,
            "lognormal, median 400us, p99 6ms",
            "One-way latency of a message.",
        ),
        optional("loss", Kind::Probability, "0", "Probability that a message is lost."),
        optional("link", Kind::Tables(&NETWORK_LINK), "[]", "Exceptions; later ones win."),
    ],
};

/// `[[network.link]]`.
pub(crate) static NETWORK_LINK: TableSpec = TableSpec {
    name: "[[network.link]]",
    about: "The links between two sets of nodes, both ways.",
    keys: &[
        required("between", Kind::TwoTargets, "The two ends: brokers, controllers, clients, racks."),
        optional("latency", Kind::Distribution, "that of [network]", "One-way latency of a message."),
        optional("loss", Kind::Probability, "that of [network]", "Probability that a message is lost."),
        not_yet("bandwidth"),
    ],
};

/// `[disk]`.
pub(crate) static DISK: TableSpec = TableSpec {
    name: "[disk]",
    about: "How long disk calls take, on every node.",
    keys: &[
        optional(
            "write",
            Kind::Distribution,
            "lognormal, median 80us, p99 2ms",
            "A write into the page cache.",
        ),
        optional("fsync", Kind::Distribution, "lognormal, median 1ms, p99 30ms", "A sync to stable storage."),
    ],
};

/// `[[producer]]`.
pub(crate) static PRODUCER: TableSpec = TableSpec {
    name: "[[producer]]",
    about: "Producers. Number i of a table called p is the client p-i.",
    keys: &[
        optional("name", Kind::Text, "p (p2, p3, ... for further ones)", "Name of the clients."),
        optional("count", Kind::IntDraw, "1", "How many."),
        required("topic", Kind::Text, "Topic to write to."),
        optional("rate", Kind::RateDraw, "50/s", "Records per second of each."),
        optional("keys", Kind::Keys, "none", "Keys of records."),
        optional("value_bytes", Kind::Size, "100", "Size of values in bytes."),
        optional("records", Kind::Int, "no limit", "Records after which each producer stops."),
        optional("config", Kind::Config(Section::Producer), "{}", "Kafka configs of the producer."),
    ],
};

/// `[[consumer]]`.
pub(crate) static CONSUMER: TableSpec = TableSpec {
    name: "[[consumer]]",
    about: "Consumers with manually assigned partitions.",
    keys: &[
        optional("name", Kind::Text, "c (c2, c3, ... for further ones)", "Name of the clients."),
        optional("count", Kind::IntDraw, "1", "How many; each reads every assigned partition."),
        required("topic", Kind::Text, "Topic to read."),
        optional("partitions", Kind::Ints, "all", "Assigned partitions."),
        optional("config", Kind::Config(Section::Consumer), "{}", "Kafka configs of the consumer."),
    ],
};

/// `[[phase]]`.
pub(crate) static PHASE: TableSpec = TableSpec {
    name: "[[phase]]",
    about: "A part of the run. `start` comes first and `settle` last; they are added if the file has none.",
    keys: &[
        required("name", Kind::Text, "Unique name."),
        optional("for", Kind::Duration, "none", "How long it lasts."),
        optional("until", Kind::Condition, "none", "What it waits for."),
        optional("within", Kind::Duration, "the rest of the time limit", "Bound of the wait."),
        optional(
            "heal",
            Kind::Ids,
            "\"all\" in settle, else nothing",
            "What is undone when it begins: \"all\" or fault ids.",
        ),
    ],
};

/// `[[fault]]`.
pub(crate) static FAULT: TableSpec = TableSpec {
    name: "[[fault]]",
    about: "A scripted fault: exactly one trigger, exactly one verb.",
    keys: &[
        optional("id", Kind::Text, "fault-N", "Unique id; names its random stream."),
        optional(
            "phase",
            Kind::Text,
            "any after start",
            "The phase in which it may fire; times then count from its start.",
        ),
        optional("at", Kind::DurationDraw, "none", "Trigger: at this time."),
        optional("every", Kind::DurationDraw, "none", "Trigger: again and again."),
        optional("jitter", Kind::Duration, "0s", "With every: how much later each may come."),
        optional("count", Kind::Int, "no limit", "With every: how often."),
        optional("when", Kind::Condition, "none", "Trigger: as soon as this becomes true."),
        optional("once", Kind::Bool, "true", "With when: only the first time."),
        optional("within", Kind::Duration, "until the phase ends", "With when or after: bound of the wait."),
        optional(
            "after",
            Kind::Text,
            "none",
            "Trigger: when that fault has completed; may be combined with when.",
        ),
        not_yet("on"),
        optional(
            "for",
            Kind::DurationDraw,
            "until healed",
            "How long it lasts; a crashed node then restarts.",
        ),
        optional("crash", Kind::TargetOr(&CRASH), "none", "Verb: the process dies."),
        optional("restart", Kind::Target, "none", "Verb: starts nodes that are down."),
        optional("pause", Kind::TargetOr(&PAUSE), "none", "Verb: the process stops and keeps its memory."),
        optional("partition", Kind::Table(&PARTITION), "none", "Verb: cuts links."),
        optional("link", Kind::Table(&LINK), "none", "Verb: makes links slow or lossy."),
        optional("heal", Kind::Ids, "none", "Verb: undoes \"all\" or these faults."),
        not_yet("shutdown"),
        not_yet("disk"),
        not_yet("clock"),
        not_yet("rolling_restart"),
        not_yet("reassign"),
        not_yet("elect"),
        not_yet("alter"),
        not_yet("admin"),
        not_yet("kill_client"),
        not_yet("pause_client"),
    ],
};

pub(crate) const CRASH_MODES: &[&str] = &["process", "power"];

/// `crash = { ... }`.
pub(crate) static CRASH: TableSpec = TableSpec {
    name: "crash",
    about: "The process dies.",
    keys: &[
        required("target", Kind::Target, "Whom."),
        optional(
            "mode",
            Kind::Word(CRASH_MODES),
            "process",
            "process keeps the page cache, power loses what is not synced.",
        ),
        optional("as", Kind::Text, "none", "Name under which later faults find the struck nodes: $name."),
    ],
};

/// `pause = { ... }`.
pub(crate) static PAUSE: TableSpec = TableSpec {
    name: "pause",
    about: "The process stops and keeps its memory.",
    keys: &[
        required("target", Kind::Target, "Whom."),
        optional("as", Kind::Text, "none", "Name under which later faults find the struck nodes: $name."),
    ],
};

pub(crate) const DIRECTIONS: &[&str] = &["inbound", "outbound"];
pub(crate) const LINKS: &[&str] = &["all", "replication", "controller", "client", "group"];

/// `partition = { ... }`.
pub(crate) static PARTITION: TableSpec = TableSpec {
    name: "partition",
    about: "Cuts links: isolate or halves.",
    keys: &[
        optional("isolate", Kind::Target, "none", "One side."),
        optional("from", Kind::Target, "everyone else", "The other side."),
        optional("halves", Kind::TargetOrTwo, "none", "Nodes that are split at random, or two given sides."),
        optional(
            "one_way",
            Kind::Word(DIRECTIONS),
            "both ways",
            "Only what arrives at or leaves the isolated (or first) side.",
        ),
        optional("links", Kind::Word(LINKS), "all", "Which traffic."),
        optional(
            "as",
            Kind::Text,
            "none",
            "Name under which later faults find the isolated (or first) side: $name.",
        ),
        not_yet("groups"),
        not_yet("bridge"),
        not_yet("ring"),
    ],
};

/// `link = { ... }`.
pub(crate) static LINK: TableSpec = TableSpec {
    name: "link",
    about: "Makes links slow or lossy, both ways.",
    keys: &[
        optional("between", Kind::TwoTargets, "none", "The two ends."),
        optional("target", Kind::Target, "none", "Every link of these nodes."),
        optional("delay", Kind::Distribution, "nothing", "Added to the latency of each message."),
        optional("loss", Kind::Probability, "0", "Probability that a message is lost."),
        not_yet("duplicate"),
        not_yet("reorder"),
        not_yet("corrupt"),
        not_yet("bandwidth"),
    ],
};

/// `[swarm]`.
pub(crate) static SWARM: TableSpec = TableSpec {
    name: "[swarm]",
    about: "Limits of random faults: each seed enables a random subset of the chaos kinds.",
    keys: &[
        optional("enable_each", Kind::Probability, "1", "Probability that a seed enables a kind."),
        optional("rate_scale", Kind::DecimalDraw, "1.0", "Factor of every chaos rate."),
        optional("keep_quorum", Kind::Bool, "true", "Leave a majority of controllers running and connected."),
        optional(
            "max_down",
            Kind::MaxDown,
            "floor((replication_factor - 1) / 2)",
            "Brokers that may be down, paused or isolated at once.",
        ),
    ],
};

/// `[chaos]`.
pub(crate) static CHAOS: TableSpec = TableSpec {
    name: "[chaos]",
    about: "Random faults.",
    keys: &[
        optional("crash", Kind::Table(&CHAOS_CRASH), "none", "Crash and restart nodes."),
        optional("pause", Kind::Table(&CHAOS_PAUSE), "none", "Pause and resume nodes or clients."),
        optional("partition", Kind::Table(&CHAOS_PARTITION), "none", "Cut the network."),
        optional("link", Kind::Table(&CHAOS_LINK), "none", "Make links slow or lossy."),
        not_yet("disk"),
        not_yet("clock"),
        not_yet("admin"),
    ],
};

/// `[chaos.crash]`.
pub(crate) static CHAOS_CRASH: TableSpec = TableSpec {
    name: "[chaos.crash]",
    about: "Crash and restart nodes.",
    keys: &[
        optional("targets", Kind::TargetWeights, "[\"random(brokers)\"]", "Whom, with weights."),
        required("mean_every", Kind::Duration, "Mean time between two."),
        optional("mode", Kind::Weights(CRASH_MODES), "process", "What survives, with weights."),
        optional("down", Kind::Distribution, "exp, mean 5s", "How long nodes stay down."),
    ],
};

/// `[chaos.pause]`.
pub(crate) static CHAOS_PAUSE: TableSpec = TableSpec {
    name: "[chaos.pause]",
    about: "Pause and resume nodes or clients.",
    keys: &[
        optional("targets", Kind::TargetWeights, "[\"random(brokers)\"]", "Whom, with weights."),
        required("mean_every", Kind::Duration, "Mean time between two."),
        optional("hold", Kind::Distribution, "exp, mean 5s", "How long."),
    ],
};

pub(crate) const SHAPES: &[&str] = &["isolate", "halves", "one_way", "groups", "bridge", "ring"];

/// `[chaos.partition]`.
pub(crate) static CHAOS_PARTITION: TableSpec = TableSpec {
    name: "[chaos.partition]",
    about: "Cut the network.",
    keys: &[
        optional("shapes", Kind::Weights(SHAPES), "isolate", "How, with weights."),
        required("mean_every", Kind::Duration, "Mean time between two."),
        optional("hold", Kind::Distribution, "exp, mean 5s", "How long."),
    ],
};

/// `[chaos.link]`.
pub(crate) static CHAOS_LINK: TableSpec = TableSpec {
    name: "[chaos.link]",
    about: "Make links slow or lossy.",
    keys: &[
        required("mean_every", Kind::Duration, "Mean time between two."),
        optional("hold", Kind::Distribution, "exp, mean 5s", "How long."),
        required("effect", Kind::Table(&CHAOS_EFFECT), "What happens to messages."),
    ],
};

/// `effect` of `[chaos.link]`.
pub(crate) static CHAOS_EFFECT: TableSpec = TableSpec {
    name: "effect",
    about: "What happens to messages.",
    keys: &[
        optional("delay", Kind::Distribution, "nothing", "Added to the latency of each message."),
        optional("loss", Kind::Probability, "0", "Probability that a message is lost."),
        not_yet("duplicate"),
        not_yet("reorder"),
        not_yet("corrupt"),
        not_yet("bandwidth"),
    ],
};

pub(crate) const LEVELS: &[&str] = &["error", "warn", "off"];
pub(crate) const VERDICTS: &[&str] = &["pass", "violation", "permitted-loss", "inconclusive"];
pub(crate) const QUANTIFIERS: &[&str] = &["every", "some"];

/// `[expect]`.
pub(crate) static EXPECT: TableSpec = TableSpec {
    name: "[expect]",
    about: "What must come out.",
    keys: &[
        optional("verdict", Kind::Word(VERDICTS), "pass", "How the run must end."),
        optional(
            "check",
            Kind::Text,
            "none",
            "The check that must be violated, or whose loss must be permitted.",
        ),
        optional("partition", Kind::Text, "any", "Where, as topic/number."),
        optional("count", Kind::Comparisons, ">= 1", "How often."),
        optional("seeds", Kind::Word(QUANTIFIERS), "every", "Whether each seed must show it."),
        optional("reach", Kind::Reach, "{}", "Goals; a run that misses one is inconclusive."),
    ],
};

/// `[[variant]]`.
pub(crate) static VARIANT: TableSpec = TableSpec {
    name: "[[variant]]",
    about: "The same file with some values replaced.",
    keys: &[
        required("name", Kind::Text, "Unique name."),
        optional("set", Kind::Map, "{}", "Dotted path to new value, as for --set."),
        optional("expect", Kind::Table(&EXPECT), "that of the file", "What must come out then."),
    ],
};

/// `[sweep]`.
pub(crate) static SWEEP: TableSpec = TableSpec {
    name: "[sweep]",
    about: "Campaigns over many seeds.",
    keys: &[optional("seeds", Kind::Int, "the command decides", "How many seeds."), not_yet("matrix")],
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
        let text = include_str!("../tests/all-keys.toml");
        let (mut seen, mut expected) = (BTreeSet::new(), BTreeSet::new());
        collect(&ROOT, &crate::syntax::toml::parse(text).0, &mut seen);
        all(&ROOT, &mut expected);
        assert_eq!(expected.difference(&seen).collect::<Vec<_>>(), Vec::<&(&str, &str)>::new());
        assert!(crate::parse("all-keys.toml", text).is_ok());
    }
}
