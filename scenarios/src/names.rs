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

const fn defect_row(id: &'static str, name: &'static str, about: &'static str) -> DefectName {
    DefectName { id, name, about }
}

/// Every defect that the broker can be given.
pub const DEFECTS: &[DefectName] = &[
    defect_row(
        "R01",
        "truncate-to-high-watermark",
        "a follower truncates to its own stale high watermark before it asks the leader (KAFKA-1211, KIP-101)",
    ),
    defect_row(
        "R02",
        "offset-only-divergence",
        "a leader takes a follower for consistent if its end is not beyond its own, whatever the epochs say (KAFKA-3919, KIP-101)",
    ),
    defect_row(
        "R03",
        "next-epoch-lookup",
        "a leader answers an unknown epoch with the start of the next one, and the follower cuts there at once (KAFKA-6361, KIP-279)",
    ),
    defect_row(
        "R04",
        "unfenced-fetch",
        "fetches carry neither leader epoch nor last fetched epoch, and a follower truncates only when its epoch changes (KAFKA-6880, KIP-320)",
    ),
    defect_row(
        "R05",
        "isr-expand-ignores-epoch-start",
        "an out-of-sync follower joins the ISR on the leader's stale high watermark (KAFKA-7128)",
    ),
    defect_row(
        "R06",
        "no-maximal-isr",
        "the high watermark ignores a proposed ISR that the controller may have committed (KIP-497, KAFKA-8836)",
    ),
    defect_row(
        "R07",
        "eager-shrink",
        "the high watermark trusts a proposed smaller ISR before the controller has confirmed it (KIP-497)",
    ),
    defect_row(
        "R08",
        "alter-partition-skips-broker-epoch",
        "the ISR may name an incarnation of a broker that is not the one which fetched (KAFKA-14139, KIP-903)",
    ),
    defect_row(
        "R09",
        "fenced-replica-may-join",
        "a fenced or stopping broker may be put back into the ISR (KAFKA-13916, KIP-841)",
    ),
    defect_row(
        "R10",
        "last-replica-standing",
        "the last member of the ISR is kept there although it may have lost its tail; nobody else is remembered as eligible (KAFKA-15332, KIP-966)",
    ),
    defect_row(
        "R11",
        "high-watermark-below-min-isr",
        "the high watermark moves although the ISR is smaller than min.insync.replicas (KIP-966)",
    ),
    defect_row(
        "R12",
        "unclean-broker-stays-eligible",
        "a broker that lost its tail in an unclean shutdown stays an eligible leader replica (KAFKA-15586, KIP-966)",
    ),
    defect_row("R12b", "fenced-last-known-leader", "a fenced last known leader is elected (KAFKA-19522)"),
    defect_row(
        "R13",
        "fetch-state-on-divergence",
        "a leader records the fetch offset of a follower whose history differs (KAFKA-13141)",
    ),
    defect_row(
        "R14",
        "epochs-kept-on-empty-truncate",
        "a truncation that cuts nothing leaves conflicting entries in the leader epoch cache (KAFKA-10706)",
    ),
    defect_row(
        "R15",
        "no-epoch-at-election",
        "a new leader does not record the start of its epoch before it has data (KAFKA-7415)",
    ),
    defect_row(
        "R16",
        "stale-fetch-response",
        "a follower applies a fetch response although its fetch state has moved on",
    ),
    defect_row(
        "R17",
        "list-offsets-below-epoch-start",
        "a new leader answers offset lookups from its stale high watermark (KIP-207)",
    ),
    defect_row(
        "R18",
        "alter-partition-skips-partition-epoch",
        "the controller accepts an ISR that was proposed against an older partition epoch (KAFKA-12367)",
    ),
    defect_row(
        "R19",
        "follower-state-across-epochs",
        "a leader that is elected again takes an out-of-sync follower for caught up by what it remembers (KAFKA-13790)",
    ),
    defect_row(
        "R20",
        "delete-beyond-high-watermark",
        "retention deletes segments above the high watermark (KAFKA-5634)",
    ),
    defect_row(
        "R22",
        "old-log-for-new-topic",
        "a broker serves the log of a deleted topic for its re-created namesake (KAFKA-14616, KIP-516)",
    ),
    defect_row(
        "R23",
        "unmatched-isr-answer",
        "an AlterPartition answer is applied to a proposal that it does not belong to",
    ),
    defect_row(
        "H01",
        "isr-member-end-across-epochs",
        "a leader that is elected again counts what members of the ISR had in an earlier epoch",
    ),
    defect_row("K01", "vote-not-durable", "a vote is given before it is on disk (KIP-595)"),
    defect_row(
        "K02",
        "leader-resumes-its-epoch",
        "a restarted leader goes on leading its epoch (KAFKA-10527)",
    ),
    defect_row(
        "K03",
        "commit-by-counting-old-epochs",
        "the quorum's leader commits records of earlier epochs before one of its own (Raft 5.4.2)",
    ),
    defect_row("K04", "unsynced-fetch-counts", "a voter fetches on before what it has is on disk (KIP-595)"),
    defect_row(
        "K04b",
        "leader-counts-unsynced",
        "the quorum's leader counts its own records before they are on its disk (KIP-595)",
    ),
    defect_row(
        "K05",
        "no-check-quorum",
        "a leader that no majority fetches from does not resign (KAFKA-15489)",
    ),
    defect_row(
        "K06",
        "no-pre-vote",
        "a voter that hears of no leader raises the epoch at once (KAFKA-16164, KIP-996)",
    ),
    defect_row(
        "K07",
        "fixed-election-timeout",
        "election time-outs and back-offs are not drawn (KAFKA-18345)",
    ),
    defect_row(
        "K08",
        "metadata-deleted-without-snapshot",
        "old metadata segments are deleted although no snapshot covers them (KAFKA-14238)",
    ),
    defect_row(
        "K09",
        "voters-change-before-own-epoch",
        "the voters change before the leader has committed a record of its epoch (KIP-853)",
    ),
    defect_row(
        "K09b",
        "concurrent-voter-changes",
        "a second change of the voters begins before the first is committed (KIP-853)",
    ),
    defect_row(
        "K10",
        "leader-always-counts",
        "a leader that is no voter any more counts itself (KAFKA-16530)",
    ),
    defect_row(
        "K11",
        "fetch-of-non-voter-refused",
        "a leader refuses to serve a node that does not know yet that it is no voter any more (KIP-853)",
    ),
    defect_row(
        "K12",
        "no-revert-on-resign",
        "an active controller that resigns keeps what it never committed (KAFKA-13114)",
    ),
    defect_row(
        "K13",
        "uncommitted-reads",
        "the controller answers from what is not committed yet (KAFKA-15048)",
    ),
    defect_row(
        "K14",
        "old-controller-obeyed",
        "a broker obeys metadata of an older leader epoch (KAFKA-6082, KIP-380)",
    ),
    defect_row(
        "K15",
        "register-without-fencing",
        "a broker may register again while its earlier incarnation is still unfenced",
    ),
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
    CheckName { id: "availability", bounds: &[("max_leaderless", true), ("max_unavailable", true)] },
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
    check("replication-quorum-superset"),
    check("unclean-exclusion"),
    check("quorum-commit-durable"),
    check("quorum-commit-on-majority"),
    check("pre-vote-quiet"),
    check("single-active-controller"),
    check("high-watermark-visible"),
    check("one-vote"),
    check("quorum-epoch-monotone"),
    check("quorum-high-watermark-monotone"),
    check("no-truncation-below-commit"),
    check("commit-in-own-epoch"),
    check("quorum-roles-legal"),
    check("snapshot-at-log-start"),
    check("voters-one-at-a-time"),
    check("metadata-log-matching"),
    check("true-high-watermark-monotone"),
    check("epochs-monotone"),
    check("last-known-leader-kept"),
    check("fetcher-state"),
    check("fetch-session-equivalence"),
    check("synced-before-promised"),
    check("producer-state-is-fold"),
    check("retry-same-offset"),
    check("producer-id-unique"),
    check("isr-stable"),
    check("broker-invariants"),
    check("brokers-unfenced"),
    check("isr-proposals-resolve"),
    check("metadata-converges"),
    check("writes-resolve"),
    check("replicas-converge"),
    check("reassignment-completes"),
    check("isr-full"),
    check("quorum-leader-elected"),
    check("quorum-progress"),
    check("voter-changes-complete"),
    check("prospective-leaves"),
    CheckName { id: "liveness", bounds: &[("settle_within", true)] },
];

/// Checks that the language knows and the simulator does not evaluate yet.
pub const CHECKS_NOT_YET: &[&str] = &["partition-order", "group-offsets", "duplicates"];

/// Every feature of Kafka that has a finalized level (KIP-584).
pub const FEATURES: &[&str] = &[
    "metadata.version",
    "kraft.version",
    "transaction.version",
    "group.version",
    "share.version",
    "streams.version",
    "eligible.leader.replicas.version",
];

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
    "held_messages",
    "wipes",
    "shutdowns",
    "dropped_messages",
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
        let expected = "crash restart shutdown rolling_restart pause partition link reset half_open hold drop metadata_lag fence heal elect move_leader \
                        reassign alter admin";
        assert_eq!(names(verbs()).join(" "), expected);
        assert_eq!(names(triggers()), ["at", "every", "when", "after", "on"]);
        assert_eq!(
            names(chaos_kinds()),
            ["crash", "pause", "partition", "link", "hold", "metadata_lag", "fence", "shutdown", "wipe"]
        );
    }

    #[test]
    fn defects_answer_to_both_names() {
        assert_eq!(defect("R06"), defect("no-maximal-isr"));
        assert_eq!(defect("R99"), None);
    }
}
