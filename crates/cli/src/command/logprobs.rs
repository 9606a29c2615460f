//! `helpmate logprobs`.

use crate::arguments::ModelArguments;
use crate::context::Context;
use crate::error::{CommandError, of_file};
use crate::loading::{self, Loaded};
use crate::output::Output;
use crate::progress::Count;
use crate::{arguments, interrupt};
use clap::Args;
use model::{Model, Request, TreeBatch, Workspace};
use record::Record;
use render::{LossOn, Rendered, Renderer};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Tokens run through the model at once at most, unless one row is longer.
const BATCH_TOKENS: usize = 2048;

/// Write the log-probability of every token
///
/// A row an input row: `row`, `token_ids`, `logprobs` (entry t is log p(token t | tokens < t) in nats, null only at
/// t = 0) and `mask` (which tokens training would learn; all but t = 0 with --pretokenized). Text rows get no EOS.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate logprobs --model default --data data/demonstrations.jsonl --dtype f32")]
pub struct Logprobs {
    #[command(flatten)]
    model: ModelArguments,
    /// Rows of text, or with prompt and completion, or messages
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// The rows are {"token_ids": […]}
    #[arg(long)]
    pretokenized: bool,
    /// File to write; stdout when absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Pretokenized {
    token_ids: Vec<u32>,
}

#[derive(Serialize)]
struct Scored<'a> {
    row: usize,
    token_ids: &'a [u32],
    logprobs: Vec<Option<f32>>,
    mask: &'a [bool],
}

impl Logprobs {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        let Loaded { model, renderer } = loading::load(context, &self.model)?;
        let sequences = if self.pretokenized { self.read_token_ids(&model)? } else { self.render(&renderer)? };
        for (row_idx, sequence) in sequences.iter().enumerate() {
            check_length(row_idx, sequence, &model)?;
        }
        interrupt::listen()?;
        let mut out = Output::open(self.out.as_deref())?;
        let mut workspace = Workspace::default();
        let mut progress = Count::new(sequences.len(), "rows");
        let mut row_idx = 0;
        for chunk in chunks(&sequences) {
            for (sequence, logprobs) in chunk.iter().zip(score(&model, chunk, &mut workspace)) {
                out.row(&Scored { row: row_idx, token_ids: &sequence.token_ids, logprobs, mask: &sequence.mask })?;
                row_idx += 1;
            }
            progress.update(row_idx);
            if interrupt::asked() {
                return Err(CommandError::new(
                    crate::error::Kind::Interrupted,
                    format!("interrupted after {row_idx} rows"),
                ));
            }
        }
        progress.finish();
        out.finish()
    }

    fn render(&self, renderer: &Renderer) -> Result<Vec<Rendered>, CommandError> {
        let dataset = arguments::read(&self.data, None, false, &[])?;
        let render = |record: &Record| match record {
            Record::Text(text) => renderer.text(text, false).map_err(CommandError::from),
            Record::Demonstration(of) => renderer.demonstration(of, LossOn::Completion).map_err(CommandError::from),
            other => Err(CommandError::input(format!(
                "found a row of kind {}, expected text or demonstration",
                other.kind().as_str()
            ))),
        };
        let rows = dataset.rows.iter();
        rows.map(|(row, origin)| {
            render(&row.record)
                .map_err(|error| CommandError { message: format!("{origin}: {}", error.message), ..error })
        })
        .collect()
    }

    fn read_token_ids(&self, model: &Model) -> Result<Vec<Rendered>, CommandError> {
        let mut sequences = Vec::new();
        for path in &self.data {
            read_pretokenized(path, model.config().vocab_size, &mut sequences)?;
        }
        Ok(sequences)
    }
}

fn read_pretokenized(path: &Path, vocab_size: usize, sequences: &mut Vec<Rendered>) -> Result<(), CommandError> {
    let file = BufReader::new(File::open(path).map_err(of_file(path))?);
    for row in stdx::jsonl::Reader::<_, Pretokenized>::new(file) {
        let (line, row) = row.map_err(|error| CommandError::input(format!("{}:{error}", path.display())))?;
        if let Some(id) = row.token_ids.iter().find(|id| **id as usize >= vocab_size) {
            let message = format!("{}:{line}: token id {id}, expected less than {vocab_size}", path.display());
            return Err(CommandError::input(message));
        }
        let mask = (0..row.token_ids.len()).map(|i| i > 0).collect();
        sequences.push(Rendered { token_ids: row.token_ids, mask });
    }
    Ok(())
}

fn check_length(row_idx: usize, sequence: &Rendered, model: &Model) -> Result<(), CommandError> {
    let (found, context) = (sequence.token_ids.len(), model.config().max_position);
    if found == 0 {
        return Err(CommandError::input(format!("row {row_idx}: no tokens")));
    }
    if found > context {
        return Err(CommandError::input(format!("row {row_idx}: {found} tokens, the model's context is {context}")));
    }
    Ok(())
}

/// Neighbours that fit into a batch together.
fn chunks(sequences: &[Rendered]) -> Vec<&[Rendered]> {
    let mut chunks = Vec::new();
    let mut start = 0;
    while start < sequences.len() {
        let mut n_tokens = 0;
        let fitting = sequences[start..].iter().take_while(|sequence| {
            n_tokens += sequence.token_ids.len();
            n_tokens <= BATCH_TOKENS
        });
        let end = start + fitting.count().max(1);
        chunks.push(&sequences[start..end]);
        start = end;
    }
    chunks
}

/// Log-probabilities of sequences that are run together; each is as it would be alone.
pub fn score(model: &Model, sequences: &[Rendered], workspace: &mut Workspace) -> Vec<Vec<Option<f32>>> {
    let mut batch = TreeBatch::default();
    let mut targets = Vec::new();
    for sequence in sequences {
        let segment = batch.push_root(&sequence.token_ids);
        targets.extend((1..sequence.token_ids.len()).filter_map(|offset| batch.target(segment, offset)));
    }
    let outputs = model.forward(&batch, &Request::log_probs(targets), workspace);
    let mut log_probs = outputs.log_probs.into_iter();
    let of_sequence = |sequence: &Rendered| {
        let rest = log_probs.by_ref().take(sequence.token_ids.len() - 1).map(Some);
        std::iter::once(None).chain(rest).collect()
    };
    sequences.iter().map(of_sequence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_keep_order_fill_up_and_take_long_rows_alone() {
        let sequence = |n: usize| Rendered { token_ids: vec![0; n], mask: vec![true; n] };
        let sequences = [1000, 1000, 48, 1, 5000, 3].map(sequence);
        let lengths: Vec<Vec<usize>> =
            chunks(&sequences).iter().map(|chunk| chunk.iter().map(|s| s.token_ids.len()).collect()).collect();
        assert_eq!(lengths, [vec![1000, 1000, 48], vec![1], vec![5000], vec![3]]);
    }
}
