//! ROUGE (Lin 2004) as the Python package `rouge_score` 0.1.2 computes it, without a stemmer.

use std::collections::HashMap;

use crate::lcs::{Pattern, lcs_positions};
use crate::token::{Vocabulary, Words};

/// Precision, recall and their harmonic mean, each 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Score {
    /// Shared ÷ what the prediction has.
    pub precision: f64,
    /// Shared ÷ what the target has.
    pub recall: f64,
    /// 2·precision·recall ÷ (precision + recall); 0 when both are.
    pub f: f64,
}

impl Score {
    /// Of counts. Where a side has nothing, its ratio is 0.
    pub fn of_counts(n_shared: usize, n_target: usize, n_prediction: usize) -> Score {
        let ratio = |n: usize| if n == 0 { 0.0 } else { n_shared as f64 / n as f64 };
        let (precision, recall) = (ratio(n_prediction), ratio(n_target));
        Score { precision, recall, f: f_measure(precision, recall) }
    }
}

fn f_measure(precision: f64, recall: f64) -> f64 {
    if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }
}

/// ROUGE-N: shared n-grams, each counted as often as in the side that has it less often.
pub fn rouge_n(target: &str, prediction: &str, n: usize, words: Words) -> Score {
    let (target, prediction) = (words.of(target), words.of(prediction));
    let n = n.max(1);
    let counts = |words: &[String]| {
        let mut counts: HashMap<Vec<String>, usize> = HashMap::new();
        words.windows(n).for_each(|gram| *counts.entry(gram.to_vec()).or_default() += 1);
        counts
    };
    let (in_target, in_prediction) = (counts(&target), counts(&prediction));
    let n_shared = in_target.iter().map(|(gram, &n)| n.min(in_prediction.get(gram).copied().unwrap_or(0))).sum();
    Score::of_counts(n_shared, in_target.values().sum(), in_prediction.values().sum())
}

/// ROUGE-L: the longest common subsequence of the words.
pub fn rouge_l(target: &str, prediction: &str, words: Words) -> Score {
    let mut vocabulary = Vocabulary::default();
    let mut numbers = |text: &str| words.of(text).iter().map(|word| vocabulary.add(word)).collect::<Vec<u32>>();
    let (target, prediction) = (numbers(target), numbers(prediction));
    let n_shared = crate::lcs::lcs_length(&target, &prediction);
    Score::of_counts(n_shared, target.len(), prediction.len())
}

/// ROUGE-Lsum: sentences stand on lines. Of each sentence of the target, the words that are in a longest common
/// subsequence with any sentence of the prediction count, no word more often than either side has it.
pub fn rouge_lsum(target: &str, prediction: &str, words: Words) -> Score {
    let sentences = |text: &str| -> Vec<Vec<String>> {
        text.split('\n').filter(|line| !line.is_empty()).map(|line| words.of(line)).collect()
    };
    let (target, prediction) = (sentences(target), sentences(prediction));
    let counts = |sentences: &[Vec<String>]| {
        let mut counts: HashMap<String, usize> = HashMap::new();
        sentences.iter().flatten().for_each(|word| *counts.entry(word.clone()).or_default() += 1);
        counts
    };
    let (mut left_in_target, mut left_in_prediction) = (counts(&target), counts(&prediction));
    let n_target = left_in_target.values().sum();
    let n_prediction = left_in_prediction.values().sum();
    let mut n_shared = 0;
    for sentence in &target {
        let mut positions: Vec<usize> = prediction.iter().flat_map(|other| lcs_positions(sentence, other)).collect();
        positions.sort_unstable();
        positions.dedup();
        for position in positions {
            let word = &sentence[position];
            if let (Some(a), Some(b)) = (left_in_target.get_mut(word), left_in_prediction.get_mut(word))
                && *a > 0
                && *b > 0
            {
                (*a, *b) = (*a - 1, *b - 1);
                n_shared += 1;
            }
        }
    }
    Score::of_counts(n_shared, n_target, n_prediction)
}

