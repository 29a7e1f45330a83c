//! Phases and scripted faults.

use super::message::{DROP, FENCE, HOLD, METADATA_LAG};
use super::operation::{ADMIN, ALTER, ELECT, MOVE_LEADER, REASSIGN};
use super::{Kind, TableSpec, not_yet, optional, required};

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
        optional(
            "within",
            Kind::Duration,
            "until the phase ends",
            "With when, on or after: bound of the wait.",
        ),
        optional(
            "after",
            Kind::Text,
            "none",
            "Trigger: when that fault has completed; may be combined with when.",
        ),
        optional("on", Kind::Table(&ON), "none", "Trigger: at the very event; may be combined with after."),
        optional(
            "for",
            Kind::DurationDraw,
            "until healed",
            "How long it lasts; a crashed node then restarts.",
        ),
        optional("crash", Kind::TargetOr(&CRASH), "none", "Verb: the process dies."),
        optional("restart", Kind::Target, "none", "Verb: starts nodes that are down."),
        optional("shutdown", Kind::TargetOr(&SHUTDOWN), "none", "Verb: a controlled shutdown."),
        optional(
            "rolling_restart",
            Kind::Table(&ROLLING_RESTART),
            "none",
            "Verb: one after another stops and boots again.",
        ),
        optional("pause", Kind::TargetOr(&PAUSE), "none", "Verb: the process stops and keeps its memory."),
        optional("partition", Kind::Table(&PARTITION), "none", "Verb: cuts links."),
        optional("link", Kind::Table(&LINK), "none", "Verb: makes links slow or lossy."),
        optional("reset", Kind::TargetOr(&RESET), "none", "Verb: connections are reset; both ends learn it."),
        optional(
            "half_open",
            Kind::TargetOr(&HALF_OPEN),
            "none",
            "Verb: one end forgets its connections and the other is not told.",
        ),
        optional("hold", Kind::Table(&HOLD), "none", "Verb: messages of a kind wait."),
        optional(
            "drop",
            Kind::Table(&DROP),
            "none",
            "Verb: the connection is reset instead of delivering a message of a kind.",
        ),
        optional(
            "metadata_lag",
            Kind::TargetOr(&METADATA_LAG),
            "none",
            "Verb: brokers live on and hear nothing new about the cluster.",
        ),
        optional(
            "fence",
            Kind::TargetOr(&FENCE),
            "none",
            "Verb: heartbeats do not arrive: the controller fences brokers that live.",
        ),
        optional("heal", Kind::Ids, "none", "Verb: undoes \"all\" or these faults."),
        optional("elect", Kind::Table(&ELECT), "none", "Verb: an operator asks for a leader election."),
        optional("move_leader", Kind::Table(&MOVE_LEADER), "none", "Verb: an operator makes a broker lead."),
        optional("reassign", Kind::Table(&REASSIGN), "none", "Verb: an operator moves replicas."),
        optional("alter", Kind::Table(&ALTER), "none", "Verb: an operator changes configs."),
        optional(
            "admin",
            Kind::Table(&ADMIN),
            "none",
            "Verb: an operator deletes, re-creates or extends topics, deletes records, changes features or voters.",
        ),
        not_yet("disk"),
        not_yet("clock"),
        not_yet("kill_client"),
        not_yet("pause_client"),
    ],
};

/// `on = { ... }`.
pub(crate) static ON: TableSpec = TableSpec {
    name: "on",
    about: "The very event at which a node does something.",
    keys: &[
        required("point", Kind::Point, "What, as listed by `kafkasim list points`."),
        optional("node", Kind::Target, "any", "On which nodes; resolved at each event."),
        optional("partition", Kind::Text, "any", "Of which partition, as topic/number or topic/*."),
        optional("nth", Kind::Int, "1", "The how many-th time."),
    ],
};

pub(crate) const CRASH_MODES: &[&str] = &["process", "power", "wipe"];

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
            "process keeps the page cache, power loses what is not synced, wipe the whole disk.",
        ),
        optional("as", Kind::Text, "none", "Name under which later faults find the struck nodes: $name."),
    ],
};

/// `shutdown = { ... }`.
pub(crate) static SHUTDOWN: TableSpec = TableSpec {
    name: "shutdown",
    about: "A controlled shutdown: leaders move away first.",
    keys: &[
        required("target", Kind::Target, "Whom."),
        optional("as", Kind::Text, "none", "Name under which later faults find the struck nodes: $name."),
    ],
};

pub(crate) const ROLLING_MODES: &[&str] = &["shutdown", "process", "power"];

/// `rolling_restart = { ... }`.
pub(crate) static ROLLING_RESTART: TableSpec = TableSpec {
    name: "rolling_restart",
    about: "One after another stops and boots again.",
    keys: &[
        required("target", Kind::Target, "Whom, in order of id."),
        optional("mode", Kind::Word(ROLLING_MODES), "shutdown", "How each of them stops."),
        optional(
            "gap",
            Kind::Duration,
            "5s",
            "How long each has been at work again when the next one stops.",
        ),
        optional("down", Kind::Duration, "1s", "How long each is down."),
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
    about: "Cuts links: isolate, halves, groups, bridge or ring.",
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
        optional("groups", Kind::Targets, "none", "Groups that do not reach each other."),
        optional("bridge", Kind::Target, "none", "Who reaches both random halves of the rest."),
        optional("ring", Kind::Target, "none", "Who reaches only its two neighbours."),
    ],
};

/// `reset = { ... }`.
pub(crate) static RESET: TableSpec = TableSpec {
    name: "reset",
    about: "Connections are reset; both ends learn it.",
    keys: &[required("between", Kind::TwoTargets, "The two ends.")],
};

/// `half_open = { ... }`.
pub(crate) static HALF_OPEN: TableSpec = TableSpec {
    name: "half_open",
    about: "The first end forgets its connections; the other learns it when it sends something.",
    keys: &[required("between", Kind::TwoTargets, "Who forgets, and towards whom.")],
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
        optional("bandwidth", Kind::Bandwidth, "no limit", "Bits per second of each direction of each link."),
        not_yet("duplicate"),
        not_yet("reorder"),
        not_yet("corrupt"),
    ],
};
