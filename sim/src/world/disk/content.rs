//! Bytes of one file as extents, without copies.

use bytes::{Bytes, BytesMut};

/// What was appended, in order: (position, bytes), without gaps or empty extents.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    extents: Vec<(u64, Bytes)>,
    len: u64,
}

impl Content {
    pub(super) fn whole(bytes: Bytes) -> Content {
        let mut content = Content::default();
        content.append(bytes);
        content
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn append(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            let at = self.len;
            self.len += bytes.len() as u64;
            self.extents.push((at, bytes));
        }
    }

    pub(super) fn truncate(&mut self, len: u64) {
        if len >= self.len {
            return;
        }
        let keep = self.extents.partition_point(|&(at, _)| at < len);
        self.extents.truncate(keep);
        if let Some((at, bytes)) = self.extents.last_mut() {
            bytes.truncate((len - *at) as usize);
        }
        self.len = len;
    }

    /// Up to `len` bytes from `at`; a slice when one extent suffices.
    pub(super) fn read(&self, at: u64, len: usize) -> Bytes {
        let end = at.saturating_add(len as u64).min(self.len);
        if at >= end {
            return Bytes::new();
        }
        let first = self.extents.partition_point(|(start, _)| *start <= at) - 1;
        let (start, bytes) = &self.extents[first];
        if end <= start + bytes.len() as u64 {
            return bytes.slice((at - start) as usize..(end - start) as usize);
        }
        let mut whole = BytesMut::with_capacity((end - at) as usize);
        self.slices(at, end).for_each(|slice| whole.extend_from_slice(&slice));
        whole.freeze()
    }

    /// The extents of `from..to`, cut to it.
    pub(super) fn slices(&self, from: u64, to: u64) -> impl Iterator<Item = Bytes> + '_ {
        let first = self.extents.partition_point(|(at, bytes)| at + bytes.len() as u64 <= from);
        self.extents[first..].iter().take_while(move |(at, _)| *at < to).map(move |(at, bytes)| {
            let start = from.saturating_sub(*at) as usize;
            let end = ((to - at) as usize).min(bytes.len());
            bytes.slice(start..end)
        })
    }

    /// Positions between `from` and `to` where an extent begins.
    pub(super) fn borders(&self, from: u64, to: u64) -> Vec<u64> {
        let first = self.extents.partition_point(|&(at, _)| at < from);
        self.extents[first..].iter().map(|&(at, _)| at).take_while(|&at| at < to).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abc() -> Content {
        let mut content = Content::whole(Bytes::from_static(b"aaaa"));
        content.append(Bytes::from_static(b"bbb"));
        content.append(Bytes::from_static(b"cc"));
        content
    }

    #[test]
    fn reads_cross_extents_and_stop_at_the_end() {
        assert_eq!(&abc().read(3, 5)[..], b"abbbc");
        assert_eq!(&abc().read(8, 100)[..], b"c");
        assert!(abc().read(9, 1).is_empty());
    }

    #[test]
    fn a_read_within_one_extent_copies_nothing() {
        let bytes = Bytes::from(vec![1, 2, 3, 4]);
        let slice = Content::whole(bytes.clone()).read(1, 2);
        assert_eq!(slice.as_ptr(), bytes[1..].as_ptr());
    }

    #[test]
    fn truncation_cuts_within_an_extent() {
        let mut content = abc();
        content.truncate(5);
        content.append(Bytes::from_static(b"x"));
        assert_eq!(&content.read(0, 100)[..], b"aaaabx");
        assert_eq!(content.borders(1, 6), [4, 5]);
    }
}
