//! Cluster, topics, network, disk.

use super::{Kind, TableSpec, not_yet, optional, required};
use crate::catalogue::Section;

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
        optional(
            "features",
            Kind::Map,
            "Kafka's levels",
            "Feature levels that the cluster is formatted with.",
        ),
        optional(
            "standby",
            Kind::IntDraw,
            "0",
            "Brokers, numbered after the others, that do not boot until a fault restarts them.",
        ),
        optional(
            "observers",
            Kind::IntDraw,
            "0",
            "Controllers of their own, numbered after the others, that are no voters at first.",
        ),
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
