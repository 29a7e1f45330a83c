//! The in-sync replicas of one partition as its leader knows them (KIP-497, REP-7..9).

use crate::ids::NodeId;

/// The ISR: committed by the controller, or committed with one proposal in flight.
///
/// There is never more than one proposal: the next change waits until the controller (or newer metadata) has settled
/// the last one. Members are kept sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Isr {
    /// Nothing is proposed.
    Committed {
        /// What the controller committed last.
        isr: Vec<NodeId>,
    },
    /// The leader asked for one more member.
    PendingExpand {
        /// What the controller committed last.
        committed: Vec<NodeId>,
        /// What was asked for.
        proposed: Vec<NodeId>,
        /// Matches the answer to the question (R23).
        proposal: u64,
    },
    /// The leader asked for fewer members.
    PendingShrink {
        /// What the controller committed last.
        committed: Vec<NodeId>,
        /// What was asked for.
        proposed: Vec<NodeId>,
        /// Matches the answer to the question (R23).
        proposal: u64,
    },
}

impl Isr {
    /// A committed ISR.
    pub fn committed_as(mut isr: Vec<NodeId>) -> Isr {
        isr.sort_unstable();
        isr.dedup();
        Isr::Committed { isr }
    }

    /// What the controller committed last: admission of acks=all counts it (REP-10).
    pub fn committed(&self) -> &[NodeId] {
        match self {
            Isr::Committed { isr } => isr,
            Isr::PendingExpand { committed, .. } | Isr::PendingShrink { committed, .. } => committed,
        }
    }

    /// The committed ISR and every proposed member: the high watermark waits for all of them, since the controller may
    /// have committed either (KIP-497). A shrink takes nobody out before it is confirmed (R07).
    pub fn maximal(&self) -> &[NodeId] {
        match self {
            Isr::Committed { isr } => isr,
            Isr::PendingExpand { proposed, .. } => proposed,
            Isr::PendingShrink { committed, .. } => committed,
        }
    }

    /// What the ISR will be if the proposal in flight is granted; without one, the committed ISR.
    pub fn proposed(&self) -> &[NodeId] {
        match self {
            Isr::Committed { isr } => isr,
            Isr::PendingExpand { proposed, .. } | Isr::PendingShrink { proposed, .. } => proposed,
        }
    }

    /// The number of the proposal in flight.
    pub fn pending(&self) -> Option<u64> {
        match self {
            Isr::Committed { .. } => None,
            Isr::PendingExpand { proposal, .. } | Isr::PendingShrink { proposal, .. } => Some(*proposal),
        }
    }

    /// Proposes one more member and returns the proposed ISR; `None` if a proposal is in flight or it is a member.
    pub fn propose_expand(&mut self, member: NodeId, proposal: u64) -> Option<Vec<NodeId>> {
        let Isr::Committed { isr } = self else { return None };
        let at = isr.binary_search(&member).err()?;
        let mut proposed = isr.clone();
        proposed.insert(at, member);
        *self = Isr::PendingExpand { committed: std::mem::take(isr), proposed: proposed.clone(), proposal };
        Some(proposed)
    }

    /// Proposes to go on without `leaving` and returns the proposed ISR; `None` if a proposal is in flight or nobody of
    /// them is a member.
    pub fn propose_shrink(&mut self, leaving: &[NodeId], proposal: u64) -> Option<Vec<NodeId>> {
        let Isr::Committed { isr } = self else { return None };
        let proposed: Vec<NodeId> = isr.iter().copied().filter(|id| !leaving.contains(id)).collect();
        if proposed.len() == isr.len() {
            return None;
        }
        *self = Isr::PendingShrink { committed: std::mem::take(isr), proposed: proposed.clone(), proposal };
        Some(proposed)
    }

    /// The controller committed this ISR; a proposal in flight is settled by it.
    pub fn commit(&mut self, isr: Vec<NodeId>) {
        *self = Isr::committed_as(isr);
    }

    /// The controller certainly did not apply the proposal: back to what was committed.
    pub fn roll_back(&mut self) {
        if let Isr::PendingExpand { committed, .. } | Isr::PendingShrink { committed, .. } = self {
            *self = Isr::Committed { isr: std::mem::take(committed) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(ids: &[i32]) -> Vec<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn an_expansion_counts_at_once_and_a_shrink_only_when_committed() {
        let mut isr = Isr::committed_as(nodes(&[3, 1]));
        assert_eq!(isr.propose_expand(NodeId(2), 7), Some(nodes(&[1, 2, 3])));
        assert_eq!((isr.committed(), isr.maximal()), (&nodes(&[1, 3])[..], &nodes(&[1, 2, 3])[..]));

        let mut isr = Isr::committed_as(nodes(&[1, 2, 3]));
        assert_eq!(isr.propose_shrink(&nodes(&[2]), 8), Some(nodes(&[1, 3])));
        assert_eq!((isr.committed(), isr.maximal()), (&nodes(&[1, 2, 3])[..], &nodes(&[1, 2, 3])[..]));
    }

    #[test]
    fn there_is_one_proposal_at_a_time() {
        let mut isr = Isr::committed_as(nodes(&[1, 2]));
        assert!(isr.propose_expand(NodeId(3), 1).is_some());
        assert_eq!(isr.propose_expand(NodeId(4), 2), None);
        assert_eq!(isr.propose_shrink(&nodes(&[2]), 2), None);
        assert_eq!(isr.pending(), Some(1));
    }

    #[test]
    fn a_roll_back_restores_what_was_committed() {
        let mut isr = Isr::committed_as(nodes(&[1, 2]));
        isr.propose_expand(NodeId(3), 1);
        isr.roll_back();
        assert_eq!(isr, Isr::committed_as(nodes(&[1, 2])));
    }

    #[test]
    fn a_member_cannot_join_and_a_stranger_cannot_leave() {
        let mut isr = Isr::committed_as(nodes(&[1, 2]));
        assert_eq!(isr.propose_expand(NodeId(2), 1), None);
        assert_eq!(isr.propose_shrink(&nodes(&[5]), 1), None);
        assert_eq!(isr.pending(), None);
    }
}
