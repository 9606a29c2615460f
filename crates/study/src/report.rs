//! `report.json`: everything that was measured.
use crate::answer::Answer;
use crate::compare::{Cells, Estimate, Resampling, distinct_2};
use crate::domain::{Better, Domain, Measure};
use crate::loss::TextLoss;
use crate::{Plan, StudyError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use stdx::Seed;

/// What a number is evidence of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Gold: what the domain knows to be right.
    Gold,
    /// The objective trained on, not evidence.
    Objective,
    /// What the change costs, and how large it is.
    Cost,
}

/// A model's number, and its differences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The model's key.
    pub model: String,
    /// Its number; absent where the measure doesn't apply.
    pub value: Option<Estimate>,
    /// Less the SFT model's, paired.
    pub against_sft: Option<Estimate>,
    /// Less the base model's, paired.
    pub against_base: Option<Estimate>,
}

/// A measure of every model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Its name in files.
    pub key: String,
    /// What people call it.
    pub name: String,
    /// What it is.
    pub meaning: String,
    /// "higher", "lower" or "neither" is better.
    pub better: String,
    /// What it is evidence of.
    pub standing: Standing,
    /// A cell a model.
    pub models: Vec<Cell>,
}

/// The gold verdict of every model on a part of the questions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// What is held out of these questions.
    pub name: String,
    /// A cell a model.
    pub models: Vec<Cell>,
}

/// A model that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// Its key.
    pub key: String,
    /// What people call it.
    pub name: String,
    /// What it is and how it was asked.
    pub what: String,
    /// Its folder.
    pub path: String,
}

/// Several answers of a model to one question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// The model's key.
    pub model: String,
    /// The answers.
    pub answers: Vec<String>,
    /// How many of them differ.
    pub different: usize,
    /// How many gold finds right as a whole.
    pub right: f64,
}

/// The whole report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of the program.
    pub version: String,
    /// Its revision.
    pub git_revision: Option<String>,
    /// What it is about.
    pub domain: String,
    /// The same in sentences.
    pub summary: String,
    /// Where the base model comes from.
    pub base: String,
    /// What must not be forgotten about it.
    pub base_note: String,
    /// Its hash.
    pub base_hash: String,
    /// Its parameters.
    pub base_parameters: usize,
    /// Sizes and settings.
    pub plan: Plan,
    /// What computed.
    pub device: String,
    /// The models.
    pub models: Vec<Subject>,
    /// Questions that they were measured on.
    pub questions: usize,
    /// Every measure.
    pub measures: Vec<Line>,
    /// The gold verdict by what is held out.
    pub slices: Vec<Slice>,
    /// The question that every model answers several times.
    pub question: String,
    /// Their answers.
    pub examples: Vec<Example>,
    /// Some questions with every model's answer.
    pub samples: Vec<Vec<Answer>>,
    /// Accuracy of the reward model and its baselines, from its run.
    pub reward_model: serde_json::Value,
    /// Stages and the seconds that they took.
    pub stages: Vec<(String, f64)>,
    /// What the numbers don't say.
    pub limits: Vec<String>,
    /// The command that makes this again.
    pub reproduce: String,
}

impl Report {
    /// A measure of a model.
    pub fn cell(&self, key: &str, model: &str) -> Option<&Cell> {
        self.measures.iter().find(|line| line.key == key)?.models.iter().find(|cell| cell.model == model)
    }

    /// Seconds of all stages.
    pub fn seconds(&self) -> f64 {
        self.stages.iter().map(|(_, seconds)| seconds).sum()
    }
}

/// What a difference amounts to: nothing unless its interval excludes 0.
pub fn verdict(better: &str, difference: &Estimate) -> &'static str {
    let above = match difference.interval() {
        Some((low, _)) if low > 0.0 => true,
        Some((_, high)) if high < 0.0 => false,
        _ => return "",
    };
    match (better, above) {
        ("higher", true) | ("lower", false) => "better",
        ("higher", false) | ("lower", true) => "worse",
        (_, true) => "more",
        (_, false) => "less",
    }
}

