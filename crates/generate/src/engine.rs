//! The loop: prefill a prompt once, decode all its samples together with everybody else's, let the finished go and the
//! waiting in.
use crate::sampling::{Sampling, SamplingError};
use crate::slots::Slots;
use crate::stop::{StopWatch, Watched};
use kernels::linear::Precision;
use model::{KvCache, Model, Piece, Span, Workspace};
use render::{StreamDecoder, Tokenizer};
use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, OnceLock};
use stdx::seed::{Seed, Stream};

/// Prompts are prefilled in pieces of at most this many tokens, so that buffers don't grow with the longest prompt.
const PREFILL_TOKENS_MAX: usize = 1024;

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
        /// Text that is certain now.
        text: &'a str,
    },
    /// A completion is whole.
    Done(&'a Completion),
}

/// Why nothing was generated.
#[derive(Debug, thiserror::Error, PartialEq)]
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

/// A prefilled prompt: its rows, and the logits after it, until all its samples are done.
struct Prefilled {
    idx: usize,
    token_ids: Vec<u32>,
    rows: Range<u32>,
    logits: Vec<f32>,
}

/// A sample being decoded.
struct Active<'a> {
    prompt: Arc<Prefilled>,
    sample_idx: usize,
    rows: Range<u32>,
    stream: Stream,
    token_ids: Vec<u32>,
    log_probs: Vec<f32>,
    /// How many of the tokens have been taken in and told of.
    told: usize,
    text: String,
    decoder: Option<StreamDecoder<'a>>,
    watch: StopWatch<'a>,
    stop: Option<StopReason>,
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
        self.check(prompts, settings)?;
        let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
        let shortest = prompts.iter().map(Vec::len).min().unwrap_or(0);
        let room = settings.max_new_tokens.min(self.model.config().max_position - shortest).max(1);
        // At worst every sample in flight has a prompt of its own.
        let n_slots = settings.batch.min(prompts.len() * settings.n);
        let mut cache = self.model.new_cache(n_slots * (longest + room));
        cache.exact = self.exact;
        let mut run = Run {
            settings,
            tokenizer: self.tokenizer,
            prompt_slots: Slots::new(0, longest, n_slots),
            sample_slots: Slots::new(n_slots * longest, room, n_slots),
            cache,
            waiting: (0..prompts.len()).collect(),
            ready: VecDeque::new(),
            active: Vec::new(),
            done: Vec::new(),
            context: self.model.config().max_position,
        };
        let mut flow = ControlFlow::Continue(());
        while flow.is_continue() && !run.is_over() {
            run.admit(self.model, prompts, &mut self.workspace);
            flow = run.emit(on_event);
            if flow.is_continue() && !run.active.is_empty() {
                flow = run.step(self.model, &mut self.workspace, on_event);
            }
        }
        Ok(run.finish())
    }

    fn check(&self, prompts: &[Vec<u32>], settings: &Settings) -> Result<(), GenerateError> {
        settings.sampling.check()?;
        for (option, value) in
            [("n", settings.n), ("max_new_tokens", settings.max_new_tokens), ("batch", settings.batch)]
        {
            if value == 0 {
                return Err(GenerateError::Zero { option });
            }
        }
        if !settings.stop.is_empty() && self.tokenizer.is_none() {
            return Err(GenerateError::NoTokenizer);
        }
        let context = self.model.config().max_position;
        for (prompt_idx, prompt) in prompts.iter().enumerate() {
            match prompt.len() {
                0 => return Err(GenerateError::EmptyPrompt { prompt_idx }),
                tokens if tokens >= context => {
                    return Err(GenerateError::PromptTooLong { prompt_idx, tokens, context });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The state of one call.
struct Run<'a> {
    settings: &'a Settings,
    tokenizer: Option<&'a Tokenizer>,
    prompt_slots: Slots,
    sample_slots: Slots,
    cache: KvCache,
    /// Prompts not yet prefilled.
    waiting: VecDeque<usize>,
    /// Samples whose prompt is prefilled but which have no rows yet.
    ready: VecDeque<(Arc<Prefilled>, usize)>,
    active: Vec<Active<'a>>,
    done: Vec<Completion>,
    context: usize,
}

impl<'a> Run<'a> {
    fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.ready.is_empty() && self.active.is_empty()
    }

    /// Fills the free places: samples of prompts already prefilled first, then new prompts.
    fn admit(&mut self, model: &Model, prompts: &[Vec<u32>], workspace: &mut Workspace) {
        let mut started = Vec::new();
        loop {
            while self.active.len() + started.len() < self.settings.batch
                && let Some((prompt, sample_idx)) = self.ready.pop_front()
            {
                started.push((prompt, sample_idx));
            }
            let places = self.settings.batch.saturating_sub(self.active.len() + started.len());
            if places == 0 || self.waiting.is_empty() {
                break;
            }
            let n_prompts = places.div_ceil(self.settings.n).min(self.waiting.len());
            let next: Vec<usize> = self.waiting.drain(..n_prompts).collect();
            for prompt in self.prefill(model, &next, prompts, workspace) {
                let prompt = Arc::new(prompt);
                self.ready.extend((0..self.settings.n).map(|s| (prompt.clone(), s)));
            }
        }
        let fresh = started.into_iter().map(|(prompt, sample_idx)| self.start(prompt, sample_idx)).collect::<Vec<_>>();
        let first = self.active.len();
        self.active.extend(fresh);
        let logits: Vec<Arc<Prefilled>> = self.active[first..].iter().map(|a| a.prompt.clone()).collect();
        self.choose(model, first, |i| &logits[i].logits);
    }

    fn start(&mut self, prompt: Arc<Prefilled>, sample_idx: usize) -> Active<'a> {
        let rows = self.sample_slots.take().expect("the cache has rows for every sample in flight");
        let settings = self.settings;
        Active {
            stream: settings.seed.stream("sample", (prompt.idx * settings.n + sample_idx) as u64),
            decoder: self.tokenizer.map(|t| t.stream(&prompt.token_ids)),
            watch: StopWatch::new(&settings.stop),
            prompt,
            sample_idx,
            rows,
            token_ids: Vec::new(),
            log_probs: Vec::new(),
            told: 0,
            text: String::new(),
            stop: None,
        }
    }

    /// Runs prompts through the model. With packed weights a row's result does not depend on the others, so short prompts
    /// go together; with f32 weights each goes alone, so that a completion never depends on its neighbours.
    fn prefill(
        &mut self,
        model: &Model,
        next: &[usize],
        prompts: &[Vec<u32>],
        workspace: &mut Workspace,
    ) -> Vec<Prefilled> {
        let together = model.precision() == Precision::Bf16;
        let mut out: Vec<Prefilled> = Vec::new();
        let mut group: Vec<Piece> = Vec::new();
        let (mut group_tokens, mut group_first) = (0, 0);
        for &idx in next {
            let token_ids = &prompts[idx];
            let rows = self.prompt_slots.take().expect("the cache has rows for every prompt in flight");
            let long = token_ids.len() > PREFILL_TOKENS_MAX;
            if !group.is_empty() && (!together || long || group_tokens + token_ids.len() > PREFILL_TOKENS_MAX) {
                flush(model, &mut self.cache, &mut group, &mut out[group_first..], workspace);
                group_first = out.len();
                group_tokens = 0;
            }
            // All but the last piece of a long prompt run at once, for their keys and values alone.
            let n_before = (token_ids.len() - 1) / PREFILL_TOKENS_MAX * PREFILL_TOKENS_MAX;
            for (i, piece) in token_ids[..n_before].chunks(PREFILL_TOKENS_MAX).enumerate() {
                let start = (i * PREFILL_TOKENS_MAX) as u32;
                model.extend(&mut self.cache, &[piece_at(piece, start, rows.start)], workspace);
            }
            group.push(piece_at(&token_ids[n_before..], n_before as u32, rows.start));
            group_tokens += token_ids.len() - n_before;
            out.push(Prefilled { idx, token_ids: token_ids.clone(), rows, logits: Vec::new() });
        }
        flush(model, &mut self.cache, &mut group, &mut out[group_first..], workspace);
        out
    }

    /// One token for every active sample.
    fn step(
        &mut self,
        model: &Model,
        workspace: &mut Workspace,
        on_event: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let pieces: Vec<Piece> = self.active.iter().map(Active::next_piece).collect();
        let logits = model.extend(&mut self.cache, &pieces, workspace);
        let vocabulary = logits.len() / pieces.len();
        drop(pieces);
        self.choose(model, 0, |i| &logits[i * vocabulary..(i + 1) * vocabulary]);
        self.emit(on_event)
    }

    /// Chooses a token for every active sample from `first` on, in parallel; the random numbers are drawn beforehand.
    fn choose<'l>(&mut self, model: &Model, first: usize, logits: impl Fn(usize) -> &'l [f32] + Sync) {
        let sampling = &self.settings.sampling;
        let wants_text = sampling.repetition_penalty != 1.0;
        let jobs: Vec<(f64, Vec<u32>)> = self.active[first..]
            .iter_mut()
            .map(|a| (a.stream.uniform(), if wants_text { a.so_far() } else { Vec::new() }))
            .collect();
        let chosen: Vec<OnceLock<(u32, f32)>> = jobs.iter().map(|_| OnceLock::new()).collect();
        model.device().pool.tasks(jobs.len(), |i| {
            let (uniform, seen) = &jobs[i];
            let _ = chosen[i].set(sampling.choose(logits(i), seen, *uniform));
        });
        for (active, choice) in self.active[first..].iter_mut().zip(chosen) {
            let (token_id, log_prob) = choice.into_inner().expect("every task ran");
            active.token_ids.push(token_id);
            active.log_probs.push(log_prob);
        }
    }

    /// Tells of the newest token of samples that have one, and lets the finished go.
    fn emit(&mut self, on_event: &mut dyn FnMut(Event) -> ControlFlow<()>) -> ControlFlow<()> {
        let mut flow = ControlFlow::Continue(());
        let (settings, context) = (self.settings, self.context);
        let mut keep = Vec::with_capacity(self.active.len());
        for mut active in std::mem::take(&mut self.active) {
            if let Some(text) = active.digest(settings, context) {
                let (prompt_idx, sample_idx) = (active.prompt.idx, active.sample_idx);
                let token_id = active.token_ids[active.token_ids.len() - 1];
                if flow.is_continue() {
                    flow = on_event(Event::Token { prompt_idx, sample_idx, token_id, text: &text });
                }
            }
            if active.stop.is_none() {
                keep.push(active);
                continue;
            }
            let completion = self.retire(active);
            if flow.is_continue() {
                flow = on_event(Event::Done(&completion));
            }
            self.done.push(completion);
        }
        self.active = keep;
        flow
    }

    fn retire(&mut self, active: Active) -> Completion {
        self.sample_slots.give(active.rows.clone());
        let Active { prompt, sample_idx, token_ids, log_probs, text, stop, .. } = active;
        let completion = Completion {
            prompt_idx: prompt.idx,
            sample_idx,
            token_ids,
            log_probs,
            text,
            stop: stop.unwrap_or(StopReason::Cancelled),
        };
        if let Some(prompt) = Arc::into_inner(prompt) {
            self.prompt_slots.give(prompt.rows);
        }
        completion
    }

    fn finish(mut self) -> Vec<Completion> {
        for active in std::mem::take(&mut self.active) {
            let completion = self.retire(active);
            self.done.push(completion);
        }
        self.done.sort_by_key(|c| (c.prompt_idx, c.sample_idx));
        self.done
    }
}

