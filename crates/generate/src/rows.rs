//! Which rows of the cache are taken. Prompts are laid from the bottom, samples from the top, so that holdings of two
//! sizes leave no holes that neither fits.
use std::collections::BTreeMap;
use std::ops::Range;

pub(crate) struct Rows {
    /// Free ranges, start to length; no two touch.
    free: BTreeMap<u32, u32>,
}

impl Rows {
    pub fn new(capacity: usize) -> Rows {
        Rows { free: [(0, capacity as u32)].into_iter().filter(|range| range.1 > 0).collect() }
    }

    /// The lowest free place for `size` rows.
    pub fn take_low(&mut self, size: u32) -> Option<Range<u32>> {
        let (start, length) = self.free.iter().map(|(start, length)| (*start, *length)).find(|(_, l)| *l >= size)?;
        self.free.remove(&start);
        self.keep(start + size..start + length);
        Some(start..start + size)
    }

    /// The highest free place for `size` rows.
    pub fn take_high(&mut self, size: u32) -> Option<Range<u32>> {
        let (start, length) =
            self.free.iter().rev().map(|(start, length)| (*start, *length)).find(|(_, l)| *l >= size)?;
        self.free.remove(&start);
        let end = start + length;
        self.keep(start..end - size);
        Some(end - size..end)
    }

    /// Gives rows back.
    pub fn give(&mut self, rows: Range<u32>) {
        let (mut start, mut end) = (rows.start, rows.end);
        if let Some((before, length)) = self.free.range(..start).next_back().map(|(s, l)| (*s, *l))
            && before + length == start
        {
            self.free.remove(&before);
            start = before;
        }
        if let Some(length) = self.free.remove(&end) {
            end += length;
        }
        self.keep(start..end);
    }

    fn keep(&mut self, rows: Range<u32>) {
        if !rows.is_empty() {
            self.free.insert(rows.start, rows.end - rows.start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_sizes_fill_the_cache_whatever_the_order() {
        // Two prompts of 3 and two samples of 5: exactly 16 rows, whoever comes and goes.
        let mut rows = Rows::new(16);
        assert_eq!((rows.take_low(3), rows.take_high(5)), (Some(0..3), Some(11..16)));
        assert_eq!((rows.take_low(3), rows.take_high(5)), (Some(3..6), Some(6..11)));
        assert_eq!(rows.take_low(1), None);
        rows.give(0..3);
        rows.give(6..11);
        assert_eq!((rows.take_high(5), rows.take_low(3)), (Some(6..11), Some(0..3)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn holdings_never_overlap_and_all_comes_back(steps in prop::collection::vec((any::<bool>(), 1_u32..9, any::<u16>()), 1..60)) {
            let mut rows = Rows::new(40);
            let mut held: Vec<Range<u32>> = Vec::new();
            for (low, size, which) in steps {
                if which % 3 == 0 && !held.is_empty() {
                    rows.give(held.swap_remove(usize::from(which) % held.len()));
                } else if let Some(taken) = if low { rows.take_low(size) } else { rows.take_high(size) } {
                    prop_assert!(taken.end <= 40 && taken.end - taken.start == size);
                    prop_assert!(held.iter().all(|other| taken.end <= other.start || other.end <= taken.start));
                    held.push(taken);
                }
            }
            held.into_iter().for_each(|range| rows.give(range));
            prop_assert_eq!(rows.free, BTreeMap::from([(0, 40)]));
        }
    }
}
