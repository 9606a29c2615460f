//! What the tests of the stages share: a model folder, rows, a run.
#![allow(dead_code, clippy::unwrap_used, clippy::result_large_err)]
use kernels::Device;
use render::Renderer;
use run::{DpoConfig, Layers, PretrainConfig, RmConfig, RunFolder, SftConfig, StageConfig};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use train::{Event, Options, Outcome, Program, Score, Sink, Summary, TrainError};

/// `tests/conformance` of the repository.
pub fn conformance(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance").join(name)
}

/// A place with a tiny model and rows, where runs are made.
pub struct Bench {
    pub dir: TempDir,
    pub model: PathBuf,
    pub data: PathBuf,
    pub held_out: PathBuf,
}

/// What a run did.
pub struct Ran {
    pub outcome: Outcome,
    pub events: Vec<Event>,
    pub out: PathBuf,
}

/// How one is called.
#[derive(Default)]
pub struct Call<'a> {
    pub sets: &'a [&'a str],
    pub resume: bool,
    /// Ask to stop when this step was done.
    pub stop_after: Option<u64>,
    /// Ask to stop when the held-out rows are to be judged after this step.
    pub stop_judging: Option<u64>,
    pub score: Option<&'a Score<'a>>,
}

impl Bench {
    /// The conformance model and its four rows, which are also held out.
    pub fn conformance() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let data = conformance("sft.jsonl");
        Bench { dir, model: conformance("tiny-policy"), held_out: data.clone(), data }
    }

    /// A conformance model and its rows, which are also held out.
    pub fn of(model: &str, data: &str) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let data = conformance(data);
        Bench { dir, model: conformance(model), held_out: data.clone(), data }
    }

    /// The tiny byte-level model with these rows, the last of which is held out.
    pub fn with_rows(rows: &[&str]) -> Bench {
        let bench = Bench::bytes();
        let (last, train) = rows.split_last().unwrap();
        std::fs::write(&bench.data, train.join("\n")).unwrap();
        std::fs::write(&bench.held_out, last).unwrap();
        bench
    }

    /// A tiny byte-level model and a few rows.
    pub fn bytes() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("model");
        std::fs::create_dir(&model).unwrap();
        testkit::write_tiny_model(&model, 1);
        let data = dir.path().join("train.jsonl");
        let rows = [
            r#"{"prompt": "one and one", "completion": " two", "source": "human"}"#,
            r#"{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}], "source": "model"}"#,
            r#"{"prompt": "red and blue", "completion": " purple", "source": "human"}"#,
            r#"{"prompt": "a", "completion": " b c d e f"}"#,
            r#"{"prompt": "up", "completion": " down", "source": "human"}"#,
        ];
        std::fs::write(&data, rows.join("\n")).unwrap();
        let held_out = dir.path().join("held-out.jsonl");
        std::fs::write(&held_out, "{\"prompt\": \"one and two\", \"completion\": \" three\"}\n").unwrap();
        Bench { dir, model, data, held_out }
    }

    pub fn out(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `helpmate sft` into `name`.
    pub fn sft(&self, name: &str, call: Call) -> Result<Ran, TrainError> {
        self.stage::<SftConfig>(name, call, train::sft::run)
    }

    /// `helpmate pretrain` into `name`.
    pub fn pretrain(&self, name: &str, call: Call) -> Result<Ran, TrainError> {
        self.stage::<PretrainConfig>(name, call, train::pretrain::run)
    }

    /// `helpmate rm` into `name`.
    pub fn rm(&self, name: &str, call: Call) -> Result<Ran, TrainError> {
        self.stage::<RmConfig>(name, call, train::reward::run)
    }

    /// `helpmate dpo` into `name`, its cache in `cache`.
    pub fn dpo(&self, name: &str, call: Call) -> Result<Ran, TrainError> {
        let cache = self.out("cache");
        self.stage::<DpoConfig>(name, call, |options, sink| train::preference::run(options, Some(&cache), sink))
    }

    fn stage<C: StageConfig>(
        &self,
        name: &str,
        call: Call,
        stage: impl Fn(Options<'_, C>, &mut dyn Sink) -> Result<Outcome, TrainError>,
    ) -> Result<Ran, TrainError> {
        let out = self.out(name);
        let mut layers = Layers::new();
        if call.resume {
            let (path, text) = RunFolder::saved_config(&out)?;
            layers = layers.saved::<C>(&path, &text)?;
        }
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        layers = layers.option::<C>("--model", "model.path", text(&self.model))?;
        layers = layers.option::<C>("--data", "data.train", text(&self.data))?;
        layers = layers.option::<C>("--eval-data", "data.eval", text(&self.held_out))?;
        for set in call.sets {
            layers = layers.set::<C>(set)?;
        }
        let renderer = Renderer::open(&self.model, None).unwrap();
        let stop = AtomicBool::new(false);
        let options = Options {
            config: layers.resolve()?,
            out: out.clone(),
            resume: call.resume,
            device: Device::detect(Some(2)),
            renderer: &renderer,
            source: None,
            stop: &stop,
            score: call.score,
            program: Program::default(),
        };
        let mut events = Vec::new();
        let outcome = stage(options, &mut |event: &Event| {
            let step = match event {
                Event::Started { step, .. } => Some(*step),
                Event::Step(progress) => Some(progress.step),
                _ => None,
            };
            let judged = match event {
                Event::Evaluating { step } => Some(*step),
                _ => None,
            };
            if step.is_some() && step == call.stop_after || judged.is_some() && judged == call.stop_judging {
                stop.store(true, Ordering::Relaxed);
            }
            events.push(event.clone());
        })?;
        Ok(Ran { outcome, events, out })
    }
}

impl Ran {
    pub fn summary(&self) -> &Summary {
        match &self.outcome {
            Outcome::Finished(summary) => summary,
            other => panic!("expected a finished run, found {other:?}"),
        }
    }

    /// The values of a key in `metrics.jsonl`.
    pub fn metric(&self, key: &str) -> Vec<f64> {
        self.lines("metrics.jsonl").iter().map(|line| line[key].as_f64().unwrap()).collect()
    }

    pub fn lines(&self, file: &str) -> Vec<Map<String, Value>> {
        run::metrics::read_lines(&self.out.join(file)).unwrap()
    }

    /// A JSON file of the run.
    pub fn json(&self, file: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.out.join(file)).unwrap()).unwrap()
    }

    /// The bytes of the published weights.
    pub fn weights(&self) -> Vec<u8> {
        std::fs::read(self.out.join("final/model.safetensors")).unwrap()
    }

    pub fn notices(&self) -> Vec<&str> {
        let events = self.events.iter();
        events
            .filter_map(|event| match event {
                Event::Notice(text) => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }
}
