//! Models and runs for the report's own tests.

use super::{Material, Report, TrainingRun};
use crate::Estimate;
use crate::item::{Answer, Sample};
use crate::metric::{Metric, Score};
use crate::result::{Evaluation, ItemResult, ModelResult, SubjectFacts, TaskResult};
use record::Prompt;
use run::Lineage;
use run::lineage::{DeviceNote, Hashed, SourceNote};

const METRIC: Metric = Metric::higher("prompt_loose", "");

/// A model that gets the first `right` of `n` items right.
pub fn model(name: &str, hash: &str, n: usize, right: usize) -> ModelResult {
    let value = |i: usize| f64::from(u8::from(i < right));
    let item = |i: usize| ItemResult {
        id: format!("item-{i}"),
        slice: None,
        about: Default::default(),
        cluster: None,
        prompt: Some(Prompt::Text(format!("Question <{i}>?"))),
        scores: vec![Score::of("prompt_loose", value(i))],
        answer: Answer::Completions {
            samples: vec![Sample {
                text: format!("answer of {name} & co"),
                tokens: 3,
                ended: true,
                entropies: Vec::new(),
                divergence: None,
            }],
        },
    };
    let scores: Vec<(f64, f64)> = (0..n).map(|i| (value(i), 1.0)).collect();
    ModelResult {
        model: SubjectFacts {
            name: name.into(),
            path: format!("runs/{name}"),
            identity: "0123456789abcdef".into(),
            tokenizer: "t".into(),
            arithmetic: "F32".into(),
            chat: true,
            primer: String::new(),
            parameters: None,
            mix: None,
            templates: false,
            lineage: serde_json::json!({"stage": "sft"}),
        },
        tasks: vec![TaskResult {
            task: "instructions".into(),
            version: 1,
            settings: serde_json::Value::Null,
            items_hash: hash.into(),
            n_items: n,
            n_too_long: 0,
            sources: [("model".to_owned(), n)].into(),
            notes: vec!["read <this>".into()],
            n_cached: 0,
            seconds: 1.0,
            estimates: vec![Estimate::new(&METRIC, &scores)],
            slices: Default::default(),
            items: (0..n).map(item).collect(),
        }],
    }
}

/// An evaluation of these.
pub fn evaluation(models: Vec<ModelResult>) -> Evaluation {
    Evaluation { helpmate: "0".into(), models }
}

/// A report of these alone.
pub fn report(models: Vec<ModelResult>) -> Report {
    let material = Material { evaluations: vec![evaluation(models)], ..Material::default() };
    Report::new("helpmate eval report x".into(), material).unwrap()
}

/// A lineage of a stage that began as this.
pub fn lineage(stage: &str, parent: Hashed) -> Lineage {
    Lineage {
        stage: stage.into(),
        parent,
        source: SourceNote::default(),
        tokenizer: "t".into(),
        data: vec![Hashed { path: "data.jsonl".into(), hash: "feedfacecafebeef".into() }],
        held_out: Vec::new(),
        chat_template: None,
        seed: 5,
        device: DeviceNote { isa: "portable".into(), threads: 2, precision: "f32".into() },
        version: "0".into(),
        git_revision: None,
        command_line: Vec::new(),
        started: "2026-01-02T03:04:05Z".into(),
    }
}

/// A training run with these lines of metrics.
pub fn run(stage: &str, name: &str, metrics: &[String]) -> TrainingRun {
    TrainingRun {
        name: name.into(),
        path: format!("runs/{name}").into(),
        lineage: lineage(stage, Hashed { path: "base".into(), hash: "0".into() }),
        mix: None,
        templates: false,
        rollouts: None,
        accuracy: None,
        metrics: metrics.iter().map(|line| serde_json::from_str(line).unwrap()).collect(),
        evaluations: Vec::new(),
    }
}
