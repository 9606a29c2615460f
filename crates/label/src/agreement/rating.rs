//! Agreement on a project's questions: scales, yes-or-no, choices, and the verdicts of reviews.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use statistics::agreement::{Weights, cohen_kappa, fleiss_kappa};
use statistics::krippendorff::{Scale, alpha_of_units};

use super::material::Material;
use super::similarity::of;
use super::{Estimate, Resampling};
use crate::{Body, Field, FieldKind, FieldOf, FieldValue, Fields, Id, Judgement};

/// Agreement on one question.
#[derive(Clone, Debug, Serialize)]
pub struct FieldAgreement {
    /// Its name; `accept` for reviews' verdicts, `use_case` for classes of prompts.
    pub field: String,
    /// "scale", "yes_no" or "choice".
    pub kind: &'static str,
    /// Share of pairs of people who answer the same about the same thing.
    pub raw: Estimate,
    /// Krippendorff's α: ordinal for scales, nominal for the others.
    pub alpha: Estimate,
    /// α of names, for scales: a near miss is a miss.
    pub alpha_nominal: Option<Estimate>,
    /// α on the interval scale, for scales.
    pub alpha_interval: Option<Estimate>,
    /// α on the ratio scale, for scales.
    pub alpha_ratio: Option<Estimate>,
    /// Cohen's κ (scales: with quadratic weights), the mean over pairs of people weighted by what
    /// they share.
    pub kappa: Estimate,
    /// Fleiss' κ over things with the most frequent number of answers, for yes-or-no and choices.
    pub fleiss: Option<Estimate>,
    /// The share of yes, for yes-or-no questions.
    pub prevalence: Option<Estimate>,
    /// Each two people's agreement.
    pub matrix: Vec<LabelerPair>,
    /// How much milder than the others each person rates, for scales.
    pub severity: Vec<Severity>,
}

/// Two people's agreement on a question.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelerPair {
    /// The one's name.
    pub a: String,
    /// The other's.
    pub b: String,
    /// Share of equal answers.
    pub raw: Estimate,
    /// Cohen's κ, for scales with quadratic weights.
    pub kappa: Estimate,
}

/// A person's mildness.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Severity {
    /// Their name.
    pub name: String,
    /// The mean of their rating minus the mean of the others' on the same answer: above 0 is milder.
    pub difference: Estimate,
}

/// What several people said of one thing.
type Unit = Vec<(Id, f64)>;

/// What each two people said of the things that both rated: the one's ratings, then the other's.
type RatedByPairs = BTreeMap<(Id, Id), (Vec<f64>, Vec<f64>)>;

/// Agreement on every question that two people answered about the same thing.
pub(super) fn agreement(material: &Material, resampling: &mut Resampling) -> Vec<FieldAgreement> {
    let mut found = Vec::new();
    for field in &material.project.settings.field {
        let kind = match field.kind {
            FieldKind::Scale { .. } => "scale",
            FieldKind::YesNo => "yes_no",
            FieldKind::Choice { .. } => "choice",
            FieldKind::Text => continue,
        };
        found.extend(of_units(&field.name, kind, units(material, field), material, resampling));
    }
    let accept = |body: &Body| match body {
        Body::Review { accept, .. } => Some(f64::from(u8::from(*accept))),
        _ => None,
    };
    found.extend(of_units("accept", "yes_no", verdicts(material, accept), material, resampling));
    let use_cases = &material.project.settings.use_cases;
    let class = |body: &Body| match body {
        Body::UseCase { use_case, .. } => use_cases.iter().position(|known| known == use_case).map(|i| i as f64),
        _ => None,
    };
    found.extend(of_units("use_case", "choice", verdicts(material, class), material, resampling));
    found
}

/// By prompt: what was said about each answer (or the task) on a question.
fn units(material: &Material, field: &Field) -> Vec<Vec<Unit>> {
    let of_task = |task: &Vec<&Judgement>| -> Vec<Unit> {
        if field.of != FieldOf::Answer {
            let said = |judgement: &&Judgement| Some((judgement.person, number(field, own_fields(&judgement.body)?)?));
            return vec![task.iter().filter_map(said).collect()];
        }
        let about = |&candidate: &Id| {
            let said =
                |judgement: &&Judgement| Some((judgement.person, number(field, of(&judgement.body, candidate)?)?));
            task.iter().filter_map(said).collect()
        };
        material.answers(task[0].task).iter().map(about).collect()
    };
    by_prompt(material, of_task)
}

