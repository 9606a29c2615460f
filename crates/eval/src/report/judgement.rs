//! What people, or others in their place, said of the models' answers: ratings, win rates, strengths, by source and by
//! group of labelers. Judgements of different sources are never pooled.

mod read;
mod section;

pub use read::read;
pub(super) use section::{sections, title};

use super::Material;
use super::measured::Measured;
use super::strength;
use crate::facet;
use serde::Serialize;
use statistics::bradley_terry::{Comparison, Outcome};
use statistics::length_controlled;
use std::collections::{BTreeMap, BTreeSet};

/// One person's judgement of some answers to one prompt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// A hash of the prompt.
    pub prompt: String,
    /// Who judged: `human`, `simulated`, `model`; empty when the row doesn't say.
    pub source: String,
    /// Pseudonym of the labeler; empty when the row has none.
    pub labeler: String,
    /// What rows say beside: group, use-case, language.
    pub about: BTreeMap<String, String>,
    /// The answers, in any order.
    pub answers: Vec<Judged>,
}

/// What was said of one answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    /// The model that wrote it; absent when the row doesn't say.
    pub model: Option<String>,
    /// Its place, 1 the best; absent where it was only rated.
    pub rank: Option<f64>,
    /// From 1 to 7.
    pub rating: Option<f64>,
    /// Questions with yes or no.
    pub flags: BTreeMap<String, bool>,
    /// Its length in characters.
    pub characters: usize,
    /// A hash of its words.
    pub words: String,
}

/// All judgements of one source.
#[derive(Clone, Debug, Serialize)]
pub struct Verdicts {
    /// The source.
    pub source: String,
    /// Judgements.
    pub judgements: usize,
    /// Prompts.
    pub prompts: usize,
    /// People.
    pub labelers: usize,
    /// Answers whose row doesn't say which model wrote them; they count nowhere.
    pub without_model: usize,
    /// What win rates are against.
    pub baseline: Option<String>,
    /// A line a model.
    pub models: Vec<ModelVerdict>,
    /// Why there are no strengths, where there are none.
    pub no_strengths: Option<String>,
    /// How often the longer of two answers won, ties half.
    pub longer_wins: Option<Measured>,
    /// By group of labelers, use-case, language, labeler.
    pub parts: Vec<VerdictPart>,
    /// Held-out groups less the others.
    pub held_out: Vec<HeldOut>,
}

/// What was said of one model.
#[derive(Clone, Debug, Serialize)]
pub struct ModelVerdict {
    /// The model.
    pub model: String,
    /// Its parameters, where an evaluation of the report tells them.
    pub parameters: Option<u64>,
    /// Mean rating.
    pub rating: Option<Measured>,
    /// The same less each labeler's own mean, plus the mean of all.
    pub centred: Option<Measured>,
    /// Ratings.
    pub ratings: usize,
    /// Wins against the baseline, ties half.
    pub win_rate: Option<Measured>,
    /// Comparisons with the baseline.
    pub comparisons: usize,
    /// Of these won, tied and lost.
    pub strict: [u64; 3],
    /// The win rate at equal lengths.
    pub length_controlled: Option<Measured>,
    /// Bradley–Terry strength with ties (Davidson) as Elo points around 1000.
    pub strength: Option<Measured>,
    /// Share of yes.
    pub flags: BTreeMap<String, Measured>,
}

/// A part of the judgements.
#[derive(Clone, Debug, Serialize)]
pub struct VerdictPart {
    /// `group`, `use_case`, `language` or `labeler`.
    pub field: String,
    /// Its value.
    pub name: String,
    /// Judgements.
    pub judgements: usize,
    /// Mean rating and win rate of each model.
    pub models: Vec<(Option<Measured>, Option<Measured>)>,
}

/// Held-out labelers against training labelers, for one model.
#[derive(Clone, Debug, Serialize)]
pub struct HeldOut {
    /// The model.
    pub model: String,
    /// Win rate by the held-out groups, by the others, and the difference.
    pub win_rate: [Option<Measured>; 3],
    /// The same of the mean rating.
    pub rating: [Option<Measured>; 3],
}

