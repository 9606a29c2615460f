//! Agreement of rankings, ties and gaps allowed.

use std::collections::BTreeMap;

use serde::Serialize;
use statistics::krippendorff::{Scale, alpha};
use statistics::rank_agreement::PairCounts;

use super::material::Material;
use super::similarity::common_pairs;
use super::{Estimate, Resampling};
use crate::{Id, Judgement, Place};

/// Agreement of each two people's rankings of the same answers.
#[derive(Clone, Debug, Serialize)]
pub struct RankingAgreement {
    /// Share of pairs of answers on which two people say the same of better, worse and tied.
    pub exact: Estimate,
    /// Share of agreement among pairs that both order.
    pub strict: Estimate,
    /// Share of agreement, a pair that only one of the two ties counting ½.
    pub ties_half: Estimate,
    /// κ = (exact − P(e))/(1 − P(e)) with P(e) = Σ p² over better, worse and tied; better and worse
    /// have half of what isn't tied each, as in the Conference on Machine Translation's campaigns.
    pub kappa: Estimate,
    /// The mean of Kendall's τ-b over each two people's rankings of one task.
    pub kendall_tau_b: Estimate,
    /// The mean of Kendall's W, corrected for ties, over tasks whose answers all were ranked by all.
    pub kendall_w: Estimate,
    /// Krippendorff's α, ordinal, of what is said about each pair: worse, tied or better.
    pub alpha: Estimate,
    /// Each person's exact agreement with the others.
    pub labelers: Vec<LabelerRanking>,
    /// Pairs that a labeler ties, of all.
    pub ties: Estimate,
}

/// One person's agreement with the others.
#[derive(Clone, Debug, Serialize)]
pub struct LabelerRanking {
    /// Who.
    pub person: Id,
    /// Their name.
    pub name: String,
    /// Exact agreement with each other person on the same task.
    pub exact: Estimate,
}

/// What a prompt adds to the sums.
#[derive(Clone, Debug, Default)]
struct Sums {
    counts: PairCounts,
    /// Things said about pairs by those who are compared, and how many of them are ties.
    said: u64,
    said_tied: u64,
    tau: (f64, f64),
    w: (f64, f64),
    by_person: BTreeMap<Id, (f64, f64)>,
    /// For α: what was said about each pair of each task.
    units: Vec<Vec<f64>>,
}

/// Agreement of a project's rankings; nothing when no two people ranked the same answers.
pub(super) fn agreement(material: &Material, resampling: &mut Resampling) -> Option<RankingAgreement> {
    let mut prompts = Vec::new();
    for tasks in material.by_prompt() {
        let mut sums = Sums::default();
        for task in tasks.iter().filter(|task| Material::ranks(task[0].kind) && task.len() >= 2) {
            add_task(&mut sums, task, material.answers(task[0].task));
        }
        if sums.counts.pairs() > 0 {
            prompts.push(sums);
        }
    }
    if prompts.is_empty() {
        return None;
    }
    let n = prompts.iter().map(|sums| sums.counts.pairs() as usize).sum();
    let ratio = |resampling: &mut Resampling, part: &dyn Fn(&Sums) -> (f64, f64)| {
        let sums: Vec<(f64, f64)> = prompts.iter().map(part).collect();
        resampling.ratio(n, &sums)
    };
    let agreeing = |counts: &PairCounts| (counts.concordant + counts.tied_both) as f64;
    let exact = ratio(resampling, &|sums| (agreeing(&sums.counts), sums.counts.pairs() as f64));
    let strict = ratio(resampling, &|sums| {
        (sums.counts.concordant as f64, (sums.counts.concordant + sums.counts.discordant) as f64)
    });
    let ties_half = ratio(resampling, &|sums| {
        let half = 0.5 * (sums.counts.tied_only_a + sums.counts.tied_only_b) as f64;
        (agreeing(&sums.counts) + half, sums.counts.pairs() as f64)
    });
    let ties = ratio(resampling, &|sums| (sums.said_tied as f64, sums.said as f64));
    let kappa = resampling.estimate(n, prompts.len(), |drawn| kappa(drawn.iter().map(|&i| &prompts[i])));
    let mean = |resampling: &mut Resampling, part: fn(&Sums) -> (f64, f64)| {
        let sums: Vec<(f64, f64)> = prompts.iter().map(part).collect();
        let n = sums.iter().map(|sum| sum.1 as usize).sum();
        resampling.ratio(n, &sums)
    };
    let kendall_tau_b = mean(resampling, |sums| sums.tau);
    let kendall_w = mean(resampling, |sums| sums.w);
    let n_units = prompts.iter().map(|sums| sums.units.len()).sum();
    let alpha = resampling.estimate(n_units, prompts.len(), |drawn| {
        let units = drawn.iter().flat_map(|&i| prompts[i].units.iter().map(Vec::as_slice));
        alpha_of(units, Scale::Ordinal)
    });
    let labelers = labelers(material, &prompts, resampling);
    Some(RankingAgreement { exact, strict, ties_half, kappa, kendall_tau_b, kendall_w, alpha, labelers, ties })
}

