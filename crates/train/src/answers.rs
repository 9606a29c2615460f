//! `samples.jsonl` of supervised fine-tuning: what the model in training answers to a few held-out prompts.
use crate::TrainError;
use crate::packing::Example;
use generate::{Generator, Sampling, Settings};
use model::Model;
use render::Renderer;
use run::metrics::JsonLines;
use serde_json::{Map, Value, json};
use std::ops::ControlFlow;
use std::path::Path;
use stdx::Seed;

/// Held-out prompts that are answered at each evaluation.
const PROMPTS: usize = 4;
/// An answer's longest.
const MAX_NEW_TOKENS: usize = 64;

/// A few questions, and the file that keeps what was answered.
pub(crate) struct Answers {
    /// Tokens of each prompt, and the answer that its row demonstrates.
    questions: Vec<(Vec<u32>, String)>,
    lines: JsonLines,
}

impl Answers {
    /// Asks the first held-out rows that have a prompt; lines of evaluations that a resumed run does again go.
    pub fn open(folder: &Path, step: u64, held_out: &[Example], renderer: &Renderer) -> Result<Answers, TrainError> {
        let questions = held_out.iter().filter_map(|row| question(row, renderer)).take(PROMPTS).collect();
        Ok(Answers { questions, lines: JsonLines::open(&folder.join("samples.jsonl"), step)? })
    }

    /// Answers by the most probable tokens and writes a line for each. A stop request is heard between tokens and
    /// leaves the file as it was.
    pub fn write(
        &mut self,
        model: &Model,
        renderer: &Renderer,
        step: u64,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<(), TrainError> {
        if self.questions.is_empty() {
            return Ok(());
        }
        let prompts: Vec<Vec<u32>> = self.questions.iter().map(|(prompt, _)| prompt.clone()).collect();
        let room = |prompt: &Vec<u32>| model.config().max_position.saturating_sub(prompt.len());
        let settings = Settings {
            sampling: Sampling::greedy(),
            n: 1,
            max_new_tokens: prompts.iter().map(room).min().unwrap_or(0).min(MAX_NEW_TOKENS),
            end_token_ids: renderer.end_ids().to_vec(),
            stop: Vec::new(),
            seed: Seed(0),
            batch: PROMPTS,
        };
        let completions =
            Generator::new(model, Some(renderer.tokenizer())).generate(&prompts, &settings, &mut |_| {
                if is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
        if is_stopped() {
            return Ok(());
        }
        for completion in completions {
            let (prompt, demonstrated) = &self.questions[completion.prompt_idx];
            self.lines.append(&line(json!({
                "step": step,
                "prompt": renderer.tokenizer().decode_after(&[], prompt).unwrap_or_default(),
                "completion": completion.text,
                "demonstrated": demonstrated,
                "stop": completion.stop.name(),
                "source": "model",
            })))?;
        }
        Ok(())
    }
}

/// The tokens before the first target, and the text from there on.
fn question(row: &Example, renderer: &Renderer) -> Option<(Vec<u32>, String)> {
    let sequence = row.sequences.first()?;
    let start = sequence.mask.iter().position(|&is_target| is_target).filter(|&start| start > 1)?;
    let end = sequence.mask[start..].iter().position(|is_target| !is_target).map_or(sequence.mask.len(), |n| start + n);
    let (prompt, answer) = (&sequence.token_ids[..start], &sequence.token_ids[start..end]);
    Some((prompt.to_vec(), renderer.completion_text(prompt, answer).unwrap_or_default()))
}

fn line(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(line) => line,
        _ => Map::new(),
    }
}
