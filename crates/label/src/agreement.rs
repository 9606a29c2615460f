//! How far people agree: on rankings, ratings and yes-or-no questions, with each other and with known
//! answers. Every number says on how many prompts and observations it stands, with a 95 % interval by
//! bootstrap over prompts: what people say about one prompt is not independent.

mod effort;
mod from_rows;
mod labeler;
mod material;
mod question;
mod ranking;
mod rating;
mod similarity;

pub use effort::Effort;
pub use labeler::{DayCount, LabelerReport, Screening};
pub use ranking::{LabelerRanking, RankingAgreement};
pub use rating::{FieldAgreement, LabelerPair, Severity};
pub(crate) use similarity::{body_agreement, pairwise_agreement};

use std::collections::BTreeMap;

use serde::Serialize;
use statistics::bootstrap;
use stdx::Seed;

use crate::said::Statement;
use crate::{Actor, Id, Result, Role, Settings, Store};
use material::Material;

/// How to compute a report.
#[derive(Clone, Debug)]
pub struct AgreementOptions {
    /// Resamples of each interval, at least 100.
    pub resamples: usize,
    /// Of the resampling.
    pub seed: u64,
    /// Only labelers of a group.
    pub group: Option<String>,
    /// Also each two people's agreement on each question: its intervals cost the square of the people.
    pub pairs: bool,
}

impl Default for AgreementOptions {
    fn default() -> Self {
        Self { resamples: 1000, seed: 0, group: None, pairs: true }
    }
}

/// A number with its interval, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The number; nothing where it is undefined.
    pub value: Option<f64>,
    /// The lower end of the 95 % interval.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// Observations: pairs of answers, ratings, judgements.
    pub n: usize,
    /// Prompts that they are of.
    pub n_prompts: usize,
    /// Why the number or its interval is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// All that is known of agreement in a project.
#[derive(Clone, Debug, Serialize)]
pub struct AgreementReport {
    /// The project's name.
    pub project: String,
    /// Judgements in force that it stands on, by source: simulated ones are never pooled unseen.
    pub sources: BTreeMap<String, usize>,
    /// People who made them.
    pub n_people: usize,
    /// Ordinary tasks with two judgements or more.
    pub n_tasks_shared: usize,
    /// Agreement of rankings and of choices between two; nothing without two rankings of one task.
    pub rankings: Option<RankingAgreement>,
    /// Agreement on each scale, question and choice, in the order of the project's fields.
    pub fields: Vec<FieldAgreement>,
    /// Agreement of each person's rankings and flags with known answers against InstructGPT's cut-offs.
    pub screening: Vec<Screening>,
    /// What writing costs and yields against ranking.
    pub effort: Effort,
}

impl Store {
    /// Agreement in a project. Gold and qualification items count for screening only.
    pub fn agreement(&self, actor: Actor, project: Id, options: &AgreementOptions) -> Result<AgreementReport> {
        actor.require(Role::Reviewer)?;
        let material = Material::load(self, project, options.group.as_deref())?;
        let mut sources = BTreeMap::new();
        for judgement in &material.judgements {
            *sources.entry(judgement.source.as_str().to_owned()).or_insert(0) += 1;
        }
        Ok(AgreementReport::of(&material, sources, options))
    }
}

impl AgreementReport {
    /// The same of rows, with everybody's work. Questions and cut-offs are those of `settings`; without
    /// them the questions are found from the answers, and the cut-offs are InstructGPT's.
    pub fn of_rows(
        statements: &[Statement],
        settings: Option<&Settings>,
        name: &str,
        options: &AgreementOptions,
    ) -> (AgreementReport, Vec<LabelerReport>) {
        let in_group = |statement: &&Statement| {
            statement.known || options.group.as_ref().is_none_or(|group| statement.group == *group)
        };
        let statements: Vec<Statement> = statements.iter().filter(in_group).cloned().collect();
        let mut sources = BTreeMap::new();
        for statement in statements.iter().filter(|statement| !statement.known) {
            let source = statement.source.map_or("unknown", record::Source::as_str);
            *sources.entry(source.to_owned()).or_insert(0) += 1;
        }
        let material = Material::of_rows(&statements, settings, name);
        let labelers = labeler::reports(&material, &BTreeMap::new());
        (AgreementReport::of(&material, sources, options), labelers)
    }

    fn of(material: &Material, sources: BTreeMap<String, usize>, options: &AgreementOptions) -> AgreementReport {
        let mut resampling = Resampling::new(options);
        let people: std::collections::BTreeSet<Id> = material.judgements.iter().map(|j| j.person).collect();
        let shared = material.ordinary_by_task().into_iter().filter(|task| task.len() >= 2).count();
        AgreementReport {
            project: material.project.name.clone(),
            sources,
            n_people: people.len(),
            n_tasks_shared: shared,
            rankings: ranking::agreement(material, &mut resampling),
            fields: rating::agreement(material, &mut resampling),
            screening: labeler::screening(material, &mut resampling),
            effort: effort::effort(material, &mut resampling),
        }
    }
}

/// Where the intervals come from: one stream a statistic, so that none moves another.
struct Resampling {
    resamples: usize,
    seed: Seed,
    drawn: u64,
    pairs: bool,
}

impl Resampling {
    fn new(options: &AgreementOptions) -> Resampling {
        Resampling { resamples: options.resamples.max(100), seed: Seed(options.seed), drawn: 0, pairs: options.pairs }
    }

    /// The estimate of a statistic of `clusters` prompts; it is given the prompts drawn. NaN where it
    /// has no value.
    fn estimate(&mut self, n: usize, clusters: usize, mut statistic: impl FnMut(&[usize]) -> f64) -> Estimate {
        let all: Vec<usize> = (0..clusters).collect();
        let value = if clusters == 0 { f64::NAN } else { statistic(&all) };
        let mut estimate = Estimate {
            value: Some(value).filter(|value| value.is_finite()),
            low: None,
            high: None,
            n,
            n_prompts: clusters,
            why: None,
        };
        self.drawn += 1;
        if estimate.value.is_none() {
            estimate.why = Some("undefined: nothing to compare, or only one value is used".to_owned());
            return estimate;
        }
        let mut stream = self.seed.stream("agreement", self.drawn);
        let mut uniform = || stream.uniform();
        match bootstrap::clusters(clusters, self.resamples, 0.95, &mut uniform, statistic) {
            Ok(interval) => (estimate.low, estimate.high) = (Some(interval.low), Some(interval.high)),
            Err(error) => estimate.why = Some(format!("no interval: {error}")),
        }
        estimate
    }

    /// The estimate of Σ numerators / Σ denominators.
    fn ratio(&mut self, n: usize, sums: &[(f64, f64)]) -> Estimate {
        self.estimate(n, sums.len(), |drawn| {
            let add = |(a, b): (f64, f64), &i: &usize| (a + sums[i].0, b + sums[i].1);
            let (numerator, denominator) = drawn.iter().fold((0.0, 0.0), add);
            if denominator > 0.0 { numerator / denominator } else { f64::NAN }
        })
    }
}
