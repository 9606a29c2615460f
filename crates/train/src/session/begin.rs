//! How a session begins, or goes on.
use super::{Session, Settings, Supervised};
use crate::answers::Answers;
use crate::average::Average;
use crate::evaluation::Material;
use crate::event::{Event, Sink};
use crate::options::Options;
use crate::order::Order;
use crate::readout::ReadoutToken;
use crate::scorer::SCALAR_HEAD;
use crate::state::{self, TrainerState};
use crate::{TrainError, memory};
use kernels::Device;
use kernels::device::Isa;
use kernels::linear::Precision;
use model::{AdamWConfig, Dtype, LoadOptions, LoraConfig, Model, Noise, Optimizer, Trainable, Workspace, weights};
use run::config::{self, BaseDtype, ConfigError, LoraSection, TrainSection};
use run::lineage::{self, DeviceNote, Hashed, Lineage};
use run::metrics::{JsonLines, Metrics};
use run::{Checkpoint, Layers, RunError, RunFolder, SourceNote};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Instant;
use stdx::Seed;

/// What the parent says about itself before it is loaded.
pub struct Parent {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// `config.json`.
    config: Value,
    /// Number of weights.
    parameters: u64,
    /// Whether it has a scalar head already.
    has_scalar_head: bool,
}

impl Parent {
    /// Opens the model that the config names and checks config and tokenizer against it: sequences may not be longer
    /// than its positions, token ids not beyond its embedding.
    pub fn open<C: Supervised>(options: &mut Options<'_, C>, sink: &mut dyn Sink) -> Result<Parent, TrainError> {
        let (model, data, ..) = options.config.config.sections();
        let missing = ConfigError::Missing { key: "model.path", hint: "give --model M" };
        let path = model.path.clone().ok_or(missing)?;
        let max_length = data.max_length;
        let checkpoint = weights::open(&path)?;
        let shapes = checkpoint.tensors.names().into_iter().filter_map(|name| checkpoint.tensors.shape(&name));
        let parameters = shapes.map(|shape| shape.iter().product::<usize>() as u64).sum();
        let has_scalar_head = checkpoint.tensors.shape(SCALAR_HEAD).is_some();
        let parent = Parent { path, config: checkpoint.config, parameters, has_scalar_head };
        if let Some(positions) = parent.number(&["max_position_embeddings", "n_positions"])
            && max_length > positions
        {
            if options.config.is_given("data.max_length") && !options.resume {
                return Err(TrainError::Config(ConfigError::OutOfRange {
                    key: "data.max_length",
                    found: max_length.to_string(),
                    origin: options.config.origin("data.max_length"),
                    expected: "no more than the model's positions (max_position_embeddings)",
                }));
            }
            options.config.config.data_mut().max_length = positions;
            sink.event(&Event::Notice(format!("data.max_length is {positions}: the model has no more positions")));
        }
        let tokenizer = options.renderer.tokenizer().vocab_size();
        match parent.number(&["vocab_size"]) {
            Some(embedding) if tokenizer > embedding => Err(TrainError::Vocabulary { tokenizer, embedding }),
            _ => Ok(parent),
        }
    }

    /// Rows of its embedding.
    pub(crate) fn vocabulary(&self) -> usize {
        self.number(&["vocab_size"]).unwrap_or(0)
    }

