//! What happened to a corpus, as numbers and examples.

use std::collections::BTreeMap;

use record::Row;
use serde::Serialize;
use text::pii;

use super::Reason;

/// Examples of a reason.
const EXAMPLES: usize = 5;
/// Characters of an example.
const EXAMPLE_CHARACTERS: usize = 200;

/// What happened so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Rows that were looked at.
    pub rows: usize,
    /// Rows that stayed.
    pub kept: usize,
    /// Rows that went, by reason.
    pub dropped: BTreeMap<String, usize>,
    /// Some of them, by reason.
    pub examples: BTreeMap<String, Vec<Example>>,
    /// Rows by language; `unsure` for those whose language isn't clear.
    pub languages: BTreeMap<String, usize>,
    /// Personal data found, by kind, in all rows.
    pub personal_data: BTreeMap<String, usize>,
    /// Rows that had some.
    pub rows_with_personal_data: usize,
    /// Rows that stayed, by use-case; `none` for those without.
    pub use_cases: BTreeMap<String, usize>,
    /// Rows that stayed, by who wrote them; `unknown` where they don't say.
    pub sources: BTreeMap<String, usize>,
    /// Words of all rows, by powers of two: entry i counts 2^i to 2^(i+1) − 1 words, entry 0 also none.
    pub words: Vec<usize>,
    /// The same of those that stayed.
    pub words_kept: Vec<usize>,
    /// Rows that a scorer scored, by tenths of their toxicity: 0–0.1, 0.1–0.2, … 0.9–1; empty without a scorer.
    pub toxicity: Vec<usize>,
}

/// A row that went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Example {
    /// File and line.
    pub origin: String,
    /// What it begins with.
    pub text: String,
    /// More about the reason.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Report {
    pub(super) fn count(
        &mut self,
        language: Option<&'static str>,
        personal: &BTreeMap<pii::Kind, usize>,
        n_words: usize,
    ) {
        self.rows += 1;
        *self.languages.entry(language.unwrap_or("unsure").to_owned()).or_default() += 1;
        for (kind, n) in personal {
            *self.personal_data.entry(kind.name().to_owned()).or_default() += n;
        }
        self.rows_with_personal_data += usize::from(!personal.is_empty());
        bump(&mut self.words, n_words);
    }

    pub(super) fn scored(&mut self, toxicity: f64) {
        self.toxicity.resize(10, 0);
        self.toxicity[((toxicity * 10.0) as usize).min(9)] += 1;
    }

    pub(super) fn dropped(&mut self, reason: Reason, detail: &str, origin: &str, text: &str) {
        *self.dropped.entry(reason.name()).or_default() += 1;
        let examples = self.examples.entry(reason.name()).or_default();
        if examples.len() < EXAMPLES {
            let text = text.chars().take(EXAMPLE_CHARACTERS).collect();
            examples.push(Example { origin: origin.to_owned(), text, detail: detail.to_owned() });
        }
    }

    pub(super) fn kept(&mut self, row: &Row, n_words: usize) {
        self.kept += 1;
        *self.use_cases.entry(row.meta.use_case.clone().unwrap_or_else(|| "none".to_owned())).or_default() += 1;
        let source = row.meta.source.map_or("unknown", |source| source.as_str());
        *self.sources.entry(source.to_owned()).or_default() += 1;
        bump(&mut self.words_kept, n_words);
    }
}

fn bump(counts: &mut Vec<usize>, n_words: usize) {
    let place = n_words.max(1).ilog2() as usize;
    if counts.len() <= place {
        counts.resize(place + 1, 0);
    }
    counts[place] += 1;
}
