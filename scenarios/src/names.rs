//! Names that scenario files may use and that other rooms define: checks, goals, defects. One table each, so that a
//! typing error is answered with the name that was meant.

/// A defect that can be planted (`defects = ["R01"]`): museum id, name, what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefectName {
    /// Id in the museum of historic Kafka bugs.
    pub id: &'static str,
    /// Canonical name, the one in [`crate::model::Scenario::defects`].
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
}

/// Every defect that the broker can be given.
pub const DEFECTS: &[DefectName] = &[
    DefectName {
        id: "R01",
        name: "truncate-to-high-watermark",
        about: "a follower truncates to its own high watermark before it asks the leader (KAFKA-1211, KIP-101)",
    },
    DefectName {
        id: "R05",
        name: "isr-expand-ignores-epoch-start",
        about: "a follower joins the ISR at a stale high watermark, below the start of the epoch (KAFKA-7128)",
    },
    DefectName {
        id: "R06",
        name: "no-maximal-isr",
        about: "the high watermark does not wait for replicas of an ISR that is still being proposed (KIP-497)",
    },
];

/// A check that the simulator evaluates, with the bounds that `[checks]` may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckName {
    /// Its id.
    pub id: &'static str,
    /// Bounds: name and whether it is a duration (otherwise a count).
    pub bounds: &'static [(&'static str, bool)],
}

const fn check(id: &'static str) -> CheckName {
    CheckName { id, bounds: &[] }
}

/// Every check that can be listed in `[checks]` or named by `[expect]`.
pub const CHECKS: &[CheckName] = &[
    check("acked-writes-durable"),
    check("offsets-consistent"),
    check("no-duplicates"),
    check("producer-order"),
    check("reads-monotonic"),
    check("log-matching"),
    check("one-leader-per-epoch"),
    check("leader-complete"),
    check("candidates-complete"),
    check("high-watermark-on-quorum"),
    check("log-bounds"),
    check("isr-legal"),
    check("quorum-election-safety"),
    check("quorum-log-matching"),
    check("recovery-is-prefix"),
    CheckName { id: "liveness", bounds: &[("settle_within", true)] },
];

/// Checks that the language knows and the simulator does not evaluate yet.
pub const CHECKS_NOT_YET: &[&str] = &["partition-order", "group-offsets", "availability", "duplicates"];

/// Every goal of `[expect] reach`.
pub const REACH: &[&str] = &[
    "leader_changes",
    "unclean_elections",
    "isr_shrinks",
    "isr_expands",
    "acked_records",
    "consumed_records",
    "crashes",
    "power_losses",
    "partitions",
    "pauses",
    "controller_elections",
    "truncations",
    "truncated_records",
];

/// Every verb of `[[fault]]` that is acted upon, with one line about it.
pub fn verbs() -> Vec<(&'static str, &'static str)> {
    described("Verb: ")
}

/// Every trigger of `[[fault]]` that is acted upon, with one line about it.
pub fn triggers() -> Vec<(&'static str, &'static str)> {
    described("Trigger: ")
}

fn described(prefix: &str) -> Vec<(&'static str, &'static str)> {
    crate::spec::FAULT.keys.iter().filter_map(|key| Some((key.name, key.doc.strip_prefix(prefix)?))).collect()
}

/// Every kind of random fault (`[chaos.*]`) that is acted upon, with one line about it.
pub fn chaos_kinds() -> Vec<(&'static str, &'static str)> {
    let keys = crate::spec::CHAOS.keys.iter();
    keys.filter(|key| key.need != crate::spec::Need::NotYet).map(|key| (key.name, key.doc)).collect()
}

/// The defect with this museum id or name.
pub fn defect(id_or_name: &str) -> Option<&'static DefectName> {
    DEFECTS.iter().find(|defect| defect.id == id_or_name || defect.name == id_or_name)
}

/// The candidate that was probably meant: at most three edits away (fewer for short words), the nearest first.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = match word.chars().count() {
        0..=3 => 1,
        4..=5 => 2,
        _ => 3,
    };
    let letters = |word: &str| {
        let mut letters: Vec<char> = word.chars().collect();
        letters.sort_unstable();
        letters
    };
    // Of two that are equally far, swapped letters are the likelier slip: `puase` is `pause`, not `phase`.
    candidates
        .into_iter()
        .map(|candidate| {
            (strsim::damerau_levenshtein(word, candidate), letters(candidate) != letters(word), candidate)
        })
        .filter(|(distance, _, _)| *distance <= limit)
        .min_by_key(|(distance, is_other_letters, _)| (*distance, *is_other_letters))
        .map(|(_, _, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_forgives_few_edits() {
        for (word, expected) in [
            ("acked-writes-durabel", Some("acked-writes-durable")),
            ("log-matchng", Some("log-matching")),
            ("livness", Some("liveness")),
            ("x", None),
            ("something-else", None),
        ] {
            assert_eq!(nearest(word, CHECKS.iter().map(|check| check.id)), expected, "{word}");
        }
    }

    #[test]
    fn swapped_letters_are_the_likelier_slip() {
        assert_eq!(nearest("puase", ["phase", "pause"]), Some("pause"));
    }

    #[test]
    fn verbs_and_triggers_come_from_the_language() {
        let names = |list: Vec<(&'static str, &'static str)>| {
            list.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(names(verbs()), ["crash", "restart", "pause", "partition", "link", "heal"]);
        assert_eq!(names(triggers()), ["at", "every", "when", "after"]);
        assert_eq!(names(chaos_kinds()), ["crash", "pause", "partition", "link"]);
    }

    #[test]
    fn defects_answer_to_both_names() {
        assert_eq!(defect("R06"), defect("no-maximal-isr"));
        assert_eq!(defect("R99"), None);
    }
}