/// Texts to which others are compared by ROUGE-L, as the filter of Self-Instruct does it: each is divided into words
/// once, and a comparison takes some nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct RougePool {
    words: Words,
    vocabulary: Vocabulary,
    numbers: Vec<u32>,
    /// Where each text ends in `numbers`.
    ends: Vec<usize>,
}

impl RougePool {
    /// An empty pool.
    pub fn new(words: Words) -> RougePool {
        RougePool { words, ..RougePool::default() }
    }

    /// How many texts it holds.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds a text at the end.
    pub fn push(&mut self, text: &str) {
        for word in self.words.of(text) {
            self.numbers.push(self.vocabulary.add(&word));
        }
        self.ends.push(self.numbers.len());
    }

    /// ROUGE-L F of `text` with every text of the pool, in their order.
    pub fn scores(&self, text: &str) -> Vec<f64> {
        let mut scores = Vec::new();
        self.scores_into(text, 0, &mut Pattern::default(), &mut scores);
        scores
    }

    /// The same with the texts from the `first` on, into `scores`, with a pattern that is used again.
    pub fn scores_into(&self, text: &str, first: usize, pattern: &mut Pattern, scores: &mut Vec<f64>) {
        let numbers: Vec<u32> = self.words.of(text).iter().map(|word| self.vocabulary.find(word)).collect();
        pattern.set(&numbers, self.vocabulary.len());
        scores.clear();
        scores.reserve(self.len().saturating_sub(first));
        let mut start = if first == 0 { 0 } else { self.ends[first - 1] };
        for &end in &self.ends[first..] {
            let n_shared = pattern.lcs(&self.numbers[start..end]);
            let score = if n_shared == 0 { 0.0 } else { Score::of_counts(n_shared, end - start, numbers.len()).f };
            scores.push(score);
            start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "The quick brown fox jumps over the lazy dog";
    const B: &str = "the fox that jumped over a lazy brown dog";

    #[test]
    fn by_hand() {
        // Unigrams of A: 9 (the ×2); of B: 9. Shared: the 1, fox, over, lazy, brown, dog → 6.
        let one = rouge_n(A, B, 1, Words::Ascii);
        assert_eq!((one.precision, one.recall), (6.0 / 9.0, 6.0 / 9.0));
        // No two neighbours are shared.
        assert_eq!(rouge_n(A, B, 2, Words::Ascii), Score::default());
        // the fox over lazy dog.
        let l = rouge_l(A, &format!("{B} again"), Words::Ascii);
        assert_eq!((l.precision, l.recall), (0.5, 5.0 / 9.0));
        // F = 2PR ÷ (P + R) = 2·5 ÷ (9 + 10).
        assert!((l.f - 10.0 / 19.0).abs() < 1e-15);
    }

    #[test]
    fn sums_count_no_word_twice() {
        // Both lines of the target find the one `a b`; the second finds nothing left but `c`.
        let score = rouge_lsum("a b\na b c", "a b c", Words::Ascii);
        assert_eq!((score.precision, score.recall), (1.0, 0.6));
        assert_eq!(rouge_lsum("", "a", Words::Ascii), Score::default());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_pool_says_what_pairs_say(texts in prop::collection::vec("[a-e ]{0,200}", 1..12), text in "[a-g ]{0,200}") {
            let mut pool = RougePool::new(Words::Ascii);
            texts.iter().for_each(|text| pool.push(text));
            let pairs: Vec<f64> = texts.iter().map(|other| rouge_l(other, &text, Words::Ascii).f).collect();
            prop_assert_eq!(pool.scores(&text), pairs);
        }

        #[test]
        fn sides_can_be_exchanged(a in "[a-d ]{0,60}", b in "[a-d ]{0,60}") {
            let (forth, back) = (rouge_l(&a, &b, Words::Unicode), rouge_l(&b, &a, Words::Unicode));
            prop_assert_eq!((forth.precision, forth.f), (back.recall, back.f));
            prop_assert!((0.0..=1.0).contains(&forth.f));
        }
    }
}
