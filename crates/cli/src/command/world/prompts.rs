//! `helpmate world prompts`.

use super::{Which, distinct_prompts, tell_fewer};
use crate::error::CommandError;
use crate::output::Output;
use ::world::Split;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Write prompts of a split
///
/// Each once, with its use-case. No prompt is in two splits. Those of `eval` say in `held_out` what no training split
/// has: `prompt` (only itself), `fact`, `entity`, `style` or `use_case`.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate world prompts --split policy --n 2000 --out prompts.jsonl")]
pub struct Prompts {
    #[command(flatten)]
    which: Which,
    /// What they are for
    #[arg(long, value_enum, default_value_t = SplitOption::Policy)]
    split: SplitOption,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 1000)]
    n: usize,
    /// File to write; stdout when absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Splits, as options name them.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SplitOption {
    /// Demonstrations
    Train,
    /// Rankings, for the reward model
    Reward,
    /// Reinforcement learning
    Policy,
    /// Evaluation
    Eval,
}

impl SplitOption {
    /// The split.
    pub fn split(self) -> Split {
        match self {
            SplitOption::Train => Split::Train,
            SplitOption::Reward => Split::Reward,
            SplitOption::Policy => Split::Policy,
            SplitOption::Eval => Split::Eval,
        }
    }
}

impl Prompts {
    pub fn run(self) -> Result<(), CommandError> {
        let world = self.which.open();
        let mut out = Output::open(self.out.as_deref())?;
        let mut n_written = 0;
        for (_, prompt) in distinct_prompts(&world, self.split.split(), self.n) {
            out.row(&prompt.row())?;
            n_written += 1;
        }
        tell_fewer(n_written, self.n, "prompts");
        out.finish()
    }
}