/// Everything that was measured of one model.
pub(crate) struct Measured {
    pub key: &'static str,
    pub answers: Vec<Answer>,
    pub texts: Vec<TextLoss>,
}

/// The measures that every domain has.
const OWN: &[(Measure, Standing)] = &[
    (
        Measure {
            key: "reward",
            name: "proxy reward",
            meaning: "the reward model's score, in standard deviations: the objective trained on, not evidence",
            better: Better::Neither,
        },
        Standing::Objective,
    ),
    (
        Measure {
            key: "kl_sft",
            name: "KL from SFT",
            meaning: "mean over answers of the sum over tokens of log π − log π_SFT, nats an answer (k1)",
            better: Better::Neither,
        },
        Standing::Cost,
    ),
    (
        Measure {
            key: "kl_base",
            name: "KL from base",
            meaning: "the same from the base model, asked in the same words; nats an answer",
            better: Better::Neither,
        },
        Standing::Cost,
    ),
    (
        Measure { key: "length", name: "length", meaning: "tokens of an answer", better: Better::Neither },
        Standing::Cost,
    ),
    (
        Measure {
            key: "ended",
            name: "ended by itself",
            meaning: "share of answers that ended before the limit",
            better: Better::Neither,
        },
        Standing::Cost,
    ),
    (
        Measure {
            key: "alike",
            name: "repeats itself",
            meaning: "share of a question's samples that repeat an earlier one word for word; rises when a model collapses",
            better: Better::Neither,
        },
        Standing::Cost,
    ),
    (
        Measure {
            key: "distinct_2",
            name: "distinct-2",
            meaning: "different pairs of neighbouring words ÷ all, over all answers (no interval: it is no mean)",
            better: Better::Neither,
        },
        Standing::Cost,
    ),
    (
        Measure {
            key: "text_loss",
            name: "held-out text loss",
            meaning: "mean −log p of the tokens of texts of the base's own kind that no stage saw, nats: the tax",
            better: Better::Lower,
        },
        Standing::Cost,
    ),
];

/// Makes lines and slices of what was measured.
pub(crate) struct Comparison<'a> {
    domain: &'a dyn Domain,
    measured: &'a [Measured],
    resampling: Resampling,
    /// Number of each question.
    places: BTreeMap<&'a str, usize>,
}

