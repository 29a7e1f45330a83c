//! A table from numbers that are nearly dense to numbers.

use std::collections::BTreeMap;

const PAGE: u64 = 256;
const NOTHING: u64 = u64::MAX;

type Page = Box<[u64]>;

/// A table from offsets or counters to 64-bit words (but [`u64::MAX`]): eight bytes an entry where keys are dense, one page
/// where they are not, so that a single record at offset 10^9 costs nothing much.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// The page used last: keys come in runs, and each run would look for its page once per key.
    open: Option<(u64, Page)>,
    /// The other pages.
    closed: BTreeMap<u64, Page>,
}

impl Table {
    /// Sets an entry; returns the one that was there.
    pub fn set(&mut self, key: u64, word: u64) -> Option<u64> {
        let old = std::mem::replace(&mut self.page(key / PAGE)[(key % PAGE) as usize], word);
        (old != NOTHING).then_some(old)
    }

    fn page(&mut self, number: u64) -> &mut Page {
        if let Some((last, page)) = self.open.take_if(|(open, _)| *open != number) {
            self.closed.insert(last, page);
        }
        let closed = &mut self.closed;
        let open = || {
            let page = closed.remove(&number);
            (number, page.unwrap_or_else(|| vec![NOTHING; PAGE as usize].into()))
        };
        &mut self.open.get_or_insert_with(open).1
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
        assert_eq!(table.set(3_000_000_000, 10), Some(8));
        assert_eq!((table.open.is_some(), table.closed.len()), (true, 1));
    }
}
