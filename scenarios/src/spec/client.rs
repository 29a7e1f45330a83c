//! Producers and consumers.

use super::{Kind, TableSpec, optional, required};
use crate::catalogue::Section;

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
