//! One record, and the lazy iterator over the records of a batch.
//!
//! Lengths are zigzag varints (as in Protocol Buffers). Every claimed length is compared with the bytes that are there
//! before anything is sliced, so that hostile bytes cost nothing.

use bytes::{BufMut, BytesMut};

use super::batch::{BatchError, BatchHeader};
use crate::ids::Offset;

/// One record as it stands in a batch, whose bytes it borrows: the tens of thousands of records that are read in a second
/// of a simulation each want a few of their bytes. Source: KIP-98.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its position in the log.
    pub offset: Offset,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// `None`: no key.
    pub key: Option<&'a [u8]>,
    /// `None`: a tombstone.
    pub value: Option<&'a [u8]>,
    /// In order; a key may occur more than once (KIP-82).
    pub headers: Vec<Header<'a>>,
}

/// Key and value of a record's header. Source: KIP-82.
pub type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// Iterator over the records of one batch; ends after the first error.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
    remaining: i32,
    base_offset: Offset,
    last_offset_delta: i32,
    base_timestamp: i64,
    append_time: Option<i64>,
    compression: i16,
}

impl<'a> Records<'a> {
    pub(super) fn new(header: &BatchHeader, body: &'a [u8]) -> Self {
        Records {
            rest: body,
            remaining: header.record_count,
            base_offset: header.base_offset,
            last_offset_delta: header.last_offset_delta,
            base_timestamp: header.base_timestamp,
            append_time: header.is_log_append_time().then_some(header.max_timestamp),
            compression: header.compression(),
        }
    }

    fn decode(&mut self) -> Result<Record<'a>, BatchError> {
        if self.compression != 0 {
            return Err(BatchError::Compressed(self.compression));
        }
        let length = take_length(&mut self.rest)?.ok_or(BatchError::Record("null record"))?;
        let mut body = split_to(&mut self.rest, length);
        take_byte(&mut body)?; // record attributes: unused in v2
        let timestamp_delta = take_varlong(&mut body)?;
        let offset_delta = take_varint(&mut body)?;
        if offset_delta < 0 || offset_delta > self.last_offset_delta {
            return Err(BatchError::Record("offset outside of its batch"));
        }
        let key = take_bytes(&mut body)?;
        let value = take_bytes(&mut body)?;
        let headers = take_headers(&mut body)?;
        if !body.is_empty() {
            return Err(BatchError::Record("bytes left over"));
        }
        Ok(Record {
            offset: self.base_offset + i64::from(offset_delta),
            timestamp: self.append_time.unwrap_or(self.base_timestamp.wrapping_add(timestamp_delta)),
            key,
            value,
            headers,
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.remaining <= 0 {
            let left_over = !self.rest.is_empty() && self.compression == 0;
            self.rest = &[];
            return left_over.then_some(Err(BatchError::Record("bytes after the last record")));
        }
        self.remaining -= 1;
        let record = self.decode();
        if record.is_err() {
            self.remaining = 0;
            self.rest = &[];
        }
        Some(record)
    }
}

fn take_headers<'a>(body: &mut &'a [u8]) -> Result<Vec<Header<'a>>, BatchError> {
    let count = take_varint(body)?;
    // A header takes at least two bytes: anything above is a lie that must not become an allocation.
    if count < 0 || count as usize > body.len() / 2 {
        return Err(BatchError::Record("impossible header count"));
    }
    (0..count)
        .map(|_| {
            let key = take_bytes(body)?.ok_or(BatchError::Record("header without a key"))?;
            Ok((key, take_bytes(body)?))
        })
        .collect()
}

fn take_bytes<'a>(body: &mut &'a [u8]) -> Result<Option<&'a [u8]>, BatchError> {
    Ok(take_length(body)?.map(|length| split_to(body, length)))
}

/// The first `length` bytes, which are known to be there.
fn split_to<'a>(body: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (first, rest) = body.split_at(length);
    *body = rest;
    first
}

