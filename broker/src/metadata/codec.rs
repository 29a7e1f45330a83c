//! Kafka's flexible message encoding (KIP-482), as far as metadata records need it.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::record::RecordError;
use crate::ids::{NodeId, Uuid};

/// Optional fields by tag, ascending.
pub(super) type Tags = BTreeMap<u32, Bytes>;

/// Writes fields one after the other.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: BytesMut,
}

impl Writer {
    pub(super) fn finish(self) -> Bytes {
        self.bytes.freeze()
    }

    pub(super) fn i8(&mut self, v: i8) {
        self.bytes.put_i8(v);
    }

    pub(super) fn bool(&mut self, v: bool) {
        self.bytes.put_u8(u8::from(v));
    }

    pub(super) fn i16(&mut self, v: i16) {
        self.bytes.put_i16(v);
    }

    pub(super) fn u16(&mut self, v: u16) {
        self.bytes.put_u16(v);
    }

    pub(super) fn i32(&mut self, v: i32) {
        self.bytes.put_i32(v);
    }

    pub(super) fn i64(&mut self, v: i64) {
        self.bytes.put_i64(v);
    }

    pub(super) fn uuid(&mut self, v: Uuid) {
        self.bytes.put_slice(v.as_bytes());
    }

    /// Unsigned varint, 7 bits a byte, the lowest first.
    pub(super) fn varint(&mut self, mut v: u32) {
        while v >= 0x80 {
            self.bytes.put_u8((v & 0x7f) as u8 | 0x80);
            v >>= 7;
        }
        self.bytes.put_u8(v as u8);
    }

    /// A length, written plus one: zero stands for null.
    pub(super) fn length(&mut self, n: usize) {
        self.varint(u32::try_from(n).expect("metadata records are far below 4 GiB") + 1);
    }

    pub(super) fn string(&mut self, v: &str) {
        self.length(v.len());
        self.bytes.put_slice(v.as_bytes());
    }

    pub(super) fn nullable_string(&mut self, v: Option<&str>) {
        match v {
            Some(v) => self.string(v),
            None => self.varint(0),
        }
    }

    pub(super) fn nodes(&mut self, v: &[NodeId]) {
        self.length(v.len());
        v.iter().for_each(|n| self.i32(n.0));
    }

    pub(super) fn uuids(&mut self, v: &[Uuid]) {
        self.length(v.len());
        v.iter().for_each(|u| self.uuid(*u));
    }

    pub(super) fn tags(&mut self, tags: &Tags) {
        self.varint(tags.len() as u32);
        for (tag, value) in tags {
            self.varint(*tag);
            self.varint(value.len() as u32);
            self.bytes.put_slice(value);
        }
    }
}

/// One tagged field's value.
pub(super) fn tagged(write: impl FnOnce(&mut Writer)) -> Bytes {
    let mut w = Writer::default();
    write(&mut w);
    w.finish()
}

/// Reads fields one after the other. Every method fails with [`RecordError::Malformed`] where the bytes run out.
#[derive(Debug)]
pub(super) struct Reader {
    bytes: Bytes,
}

impl Reader {
    pub(super) fn new(bytes: Bytes) -> Self {
        Reader { bytes }
    }

