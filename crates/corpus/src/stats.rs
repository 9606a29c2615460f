//! What is in a data set: counts by kind and source, lengths, and what is odd about it.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use record::{Demonstration, Message, Preference, Prompt, Ranking, Record, Role, Row};
use serde::Serialize;

use crate::identity::content_id;

/// A data set in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// How many rows.
    pub rows: usize,
    /// Rows by kind, then by source (`unknown` if a row doesn't say): sources are never pooled.
    pub kinds: BTreeMap<String, BTreeMap<String, usize>>,
    /// Rows by use-case, those that have one.
    pub use_cases: BTreeMap<String, usize>,
    /// Rows by language, those that have one.
    pub languages: BTreeMap<String, usize>,
    /// Rows whose content stands above them already.
    pub duplicates: usize,
    /// Characters of the prompts (of a conversation: of the turns before the last answer).
    pub prompt_characters: Option<Lengths>,
    /// Characters of the answers and documents.
    pub answer_characters: Option<Lengths>,
    /// What is said of preferences and rankings.
    pub judgements: Option<Judgements>,
}

/// A distribution of lengths.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Lengths {
    /// How many were measured.
    pub n: usize,
    /// The mean.
    pub mean: f64,
    /// The shortest.
    pub min: usize,
    /// The middle one (the lower of two).
    pub median: usize,
    /// The smallest that 95 % don't exceed.
    pub p95: usize,
    /// The longest.
    pub max: usize,
}

/// Preferences and rankings in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Judgements {
    /// Rows by the number of their answers, K.
    pub answers: BTreeMap<usize, usize>,
    /// Pairs with a better and a worse answer.
    pub pairs: usize,
    /// Pairs that are tied; they train nothing.
    pub tied_pairs: usize,
    /// Rankings in which all are tied; they train nothing.
    pub without_pairs: usize,
    /// Rankings that hold one text twice.
    pub with_duplicate_texts: usize,
    /// How often the answer with more characters is the better one (½ where equal): what a judge
    /// of length alone would reach.
    pub longer_wins: Option<f64>,
}

impl Stats {
    /// Counts and measures `rows`.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Self {
        let mut stats = Self::default();
        let mut seen = HashSet::new();
        let (mut prompts, mut answers) = (Vec::new(), Vec::new());
        let mut tally = Tally::default();
        for row in rows {
            stats.count(row);
            stats.duplicates += usize::from(!seen.insert(content_id(row)));
            prompts.extend(row.record.prompt().map(|prompt| prompt_length(&prompt)));
            measure(&row.record, &mut answers, &mut tally);
        }
        stats.prompt_characters = Lengths::of(prompts);
        stats.answer_characters = Lengths::of(answers);
        stats.judgements = tally.finish();
        stats
    }

    fn count(&mut self, row: &Row) {
        self.rows += 1;
        let kind = row.record.kind().to_string();
        let source = row.meta.source.map_or("unknown", record::Source::as_str);
        let sources = self.kinds.entry(kind).or_default();
        *sources.entry(source.to_owned()).or_default() += 1;
        for (counts, name) in [(&mut self.use_cases, &row.meta.use_case), (&mut self.languages, &row.meta.language)] {
            if let Some(name) = name {
                *counts.entry(name.clone()).or_default() += 1;
            }
        }
    }
}

impl Lengths {
    /// The distribution of `lengths`; `None` of none.
    pub fn of(mut lengths: Vec<usize>) -> Option<Self> {
        lengths.sort_unstable();
        let n = lengths.len();
        let quantile = |share: f64| {
            let rank = (share * n as f64).ceil() as usize;
            lengths[rank.clamp(1, n) - 1]
        };
        (n > 0).then(|| Self {
            n,
            mean: lengths.iter().sum::<usize>() as f64 / n as f64,
            min: quantile(0.0),
            median: quantile(0.5),
            p95: quantile(0.95),
            max: quantile(1.0),
        })
    }
}

fn prompt_length(prompt: &Prompt) -> usize {
    match prompt {
        Prompt::Text(text) => characters(text),
        Prompt::Messages(messages) => messages.iter().map(|turn| characters(&turn.content)).sum(),
    }
}

fn characters(text: &str) -> usize {
    text.chars().count()
}

/// Adds the lengths of a record's answers, and what it says of them.
fn measure(record: &Record, answers: &mut Vec<usize>, tally: &mut Tally) {
    match record {
        Record::Text(text) => answers.push(characters(text)),
        Record::Prompt(_) => {}
        Record::Demonstration(Demonstration::Completion { completion, .. }) => {
            answers.push(characters(completion));
        }
        Record::Demonstration(Demonstration::Conversation { messages }) => {
            let spoken = |turn: &&Message| turn.role == Role::Assistant;
            let turns = messages.iter().filter(spoken);
            answers.extend(turns.map(|turn| characters(&turn.content)));
        }
        Record::Unpaired(unpaired) => answers.push(characters(&unpaired.completion)),
        Record::Preference(preference) => {
            answers.extend([&preference.chosen, &preference.rejected].map(|t| characters(t)));
            tally.preference(preference);
        }
        Record::Ranking(ranking) => {
            answers.extend(ranking.completions.iter().map(|c| characters(&c.text)));
            tally.ranking(ranking);
        }
    }
}

#[derive(Default)]
struct Tally {
    judgements: Judgements,
    longer_wins: f64,
}

impl Tally {
    fn preference(&mut self, preference: &Preference) {
        *self.judgements.answers.entry(2).or_default() += 1;
        self.pair(&preference.chosen, &preference.rejected);
    }

