//! Rejection sampling (Llama 2, arXiv 2307.09288, §3.2.3): of n answers to each prompt the one with the highest reward
//! becomes a demonstration. In rounds, the model that made the answers is fine-tuned on the best of this and all
//! earlier rounds, and asked again.
//!
//! An answer that did not end by itself is never taken: as a demonstration it would be given an end that the model
//! didn't write.
mod round;

pub use round::{Best, Report, Round, Sampled, round};

use crate::event::{Event, Sink};
use crate::scorer::Scorer;
use crate::{Outcome, TrainError};
use kernels::Device;
use kernels::linear::Precision;
use model::{LoadOptions, Model, Trainable};
use record::Prompt;
use render::Renderer;
use run::lineage::Hashed;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use stdx::PendingFolder;

/// What is sampled, and how. Stands in the run as `reject.json`; a resumed run must have the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The model that the first round asks.
    pub model: Hashed,
    /// Files of prompts.
    pub prompts: Vec<Hashed>,
    /// What rewards, by its name.
    pub reward: String,
    /// Answers a prompt.
    pub n: usize,
    /// Rounds.
    pub rounds: usize,
    /// Most tokens of an answer.
    pub max_new_tokens: usize,
    /// Divides the logits.
    pub temperature: f32,
    /// Seed of every random stream; rounds draw from streams of their own.
    pub seed: u64,
    /// Answers generated together at most.
    pub batch: usize,
}

/// Everything that comes from outside.
pub struct Request<'a> {
    /// What is sampled.
    pub settings: Settings,
    /// The prompts, in order.
    pub prompts: &'a [Prompt],
    /// The run directory.
    pub out: &'a Path,
    /// Continue the run that stands there.
    pub resume: bool,
    /// What computes.
    pub device: &'a Device,
    /// Arithmetic of sampling.
    pub precision: Precision,
    /// Tokenizer and template of the model; fine-tuned ones have the same.
    pub renderer: &'a Renderer,
    /// Set from outside: stop.
    pub stop: &'a AtomicBool,
}

/// Fine-tunes the model on the first path on the files and writes a run: `helpmate sft`.
pub type FineTune<'a> = dyn FnMut(&Path, &[PathBuf], &Path, &mut dyn Sink) -> Result<Outcome, TrainError> + 'a;

/// How it ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// All rounds are done.
    Finished {
        /// The reports of the rounds.
        reports: Vec<Report>,
        /// The demonstrations of each round.
        demonstrations: Vec<PathBuf>,
        /// The model that the last round's fine-tuning made, when there was any.
        model: Option<PathBuf>,
    },
    /// Stopped from outside: `--resume` repeats what was begun and not finished.
    Interrupted {
        /// Rounds whose answers stand.
        rounds: usize,
    },
}

/// Runs the rounds. Without `fine_tune` there is one, and nothing is trained.
pub fn run(
    request: &Request<'_>,
    scorer: &mut dyn Scorer,
    mut fine_tune: Option<&mut FineTune<'_>>,
    sink: &mut dyn Sink,
) -> Result<Ended, TrainError> {
    open(request)?;
    let mut model = request.settings.model.path.clone();
    let (mut reports, mut demonstrations, mut trained) = (Vec::new(), Vec::new(), None);
    for index in 1..=request.settings.rounds {
        let folder = request.out.join(format!("round-{index}"));
        let Some(report) = finished_or_sampled(request, index, &model, &folder, scorer, sink)? else {
            return Ok(Ended::Interrupted { rounds: reports.len() });
        };
        reports.push(report);
        demonstrations.push(folder.join("demonstrations.jsonl"));
        if let Some(fine_tune) = &mut fine_tune {
            let out = request.out.join(format!("round-{index}-sft"));
            match fine_tune(&model, &demonstrations, &out, sink)? {
                Outcome::Finished(summary) => model = summary.model,
                Outcome::Interrupted { .. } => return Ok(Ended::Interrupted { rounds: reports.len() }),
            }
            trained = Some(model.clone());
        }
    }
    Ok(Ended::Finished { reports, demonstrations, model: trained })
}

/// A new run, or an old one with the same settings.
fn open(request: &Request<'_>) -> Result<(), TrainError> {
    let path = request.out.join("reject.json");
    if request.resume {
        let before: Settings = run::folder::read_json(&path)?;
        return refuse_changes(&before, &request.settings);
    }
    let occupied = std::fs::read_dir(request.out).is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        let found = format!("{} holds files", request.out.display());
        return Err(TrainError::Option { key: "--out", found, expected: "an empty or absent folder, or --resume" });
    }
    let text = serde_json::to_string_pretty(&request.settings).unwrap_or_default();
    std::fs::create_dir_all(request.out).map_err(stdx::FileError::at(request.out, "create"))?;
    Ok(stdx::write_file(&path, (text + "\n").as_bytes())?)
}

/// Paths may differ where contents agree.
fn refuse_changes(before: &Settings, now: &Settings) -> Result<(), TrainError> {
    let contents = |settings: &Settings| {
        let prompts: Vec<String> = settings.prompts.iter().map(|file| file.hash.clone()).collect();
        let nowhere = Hashed { path: PathBuf::new(), hash: settings.model.hash.clone() };
        (prompts, Settings { model: nowhere, prompts: Vec::new(), ..settings.clone() })
    };
    if contents(before) == contents(now) {
        return Ok(());
    }
    let found = serde_json::to_string(now).unwrap_or_default();
    Err(TrainError::Option {
        key: "--resume",
        found,
        expected: "the settings in reject.json, which the run began with",
    })
}

/// The report of a round that stands, or of one sampled now; `None` when interrupted.
fn finished_or_sampled(
    request: &Request<'_>,
    index: usize,
    model: &Path,
    folder: &Path,
    scorer: &mut dyn Scorer,
    sink: &mut dyn Sink,
) -> Result<Option<Report>, TrainError> {
    if folder.join("report.json").exists() {
        sink.event(&Event::Notice(format!("round {index}: its answers stand already")));
        return Ok(Some(run::folder::read_json(&folder.join("report.json"))?));
    }
    let load = LoadOptions { precision: request.precision, trainable: Trainable::Nothing, scalar_head: false };
    let model = Model::load(request.device, model, &load)?;
    let Some(round) = round(request, index, &model, scorer)? else {
        return Ok(None);
    };
    let pending = PendingFolder::new(folder)?;
    let write = |name: &str, text: String| stdx::write_file(&pending.path().join(name), text.as_bytes());
    write("samples.jsonl", lines(&round.samples))?;
    write("demonstrations.jsonl", lines(&round.best))?;
    write("report.json", serde_json::to_string_pretty(&round.report).unwrap_or_default() + "\n")?;
    pending.publish()?;
    if round.best.is_empty() {
        return Err(TrainError::NothingToLearn {
            what: folder.display().to_string(),
            found: "no answer ended by itself".into(),
            expected: "at least one: more max_new_tokens, or a model that has learnt to stop",
        });
    }
    Ok(Some(round.report))
}

fn lines(rows: &[impl Serialize]) -> String {
    rows.iter().map(|row| serde_json::to_string(row).unwrap_or_default() + "\n").collect()
}