    /// Fails if something is left. Kafka does the same (`AbstractApiMessageSerde`: garbage after the message).
    pub(super) fn finish(self) -> Result<(), RecordError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(RecordError::Malformed("bytes after the record")) }
    }

    fn take(&mut self, n: usize) -> Result<Bytes, RecordError> {
        if n > self.bytes.len() {
            return Err(RecordError::Malformed("record cut short"));
        }
        Ok(self.bytes.split_to(n))
    }

    pub(super) fn i8(&mut self) -> Result<i8, RecordError> {
        Ok(self.take(1)?.get_i8())
    }

    pub(super) fn bool(&mut self) -> Result<bool, RecordError> {
        Ok(self.i8()? != 0)
    }

    pub(super) fn i16(&mut self) -> Result<i16, RecordError> {
        Ok(self.take(2)?.get_i16())
    }

    pub(super) fn u16(&mut self) -> Result<u16, RecordError> {
        Ok(self.take(2)?.get_u16())
    }

    pub(super) fn i32(&mut self) -> Result<i32, RecordError> {
        Ok(self.take(4)?.get_i32())
    }

    pub(super) fn i64(&mut self) -> Result<i64, RecordError> {
        Ok(self.take(8)?.get_i64())
    }

    pub(super) fn uuid(&mut self) -> Result<Uuid, RecordError> {
        Ok(Uuid::from_u128(self.take(16)?.get_u128()))
    }

    pub(super) fn varint(&mut self) -> Result<u32, RecordError> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = self.i8()? as u8;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| RecordError::Malformed("varint out of range"));
            }
        }
        Err(RecordError::Malformed("varint too long"))
    }

    fn length(&mut self) -> Result<Option<usize>, RecordError> {
        Ok(self.varint()?.checked_sub(1).map(|n| n as usize))
    }

    pub(super) fn nullable_string(&mut self) -> Result<Option<String>, RecordError> {
        let Some(n) = self.length()? else { return Ok(None) };
        let bytes = self.take(n)?;
        match std::str::from_utf8(&bytes) {
            Ok(s) => Ok(Some(s.to_string())),
            Err(_) => Err(RecordError::Malformed("string is not UTF-8")),
        }
    }

    pub(super) fn string(&mut self) -> Result<String, RecordError> {
        self.nullable_string()?.ok_or(RecordError::Malformed("null where a string must be"))
    }

    pub(super) fn nullable_array<T>(
        &mut self,
        mut read: impl FnMut(&mut Reader) -> Result<T, RecordError>,
    ) -> Result<Option<Vec<T>>, RecordError> {
        let Some(n) = self.length()? else { return Ok(None) };
        (0..n).map(|_| read(self)).collect::<Result<Vec<T>, _>>().map(Some)
    }

    pub(super) fn array<T>(
        &mut self,
        read: impl FnMut(&mut Reader) -> Result<T, RecordError>,
    ) -> Result<Vec<T>, RecordError> {
        self.nullable_array(read)?.ok_or(RecordError::Malformed("null where an array must be"))
    }

    pub(super) fn node(&mut self) -> Result<NodeId, RecordError> {
        self.i32().map(NodeId)
    }

    /// Reads the tagged fields; who reads a record picks those that it knows and passes the others over (KIP-482).
    pub(super) fn tags(&mut self) -> Result<Tags, RecordError> {
        let count = self.varint()?;
        let mut tags = Tags::new();
        for _ in 0..count {
            let tag = self.varint()?;
            let size = self.varint()? as usize;
            tags.insert(tag, self.take(size)?);
        }
        Ok(tags)
    }
}

/// Reads one tagged field if it is there.
pub(super) fn untag<T>(
    tags: &Tags,
    tag: u32,
    read: impl FnOnce(&mut Reader) -> Result<T, RecordError>,
) -> Result<Option<T>, RecordError> {
    let Some(bytes) = tags.get(&tag) else { return Ok(None) };
    let mut reader = Reader::new(bytes.clone());
    let value = read(&mut reader)?;
    reader.finish()?;
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_kafkas() {
        for (value, bytes) in [
            (0u32, vec![0u8]),
            (127, vec![127]),
            (128, vec![0x80, 1]),
            (u32::MAX, vec![255, 255, 255, 255, 15]),
        ] {
            let mut w = Writer::default();
            w.varint(value);
            assert_eq!(w.finish(), bytes);
            assert_eq!(Reader::new(Bytes::from(bytes)).varint(), Ok(value));
        }
    }

    #[test]
    fn a_varint_beyond_32_bits_is_refused() {
        assert!(Reader::new(Bytes::from_static(&[255, 255, 255, 255, 31])).varint().is_err());
        assert!(Reader::new(Bytes::from_static(&[255, 255, 255, 255, 255, 1])).varint().is_err());
    }

    #[test]
    fn a_huge_length_does_not_allocate() {
        let bytes = Bytes::from_static(&[255, 255, 255, 255, 15, 1, 2]);
        assert_eq!(Reader::new(bytes).array(Reader::i8), Err(RecordError::Malformed("record cut short")));
    }
}
