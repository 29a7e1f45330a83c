//! The cluster verbs of `[[fault]]`: what an operator asks of the cluster.

use super::{Kind, TableSpec, optional, required};

pub(crate) const ELECTIONS: &[&str] = &["preferred", "unclean"];

const REFUSED: &str = "The Kafka error with which the cluster must refuse, such as ELECTION_NOT_NEEDED.";

/// `elect = { ... }`.
pub(crate) static ELECT: TableSpec = TableSpec {
    name: "elect",
    about: "Asks for a leader election (ElectLeaders).",
    keys: &[
        required("partition", Kind::Partition, "Of which partition; `orders/*` means all of the topic."),
        optional("kind", Kind::Word(ELECTIONS), "preferred", "preferred, or unclean: with whatever is left."),
        optional("refused", Kind::Text, "it is done", REFUSED),
    ],
};

/// `move_leader = { ... }`.
pub(crate) static MOVE_LEADER: TableSpec = TableSpec {
    name: "move_leader",
    about: "Makes a broker the preferred leader and has it elected.",
    keys: &[
        required("partition", Kind::Partition, "Of which partition."),
        required("to", Kind::Target, "Who leads then: one broker."),
        optional("refused", Kind::Text, "it is done", REFUSED),
    ],
};

/// `reassign = { ... }`.
pub(crate) static REASSIGN: TableSpec = TableSpec {
    name: "reassign",
    about: "Moves replicas (AlterPartitionReassignments), until the move is complete.",
    keys: &[
        required("partition", Kind::Partition, "Of which partition; `orders/*` means all of the topic."),
        required(
            "replicas",
            Kind::TargetOrInts,
            "The new replicas: ids, preferred leader first, or a target.",
        ),
        optional("refused", Kind::Text, "it is done", REFUSED),
    ],
};

/// `alter = { ... }`.
pub(crate) static ALTER: TableSpec = TableSpec {
    name: "alter",
    about: "Sets configs of a topic, a broker or all brokers while they run (IncrementalAlterConfigs).",
    keys: &[
        optional("topic", Kind::Text, "none", "Whose: a topic."),
        optional("broker", Kind::Int, "none", "Whose: one broker."),
        optional("brokers", Kind::Bool, "false", "Whose: `true` for the default of all brokers."),
        required("config", Kind::AlteredConfig, "Kafka configs of the topic or broker."),
        optional("refused", Kind::Text, "it is done", REFUSED),
    ],
};

/// `admin = { ... }`.
pub(crate) static ADMIN: TableSpec = TableSpec {
    name: "admin",
    about: "One request of an administrator.",
    keys: &[
        optional("delete_topic", Kind::Text, "none", "Deletes a topic with all its records."),
        optional(
            "recreate_topic",
            Kind::Text,
            "none",
            "Deletes a topic and creates it again as the file declares it.",
        ),
        optional("add_partitions", Kind::Table(&ADD_PARTITIONS), "none", "Gives a topic more partitions."),
        optional(
            "delete_records",
            Kind::Table(&DELETE_RECORDS),
            "none",
            "Moves the start of a partition's log up.",
        ),
        optional("unregister", Kind::Target, "none", "Forgets a broker that is not coming back."),
        optional("update_feature", Kind::Table(&UPDATE_FEATURE), "none", "Finalizes a feature at a level."),
        optional("add_voter", Kind::Target, "none", "Makes an observer a voter of the metadata quorum."),
        optional("remove_voter", Kind::Target, "none", "Makes a voter an observer."),
        optional("refused", Kind::Text, "it is done", REFUSED),
    ],
};

/// `admin = { add_partitions = { ... } }`.
pub(crate) static ADD_PARTITIONS: TableSpec = TableSpec {
    name: "add_partitions",
    about: "Gives a topic more partitions (CreatePartitions).",
    keys: &[required("topic", Kind::Text, "Which."), required("count", Kind::Int, "How many it has then.")],
};

/// `admin = { delete_records = { ... } }`.
pub(crate) static DELETE_RECORDS: TableSpec = TableSpec {
    name: "delete_records",
    about: "Moves the start of a partition's log up (DeleteRecords).",
    keys: &[
        required("partition", Kind::Partition, "Of which partition; `orders/*` means all of the topic."),
        optional("before", Kind::Offset, "-1", "The first offset that stays; -1: the high watermark."),
    ],
};

/// `admin = { update_feature = { ... } }`.
pub(crate) static UPDATE_FEATURE: TableSpec = TableSpec {
    name: "update_feature",
    about: "Finalizes a feature at a level (UpdateFeatures).",
    keys: &[
        required("name", Kind::Text, "Kafka's name, such as eligible.leader.replicas.version."),
        required("level", Kind::Int, "The level; 0 turns it off."),
    ],
};