    fn number(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.config.get(name)?.as_u64()).map(|n| n as usize)
    }

    /// The type of its weights, as `config.json` says it.
    fn dtype(&self) -> Option<Dtype> {
        let name = self.config.get("dtype").or_else(|| self.config.get("torch_dtype"))?.as_str()?;
        match name.trim_start_matches("torch.") {
            "float32" => Some(Dtype::F32),
            "bfloat16" => Some(Dtype::Bf16),
            "float16" => Some(Dtype::F16),
            _ => None,
        }
    }

    /// "auto": f32 weights are trained in f32; others in bf16 where the processor multiplies bf16.
    pub(crate) fn precision(&self, asked: config::Precision, device: &Device) -> Precision {
        match asked {
            config::Precision::F32 => Precision::F32,
            config::Precision::Bf16 => Precision::Bf16,
            config::Precision::Auto if self.dtype() == Some(Dtype::F32) => Precision::F32,
            config::Precision::Auto if device.isa >= Isa::Avx512Bf16 => Precision::Bf16,
            config::Precision::Auto => Precision::F32,
        }
    }

    /// "auto": as the parent; if it doesn't say, f32.
    fn save_dtype(&self, asked: config::Dtype) -> Dtype {
        match asked {
            config::Dtype::F32 => Dtype::F32,
            config::Dtype::Bf16 => Dtype::Bf16,
            config::Dtype::F16 => Dtype::F16,
            config::Dtype::Auto => self.dtype().unwrap_or(Dtype::F32),
        }
    }
}

impl<'a> Session<'a> {
    /// Opens or creates the run, loads the model, and goes to where the last checkpoint stands.
    pub fn begin<C: Supervised>(
        options: &'a Options<'a, C>,
        parent: &Parent,
        data: &'a dyn Material,
        sink: &mut dyn Sink,
    ) -> Result<Session<'a>, TrainError> {
        let (model_section, _, optimizer_section, train) = options.config.config.sections();
        let seed = Seed(train.seed);
        let precision = parent.precision(model_section.dtype, &options.device);
        let source = match &options.source {
            Some(note) => note.clone(),
            None => SourceNote::of(&parent.path)?.unwrap_or_default(),
        };
        sink.event(&Event::Data(data.report().clone()));
        if data.report().held_out_prompts_in_train > 0 {
            let n = data.report().held_out_prompts_in_train;
            sink.event(&Event::Notice(format!("{n} held-out rows have a prompt that is also trained on")));
        }

        let available = memory::available();
        let readout = data.readout();
        let alone = readout.is_some_and(|readout| readout.alone);
        let lora = model_section.lora.is_some() || alone;
        memory::check_size(&parent.path, parent.parameters, lora, available)?;
        let lineage = lineage(options, parent, data, &source, precision)?;
        let folder = open_folder(options, &lineage, sink)?;
        folder.write_json("data.json", data.report())?;
        let checkpoint = newest_checkpoint(&folder, options.resume, sink)?;

        let trainable = if alone { Trainable::Readout } else { trainable(model_section.lora.as_ref()) };
        let load = LoadOptions { precision, trainable, scalar_head: data.scalar_head() };
        let mut model = match readout {
            Some(ReadoutToken { token, .. }) => Model::load_with_token(&options.device, &parent.path, &load, token)?,
            None => Model::load(&options.device, &parent.path, &load)?,
        };
        if let Some(ReadoutToken { token, like: Some(like), .. }) = readout {
            model.init_token(token.token_id, like);
        }
        if data.scalar_head() && !parent.has_scalar_head {
            let mut stream = seed.stream("scalar head", 0);
            model.init_scalar_head(&mut || stream.normal());
        }
        if model_section.lora.is_some() {
            let mut stream = seed.stream("adapters", 0);
            model.init_adapters(&mut || stream.normal());
        }
        let budget = options.config.config.sections().1.packing.then_some(train.micro_tokens);
        let micro_tokens = micro_tokens(data, budget, train);
        let plan = model.memory_plan(micro_tokens, model_section.checkpoint_activations, true);
        let average_bytes = if train.ema.is_some() { 4 * model.trainable().len() as u64 } else { 0 };
        let available = memory::available();
        sink.event(&Event::Memory { plan, average: average_bytes, available });
        memory::check(plan, average_bytes, available, lora)?;

        let adamw = AdamWConfig {
            beta1: optimizer_section.betas[0] as f32,
            beta2: optimizer_section.betas[1] as f32,
            epsilon: optimizer_section.eps as f32,
            weight_decay: optimizer_section.weight_decay as f32,
        };
        let mut optimizer = Optimizer::new(&model, adamw);
        let mut average = train.ema.map(|decay| Average { decay, values: model.trainable().to_vec() });
        let mut state = TrainerState { seed: train.seed, ..TrainerState::default() };
        if let Some(checkpoint) = &checkpoint {
            state = restore(checkpoint, &mut model, &mut optimizer, average.as_mut())?;
        }

