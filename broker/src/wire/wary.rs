//! Reading messages whose counts may lie.
//!
//! `kafka-protocol` reserves memory for as many array elements as a message announces, before it looks for them: a frame
//! of twenty bytes could ask for hundreds of gigabytes, and a failed allocation ends the process. [`WaryBytes`] stands
//! between the decoder and the bytes and refuses a length that the bytes left cannot hold, before the decoder sees it.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::buf::ByteBuf;

/// Numbers up to here may be larger than the rest of the message: the tags of tagged fields are varints too (KIP-482).
/// As a count it costs at most a few megabytes for a moment.
const HARMLESS: u64 = 1 << 14;
/// A varint of 32 bits has at most five bytes.
const VARINT_BITS_MAX: u32 = 35;
/// What the decoder refuses as a length and takes as any other number.
const NO_LENGTH: i32 = -2;

/// Where a message keeps its lengths (KIP-482).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// In varints. Only lengths and tags are varints: one that is too large for the rest is a lie.
    Flexible,
    /// In plain integers, and so are other fields: only a trial run, in which every number that is too large for the rest
    /// is hidden, tells whether one of them was a length.
    PlainTrial,
    /// In plain integers, after a trial run that succeeded.
    PlainTried,
}

/// Bytes that are read with suspicion: memory for what they hold stays in proportion to their number. Source: ours.
#[derive(Debug)]
pub(super) struct WaryBytes {
    rest: Bytes,
    layout: Layout,
    /// The varint that is being read; bytes of booleans may be in front of it, which only makes it larger.
    varint: u64,
    varint_bits: u32,
}

impl WaryBytes {
    /// Reads `bytes` as a message of this layout.
    pub(super) fn new(bytes: Bytes, layout: Layout) -> Self {
        WaryBytes { rest: bytes, layout, varint: 0, varint_bits: 0 }
    }

    fn forget_varint(&mut self) {
        (self.varint, self.varint_bits) = (0, 0);
    }

    /// The largest length that can be true: a byte per element, and the one that compact lengths are larger.
    fn length_max(&self) -> u64 {
        (self.rest.len() as u64 + 1).max(HARMLESS)
    }

    fn lie(&self) -> TryGetError {
        TryGetError { requested: usize::MAX, available: self.rest.len() }
    }
}

impl Buf for WaryBytes {
    fn remaining(&self) -> usize {
        self.rest.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.rest
    }

    fn advance(&mut self, count: usize) {
        self.forget_varint();
        self.rest.advance(count);
    }

    /// Varints and booleans are read byte by byte with this method, and nothing else is.
    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        let byte = self.rest.try_get_u8()?;
        if self.layout != Layout::Flexible {
            return Ok(byte);
        }
        if self.varint_bits >= VARINT_BITS_MAX {
            return Err(self.lie());
        }
        self.varint |= u64::from(byte & 0x7f) << self.varint_bits;
        if self.varint > self.length_max() {
            return Err(self.lie());
        }
        if byte < 0x80 {
            self.forget_varint();
        } else {
            self.varint_bits += 7;
        }
        Ok(byte)
    }

    fn try_get_i32(&mut self) -> Result<i32, TryGetError> {
        self.forget_varint();
        let number = self.rest.try_get_i32()?;
        let is_too_large = usize::try_from(number).is_ok_and(|length| length > self.rest.len());
        Ok(if is_too_large && self.layout == Layout::PlainTrial { NO_LENGTH } else { number })
    }
}

impl ByteBuf for WaryBytes {
    fn peek_bytes(&mut self, range: std::ops::Range<usize>) -> Bytes {
        self.rest.slice(range)
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        self.forget_varint();
        self.rest.split_to(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wary(bytes: &'static [u8], layout: Layout) -> WaryBytes {
        WaryBytes::new(Bytes::from_static(bytes), layout)
    }

    #[test]
    fn a_varint_beyond_the_rest_is_refused_while_it_is_read() {
        let mut bytes = wary(&[0xff, 0xff, 0xff, 0xff, 0x07, 0], Layout::Flexible);
        let read: Vec<bool> = (0..3).map(|_| bytes.try_get_u8().is_ok()).collect();
        assert_eq!(read, [true, true, false]);
    }

    #[test]
    fn bytes_before_a_varint_do_not_hide_it() {
        let mut bytes = wary(&[0x80, 0x80, 0x80, 0xff, 0xff, 0x03], Layout::Flexible);
        assert!((0..6).any(|_| bytes.try_get_u8().is_err()));
        let mut endless = wary(&[0x80; 9], Layout::Flexible);
        assert!((0..9).any(|_| endless.try_get_u8().is_err()));
    }

    #[test]
    fn small_varints_and_large_tags_pass() {
        let mut bytes = wary(&[0x05, 0xff, 0x7f, 0x00], Layout::Flexible);
        assert!((0..4).all(|_| bytes.try_get_u8().is_ok()), "16383 may be a tag");
        let mut other = wary(&[0xff, 0x00, 0xff, 0x00, 0xff, 0x00, 0xff], Layout::Flexible);
        assert_eq!((other.try_get_u8(), other.try_get_i8()), (Ok(0xff), Ok(0)));
        assert_eq!(
            (other.try_get_u8(), other.try_get_i16()),
            (Ok(0xff), Ok(255)),
            "other fields end a varint"
        );
    }

    #[test]
    fn a_trial_run_hides_numbers_that_cannot_be_lengths() {
        let (fits, lies) = ([0, 0, 0, 1, 9], [0, 0, 0, 2, 9]);
        let read = |bytes: [u8; 5], layout| {
            WaryBytes::new(Bytes::copy_from_slice(&bytes), layout).try_get_i32().expect("four bytes")
        };
        assert_eq!(read(fits, Layout::PlainTrial), 1);
        assert_eq!(read(lies, Layout::PlainTrial), NO_LENGTH);
        assert_eq!(read(lies, Layout::PlainTried), 2);
    }
}
