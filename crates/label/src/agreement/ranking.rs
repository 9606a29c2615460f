//! Agreement of rankings, ties and gaps allowed.

use std::collections::BTreeMap;

use serde::Serialize;
use statistics::clustered::Coincidences;
use statistics::krippendorff::Scale;
use statistics::rank_agreement::{PairCounts, kendall_w};

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
    tau: (f64, f64),
    w: (f64, f64),
    by_person: BTreeMap<Id, (f64, f64)>,
    /// For α: what was said about each pair of each task, each way round.
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
    let together = |drawn: &[usize]| {
        drawn.iter().fold(PairCounts::default(), |mut sum, &i| {
            sum.add(&prompts[i].counts);
            sum
        })
    };
    let ties = resampling.estimate(n, prompts.len(), |drawn| together(drawn).share_tied());
    let kappa = resampling.estimate(n, prompts.len(), |drawn| together(drawn).kappa());
    let mean = |resampling: &mut Resampling, part: fn(&Sums) -> (f64, f64)| {
        let sums: Vec<(f64, f64)> = prompts.iter().map(part).collect();
        let n = sums.iter().map(|sum| sum.1 as usize).sum();
        resampling.ratio(n, &sums)
    };
    let kendall_tau_b = mean(resampling, |sums| sums.tau);
    let kendall_w = mean(resampling, |sums| sums.w);
    let n_units = prompts.iter().map(|sums| sums.units.len() / 2).sum();
    let units: Vec<Vec<Vec<f64>>> = prompts.iter().map(|sums| sums.units.clone()).collect();
    let coincidences = Coincidences::new(&units).ok();
    let alpha = resampling.estimate(n_units, prompts.len(), |drawn| {
        coincidences.as_ref().and_then(|sums| sums.alpha(drawn, Scale::Ordinal).ok()).unwrap_or(f64::NAN)
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
            sums.counts.add(&counts);
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
    // Each pair both ways round: which answer stands first must not matter.
    for i in 0..answers.len() {
        for j in (0..answers.len()).filter(|&j| j != i) {
            let said = table.iter().filter_map(|row| Some(order(row[i]?, row[j]?)));
            let unit: Vec<f64> = said.collect();
            if unit.len() >= 2 {
                sums.units.push(unit);
            }
        }
    }
    let complete: Option<Vec<Vec<f64>>> = table.into_iter().map(|row| row.into_iter().collect()).collect();
    if let Some(w) = complete.and_then(|ranks| kendall_w(&ranks).ok()) {
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
