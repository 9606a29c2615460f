//! A judged prompt as a row: the contract's ranking, with InstructGPT's fields beside each rank.

use super::{Flags, Judgement, Labeler, Shown};
use record::{Prompt, Source};
use serde::Serialize;

/// A ranking with ratings and fields; `source` is always `simulated`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabeledRow {
    /// What is asked.
    pub prompt: Prompt,
    /// The answers, as they were handed in.
    pub completions: Vec<LabeledCompletion>,
    /// Stable identifier, when the prompt has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Always simulated.
    pub source: Source,
    /// The prompt's use-case, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_case: Option<String>,
    /// Who judged.
    pub labeler: String,
    /// The judge's group.
    pub group: String,
}

/// An answer as judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabeledCompletion {
    /// The answer.
    pub text: String,
    /// 1 is best; equal ranks are ties.
    pub rank: i64,
    /// Overall quality, 1 (worst) to 7 (best).
    pub rating: u8,
    /// In which place the labeler saw it, from 0.
    pub place: usize,
    /// The yes/no fields.
    pub flags: Flags,
}

impl LabeledRow {
    /// The row of a labeler's judgements, one per answer and in their order.
    pub fn new(prompt: Prompt, answers: &[Shown<'_>], judgements: Vec<Judgement>, labeler: &Labeler) -> LabeledRow {
        let completion = |(answer, judgement): (&Shown<'_>, Judgement)| {
            let Judgement { rank, rating, flags, place } = judgement;
            LabeledCompletion { text: answer.text.to_owned(), rank, rating, place, flags }
        };
        LabeledRow {
            prompt,
            completions: answers.iter().zip(judgements).map(completion).collect(),
            id: None,
            source: Source::Simulated,
            use_case: None,
            labeler: labeler.name.clone(),
            group: labeler.group.name.to_owned(),
        }
    }
}
