//! How much texts differ among themselves.

use std::collections::HashSet;
use std::hash::Hash;

/// distinct-n (Li et al., arXiv 1510.03055): different n-grams ÷ all n-grams of the sequences (words, or token ids);
/// 1 when nothing is said twice. NaN when no sequence has n elements: there is nothing to compare.
pub fn distinct_n<'a, T: Hash + Eq + 'a>(sequences: impl IntoIterator<Item = &'a [T]>, n: usize) -> f64 {
    let mut different: HashSet<&[T]> = HashSet::new();
    let mut n_grams = 0_usize;
    for gram in sequences.into_iter().flat_map(|sequence| sequence.windows(n.max(1))) {
        different.insert(gram);
        n_grams += 1;
    }
    different.len() as f64 / n_grams as f64
}

/// Self-BLEU (Zhu et al., arXiv 1802.01886): the mean of each text's BLEU (0 to 100) with all others as its references;
/// the lower, the more the texts differ. `None` for fewer than two texts.
pub fn self_bleu(texts: &[&str]) -> Option<f64> {
    crate::bleu::self_bleu(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_pairs_are_counted_over_all_sequences() {
        // ab bc ca ab | ab: three different of five.
        let (a, b) = (["a", "b", "c", "a", "b"], ["a", "b"]);
        assert_eq!(distinct_n([&a[..], &b[..]], 2), 0.6);
        assert_eq!(distinct_n([&a[..], &b[..]], 1), 3.0 / 7.0);
        assert!(distinct_n([&b[..]], 3).is_nan());
    }

    #[test]
    fn alike_texts_have_a_high_self_bleu() {
        assert!((self_bleu(&["a b c d e", "a b c d e"]).expect("two") - 100.0).abs() < 1e-9);
        assert_eq!(self_bleu(&["a b", "c d"]), Some(0.0));
    }
}