/// The verdicts of each source.
pub(super) fn verdicts(
    material: &Material,
    parameters: &dyn Fn(&str) -> Option<u64>,
    order: &[String],
    sft: Option<&str>,
) -> Vec<Verdicts> {
    let sources: BTreeSet<&str> = material.judgements.iter().map(|judgement| judgement.source.as_str()).collect();
    let of = |source: &str| {
        let all: Vec<&Judgement> = material.judgements.iter().filter(|judgement| judgement.source == source).collect();
        of_source(source, &all, material, parameters, order, sft)
    };
    sources.into_iter().map(of).collect()
}

fn of_source(
    source: &str,
    all: &[&Judgement],
    material: &Material,
    parameters: &dyn Fn(&str) -> Option<u64>,
    order: &[String],
    sft: Option<&str>,
) -> Verdicts {
    let written = || all.iter().flat_map(|judgement| &judgement.answers);
    let named: BTreeSet<&String> = written().filter_map(|answer| answer.model.as_ref()).collect();
    // As the report's columns, then the others.
    let mut models: Vec<String> = order.iter().filter(|name| named.contains(name)).cloned().collect();
    models.extend(named.into_iter().filter(|name| !order.contains(name)).cloned());
    let wanted = [material.baseline.as_deref(), sft, models.first().map(String::as_str)];
    let baseline =
        wanted.into_iter().flatten().find(|name| models.iter().any(|model| model == name)).map(str::to_owned);
    let told = Told { all, models: &models, baseline: baseline.as_deref() };
    let strengths = told.strengths();
    let verdict = |(idx, model): (usize, &String)| ModelVerdict {
        parameters: parameters(model),
        rating: told.ratio("rating", all, |j| rating(j, model)),
        centred: told.centred(model),
        ratings: written().filter(|answer| answer.model.as_ref() == Some(model) && answer.rating.is_some()).count(),
        win_rate: told.win_rate(all, model),
        comparisons: all.iter().map(|j| told.against(j, model).1 as usize).sum(),
        strict: told.strict(model),
        length_controlled: told.length_controlled(model),
        strength: strengths.as_ref().ok().and_then(|found| found[idx]),
        flags: told.flags(model),
        model: model.clone(),
    };
    Verdicts {
        source: source.to_owned(),
        judgements: all.len(),
        prompts: all.iter().map(|j| &j.prompt).collect::<BTreeSet<_>>().len(),
        labelers: all.iter().map(|j| &j.labeler).filter(|name| !name.is_empty()).collect::<BTreeSet<_>>().len(),
        without_model: written().filter(|answer| answer.model.is_none()).count(),
        models: models.iter().enumerate().map(verdict).collect(),
        longer_wins: told.ratio("longer wins", all, longer_wins),
        parts: told.parts(),
        held_out: told.held_out(&material.held_out_groups),
        no_strengths: strengths.err(),
        baseline,
    }
}

/// Judgements of one source, and whom they are about.
struct Told<'a> {
    all: &'a [&'a Judgement],
    models: &'a [String],
    baseline: Option<&'a str>,
}

