//! Each person's work: how much, how fast, how mild, and how far they agree with the others and with
//! known answers.

use std::collections::BTreeMap;

use serde::Serialize;

use super::material::Material;
use super::similarity::{body_agreement, equal_fields, of};
use super::{Estimate, Resampling};
use crate::database::values;
use crate::{Actor, Body, FieldKind, FieldValue, Fields, Id, Judgement, Result, Role, Store, TaskKind};

/// A person's work in a project.
#[derive(Clone, Debug, Serialize)]
pub struct LabelerReport {
    /// Who.
    pub person: Id,
    /// Their name.
    pub name: String,
    /// Their group.
    pub group: String,
    /// Judgements in force.
    pub judgements: usize,
    /// Tasks skipped.
    pub skips: usize,
    /// The median of the seconds that a task took.
    pub seconds_median: Option<f64>,
    /// Mean agreement with others on the same tasks, 0 to 1.
    pub with_rest: Option<f64>,
    /// Mean agreement with known answers, 0 to 1.
    pub with_gold: Option<f64>,
    /// How much milder than others they rate, on the first scale of the project.
    pub severity: Option<f64>,
    /// Whether they passed the test; nothing when they didn't take one.
    pub qualified: Option<bool>,
    /// Their last judgement.
    pub last_ms: Option<i64>,
}

/// How a person does against known answers: InstructGPT's screening (arXiv 2203.02155, §B.1).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Screening {
    /// Who.
    pub person: Id,
    /// Their name.
    pub name: String,
    /// Agreement with known answers of any kind: the mean over the tasks that have one.
    pub gold: Estimate,
    /// Share of known yes-or-no answers that they gave too (cut-off: `qualification.agreement_min`).
    pub flags: Estimate,
    /// Agreement with known rankings, the mean over tasks (same cut-off).
    pub rankings: Estimate,
    /// The mean rating that reviews give their demonstrations (cut-off: `qualification.rating_min`).
    pub demonstrations: Estimate,
    /// Whether all that was measured reaches its cut-off; nothing when nothing was.
    pub passes: Option<bool>,
}

/// Judgements of a person on a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DayCount {
    /// `2026-11-21`, UTC.
    pub day: String,
    /// Who.
    pub person: Id,
    /// How many.
    pub n: usize,
}

impl Store {
    /// Everybody's work in a project, by name.
    pub fn labelers(&self, actor: Actor, project: Id) -> Result<Vec<LabelerReport>> {
        actor.require(Role::Reviewer)?;
        let material = Material::load(self, project, None)?;
        let qualified = self.read(|transaction| {
            let sql = "SELECT person_id, passed FROM qualification WHERE project_id = ?1";
            let rows = transaction.rows(sql, values![project])?;
            Ok(rows.iter().map(|row| (row.integer(0), row.is_set(1))).collect::<BTreeMap<Id, bool>>())
        })?;
        Ok(reports(&material, &qualified))
    }

    /// Judgements by day and person, corrections not counted.
    pub fn throughput(&self, actor: Actor, project: Id) -> Result<Vec<DayCount>> {
        actor.require(Role::Reviewer)?;
        let sql = "SELECT created_ms, person_id FROM judgement WHERE project_id = ?1 AND corrects IS NULL";
        let rows = self.read(|transaction| transaction.rows(sql, values![project]))?;
        let mut counts = BTreeMap::new();
        for row in rows {
            *counts.entry((crate::clock::day(row.integer(0)), row.integer(1))).or_insert(0) += 1;
        }
        Ok(counts.into_iter().map(|((day, person), n)| DayCount { day, person, n }).collect())
    }
}

/// Everybody's work, by name.
pub(super) fn reports(material: &Material, qualified: &BTreeMap<Id, bool>) -> Vec<LabelerReport> {
    let (with_rest, severity) = (with_rest(material), severity(material));
    let with_gold = with_gold(material);
    let report = |person: &crate::Person| {
        let own = || material.judgements.iter().filter(|judgement| judgement.person == person.id);
        LabelerReport {
            person: person.id,
            name: person.name.clone(),
            group: person.group.clone(),
            judgements: own().count(),
            skips: material.skips.get(&person.id).copied().unwrap_or(0),
            seconds_median: median(own().filter_map(|judgement| judgement.seconds).collect()),
            with_rest: with_rest.get(&person.id).and_then(|all| mean(all)),
            with_gold: with_gold.get(&person.id).and_then(|all| mean(all)),
            severity: severity.get(&person.id).and_then(|all| mean(all)),
            qualified: qualified.get(&person.id).copied(),
            last_ms: own().map(|judgement| judgement.created_ms).max(),
        }
    };
    let mut reports: Vec<LabelerReport> = material.people.values().map(report).collect();
    reports.sort_by_key(|report| report.name.to_lowercase());
    reports
}

/// Each person's agreements with each other on ordinary tasks.
fn with_rest(material: &Material) -> BTreeMap<Id, Vec<f64>> {
    let mut found = BTreeMap::<Id, Vec<f64>>::new();
    for task in material.ordinary_by_task() {
        let answers = material.answers(task[0].task);
        for (i, a) in task.iter().enumerate() {
            for b in task[..i].iter().filter(|b| b.person != a.person) {
                if let Some(agreement) = body_agreement(&a.body, &b.body, answers) {
                    found.entry(a.person).or_default().push(agreement);
                    found.entry(b.person).or_default().push(agreement);
                }
            }
        }
    }
    found
}

