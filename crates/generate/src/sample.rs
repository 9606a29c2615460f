//! One sample while it grows: its tokens, its text, and why it ends.
use crate::bias::Bias;
use crate::engine::{Completion, Settings, StopReason};
use crate::sampling::alternatives;
use crate::stop::{StopWatch, Watched};
use kernels::{Isa, choice};
use model::{Piece, Span};
use render::{StreamDecoder, Tokenizer};
use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;
use stdx::seed::Stream;

/// A prompt in the cache, until all its samples are done.
pub(crate) struct Prefilled {
    pub id: usize,
    pub token_ids: Vec<u32>,
    pub rows: Range<u32>,
    /// After its last token.
    pub logits: Vec<f32>,
    pub settings: Arc<Settings>,
    pub bias: Bias,
    pub first_stream: u64,
    pub n_alternatives: usize,
}

/// A token that was chosen.
pub(crate) struct Choice {
    pub token_id: u32,
    pub log_prob: f32,
    pub alternatives: Vec<(u32, f32)>,
}

/// What choosing needs besides the logits, drawn beforehand so that samples can be chosen in parallel.
pub(crate) struct Draw {
    prompt: Arc<Prefilled>,
    uniform: f64,
    /// The text so far, where the repetition penalty asks.
    seen: Vec<u32>,
    /// The completion so far, where the bias asks.
    completion: Vec<u32>,
}

thread_local! {
    /// Logits that are changed before a token is chosen: a worker's, kept because fresh pages are slow to touch.
    static CHANGED: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

impl Draw {
    pub fn choose(&self, isa: Isa, logits: &[f32]) -> Choice {
        let Prefilled { settings, bias, n_alternatives, .. } = &*self.prompt;
        let sampling = &settings.sampling;
        let token_id = if bias.is_none() && sampling.repetition_penalty == 1.0 {
            sampling.pick(isa, logits, self.uniform)
        } else {
            CHANGED.with_borrow_mut(|changed| {
                changed.clear();
                changed.extend_from_slice(logits);
                bias.apply(changed, &self.completion);
                sampling.penalise(changed, &self.seen);
                sampling.pick(isa, changed, self.uniform)
            })
        };
        let temperature = sampling.scoring_temperature();
        let log_prob = choice::log_prob(isa, logits, token_id as usize, temperature);
        let alternatives = alternatives(isa, logits, *n_alternatives, temperature);
        Choice { token_id, log_prob, alternatives }
    }
}

/// What taking in the newest token led to.
pub(crate) struct Digested {
    pub token_id: u32,
    pub log_prob: f32,
    pub alternatives: Vec<(u32, f32)>,
    /// Text that is certain now.
    pub text: String,
}

/// A sample being decoded.
pub(crate) struct Active<'a> {
    pub prompt: Arc<Prefilled>,
    pub sample_idx: usize,
    pub rows: Range<u32>,
    pub stop: Option<StopReason>,
    stream: Stream,
    token_ids: Vec<u32>,
    log_probs: Vec<f32>,
    /// The newest token, until it is taken in and told of.
    newest: Option<Vec<(u32, f32)>>,
    text: String,
    decoder: Option<StreamDecoder<'a>>,
    watch: StopWatch,
}

