//! Swarm and chaos.

use super::{Kind, TableSpec, not_yet, optional, required};

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
        optional("hold", Kind::Table(&CHAOS_HOLD), "none", "Hold a message back, and what follows it."),
        optional(
            "metadata_lag",
            Kind::Table(&CHAOS_METADATA_LAG),
            "none",
            "Let brokers hear nothing new about the cluster.",
        ),
        optional("fence", Kind::Table(&CHAOS_FENCE), "none", "Let brokers be fenced that live."),
        optional("shutdown", Kind::Table(&CHAOS_SHUTDOWN), "none", "Shut nodes down in order."),
        optional(
            "wipe",
            Kind::Table(&CHAOS_WIPE),
            "none",
            "Replace disks, as far as nothing may be lost by it.",
        ),
        not_yet("disk"),
        not_yet("clock"),
        not_yet("admin"),
    ],
};

/// A wiped disk is a fault of its own kind among the random ones.
pub(crate) const CHAOS_CRASH_MODES: &[&str] = &["process", "power"];

/// `[chaos.crash]`.
pub(crate) static CHAOS_CRASH: TableSpec = TableSpec {
    name: "[chaos.crash]",
    about: "Crash and restart nodes.",
    keys: &[
        optional("targets", Kind::TargetWeights, "[\"random(brokers)\"]", "Whom, with weights."),
        required("mean_every", Kind::Duration, "Mean time between two."),
        optional("mode", Kind::Weights(CHAOS_CRASH_MODES), "process", "What survives, with weights."),
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
        optional("bandwidth", Kind::Bandwidth, "no limit", "Bits per second of each direction."),
    ],
};

/// `[chaos.hold]`.
pub(crate) static CHAOS_HOLD: TableSpec = TableSpec {
    name: "[chaos.hold]",
    about: "Hold the first message of a kind back, and what follows it on its connection.",
    keys: &[
        required("messages", Kind::MessageWeights, "Which, with weights: \"AlterPartition response\"."),
        required("mean_every", Kind::Duration, "Mean time between two."),
        optional("hold", Kind::Distribution, "exp, mean 5s", "How long."),
    ],
};

/// `[chaos.metadata_lag]`.
pub(crate) static CHAOS_METADATA_LAG: TableSpec = TableSpec {
    name: "[chaos.metadata_lag]",
    about: "Let brokers hear nothing new about the cluster.",
    keys: &[
        optional("targets", Kind::TargetWeights, "[\"random(brokers)\"]", "Whom, with weights."),
        required("mean_every", Kind::Duration, "Mean time between two."),
        optional("hold", Kind::Distribution, "exp, mean 5s", "How long."),
    ],
};

/// `[chaos.fence]`.
pub(crate) static CHAOS_FENCE: TableSpec = TableSpec {
    name: "[chaos.fence]",
    about: "Let brokers be fenced that live.",
    keys: &[
        optional("targets", Kind::TargetWeights, "[\"random(brokers)\"]", "Whom, with weights."),
        required("mean_every", Kind::Duration, "Mean time between two."),
        optional("hold", Kind::Distribution, "exp, mean 5s", "How long."),
    ],
};

/// `[chaos.shutdown]`.
pub(crate) static CHAOS_SHUTDOWN: TableSpec = TableSpec {
    name: "[chaos.shutdown]",
    about: "Shut nodes down in order.",
    keys: &[
        optional("targets", Kind::TargetWeights, "[\"random(brokers)\"]", "Whom, with weights."),
        required("mean_every", Kind::Duration, "Mean time between two."),
        optional("down", Kind::Distribution, "exp, mean 5s", "How long until they boot again."),
    ],
};

/// `[chaos.wipe]`.
pub(crate) static CHAOS_WIPE: TableSpec = TableSpec {
    name: "[chaos.wipe]",
    about: "Replace disks; a strike by which acknowledged records might be lost is skipped.",
    keys: &[
        optional("targets", Kind::TargetWeights, "[\"random(brokers)\"]", "Whom, with weights."),
        required("mean_every", Kind::Duration, "Mean time between two."),
        optional("down", Kind::Distribution, "exp, mean 5s", "How long nodes stay down."),
    ],
};