/// Each person's agreements with known answers.
fn with_gold(material: &Material) -> BTreeMap<Id, Vec<f64>> {
    let mut found = BTreeMap::<Id, Vec<f64>>::new();
    for judgement in tested(material) {
        let gold = &material.gold[&judgement.task];
        let agreement = body_agreement(&judgement.body, gold, material.answers(judgement.task));
        found.entry(judgement.person).or_default().extend(agreement);
    }
    found
}

fn tested(material: &Material) -> impl Iterator<Item = &Judgement> {
    material.judgements.iter().filter(|judgement| material.gold.contains_key(&judgement.task))
}

/// Each person's rating minus the others' mean, on the project's first scale.
fn severity(material: &Material) -> BTreeMap<Id, Vec<f64>> {
    let mut found = BTreeMap::<Id, Vec<f64>>::new();
    let is_scale = |field: &&crate::Field| matches!(field.kind, FieldKind::Scale { .. });
    let Some(field) = material.project.settings.field.iter().find(is_scale) else { return found };
    let rating = |fields: &Fields| match fields.get(&field.name) {
        Some(FieldValue::Number(number)) => Some(*number as f64),
        _ => None,
    };
    for task in material.ordinary_by_task() {
        for &candidate in material.answers(task[0].task) {
            let said = task.iter().filter_map(|j| Some((j.person, rating(of(&j.body, candidate)?)?)));
            let said: Vec<(Id, f64)> = said.collect();
            let total: f64 = said.iter().map(|(_, value)| value).sum();
            for (person, value) in said.iter().filter(|_| said.len() >= 2) {
                let others = (total - value) / (said.len() - 1) as f64;
                found.entry(*person).or_default().push(value - others);
            }
        }
    }
    found
}

/// Sums and numbers of what was observed, by prompt.
#[derive(Default)]
struct ByPrompt(BTreeMap<(Option<Id>, Id), (f64, f64)>);

impl ByPrompt {
    fn add(&mut self, judgement: &Judgement, observed: impl IntoIterator<Item = f64>) {
        for value in observed {
            let sums = self.0.entry(Material::prompt_of(judgement)).or_default();
            sums.0 += value;
            sums.1 += 1.0;
        }
    }

    fn mean(&self, resampling: &mut Resampling) -> Estimate {
        let sums: Vec<(f64, f64)> = self.0.values().copied().collect();
        resampling.ratio(sums.iter().map(|sum| sum.1 as usize).sum(), &sums)
    }
}

/// Everybody who met a known answer or whose demonstrations were reviewed.
pub(super) fn screening(material: &Material, resampling: &mut Resampling) -> Vec<Screening> {
    let cut = &material.project.settings.qualification;
    let mut found = Vec::new();
    for person in material.people.values() {
        let [mut all, mut flags, mut rankings, mut demonstrations] = [(); 4].map(|()| ByPrompt::default());
        for judgement in tested(material).filter(|judgement| judgement.person == person.id) {
            let gold = &material.gold[&judgement.task];
            let answers = material.answers(judgement.task);
            for &candidate in answers {
                let equal = equal_flags(material, of(&judgement.body, candidate), of(gold, candidate));
                flags.add(judgement, equal.into_iter().map(|equal| f64::from(u8::from(equal))));
            }
            let agreement = body_agreement(&judgement.body, gold, answers);
            all.add(judgement, agreement);
            if Material::ranks(judgement.kind) {
                rankings.add(judgement, agreement);
            }
        }
        for (review, rating) in demonstration_ratings(material, person.id) {
            demonstrations.add(review, [rating]);
        }
        let [gold, flags, rankings, demonstrations] =
            [all, flags, rankings, demonstrations].map(|observed| observed.mean(resampling));
        let reached = [
            flags.value.map(|share| share >= cut.agreement_min),
            rankings.value.map(|share| share >= cut.agreement_min),
            demonstrations.value.map(|rating| rating >= cut.rating_min),
        ];
        let measured: Vec<bool> = reached.into_iter().flatten().collect();
        if measured.is_empty() && gold.value.is_none() {
            continue;
        }
        let passes = (!measured.is_empty()).then(|| measured.iter().all(|reached| *reached));
        found.push(Screening {
            person: person.id,
            name: person.name.clone(),
            gold,
            flags,
            rankings,
            demonstrations,
            passes,
        });
    }
    found
}

/// Which of the yes-or-no questions are answered alike.
fn equal_flags(material: &Material, a: Option<&Fields>, b: Option<&Fields>) -> Vec<bool> {
    let is_flag = |name: &String| {
        let field = material.project.settings.field.iter().find(|field| field.name == *name);
        field.is_some_and(|field| field.kind == FieldKind::YesNo)
    };
    let flags = |fields: &Fields| -> Fields {
        fields.iter().filter(|(name, _)| is_flag(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    equal_fields(a.map(flags).as_ref(), b.map(flags).as_ref())
}

/// What reviews gave a person's demonstrations on their first scale.
fn demonstration_ratings(material: &Material, person: Id) -> Vec<(&Judgement, f64)> {
    let mut ratings = Vec::new();
    for judgement in material.judgements.iter().filter(|judgement| judgement.kind == TaskKind::Review) {
        let is_theirs = material.answers(judgement.task).iter().any(|id| material.authors.get(id) == Some(&person));
        if let (true, Body::Review { fields, .. }) = (is_theirs, &judgement.body) {
            let number = |value: &FieldValue| match value {
                FieldValue::Number(number) => Some(*number as f64),
                _ => None,
            };
            ratings.extend(fields.values().find_map(number).map(|number| (judgement, number)));
        }
    }
    ratings
}

pub(super) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    (!values.is_empty()).then(|| statistics::bootstrap::quantile(&values, 0.5))
}