/// A length that is known to be there; `None` for -1.
fn take_length(body: &mut &[u8]) -> Result<Option<usize>, BatchError> {
    match take_varint(body)? {
        -1 => Ok(None),
        length if length < 0 || length as usize > body.len() => {
            Err(BatchError::Record("length beyond the end"))
        }
        length => Ok(Some(length as usize)),
    }
}

fn take_byte(body: &mut &[u8]) -> Result<u8, BatchError> {
    let (first, rest) = body.split_first().ok_or(BatchError::Record("ends early"))?;
    *body = rest;
    Ok(*first)
}

fn take_varint(body: &mut &[u8]) -> Result<i32, BatchError> {
    i32::try_from(take_varlong(body)?).map_err(|_| BatchError::Record("varint too long"))
}

fn take_varlong(body: &mut &[u8]) -> Result<i64, BatchError> {
    let mut raw = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = take_byte(body)?;
        if shift == 63 && byte > 1 {
            break;
        }
        raw |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((raw >> 1) as i64 ^ -((raw & 1) as i64));
        }
    }
    Err(BatchError::Record("varint too long"))
}

/// Appends a zigzag varint.
pub(super) fn put_varlong(out: &mut BytesMut, value: i64) {
    let mut raw = ((value << 1) ^ (value >> 63)) as u64;
    while raw >= 0x80 {
        out.put_u8(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.put_u8(raw as u8);
}

/// Bytes that [`put_varlong`] takes.
pub(super) fn varlong_bytes(value: i64) -> usize {
    let raw = ((value << 1) ^ (value >> 63)) as u64;
    (64 - (raw | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::batch::Batch;
    use super::super::batch_builder::BatchBuilder;
    use super::*;

    #[test]
    fn headers_keep_their_order_and_their_double_keys() {
        let mut builder = BatchBuilder::new().base_offset(10);
        builder.push(3, None, Some(b""), &[(b"h", Some(b"1")), (b"h", Some(b"2")), (b"\xff", None)]);
        let batch = Batch::parse(&builder.build()).unwrap();
        let record = batch.records().next().unwrap().unwrap();
        assert_eq!((record.offset, record.timestamp, record.key), (10, 3, None));
        assert_eq!(record.value, Some(&b""[..]), "an empty value is not a tombstone");
        let wanted: [(&[u8], Option<&[u8]>); 3] = [(b"h", Some(b"1")), (b"h", Some(b"2")), (b"\xff", None)];
        assert_eq!(record.headers, wanted);
    }

    #[test]
    fn claims_beyond_the_bytes_are_refused() {
        let mut huge = BytesMut::new();
        put_varlong(&mut huge, i64::from(i32::MAX));
        huge.put_bytes(0, 10);
        assert!(take_headers(&mut &huge[..]).is_err());
        assert!(take_bytes(&mut &huge[..]).is_err());
        let mut endless = &[0xff; 12][..];
        assert_eq!(take_varlong(&mut endless), Err(BatchError::Record("varint too long")));
    }

    #[test]
    fn compressed_records_are_not_guessed_at() {
        let mut bytes = BytesMut::from(&super::super::fixture::batch(1, 1)[..]);
        bytes[22] = 4;
        let batch = Batch::parse(&bytes.freeze()).unwrap();
        assert_eq!(batch.records().collect::<Vec<_>>(), [Err(BatchError::Compressed(4))]);
    }

    proptest! {
        #[test]
        fn varints_come_back_and_their_size_is_known(value in any::<i64>(), shift in 0u32..64) {
            let value = value >> shift;
            let mut bytes = BytesMut::new();
            put_varlong(&mut bytes, value);
            prop_assert_eq!(bytes.len(), varlong_bytes(value));
            prop_assert_eq!(take_varlong(&mut &bytes[..]), Ok(value));
        }
    }
}
