//! Models side by side: every number with its interval over questions, and the differences paired by question.
//!
//! A measure of a model is Σ of a sum ÷ Σ of a count over questions. That is a mean over answers where each answer
//! counts once, and a loss a token where a text has many; the bootstrap draws questions (texts), not answers.
use crate::StudyError;
use serde::{Deserialize, Serialize};
use statistics::{Interval, bootstrap};
use stdx::Seed;

/// Level of every interval.
pub const LEVEL: f64 = 0.95;

/// A number with, where it has one, its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Lower end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Questions (texts) that it is over.
    pub n: usize,
}

impl Estimate {
    /// The ends, when there are two.
    pub fn interval(&self) -> Option<(f64, f64)> {
        Some((self.low?, self.high?))
    }
}

/// A model's sums and counts, one a question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cells {
    /// (Σ values, number of values) of each question; (0, 0) where the measure doesn't apply.
    pub of_question: Vec<(f64, f64)>,
}

impl Cells {
    /// No values yet.
    pub fn new(n_questions: usize) -> Cells {
        Cells { of_question: vec![(0.0, 0.0); n_questions] }
    }

    /// One more value of a question.
    pub fn add(&mut self, question: usize, value: f64, count: f64) {
        let (sum, n) = &mut self.of_question[question];
        *sum += value;
        *n += count;
    }

    fn ratio(&self, drawn: impl Iterator<Item = usize>) -> f64 {
        let add = |(sum, n): (f64, f64), i: usize| (sum + self.of_question[i].0, n + self.of_question[i].1);
        let (sum, n) = drawn.fold((0.0, 0.0), add);
        sum / n
    }
}

/// Resamples, and where their chance comes from.
#[derive(Clone, Copy, Debug)]
pub struct Resampling {
    /// How many.
    pub resamples: usize,
    /// The study's seed.
    pub seed: Seed,
}

impl Resampling {
    /// A measure of a model; `None` where it never applies.
    pub fn estimate(&self, what: &str, cells: &Cells) -> Result<Option<Estimate>, StudyError> {
        let kept = applying(cells.of_question.iter().map(|cell| cell.1 > 0.0));
        self.interval(what, &kept, |drawn| cells.ratio(drawn.iter().map(|&i| kept[i])))
    }

    /// The measure of one model less that of another, over the questions where it applies to both.
    pub fn difference(&self, what: &str, of: &Cells, to: &Cells) -> Result<Option<Estimate>, StudyError> {
        let both = of.of_question.iter().zip(&to.of_question).map(|(a, b)| a.1 > 0.0 && b.1 > 0.0);
        let kept = applying(both);
        self.interval(what, &kept, |drawn| {
            let places = || drawn.iter().map(|&i| kept[i]);
            of.ratio(places()) - to.ratio(places())
        })
    }

    fn interval(
        &self,
        what: &str,
        kept: &[usize],
        mut statistic: impl FnMut(&[usize]) -> f64,
    ) -> Result<Option<Estimate>, StudyError> {
        let n = kept.len();
        if n < 2 {
            let alone = || Estimate { value: statistic(&[0]), low: None, high: None, n };
            return Ok((n == 1).then(alone));
        }
        let mut stream = self.seed.stream("bootstrap", 0);
        let Interval { estimate, low, high, .. } =
            bootstrap::clusters(n, self.resamples, LEVEL, &mut || stream.uniform(), statistic)
                .map_err(|source| StudyError::Statistics { what: what.to_owned(), source })?;
        Ok(Some(Estimate { value: estimate, low: Some(low), high: Some(high), n }))
    }
}

fn applying(applies: impl Iterator<Item = bool>) -> Vec<usize> {
    applies.enumerate().filter(|(_, applies)| *applies).map(|(idx, _)| idx).collect()
}

/// Different pairs of neighbouring words ÷ all of them (arXiv 1510.03055), over all answers together.
pub fn distinct_2<'a>(answers: impl Iterator<Item = &'a str>) -> Option<f64> {
    let mut pairs = std::collections::HashMap::<(String, String), usize>::new();
    for answer in answers {
        let words: Vec<String> = answer.split_whitespace().map(str::to_lowercase).collect();
        for pair in words.windows(2) {
            *pairs.entry((pair[0].clone(), pair[1].clone())).or_default() += 1;
        }
    }
    let all: usize = pairs.values().sum();
    (all > 0).then(|| pairs.len() as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESAMPLING: Resampling = Resampling { resamples: 2000, seed: Seed(1) };

    fn cells(values: &[(f64, f64)]) -> Cells {
        Cells { of_question: values.to_vec() }
    }

    #[test]
    fn an_answer_counts_once_and_questions_without_one_not_at_all() {
        // Two answers to the first question (1, 0), one to the third (1): 2 of 3, over 2 questions.
        let found = RESAMPLING.estimate("x", &cells(&[(1.0, 2.0), (0.0, 0.0), (1.0, 1.0)])).unwrap().unwrap();
        assert!((found.value - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!((found.n, found.interval()), (2, Some((0.5, 1.0)))); // each question drawn twice
        assert_eq!(RESAMPLING.estimate("x", &cells(&[(0.0, 0.0)])).unwrap(), None);
        let alone = RESAMPLING.estimate("x", &cells(&[(0.0, 0.0), (3.0, 4.0)])).unwrap().unwrap();
        assert_eq!((alone.value, alone.interval(), alone.n), (0.75, None, 1));
    }

    /// A model that is better by the same on every question differs from the other with certainty, however much
    /// questions differ; and the difference has the sign of "of less to".
    #[test]
    fn differences_are_paired_by_question() {
        let one: Vec<(f64, f64)> = (0..40).map(|i| (f64::from(i % 7), 1.0)).collect();
        let other: Vec<(f64, f64)> = one.iter().map(|(value, n)| (value - 0.25, *n)).collect();
        let found = RESAMPLING.difference("x", &cells(&one), &cells(&other)).unwrap().unwrap();
        let (low, high) = found.interval().unwrap();
        assert!((found.value - 0.25).abs() < 1e-12 && high - low < 1e-12);
        let wide = RESAMPLING.estimate("x", &cells(&one)).unwrap().unwrap().interval().unwrap();
        assert!(wide.1 - wide.0 > 0.5);
    }

    #[test]
    fn pairs_of_words_are_counted_once() {
        // "a b", "b a", "a b" again in capitals: 2 of 3.
        assert_eq!(distinct_2(["a b a B"].into_iter()), Some(2.0 / 3.0));
        assert_eq!(distinct_2(["a", ""].into_iter()), None);
    }
}
