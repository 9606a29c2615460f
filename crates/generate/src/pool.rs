//! Requests come and go while others are being decoded: continuous batching.
//!
//! A step fills the free places (a prompt is prefilled once for all its samples), then decodes one token for every
//! sample in flight. Each request has settings of its own.
use crate::bias::Bias;
use crate::engine::{Completion, Event, GenerateError, Settings};
use crate::rows::Rows;
use crate::sample::{Active, Choice, Digested, Prefilled};
use kernels::linear::Precision;
use model::{KvCache, Model, Piece, Span, Workspace};
use render::Tokenizer;
use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, OnceLock};

/// Prompts are prefilled in pieces of about this many tokens at most, so that buffers don't grow with the longest prompt.
const PREFILL_TOKENS_MAX: usize = 1024;

/// One prompt to be continued, once or several times.
#[derive(Clone, Debug)]
pub struct Request {
    /// The caller's name for it, unique among those in flight: what events and completions call `prompt_idx`.
    pub id: usize,
    /// The prompt.
    pub token_ids: Vec<u32>,
    /// How to continue it; `batch` is the pool's business.
    pub settings: Arc<Settings>,
    /// Sample s draws from the stream ("sample", `first_stream` + s) of the settings' seed.
    pub first_stream: u64,
    /// Added to its logits.
    pub bias: Bias,
    /// How many of the likeliest tokens are told with each chosen one.
    pub n_alternatives: usize,
}

impl Request {
    /// Draws from the first streams, with no bias and no alternatives.
    pub fn new(id: usize, token_ids: Vec<u32>, settings: Arc<Settings>) -> Request {
        Request { id, token_ids, settings, first_stream: 0, bias: Bias::default(), n_alternatives: 0 }
    }
}

/// What a pool may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Tokens in the cache, those that samples in flight may still grow by included.
    pub rows: usize,
    /// Samples decoded together.
    pub batch: usize,
    /// No further prompt is begun in a step once this many tokens were prefilled: how long those in flight wait. With
    /// packed weights a longer prompt is read in pieces of this length, one a step.
    pub prefill_tokens: usize,
    /// Rows that a prompt holds at least.
    pub prompt_rows_min: usize,
    /// Rows that a sample holds at least.
    pub sample_rows_min: usize,
    /// As [`KvCache::exact`].
    pub exact: bool,
}

/// Samples of many requests, decoded together.
pub struct Pool<'a> {
    model: &'a Model,
    tokenizer: Option<&'a Tokenizer>,
    limits: Limits,
    rows: Rows,
    cache: KvCache,
    workspace: Workspace,
    /// After the newest token of each sample in flight; kept for its memory.
    logits: Vec<f32>,
    /// Not yet prefilled.
    waiting: VecDeque<Request>,
    /// A long prompt that is prefilled in part; it comes before those that wait.
    reading: Option<Reading>,
    /// Samples whose prompt is prefilled but which aren't begun; the first of a prompt has its rows already.
    ready: VecDeque<Ready>,
    active: Vec<Active<'a>>,
}

/// A request with its rows: the prompt's, and its first sample's, so that whatever is prefilled can also go on.
struct Reading {
    request: Request,
    rows: Range<u32>,
    sample_rows: Range<u32>,
    /// Tokens of the prompt that are in the cache.
    n_read: usize,
}

struct Ready {
    prompt: Arc<Prefilled>,
    sample_idx: usize,
    rows: Option<Range<u32>>,
}

