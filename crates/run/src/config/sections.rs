//! The sections of a config file. The documentation of each key is what `--help` and the reference print.
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A key of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
}

/// A section: its name and keys, in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// As in `[name]`.
    pub name: &'static str,
    /// Its keys.
    pub fields: &'static [Field],
}

/// Declares a section: the struct, its defaults and the list of its keys with their documentation.
macro_rules! section {
    ($(#[doc = $about:literal])* $name:ident, $toml:literal {
        $($(#[doc = $help:literal])+ $field:ident : $type:ty = $default:expr,)*
    }) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name { $($(#[doc = $help])+ pub $field: $type,)* }

        impl Default for $name {
            fn default() -> Self { Self { $($field: $default,)* } }
        }

        impl $name {
            /// Its name and keys.
            pub const SECTION: Section = Section {
                name: $toml,
                fields: &[$(Field { name: stringify!($field), help: concat!($($help),+) }),*],
            };
        }
    };
}
pub(super) use section;

/// Arithmetic of the linear layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// bf16 where the processor has bf16 dot products, else f32.
    #[default]
    Auto,
    /// bf16 operands, f32 accumulation and f32 master weights.
    Bf16,
    /// f32 throughout.
    F32,
}

/// How weights are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// As the parent model's `config.json` says (`dtype`); f32 when it doesn't.
    #[default]
    Auto,
    /// 32 bit.
    F32,
    /// bfloat16.
    Bf16,
    /// IEEE half.
    F16,
}

/// How the frozen base of a LoRA run is held in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaseDtype {
    /// In the run's precision.
    #[default]
    Auto,
    /// Blocks of 32 eight-bit weights with a scale: half the memory of bf16.
    Q8_0,
}

/// Low-rank adapters (arXiv 2106.09685).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraSection {
    /// Rank of the update.
    pub rank: usize,
    /// The update is scaled by alpha/rank; twice the rank unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// Linear layers by their last name (`q_proj`, …), or `all-linear`.
    #[serde(default = "all_linear")]
    pub targets: Vec<String>,
    /// How the base is held.
    #[serde(default)]
    pub base: BaseDtype,
}

fn all_linear() -> Vec<String> {
    vec!["all-linear".into()]
}

/// What to do with a row longer than `max_length`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OverLength {
    /// Leave it out and count it.
    #[default]
    Drop,
    /// Stop before training.
    Error,
    /// Cut it and count it; the cut end gets no EOS.
    Truncate,
}

/// Which tokens carry loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossOn {
    /// The completion, or every assistant turn.
    #[default]
    Completion,
    /// Every token but the first.
    All,
}

/// How the learning rate moves after warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Stays.
    Constant,
    /// Falls in a line to `min_lr_ratio`.
    Linear,
    /// Falls in half a cosine to `min_lr_ratio`.
    #[default]
    Cosine,
}

/// Which weights become `final/`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choose {
    /// The last.
    #[default]
    Last,
    /// The checkpoint with the lowest held-out loss.
    HeldOutLoss,
    /// The checkpoint with the highest score of `score_command` (InstructGPT picks by reward-model score).
    Score,
}

