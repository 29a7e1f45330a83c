//! Leaders go back to where they belong (`auto.leader.rebalance.enable`).

use std::collections::BTreeMap;

use super::View;
use super::elections::{Election, PartitionChange};
use crate::ids::NodeId;
use crate::metadata::MetadataRecord;

/// The records that hand leaderships back to brokers that are preferred and do not lead too many of their partitions.
/// Source: KIP-460, `ReplicationControlManager.maybeBalancePartitionLeaders`.
///
/// A broker lacks too many if the share of the partitions that prefer it and are led by another exceeds
/// `leader.imbalance.per.broker.percentage`. Differs from Kafka: its KRaft controller does not look at that percentage.
pub(super) fn balance_leaders(view: View<'_>) -> Vec<MetadataRecord> {
    let mut shares: BTreeMap<NodeId, (i64, i64)> = BTreeMap::new();
    for (_, _, partition) in view.image.partitions() {
        let Some(preferred) = partition.preferred() else { continue };
        let (missing, all) = shares.entry(preferred).or_default();
        *missing += i64::from(partition.leader != Some(preferred));
        *all += 1;
    }
    let tolerated = i64::from(view.settings.leader_imbalance_percentage);
    let lacks = |n: &NodeId| shares.get(n).is_some_and(|(missing, all)| missing * 100 > tolerated * all);
    let due = |preferred: &NodeId| view.image.is_active(*preferred) && lacks(preferred);
    let partitions = view.image.partitions().filter(|(_, _, p)| p.leader != p.preferred());
    partitions
        .filter(|(_, _, p)| p.preferred().as_ref().is_some_and(due))
        .filter_map(|(topic, number, partition)| {
            let change = PartitionChange::new(view, topic, number, partition).election(Election::Preferred);
            change.build(|n| view.image.is_active(n))
        })
        .map(MetadataRecord::from)
        .collect()
}
