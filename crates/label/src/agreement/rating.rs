//! Agreement on a project's questions: scales, yes-or-no, choices, and the verdicts of reviews.

use serde::Serialize;

use super::material::Material;
use super::question::{Unit, of_units};
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