impl Told<'_> {
    /// Σ ÷ Σ of what judgements say, prompts drawn with replacement; prompts on which nothing is said don't count.
    fn ratio(&self, name: &str, all: &[&Judgement], of: impl Fn(&Judgement) -> (f64, f64)) -> Option<Measured> {
        let mut prompts: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for judgement in all {
            let (value, weight) = of(judgement);
            if weight > 0.0 {
                let sums = prompts.entry(&judgement.prompt).or_default();
                *sums = (sums.0 + value, sums.1 + weight);
            }
        }
        Measured::ratio(name, &prompts.into_values().collect::<Vec<_>>())
    }

    /// Every comparison of a model with the baseline in one judgement: its points, and how much longer its answer is.
    fn compared(&self, judgement: &Judgement, model: &str) -> Vec<(f64, f64)> {
        let Some(baseline) = self.baseline.filter(|baseline| *baseline != model) else { return Vec::new() };
        let ranked = |name: &str| -> Vec<(f64, f64)> {
            let own = judgement.answers.iter().filter(|answer| answer.model.as_deref() == Some(name));
            own.filter_map(|answer| Some((answer.rank?, answer.characters as f64))).collect()
        };
        let (ours, theirs) = (ranked(model), ranked(baseline));
        let compare = |ours: &(f64, f64), theirs: &(f64, f64)| (points(ours.0, theirs.0), ours.1 - theirs.1);
        ours.iter().flat_map(|ours| theirs.iter().map(move |theirs| compare(ours, theirs))).collect()
    }

    /// Points of a model against the baseline in one judgement, and how many comparisons.
    fn against(&self, judgement: &Judgement, model: &str) -> (f64, f64) {
        self.compared(judgement, model).iter().fold((0.0, 0.0), |(sum, n), (points, _)| (sum + points, n + 1.0))
    }

    /// Comparisons won, tied and lost.
    fn strict(&self, model: &str) -> [u64; 3] {
        let all: Vec<f64> = self.all.iter().flat_map(|j| self.compared(j, model)).map(|found| found.0).collect();
        [1.0, 0.5, 0.0].map(|wanted| all.iter().filter(|points| **points == wanted).count() as u64)
    }

    /// The win rate at equal lengths; `None` where nothing was compared.
    fn length_controlled(&self, model: &str) -> Option<Measured> {
        let mut prompts: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
        for judgement in self.all {
            let found = self.compared(judgement, model);
            if !found.is_empty() {
                prompts.entry(&judgement.prompt).or_default().extend(found);
            }
        }
        let prompts: Vec<Vec<(f64, f64)>> = prompts.into_values().collect();
        Measured::of("length-controlled", prompts.len(), |drawn| {
            let (points, longer): (Vec<f64>, Vec<f64>) =
                drawn.iter().flat_map(|&at| prompts[at].iter().copied()).unzip();
            length_controlled::fit(&points, &longer).map_or(f64::NAN, |found| found.win_rate)
        })
    }

    fn win_rate(&self, all: &[&Judgement], model: &str) -> Option<Measured> {
        self.ratio("win rate", all, |judgement| self.against(judgement, model))
    }

    /// Ratings less the labeler's own mean, plus the mean of all ratings.
    fn centred(&self, model: &str) -> Option<Measured> {
        let mut labelers: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        let mut overall = (0.0, 0.0);
        for judgement in self.all {
            for found in judgement.answers.iter().filter_map(|answer| answer.rating) {
                let own = labelers.entry(&judgement.labeler).or_default();
                *own = (own.0 + found, own.1 + 1.0);
                overall = (overall.0 + found, overall.1 + 1.0);
            }
        }
        self.ratio("centred rating", self.all, |judgement| {
            let (sum, n) = rating(judgement, model);
            let own = labelers.get(judgement.labeler.as_str()).map_or(0.0, |own| own.0 / own.1);
            (sum + n * (overall.0 / overall.1 - own), n)
        })
    }

    fn flags(&self, model: &str) -> BTreeMap<String, Measured> {
        let answers = self.all.iter().flat_map(|judgement| &judgement.answers);
        let names: BTreeSet<&String> = answers.flat_map(|answer| answer.flags.keys()).collect();
        let share = |name: &String| {
            let of = |judgement: &Judgement| {
                let own = judgement.answers.iter().filter(|answer| answer.model.as_deref() == Some(model));
                let said = own.filter_map(|answer| answer.flags.get(name));
                said.fold((0.0, 0.0), |(yes, n), said| (yes + f64::from(u8::from(*said)), n + 1.0))
            };
            Some((name.clone(), self.ratio("flag", self.all, of)?))
        };
        names.into_iter().filter_map(share).collect()
    }

    /// Elo points of each model; an error says why there are none.
    fn strengths(&self) -> Result<Vec<Option<Measured>>, String> {
        let mut prompts: BTreeMap<&str, Vec<Comparison>> = BTreeMap::new();
        for judgement in self.all {
            let place = |answer: &Judged| {
                let model = answer.model.as_ref()?;
                Some((self.models.iter().position(|name| name == model)?, answer.rank?))
            };
            let ranked: Vec<(usize, f64)> = judgement.answers.iter().filter_map(place).collect();
            for (idx, first) in ranked.iter().enumerate() {
                for second in &ranked[idx + 1..] {
                    let outcome = match points(first.1, second.1) {
                        1.0 => Outcome::First,
                        0.0 => Outcome::Second,
                        _ => Outcome::Tie,
                    };
                    let comparison = Comparison { first: first.0, second: second.0, outcome };
                    prompts.entry(&judgement.prompt).or_default().push(comparison);
                }
            }
        }
        strength::strengths(self.models.len(), &prompts.into_values().collect::<Vec<_>>())
    }

    /// Ratings and win rates by what rows say, and by labeler.
    fn parts(&self) -> Vec<VerdictPart> {
        let mut parts = Vec::new();
        for field in facet::FIELDS {
            let value = |judgement: &Judgement| match *field {
                "labeler" => Some(judgement.labeler.clone()).filter(|name| !name.is_empty()),
                _ => judgement.about.get(*field).cloned(),
            };
            let mut values: BTreeMap<String, Vec<&Judgement>> = BTreeMap::new();
            for judgement in self.all {
                if let Some(value) = value(judgement) {
                    values.entry(value).or_default().push(judgement);
                }
            }
            if values.len() < 2 {
                continue;
            }
            parts.extend(values.into_iter().map(|(name, inside)| VerdictPart {
                field: (*field).to_owned(),
                name,
                judgements: inside.len(),
                models: self.numbers(&inside),
            }));
        }
        parts
    }

    /// Mean rating and win rate of each model.
    fn numbers(&self, all: &[&Judgement]) -> Vec<(Option<Measured>, Option<Measured>)> {
        let of = |model: &String| (self.ratio("rating", all, |j| rating(j, model)), self.win_rate(all, model));
        self.models.iter().map(of).collect()
    }

    fn held_out(&self, groups: &[String]) -> Vec<HeldOut> {
        let is_held_out =
            |judgement: &Judgement| judgement.about.get("group").is_some_and(|group| groups.contains(group));
        let prompts: Vec<&str> =
            self.all.iter().map(|j| j.prompt.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
        if !self.all.iter().any(|judgement| is_held_out(judgement)) {
            return Vec::new();
        }
        let both = |name: &str, of: &dyn Fn(&Judgement) -> (f64, f64)| {
            // Both sides' sums by prompt: the prompts are drawn together.
            let mut sums = vec![[(0.0, 0.0); 2]; prompts.len()];
            for judgement in self.all {
                let Ok(at) = prompts.binary_search(&judgement.prompt.as_str()) else { continue };
                let (value, weight) = of(judgement);
                let sum = &mut sums[at][usize::from(!is_held_out(judgement))];
                *sum = (sum.0 + value, sum.1 + weight);
            }
            let side = |side: usize| {
                let of_side = self.all.iter().copied().filter(|j| usize::from(!is_held_out(j)) == side);
                self.ratio(name, &of_side.collect::<Vec<_>>(), of)
            };
            let ratio = |drawn: &[usize], side: usize| crate::estimate::ratio(drawn.iter().map(|&idx| sums[idx][side]));
            let difference = Measured::of(name, prompts.len(), |drawn| ratio(drawn, 0) - ratio(drawn, 1));
            [side(0), side(1), difference]
        };
        let of = |model: &String| HeldOut {
            model: model.clone(),
            win_rate: both("win rate", &|judgement| self.against(judgement, model)),
            rating: both("rating", &|judgement| rating(judgement, model)),
        };
        self.models.iter().map(of).collect()
    }
}

