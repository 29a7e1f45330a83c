//! Verbs that pick messages out of the traffic.

use super::{Kind, TableSpec, optional, required};

/// `hold = { ... }`.
pub(crate) static HOLD: TableSpec = TableSpec {
    name: "hold",
    about: "Messages of a kind wait, and whatever follows them on the same connection; then they arrive in order.",
    keys: &[
        required("message", Kind::Message, "Which: \"AlterPartition response\", \"Fetch request\"."),
        optional("from", Kind::Target, "anybody", "Senders of the message."),
        optional("to", Kind::Target, "anybody", "Receivers of the message."),
        optional(
            "nth",
            Kind::Int,
            "every one",
            "Only that one of those which match after the strike, from 1.",
        ),
        optional(
            "as",
            Kind::Text,
            "none",
            "Name under which later faults find the senders (the receivers if no `from` is given): $name.",
        ),
    ],
};

/// `drop = { ... }`.
pub(crate) static DROP: TableSpec = TableSpec {
    name: "drop",
    about: "The connection is reset instead of delivering a message of this kind.",
    keys: &[
        required("message", Kind::Message, "Which: \"AlterPartition response\", \"Fetch request\"."),
        optional("from", Kind::Target, "anybody", "Senders of the message."),
        optional("to", Kind::Target, "anybody", "Receivers of the message."),
        optional(
            "nth",
            Kind::Int,
            "every one",
            "Only that one of those which match after the strike, from 1.",
        ),
        optional(
            "as",
            Kind::Text,
            "none",
            "Name under which later faults find the senders (the receivers if no `from` is given): $name.",
        ),
    ],
};

/// `metadata_lag = { ... }`.
pub(crate) static METADATA_LAG: TableSpec = TableSpec {
    name: "metadata_lag",
    about: "Brokers live on and hear nothing new about the cluster: answers to their metadata fetches are held.",
    keys: &[
        required("target", Kind::Target, "Whom."),
        optional("as", Kind::Text, "none", "Name under which later faults find the struck nodes: $name."),
    ],
};

/// `fence = { ... }`.
pub(crate) static FENCE: TableSpec = TableSpec {
    name: "fence",
    about: "Heartbeats of brokers do not arrive: the controller fences them, their processes live and fetch on.",
    keys: &[
        required("target", Kind::Target, "Whom."),
        optional("as", Kind::Text, "none", "Name under which later faults find the struck nodes: $name."),
    ],
};
