//! Who votes: the sets that the log and its snapshots name, and the configured one before them (KIP-853).
//!
//! The newest set in the log counts, committed or not, and goes with its record when the log is cut. As long as no record
//! names any, `controller.quorum.voters` counts.
//!
//! Differs from Kafka: a configured quorum needs no upgrade of `kraft.version` before its first change; the first record
//! that names voters brings it.

use std::collections::{BTreeMap, BTreeSet};

use super::control_records::{ControlRecord, read_control_batch};
use super::machine::Raft;
use super::roles::Role;
use super::snapshot_file::SnapshotContent;
use crate::ids::{NodeId, Offset, Uuid};
use crate::io::Address;
use crate::log::{Batch, batches};
use crate::time::Instant;
use crate::trace::Observation;
use bytes::Bytes;

/// One voter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// Which disk votes; nil as long as nobody said (`controller.quorum.voters` does not).
    pub directory_id: Uuid,
    /// Its controller listener.
    pub address: Option<Address>,
}

impl Voter {
    /// Is it this disk? A voter of whom nobody said which disk it has is believed.
    pub fn has_disk(&self, directory_id: Uuid) -> bool {
        self.directory_id.is_nil() || directory_id.is_nil() || self.directory_id == directory_id
    }
}

/// The voters by id.
pub type VoterSet = BTreeMap<NodeId, Voter>;

/// Every set of voters that a node knows of, and from where on it counts (`KRaftControlRecordStateMachine`).
#[derive(Debug, Clone)]
pub struct VoterSets {
    configured: VoterSet,
    /// Offset of the record (the last offset of a snapshot), and the set. In order.
    named: Vec<(Offset, VoterSet)>,
}

impl VoterSets {
    /// Only the configured set.
    pub fn new(configured: &BTreeMap<NodeId, Address>) -> Self {
        let voter = |(id, address): (&NodeId, &Address)| {
            (*id, Voter { directory_id: Uuid::nil(), address: Some(address.clone()) })
        };
        VoterSets { configured: configured.iter().map(voter).collect(), named: Vec::new() }
    }

    /// Does everybody know the node from the configuration?
    pub fn is_configured(&self, id: NodeId) -> bool {
        self.configured.contains_key(&id)
    }

    /// The set that counts.
    pub fn latest(&self) -> &VoterSet {
        self.named.last().map_or(&self.configured, |(_, set)| set)
    }

    /// Where it was named; `None`: it is the configured one.
    pub fn latest_offset(&self) -> Option<Offset> {
        self.named.last().map(|(offset, _)| *offset)
    }

    /// The set that counts below `offset`, if a record named one.
    pub fn at(&self, offset: Offset) -> Option<&VoterSet> {
        self.named.iter().rev().find(|(named_at, _)| *named_at < offset).map(|(_, set)| set)
    }

    /// Was the node in any set before the newest one?
    pub fn ever_had(&self, id: NodeId) -> bool {
        let earlier = self.named.iter().rev().skip(1).map(|(_, set)| set);
        earlier.chain([&self.configured]).any(|set| set.contains_key(&id))
    }

    /// The record at `offset` names `set`.
    pub fn note(&mut self, offset: Offset, set: VoterSet) {
        self.truncate(offset);
        self.named.push((offset, set));
    }

    /// The log ends at `end` now.
    pub fn truncate(&mut self, end: Offset) {
        self.named.retain(|(offset, _)| *offset < end);
    }

    /// Everything is what a snapshot says; `None`: no record below its end named voters.
    pub fn restart(&mut self, end: Offset, set: Option<VoterSet>) {
        self.named = set.into_iter().map(|set| (end - 1, set)).collect();
    }
}

/// The sets that control records of `batch` name, and where.
fn sets_in(batch: &Batch) -> impl Iterator<Item = (Offset, VoterSet)> {
    let records = if batch.header.is_control() { read_control_batch(batch) } else { None };
    let offsets = batch.header.base_offset..;
    offsets.zip(records.unwrap_or_default()).filter_map(|(offset, record)| match record {
        ControlRecord::Voters(set) => Some((offset, set)),
        _ => None,
    })
}

impl Raft {
    /// The voters that a snapshot ending at `offset` must name; `None`: nobody named any below it.
    pub(super) fn voters_at(&self, offset: Offset) -> Option<VoterSet> {
        self.voter_sets.at(offset).cloned()
    }

    /// Where a node's controller listener is, as far as this node knows.
    pub fn address_of(&self, id: NodeId) -> Option<&Address> {
        let voter = self.voter_sets.latest().get(&id).and_then(|voter| voter.address.as_ref());
        voter.or_else(|| self.told_addresses.get(&id))
    }

    /// The own controller listener, if peers cannot know it from their configuration.
    pub(super) fn address_to_tell(&self) -> Option<&Address> {
        if self.voter_sets.is_configured(self.me) { None } else { Some(&self.own_address) }
    }

