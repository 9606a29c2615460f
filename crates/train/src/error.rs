//! Why a stage can't begin or go on.
use model::ModelError;
use model::memory::MemoryPlan;
use render::RenderError;
use run::{ConfigError, RunError};
use std::io::ErrorKind;
use std::path::PathBuf;

/// An error of a training stage.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The config is wrong (exit code 2).
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The run directory can't be used.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The data can't be read.
    #[error(transparent)]
    Corpus(#[from] corpus::CorpusError),
    /// The data can't be split.
    #[error(transparent)]
    Split(#[from] corpus::split::SplitError),
    /// The model can't be read or written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A loss of that name or with these options doesn't exist (exit code 2).
    #[error(transparent)]
    Objective(#[from] objective::Error),
    /// Rewards can't be had.
    #[error(transparent)]
    Score(#[from] crate::scorer::ScoreError),
    /// Nothing can be generated.
    #[error(transparent)]
    Generate(#[from] generate::GenerateError),
    /// A row contradicts itself.
    #[error("{origin}: {message}")]
    BadRow {
        /// File and line.
        origin: corpus::Origin,
        /// Found and expected.
        message: String,
    },
    /// An option that these rows leave without effect, or that this model can't do (exit code 2).
    #[error("`{key}`: {found}, expected {expected}")]
    Option {
        /// The key.
        key: &'static str,
        /// What is there.
        found: String,
        /// What must be.
        expected: &'static str,
    },
    /// A row can't become tokens.
    #[error("{origin}: {source}")]
    Render {
        /// File and line.
        origin: corpus::Origin,
        /// Why.
        source: RenderError,
    },
    /// A row is longer than `data.max_length` and `data.over_length` is "error".
    #[error("{origin}: {length} tokens, expected at most {max_length} (data.max_length)")]
    OverLength {
        /// File and line.
        origin: corpus::Origin,
        /// Its tokens.
        length: usize,
        /// The limit.
        max_length: usize,
    },
    /// There is nothing to learn from.
    #[error("{what}: {found}, expected {expected}")]
    NothingToLearn {
        /// The files.
        what: String,
        /// What is there.
        found: String,
        /// What must be.
        expected: &'static str,
    },
    /// The tokenizer is not the model's.
    #[error("tokenizer: {tokenizer} tokens, expected at most the {embedding} rows of the model's embedding")]
    Vocabulary {
        /// Entries of the tokenizer.
        tokenizer: usize,
        /// Rows of the embedding.
        embedding: usize,
    },
    /// The plan doesn't fit.
    #[error(
        "training needs {} more memory and {} can be had (gradients {}, optimizer {}, average {}, activations {}, head {})",
        gigabytes(*needed), gigabytes(*available), gigabytes(plan.gradients), gigabytes(plan.optimizer),
        gigabytes(*average), gigabytes(plan.activations), gigabytes(plan.head)
    )]
    Memory {
        /// Bytes still to be had: everything but the weights, which are loaded.
        needed: u64,
        /// Bytes there are.
        available: u64,
        /// The moving average's.
        average: u64,
        /// The model's plan.
        plan: MemoryPlan,
        /// Whether only adapters train.
        lora: bool,
    },
    /// The model fits, but not with what the stage holds beside it.
    #[error("training needs {} more memory and {} can be had ({parts})", gigabytes(*needed), gigabytes(*available))]
    MemoryBeside {
        /// Bytes still to be had.
        needed: u64,
        /// Bytes there are.
        available: u64,
        /// What they are for.
        parts: String,
        /// Whether only adapters train.
        lora: bool,
    },
    /// The model alone doesn't fit.
    #[error("{}: {parameters} parameters need at least {} to train and {} can be had", path.display(), gigabytes(*needed), gigabytes(*available))]
    TooLarge {
        /// The model.
        path: PathBuf,
        /// Its parameters.
        parameters: u64,
        /// Bytes for weights, gradients and moments.
        needed: u64,
        /// Bytes there are.
        available: u64,
        /// Whether only adapters train.
        lora: bool,
    },
    /// A number stopped being one.
    #[error("step {step}: {what} is {value}; the weights of step {} were the last good ones", step - 1)]
    Diverged {
        /// The step that could not be done.
        step: u64,
        /// "loss" or "gradient norm".
        what: &'static str,
        /// NaN or infinite.
        value: f64,
        /// The last checkpoint, which stands untouched.
        checkpoint: Option<PathBuf>,
    },
    /// The policy moved too far from its reference (`ppo.kl_budget`).
    #[error("iteration {step}: the KL to the reference is {kl:.3} nats a rollout, the budget {budget}")]
    KlBudget {
        /// Iterations done.
        step: u64,
        /// Mean over rollouts.
        kl: f64,
        /// `ppo.kl_budget`.
        budget: f64,
        /// The checkpoint, from which the run can go on.
        checkpoint: PathBuf,
    },
    /// The sampler's log-probabilities are not the trainer's.
    #[error("sampled and recomputed log-probabilities differ by {gap:.2e} nats, expected at most {bound:.0e}")]
    SamplerGap {
        /// Largest difference.
        gap: f64,
        /// What is allowed.
        bound: f64,
    },
    /// A reward model changed while it was only to be read.
    #[error("{}: the reward model was changed {place} during the run: {before}, now {after}", path.display())]
    RewardChanged {
        /// Its folder.
        path: PathBuf,
        /// "on disk" or "in memory".
        place: &'static str,
        /// Hash at the start.
        before: String,
        /// Hash at the end.
        after: String,
    },
    /// The score command failed.
    #[error("score of {}: {message}", path.display())]
    ScoreCommand {
        /// The model it was to score.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// The trainer's state in a checkpoint is not what it should be.
    #[error("{}: {message}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// Found and expected.
        message: String,
    },
}

impl TrainError {
    /// What the person can do, when there is something to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            TrainError::Config(error) => error.hint(),
            TrainError::Run(error) => error.hint(),
            TrainError::OverLength { .. } => Some(
                "data.over_length = \"drop\" leaves such rows out, \"truncate\" cuts them; both are counted".into(),
            ),
            TrainError::Corpus(_) | TrainError::Render { .. } | TrainError::BadRow { .. } => {
                Some("data.skip_bad = true (--skip-bad) counts such rows instead of stopping".into())
            }
            TrainError::Memory { lora, .. } | TrainError::MemoryBeside { lora, .. } => Some(memory_advice(*lora, true)),
            TrainError::TooLarge { lora, .. } => Some(memory_advice(*lora, false)),
            TrainError::Diverged { checkpoint, .. } => Some(match checkpoint {
                Some(path) => format!("{} is whole; a lower optimizer.lr is the usual cure", path.display()),
                None => "a lower optimizer.lr is the usual cure".into(),
            }),
            TrainError::KlBudget { checkpoint, .. } => Some(format!(
                "{} is whole; --resume with a larger ppo.kl_budget goes on, or start anew with a larger ppo.beta",
                checkpoint.display()
            )),
            TrainError::Model(ModelError::Io { source, .. }) if source.kind() == ErrorKind::StorageFull => {
                Some("make room, then continue with --resume: the last checkpoint is whole".into())
            }
            _ => None,
        }
    }
}

fn memory_advice(lora: bool, activations: bool) -> String {
    let mut ways = Vec::new();
    if activations {
        ways.push("a smaller train.micro_tokens");
        ways.push("model.checkpoint_activations = true");
    }
    ways.push(if lora { "model.lora.base = \"q8_0\"" } else { "model.lora = { rank = 16 }" });
    format!("try {}", ways.join(", "))
}

/// Bytes for people.
pub(crate) fn gigabytes(bytes: u64) -> String {
    format!("{:.2} GB", bytes as f64 / 1e9)
}

impl From<stdx::FileError> for TrainError {
    fn from(error: stdx::FileError) -> TrainError {
        TrainError::Run(RunError::File(error))
    }
}
