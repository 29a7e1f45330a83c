//! Records whose fate is open.

use std::collections::VecDeque;

use broker::time::Instant;

use crate::history::Value;

/// When each record of one producer that is still under way was handed over. A queue, since values rise and mostly end in
/// that order: a record costs the same whether ten or ten thousand are under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct UnderWay {
    /// By value; `None` once its fate is known. The first is always open.
    sent: VecDeque<(Value, Option<Instant>)>,
}

impl UnderWay {
    /// A record was handed over.
    pub(super) fn insert(&mut self, value: Value, at: Instant) {
        let rises = self.sent.back().is_none_or(|(last, _)| *last < value);
        let index =
            if rises { self.sent.len() } else { self.sent.partition_point(|(other, _)| *other < value) };
        self.sent.insert(index, (value, Some(at)));
    }

    /// Its fate is known now: when was it handed over? `None` if it is not under way.
    pub(super) fn remove(&mut self, value: Value) -> Option<Instant> {
        let index = self.sent.binary_search_by_key(&value, |(other, _)| *other).ok()?;
        let at = self.sent[index].1.take();
        while self.sent.front().is_some_and(|(_, at)| at.is_none()) {
            self.sent.pop_front();
        }
        at
    }

    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.sent.iter().filter(|(_, at)| at.is_some()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_ends_once_in_whatever_order() {
        let mut under_way = UnderWay::default();
        for n in [1, 2, 5, 4, 9] {
            under_way.insert(Value(n), Instant(10 * n));
        }
        assert_eq!(under_way.remove(Value(3)), None);
        for (n, left) in [(2, 4), (5, 3), (1, 2), (9, 1), (4, 0)] {
            assert_eq!(under_way.remove(Value(n)), Some(Instant(10 * n)));
            assert_eq!((under_way.remove(Value(n)), under_way.len()), (None, left));
        }
        assert_eq!(under_way, UnderWay::default(), "nothing is kept of what has ended");
    }
}
