//! Who may lead cleanly although it is not in sync any more: eligible leader replicas (KIP-966).
//!
//! While the ISR is smaller than `min.insync.replicas` the high watermark stands still (REP-5), so that whoever leaves such
//! an ISR, or leaves it too small, still has everything that was ever acknowledged under acks=all. The controller
//! remembers these replicas and elects one of them when the ISR is empty. A replica that may have lost its tail, because
//! its broker did not shut down cleanly, is forgotten when the broker registers again.

use super::View;
use crate::defects::Defect;
use crate::ids::NodeId;
use crate::metadata::{
    ELIGIBLE_LEADER_REPLICAS, MetadataRecord, PartitionChangeRecord, PartitionRegistration,
};

/// Are eligible leader replicas kept? Without them the last member of an ISR stays in it, whatever befalls it (R10).
pub(super) fn is_enabled(view: View<'_>) -> bool {
    let level = view.image.features.get(ELIGIBLE_LEADER_REPLICAS).copied().unwrap_or(0);
    level >= 1 && !view.defects.has(Defect::LastReplicaStanding)
}

/// The eligible replicas when the ISR becomes `isr` and has at least `min_isr` members or not (ELR-1, ELR-2). `lost` is a
/// replica that may have lost its tail. In order of the assignment.
pub(super) fn eligible_after(
    before: &PartitionRegistration,
    replicas: &[NodeId],
    isr: &[NodeId],
    min_isr: usize,
    lost: Option<NodeId>,
) -> Vec<NodeId> {
    if isr.len() >= min_isr.min(replicas.len()) {
        return Vec::new();
    }
    let had_all = |n: &NodeId| before.elr.contains(n) || before.isr.contains(n);
    let stays = |n: &NodeId| had_all(n) && !isr.contains(n) && Some(*n) != lost;
    replicas.iter().copied().filter(stays).collect()
}

/// The last known leader (ELR-4): remembered from when the ISR becomes empty until there is a leader again, or it
/// is no replica any more.
pub(super) fn last_known_after(
    before: &PartitionRegistration,
    replicas: &[NodeId],
    isr: &[NodeId],
    leader: Option<NodeId>,
) -> Vec<NodeId> {
    match before.leader.filter(|last| replicas.contains(last)) {
        _ if leader.is_some() => Vec::new(),
        Some(last) if isr.is_empty() => vec![last],
        _ => before.last_known_elr.iter().copied().filter(|last| replicas.contains(last)).collect(),
    }
}

/// The records that forget the eligible replicas of a topic, or (`None`) of all: what was safe under another
/// `min.insync.replicas` is not safe any more (ELR-5).
///
/// Differs from Kafka: one PartitionChange per partition instead of one ClearElr record; partitions end up the same.
pub(super) fn forget(view: View<'_>, topic: Option<&str>) -> Vec<MetadataRecord> {
    let forgotten = |list: &[NodeId]| (!list.is_empty()).then(Vec::new);
    let partitions = view.image.partitions().filter(|(t, ..)| topic.is_none_or(|name| name == &*t.name));
    let changes = partitions.map(|(topic, number, partition)| PartitionChangeRecord {
        elr: forgotten(&partition.elr),
        last_known_elr: forgotten(&partition.last_known_elr),
        ..PartitionChangeRecord::new(topic.id, number)
    });
    changes.filter(|change| !change.is_noop()).map(MetadataRecord::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BrokerConfig;
    use crate::controller::elections::registration;
    use crate::defects::DefectSet;
    use crate::ids::Uuid;
    use crate::metadata::{MetadataImage, TopicImage};

    fn nodes(ids: &[i32]) -> Vec<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn elr_1_who_leaves_too_small_an_isr_stays_eligible() {
        let p = registration(&[1, 2, 3], &[1, 2, 3], Some(1));
        let after = |isr: &[i32]| eligible_after(&p, &nodes(&[1, 2, 3]), &nodes(isr), 2, None);
        assert_eq!(after(&[1, 2]), [], "two are enough: broker 3 may miss what they acknowledge");
        assert_eq!(after(&[1]), nodes(&[2, 3]));
        assert_eq!(after(&[]), nodes(&[1, 2, 3]));
    }

    #[test]
    fn elr_1_the_eligible_stay_until_the_isr_is_large_enough() {
        let mut p = registration(&[1, 2, 3], &[1], Some(1));
        p.elr = nodes(&[2]);
        assert_eq!(eligible_after(&p, &p.replicas, &nodes(&[]), 2, None), nodes(&[1, 2]));
        assert_eq!(eligible_after(&p, &p.replicas, &nodes(&[1, 3]), 2, None), []);
        let alone = registration(&[1], &[1], Some(1));
        assert_eq!(eligible_after(&alone, &alone.replicas, &nodes(&[1]), 2, None), [], "there is no second");
    }

    #[test]
    fn who_may_have_lost_its_tail_is_not_eligible() {
        let mut p = registration(&[1, 2, 3], &[1], Some(1));
        p.elr = nodes(&[2]);
        assert_eq!(eligible_after(&p, &p.replicas, &nodes(&[1]), 2, Some(NodeId(2))), []);
        assert_eq!(eligible_after(&p, &p.replicas, &nodes(&[]), 2, Some(NodeId(1))), nodes(&[2]));
    }

    #[test]
    fn elr_5_another_min_isr_forgets_who_was_eligible() {
        let (mut image, settings) = (MetadataImage::default(), BrokerConfig::default());
        let id = Uuid::from_u128(5);
        let mut p = registration(&[1, 2], &[1], Some(1));
        p.elr = nodes(&[2]);
        let partitions = [(0, registration(&[1, 2], &[1], Some(1))), (1, p)].into();
        image.topics.insert(id, TopicImage { name: "t".into(), id, partitions });
        let view = View { image: &image, settings: &settings, defects: &DefectSet::none() };
        let change = PartitionChangeRecord { elr: Some(vec![]), ..PartitionChangeRecord::new(id, 1) };
        assert_eq!(forget(view, Some("t")), [change.clone().into()]);
        assert_eq!(forget(view, None), [change.into()]);
        assert_eq!(forget(view, Some("other")), []);
    }

    #[test]
    fn elr_4_the_last_leader_is_remembered_until_there_is_another() {
        let mut p = registration(&[1, 2], &[1], Some(1));
        assert_eq!(last_known_after(&p, &p.replicas, &[], None), nodes(&[1]));
        (p.leader, p.isr, p.last_known_elr) = (None, vec![], nodes(&[1]));
        assert_eq!(last_known_after(&p, &p.replicas, &[], None), nodes(&[1]));
        assert_eq!(last_known_after(&p, &p.replicas, &nodes(&[2]), Some(NodeId(2))), []);
    }
}