impl Active<'_> {
    fn next_piece(&self) -> Piece<'_> {
        let written = self.token_ids.len() as u32 - 1;
        let prompt = Span { start: self.prompt.rows.start, length: self.prompt.token_ids.len() as u32 };
        let mut context = vec![prompt];
        if written > 0 {
            context.push(Span { start: self.rows.start, length: written });
        }
        let position = self.prompt.token_ids.len() as u32 + written;
        Piece { token_ids: &self.token_ids[written as usize..], position, context, write_at: self.rows.start + written }
    }
    fn so_far(&self) -> Vec<u32> {
        [&self.prompt.token_ids[..], &self.token_ids[..]].concat()
    }
    /// Takes the newest token in: text, and whether it was the last. `None` when there is no new token.
    fn digest(&mut self, settings: &Settings, context: usize) -> Option<String> {
        let token_id = *self.token_ids.get(self.told)?;
        self.told += 1;
        let ended = settings.end_token_ids.contains(&token_id);
        let mut text = match &mut self.decoder {
            Some(decoder) if !ended => decoder.push(token_id),
            _ => String::new(),
        };
        let n = self.token_ids.len();
        let full = self.prompt.token_ids.len() + n >= context;
        self.stop = match (ended, n >= settings.max_new_tokens, full) {
            (true, ..) => Some(StopReason::End),
            (_, true, _) => Some(StopReason::Length),
            (.., true) => Some(StopReason::Context),
            _ => None,
        };
        if self.stop.is_some() {
            text += &self.decoder.take().map(StreamDecoder::finish).unwrap_or_default();
        }
        let mut certain = match self.watch.push(&text) {
            Watched::Text(text) => text,
            Watched::Stopped(text) => {
                self.stop = Some(StopReason::StopString);
                text
            }
        };
        if self.stop.is_some() {
            certain += &std::mem::replace(&mut self.watch, StopWatch::new(&[])).finish();
        }
        self.text += &certain;
        Some(certain)
    }
}

/// Tokens of a prompt from `start` on, the earlier ones lying in the cache before them.
fn piece_at(token_ids: &[u32], start: u32, first_row: u32) -> Piece<'_> {
    let context = if start > 0 { vec![Span { start: first_row, length: start }] } else { Vec::new() };
    Piece { token_ids, position: start, context, write_at: first_row + start }
}

/// Runs the pieces gathered so far and hands each prompt its logits.
fn flush(
    model: &Model,
    cache: &mut KvCache,
    group: &mut Vec<Piece>,
    prompts: &mut [Prefilled],
    workspace: &mut Workspace,
) {
    if group.is_empty() {
        return;
    }
    let logits = model.extend(cache, group, workspace);
    let vocabulary = logits.len() / group.len();
    for (prompt, logits) in prompts.iter_mut().zip(logits.chunks(vocabulary)) {
        prompt.logits = logits.to_vec();
    }
    group.clear();
}
