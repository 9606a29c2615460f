//! Ways to do things, told in free words: an answer tells a way when it has most of the words that carry it.

use super::text;
use crate::deed::{DEEDS, Deed};
use std::collections::HashSet;

/// So much of a way's words tell it.
const TOLD: f64 = 0.7;

const SMALL: &[&str] = &[
    "a", "an", "and", "at", "it", "in", "into", "of", "on", "or", "out", "the", "them", "they", "to", "until", "with",
    "you", "your",
];

/// The deeds whose ways the words tell.
pub(super) fn told(answer: &HashSet<String>) -> Vec<&'static Deed> {
    let is_told = |deed: &&Deed| {
        let wanted: HashSet<String> = weighty(deed.how).collect();
        wanted.iter().filter(|word| answer.contains(*word)).count() as f64 >= TOLD * wanted.len() as f64
    };
    DEEDS.iter().filter(is_told).collect()
}

/// The deeds whose ways one sentence tells.
pub(super) fn told_in(sentence: &str) -> Vec<&'static Deed> {
    told(&weighty(sentence).collect())
}

/// Whether at least half of a sentence's words are of this way.
pub(super) fn shares_words(how: &str, sentence: &str) -> bool {
    let wanted: HashSet<String> = weighty(how).collect();
    let (mut n_words, mut n_shared) = (0, 0);
    for word in weighty(sentence) {
        n_words += 1;
        n_shared += usize::from(wanted.contains(&word));
    }
    n_shared > 0 && 2 * n_shared >= n_words
}

/// The words that carry meaning, in small letters.
pub(super) fn weighty(text: &str) -> impl Iterator<Item = String> {
    text::words(text).map(str::to_lowercase).filter(|word| !SMALL.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_is_told_by_its_own_sentence_and_in_other_order_and_by_no_other() {
        for deed in DEEDS {
            let acts =
                |text: &str| -> Vec<&str> { told(&weighty(text).collect()).iter().map(|found| found.act).collect() };
            assert_eq!(acts(deed.how), [deed.act]);
            let turned: Vec<&str> = deed.how.trim_end_matches('.').split(' ').rev().collect();
            assert_eq!(acts(&turned.join(" ")), [deed.act]);
            assert!(acts(deed.act).is_empty(), "{}: to name it is not to tell how", deed.act);
        }
        assert!(told(&HashSet::new()).is_empty());
    }
}
