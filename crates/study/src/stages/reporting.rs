//! The report of what was measured.
use super::Work;
use crate::error::StudyError;
use crate::report::{Comparison, Measured, Report, Subject};
use crate::study::CONTENDERS;
use crate::{curves, page};
use run::SourceNote;
use serde_json::Value;

/// Questions that the report shows with every model's answer, of each slice at most.
const SHOWN_OF_SLICE: usize = 2;

impl Work<'_> {
    /// Writes `report.json` and `report.html`.
    pub fn report(&mut self) -> Result<Report, StudyError> {
        let study = self.study;
        let (measured, examples) = self.measured()?;
        let comparison = Comparison::new(&*study.domain, &measured, study.plan.resamples, study.plan.seed);
        let note = SourceNote::of(&study.base)?.unwrap_or_default();
        let base = if note.source.is_empty() { study.base_name.clone() } else { note.source };
        let subject = |contender: &crate::study::Contender| Subject {
            key: contender.key.to_owned(),
            name: contender.name.to_owned(),
            what: contender.what.to_owned(),
            path: study.model(contender).display().to_string(),
        };
        let device = &study.device;
        let report = Report {
            version: study.program.version.clone(),
            git_revision: study.program.git_revision.clone(),
            domain: study.domain.name().to_owned(),
            summary: study.domain.summary(),
            base,
            base_note: note.note,
            base_hash: self.base.clone(),
            base_parameters: crate::asking::load(device, &study.base)?.parameter_counts().0,
            plan: study.plan.clone(),
            device: format!("{:?}, {} threads", device.isa, device.pool.threads()),
            models: CONTENDERS.iter().map(subject).collect(),
            questions: comparison.questions(),
            measures: comparison.lines()?,
            slices: comparison.slices()?,
            question: study.domain.example().text,
            examples,
            samples: samples(&measured),
            reward_model: self.accuracy()?,
            stages: self.ledger.stages().iter().map(|(name, entry)| (name.clone(), entry.seconds)).collect(),
            limits: study.domain.limits(),
            reproduce: study.reproduce.clone(),
        };
        let damaged = |error: serde_json::Error| StudyError::Damaged {
            path: study.place("report.json"),
            message: error.to_string(),
        };
        let text = serde_json::to_string_pretty(&report).map_err(damaged)?;
        stdx::write_file(&study.place("report.json"), format!("{text}\n").as_bytes())?;
        let curves = curves::Curves::read(&study.out)?;
        stdx::write_file(&study.place("report.html"), page::page(&report, &curves).as_bytes())?;
        Ok(report)
    }

    /// What the reward model's run found about it.
    fn accuracy(&self) -> Result<Value, StudyError> {
        let path = self.study.place("rm/accuracy.json");
        if !path.exists() {
            return Ok(Value::Null);
        }
        Ok(run::folder::read_json(&path)?)
    }
}

/// The first questions of each slice, with every model's first answer.
fn samples(measured: &[Measured]) -> Vec<Vec<crate::Answer>> {
    let Some(first) = measured.first() else { return Vec::new() };
    let mut shown = std::collections::BTreeMap::<&str, usize>::new();
    let mut samples = Vec::new();
    for answer in first.answers.iter().filter(|answer| answer.sample == 0) {
        let count = shown.entry(&answer.slice).or_default();
        if *count < SHOWN_OF_SLICE {
            *count += 1;
            let same =
                |of: &Measured| of.answers.iter().find(|other| other.id == answer.id && other.sample == 0).cloned();
            samples.push(measured.iter().filter_map(same).collect());
        }
    }
    samples
}