impl<'a> Pool<'a> {
    /// With a tokenizer, completions carry text and stop strings work. The cache is laid out now, and its memory taken
    /// as it is used.
    pub fn new(model: &'a Model, tokenizer: Option<&'a Tokenizer>, limits: Limits) -> Pool<'a> {
        Pool::with_workspace(model, tokenizer, limits, Workspace::default())
    }

    pub(crate) fn with_workspace(
        model: &'a Model,
        tokenizer: Option<&'a Tokenizer>,
        limits: Limits,
        workspace: Workspace,
    ) -> Pool<'a> {
        let mut cache = if limits.exact { model.new_cache(limits.rows) } else { model.new_compact_cache(limits.rows) };
        cache.exact = limits.exact;
        Pool {
            model,
            tokenizer,
            limits,
            rows: Rows::new(limits.rows),
            cache,
            workspace,
            logits: Vec::new(),
            waiting: VecDeque::new(),
            reading: None,
            ready: VecDeque::new(),
            active: Vec::new(),
        }
    }

    pub(crate) fn into_workspace(self) -> Workspace {
        self.workspace
    }

    /// Takes a request in; it begins when there is room for it, after those that came before.
    pub fn submit(&mut self, request: Request) -> Result<(), GenerateError> {
        let n_tokens = request.token_ids.len();
        check(&request.settings, self.tokenizer)?;
        check_prompt(request.id, n_tokens, self.model.config().max_position)?;
        let rows = self.prompt_rows(n_tokens) + self.sample_rows(n_tokens, &request.settings);
        if rows as usize > self.limits.rows {
            let (prompt_idx, rows) = (request.id, rows as usize);
            return Err(GenerateError::CacheTooSmall { prompt_idx, rows, capacity: self.limits.rows });
        }
        self.waiting.push_back(request);
        Ok(())
    }

    /// Forgets a request, wherever it is; nothing more is told of it.
    pub fn cancel(&mut self, id: usize) {
        self.waiting.retain(|request| request.id != id);
        if let Some(reading) = self.reading.take_if(|reading| reading.request.id == id) {
            self.put_back(reading);
        }
        for ready in take_where(&mut self.ready, |ready| ready.prompt.id == id) {
            if let Some(rows) = ready.rows {
                self.rows.give(rows);
            }
            self.release(ready.prompt);
        }
        for active in take_where(&mut self.active, |active| active.prompt.id == id) {
            self.retire(active);
        }
    }

    /// Nothing waits and nothing is decoded.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.reading.is_none() && self.ready.is_empty() && self.active.is_empty()
    }

    /// Samples being decoded.
    pub fn n_active(&self) -> usize {
        self.active.len()
    }

    /// Requests of which nothing is begun.
    pub fn n_waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Begins what has room, then a token for every sample in flight.
    pub fn step(&mut self, on_event: &mut dyn FnMut(Event) -> ControlFlow<()>) -> ControlFlow<()> {
        self.admit();
        let flow = self.emit(on_event);
        if flow.is_break() || self.active.is_empty() {
            return flow;
        }
        let pieces: Vec<Piece> = self.active.iter().map(Active::next_piece).collect();
        let mut logits = std::mem::take(&mut self.logits);
        self.model.extend_into(&mut self.cache, &pieces, &mut self.workspace, &mut logits);
        let vocabulary = logits.len() / pieces.len();
        drop(pieces);
        self.choose(0, |i| &logits[i * vocabulary..(i + 1) * vocabulary]);
        self.logits = logits;
        self.emit(on_event)
    }

    /// Ends what is in flight, as it stands.
    pub(crate) fn finish(&mut self) -> Vec<Completion> {
        self.waiting.clear();
        if let Some(reading) = self.reading.take() {
            self.put_back(reading);
        }
        for ready in take_where(&mut self.ready, |_| true) {
            self.release(ready.prompt);
        }
        std::mem::take(&mut self.active).into_iter().map(|active| self.retire(active)).collect()
    }

    fn prompt_rows(&self, n_tokens: usize) -> u32 {
        n_tokens.max(self.limits.prompt_rows_min) as u32
    }

    /// The most that a sample can grow by.
    fn sample_rows(&self, n_prompt_tokens: usize, settings: &Settings) -> u32 {
        let room = self.model.config().max_position - n_prompt_tokens;
        settings.max_new_tokens.min(room).max(self.limits.sample_rows_min) as u32
    }

    /// Fills the free places: samples of prompts already prefilled first, then new prompts.
    fn admit(&mut self) {
        let (first, mut left) = (self.active.len(), self.limits.prefill_tokens);
        loop {
            self.begin_ready();
            let places = self.limits.batch.saturating_sub(self.active.len());
            if places == 0 || !self.ready.is_empty() || left == 0 {
                break;
            }
            let next = self.next_prompts(places, &mut left);
            if next.is_empty() {
                break;
            }
            for (prompt, sample_rows) in self.prefill(next) {
                let prompt = Arc::new(prompt);
                let mut rows = Some(sample_rows);
                let samples = 0..prompt.settings.n;
                self.ready.extend(samples.map(|sample_idx| Ready {
                    prompt: prompt.clone(),
                    sample_idx,
                    rows: rows.take(),
                }));
            }
        }
        let prompts: Vec<Arc<Prefilled>> = self.active[first..].iter().map(|active| active.prompt.clone()).collect();
        self.choose(first, |i| &prompts[i].logits);
    }

    /// Begins prefilled samples, in order, while there are places and rows.
    fn begin_ready(&mut self) {
        while self.active.len() < self.limits.batch
            && let Some(Ready { prompt, sample_idx, rows }) = self.ready.pop_front()
        {
            let size = self.sample_rows(prompt.token_ids.len(), &prompt.settings);
            match rows.or_else(|| self.rows.take_high(size)) {
                Some(rows) => self.active.push(Active::new(prompt, sample_idx, rows, self.tokenizer)),
                None => return self.ready.push_front(Ready { prompt, sample_idx, rows: None }),
            }
        }
    }

    /// The next requests for which there are places and rows, read but for their last pieces; `left` are the tokens that
    /// may still be read in this step.
    fn next_prompts(&mut self, places: usize, left: &mut usize) -> Vec<Reading> {
        let (mut next, mut places) = (Vec::new(), places);
        while places > 0
            && *left > 0
            && let Some(mut reading) = self.reading.take().or_else(|| self.take_rows())
        {
            self.read_on(&mut reading, left);
            let n_last = reading.request.token_ids.len() - reading.n_read;
            if *left == 0 || n_last > self.piece_length() + 1 {
                self.reading = Some(reading);
                break;
            }
            places -= reading.request.settings.n.min(places);
            *left = left.saturating_sub(n_last);
            next.push(reading);
        }
        next
    }

    /// The first of those that wait, if there are rows for it.
    fn take_rows(&mut self) -> Option<Reading> {
        let request = self.waiting.front()?;
        let n_tokens = request.token_ids.len();
        let sample_size = self.sample_rows(n_tokens, &request.settings);
        let rows = self.rows.take_low(self.prompt_rows(n_tokens))?;
        let Some(sample_rows) = self.rows.take_high(sample_size) else {
            self.rows.give(rows);
            return None;
        };
        self.waiting.pop_front().map(|request| Reading { request, rows, sample_rows, n_read: 0 })
    }

    fn put_back(&mut self, reading: Reading) {
        self.rows.give(reading.rows);
        self.rows.give(reading.sample_rows);
    }

    /// With f32 weights the bits of a result depend on how a prompt is cut, so it is cut alike everywhere.
    fn piece_length(&self) -> usize {
        let most = if self.reads_together() { self.limits.prefill_tokens } else { PREFILL_TOKENS_MAX };
        most.clamp(1, PREFILL_TOKENS_MAX)
    }

    /// With packed weights a row's result does not depend on the others.
    fn reads_together(&self) -> bool {
        self.model.precision() == Precision::Bf16
    }

    /// Runs pieces of a prompt, for their keys and values alone, up to the last. That one has two tokens at least: a
    /// token by itself is summed in another order, and how a prompt is cut must not show.
    fn read_on(&mut self, reading: &mut Reading, left: &mut usize) {
        let (length, tokens) = (self.piece_length(), &reading.request.token_ids);
        while *left > 0 && tokens.len() - reading.n_read > length + 1 {
            let piece = piece_at(&tokens[..reading.n_read + length], reading.n_read, reading.rows.start);
            self.model.extend(&mut self.cache, &[piece], &mut self.workspace);
            reading.n_read += length;
            *left = left.saturating_sub(length);
        }
    }

    /// Runs prompts, or what is left of them, through the model: short ones together where that changes nothing, and
    /// each alone with f32 weights, so that a completion never depends on its neighbours.
    fn prefill(&mut self, next: Vec<Reading>) -> Vec<(Prefilled, Range<u32>)> {
        let together = self.reads_together();
        let mut logits: Vec<Vec<f32>> = Vec::with_capacity(next.len());
        let mut group: Vec<Piece> = Vec::new();
        let mut group_tokens = 0;
        for Reading { request, rows, n_read, .. } in &next {
            let n_tokens = request.token_ids.len() - n_read;
            if !group.is_empty() && (!together || group_tokens + n_tokens > PREFILL_TOKENS_MAX) {
                flush(self.model, &mut self.cache, &mut group, &mut logits, &mut self.workspace);
                group_tokens = 0;
            }
            group.push(piece_at(&request.token_ids, *n_read, rows.start));
            group_tokens += n_tokens;
        }
        flush(self.model, &mut self.cache, &mut group, &mut logits, &mut self.workspace);
        next.into_iter().zip(logits).map(|(reading, logits)| prefilled(reading, logits)).collect()
    }

    /// Chooses a token for every active sample from `first` on, in parallel; the random numbers are drawn beforehand.
    fn choose<'l>(&mut self, first: usize, logits: impl Fn(usize) -> &'l [f32] + Sync) {
        let draws: Vec<_> = self.active[first..].iter_mut().map(Active::draw).collect();
        let chosen: Vec<OnceLock<Choice>> = draws.iter().map(|_| OnceLock::new()).collect();
        let device = self.model.device();
        device.pool.tasks(draws.len(), |i| {
            let _ = chosen[i].set(draws[i].choose(device.isa, logits(i)));
        });
        for (active, choice) in self.active[first..].iter_mut().zip(chosen) {
            active.push(choice.into_inner().expect("every task ran"));
        }
    }

    /// Tells of the newest token of samples that have one, and lets the finished go.
    fn emit(&mut self, on_event: &mut dyn FnMut(Event) -> ControlFlow<()>) -> ControlFlow<()> {
        let mut flow = ControlFlow::Continue(());
        let context = self.model.config().max_position;
        let mut keep = Vec::with_capacity(self.active.len());
        for mut active in std::mem::take(&mut self.active) {
            if let Some(Digested { token_id, log_prob, alternatives, text }) = active.digest(context)
                && flow.is_continue()
            {
                let (prompt_idx, sample_idx) = (active.prompt.id, active.sample_idx);
                let alternatives = &alternatives[..];
                flow = on_event(Event::Token { prompt_idx, sample_idx, token_id, log_prob, alternatives, text: &text });
            }
            // After a break nobody listens: what ended just now is left for `finish`.
            if active.stop.is_none() || flow.is_break() {
                keep.push(active);
                continue;
            }
            let completion = self.retire(active);
            flow = on_event(Event::Done(&completion));
        }
        self.active = keep;
        flow
    }

    fn retire(&mut self, active: Active) -> Completion {
        self.rows.give(active.rows.clone());
        let (completion, prompt) = active.into_completion();
        self.release(prompt);
        completion
    }

    /// Gives a prompt's rows back when this was the last that needed them.
    fn release(&mut self, prompt: Arc<Prefilled>) {
        if let Some(prompt) = Arc::into_inner(prompt) {
            self.rows.give(prompt.rows);
        }
    }
}

