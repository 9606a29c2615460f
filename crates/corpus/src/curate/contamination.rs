//! Text that a corpus shares with evaluation sets, as n-grams of words (GPT-3 took 13; arXiv 2005.14165, appendix C).

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;
use text::token::Words;

/// Fewest words of a text that counts: shorter ones are said everywhere.
const WORDS_MIN: usize = 5;

/// The n-grams of evaluation sets.
#[derive(Clone, Debug)]
pub struct Contamination {
    n: usize,
    grams: HashSet<u64>,
    /// Lengths of the grams: n, and those of texts that are shorter, which count whole.
    lengths: BTreeSet<usize>,
}

impl Contamination {
    /// Nothing yet. `n`: words of a gram.
    pub fn new(n: usize) -> Contamination {
        Contamination { n: n.max(WORDS_MIN), grams: HashSet::new(), lengths: BTreeSet::new() }
    }

    /// Adds every piece of text in a row of any form: evaluation sets have fields of their own.
    pub fn add(&mut self, row: &Value) {
        match row {
            Value::String(text) => self.add_text(text),
            Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            Value::Object(fields) => fields.values().for_each(|field| self.add(field)),
            _ => {}
        }
    }

    /// Adds a text.
    pub fn add_text(&mut self, text: &str) {
        let words = Words::Unicode.of(text);
        if words.len() < WORDS_MIN {
            return;
        }
        let length = self.n.min(words.len());
        self.lengths.insert(length);
        self.grams.extend(words.windows(length).map(hash));
    }

    /// How many n-grams there are.
    pub fn len(&self) -> usize {
        self.grams.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.grams.is_empty()
    }

    /// The first n-gram of a text that an evaluation set has too.
    pub fn shared(&self, text: &str) -> Option<String> {
        let words = Words::Unicode.of(text);
        let in_length = |&length: &usize| words.windows(length).find(|gram| self.grams.contains(&hash(gram)));
        self.lengths.iter().find_map(in_length).map(|gram| gram.join(" "))
    }
}

fn hash(words: &[String]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in words.iter().flat_map(|word| word.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^ (hash >> 29)
}
