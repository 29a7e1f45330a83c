//! Builds one batch from records.

use bytes::{BufMut, Bytes, BytesMut};

use super::batch::{CONTROL_BIT, HEADER_BYTES, TRANSACTIONAL_BIT, seal};
use super::record::{put_varlong, varlong_bytes};
use crate::ids::*;

/// Builds one batch v2. Uncompressed, `CreateTime`; the leader stamps offset and epoch on append. Source: KIP-98,
/// `MemoryRecordsBuilder`.
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    producer: (ProducerId, ProducerEpoch, i32),
    attributes: i16,
    base_timestamp: i64,
    max_timestamp: i64,
    count: i32,
    /// Room for the header, then the records.
    bytes: BytesMut,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        BatchBuilder {
            base_offset: 0,
            leader_epoch: NO_EPOCH,
            producer: (-1, -1, -1),
            attributes: 0,
            base_timestamp: -1,
            max_timestamp: -1,
            count: 0,
            bytes: BytesMut::zeroed(HEADER_BYTES),
        }
    }
}

impl BatchBuilder {
    /// An empty batch at offset 0 without an epoch and without a producer.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first record's offset.
    pub fn base_offset(mut self, offset: Offset) -> Self {
        self.base_offset = offset;
        self
    }

    /// The leader's epoch.
    pub fn leader_epoch(mut self, epoch: LeaderEpoch) -> Self {
        self.leader_epoch = epoch;
        self
    }

    /// Makes the batch idempotent.
    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: i32) -> Self {
        self.producer = (id, epoch, base_sequence);
        self
    }

    /// Marks it as written by the broker itself.
    pub fn control(mut self) -> Self {
        self.attributes |= CONTROL_BIT;
        self
    }

    /// Marks it as part of a transaction.
    pub fn transactional(mut self) -> Self {
        self.attributes |= TRANSACTIONAL_BIT;
        self
    }

    /// Adds a record; its timestamp is in milliseconds since 1970.
    pub fn push(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&[u8], Option<&[u8]>)],
    ) -> &mut Self {
        if self.count == 0 {
            self.base_timestamp = timestamp_ms;
            self.max_timestamp = timestamp_ms;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp_ms);
        let timestamp_delta = timestamp_ms.wrapping_sub(self.base_timestamp);
        let headers_bytes: usize =
            headers.iter().map(|(key, value)| field_bytes(Some(*key)) + field_bytes(*value)).sum();
        let length = 1
            + varlong_bytes(timestamp_delta)
            + varlong_bytes(i64::from(self.count))
            + field_bytes(key)
            + field_bytes(value)
            + varlong_bytes(headers.len() as i64)
            + headers_bytes;
        let out = &mut self.bytes;
        out.reserve(length + 5);
        put_varlong(out, length as i64);
        out.put_u8(0); // record attributes: unused in v2
        put_varlong(out, timestamp_delta);
        put_varlong(out, i64::from(self.count));
        put_field(out, key);
        put_field(out, value);
        put_varlong(out, headers.len() as i64);
        for (key, value) in headers {
            put_field(out, Some(*key));
            put_field(out, *value);
        }
        self.count += 1;
        self
    }

    /// Number of records so far.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Is there no record yet?
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Size of the batch in bytes if it were built now.
    pub fn size_bytes_estimate(&self) -> usize {
        self.bytes.len()
    }

    /// The batch. Without records it is an empty batch of one offset.
    pub fn build(mut self) -> Bytes {
        let length = self.bytes.len();
        let mut out = &mut self.bytes[..HEADER_BYTES];
        out.put_i64(self.base_offset);
        out.put_i32((length - 12) as i32);
        out.put_i32(self.leader_epoch);
        out.put_u8(2);
        out.put_u32(0); // sealed below
        out.put_i16(self.attributes);
        out.put_i32((self.count - 1).max(0));
        out.put_i64(self.base_timestamp);
        out.put_i64(self.max_timestamp);
        out.put_i64(self.producer.0);
        out.put_i16(self.producer.1);
        out.put_i32(self.producer.2);
        out.put_i32(self.count);
        seal(&mut self.bytes);
        self.bytes.freeze()
    }
}

fn field_bytes(field: Option<&[u8]>) -> usize {
    match field {
        Some(bytes) => varlong_bytes(bytes.len() as i64) + bytes.len(),
        None => 1,
    }
}

fn put_field(out: &mut BytesMut, field: Option<&[u8]>) {
    match field {
        Some(bytes) => {
            put_varlong(out, bytes.len() as i64);
            out.put_slice(bytes);
        }
        None => put_varlong(out, -1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_is_the_size() {
        let mut builder = BatchBuilder::new();
        assert!(builder.is_empty());
        for i in 0..200 {
            builder.push(i * 1_000, Some(&[1; 70]), None, &[(b"name", Some(&[2; 300]))]);
        }
        assert_eq!(builder.len(), 200);
        let estimate = builder.size_bytes_estimate();
        assert_eq!(builder.build().len(), estimate);
    }
}
