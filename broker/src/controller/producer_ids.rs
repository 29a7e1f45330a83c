//! Blocks of producer ids.

use super::Decision;
use super::brokers::check_broker_epoch;
use crate::ids::NodeId;
use crate::metadata::{MetadataImage, ProducerIdsRecord};
use crate::wire::NO_ERROR;
use crate::wire::messages::{AllocateProducerIdsRequest, AllocateProducerIdsResponse, ProducerId};

/// How many producer ids a broker gets at a time (`ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`, KIP-730).
pub const PRODUCER_ID_BLOCK: i32 = 1000;

/// Hands the next block to a broker. A block is never handed out twice: the next one is decided against the image ahead,
/// and a block that was not committed was never told to anyone. Errors in the answer: STALE_BROKER_EPOCH. Source: IDM-5.
pub(super) fn allocate_producer_ids(image: &MetadataImage, request: &AllocateProducerIdsRequest) -> Decision {
    let broker_id = NodeId(request.broker_id.0);
    if let Err(code) = check_broker_epoch(image, broker_id, request.broker_epoch) {
        let response = AllocateProducerIdsResponse::default().with_error_code(code.code());
        return Decision { records: Vec::new(), response: response.into() };
    }
    let first = image.next_producer_id;
    let next_producer_id = first + i64::from(PRODUCER_ID_BLOCK);
    let record = ProducerIdsRecord { broker_id, broker_epoch: request.broker_epoch, next_producer_id };
    let response = AllocateProducerIdsResponse::default()
        .with_error_code(NO_ERROR)
        .with_producer_id_start(ProducerId(first))
        .with_producer_id_len(PRODUCER_ID_BLOCK);
    Decision { records: vec![record.into()], response: response.into() }
}