/// The sum and number of a model's ratings.
fn rating(judgement: &Judgement, model: &str) -> (f64, f64) {
    let own = judgement.answers.iter().filter(|answer| answer.model.as_deref() == Some(model));
    own.filter_map(|answer| answer.rating).fold((0.0, 0.0), |(sum, n), rating| (sum + rating, n + 1.0))
}

/// 1 for the better place, ½ for the same.
fn points(ours: f64, theirs: f64) -> f64 {
    match ours.total_cmp(&theirs) {
        std::cmp::Ordering::Less => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Greater => 0.0,
    }
}

/// How often the longer of two ranked answers is the better one.
fn longer_wins(judgement: &Judgement) -> (f64, f64) {
    let mut found = (0.0, 0.0);
    for (idx, one) in judgement.answers.iter().enumerate() {
        for other in &judgement.answers[idx + 1..] {
            let (Some(a), Some(b)) = (one.rank, other.rank) else { continue };
            let (longer, shorter) = match one.characters.cmp(&other.characters) {
                std::cmp::Ordering::Greater => (a, b),
                std::cmp::Ordering::Less => (b, a),
                std::cmp::Ordering::Equal => continue,
            };
            found = (found.0 + points(longer, shorter), found.1 + 1.0);
        }
    }
    found
}

#[cfg(test)]
mod tests;