/// By prompt: one verdict a judgement.
fn verdicts(material: &Material, verdict: impl Fn(&Body) -> Option<f64>) -> Vec<Vec<Unit>> {
    by_prompt(material, |task| {
        vec![task.iter().filter_map(|judgement| Some((judgement.person, verdict(&judgement.body)?))).collect()]
    })
}

fn by_prompt(material: &Material, of_task: impl Fn(&Vec<&Judgement>) -> Vec<Unit>) -> Vec<Vec<Unit>> {
    let units = |tasks: &Vec<Vec<&Judgement>>| -> Vec<Unit> {
        tasks.iter().flat_map(&of_task).filter(|unit| unit.len() >= 2).collect()
    };
    material.by_prompt().iter().map(units).filter(|units| !units.is_empty()).collect()
}

fn own_fields(body: &Body) -> Option<&Fields> {
    match body {
        Body::Review { fields, .. } | Body::UseCase { fields, .. } => Some(fields),
        _ => None,
    }
}

/// An answer as a number; an unanswered yes-or-no question is a "no".
fn number(field: &Field, fields: &Fields) -> Option<f64> {
    match (fields.get(&field.name), &field.kind) {
        (Some(FieldValue::YesNo(yes)), _) => Some(f64::from(u8::from(*yes))),
        (Some(FieldValue::Number(number)), _) => Some(*number as f64),
        (Some(FieldValue::Text(text)), FieldKind::Choice { options }) => {
            options.iter().position(|option| option == text).map(|i| i as f64)
        }
        (None, FieldKind::YesNo) if !field.required => Some(0.0),
        _ => None,
    }
}

fn of_units(
    name: &str,
    kind: &'static str,
    prompts: Vec<Vec<Unit>>,
    names: &impl Names,
    resampling: &mut Resampling,
) -> Option<FieldAgreement> {
    if prompts.is_empty() {
        return None;
    }
    let n = prompts.iter().map(Vec::len).sum();
    let is_scale = kind == "scale";
    let pairs_of = |units: &Vec<Unit>| {
        let equal = |(sum, n): (f64, f64), unit: &Unit| {
            let (equal, pairs) = equal_pairs(unit);
            (sum + equal, n + pairs)
        };
        units.iter().fold((0.0, 0.0), equal)
    };
    let raw = resampling.ratio(n, &prompts.iter().map(pairs_of).collect::<Vec<_>>());
    let values: Vec<Vec<Vec<f64>>> = prompts
        .iter()
        .map(|units| units.iter().map(|unit| unit.iter().map(|(_, value)| *value).collect()).collect())
        .collect();
    let mut alpha = |scale| {
        resampling.estimate(n, values.len(), |drawn| {
            let units = drawn.iter().flat_map(|&i| values[i].iter().map(Vec::as_slice));
            alpha_of_units(units, scale).unwrap_or(f64::NAN)
        })
    };
    let main_alpha = alpha(if is_scale { Scale::Ordinal } else { Scale::Nominal });
    let alpha_interval = is_scale.then(|| alpha(Scale::Interval));
    let alpha_nominal = is_scale.then(|| alpha(Scale::Nominal));
    let alpha_ratio = is_scale.then(|| alpha(Scale::Ratio));
    let weights = if is_scale { Weights::Quadratic } else { Weights::Unweighted };
    let kappa = resampling.estimate(n, prompts.len(), |drawn| {
        mean_kappa(&rated_by_pairs(drawn.iter().flat_map(|&i| &prompts[i])), weights)
    });
    let fleiss =
        (!is_scale).then(|| resampling.estimate(n, values.len(), |drawn| fleiss(drawn.iter().map(|&i| &values[i]))));
    let prevalence = (kind == "yes_no").then(|| {
        let yes = |units: &Vec<Vec<f64>>| {
            let all = units.iter().flatten();
            (all.clone().sum::<f64>(), all.count() as f64)
        };
        resampling.ratio(n, &values.iter().map(yes).collect::<Vec<_>>())
    });
    let matrix = if resampling.pairs { matrix(&prompts, weights, names, resampling) } else { Vec::new() };
    let severity = if is_scale { severity(&prompts, names, resampling) } else { Vec::new() };
    let field = name.to_owned();
    Some(FieldAgreement {
        field,
        kind,
        raw,
        alpha: main_alpha,
        alpha_nominal,
        alpha_interval,
        alpha_ratio,
        kappa,
        fleiss,
        prevalence,
        matrix,
        severity,
    })
}

