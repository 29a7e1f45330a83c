//! Where the replicas of a new topic are put.

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

/// Replicas for each of `partitions` partitions: round robin over the unfenced brokers from a drawn start, one further
/// for each partition. Fenced brokers only fill up when there are not enough others; a broker that is shutting down
/// gets nothing. Errors: INVALID_REPLICATION_FACTOR. Source: `StripedReplicaPlacer`.
///
/// Differs from Kafka: racks are not looked at.
pub(super) fn place(
    image: &MetadataImage,
    partitions: i32,
    replication_factor: i16,
    rng: &mut impl Rng,
) -> Result<Vec<Vec<NodeId>>, Refusal> {
    let usable = || image.brokers.values().filter(|b| !b.in_controlled_shutdown);
    let live: Vec<NodeId> = usable().filter(|b| !b.fenced).map(|b| b.id).collect();
    let fenced: Vec<NodeId> = usable().filter(|b| b.fenced).map(|b| b.id).collect();
    let wanted = usize::try_from(replication_factor).unwrap_or(0);
    let refuse = |why: String| {
        let message = format!("Unable to replicate the partition {replication_factor} time(s): {why}");
        Err(Refusal::new(ErrorCode::InvalidReplicationFactor, message))
    };
    let registered = live.len() + fenced.len();
    if wanted > registered {
        return refuse(format!(
            "The target replication factor of {replication_factor} cannot be reached because only \
             {registered} broker(s) are registered."
        ));
    }
    if live.is_empty() {
        return refuse("All brokers are currently fenced.".into());
    }
    let start = rng.gen_range(0..live.len());
    let turn = |list: &[NodeId], by: usize| -> Vec<NodeId> {
        list.iter().copied().cycle().skip(by % list.len().max(1)).take(list.len()).collect()
    };
    let stripe = |p: i32| {
        let by = start + usize::try_from(p).unwrap_or(0);
        turn(&live, by).into_iter().chain(turn(&fenced, by)).take(wanted).collect()
    };
    Ok((0..partitions).map(stripe).collect())
}
