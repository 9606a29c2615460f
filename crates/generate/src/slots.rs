//! Which rows of the cache are taken: slots of one size, so that what is given back always fits the next.
use std::ops::Range;

pub(crate) struct Slots {
    size: u32,
    /// First rows of free slots, the next to be taken last.
    free: Vec<u32>,
}

impl Slots {
    /// `count` slots of `size` rows, from `first_row` on.
    pub fn new(first_row: usize, size: usize, count: usize) -> Slots {
        let free = (0..count).rev().map(|i| (first_row + i * size) as u32).collect();
        Slots { size: size as u32, free }
    }
    pub fn take(&mut self) -> Option<Range<u32>> {
        self.free.pop().map(|start| start..start + self.size)
    }
    pub fn give(&mut self, rows: Range<u32>) {
        self.free.push(rows.start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_do_not_overlap_and_come_back() {
        let mut slots = Slots::new(5, 3, 2);
        let (a, b) = (slots.take(), slots.take());
        assert_eq!((a.clone(), b), (Some(5..8), Some(8..11)));
        assert_eq!(slots.take(), None);
        slots.give(5..8);
        assert_eq!(slots.take(), a);
    }
}
