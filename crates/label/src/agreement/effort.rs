//! What writing answers costs and yields against ranking them: "it is easier to discriminate than to
//! generate" (InstructGPT's labelers), measured.

use std::collections::BTreeMap;

use serde::Serialize;
use statistics::clustered::Sorted;

use super::material::Material;
use super::similarity::body_agreement;
use super::{Estimate, Resampling};
use crate::{Body, Judgement, TaskKind};

/// Time and agreement of writing and of ranking.
#[derive(Clone, Debug, Serialize)]
pub struct Effort {
    /// The median seconds of a demonstration.
    pub writing_seconds: Estimate,
    /// The median seconds of a ranking.
    pub ranking_seconds: Estimate,
    /// How much two people's demonstrations of one prompt have in common: twice the words they share
    /// over the words of both.
    pub writing_overlap: Estimate,
    /// Share of pairs of answers on which two people's rankings say the same.
    pub ranking_agreement: Estimate,
}

pub(super) fn effort(material: &Material, resampling: &mut Resampling) -> Effort {
    let prompts = material.by_prompt();
    let is_writing = |kind: TaskKind| kind == TaskKind::Demonstrate;
    let writing = |a: &Judgement, b: &Judgement| match (&a.body, &b.body) {
        (Body::Demonstrate { text: a, .. }, Body::Demonstrate { text: b, .. }) => word_overlap(a, b),
        _ => None,
    };
    let ranking = |a: &Judgement, b: &Judgement| body_agreement(&a.body, &b.body, material.answers(a.task));
    Effort {
        writing_seconds: seconds(&prompts, is_writing, resampling),
        ranking_seconds: seconds(&prompts, Material::ranks, resampling),
        writing_overlap: alike(&prompts, is_writing, writing, resampling),
        ranking_agreement: alike(&prompts, Material::ranks, ranking, resampling),
    }
}

fn seconds(prompts: &[Vec<Vec<&Judgement>>], is: impl Fn(TaskKind) -> bool, resampling: &mut Resampling) -> Estimate {
    let of = |tasks: &Vec<Vec<&Judgement>>| -> Vec<f64> {
        tasks.iter().flatten().filter(|j| is(j.kind)).filter_map(|j| j.seconds).collect()
    };
    let times: Vec<Vec<f64>> = prompts.iter().map(of).filter(|times: &Vec<f64>| !times.is_empty()).collect();
    let n = times.iter().map(Vec::len).sum();
    let sorted = Sorted::new(&times);
    resampling.estimate(n, times.len(), |drawn| sorted.quantile(drawn, 0.5))
}

fn alike(
    prompts: &[Vec<Vec<&Judgement>>],
    is: impl Fn(TaskKind) -> bool,
    likeness: impl Fn(&Judgement, &Judgement) -> Option<f64>,
    resampling: &mut Resampling,
) -> Estimate {
    let mut sums = Vec::new();
    for tasks in prompts {
        let (mut sum, mut n) = (0.0, 0.0);
        for task in tasks.iter().filter(|task| is(task[0].kind)) {
            for (i, a) in task.iter().enumerate() {
                for b in task[..i].iter().filter(|b| b.person != a.person) {
                    if let Some(found) = likeness(a, b) {
                        sum += found;
                        n += 1.0;
                    }
                }
            }
        }
        if n > 0.0 {
            sums.push((sum, n));
        }
    }
    let n = sums.iter().map(|sum| sum.1 as usize).sum();
    resampling.ratio(n, &sums)
}

/// 2·|shared words|/(|a| + |b|), words counted as often as they stand there; nothing for two empty texts.
fn word_overlap(a: &str, b: &str) -> Option<f64> {
    let words = |text: &str| -> BTreeMap<String, usize> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.fold(BTreeMap::new(), |mut counts, word| {
            *counts.entry(word.to_lowercase()).or_default() += 1;
            counts
        })
    };
    let (a, b) = (words(a), words(b));
    let n: usize = a.values().chain(b.values()).sum();
    let shared: usize = a.iter().map(|(word, n)| (*n).min(b.get(word).copied().unwrap_or(0))).sum();
    (n > 0).then(|| 2.0 * shared as f64 / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_worked_by_hand() {
        // "the" once and "cat" are shared; 4 + 3 words.
        assert_eq!(word_overlap("The cat, the dog", "the cat sleeps"), Some(4.0 / 7.0));
        assert_eq!(word_overlap("", " !"), None);
    }
}