/// Pairs of people who say the same, and all pairs.
fn equal_pairs(unit: &Unit) -> (f64, f64) {
    let (mut equal, mut pairs) = (0.0, 0.0);
    for (i, a) in unit.iter().enumerate() {
        for b in unit[..i].iter().filter(|b| b.0 != a.0) {
            equal += f64::from(u8::from(a.1 == b.1));
            pairs += 1.0;
        }
    }
    (equal, pairs)
}

fn rated_by_pairs<'a>(units: impl Iterator<Item = &'a Unit>) -> RatedByPairs {
    let mut pairs = RatedByPairs::new();
    for unit in units {
        for a in unit {
            for b in unit.iter().filter(|b| a.0 < b.0) {
                let (by_a, by_b) = pairs.entry((a.0, b.0)).or_default();
                by_a.push(a.1);
                by_b.push(b.1);
            }
        }
    }
    pairs
}

fn mean_kappa(pairs: &RatedByPairs, weights: Weights) -> f64 {
    let (mut sum, mut n) = (0.0, 0.0);
    for (a, b) in pairs.values() {
        if let Ok(kappa) = cohen_kappa(a, b, weights) {
            sum += kappa * a.len() as f64;
            n += a.len() as f64;
        }
    }
    if n > 0.0 { sum / n } else { f64::NAN }
}

/// What two people said of the same, unit by unit.
type Said = (Vec<f64>, Vec<f64>);

fn matrix(
    prompts: &[Vec<Unit>],
    weights: Weights,
    names: &impl Names,
    resampling: &mut Resampling,
) -> Vec<LabelerPair> {
    // What each two people said, by prompt.
    let mut pairs = BTreeMap::<(Id, Id), Vec<Said>>::new();
    for units in prompts {
        for (pair, said) in rated_by_pairs(units.iter()) {
            pairs.entry(pair).or_default().push(said);
        }
    }
    let estimates = |((a, b), said): ((Id, Id), Vec<Said>)| {
        let n = said.iter().map(|(by_a, _)| by_a.len()).sum();
        let equal = |(a, b): &Said| (a.iter().zip(b).filter(|(a, b)| a == b).count() as f64, a.len() as f64);
        let raw = resampling.ratio(n, &said.iter().map(equal).collect::<Vec<_>>());
        let kappa = resampling.estimate(n, said.len(), |drawn| {
            let by = |side: fn(&Said) -> &Vec<f64>| -> Vec<f64> {
                drawn.iter().flat_map(|&i| side(&said[i]).iter().copied()).collect()
            };
            cohen_kappa(&by(|said| &said.0), &by(|said| &said.1), weights).unwrap_or(f64::NAN)
        });
        LabelerPair { a: names.name(a), b: names.name(b), raw, kappa }
    };
    pairs.into_iter().map(estimates).collect()
}

/// Fleiss' κ over the units with the most frequent number of ratings.
fn fleiss<'a>(prompts: impl Iterator<Item = &'a Vec<Vec<f64>>>) -> f64 {
    let units: Vec<&Vec<f64>> = prompts.flatten().collect();
    let mut sizes = BTreeMap::<usize, usize>::new();
    units.iter().for_each(|unit| *sizes.entry(unit.len()).or_default() += 1);
    let Some((&size, _)) = sizes.iter().max_by_key(|(size, n)| (**n, **size)) else { return f64::NAN };
    let units: Vec<&Vec<f64>> = units.into_iter().filter(|unit| unit.len() == size).collect();
    let by_place: Vec<Vec<f64>> = (0..size).map(|i| units.iter().map(|unit| unit[i]).collect()).collect();
    fleiss_kappa(&by_place).unwrap_or(f64::NAN)
}

