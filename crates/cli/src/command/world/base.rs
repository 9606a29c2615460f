//! `helpmate world base`: a shipped base model from nothing.

use crate::error::{CommandError, of_file};
use crate::training::{self, Drawing};
use crate::{bases, interrupt, output};
use ::world::World;
use clap::Args;
use kernels::linear::Precision;
use kernels::{Device, Isa};
use model::{Dtype, LoadOptions, Model, Trainable};
use run::{Layers, PretrainConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use stdx::{Seed, hash};
use train::Summary;

/// Special tokens of a base: end of text, the two of ChatML, padding. They get the ids 0 to 3.
const SPECIALS: [&str; 4] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"];
/// Held-out documents are taken from here on, where no recipe's training documents reach.
const HELD_OUT_FROM: u64 = 1 << 40;

/// Make a base model of the small world from nothing
///
/// Writes the world's text, trains a tokenizer on it, draws random weights, and pretrains as the recipe says. The model
/// stands in OUT/base in bf16, beside it what it was made from, its loss curve and its hashes. The same recipe, seed,
/// instruction set and number of threads give the same bytes.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate world base world-0.5m --out runs/base")]
pub struct Base {
    /// A shipped base (world-0.5m, world-2m, world-8m), or a recipe file
    #[arg(value_name = "NAME|FILE")]
    recipe: String,
    /// Folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Continue the training in --out from its last checkpoint
    #[arg(long)]
    resume: bool,
    /// Threads; every core when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

/// A recipe: everything that a base follows from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    world: WorldRecipe,
    tokenizer: TokenizerRecipe,
    model: ModelRecipe,
    /// The sections of a config of `helpmate pretrain`.
    pretrain: toml::Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorldRecipe {
    seed: u64,
    /// Documents to train on.
    documents: u64,
    held_out_documents: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenizerRecipe {
    vocab_size: usize,
    /// Documents that the tokenizer learns from, the first ones.
    documents: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelRecipe {
    /// Seed of the random weights.
    seed: u64,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    max_position_embeddings: usize,
    rope_theta: f64,
    initializer_range: f64,
}

impl Recipe {
    /// The sections of `helpmate pretrain`'s config, as a config file has them.
    fn sections(&self) -> Result<String, CommandError> {
        toml::to_string(&self.pretrain).map_err(CommandError::usage)
    }

    /// What the linear layers multiply in: as the recipe says, else bf16 where the processor does that fast.
    fn precision(&self, device: &Device) -> &'static str {
        let asked = self.pretrain.get("model").and_then(|section| section.get("dtype")).and_then(toml::Value::as_str);
        match asked {
            Some("f32") => "f32",
            Some("bf16") => "bf16",
            _ if device.isa >= Isa::Avx512Bf16 => "bf16",
            _ => "f32",
        }
    }
}

/// What came out, beside the model as `result.json`.
#[derive(Serialize)]
struct Made {
    parameters: usize,
    steps: u64,
    tokens: u64,
    held_out_loss: f64,
    held_out_tokens: u64,
    precision: &'static str,
    /// Seconds in optimizer steps, on whatever else the machine was doing.
    seconds: u64,
    text_blake3: String,
    held_out_blake3: String,
    tokenizer_blake3: String,
}

impl Base {
    pub fn run(self) -> Result<(), CommandError> {
        let (recipe_path, text) = bases::recipe(&self.recipe)?;
        let recipe: Recipe = toml::from_str(&text)
            .map_err(|error| CommandError::usage(format!("{}: {error}", recipe_path.display())))?;
        let device = Device::detect(self.threads.map(usize::from));
        let precision = recipe.precision(&device);
        let files = Files::write(&self.out, &recipe, self.resume)?;
        let start = self.out.join("start");
        let parameters = write_start(&start, &recipe, &files, &device)?;
        let layers = Layers::new().file::<PretrainConfig>(&recipe_path, &recipe.sections()?)?;
        let summary = self.pretrain(layers, &files, &start, device, precision)?;
        let made = made(&summary, &files, parameters, precision)?;
        let base = self.out.join("base");
        publish(&base, &summary, &self.out.join("run"), &text, &made)?;
        output::path(&base)
    }

    fn pretrain(
        &self,
        layers: Layers,
        files: &Files,
        start: &Path,
        device: Device,
        precision: &'static str,
    ) -> Result<Box<Summary>, CommandError> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let layers = layers
            .option::<PretrainConfig>("recipe", "model.path", path(start))?
            .option::<PretrainConfig>("recipe", "model.dtype", precision)?
            .option::<PretrainConfig>("recipe", "model.save_dtype", "bf16")?
            .option::<PretrainConfig>("recipe", "data.train", vec![path(&files.text)])?
            .option::<PretrainConfig>("recipe", "data.eval", vec![path(&files.held_out)])?;
        let renderer = crate::loading::open_renderer(start, None)?;
        let run = self.out.join("run");
        interrupt::listen()?;
        let mut drawing = Drawing::new();
        let options = training::options(layers.resolve()?, &run, self.resume, device, &renderer, None);
        let outcome = train::pretrain::run(options, &mut |event: &train::Event| drawing.event(event));
        drawing.finish();
        training::conclude(outcome?, &self.out)
    }
}

/// The text and the tokenizer of a recipe, as files.
struct Files {
    text: PathBuf,
    held_out: PathBuf,
    tokenizer: String,
}

impl Files {
    fn write(out: &Path, recipe: &Recipe, is_resumed: bool) -> Result<Files, CommandError> {
        let folder = out.join("data");
        if out.join("run").exists() && !is_resumed {
            return Err(CommandError::usage(format!("--out {}: a base was begun there", out.display()))
                .hint("name another folder, or go on with --resume"));
        }
        std::fs::create_dir_all(&folder).map_err(of_file(&folder))?;
        let (text, held_out) = (folder.join("text.jsonl"), folder.join("held-out.jsonl"));
        let world = World::new(recipe.world.seed);
        let texts = world.texts();
        let write = |path: &Path, from: u64, count: u64| {
            stdx::atomic::write_file_with(path, |file| {
                (from..from + count).try_for_each(|index| {
                    let row = json!({"text": texts.document(index)});
                    writeln!(file, "{row}")
                })
            })
        };
        write(&text, 0, recipe.world.documents)?;
        write(&held_out, HELD_OUT_FROM, recipe.world.held_out_documents)?;
        let sample = (0..recipe.tokenizer.documents).map(|index| texts.document(index)).collect::<Vec<_>>();
        let specials = SPECIALS.map(str::to_string);
        let tokenizer = render::train_bpe(sample.into_iter(), recipe.tokenizer.vocab_size, &specials)?;
        Ok(Files { text, held_out, tokenizer: tokenizer.to_json().to_string() })
    }
}

/// Writes the model folder that training starts from; the number of its weights.
fn write_start(folder: &Path, recipe: &Recipe, files: &Files, device: &Device) -> Result<usize, CommandError> {
    std::fs::create_dir_all(folder).map_err(of_file(folder))?;
    let options = LoadOptions { precision: Precision::F32, trainable: Trainable::Nothing, scalar_head: false };
    let mut stream = Seed(recipe.model.seed).stream("base weights", 0);
    let config = config(recipe);
    let model = Model::random(device, config, &options, &mut || stream.normal())?;
    model.save(folder, Dtype::F32)?;
    let tokenizer_config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": SPECIALS[0],
        "pad_token": SPECIALS[3],
        "clean_up_tokenization_spaces": false,
    });
    stdx::write_file(&folder.join("tokenizer.json"), files.tokenizer.as_bytes())?;
    stdx::write_file(&folder.join("tokenizer_config.json"), format!("{tokenizer_config:#}\n").as_bytes())?;
    let tensors = model::weights::open(folder)?.tensors;
    let shapes = tensors.names().into_iter().filter_map(|name| tensors.shape(&name));
    Ok(shapes.map(|shape| shape.iter().product::<usize>()).sum())
}

