//! The last touch to a reward model: where 0 is, how its scores spread, and how right it is.
use super::padding::Padding;
use super::{report, scores};
use crate::event::{Event, Sink};
use crate::ranked::Ranked;
use crate::{Options, TrainError, readout, tree};
use kernels::linear::Precision;
use model::{LoadOptions, Model, Trainable, Workspace};
use objective::reward::Loss;
use record::{Demonstration, Kind, Message, Prompt, Record};
use render::{Renderer, Tree};
use run::RmConfig;
use run::lineage::Hashed;
use serde_json::{Map, Value, json};
use std::path::Path;
use stdx::{FileError, Seed};

/// Demonstrations whose mean reward becomes 0; may be none.
#[derive(Default)]
pub(super) struct Demonstrations {
    trees: Vec<Tree>,
    pub files: Vec<Hashed>,
}

impl Demonstrations {
    /// Reads `rm.demonstrations`. Those longer than `data.max_length` are left out, with a notice.
    pub fn read(
        config: &RmConfig,
        renderer: &Renderer,
        readout: Option<u32>,
        sink: &mut dyn Sink,
    ) -> Result<Demonstrations, TrainError> {
        let paths = &config.rm.demonstrations.0;
        if paths.is_empty() {
            return Ok(Demonstrations::default());
        }
        let skip_bad = config.data.skip_bad;
        let options = corpus::Options { skip_bad, ..corpus::Options::of_kinds(&[Kind::Demonstration]) };
        let dataset = corpus::read_rows(paths, &options)?;
        let mut trees = Vec::new();
        let mut left_out = 0;
        for (row, origin) in &dataset.rows {
            let Some((prompt, completion)) = last_answer(&row.record) else {
                left_out += 1;
                continue;
            };
            let rendered = renderer.tree(&prompt, &[&completion]);
            let rendered = rendered.map_err(|source| TrainError::Render { origin: origin.clone(), source })?;
            let read = tree::trimmed(rendered).map(|tree| tree::with_readout(tree, readout));
            let fitting = read.filter(|tree| tree::longest_path(tree) <= config.data.max_length);
            left_out += usize::from(fitting.is_none());
            trees.extend(fitting);
        }
        if left_out > 0 {
            let text = format!("{left_out} demonstrations are left out: too long, or without an answer");
            sink.event(&Event::Notice(text));
        }
        if trees.is_empty() {
            let what = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
            let found = format!("{left_out} demonstrations, none usable");
            return Err(TrainError::NothingToLearn { what, found, expected: "at least one within data.max_length" });
        }
        let files = dataset.files.into_iter().map(|file| Hashed { path: file.path, hash: file.blake3 }).collect();
        Ok(Demonstrations { trees, files })
    }

    fn scores(&self, model: &Model, budget: usize, workspace: &mut Workspace) -> Vec<f64> {
        let mut scores = Vec::with_capacity(self.trees.len());
        for group in tree::groups(&self.trees, Some(budget), |tree| tree::n_tokens(tree, true)) {
            let (batch, request) = tree::scalars(group, true);
            scores.extend(model.forward(&batch, &request, workspace).scalars.into_iter().map(f64::from));
        }
        scores
    }
}

/// A demonstration as a question and its answer: of a conversation, the last.
fn last_answer(record: &Record) -> Option<(Prompt, String)> {
    match record {
        Record::Demonstration(Demonstration::Completion { prompt, completion }) => {
            Some((prompt.clone(), completion.clone()))
        }
        Record::Demonstration(Demonstration::Conversation { messages }) => {
            let last = messages.iter().rposition(|message: &Message| message.role == record::Role::Assistant)?;
            Some((Prompt::Messages(messages[..last].to_vec()), messages[last].content.clone()))
        }
        _ => None,
    }
}

/// What is needed to finish a reward model.
pub(super) struct Finishing<'a> {
    /// The reference set: held-out rows, or without them the training rows.
    pub rows: &'a [Ranked],
    pub held_out: bool,
    pub demonstrations: &'a Demonstrations,
    pub padding: &'a Padding,
    pub loss: &'a Loss,
    pub options: &'a Options<'a, RmConfig>,
    /// The token that rewards are read at, where it is one of its own.
    pub readout: Option<u32>,
    pub precision: Precision,
}

impl Finishing<'_> {
    /// Scores with the weights as they were written, sets the bias so that demonstrations average 0 (arXiv 2203.02155,
    /// §C.2), notes mean and deviation, and writes the report `accuracy.json` into the run.
    pub fn complete(&self, folder: &Path) -> Result<(), TrainError> {
        let RmConfig { data, train, rm, .. } = &self.options.config.config;
        let load = LoadOptions { precision: self.precision, trainable: Trainable::Nothing, scalar_head: true };
        let model = Model::load(&self.options.device, folder, &load)?;
        let mut workspace = Workspace::default();
        let rows: Vec<&Ranked> = self.rows.iter().collect();
        let budget = data.packing.then_some(train.micro_tokens);
        let mut scored = scores(&model, &rows, rm.margin, budget, data.shared_prefix, &mut workspace);
        let of_demonstrations = self.demonstrations.scores(&model, train.micro_tokens, &mut workspace);
        let shift = mean(&of_demonstrations).unwrap_or(0.0);
        for score in scored.iter_mut().flat_map(|prompt| &mut prompt.scores) {
            *score -= shift;
        }
        let all: Vec<f64> = scored.iter().flat_map(|prompt| prompt.scores.iter().copied()).collect();
        let center = mean(&all).unwrap_or(0.0);
        let variance = mean(&all.iter().map(|score| (score - center).powi(2)).collect::<Vec<_>>()).unwrap_or(0.0);
        let bias = f64::from(model.config().reward_bias) - shift;
        edit(&folder.join("config.json"), |config| {
            config.insert("reward_bias".into(), json!(bias));
            config.insert("reward_mean".into(), json!(center));
            config.insert("reward_std".into(), json!(variance.sqrt()));
            readout::describe(config, self.readout);
        })?;
        self.write_padding(folder)?;

        let mut report = report::of(self.rows, &scored, Seed(train.seed));
        report.loss = self.loss.loss(&scored)?.loss;
        report.held_out = self.held_out;
        report.reward_bias = bias;
        report.reward_mean = center;
        report.reward_std = variance.sqrt();
        let text = format!("{:#}\n", serde_json::to_value(&report).unwrap_or_default());
        Ok(stdx::write_file(&self.options.out.join("accuracy.json"), text.as_bytes())?)
    }

    /// Tokenizer and generation config name the same padding as `config.json`.
    fn write_padding(&self, folder: &Path) -> Result<(), TrainError> {
        edit(&folder.join("generation_config.json"), |config| {
            config.insert("pad_token_id".into(), json!(self.padding.id));
        })?;
        if let Some(token) = &self.padding.token {
            edit(&folder.join("tokenizer_config.json"), |config| {
                config.insert("pad_token".into(), json!(token));
            })?;
        }
        Ok(())
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Changes a JSON file of a folder that isn't published yet.
fn edit(path: &Path, change: impl FnOnce(&mut Map<String, Value>)) -> Result<(), TrainError> {
    let mut object: Map<String, Value> = run::folder::read_json(path)?;
    change(&mut object);
    let text = format!("{:#}\n", Value::Object(object));
    std::fs::write(path, text).map_err(FileError::at(path, "write"))?;
    Ok(())
}
