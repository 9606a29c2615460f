//! All samples of some prompts, in order: what commands and trainers ask for. The loop itself is the pool's.
use crate::pool::{Limits, Pool, Request, check, check_prompt};
use crate::sampling::{Sampling, SamplingError};
use model::{Model, Workspace};
use render::Tokenizer;
use std::ops::ControlFlow;
use std::sync::Arc;
use stdx::seed::Seed;

/// What to generate.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Samples of each prompt.
    pub n: usize,
    /// Tokens of a completion at most, its end token included.
    pub max_new_tokens: usize,
    /// Tokens that end a completion; the one that did is part of it.
    pub end_token_ids: Vec<u32>,
    /// Strings that end a completion; needs a tokenizer.
    pub stop: Vec<String>,
    /// Sample s of prompt p draws from the stream ("sample", p·n + s) of this seed.
    pub seed: Seed,
    /// Sequences decoded together at most.
    pub batch: usize,
}

/// Why a completion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// An end token.
    End,
    /// A stop string.
    StopString,
    /// `max_new_tokens`.
    Length,
    /// The model's context is full.
    Context,
    /// The caller asked to stop.
    Cancelled,
}

impl StopReason {
    /// As APIs call it.
    pub fn name(self) -> &'static str {
        match self {
            StopReason::End | StopReason::StopString => "stop",
            StopReason::Length | StopReason::Context => "length",
            StopReason::Cancelled => "cancelled",
        }
    }
}

/// One sample of one prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// Which prompt.
    pub prompt_idx: usize,
    /// Which of its samples.
    pub sample_idx: usize,
    /// The tokens, an end token included.
    pub token_ids: Vec<u32>,
    /// The model's log-probability of each at the sampling temperature, nats.
    pub log_probs: Vec<f32>,
    /// The text, without end token and stop string; empty without a tokenizer.
    pub text: String,
    /// Why it ended.
    pub stop: StopReason,
}

/// What happens, as it happens.
#[derive(Debug)]
pub enum Event<'a> {
    /// A token was chosen; `text` is what it made certain, often a word, sometimes nothing.
    Token {
        /// Which prompt.
        prompt_idx: usize,
        /// Which of its samples.
        sample_idx: usize,
        /// The token.
        token_id: u32,
        /// The model's log-probability of it at the sampling temperature, nats.
        log_prob: f32,
        /// The likeliest tokens with their log-probabilities, the likeliest first, where the request asks for them.
        alternatives: &'a [(u32, f32)],
        /// Text that is certain now.
        text: &'a str,
    },
    /// A completion is whole.
    Done(&'a Completion),
}

/// Why nothing was generated.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
pub enum GenerateError {
    /// A sampling setting.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// A count that must not be zero.
    #[error("`{option}` must be at least 1")]
    Zero {
        /// Its name.
        option: &'static str,
    },
    /// A prompt that leaves no room.
    #[error(
        "prompt {prompt_idx} has {tokens} tokens; the model's context is {context}, and at least one must be left to generate"
    )]
    PromptTooLong {
        /// Which.
        prompt_idx: usize,
        /// Its length.
        tokens: usize,
        /// The context.
        context: usize,
    },
    /// A prompt of no tokens: there is nothing to predict from.
    #[error("prompt {prompt_idx} is empty and the tokenizer adds no beginning token")]
    EmptyPrompt {
        /// Which.
        prompt_idx: usize,
    },
    /// A prompt whose completion could never be held.
    #[error("prompt {prompt_idx} needs {rows} tokens of cache with its completion; the cache has {capacity}")]
    CacheTooSmall {
        /// Which.
        prompt_idx: usize,
        /// Tokens of prompt and completion.
        rows: usize,
        /// Tokens that the cache holds.
        capacity: usize,
    },
    /// Stop strings need text.
    #[error("stop strings need a tokenizer")]
    NoTokenizer,
}

/// Generates with one model.
pub struct Generator<'a> {
    model: &'a Model,
    tokenizer: Option<&'a Tokenizer>,
    workspace: Workspace,
    exact: bool,
}

impl<'a> Generator<'a> {
    /// With a tokenizer, completions carry text and stop strings work.
    pub fn new(model: &'a Model, tokenizer: Option<&'a Tokenizer>) -> Generator<'a> {
        Generator { model, tokenizer, workspace: Workspace::default(), exact: false }
    }

    /// Decodes with the arithmetic that scores whole sequences: what a token is sampled from is then what a trainer
    /// computes for it, up to the last bits of the head. In bf16 roundings would otherwise grow apart layer by layer.
    pub fn exactly(self) -> Generator<'a> {
        Generator { exact: true, ..self }
    }

    /// Every sample of every prompt (token ids), in order. `on_event` sees tokens as they come and may stop the run; what
    /// was begun is then returned as it stands.
    pub fn generate(
        &mut self,
        prompts: &[Vec<u32>],
        settings: &Settings,
        on_event: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> Result<Vec<Completion>, GenerateError> {
        check(settings, self.tokenizer)?;
        let context = self.model.config().max_position;
        for (prompt_idx, prompt) in prompts.iter().enumerate() {
            check_prompt(prompt_idx, prompt.len(), context)?;
        }
        let workspace = std::mem::take(&mut self.workspace);
        let mut pool = Pool::with_workspace(self.model, self.tokenizer, self.limits(prompts, settings), workspace);
        let shared = Arc::new(settings.clone());
        for (id, prompt) in prompts.iter().enumerate() {
            let first_stream = (id * settings.n) as u64;
            pool.submit(Request { first_stream, ..Request::new(id, prompt.clone(), shared.clone()) })?;
        }
        let mut done = Vec::with_capacity(prompts.len() * settings.n);
        let mut flow = ControlFlow::Continue(());
        while flow.is_continue() && !pool.is_idle() {
            flow = pool.step(&mut |event| {
                if let Event::Done(completion) = &event {
                    done.push(Completion::clone(completion));
                }
                on_event(event)
            });
        }
        done.extend(pool.finish());
        done.sort_by_key(|completion| (completion.prompt_idx, completion.sample_idx));
        self.workspace = pool.into_workspace();
        Ok(done)
    }

    /// Rows for as many prompts and samples as may be in flight: at worst every sample has a prompt of its own. All
    /// prompts hold as much as the longest, all samples as much as the shortest leaves room for, so that they always fit.
    fn limits(&self, prompts: &[Vec<u32>], settings: &Settings) -> Limits {
        let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
        let shortest = prompts.iter().map(Vec::len).min().unwrap_or(0);
        let room = settings.max_new_tokens.min(self.model.config().max_position - shortest).max(1);
        let n_samples = settings.batch.min(prompts.len() * settings.n);
        Limits {
            rows: n_samples * (longest + room),
            batch: settings.batch,
            prefill_tokens: usize::MAX,
            prompt_rows_min: longest,
            sample_rows_min: room,
            exact: self.exact,
        }
    }
}
