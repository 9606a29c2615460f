//! The length of the longest common subsequence of two sequences of numbers, 64 positions at a time.
//!
//! The columns of the usual table grow by 0 or 1 from row to row, so a column is a string of bits; addition's carry does
//! a row of 64 at once (Hyyrö, "Bit-parallel LCS-length computation revisited", 2004): with V all ones at first, each
//! element t of the other sequence does V ← (V + (V ∧ Mₜ)) ∨ (V ∧ ¬Mₜ), Mₜ being the positions of t in the pattern, and
//! the zeros that are left in V count the length.

use crate::token::UNKNOWN;

const BITS: usize = 64;

/// A sequence made ready for being compared with many others.
#[derive(Clone, Debug, Default)]
pub struct Pattern {
    length: usize,
    /// 64-bit words that the length takes.
    n_words: usize,
    /// Positions of each number: `n_words` words a number below the highest, dense.
    masks: Vec<u64>,
    /// The numbers whose masks aren't zero.
    used: Vec<u32>,
}

impl Pattern {
    /// Takes another sequence, in place: what was allocated stays. Numbers must be below `n_numbers`, or [`UNKNOWN`],
    /// which is equal to nothing.
    pub fn set(&mut self, sequence: &[u32], n_numbers: usize) {
        for &number in &self.used {
            let start = number as usize * self.n_words;
            self.masks[start..start + self.n_words].fill(0);
        }
        self.used.clear();
        self.length = sequence.len();
        self.n_words = sequence.len().div_ceil(BITS).max(1);
        // One block of zeros more, for numbers that came after this was set.
        self.masks.resize((n_numbers + 1) * self.n_words, 0);
        for (position, &number) in sequence.iter().enumerate() {
            if (number as usize) < n_numbers {
                self.masks[number as usize * self.n_words + position / BITS] |= 1 << (position % BITS);
                self.used.push(number);
            }
        }
    }

    /// How long the sequence is.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Length of the longest common subsequence with `other`. Numbers that weren't below `n_numbers` match nothing.
    pub fn lcs(&self, other: &[u32]) -> usize {
        match self.length {
            0 => 0,
            1..=BITS => self.lcs_short(other),
            _ => self.lcs_long(other),
        }
    }

    // Positions beyond the length are in no mask, so V ∧ ¬M keeps their ones and they count for nothing.

    fn lcs_short(&self, other: &[u32]) -> usize {
        let last = self.masks.len() - 1;
        let mut v = u64::MAX;
        for &number in other {
            let both = v & self.masks[(number as usize).min(last)];
            v = v.wrapping_add(both) | (v - both);
        }
        v.count_zeros() as usize
    }

    fn lcs_long(&self, other: &[u32]) -> usize {
        let last = self.masks.len() / self.n_words - 1;
        let mut v = vec![u64::MAX; self.n_words];
        for &number in other {
            let start = (number as usize).min(last) * self.n_words;
            let mut carry = false;
            for (v, mask) in v.iter_mut().zip(&self.masks[start..start + self.n_words]) {
                let both = *v & mask;
                let (sum, over) = v.overflowing_add(both);
                let (sum, over_by_carry) = sum.overflowing_add(u64::from(carry));
                carry = over || over_by_carry;
                *v = sum | (*v - both);
            }
        }
        v.iter().map(|word| word.count_zeros() as usize).sum()
    }
}

/// Length of the longest common subsequence.
pub fn lcs_length(a: &[u32], b: &[u32]) -> usize {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    // Numbers are made dense, so that the masks are as small as the shorter sequence.
    let mut known: Vec<u32> = short.to_vec();
    known.sort_unstable();
    known.dedup();
    let dense = |sequence: &[u32]| -> Vec<u32> {
        let position = |number| known.binary_search(number).map_or(UNKNOWN, |position| position as u32);
        sequence.iter().map(position).collect()
    };
    let mut pattern = Pattern::default();
    pattern.set(&dense(short), known.len());
    pattern.lcs(&dense(long))
}

/// The positions in `a` of one longest common subsequence with `b`: where several are as long, the one that the
/// backtracking of `rouge_score` finds (from the end; it leaves an element of `a` rather than one of `b`).
pub fn lcs_positions<T: PartialEq>(a: &[T], b: &[T]) -> Vec<usize> {
    let width = b.len() + 1;
    let mut table = vec![0_u32; (a.len() + 1) * width];
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            table[i * width + j] = if a[i - 1] == b[j - 1] {
                table[(i - 1) * width + j - 1] + 1
            } else {
                table[(i - 1) * width + j].max(table[i * width + j - 1])
            };
        }
    }
    let (mut i, mut j) = (a.len(), b.len());
    let mut positions = Vec::new();
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            positions.push(i - 1);
            (i, j) = (i - 1, j - 1);
        } else if table[i * width + j - 1] > table[(i - 1) * width + j] {
            j -= 1;
        } else {
            i -= 1;
        }
    }
    positions.reverse();
    positions
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_by_hand() {
        let numbers = |text: &str| text.bytes().map(u32::from).collect::<Vec<_>>();
        let check = |a: &str, b: &str, expected| assert_eq!(lcs_length(&numbers(a), &numbers(b)), expected, "{a} {b}");
        check("abcbdab", "bdcaba", 4); // bcba (Cormen et al., Introduction to Algorithms, §15.4)
        check("", "abc", 0);
        check("abc", "xyz", 0);
        check("abc", "abc", 3);
    }

    #[test]
    fn patterns_are_used_again_and_numbers_that_come_later_match_nothing() {
        let mut pattern = Pattern::default();
        let long: Vec<u32> = (0..150).map(|i| i % 40).collect();
        pattern.set(&long, 40);
        assert_eq!(pattern.lcs(&long), 150);
        pattern.set(&[1, UNKNOWN, 2], 40);
        assert_eq!(pattern.lcs(&[1, 77, 2, UNKNOWN]), 2);
        pattern.set(&[], 0);
        assert_eq!(pattern.lcs(&[1, 2]), 0);
        assert!(pattern.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Against the table, through every number of 64-bit words up to three, and their edges.
        #[test]
        fn bits_say_what_the_table_says(
            a in prop::collection::vec(0_u32..6, 0..170),
            b in prop::collection::vec(0_u32..8, 0..140),
        ) {
            let positions = lcs_positions(&a, &b);
            prop_assert_eq!(lcs_length(&a, &b), positions.len());
            prop_assert!(positions.windows(2).all(|pair| pair[0] < pair[1]));
            let mut pattern = Pattern::default();
            pattern.set(&a, 6);
            prop_assert_eq!(pattern.lcs(&b), positions.len());
        }

        #[test]
        fn whole_words_of_bits(n in 1_usize..4, other in prop::collection::vec(0_u32..3, 0..300)) {
            let a: Vec<u32> = (0..64 * n as u32).map(|i| i % 3).collect();
            prop_assert_eq!(lcs_length(&a, &other), lcs_positions(&a, &other).len());
        }
    }
}
