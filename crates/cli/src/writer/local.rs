//! A writer that is a model on this machine.

use crate::interrupt;
use crate::loading::Loaded;
use endpoint::completion::{CompletionAnswer, CompletionRequest};
use generate::{Bias, Event, Limits, Pool, Request, Sampling, Settings, StopReason};
use instruct::writer::{Asked, WriteError, Writer};
use record::{Message, Prompt};
use std::ops::ControlFlow;
use std::sync::Arc;
use stdx::Seed;

/// The model, and how it is asked.
pub struct LocalWriter {
    /// Weights, tokenizer, template.
    pub loaded: Loaded,
    /// What answers are kept under.
    pub name: String,
    /// Through the chat template, as a user's message.
    pub chat: bool,
    /// Beside the published presence penalty, where there is one; 1 is off.
    pub repetition_penalty: f32,
    /// Requests decoded together.
    pub batch: usize,
    /// Seed of sampling; a request's stream depends on itself, not on what else is asked.
    pub seed: u64,
}

impl Writer for LocalWriter {
    fn name(&self) -> &str {
        &self.name
    }

    fn write(
        &mut self,
        requests: &[Asked],
        answered: &mut dyn FnMut(usize, CompletionAnswer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let prompts =
            requests.iter().map(|(request, _)| self.tokens(&request.prompt)).collect::<Result<Vec<_>, _>>()?;
        let wrong = |error: generate::GenerateError| WriteError::Wrong(error.to_string());
        let mut pool =
            Pool::new(&self.loaded.model, Some(self.loaded.renderer.tokenizer()), self.limits(requests, &prompts));
        for (id, ((request, sample), token_ids)) in requests.iter().zip(&prompts).enumerate() {
            let settings = Arc::new(self.settings(request, *sample));
            let bias = Bias { presence: request.presence_penalty as f32, ..Bias::default() };
            pool.submit(Request { bias, ..Request::new(id, token_ids.clone(), settings) }).map_err(wrong)?;
        }
        let mut error = None;
        while error.is_none() && !pool.is_idle() {
            // What is whole is kept at once; what isn't is begun anew, and comes out the same.
            let _ = pool.step(&mut |event| {
                if let Event::Done(completion) = event {
                    let place = completion.prompt_idx;
                    let answer = CompletionAnswer {
                        cut: matches!(completion.stop, StopReason::Length | StopReason::Context),
                        prompt_tokens: prompts[place].len() as u64,
                        completion_tokens: completion.token_ids.len() as u64,
                        text: completion.text.clone(),
                    };
                    error = answered(place, answer).err().or(error.take());
                }
                ControlFlow::Continue(())
            });
            if interrupt::asked() {
                error.get_or_insert(WriteError::Stopped);
            }
        }
        error.map_or(Ok(()), Err)
    }
}

impl LocalWriter {
    fn settings(&self, request: &CompletionRequest, sample: u64) -> Settings {
        let text = format!("{sample} {}", request.prompt);
        Settings {
            sampling: Sampling {
                temperature: request.temperature as f32,
                top_k: 0,
                top_p: if request.top_p > 0.0 { request.top_p as f32 } else { 1.0 },
                min_p: 0.0,
                repetition_penalty: if request.presence_penalty > 0.0 { self.repetition_penalty } else { 1.0 },
            },
            n: 1,
            max_new_tokens: request.max_tokens,
            end_token_ids: self.loaded.renderer.end_ids().to_vec(),
            stop: request.stop.clone(),
            seed: Seed(self.seed ^ prefix(&stdx::hash::bytes(text.as_bytes()))),
            batch: self.batch,
        }
    }

    /// Room for as many of the longest as are decoded together.
    fn limits(&self, requests: &[Asked], prompts: &[Vec<u32>]) -> Limits {
        let context = self.loaded.model.config().max_position;
        let longest = prompts.iter().map(Vec::len).max().unwrap_or(0).min(context);
        let room = requests.iter().map(|(request, _)| request.max_tokens).max().unwrap_or(0).min(context);
        let batch = self.batch.clamp(1, requests.len().max(1));
        Limits {
            rows: batch * (longest + room),
            batch,
            prefill_tokens: usize::MAX,
            prompt_rows_min: longest,
            sample_rows_min: room,
            exact: false,
        }
    }

    fn tokens(&self, prompt: &str) -> Result<Vec<u32>, WriteError> {
        let prompt = match self.chat {
            true => Prompt::Messages(vec![Message::user(prompt)]),
            false => Prompt::Text(prompt.to_owned()),
        };
        self.loaded.renderer.prompt(&prompt).map_err(|error| WriteError::Wrong(error.to_string()))
    }
}

/// The first 64 bits of a hash in hexadecimal.
fn prefix(hash: &str) -> u64 {
    u64::from_str_radix(hash.get(..16).unwrap_or_default(), 16).unwrap_or_default()
}