impl<'a> Active<'a> {
    pub fn new(
        prompt: Arc<Prefilled>,
        sample_idx: usize,
        rows: Range<u32>,
        tokenizer: Option<&'a Tokenizer>,
    ) -> Active<'a> {
        Active {
            stream: prompt.settings.seed.stream("sample", prompt.first_stream + sample_idx as u64),
            decoder: tokenizer.map(|t| t.stream(&prompt.token_ids)),
            watch: StopWatch::new(prompt.settings.stop.clone()),
            prompt,
            sample_idx,
            rows,
            stop: None,
            token_ids: Vec::new(),
            log_probs: Vec::new(),
            newest: None,
            text: String::new(),
        }
    }

    /// The newest token, which isn't in the cache yet.
    pub fn next_piece(&self) -> Piece<'_> {
        let written = self.token_ids.len() as u32 - 1;
        let prompt = Span { start: self.prompt.rows.start, length: self.prompt.token_ids.len() as u32 };
        let mut context = vec![prompt];
        if written > 0 {
            context.push(Span { start: self.rows.start, length: written });
        }
        let position = self.prompt.token_ids.len() as u32 + written;
        Piece { token_ids: &self.token_ids[written as usize..], position, context, write_at: self.rows.start + written }
    }

    pub fn draw(&mut self) -> Draw {
        let penalised = self.prompt.settings.sampling.repetition_penalty != 1.0;
        let seen = if penalised { [&self.prompt.token_ids[..], &self.token_ids[..]].concat() } else { Vec::new() };
        let completion = if self.prompt.bias.is_none() { Vec::new() } else { self.token_ids.clone() };
        Draw { prompt: self.prompt.clone(), uniform: self.stream.uniform(), seen, completion }
    }

    pub fn push(&mut self, choice: Choice) {
        self.token_ids.push(choice.token_id);
        self.log_probs.push(choice.log_prob);
        self.newest = Some(choice.alternatives);
    }

    /// Takes the newest token in: text, and whether it was the last. `None` when there is no new token.
    pub fn digest(&mut self, context: usize) -> Option<Digested> {
        let alternatives = self.newest.take()?;
        let n = self.token_ids.len();
        let (token_id, log_prob) = (self.token_ids[n - 1], self.log_probs[n - 1]);
        let settings = self.prompt.settings.clone();
        let ended = settings.end_token_ids.contains(&token_id);
        let mut text = match &mut self.decoder {
            Some(decoder) if !ended => decoder.push(token_id),
            _ => String::new(),
        };
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
            certain += &self.watch.finish();
        }
        self.text += &certain;
        Some(Digested { token_id, log_prob, alternatives, text: certain })
    }

    /// As it stands, with the prompt that may now have no samples left.
    pub fn into_completion(self) -> (Completion, Arc<Prefilled>) {
        let Active { prompt, sample_idx, token_ids, log_probs, text, stop, .. } = self;
        let stop = stop.unwrap_or(StopReason::Cancelled);
        (Completion { prompt_idx: prompt.id, sample_idx, token_ids, log_probs, text, stop }, prompt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::Sampling;
    use stdx::seed::Seed;

    #[test]
    fn the_reported_log_prob_is_the_models_own() {
        let sampling = Sampling { temperature: 0.7, top_k: 1, repetition_penalty: 1.3, ..Sampling::default() };
        let settings = Settings {
            sampling,
            n: 1,
            max_new_tokens: 1,
            end_token_ids: Vec::new(),
            stop: Vec::new(),
            seed: Seed(1),
            batch: 1,
        };
        let bias = Bias { logits: vec![(0, 1.5)], ..Bias::default() };
        let prompt = Prefilled {
            id: 0,
            token_ids: vec![1],
            rows: 0..1,
            logits: Vec::new(),
            settings: Arc::new(settings),
            bias,
            first_stream: 0,
            n_alternatives: 2,
        };
        let draw = Draw { prompt: Arc::new(prompt), uniform: 0.3, seen: vec![1], completion: Vec::new() };
        let logits = [1.0, 3.0, 0.5, 2.2, -2.0];
        let chosen = draw.choose(Isa::best(), &logits);
        // 3/1.3 = 2.31 of the token that was seen, 1 + 1.5 of the one that is helped.
        assert_eq!(chosen.token_id, 0);
        let sum: f64 = logits.iter().map(|z| (f64::from(*z) / 0.7).exp()).sum();
        assert!((f64::from(chosen.log_prob) - (1.0 / 0.7 - sum.ln())).abs() < 1e-6);
        assert_eq!(chosen.alternatives.iter().map(|a| a.0).collect::<Vec<_>>(), [1, 3]);
    }
}
