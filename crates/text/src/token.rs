//! Text to words, and words to small numbers.

use std::collections::HashMap;

/// How text becomes words for ROUGE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Words {
    /// As `rouge_score` without a stemmer: lower case, then runs of `a–z` and `0–9`. Whatever isn't Latin becomes no
    /// word at all, so that two Chinese texts have ROUGE 0 even when they are the same.
    #[default]
    Ascii,
    /// Lower case, then runs of letters and digits of any script; of scripts that are written without spaces (Han,
    /// kana, Thai, Lao, Khmer, Myanmar), each character is a word. On plain English it says what `Ascii` says.
    Unicode,
}

impl Words {
    /// The words of a text.
    pub fn of(self, text: &str) -> Vec<String> {
        let lower = text.to_lowercase();
        match self {
            Words::Ascii => lower
                .split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit())
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect(),
            Words::Unicode => {
                let runs = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
                runs.flat_map(unspaced).collect()
            }
        }
    }
}

/// A run of letters, divided where its script has no spaces to divide it.
fn unspaced(run: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in run.chars() {
        if is_unspaced(c) {
            words.push(c.to_string());
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether the character's script is written without spaces between words (blocks of the Unicode standard).
fn is_unspaced(c: char) -> bool {
    matches!(c as u32,
        0x0E00..=0x0EFF // Thai, Lao
        | 0x1000..=0x109F // Myanmar
        | 0x1780..=0x17FF // Khmer
        | 0x3040..=0x30FF // kana
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x323AF // Han
    )
}

/// The words of `scikit-learn`'s default pattern `\b\w\w+\b`, lower-cased: runs of at least two letters, digits or
/// underscores.
pub fn long_words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    lower
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| word.chars().nth(1).is_some())
        .map(str::to_owned)
        .collect()
}

/// Words as numbers, in the order in which they were first seen.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    numbers: HashMap<String, u32>,
}

/// The number of every word that a [`Vocabulary`] doesn't know.
pub const UNKNOWN: u32 = u32::MAX;

impl Vocabulary {
    /// How many words there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// A word's number; a new one for a new word.
    pub fn add(&mut self, word: &str) -> u32 {
        if let Some(&number) = self.numbers.get(word) {
            return number;
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert(word.to_owned(), number);
        number
    }

    /// A word's number, or [`UNKNOWN`].
    pub fn find(&self, word: &str) -> u32 {
        self.numbers.get(word).copied().unwrap_or(UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_words_are_those_of_rouge_score() {
        // What rouge_score 0.1.2's default tokenizer gives.
        assert_eq!(Words::Ascii.of("Don't  re-run x2, café!"), ["don", "t", "re", "run", "x2", "caf"]);
        assert!(Words::Ascii.of("日本語 です").is_empty());
    }

    #[test]
    fn unicode_words_keep_every_script() {
        assert_eq!(Words::Unicode.of("Ein Café, 日本 2x Привет"), ["ein", "café", "日", "本", "2x", "привет"]);
        assert_eq!(Words::Unicode.of("plain English, it's"), Words::Ascii.of("plain English, it's"));
    }

    #[test]
    fn long_words_have_two_characters() {
        assert_eq!(long_words("A big_one, is 7 or 42 é öl"), ["big_one", "is", "or", "42", "öl"]);
    }

    #[test]
    fn a_vocabulary_counts_up() {
        let mut vocabulary = Vocabulary::default();
        assert_eq!([vocabulary.add("b"), vocabulary.add("a"), vocabulary.add("b")], [0, 1, 0]);
        assert_eq!((vocabulary.find("a"), vocabulary.find("c"), vocabulary.len()), (1, UNKNOWN, 2));
    }
}