impl<'a> Comparison<'a> {
    pub fn new(domain: &'a dyn Domain, measured: &'a [Measured], resamples: usize, seed: u64) -> Comparison<'a> {
        let ids = measured.iter().flat_map(|of| &of.answers).map(|answer| answer.id.as_str());
        let ids: std::collections::BTreeSet<&str> = ids.collect();
        let places = ids.into_iter().enumerate().map(|(place, id)| (id, place)).collect();
        Comparison { domain, measured, resampling: Resampling { resamples, seed: Seed(seed) }, places }
    }

    /// Number of questions.
    pub fn questions(&self) -> usize {
        self.places.len()
    }

    /// Every measure, gold first.
    pub fn lines(&self) -> Result<Vec<Line>, StudyError> {
        let gold = self.domain.measures().iter().map(|measure| (*measure, Standing::Gold));
        gold.chain(OWN.iter().copied()).map(|(measure, standing)| self.line(measure, standing)).collect()
    }

    fn line(&self, measure: Measure, standing: Standing) -> Result<Line, StudyError> {
        let models = if measure.key == "distinct_2" {
            self.measured.iter().map(|of| self.distinct(of)).collect()
        } else {
            let cells: Vec<Cells> = self.measured.iter().map(|of| self.cells(measure.key, of)).collect();
            self.row(measure.name, &cells)?
        };
        let better = match measure.better {
            Better::Higher => "higher",
            Better::Lower => "lower",
            Better::Neither => "neither",
        };
        let (key, name, meaning) = (measure.key.to_owned(), measure.name.to_owned(), measure.meaning.to_owned());
        Ok(Line { key, name, meaning, better: better.to_owned(), standing, models })
    }

    /// The gold verdict by slice, in the order of their names.
    pub fn slices(&self) -> Result<Vec<Slice>, StudyError> {
        let Some(overall) = self.domain.measures().first() else { return Ok(Vec::new()) };
        let all = self.measured.iter().flat_map(|of| &of.answers).map(|answer| answer.slice.as_str());
        let names: std::collections::BTreeSet<&str> = all.collect();
        let slice = |name: &str| {
            let of_slice = |of: &Measured| {
                let mut cells = Cells::new(self.places.len());
                for answer in of.answers.iter().filter(|answer| answer.slice == name) {
                    self.add_gold(&mut cells, overall.key, answer);
                }
                cells
            };
            let cells: Vec<Cells> = self.measured.iter().map(of_slice).collect();
            Ok(Slice { name: name.to_owned(), models: self.row(name, &cells)? })
        };
        names.into_iter().map(slice).collect()
    }

    /// A cell a model, compared to the models called "sft" and "base".
    fn row(&self, what: &str, cells: &[Cells]) -> Result<Vec<Cell>, StudyError> {
        let place = |key: &str| self.measured.iter().position(|of| of.key == key);
        let against = |idx: usize, key: &str| match place(key) {
            Some(other) if other != idx => self.resampling.difference(what, &cells[idx], &cells[other]),
            _ => Ok(None),
        };
        let cell = |(idx, of): (usize, &Measured)| {
            Ok(Cell {
                model: of.key.to_owned(),
                value: self.resampling.estimate(what, &cells[idx])?,
                against_sft: against(idx, "sft")?,
                against_base: against(idx, "base")?,
            })
        };
        self.measured.iter().enumerate().map(cell).collect()
    }

    fn distinct(&self, of: &Measured) -> Cell {
        let value = distinct_2(of.answers.iter().map(|answer| answer.completion.as_str()));
        let value = value.map(|value| Estimate { value, low: None, high: None, n: self.places.len() });
        Cell { model: of.key.to_owned(), value, against_sft: None, against_base: None }
    }

    fn cells(&self, key: &str, of: &Measured) -> Cells {
        if key == "text_loss" {
            let n = self.measured.iter().flat_map(|of| &of.texts).map(|row| row.text + 1).max().unwrap_or(0);
            let mut cells = Cells::new(n);
            of.texts.iter().for_each(|row| cells.add(row.text, row.loss, row.tokens as f64));
            return cells;
        }
        let mut cells = Cells::new(self.places.len());
        if key == "alike" {
            self.add_repetitions(&mut cells, of);
            return cells;
        }
        for answer in &of.answers {
            let value = match key {
                "reward" => Some(answer.reward),
                "kl_sft" => answer.kl_sft,
                "kl_base" => answer.kl_base,
                "length" => Some(answer.tokens as f64),
                "ended" => Some(f64::from(u8::from(answer.ended))),
                _ => {
                    self.add_gold(&mut cells, key, answer);
                    None
                }
            };
            if let Some(value) = value {
                cells.add(self.places[answer.id.as_str()], value, 1.0);
            }
        }
        cells
    }

    fn add_gold(&self, cells: &mut Cells, key: &str, answer: &Answer) {
        if let Some(value) = answer.gold.get(key).and_then(serde_json::Value::as_f64) {
            cells.add(self.places[answer.id.as_str()], value, 1.0);
        }
    }

    /// Of each question with several samples: how many repeat an earlier one, of all but the first.
    fn add_repetitions(&self, cells: &mut Cells, of: &Measured) {
        let mut seen = BTreeMap::<&str, Vec<&str>>::new();
        for answer in &of.answers {
            let earlier = seen.entry(&answer.id).or_default();
            if !earlier.is_empty() {
                let again = earlier.contains(&answer.completion.as_str());
                cells.add(self.places[answer.id.as_str()], f64::from(u8::from(again)), 1.0);
            }
            earlier.push(&answer.completion);
        }
    }
}
