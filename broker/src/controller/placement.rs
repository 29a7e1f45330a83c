//! Where the replicas of a new topic are put.

use std::collections::BTreeMap;

use rand::Rng;

use crate::ids::NodeId;
use crate::metadata::MetadataImage;
use crate::wire::ErrorCode;

/// Why a topic or a part of it cannot be: the error and a sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) message: String,
}

impl Refusal {
    /// Names the error and says what is wrong.
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Refusal { code, message: message.into() }
    }
}

/// One rack's brokers by id.
#[derive(Debug, Default)]
struct Rack {
    live: Vec<NodeId>,
    fenced: Vec<NodeId>,
}

impl Rack {
    /// All of them, live ones first, beginning `by` places further.
    fn turned(&self, by: usize) -> impl Iterator<Item = NodeId> + use<> {
        let turn = |list: &Vec<NodeId>| {
            let mut list = list.clone();
            let by = by % list.len().max(1);
            list.rotate_left(by);
            list.into_iter()
        };
        turn(&self.live).chain(turn(&self.fenced))
    }
}

/// Replicas for each of `partitions` partitions: round robin over the racks from a drawn start, one further for each
/// partition, and round robin over the brokers of each rack. So no two replicas of a partition share a rack as long as
/// there are racks without one. Within a rack fenced brokers only fill up when there are not enough others, and none of
/// them leads; a broker that is shutting down gets nothing. Brokers that name no rack are a rack of their own.
/// Errors: INVALID_REPLICATION_FACTOR. Source: KIP-36, `StripedReplicaPlacer`.
///
/// Differs from Kafka: one draw says where to begin, for racks and brokers, and it is never drawn again for one request.
pub(super) fn place(
    image: &MetadataImage,
    partitions: i32,
    replication_factor: i16,
    rng: &mut impl Rng,
) -> Result<Vec<Vec<NodeId>>, Refusal> {
    let mut by_name: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
    for broker in image.brokers.values().filter(|b| !b.in_controlled_shutdown) {
        let rack = by_name.entry(broker.rack.as_deref()).or_default();
        if broker.fenced { rack.fenced.push(broker.id) } else { rack.live.push(broker.id) }
    }
    let racks: Vec<Rack> = by_name.into_values().collect();
    let live: usize = racks.iter().map(|rack| rack.live.len()).sum();
    let registered = live + racks.iter().map(|rack| rack.fenced.len()).sum::<usize>();
    let wanted = usize::try_from(replication_factor).unwrap_or(0);
    let refuse = |why: String| {
        let message = format!("Unable to replicate the partition {replication_factor} time(s): {why}");
        Err(Refusal::new(ErrorCode::InvalidReplicationFactor, message))
    };
    if wanted > registered {
        return refuse(format!(
            "The target replication factor of {replication_factor} cannot be reached because only \
             {registered} broker(s) are registered."
        ));
    }
    if live == 0 {
        return refuse("All brokers are currently fenced.".into());
    }
    let start = rng.gen_range(0..live);
    let numbers = 0..usize::try_from(partitions).unwrap_or(0);
    Ok(numbers.map(|number| stripe(&racks, start, number, wanted)).collect())
}

/// The replicas of one partition. There is a live broker, and there are `wanted` brokers.
fn stripe(racks: &[Rack], start: usize, number: usize, wanted: usize) -> Vec<NodeId> {
    let count = racks.len();
    let mut brokers: Vec<_> = racks.iter().map(|rack| rack.turned(start + number / count)).collect();
    let in_turn = (0..count).map(|i| (start + number + i) % count);
    let first = in_turn.clone().find(|rack| !racks[*rack].live.is_empty()).unwrap_or(0);
    let mut replicas = Vec::with_capacity(wanted);
    for rack in (first..).map(|i| i % count) {
        if replicas.len() == wanted {
            break;
        }
        replicas.extend(brokers[rack].next());
    }
    replicas
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use std::collections::BTreeSet;

    use super::*;
    use crate::ids::Uuid;
    use crate::metadata::{MetadataDelta, RegisterBrokerRecord};

    /// Brokers (id, rack, fenced).
    fn cluster(brokers: &[(i32, &str, bool)]) -> MetadataImage {
        let mut image = MetadataImage::default();
        for (id, rack, fenced) in brokers {
            let record = RegisterBrokerRecord {
                broker_id: NodeId(*id),
                incarnation_id: Uuid::from_u128(1),
                broker_epoch: 1,
                endpoints: vec![],
                features: BTreeMap::new(),
                rack: Some(rack.to_string()).filter(|rack| !rack.is_empty()),
                fenced: *fenced,
                in_controlled_shutdown: false,
                log_dirs: vec![],
            };
            image.apply(i64::from(*id), &record.into(), &mut MetadataDelta::default());
        }
        image
    }

    fn placed(image: &MetadataImage, partitions: i32, factor: i16, seed: u64) -> Vec<Vec<i32>> {
        let all = place(image, partitions, factor, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap();
        all.into_iter().map(|replicas| replicas.into_iter().map(|n| n.0).collect()).collect()
    }

    #[test]
    fn kip_36_no_two_replicas_share_a_rack_while_racks_suffice() {
        let image =
            cluster(&[(1, "a", false), (2, "a", false), (3, "b", false), (4, "b", false), (5, "c", true)]);
        let rack = |id: &i32| image.broker(NodeId(*id)).and_then(|b| b.rack.clone());
        for seed in 0..20 {
            let all = placed(&image, 12, 3, seed);
            for replicas in &all {
                let racks: BTreeSet<_> = replicas.iter().map(rack).collect();
                assert_eq!(racks.len(), 3, "{replicas:?}");
                assert_ne!(replicas[0], 5, "a fenced broker does not lead");
            }
            let leaders: BTreeSet<i32> = all.iter().map(|replicas| replicas[0]).collect();
            assert_eq!(leaders, [1, 2, 3, 4].into(), "everybody leads something");
        }
    }

    #[test]
    fn more_replicas_than_racks_are_spread_evenly() {
        let image = cluster(&[(1, "a", false), (2, "a", false), (3, "b", false), (4, "b", false)]);
        for replicas in placed(&image, 8, 4, 3) {
            assert_eq!(replicas.iter().collect::<BTreeSet<_>>().len(), 4);
            assert_ne!(replicas[0] <= 2, replicas[1] <= 2, "{replicas:?}: the first two are in two racks");
        }
    }

    #[test]
    fn without_racks_it_is_plain_round_robin() {
        let image = cluster(&[(1, "", false), (2, "", false), (3, "", false), (4, "", true)]);
        let all = placed(&image, 3, 4, 0);
        for (before, after) in all.iter().zip(&all[1..]) {
            assert_eq!(after[0], before[1], "one further each time");
        }
        assert!(all.iter().all(|replicas| replicas[3] == 4), "the fenced one fills up");
    }
}