/// Settings that cannot be used.
pub(crate) fn check(settings: &Settings, tokenizer: Option<&Tokenizer>) -> Result<(), GenerateError> {
    settings.sampling.check()?;
    for (option, value) in [("n", settings.n), ("max_new_tokens", settings.max_new_tokens), ("batch", settings.batch)] {
        if value == 0 {
            return Err(GenerateError::Zero { option });
        }
    }
    if !settings.stop.is_empty() && tokenizer.is_none() {
        return Err(GenerateError::NoTokenizer);
    }
    Ok(())
}

/// A prompt that cannot be continued.
pub(crate) fn check_prompt(prompt_idx: usize, tokens: usize, context: usize) -> Result<(), GenerateError> {
    match tokens {
        0 => Err(GenerateError::EmptyPrompt { prompt_idx }),
        tokens if tokens >= context => Err(GenerateError::PromptTooLong { prompt_idx, tokens, context }),
        _ => Ok(()),
    }
}

fn prefilled(reading: Reading, logits: Vec<f32>) -> (Prefilled, Range<u32>) {
    let Reading { request, rows, sample_rows, .. } = reading;
    let Request { id, token_ids, settings, first_stream, bias, n_alternatives } = request;
    (Prefilled { id, token_ids, rows, logits, settings, bias, first_stream, n_alternatives }, sample_rows)
}