fn severity(prompts: &[Vec<Unit>], names: &impl Names, resampling: &mut Resampling) -> Vec<Severity> {
    // Sums of differences by person, a sum a prompt.
    let mut by_person = BTreeMap::<Id, BTreeMap<usize, (f64, f64)>>::new();
    for (i, unit) in prompts.iter().enumerate().flat_map(|(i, units)| units.iter().map(move |unit| (i, unit))) {
        let people: BTreeSet<Id> = unit.iter().map(|(person, _)| *person).collect();
        if people.len() < 2 {
            continue;
        }
        let total: f64 = unit.iter().map(|(_, value)| value).sum();
        for (person, value) in unit {
            let others = (total - value) / (unit.len() - 1) as f64;
            let (sum, n) = by_person.entry(*person).or_default().entry(i).or_default();
            *sum += value - others;
            *n += 1.0;
        }
    }
    let estimate = |(person, sums): (Id, BTreeMap<usize, (f64, f64)>)| {
        let sums: Vec<(f64, f64)> = sums.into_values().collect();
        let n = sums.iter().map(|sum| sum.1 as usize).sum();
        Severity { name: names.name(person), difference: resampling.ratio(n, &sums) }
    };
    by_person.into_iter().map(estimate).collect()
}

/// Who somebody is.
trait Names {
    fn name(&self, person: Id) -> String;
}

impl Names for Material {
    fn name(&self, person: Id) -> String {
        self.people.get(&person).map(|about| about.name.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AgreementOptions;

    struct Numbers;

    impl Names for Numbers {
        fn name(&self, person: Id) -> String {
            person.to_string()
        }
    }

    fn resampling() -> Resampling {
        Resampling::new(&AgreementOptions::default())
    }

    fn close(found: &Estimate, expected: f64) {
        let found = found.value.unwrap();
        assert!((found - expected).abs() < 1e-12, "{found} vs {expected}");
    }

    /// Three prompts, two people: yes-yes, yes-no, no-no and once more yes-yes.
    #[test]
    fn flags_worked_by_hand() {
        let unit = |a: f64, b: f64| vec![(1, a), (2, b)];
        let prompts = vec![vec![unit(1.0, 1.0), unit(1.0, 0.0)], vec![unit(0.0, 0.0)], vec![unit(1.0, 1.0)]];
        let found = of_units("f", "yes_no", prompts, &Numbers, &mut resampling()).unwrap();
        close(&found.raw, 0.75);
        close(found.prevalence.as_ref().unwrap(), 5.0 / 8.0);
        // Margins 3:1 and 2:2: p_e = .375 + .125 = .5, κ = .5.
        close(&found.kappa, 0.5);
        // Fleiss: p_e = (5/8)² + (3/8)² = 34/64; κ = (.75 − .53125)/.46875.
        close(found.fleiss.as_ref().unwrap(), (0.75 - 0.53125) / 0.46875);
        // α = 1 − (n − 1)·D_o/(n_0·n_1)·…: coincidences o_01 = 2·1/1 = 1 each way; n = 8: 1 − 7·2/(2·5·3).
        close(&found.alpha, 1.0 - 7.0 * 2.0 / 30.0);
        assert_eq!((found.raw.n, found.raw.n_prompts, found.matrix.len()), (4, 3, 1));
        let pair = &found.matrix[0];
        assert_eq!((pair.a.as_str(), pair.b.as_str(), pair.raw.n, pair.raw.n_prompts), ("1", "2", 4, 3));
        close(&pair.raw, 0.75);
        close(&pair.kappa, 0.5);
    }

    #[test]
    fn a_mild_rater_is_known() {
        let prompts = [vec![vec![(1, 6.0), (2, 4.0), (3, 5.0)]], vec![vec![(1, 7.0), (2, 5.0)]]];
        let found = severity(&prompts, &Numbers, &mut resampling());
        // Person 1: 6 − 4.5 and 7 − 5; person 2: 4 − 5.5 and 5 − 7; person 3: 5 − 5.
        let expected = [("1", 1.75, 2), ("2", -1.75, 2), ("3", 0.0, 1)];
        assert_eq!(found.len(), 3);
        for (severity, (name, difference, n)) in found.iter().zip(expected) {
            close(&severity.difference, difference);
            assert_eq!((severity.name.as_str(), severity.difference.n), (name, n));
        }
        // One prompt is no sample: no interval.
        assert!(found[2].difference.low.is_none() && found[0].difference.low.is_some());
    }
}
