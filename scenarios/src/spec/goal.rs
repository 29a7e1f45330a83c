//! Checks, expectations, variants, sweeps.

use super::{Kind, TableSpec, not_yet, optional, required};

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
