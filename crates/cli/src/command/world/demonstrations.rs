//! `helpmate world demonstrations`.

use super::{Which, distinct_prompts, tell_fewer};
use crate::error::CommandError;
use crate::output::Output;
use ::world::Split;
use clap::Args;
use std::path::PathBuf;

/// Write demonstrations: prompts of the training split with right answers
///
/// Conversations over nine of the ten use-cases of InstructGPT (extraction is held out), each prompt once, with
/// `source` = `rule`.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate world demonstrations --n 2000 --out demonstrations.jsonl")]
pub struct Demonstrations {
    #[command(flatten)]
    which: Which,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 1000)]
    n: usize,
    /// File to write; stdout when absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Demonstrations {
    pub fn run(self) -> Result<(), CommandError> {
        let world = self.which.open();
        let mut out = Output::open(self.out.as_deref())?;
        let mut n_written = 0;
        for (index, _) in distinct_prompts(&world, Split::Train, self.n) {
            out.row(&world.demonstration_row(index))?;
            n_written += 1;
        }
        tell_fewer(n_written, self.n, "demonstrations");
        out.finish()
    }
}