        let steps_per_epoch = Order::new(data.n_rows(), train.batch_size, None).steps_per_epoch();
        let steps = match (train.max_steps, train.epochs) {
            (Some(steps), _) => steps,
            (None, epochs) => epochs.unwrap_or(1) * steps_per_epoch,
        };
        let (parameters, n_trainable) = model.parameter_counts();
        let precision = precision_name(precision);
        sink.event(&Event::Started { step: state.step, steps, parameters, trainable: n_trainable, precision });
        let path = folder.path();
        // Lines of steps that are done again go, and of the step whose held-out rows are yet to be judged.
        let last = state.step - u64::from(state.unfinished.is_some());
        if state.step == 0 {
            forget(path)?; // a start that was stopped before its first checkpoint
        }
        let mut workspace = Workspace::default();
        workspace.checkpoint_activations = model_section.checkpoint_activations;
        Ok(Session {
            gradients: model.new_gradients(),
            workspace,
            beside: super::Beside::default(),
            metrics: Metrics::open(path, last, train.csv, train.tensorboard)?,
            evaluations: JsonLines::open(&path.join("evaluations.jsonl"), last)?,
            answers: match data.asked() {
                [] => None,
                rows => Some(Answers::open(path, last, rows, options.renderer)?),
            },
            choices: JsonLines::open(&path.join("choices.jsonl"), last)?,
            saved: checkpoint.map(|checkpoint| checkpoint.step),
            evaluated: None,
            here: (0, 0.0),
            clock: Instant::now(),
            renderer: options.renderer,
            stop: options.stop,
            score: options.score,
            settings: Settings {
                optimizer: optimizer_section.clone(),
                train: train.clone(),
                save_dtype: parent.save_dtype(model_section.save_dtype),
                noise: Noise {
                    dropout: model_section.dropout as f32,
                    neftune_alpha: options.config.config.sections().1.neftune_alpha as f32,
                    seed: 0,
                },
                budget,
            },
            model,
            optimizer,
            average,
            state,
            steps,
            steps_per_epoch,
            folder,
            data,
            source,
        })
    }
}

/// Tokens of the largest micro-batch: no more than the budget, nor than a whole batch of the largest rows.
pub(crate) fn micro_tokens(data: &dyn Material, budget: Option<usize>, train: &TrainSection) -> usize {
    let largest = data.largest().max(1);
    let batch_tokens = largest.saturating_mul(train.batch_size);
    budget.unwrap_or(0).min(batch_tokens).max(largest)
}

/// Removes the lines of an earlier start that left nothing to go on from.
fn forget(path: &Path) -> Result<(), TrainError> {
    for name in ["metrics.jsonl", "evaluations.jsonl", "choices.jsonl", "samples.jsonl"] {
        let path = path.join(name);
        if path.exists() {
            std::fs::remove_file(&path).map_err(stdx::FileError::at(&path, "remove"))?;
        }
    }
    Ok(())
}

/// Shuffling by the run's seed, or none.
pub fn shuffle(train: &TrainSection) -> Option<Seed> {
    train.shuffle.then_some(Seed(train.seed))
}

pub(crate) fn trainable(lora: Option<&LoraSection>) -> Trainable {
    match lora {
        None => Trainable::Everything,
        Some(section) => Trainable::Lora {
            lora: LoraConfig {
                rank: section.rank,
                alpha: section.alpha.unwrap_or(2.0 * section.rank as f64) as f32,
                targets: section.targets.clone(),
            },
            base_q8: section.base == BaseDtype::Q8_0,
        },
    }
}

fn precision_name(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "f32",
        Precision::Bf16 => "bf16",
    }
}