    /// What was appended from `from` to the end of the log may name voters.
    pub(super) fn note_appended(&mut self, from: Offset, appended: Bytes, now: Instant) {
        let mut has_changed = false;
        for batch in batches(appended).map_while(Result::ok) {
            let is_in_log = from <= batch.header.base_offset && batch.header.last_offset() < self.log.end();
            if batch.header.is_control() && is_in_log {
                for (offset, set) in sets_in(&batch) {
                    self.voter_sets.note(offset, set);
                    has_changed = true;
                }
            }
        }
        if has_changed {
            self.voters_changed(now);
        }
    }

    /// The log was cut: a set whose record is gone counts no more (KIP-853).
    pub(super) fn note_truncated(&mut self, now: Instant) {
        let before = self.voter_sets.latest_offset();
        self.voter_sets.truncate(self.log.end());
        if self.voter_sets.latest_offset() != before {
            self.voters_changed(now);
        }
    }

    /// The log is gone, and with it every set that it named.
    pub(super) fn adopt_voters_of(&mut self, content: &SnapshotContent, now: Instant) {
        let before = self.voter_sets.latest().clone();
        self.voter_sets.restart(content.metadata.end_offset, content.voters.clone());
        if *self.voter_sets.latest() != before {
            self.voters_changed(now);
        }
    }

    /// Is this node a voter, or was it until a record that may never be committed? Only it may have that record, and then
    /// nobody but it can be elected (Ongaro's thesis, 4.2.2).
    ///
    /// Differs from Kafka: there a node stands for election only if it is in its newest set. Two voters of which the leader
    /// removed itself and crashed before the other had the record never elect anybody again.
    fn may_vote(&self) -> bool {
        let has_me =
            |set: &VoterSet| set.get(&self.me).is_some_and(|voter| voter.has_disk(self.directory_id));
        let uncommitted =
            self.voter_sets.latest_offset().filter(|offset| *offset >= self.log.high_watermark());
        let was_there = |offset| has_me(self.voter_sets.at(offset).unwrap_or(&self.voter_sets.configured));
        self.is_controller && (has_me(self.voter_sets.latest()) || uncommitted.is_some_and(was_there))
    }

    /// The high watermark moved: the removal of this node may be committed now.
    pub(super) fn note_committed(&mut self) {
        if self.is_voter && !self.voters.contains(&self.me) {
            self.is_voter = self.may_vote();
        }
    }

    /// Another set counts. A leader counts by it at once; the others find out when they next have to.
    pub(super) fn voters_changed(&mut self, now: Instant) {
        let set = self.voter_sets.latest();
        self.voters = set.keys().copied().collect::<BTreeSet<_>>();
        self.is_voter = self.may_vote();
        let offset = self.voter_sets.latest_offset().unwrap_or(-1);
        self.held.fact(Observation::VotersChanged { offset, voters: self.voters.iter().copied().collect() });
        if let Role::Leader(leader) = &mut self.role {
            leader.adopt_voters(self.me, &self.voters, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[i32]) -> VoterSet {
        let voter = |id: &i32| (NodeId(*id), Voter { directory_id: Uuid::nil(), address: None });
        ids.iter().map(voter).collect()
    }

    fn sets() -> VoterSets {
        let configured = [1, 2, 3].map(|id| (NodeId(id), Address::new("h", 9093))).into();
        let mut sets = VoterSets::new(&configured);
        sets.note(5, set(&[1, 2, 3, 4]));
        sets.note(9, set(&[1, 2, 4]));
        sets
    }

    fn ids(set: &VoterSet) -> Vec<i32> {
        set.keys().map(|id| id.0).collect()
    }

    #[test]
    fn the_newest_set_counts_until_its_record_is_cut() {
        let mut sets = sets();
        assert_eq!((ids(sets.latest()), sets.latest_offset()), (vec![1, 2, 4], Some(9)));
        sets.truncate(9);
        assert_eq!((ids(sets.latest()), sets.latest_offset()), (vec![1, 2, 3, 4], Some(5)));
        sets.truncate(0);
        assert_eq!((ids(sets.latest()), sets.latest_offset()), (vec![1, 2, 3], None));
    }

    #[test]
    fn a_snapshot_names_the_set_below_its_end() {
        let mut sets = sets();
        assert_eq!(sets.at(5), None);
        assert_eq!(
            (sets.at(6).map(ids), sets.at(10).map(ids)),
            (Some(vec![1, 2, 3, 4]), Some(vec![1, 2, 4]))
        );
        assert!(sets.ever_had(NodeId(3)) && !sets.ever_had(NodeId(5)));
        sets.restart(20, Some(set(&[7])));
        assert_eq!((ids(sets.latest()), sets.latest_offset()), (vec![7], Some(19)));
        sets.restart(30, None);
        assert_eq!(ids(sets.latest()), [1, 2, 3]);
    }

    #[test]
    fn a_voter_is_its_disk() {
        let known = Voter { directory_id: Uuid::from_u128(1), address: None };
        let unknown = Voter { directory_id: Uuid::nil(), address: None };
        assert!(known.has_disk(Uuid::from_u128(1)) && !known.has_disk(Uuid::from_u128(2)));
        assert!(known.has_disk(Uuid::nil()) && unknown.has_disk(Uuid::from_u128(2)));
    }
}