/// Removes and returns what fits, in order.
fn take_where<T, C>(from: &mut C, mut fits: impl FnMut(&T) -> bool) -> Vec<T>
where
    C: Default + Extend<T> + IntoIterator<Item = T>,
{
    let (taken, kept): (Vec<T>, Vec<T>) = std::mem::take(from).into_iter().partition(|item| fits(item));
    from.extend(kept);
    taken
}

/// Tokens of a prompt from `n_read` on, the earlier ones lying in the cache from `first_row` on.
fn piece_at(token_ids: &[u32], n_read: usize, first_row: u32) -> Piece<'_> {
    let start = n_read as u32;
    let context = if start > 0 { vec![Span { start: first_row, length: start }] } else { Vec::new() };
    Piece { token_ids: &token_ids[n_read..], position: start, context, write_at: first_row + start }
}

/// Runs the pieces gathered so far and adds each prompt's logits.
fn flush(
    model: &Model,
    cache: &mut KvCache,
    group: &mut Vec<Piece>,
    logits: &mut Vec<Vec<f32>>,
    workspace: &mut Workspace,
) {
    if group.is_empty() {
        return;
    }
    let all = model.extend(cache, group, workspace);
    logits.extend(all.chunks(all.len() / group.len()).map(<[f32]>::to_vec));
    group.clear();
}