fn lineage<C: Supervised>(
    options: &Options<'_, C>,
    parent: &Parent,
    data: &dyn Material,
    source: &SourceNote,
    precision: Precision,
) -> Result<Lineage, TrainError> {
    let (_, data_section, _, train) = options.config.config.sections();
    let chat_template = match &data_section.chat_template {
        Some(path) => Some(stdx::hash::file(path)?),
        None => None,
    };
    Ok(Lineage {
        stage: C::STAGE.into(),
        parent: Hashed::of(&parent.path)?,
        source: source.clone(),
        tokenizer: options.renderer.tokenizer().content_hash(),
        data: data.files(),
        held_out: data.held_out_files(),
        chat_template,
        seed: train.seed,
        device: DeviceNote {
            isa: format!("{:?}", options.device.isa).to_lowercase(),
            threads: options.device.pool.threads(),
            precision: precision_name(precision).into(),
        },
        version: options.program.version.clone(),
        git_revision: options.program.git_revision.clone(),
        command_line: options.program.command_line.clone(),
        started: lineage::now(),
    })
}

/// A new run, or an old one after everything that must not have changed was compared.
fn open_folder<C: Supervised>(
    options: &Options<'_, C>,
    lineage: &Lineage,
    sink: &mut dyn Sink,
) -> Result<RunFolder, TrainError> {
    let config = options.config.to_toml();
    if !options.resume {
        return Ok(RunFolder::create(&options.out, &config, lineage)?);
    }
    let (path, text) = RunFolder::saved_config(&options.out)?;
    let folder = RunFolder::open(&options.out)?;
    let started = Layers::new().saved::<C>(&path, &text)?.resolve::<C>()?;
    options.config.check_resumes(&started)?;
    folder.check_lineage(lineage)?;
    let (now, before) = (&lineage.device, folder.lineage()?.device);
    if *now != before {
        let (isa, threads) = (&before.isa, before.threads);
        let started = format!("the run was started on {isa} with {threads} threads");
        sink.event(&Event::Notice(format!("{started}: going on here, the last bits of its numbers may differ")));
    }
    if text != config {
        folder.write_config(&config)?;
    }
    Ok(folder)
}

fn newest_checkpoint(folder: &RunFolder, resume: bool, sink: &mut dyn Sink) -> Result<Option<Checkpoint>, TrainError> {
    let (checkpoint, notices) = folder.latest_checkpoint()?;
    for notice in notices {
        sink.event(&Event::Notice(notice));
    }
    if resume && checkpoint.is_none() {
        sink.event(&Event::Notice("no whole checkpoint yet: starting from the beginning".into()));
    }
    Ok(checkpoint)
}

fn restore(
    checkpoint: &Checkpoint,
    model: &mut Model,
    optimizer: &mut Optimizer,
    average: Option<&mut Average>,
) -> Result<TrainerState, TrainError> {
    let counters: TrainerState = run::folder::read_json(&checkpoint.path.join(state::COUNTERS))?;
    if counters.step != checkpoint.step {
        let (path, found) = (checkpoint.path.join(state::COUNTERS), counters.step);
        let message = format!("step {found}, expected {}", checkpoint.step);
        return Err(TrainError::Run(RunError::Damaged { path, message }));
    }
    let n = model.trainable().len();
    let mut wanted = vec![("weights", n), ("first_moment", n), ("second_moment", n)];
    wanted.extend(average.as_ref().map(|_| ("average", n)));
    let mut arrays = state::read_arrays(&checkpoint.path.join(state::ARRAYS), &wanted)?.into_iter();
    let mut next = || arrays.next().unwrap_or_default();
    model.set_trainable(&next());
    optimizer.first_moment = next();
    optimizer.second_moment = next();
    optimizer.step = counters.step;
    if let Some(average) = average {
        average.values = next();
    }
    Ok(counters)
}

/// Reads a JSON-lines file of the run as `T`.
pub(super) fn read_as<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<T>, TrainError> {
    let lines = run::metrics::read_lines(path)?;
    let parsed = lines.into_iter().map(|line| serde_json::from_value(Value::Object(line)));
    parsed
        .collect::<Result<_, _>>()
        .map_err(|error| TrainError::Run(RunError::Damaged { path: path.to_path_buf(), message: error.to_string() }))
}
