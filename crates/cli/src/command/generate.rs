//! `helpmate generate`.

use crate::arguments::{self, ModelArguments, SamplingArguments};
use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::loading::{self, Loaded};
use crate::output::Output;
use crate::progress::Count;
use crate::{interrupt, table};
use ::generate::{Completion, Event, Generator, Settings, StopReason};
use clap::Args;
use record::Prompt;
use serde_json::{Map, Value, json};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;
use stdx::Seed;

/// Write K completions of each prompt
///
/// A row a completion: `row`, `sample`, `prompt`, `completion`, `stop` (`stop` or `length`) and `source` = `model`, so
/// that the rows are demonstrations in turn. A completion depends on its prompt, sample number and seed, not on what
/// else is generated with it.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate generate --model default --prompts prompts.jsonl --n 4 --max-new-tokens 64"
)]
pub struct Generate {
    #[command(flatten)]
    model: ModelArguments,
    /// Rows with a prompt (text or messages)
    #[arg(long, value_name = "FILE", required_unless_present = "prompt", num_args = 1..)]
    prompts: Vec<PathBuf>,
    /// A prompt given here, as plain text without a template
    #[arg(long, value_name = "TEXT", conflicts_with = "prompts")]
    prompt: Option<String>,
    /// Completions a prompt
    #[arg(long, value_name = "K", default_value_t = 1)]
    n: usize,
    /// Most tokens of a completion
    #[arg(long, value_name = "N", default_value_t = 256)]
    max_new_tokens: usize,
    #[command(flatten)]
    sampling: SamplingArguments,
    /// Most completions generated together
    #[arg(long, value_name = "N", default_value_t = 32)]
    batch: usize,
    /// Also write `token_ids` and `logprobs` (nats, at the sampling temperature)
    #[arg(long)]
    logprobs: bool,
    /// File to write; stdout when absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Generate {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        self.sampling.sampling().check().map_err(CommandError::usage)?;
        let prompts = self.read_prompts()?;
        let Loaded { model, renderer } = loading::load(context, &self.model)?;
        let token_ids = prompts
            .iter()
            .enumerate()
            .map(|(i, prompt)| {
                renderer.prompt(prompt).map_err(|error| CommandError::input(format!("prompt {i}: {error}")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let settings = Settings {
            sampling: self.sampling.sampling(),
            n: self.n,
            max_new_tokens: self.max_new_tokens,
            end_token_ids: renderer.end_ids().to_vec(),
            stop: self.sampling.stop.clone(),
            seed: Seed(self.sampling.seed),
            batch: self.batch,
        };
        interrupt::listen()?;
        let began = Instant::now();
        let mut progress = Count::new(prompts.len() * self.n, "completions");
        let mut n_done = 0;
        let completions =
            Generator::new(&model, Some(renderer.tokenizer())).generate(&token_ids, &settings, &mut |event| {
                if let Event::Done(_) = event {
                    n_done += 1;
                    progress.update(n_done);
                }
                if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
        progress.finish();
        tell_speed(&completions, began.elapsed().as_secs_f64());
        self.write(&prompts, &completions)
    }

    fn read_prompts(&self) -> Result<Vec<Prompt>, CommandError> {
        if let Some(text) = &self.prompt {
            return Ok(vec![Prompt::Text(text.clone())]);
        }
        let dataset = arguments::read(&self.prompts, None, false, &[])?;
        let prompts: Vec<Prompt> = dataset
            .rows
            .iter()
            .map(|(row, origin)| {
                row.record.prompt().ok_or_else(|| {
                    CommandError::input(format!("{origin}: a row of kind {} has no prompt", row.record.kind().as_str()))
                })
            })
            .collect::<Result<_, _>>()?;
        if prompts.is_empty() {
            return Err(CommandError::input("no prompts: the files have no rows"));
        }
        Ok(prompts)
    }

    /// Whole completions are written; those that an interruption cut are not.
    fn write(&self, prompts: &[Prompt], completions: &[Completion]) -> Result<(), CommandError> {
        let mut out = Output::open(self.out.as_deref())?;
        let whole = completions.iter().filter(|completion| completion.stop != StopReason::Cancelled);
        for completion in whole {
            out.row(&self.row(&prompts[completion.prompt_idx], completion))?;
        }
        out.finish()?;
        if interrupt::asked() {
            return Err(CommandError::new(
                Kind::Interrupted,
                "interrupted; the completions that were whole are written",
            ));
        }
        Ok(())
    }

    fn row(&self, prompt: &Prompt, completion: &Completion) -> Map<String, Value> {
        let mut row = Map::new();
        row.insert("row".to_string(), json!(completion.prompt_idx));
        row.insert("sample".to_string(), json!(completion.sample_idx));
        row.insert("prompt".to_string(), json!(prompt));
        row.insert("completion".to_string(), json!(completion.text));
        row.insert("stop".to_string(), json!(completion.stop.name()));
        row.insert("source".to_string(), json!("model"));
        if self.logprobs {
            row.insert("token_ids".to_string(), json!(completion.token_ids));
            row.insert("logprobs".to_string(), json!(completion.log_probs));
        }
        row
    }
}

fn tell_speed(completions: &[Completion], seconds: f64) {
    let n_tokens: usize = completions.iter().map(|completion| completion.token_ids.len()).sum();
    eprintln!(
        "{} completions, {n_tokens} tokens in {} ({:.0} tokens/s)",
        completions.len(),
        table::duration(seconds),
        n_tokens as f64 / seconds.max(1e-9)
    );
}