fn labelers(material: &Material, prompts: &[Sums], resampling: &mut Resampling) -> Vec<LabelerRanking> {
    let mut labelers = Vec::new();
    for (&person, about) in &material.people {
        let sums: Vec<(f64, f64)> = prompts.iter().filter_map(|sums| sums.by_person.get(&person).copied()).collect();
        if !sums.is_empty() {
            let n = sums.iter().map(|sum| sum.1 as usize).sum();
            let exact = resampling.ratio(n, &sums);
            labelers.push(LabelerRanking { person, name: about.name.clone(), exact });
        }
    }
    labelers
}

/// Adds what a task's judgements say about each other.
fn add_task(sums: &mut Sums, task: &[&Judgement], answers: &[Id]) {
    let rankings: Vec<(Id, Vec<Place>)> =
        task.iter().map(|judgement| (judgement.person, judgement.body.places(answers))).collect();
    for (i, (person_a, a)) in rankings.iter().enumerate() {
        for (person_b, b) in rankings[..i].iter().filter(|(person, _)| person != person_a) {
            let Some(counts) = common_pairs(a, b) else { continue };
            add(&mut sums.counts, &counts);
            sums.said += 2 * counts.pairs();
            sums.said_tied += 2 * counts.tied_both + counts.tied_only_a + counts.tied_only_b;
            if let Ok(tau) = counts.kendall_tau_b() {
                sums.tau.0 += tau;
                sums.tau.1 += 1.0;
            }
            for person in [person_a, person_b] {
                let own = sums.by_person.entry(*person).or_default();
                own.0 += (counts.concordant + counts.tied_both) as f64;
                own.1 += counts.pairs() as f64;
            }
        }
    }
    let ranks = |places: &[Place]| -> Vec<Option<f64>> {
        let rank = |id: &Id| places.iter().find(|place| place.candidate == *id).map(|place| f64::from(place.rank));
        answers.iter().map(rank).collect()
    };
    let table: Vec<Vec<Option<f64>>> = rankings.iter().map(|(_, places)| ranks(places)).collect();
    for i in 0..answers.len() {
        for j in 0..i {
            let said = table.iter().filter_map(|row| Some(order(row[i]?, row[j]?)));
            let unit: Vec<f64> = said.collect();
            if unit.len() >= 2 {
                sums.units.push(unit);
            }
        }
    }
    let complete: Option<Vec<Vec<f64>>> = table.into_iter().map(|row| row.into_iter().collect()).collect();
    if let Some(w) = complete.and_then(|ranks| kendall_w(&ranks)) {
        sums.w.0 += w;
        sums.w.1 += 1.0;
    }
}

fn order(a: f64, b: f64) -> f64 {
    match a.total_cmp(&b) {
        std::cmp::Ordering::Less => 1.0,
        std::cmp::Ordering::Equal => 0.0,
        std::cmp::Ordering::Greater => -1.0,
    }
}

fn add(sum: &mut PairCounts, counts: &PairCounts) {
    sum.concordant += counts.concordant;
    sum.discordant += counts.discordant;
    sum.tied_both += counts.tied_both;
    sum.tied_only_a += counts.tied_only_a;
    sum.tied_only_b += counts.tied_only_b;
}

