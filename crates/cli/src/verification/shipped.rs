//! The files of `tests/conformance`, which ship inside the binary, and runs of the training stages on them.

use crate::error::{CommandError, of_file};
use crate::training;
use kernels::Device;
use kernels::linear::Precision;
use model::{LoadOptions, Model, Trainable};
use render::Renderer;
use run::{Layers, StageConfig};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use train::{Options, Outcome, Sink, TrainError};

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../../../../tests/conformance/", $name)))),*]
    };
}

const FILES: [(&str, &[u8]); 18] = shipped![
    "kwise.json",
    "ppo.json",
    "preferences-dpo.jsonl",
    "preferences-rm.jsonl",
    "rankings.jsonl",
    "refs.json",
    "sft.jsonl",
    "tiny-policy/config.json",
    "tiny-policy/generation_config.json",
    "tiny-policy/model.safetensors",
    "tiny-policy/tokenizer.json",
    "tiny-policy/tokenizer_config.json",
    "tiny-reference/config.json",
    "tiny-reference/model.safetensors",
    "tiny-reward/config.json",
    "tiny-reward/model.safetensors",
    "tiny-reward/tokenizer.json",
    "tiny-reward/tokenizer_config.json",
];

/// A temporary folder with the files, where runs are made.
pub struct Shipped {
    folder: TempDir,
    /// What computes.
    pub device: Device,
}

/// What a run left: lines of `metrics.jsonl`, and its folder for the rest.
pub struct Ran {
    /// A line a step.
    pub metrics: Vec<Map<String, Value>>,
    out: PathBuf,
}

/// The settings of every run here: f32, rows in their order, as PyTorch's were made.
const SETTINGS: [&str; 4] =
    ["model.dtype=f32", "optimizer.lr=1e-3", "optimizer.schedule=constant", "train.shuffle=false"];

impl Shipped {
    /// Writes the files.
    pub fn write(device: &Device) -> Result<Shipped, CommandError> {
        let failed = |error| CommandError::input(format!("temporary folder: {error}"));
        let shipped = Shipped { folder: tempfile::tempdir().map_err(failed)?, device: device.clone() };
        for (name, content) in FILES {
            shipped.put(name, content)?;
        }
        // one tokenizer for both
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            let (from, to) = (shipped.path("tiny-policy").join(name), shipped.path("tiny-reference").join(name));
            std::fs::copy(&from, &to).map_err(of_file(&to))?;
        }
        Ok(shipped)
    }

    /// Where a file is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Adds a file.
    pub fn put(&self, name: &str, content: &[u8]) -> Result<(), CommandError> {
        let path = self.path(name);
        let folder = path.parent().unwrap_or(self.folder.path());
        std::fs::create_dir_all(folder).map_err(of_file(folder))?;
        std::fs::write(&path, content).map_err(of_file(&path))
    }

    /// A JSON file.
    pub fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, CommandError> {
        let path = self.path(name);
        let text = std::fs::read(&path).map_err(of_file(&path))?;
        serde_json::from_slice(&text).map_err(|error| CommandError::input(format!("{name}: {error}")))
    }

    /// The rows of a JSONL file.
    pub fn rows<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, CommandError> {
        let path = self.path(name);
        let text = std::fs::read_to_string(&path).map_err(of_file(&path))?;
        let row = |line: &str| serde_json::from_str(line);
        text.lines().map(row).collect::<Result<_, _>>().map_err(|error| CommandError::input(format!("{name}: {error}")))
    }

    /// A language model in f32.
    pub fn model(&self, name: &str) -> Result<Model, CommandError> {
        let options = LoadOptions { precision: Precision::F32, trainable: Trainable::Nothing, scalar_head: false };
        Ok(Model::load(&self.device, &self.path(name), &options)?)
    }

    /// The loop that a training command runs, with its config: `places` are keys that name files of this folder.
    pub fn run<C: StageConfig>(
        &self,
        name: &str,
        places: &[(&str, &str)],
        settings: &[&str],
        stage: impl FnOnce(Options<'_, C>, &mut dyn Sink) -> Result<Outcome, TrainError>,
    ) -> Result<Ran, CommandError> {
        let mut layers = Layers::new();
        for (key, place) in places {
            layers = layers.option::<C>("verify", key, self.path(place).to_string_lossy().into_owned())?;
        }
        for setting in SETTINGS.iter().chain(settings) {
            layers = layers.set::<C>(setting)?;
        }
        let model = places.iter().find(|(key, _)| *key == "model.path").map_or("tiny-policy", |(_, place)| place);
        let renderer = Renderer::open(&self.path(model), None)?;
        let out = self.path(&format!("run {name}"));
        let options = training::options(layers.resolve()?, &out, false, self.device.clone(), &renderer, None);
        stage(options, &mut |_: &train::Event| {})?;
        Ok(Ran { metrics: lines(&out, "metrics.jsonl")?, out })
    }
}

impl Ran {
    /// The lines of another file of the run.
    pub fn lines(&self, file: &str) -> Result<Vec<Map<String, Value>>, CommandError> {
        lines(&self.out, file)
    }
}

fn lines(out: &Path, file: &str) -> Result<Vec<Map<String, Value>>, CommandError> {
    Ok(run::metrics::read_lines(&out.join(file))?)
}
