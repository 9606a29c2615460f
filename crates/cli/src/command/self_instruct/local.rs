//! A writer that is a model on this machine.

use crate::interrupt;
use crate::loading::Loaded;
use endpoint::completion::{CompletionAnswer, CompletionRequest};
use generate::{Event, Generator, Sampling, Settings, StopReason};
use instruct::writer::{WriteError, Writer};
use record::{Message, Prompt};
use std::ops::ControlFlow;
use stdx::Seed;

/// The model, and how it is asked.
pub struct LocalWriter {
    /// Weights, tokenizer, template.
    pub loaded: Loaded,
    /// What answers are kept under.
    pub name: String,
    /// Through the chat template, as a user's message.
    pub chat: bool,
    /// Stands for the published presence penalty, which the sampler doesn't have.
    pub repetition_penalty: f32,
    /// Requests decoded together.
    pub batch: usize,
    /// Seed of sampling; a request's stream depends on its text, not on what else is asked.
    pub seed: u64,
}

impl Writer for LocalWriter {
    fn name(&self) -> &str {
        &self.name
    }

    fn write(
        &mut self,
        requests: &[CompletionRequest],
        answered: &mut dyn FnMut(usize, CompletionAnswer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        // Requests of a round have the same settings nearly always; those that don't are decoded apart.
        let mut left: Vec<usize> = (0..requests.len()).collect();
        while let Some(&first) = left.first() {
            let like = |i: &usize| same_settings(&requests[first], &requests[*i]);
            let together: Vec<usize> = left.iter().copied().filter(like).collect();
            left.retain(|i| !together.contains(i));
            for group in together.chunks(self.batch.max(1)) {
                self.write_alike(requests, group, answered)?;
            }
        }
        Ok(())
    }
}

impl LocalWriter {
    fn write_alike(
        &self,
        requests: &[CompletionRequest],
        group: &[usize],
        answered: &mut dyn FnMut(usize, CompletionAnswer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let request = &requests[group[0]];
        let token_ids = group.iter().map(|&i| self.tokens(&requests[i].prompt)).collect::<Result<Vec<_>, _>>()?;
        let settings = Settings {
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
            seed: Seed(self.seed ^ prefix(&stdx::hash::bytes(requests[group[0]].prompt.as_bytes()))),
            batch: group.len(),
        };
        let mut generator = Generator::new(&self.loaded.model, Some(self.loaded.renderer.tokenizer()));
        let completions = generator
            .generate(&token_ids, &settings, &mut |_: Event| {
                if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .map_err(|error| WriteError::Wrong(error.to_string()))?;
        for completion in completions {
            if completion.stop == StopReason::Cancelled {
                return Err(WriteError::Stopped);
            }
            let place = completion.prompt_idx;
            let answer = CompletionAnswer {
                cut: completion.stop.name() == "length",
                prompt_tokens: token_ids[place].len() as u64,
                completion_tokens: completion.token_ids.len() as u64,
                text: completion.text,
            };
            answered(group[place], answer)?;
        }
        Ok(())
    }

    fn tokens(&self, prompt: &str) -> Result<Vec<u32>, WriteError> {
        let prompt = match self.chat {
            true => Prompt::Messages(vec![Message::user(prompt)]),
            false => Prompt::Text(prompt.to_owned()),
        };
        self.loaded.renderer.prompt(&prompt).map_err(|error| WriteError::Wrong(error.to_string()))
    }
}

fn same_settings(a: &CompletionRequest, b: &CompletionRequest) -> bool {
    CompletionRequest { prompt: String::new(), ..a.clone() } == CompletionRequest { prompt: String::new(), ..b.clone() }
}

/// The first 64 bits of a hash in hexadecimal.
fn prefix(hash: &str) -> u64 {
    u64::from_str_radix(hash.get(..16).unwrap_or_default(), 16).unwrap_or_default()
}
