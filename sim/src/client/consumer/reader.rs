//! Record batches to delivered records (`CompletedFetch`).

use broker::ids::Offset;
use broker::log::{BatchError, batches};
use bytes::Bytes;

use super::position::Position;
use crate::history::Value;

/// What a record that is too short to carry its identity counts as.
const NO_VALUE: Value = Value(u64::MAX);

/// Takes what can be read into `position` and returns it. Records below the position are skipped: a fetch from the
/// middle of a batch brings the whole batch. Control records move the position and are not delivered. A torn tail is
/// no error: the answer was cut at its size limit. Errors: the bytes after the returned records are damaged.
pub(super) fn read(
    position: &mut Position,
    records: Bytes,
    is_crc_checked: bool,
) -> (Vec<(Offset, Value)>, Result<(), BatchError>) {
    let mut delivered = Vec::new();
    let result = read_into(position, records, is_crc_checked, &mut delivered);
    (delivered, result)
}

fn read_into(
    position: &mut Position,
    records: Bytes,
    is_crc_checked: bool,
    delivered: &mut Vec<(Offset, Value)>,
) -> Result<(), BatchError> {
    for batch in batches(records) {
        let batch = match batch {
            Err(BatchError::Incomplete { .. }) => return Ok(()),
            other => other?,
        };
        if batch.header.next_offset() <= position.offset {
            continue;
        }
        if is_crc_checked {
            batch.validate()?;
        }
        if !batch.header.is_control() {
            for record in batch.records() {
                let record = record?;
                if record.offset >= position.offset {
                    delivered.push((record.offset, value_of(record.value)));
                    position.offset = record.offset + 1;
                }
            }
        }
        position.offset = batch.header.next_offset();
        position.offset_epoch = batch.header.leader_epoch;
    }
    Ok(())
}

/// The identity of a record: the first eight bytes of its value, big-endian.
fn value_of(bytes: Option<&[u8]>) -> Value {
    match bytes.and_then(|bytes| bytes.first_chunk::<8>()) {
        Some(id) => Value(u64::from_be_bytes(*id)),
        None => NO_VALUE,
    }
}