/// One path or several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "OneOrMany", into = "Vec<PathBuf>")]
pub struct Paths(pub Vec<PathBuf>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a path or a list of paths")]
enum OneOrMany {
    One(PathBuf),
    Many(Vec<PathBuf>),
}

impl From<OneOrMany> for Paths {
    fn from(given: OneOrMany) -> Paths {
        Paths(match given {
            OneOrMany::One(path) => vec![path],
            OneOrMany::Many(paths) => paths,
        })
    }
}

impl From<Paths> for Vec<PathBuf> {
    fn from(paths: Paths) -> Vec<PathBuf> {
        paths.0
    }
}

section! {
    /// `[model]`: what is trained, and in which arithmetic.
    ModelSection, "model" {
        /// Model folder or GGUF file to start from (`--model`).
        path: Option<PathBuf> = None,
        /// Arithmetic of the linear layers: "auto", "bf16" or "f32".
        dtype: Precision = Precision::Auto,
        /// How weights are written: "auto" (as the parent), "f32", "bf16" or "f16".
        save_dtype: Dtype = Dtype::Auto,
        /// Train low-rank adapters only: { rank, alpha, targets, base = "auto" | "q8_0" }.
        lora: Option<LoraSection> = None,
        /// Keep only each layer's input and recompute the rest in the backward pass: less memory, about a third more time.
        checkpoint_activations: bool = false,
        /// Residual dropout probability.
        dropout: f64 = 0.0,
    }
}

section! {
    /// `[data]`: what it learns from.
    DataSection, "data" {
        /// Training files (`--data`).
        train: Paths = Paths::default(),
        /// Held-out files (`--eval-data`).
        eval: Paths = Paths::default(),
        /// Without held-out files: the share of training prompts that is held out (a prompt never straddles).
        eval_fraction: f64 = 0.0,
        /// Longest sequence in tokens.
        max_length: usize = 1024,
        /// What to do with longer ones: "drop", "error" or "truncate".
        over_length: OverLength = OverLength::Drop,
        /// Put several sequences into a micro-batch (attention stays inside each); false: one at a time.
        packing: bool = true,
        /// Compute a prompt once for all its completions.
        shared_prefix: bool = true,
        /// Which tokens carry loss: "completion" or "all".
        loss_on: LossOn = LossOn::Completion,
        /// NEFTune's noise on the embeddings (arXiv 2310.05914); 0 is off, 5 is the paper's.
        neftune_alpha: f64 = 0.0,
        /// Chat template to use instead of the model's own (`--chat-template`).
        chat_template: Option<PathBuf> = None,
        /// Count broken rows instead of stopping at the first (`--skip-bad`).
        skip_bad: bool = false,
    }
}

section! {
    /// `[optimizer]`: AdamW and its learning rate.
    OptimizerSection, "optimizer" {
        /// Highest learning rate.
        lr: f64 = 1e-5,
        /// Adam's decay rates.
        betas: [f64; 2] = [0.9, 0.95],
        /// Adam's epsilon.
        eps: f64 = 1e-8,
        /// Decoupled weight decay, on matrices only.
        weight_decay: f64 = 0.0,
        /// Gradients are scaled down to this global norm; 0 is off.
        max_grad_norm: f64 = 1.0,
        /// After warm-up: "constant", "linear" or "cosine".
        schedule: Schedule = Schedule::Cosine,
        /// Steps in which the learning rate rises from 0 to lr.
        warmup_steps: u64 = 0,
        /// Where "linear" and "cosine" end, as a share of lr.
        min_lr_ratio: f64 = 0.1,
    }
}

section! {
    /// `[train]`: how long, how much at a time, what is kept.
    TrainSection, "train" {
        /// Passes over the data; 1 when max_steps isn't given either.
        epochs: Option<u64> = None,
        /// Optimizer steps.
        max_steps: Option<u64> = None,
        /// Rows an optimizer step.
        batch_size: usize = 8,
        /// Most tokens run through the model at once; a batch is split to fit.
        micro_tokens: usize = 2048,
        /// Seed of every random stream.
        seed: u64 = 0,
        /// Steps between checkpoints; 0: one at the end only.
        save_every: u64 = 500,
        /// How many of the newest checkpoints stay; 0: all.
        keep_checkpoints: usize = 2,
        /// Steps between held-out losses (before the first step and after the last there is always one); 0: only those.
        eval_every: u64 = 0,
        /// New order every epoch.
        shuffle: bool = true,
        /// Decay of an exponential moving average of the weights, which then becomes the model (InstructGPT: 0.992).
        ema: Option<f64> = None,
        /// Which weights become final/: "last", "held_out_loss" or "score".
        choose: Choose = Choose::Last,
        /// For choose = "score": a command that gets a model folder as its last argument and prints a number, more is better.
        score_command: Option<String> = None,
        /// Also write metrics.csv.
        csv: bool = false,
        /// Also write a TensorBoard event file.
        tensorboard: bool = false,
    }
}
