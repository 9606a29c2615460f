//! Measures by which bad text is told from good, as OSCAR and ROOTS filter web pages (Laurençon et al., arXiv
//! 2303.03915, §3): lengths, characters that aren't letters, repetition, words that are common in any real text, and
//! words of a list.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

/// What a text measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Measures {
    /// Runs between white space.
    pub words: usize,
    /// Characters.
    pub characters: usize,
    /// Characters that are neither letters, digits, white space nor common punctuation ÷ characters.
    pub symbol_ratio: f64,
    /// Digits ÷ characters.
    pub digit_ratio: f64,
    /// Words that begin a list or a line of dots ÷ lines: `bullet` lines ÷ lines.
    pub bullet_ratio: f64,
    /// Characters in runs of ten that came before ÷ characters.
    pub character_repetition: f64,
    /// Words in runs of five that came before ÷ words.
    pub word_repetition: f64,
    /// Words of the list of common words ÷ words.
    pub common_ratio: f64,
    /// Words of the list of flagged words ÷ words.
    pub flagged_ratio: f64,
}

/// Bounds; what is absent bounds nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// Fewest words.
    pub words_min: Option<usize>,
    /// Most words.
    pub words_max: Option<usize>,
    /// Most characters.
    pub characters_max: Option<usize>,
    /// See [`Measures::symbol_ratio`].
    pub symbol_ratio_max: Option<f64>,
    /// See [`Measures::digit_ratio`].
    pub digit_ratio_max: Option<f64>,
    /// See [`Measures::bullet_ratio`].
    pub bullet_ratio_max: Option<f64>,
    /// See [`Measures::character_repetition`]; for texts of at least 100 characters.
    pub character_repetition_max: Option<f64>,
    /// See [`Measures::word_repetition`]; for texts of at least 20 words.
    pub word_repetition_max: Option<f64>,
    /// See [`Measures::common_ratio`]; for texts of at least 20 words.
    pub common_ratio_min: Option<f64>,
    /// See [`Measures::flagged_ratio`].
    pub flagged_ratio_max: Option<f64>,
    /// Words that any real text of the language has.
    pub common_words: Vec<String>,
    /// Words that are counted against a text.
    pub flagged_words: Vec<String>,
}

/// Bounds made ready for many texts.
pub struct Quality {
    bounds: Bounds,
    common: HashSet<String>,
    flagged: HashSet<String>,
}

impl Quality {
    /// With these bounds.
    pub fn new(bounds: Bounds) -> Quality {
        let set = |words: &[String]| words.iter().map(|word| word.to_lowercase()).collect();
        Quality { common: set(&bounds.common_words), flagged: set(&bounds.flagged_words), bounds }
    }

    /// Measures a text.
    pub fn measure(&self, text: &str) -> Measures {
        let characters = text.chars().count();
        let share = |n: usize| n as f64 / characters.max(1) as f64;
        let words: Vec<&str> = text.split_whitespace().collect();
        let plain = |word: &&str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        let plain: Vec<String> = words.iter().map(plain).collect();
        let among = |set: &HashSet<String>| {
            plain.iter().filter(|word| set.contains(*word)).count() as f64 / words.len().max(1) as f64
        };
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let bullets = lines.iter().filter(|line| line.trim_start().starts_with(['-', '*', '•', '·', '►'])).count();
        Measures {
            words: words.len(),
            characters,
            symbol_ratio: share(text.chars().filter(|c| is_symbol(*c)).count()),
            digit_ratio: share(text.chars().filter(|c| c.is_numeric()).count()),
            bullet_ratio: bullets as f64 / lines.len().max(1) as f64,
            character_repetition: repetition(&text.chars().collect::<Vec<_>>(), 10),
            word_repetition: repetition(&plain, 5),
            common_ratio: among(&self.common),
            flagged_ratio: among(&self.flagged),
        }
    }