/// `config.json` of a recipe.
fn config(recipe: &Recipe) -> Value {
    let model = &recipe.model;
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": recipe.tokenizer.vocab_size,
        "hidden_size": model.hidden_size,
        "intermediate_size": model.intermediate_size,
        "num_hidden_layers": model.num_hidden_layers,
        "num_attention_heads": model.num_attention_heads,
        "num_key_value_heads": model.num_key_value_heads,
        "head_dim": model.hidden_size / model.num_attention_heads.max(1),
        "hidden_act": "silu",
        "max_position_embeddings": model.max_position_embeddings,
        "rms_norm_eps": 1e-5,
        "rope_theta": model.rope_theta,
        "initializer_range": model.initializer_range,
        "tie_word_embeddings": true,
        "attention_bias": false,
        "mlp_bias": false,
        "bos_token_id": null,
        "eos_token_id": 0,
        "pad_token_id": 3,
        "dtype": "float32",
    })
}

fn made(summary: &Summary, files: &Files, parameters: usize, precision: &'static str) -> Result<Made, CommandError> {
    let after = summary.after.as_ref().ok_or_else(|| CommandError::input("the run measured no held-out loss"))?;
    Ok(Made {
        parameters,
        steps: summary.steps,
        tokens: summary.tokens,
        held_out_loss: after.held_out_loss,
        held_out_tokens: after.held_out_tokens,
        precision,
        seconds: summary.seconds.round() as u64,
        text_blake3: hash::file(&files.text)?,
        held_out_blake3: hash::file(&files.held_out)?,
        tokenizer_blake3: hash::bytes(files.tokenizer.as_bytes()),
    })
}

/// The model with its recipe, its loss curve and what is known of it, as it ships.
fn publish(base: &Path, summary: &Summary, run: &Path, recipe: &str, made: &Made) -> Result<(), CommandError> {
    std::fs::create_dir_all(base).map_err(of_file(base))?;
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        let from = summary.model.join(file);
        std::fs::copy(&from, base.join(file)).map_err(of_file(&from))?;
    }
    stdx::write_file(&base.join("recipe.toml"), recipe.as_bytes())?;
    stdx::write_file(&base.join("loss.csv"), loss_curve(run)?.as_bytes())?;
    let made = serde_json::to_string_pretty(made).map_err(CommandError::input)?;
    stdx::write_file(&base.join("result.json"), format!("{made}\n").as_bytes())?;
    Ok(())
}

/// `step,tokens,loss,held_out_loss` of every tenth step and of those with a held-out loss.
fn loss_curve(run: &Path) -> Result<String, CommandError> {
    let mut curve = String::from("step,tokens,loss,held_out_loss\n");
    for line in run::metrics::read_lines(&run.join("metrics.jsonl"))? {
        let number = |key: &str| line.get(key).and_then(Value::as_f64);
        let (Some(step), Some(tokens), Some(loss)) = (number("step"), number("tokens"), number("loss")) else {
            continue;
        };
        let held_out = number("held_out_loss").map(|loss| format!("{loss:.4}"));
        if step % 10.0 == 0.0 || held_out.is_some() {
            curve.push_str(&format!("{step},{tokens},{loss:.4},{}\n", held_out.unwrap_or_default()));
        }
    }
    Ok(curve)
}
