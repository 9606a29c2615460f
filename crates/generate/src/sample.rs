//! One sample while it grows: its tokens, its text, and why it ends.
use crate::bias::Bias;
use crate::engine::{Completion, Settings, StopReason};
use crate::sampling::{alternatives, log_prob};
use crate::stop::{StopWatch, Watched};
use model::{Piece, Span};
use render::{StreamDecoder, Tokenizer};
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

impl Draw {
    pub fn choose(&self, logits: &[f32]) -> Choice {
        let Prefilled { settings, bias, n_alternatives, .. } = &*self.prompt;
        let sampling = &settings.sampling;
        let (token_id, log_prob) = if bias.is_none() {
            sampling.choose(logits, &self.seen, self.uniform)
        } else {
            let (token_id, _) = sampling.choose(&bias.apply(logits, &self.completion), &self.seen, self.uniform);
            (token_id, log_prob(logits, token_id, sampling.scoring_temperature()))
        };
        let alternatives = alternatives(logits, *n_alternatives, sampling.scoring_temperature());
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