    /// The first bound that a text is beyond: the bound's name.
    pub fn objection(&self, m: &Measures) -> Option<&'static str> {
        let b = &self.bounds;
        let above = |value: f64, bound: Option<f64>| bound.is_some_and(|bound| value > bound);
        let many = |value: usize, bound: Option<usize>| bound.is_some_and(|bound| value > bound);
        let long = m.words >= 20;
        let checks = [
            (b.words_min.is_some_and(|bound| m.words < bound), "words_min"),
            (many(m.words, b.words_max), "words_max"),
            (many(m.characters, b.characters_max), "characters_max"),
            (above(m.symbol_ratio, b.symbol_ratio_max), "symbol_ratio_max"),
            (above(m.digit_ratio, b.digit_ratio_max), "digit_ratio_max"),
            (above(m.bullet_ratio, b.bullet_ratio_max), "bullet_ratio_max"),
            (
                m.characters >= 100 && above(m.character_repetition, b.character_repetition_max),
                "character_repetition_max",
            ),
            (long && above(m.word_repetition, b.word_repetition_max), "word_repetition_max"),
            (long && b.common_ratio_min.is_some_and(|bound| m.common_ratio < bound), "common_ratio_min"),
            (above(m.flagged_ratio, b.flagged_ratio_max), "flagged_ratio_max"),
        ];
        checks.into_iter().find(|(beyond, _)| *beyond).map(|(_, name)| name)
    }
}

fn is_symbol(c: char) -> bool {
    !(c.is_alphanumeric() || c.is_whitespace() || ".,;:!?'\"()-’‘“”…/%&$€£`".contains(c))
}

/// The share of items that lie in a run of `n` which came before.
fn repetition<T: std::hash::Hash + Eq>(items: &[T], n: usize) -> f64 {
    let mut seen: HashMap<&[T], ()> = HashMap::new();
    let mut repeated = vec![false; items.len()];
    for (start, run) in items.windows(n).enumerate() {
        if seen.insert(run, ()).is_some() {
            repeated[start..start + n].fill(true);
        }
    }
    repeated.iter().filter(|repeated| **repeated).count() as f64 / items.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quality(bounds: Bounds) -> Quality {
        Quality::new(Bounds {
            common_words: ["the", "and", "of"].map(str::to_owned).to_vec(),
            flagged_words: vec!["Darn".to_owned()],
            ..bounds
        })
    }

    #[test]
    fn by_hand() {
        let m = quality(Bounds::default()).measure("The {7} darn cats,\n- and\n");
        assert_eq!((m.words, m.characters), (6, 25));
        assert_eq!((m.symbol_ratio, m.digit_ratio), (2.0 / 25.0, 1.0 / 25.0));
        assert_eq!((m.bullet_ratio, m.common_ratio, m.flagged_ratio), (0.5, 2.0 / 6.0, 1.0 / 6.0));
        // abcde abcde: the second five of ten were there before.
        let m = quality(Bounds::default()).measure("a b c d e a b c d e");
        assert_eq!(m.word_repetition, 0.5);
        assert_eq!(quality(Bounds::default()).measure("").common_ratio, 0.0);
    }

    #[test]
    fn the_first_bound_is_named() {
        let check = |bounds: Bounds, text: &str, expected| {
            let quality = quality(bounds);
            assert_eq!(quality.objection(&quality.measure(text)), expected, "{text}");
        };
        check(Bounds { words_min: Some(2), ..Bounds::default() }, "one", Some("words_min"));
        check(Bounds { symbol_ratio_max: Some(0.3), ..Bounds::default() }, "###@ x", Some("symbol_ratio_max"));
        check(Bounds { flagged_ratio_max: Some(0.1), ..Bounds::default() }, "oh darn it", Some("flagged_ratio_max"));
        let common = Bounds { common_ratio_min: Some(0.1), ..Bounds::default() };
        check(common.clone(), &"xyz ".repeat(20), Some("common_ratio_min"));
        check(common, "short and odd", None);
        let repeats = Bounds { word_repetition_max: Some(0.5), ..Bounds::default() };
        check(repeats, &"a b c d e f ".repeat(6), Some("word_repetition_max"));
        check(Bounds::default(), "", None);
    }
}
