//! What a report is made of: evaluations, training runs, best-of-n samples, judgements.

use super::best_of_n::{self, BestOfN};
use super::calibration::RewardAccuracy;
use super::duels::Fought;
use super::judgement::Judgement;
use super::origin;
use super::role::Role;
use crate::EvalError;
use crate::duel;
use crate::result::{self, Evaluation};
use run::config::Layers;
use run::{Lineage, PpoConfig, RunFolder};
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// What a report is made of.
#[derive(Clone, Debug, Default)]
pub struct Material {
    /// In the order of the columns.
    pub evaluations: Vec<Evaluation>,
    /// Training runs.
    pub runs: Vec<TrainingRun>,
    /// What `helpmate reject` sampled.
    pub best_of_n: Vec<BestOfN>,
    /// What `helpmate eval duel` left.
    pub duels: Vec<Fought>,
    /// What people, or models in their place, said.
    pub judgements: Vec<Judgement>,
    /// The model that win rates are against; else the SFT model, else the first.
    pub baseline: Option<String>,
    /// What models are, where it is said instead of told by their runs: name and role.
    pub roles: Vec<(String, Role)>,
    /// Groups of labelers whose judgements no model was trained on.
    pub held_out_groups: Vec<String>,
}

/// A training run as it stands, done or not.
#[derive(Clone, Debug, Serialize)]
pub struct TrainingRun {
    /// The end of its path.
    pub name: String,
    /// Its folder.
    pub path: PathBuf,
    /// Where it comes from.
    pub lineage: Lineage,
    /// The coefficient of the pretraining mix; absent where nothing was mixed in, or the stage isn't PPO.
    pub mix: Option<f64>,
    /// Whether an SFT run saw nothing but rows that templates worded. Its files are looked at where they still hold what
    /// they held then.
    pub templates: bool,
    /// Rollouts of an iteration, of PPO.
    pub rollouts: Option<usize>,
    /// How right the reward model is that it made.
    pub accuracy: Option<RewardAccuracy>,
    /// The lines of `metrics.jsonl`.
    #[serde(skip)]
    pub metrics: Vec<Map<String, Value>>,
    /// The lines of `evaluations.jsonl`.
    #[serde(skip)]
    pub evaluations: Vec<Map<String, Value>>,
}

impl Material {
    /// Adds what a folder holds: an evaluation, a training run (or its `final/`), a duel, or what `helpmate reject` wrote.
    pub fn add(&mut self, folder: &Path) -> Result<(), EvalError> {
        let run = if folder.ends_with("final") { folder.parent().unwrap_or(folder) } else { folder };
        if folder.join(result::FILE).is_file() {
            self.evaluations.push(Evaluation::read(folder)?);
        } else if is_run(run) {
            self.runs.push(TrainingRun::read(run)?);
        } else if folder.join(duel::FILE).is_file() {
            let (record, pairs) = duel::Record::read(folder)?;
            self.duels.push(Fought { record, pairs });
        } else if folder.join("reject.json").is_file() {
            self.best_of_n.push(best_of_n::read(folder)?);
        } else {
            let problem = "found none of evaluation.json, lineage.json with config.toml (a training run), duel.json and \
                           reject.json";
            return Err(EvalError::NotAnEvaluation { path: folder.to_path_buf(), problem: problem.to_owned() });
        }
        Ok(())
    }
}

/// Names that occur twice are told apart by the folder above.
pub(super) fn name_apart(runs: &mut [TrainingRun]) {
    let names: Vec<String> = runs.iter().map(|run| run.name.clone()).collect();
    for run in runs.iter_mut().filter(|run| names.iter().filter(|name| **name == run.name).count() > 1) {
        if let Some(above) = run.path.parent().and_then(Path::file_name) {
            run.name = format!("{}/{}", above.to_string_lossy(), run.name);
        }
    }
}

fn is_run(folder: &Path) -> bool {
    folder.join("lineage.json").is_file() && folder.join("config.toml").is_file()
}

impl TrainingRun {
    /// Reads a run's folder.
    pub fn read(folder: &Path) -> Result<TrainingRun, EvalError> {
        let damaged =
            |error: run::RunError| EvalError::Damaged { path: folder.to_path_buf(), problem: error.to_string() };
        let lineage: Lineage = run::folder::read_json(&folder.join("lineage.json")).map_err(damaged)?;
        let (mut mix, mut rollouts) = (None, None);
        if lineage.stage == "ppo" {
            let (path, text) = RunFolder::saved_config(folder).map_err(damaged)?;
            let config = Layers::new().saved::<PpoConfig>(&path, &text).and_then(Layers::resolve::<PpoConfig>);
            let ppo = config.map_err(|error| damaged(error.into()))?.config.ppo;
            mix = (!ppo.ptx.0.is_empty()).then_some(ppo.ptx_coefficient);
            rollouts = Some(ppo.rollout_batch * ppo.samples_per_prompt);
        }
        let lines = |name: &str| run::metrics::read_lines(&folder.join(name)).map_err(damaged);
        let accuracy = folder.join("accuracy.json");
        let accuracy = accuracy.is_file().then(|| run::folder::read_json(&accuracy).map_err(damaged)).transpose()?;
        let name = folder.file_name().map_or_else(|| lineage.stage.clone(), |name| name.to_string_lossy().into_owned());
        Ok(TrainingRun {
            name,
            path: folder.to_path_buf(),
            mix,
            templates: lineage.stage == "sft" && origin::all_templates(&lineage.data, folder),
            rollouts,
            accuracy,
            metrics: lines("metrics.jsonl")?,
            evaluations: lines("evaluations.jsonl")?,
            lineage,
        })
    }

    /// `(step, value)` of a number in `metrics.jsonl`.
    pub(super) fn over_steps(&self, key: &str) -> Vec<(f64, f64)> {
        over_steps(&self.metrics, key)
    }
}

/// `(step, value)` of each line that has the key.
pub(super) fn over_steps(lines: &[Map<String, Value>], key: &str) -> Vec<(f64, f64)> {
    lines.iter().filter_map(|line| Some((line.get("step")?.as_f64()?, line.get(key)?.as_f64()?))).collect()
}
