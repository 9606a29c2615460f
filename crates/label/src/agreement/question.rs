//! The statistics of one question, each with its interval. What a prompt adds to a statistic is counted
//! once; a resample adds it up.

use std::collections::{BTreeMap, BTreeSet};

use statistics::agreement::Weights;
use statistics::clustered::{Assignments, Coincidences, Contingencies};
use statistics::krippendorff::Scale;

use super::material::Material;
use super::rating::{FieldAgreement, LabelerPair, Severity};
use super::{Estimate, Resampling};
use crate::Id;

/// What several people said of one thing.
pub(super) type Unit = Vec<(Id, f64)>;

/// Agreement on a question, from what was said of each prompt's things; nothing when nothing was said.
pub(super) fn of_units(
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
    let raw = resampling.ratio(n, &sums(&prompts, equal_pairs));
    let only = |units: &Vec<Unit>| units.iter().map(|unit| unit.iter().map(|said| said.1).collect()).collect();
    let values: Vec<Vec<Vec<f64>>> = prompts.iter().map(only).collect();
    let coincidences = Coincidences::new(&values).ok();
    let mut alpha = |scale| {
        resampling.estimate(n, values.len(), |drawn| {
            coincidences.as_ref().and_then(|sums| sums.alpha(drawn, scale).ok()).unwrap_or(f64::NAN)
        })
    };
    let main_alpha = alpha(if is_scale { Scale::Ordinal } else { Scale::Nominal });
    let alpha_interval = is_scale.then(|| alpha(Scale::Interval));
    let alpha_nominal = is_scale.then(|| alpha(Scale::Nominal));
    let alpha_ratio = is_scale.then(|| alpha(Scale::Ratio));
    let weights = if is_scale { Weights::Quadratic } else { Weights::Unweighted };
    let kappa = kappa(n, &prompts, weights, resampling);
    let fleiss = (!is_scale).then(|| {
        let assignments = Assignments::new(&values).ok();
        resampling.estimate(n, values.len(), |drawn| assignments.as_ref().map_or(f64::NAN, |sums| sums.fleiss(drawn)))
    });
    let yes = |unit: &Unit| (unit.iter().map(|said| said.1).sum(), unit.len() as f64);
    let prevalence = (kind == "yes_no").then(|| resampling.ratio(n, &sums(&prompts, yes)));
    let matrix = if resampling.pairs { matrix(&prompts, weights, names, resampling) } else { Vec::new() };
    let severity = if is_scale { severity(&prompts, names, resampling) } else { Vec::new() };
    Some(FieldAgreement {
        field: name.to_owned(),
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

/// By prompt: the sums of what each of its units adds to a numerator and a denominator.
fn sums(prompts: &[Vec<Unit>], of_unit: impl Fn(&Unit) -> (f64, f64)) -> Vec<(f64, f64)> {
    let add = |a: (f64, f64), b: (f64, f64)| (a.0 + b.0, a.1 + b.1);
    prompts.iter().map(|units| units.iter().map(&of_unit).fold((0.0, 0.0), add)).collect()
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

/// The mean of Cohen's κ over each two people, weighted by what they share.
fn kappa(n: usize, prompts: &[Vec<Unit>], weights: Weights, resampling: &mut Resampling) -> Estimate {
    let contingencies = Contingencies::new(prompts).ok();
    resampling.estimate(n, prompts.len(), |drawn| {
        contingencies.as_ref().map_or(f64::NAN, |sums| sums.mean_kappa(drawn, weights))
    })
}

fn matrix(
    prompts: &[Vec<Unit>],
    weights: Weights,
    names: &impl Names,
    resampling: &mut Resampling,
) -> Vec<LabelerPair> {
    // What each two people said, by prompt.
    let mut pairs = BTreeMap::<(Id, Id), BTreeMap<usize, Vec<Unit>>>::new();
    for (i, unit) in prompts.iter().enumerate().flat_map(|(i, units)| units.iter().map(move |unit| (i, unit))) {
        for a in unit {
            for b in unit.iter().filter(|b| a.0 < b.0) {
                pairs.entry((a.0, b.0)).or_default().entry(i).or_default().push(vec![*a, *b]);
            }
        }
    }
    let estimates = |((a, b), said): ((Id, Id), BTreeMap<usize, Vec<Unit>>)| {
        let said: Vec<Vec<Unit>> = said.into_values().collect();
        let n = said.iter().map(Vec::len).sum();
        let raw = resampling.ratio(n, &sums(&said, equal_pairs));
        let kappa = kappa(n, &said, weights, resampling);
        LabelerPair { a: names.name(a), b: names.name(b), raw, kappa }
    };
    pairs.into_iter().map(estimates).collect()
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
pub(super) trait Names {
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