/// κ with chance that knows of ties.
fn kappa<'a>(prompts: impl Iterator<Item = &'a Sums>) -> f64 {
    let (mut agreeing, mut pairs, mut tied, mut said) = (0, 0, 0, 0);
    for sums in prompts {
        agreeing += sums.counts.concordant + sums.counts.tied_both;
        pairs += sums.counts.pairs();
        tied += sums.said_tied;
        said += sums.said;
    }
    let tie = tied as f64 / said as f64;
    let ordered = (1.0 - tie) / 2.0;
    let expected = tie * tie + 2.0 * ordered * ordered;
    (agreeing as f64 / pairs as f64 - expected) / (1.0 - expected)
}

/// Kendall's W of m rankings of n answers with average ranks for ties:
/// W = 12 Σ(R_i − R̄)² / (m²(n³ − n) − m Σ(t³ − t)) (Kendall & Smith 1939, with Kendall's correction).
/// Nothing when there are fewer than two rankings or answers, or all are tied by all.
fn kendall_w(ranks: &[Vec<f64>]) -> Option<f64> {
    let (m, n) = (ranks.len() as f64, ranks.first()?.len());
    if ranks.len() < 2 || n < 2 {
        return None;
    }
    let mut totals = vec![0.0; n];
    let mut ties = 0.0;
    for row in ranks {
        let average = statistics::correlation::average_ranks(row);
        totals.iter_mut().zip(&average).for_each(|(total, rank)| *total += rank);
        let mut sorted = row.clone();
        sorted.sort_by(f64::total_cmp);
        ties += sorted.chunk_by(|a, b| a == b).map(|tied| (tied.len() as f64).powi(3) - tied.len() as f64).sum::<f64>();
    }
    let mean = totals.iter().sum::<f64>() / n as f64;
    let squares: f64 = totals.iter().map(|total| (total - mean).powi(2)).sum();
    let n = n as f64;
    let most = m * m * (n.powi(3) - n) - m * ties;
    (most > 0.0).then(|| 12.0 * squares / most)
}

/// Krippendorff's α of units with any number of ratings. Who rated doesn't matter to it: ratings
/// stand in as many rows as the fullest unit needs. NaN where it is undefined.
pub(super) fn alpha_of<'a>(units: impl Iterator<Item = &'a [f64]>, scale: Scale) -> f64 {
    let units: Vec<&[f64]> = units.collect();
    let n_rows = units.iter().map(|unit| unit.len()).max().unwrap_or(0);
    let row = |i: usize| units.iter().map(|unit| unit.get(i).copied()).collect();
    let ratings: Vec<Vec<Option<f64>>> = (0..n_rows).map(row).collect();
    alpha(&ratings, scale).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kendalls_w_worked_by_hand() {
        // Three rankings of three: rank sums 4, 5, 9, mean 6, squares 4 + 1 + 9 = 14;
        // 12·14/(9·24) = .777….
        let ranks = [vec![1.0, 2.0, 3.0], vec![2.0, 1.0, 3.0], vec![1.0, 2.0, 3.0]];
        assert!((kendall_w(&ranks).unwrap() - 12.0 * 14.0 / 216.0).abs() < 1e-12);
        // Perfect agreement is 1, with ties too: average ranks 1.5, 1.5, 3, sums 3, 3, 6, squares 6;
        // ties = 2·(2³ − 2) = 12: W = 72/(4·24 − 2·12) = 1.
        assert_eq!(kendall_w(&[vec![1.0, 1.0, 2.0], vec![1.0, 1.0, 5.0]]), Some(1.0));
        // Opposite rankings cancel.
        assert_eq!(kendall_w(&[vec![1.0, 2.0, 3.0], vec![3.0, 2.0, 1.0]]), Some(0.0));
        assert_eq!(kendall_w(&[vec![1.0, 1.0], vec![1.0, 1.0]]), None);
        assert_eq!(kendall_w(&[vec![1.0, 2.0]]), None);
    }

    #[test]
    fn kappa_worked_by_hand() {
        // Ten pairs: six agree in order, one tied by both, one tied by one, two opposite. Of twenty
        // things said three are ties: p = .15, .425, .425; P(e) = .0225 + 2·.180625 = .38375.
        let counts = PairCounts { concordant: 6, discordant: 2, tied_both: 1, tied_only_a: 1, tied_only_b: 0 };
        let sums = Sums { counts, said: 20, said_tied: 3, ..Sums::default() };
        let expected = (0.7 - 0.38375) / (1.0 - 0.38375);
        assert!((kappa([&sums].into_iter()) - expected).abs() < 1e-12);
    }
}
