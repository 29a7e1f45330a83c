//! A table from numbers that are nearly dense to numbers.

use std::collections::BTreeMap;

const PAGE: u64 = 256;
const NOTHING: u64 = u64::MAX;

/// A table from offsets or counters to 64-bit words (but [`u64::MAX`]): eight bytes an entry where keys are dense, one page
/// where they are not, so that a single record at offset 10^9 costs nothing much.
#[derive(Debug, Clone, Default)]
pub struct Table {
    pages: BTreeMap<u64, Box<[u64]>>,
}

impl Table {
    /// Sets an entry; returns the one that was there.
    pub fn set(&mut self, key: u64, word: u64) -> Option<u64> {
        let page = self.pages.entry(key / PAGE).or_insert_with(|| vec![NOTHING; PAGE as usize].into());
        let old = std::mem::replace(&mut page[(key % PAGE) as usize], word);
        (old != NOTHING).then_some(old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_keys_do_not_disturb_near_ones() {
        let mut table = Table::default();
        assert_eq!(table.set(3, 7), None);
        assert_eq!(table.set(3_000_000_000, 8), None);
        assert_eq!(table.set(3, 9), Some(7));
        assert_eq!(table.pages.len(), 2);
    }
}
