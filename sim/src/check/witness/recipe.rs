//! Which kinds of events each check needs as evidence: nothing else gets into its story.

/// A kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A fault ended.
    Heal,
    /// A machine came back.
    Return,
    /// A leader asked for another ISR.
    Proposal,
    /// A broker began to lead or to follow.
    Role,
    /// Candidates, votes and leaders of the metadata quorum.
    Quorum,
    /// A leader, epoch or ISR of the partition was committed.
    Change,
    /// A fault struck, or a machine stopped by itself.
    Fault,
    /// The leader appended the record.
    Append,
    /// The producer was told that the record is written.
    Ack,
    /// The leader's high watermark passed the record.
    Commit,
    /// A consumer got the record, or moved.
    Read,
    /// A replica cut the record off.
    Cut,
    /// A replica came back without the record.
    Lost,
    /// A later leader wrote something else at the offset.
    Overwrite,
    /// The finding itself.
    Finding,
}

use Kind::{
    Ack, Append, Change, Commit, Cut, Fault, Heal, Lost, Overwrite, Proposal, Quorum, Read, Return, Role,
};

/// What the story of this check is made of; `None`: the check tells its own.
pub(super) fn of(check: &str) -> Option<&'static [Kind]> {
    Some(match check {
        "acked-writes-durable" => &[Fault, Heal, Return, Change, Append, Ack, Cut, Lost, Overwrite],
        "leader-complete" | "candidates-complete" | "true-high-watermark-monotone" => {
            &[Fault, Heal, Return, Change, Append, Commit, Cut, Lost, Overwrite]
        }
        "high-watermark-on-quorum" => &[Fault, Heal, Return, Change, Proposal, Append],
        "log-matching" => &[Fault, Heal, Return, Change, Append, Cut, Lost, Overwrite],
        "one-leader-per-epoch"
        | "isr-legal"
        | "epochs-monotone"
        | "last-known-leader-kept"
        | "fetcher-state"
        | "fetch-session-equivalence"
        | "isr-stable"
        | "broker-invariants" => &[Fault, Heal, Return, Change, Proposal, Role],
        "availability" => &[Fault, Heal, Return, Change, Role, Quorum],
        "log-bounds" => &[Fault, Heal, Return, Change, Cut, Lost, Role],
        "recovery-is-prefix" => &[Fault, Append, Cut, Lost],
        "no-duplicates"
        | "producer-order"
        | "producer-state-is-fold"
        | "retry-same-offset"
        | "producer-id-unique" => &[Fault, Heal, Return, Change, Append, Ack, Cut, Read],
        "offsets-consistent" => &[Fault, Heal, Return, Change, Append, Ack, Cut, Lost, Overwrite, Read],
        "reads-monotonic" => &[Fault, Heal, Return, Change, Cut, Lost, Read],
        "quorum-election-safety"
        | "quorum-log-matching"
        | "quorum-commit-durable"
        | "quorum-commit-on-majority"
        | "pre-vote-quiet"
        | "single-active-controller"
        | "one-vote"
        | "quorum-epoch-monotone"
        | "quorum-high-watermark-monotone"
        | "no-truncation-below-commit"
        | "commit-in-own-epoch"
        | "quorum-roles-legal"
        | "snapshot-at-log-start"
        | "voters-one-at-a-time"
        | "metadata-log-matching"
        | "synced-before-promised" => &[Fault, Heal, Return, Quorum],
        "replication-quorum-superset" => &[Fault, Heal, Return, Change, Proposal, Role],
        "unclean-exclusion" => &[Fault, Heal, Return, Change, Append, Commit, Cut, Lost, Role],
        "high-watermark-visible" => &[Fault, Heal, Return, Change, Append, Commit, Cut, Lost, Read],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::{CHECKS, CheckKind};

    #[test]
    fn every_check_but_those_of_liveness_has_a_recipe() {
        for row in CHECKS {
            assert_eq!(super::of(row.name).is_none(), row.kind == CheckKind::Liveness, "{}", row.name);
        }
    }
}