    fn ranking(&mut self, ranking: &Ranking) {
        let completions = &ranking.completions;
        *self.judgements.answers.entry(completions.len()).or_default() += 1;
        let pairs_before = self.judgements.pairs;
        for (i, a) in completions.iter().enumerate() {
            for b in &completions[i + 1..] {
                match a.rank.cmp(&b.rank) {
                    std::cmp::Ordering::Less => self.pair(&a.text, &b.text),
                    std::cmp::Ordering::Greater => self.pair(&b.text, &a.text),
                    std::cmp::Ordering::Equal => self.judgements.tied_pairs += 1,
                }
            }
        }
        self.judgements.without_pairs += usize::from(self.judgements.pairs == pairs_before);
        let texts: HashSet<_> = completions.iter().map(|c| &c.text).collect();
        self.judgements.with_duplicate_texts += usize::from(texts.len() < completions.len());
    }

    fn pair(&mut self, better: &str, worse: &str) {
        self.judgements.pairs += 1;
        self.longer_wins += match characters(better).cmp(&characters(worse)) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        };
    }

    fn finish(self) -> Option<Judgements> {
        let mut judgements = self.judgements;
        let pairs = judgements.pairs;
        judgements.longer_wins = (pairs > 0).then(|| self.longer_wins / pairs as f64);
        (!judgements.answers.is_empty()).then_some(judgements)
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "rows          {}", self.rows)?;
        for (kind, sources) in &self.kinds {
            writeln!(f, "{kind:<13} {}", listed(sources))?;
        }
        for (title, counts) in [("use-cases", &self.use_cases), ("languages", &self.languages)] {
            if !counts.is_empty() {
                writeln!(f, "{title:<13} {}", listed(counts))?;
            }
        }
        for (title, lengths) in [("prompts", self.prompt_characters), ("answers", self.answer_characters)] {
            if let Some(lengths) = lengths {
                writeln!(f, "{title:<13} {lengths}")?;
            }
        }
        if let Some(judgements) = &self.judgements {
            write!(f, "{judgements}")?;
        }
        writeln!(f, "duplicates    {}", self.duplicates)
    }
}

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { n, mean, min, median, p95, max } = self;
        write!(f, "{n}; characters: mean {mean:.1}, min {min}, median {median}, 95 % {p95}, max {max}")
    }
}

impl fmt::Display for Judgements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answers: Vec<_> = self.answers.iter().map(|(k, n)| format!("{n} of {k}")).collect();
        writeln!(f, "judgements    {} answers", answers.join(", "))?;
        writeln!(
            f,
            "pairs         {} ordered, {} tied; {} rankings all tied, {} with a text twice",
            self.pairs, self.tied_pairs, self.without_pairs, self.with_duplicate_texts
        )?;
        match self.longer_wins {
            Some(share) => writeln!(f, "longer wins   {:.1} % of {} pairs", share * 100.0, self.pairs),
            None => Ok(()),
        }
    }
}

/// `17 human, 3 model`, the most frequent first.
fn listed(counts: &BTreeMap<String, usize>) -> String {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    let texts: Vec<_> = counts.iter().map(|(name, n)| format!("{n} {name}")).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find_format;

    fn rows(format: &str, texts: &[&str]) -> Vec<Row> {
        let format = find_format(format).expect("known");
        let parse = |text: &&str| {
            let value = serde_json::from_str(text).expect("JSON");
            format.read(&value).expect("rows")
        };
        texts.iter().flat_map(parse).collect()
    }

    #[test]
    fn rankings_are_counted_pair_by_pair() {
        let rows = rows(
            "ranking",
            &[
                // bb > a and bb > ccc, a = ccc: the longer wins 1 of 2.
                r#"{"prompt": "p", "completions": [{"text": "a", "rank": 2}, {"text": "bb", "rank": 1}, {"text": "ccc", "rank": 2}]}"#,
                // Equal lengths, and one text twice: ½ of 1 pair each; ééé is three characters.
                r#"{"prompt": "p", "completions": [{"text": "ééé", "rank": 0}, {"text": "xyz", "rank": 5}]}"#,
                r#"{"prompt": "p", "completions": [{"text": "q", "rank": 3}, {"text": "q", "rank": 3}]}"#,
            ],
        );
        let judgements = Stats::of(&rows).judgements.expect("rankings");
        assert_eq!(
            judgements,
            Judgements {
                answers: [(2, 2), (3, 1)].into(),
                pairs: 3,
                tied_pairs: 2,
                without_pairs: 1,
                with_duplicate_texts: 1,
                longer_wins: Some(0.5),
            }
        );
    }

    #[test]
    fn the_table_shows_sources_apart() {
        let rows = rows(
            "demonstration",
            &[
                r#"{"prompt": "ab", "completion": "c", "source": "human", "use_case": "chat"}"#,
                r#"{"prompt": "ab", "completion": "c", "source": "model"}"#,
                r#"{"prompt": "abcd", "completion": "cde"}"#,
            ],
        );
        let expected = "\
rows          3
demonstration 1 human, 1 model, 1 unknown
use-cases     1 chat
prompts       3; characters: mean 2.7, min 2, median 2, 95 % 4, max 4
answers       3; characters: mean 1.7, min 1, median 1, 95 % 3, max 3
duplicates    1
";
        assert_eq!(Stats::of(&rows).to_string(), expected);
    }

    #[test]
    fn quantiles_are_members() {
        let lengths = Lengths::of((1..=20).rev().collect()).expect("some");
        assert_eq!((lengths.min, lengths.max), (1, 20));
        // ⌈0.5·20⌉ = 10th, ⌈0.95·20⌉ = 19th.
        assert_eq!((lengths.median, lengths.p95), (10, 19));
        assert_eq!(Lengths::of(Vec::new()), None);
    }
}
