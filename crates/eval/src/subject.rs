//! The model that is asked: questions to tokens, tokens to batches, batches to answers.

use crate::EvalError;
use crate::encode::{self, Scored};
use crate::exact;
use crate::item::{Answer, Ask, Item, LogLikelihood, Sample, Sampling};
use crate::prefix::PrefixTree;
use generate::{Event, Generator, StopReason};
use model::{Model, Request, TreeBatch, Workspace};
use record::{Message, Prompt};
use render::Renderer;
use serde_json::json;
use std::ops::{ControlFlow, Range};
use stdx::{Seed, hash};

/// Tokens run at once, give or take an item: so many, or so many times what all items begin with, which runs once a batch;
/// but never more than the last.
const BATCH_TOKENS: usize = 2048;
const BATCH_PRIMERS: usize = 8;
const BATCH_TOKENS_MAX: usize = 16 * 1024;

/// Completions that one call of the generator makes.
const BATCH_COMPLETIONS: usize = 64;

/// How a model is asked.
pub struct SubjectOptions {
    /// What it is called in tables.
    pub name: String,
    /// A hash of everything of the model that answers hang on: weights, tokenizer, template, arithmetic.
    pub identity: String,
    /// Plain prompts become a conversation's first turn.
    pub chat: bool,
    /// Put before every plain prompt (examples, an instruction).
    pub primer: String,
}

/// A model that is asked.
pub struct Subject<'a> {
    options: SubjectOptions,
    model: &'a Model,
    renderer: &'a Renderer,
    /// For divergences: a model with the same tokenizer, and its identity.
    reference: Option<(&'a Model, String)>,
    workspace: Workspace,
}

/// An item as tokens.
pub enum Prepared {
    /// Sequences to be scored; of choices the conditional ones come first.
    Scored(Vec<Scored>),
    /// A prompt to be completed.
    Prompt(Vec<u32>),
    /// More tokens than the context has.
    TooLong(usize),
}

impl<'a> Subject<'a> {
    /// A model with its tokenizer and template.
    pub fn new(model: &'a Model, renderer: &'a Renderer, options: SubjectOptions) -> Subject<'a> {
        Subject { options, model, renderer, reference: None, workspace: Workspace::default() }
    }

    /// Divergences are measured from this model, which must share the tokenizer.
    pub fn with_reference(mut self, reference: &'a Model, identity: String) -> Subject<'a> {
        self.reference = Some((reference, identity));
        self
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Everything its answers hang on, as a hash.
    pub fn identity(&self) -> String {
        let SubjectOptions { identity, chat, primer, .. } = &self.options;
        let reference = self.reference.as_ref().map(|(_, identity)| identity);
        let version = env!("CARGO_PKG_VERSION");
        hash::json(
            &json!({ "model": identity, "chat": chat, "primer": primer, "reference": reference, "version": version }),
        )
    }

    /// The hash of its tokenizer.
    pub fn tokenizer(&self) -> String {
        self.renderer.tokenizer().content_hash()
    }

    /// Whether divergences can be measured.
    pub fn has_reference(&self) -> bool {
        self.reference.is_some()
    }

    /// An item as tokens.
    pub fn prepare(&self, item: &Item) -> Result<Prepared, EvalError> {
        let context = self.model.config().max_position;
        let scored = match &item.ask {
            Ask::Choices { context, continuations, unconditional } => {
                let pair = |context: &str, continuation: &String| encode::pair(self.renderer, context, continuation);
                let primed = format!("{}{context}", self.options.primer);
                let conditional = continuations.iter().map(|c| pair(&primed, c));
                let alone = continuations.iter().filter(|_| *unconditional).map(|c| pair("", c));
                conditional.chain(alone).collect::<Result<Vec<_>, _>>()?
            }
            Ask::Text { text } => {
                let tokens = encode::sequence(self.renderer, text)?;
                encode::windows(encode::beginning(self.renderer)?, &tokens, context)
            }
            Ask::Rewards { .. } | Ask::Judged { .. } => {
                return Err(EvalError::Model("a language model is not who this is asked of".to_owned()));
            }
            Ask::Completions { prompt, .. } => {
                let token_ids = self.renderer.prompt(&self.asked(prompt))?;
                return Ok(if token_ids.is_empty() {
                    Prepared::Prompt(vec![encode::beginning(self.renderer)?])
                } else if token_ids.len() >= context {
                    Prepared::TooLong(token_ids.len())
                } else {
                    Prepared::Prompt(token_ids)
                });
            }
        };
        // The last token is predicted, not run.
        let longest = scored.iter().map(|s| s.token_ids.len() - 1).max().unwrap_or(0);
        Ok(if longest > context { Prepared::TooLong(longest) } else { Prepared::Scored(scored) })
    }

    /// A plain prompt as the model is to see it.
    fn asked(&self, prompt: &Prompt) -> Prompt {
        match prompt {
            Prompt::Text(text) => {
                let text = format!("{}{text}", self.options.primer);
                if self.options.chat { Prompt::Messages(vec![Message::user(text)]) } else { Prompt::Text(text) }
            }
            Prompt::Messages(_) => prompt.clone(),
        }
    }

    /// Items that are answered together. It hangs on the items alone, so that an interrupted run goes on with the same.
    pub fn batches(&self, items: &[Item], prepared: &[Prepared]) -> Vec<Range<usize>> {
        let mut batches = Vec::new();
        let mut start = 0;
        let mut tree = PrefixTree::default();
        let mut completions = 0;
        let most = (BATCH_PRIMERS * shared_by_all(prepared)).clamp(BATCH_TOKENS, BATCH_TOKENS_MAX);
        for (idx, (item, tokens)) in items.iter().zip(prepared).enumerate() {
            // Divergences and completions go by how they are drawn, which one call has in common.
            let ends = match (&item.ask, items.get(idx + 1).map(|next| &next.ask)) {
                (Ask::Completions { sampling: a, .. }, Some(Ask::Completions { sampling: b, .. })) => {
                    completions += a.n;
                    a != b || completions + b.n > BATCH_COMPLETIONS
                }
                (Ask::Completions { .. }, _) | (_, Some(Ask::Completions { .. })) => true,
                _ => {
                    if let Prepared::Scored(sequences) = tokens {
                        sequences.iter().for_each(|s| tree.insert(&s.token_ids[..s.token_ids.len() - 1]));
                    }
                    tree.n_tokens() >= most
                }
            };
            if ends || idx + 1 == items.len() {
                batches.push(start..idx + 1);
                start = idx + 1;
                tree = PrefixTree::default();
                completions = 0;
            }
        }
        batches
    }

    /// The answers of a batch; none when the caller asked to stop.
    pub fn answer(
        &mut self,
        items: &[Item],
        prepared: &[Prepared],
        seed: Seed,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<Answer>>, EvalError> {
        match &items[0].ask {
            Ask::Completions { sampling, .. } => self.complete(prepared, sampling, seed, go_on),
            _ => Ok(Some(self.score(items, prepared))),
        }
    }

    fn too_long(&self, tokens: usize) -> Answer {
        Answer::TooLong { tokens, context: self.model.config().max_position }
    }

    /// Log-likelihoods; what sequences have in common runs once.
    fn score(&mut self, items: &[Item], prepared: &[Prepared]) -> Vec<Answer> {
        let mut tree = PrefixTree::default();
        let sequences = |p: &'_ Prepared| match p {
            Prepared::Scored(sequences) => sequences.clone(),
            _ => Vec::new(),
        };
        let all: Vec<Scored> = prepared.iter().flat_map(sequences).collect();
        all.iter().for_each(|s| tree.insert(&s.token_ids[..s.token_ids.len() - 1]));
        let mut log_probs = Vec::new();
        if tree.n_tokens() > 0 {
            let planted = tree.plant();
            let targets = all.iter().flat_map(|s| planted.targets(&s.token_ids, s.first)).collect();
            log_probs = self.model.forward(&planted.batch, &Request::log_probs(targets), &mut self.workspace).log_probs;
        }
        let mut log_probs = log_probs.into_iter();
        let mut take = |s: &Scored| {
            let tokens = s.token_ids.len() - s.first;
            LogLikelihood { sum: log_probs.by_ref().take(tokens).map(f64::from).sum(), tokens }
        };
        let answer = |(item, prepared): (&Item, &Prepared)| match (prepared, &item.ask) {
            (Prepared::Scored(sequences), Ask::Choices { continuations, .. }) => {
                let mut conditional: Vec<LogLikelihood> = sequences.iter().map(&mut take).collect();
                let unconditional = conditional.split_off(continuations.len());
                Answer::Choices { conditional, unconditional }
            }
            (Prepared::Scored(sequences), _) => {
                let windows: Vec<LogLikelihood> = sequences.iter().map(&mut take).collect();
                let sum = windows.iter().map(|w| w.sum).sum();
                Answer::Text(LogLikelihood { sum, tokens: windows.iter().map(|w| w.tokens).sum() })
            }
            (Prepared::Prompt(tokens), _) => self.too_long(tokens.len()),
            (Prepared::TooLong(tokens), _) => self.too_long(*tokens),
        };
        items.iter().zip(prepared).map(answer).collect()
    }

    fn complete(
        &mut self,
        prepared: &[Prepared],
        sampling: &Sampling,
        seed: Seed,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<Answer>>, EvalError> {
        let mut prompts = Vec::new();
        for prepared in prepared {
            if let Prepared::Prompt(token_ids) = prepared {
                prompts.push(token_ids.clone());
            }
        }
        let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); prompts.len()];
        if !prompts.is_empty() {
            let settings = generate::Settings {
                sampling: generate::Sampling { temperature: sampling.temperature, ..generate::Sampling::default() },
                n: sampling.n,
                max_new_tokens: sampling.max_new_tokens,
                end_token_ids: self.renderer.end_ids().to_vec(),
                stop: sampling.stop.clone(),
                seed,
                batch: BATCH_COMPLETIONS,
            };
            let on_event = &mut |_: Event| if go_on() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
            let mut generator = Generator::new(self.model, Some(self.renderer.tokenizer()));
            let completions = generator.generate(&prompts, &settings, on_event)?;
            if completions.iter().any(|c| c.stop == StopReason::Cancelled)
                || completions.len() < prompts.len() * sampling.n
            {
                return Ok(None);
            }
            let mut found: Vec<Sample> = completions
                .iter()
                .map(|c| Sample {
                    text: c.text.clone(),
                    tokens: c.token_ids.len(),
                    ended: matches!(c.stop, StopReason::End | StopReason::StopString),
                    entropies: Vec::new(),
                    divergence: None,
                })
                .collect();
            if sampling.entropy {
                self.add_entropies(&prompts, &completions, &mut found);
            }
            if sampling.divergence {
                self.add_divergences(&prompts, &completions, &mut found)?;
            }
            for (sample, completion) in found.into_iter().zip(&completions) {
                samples[completion.prompt_idx].push(sample);
            }
        }
        let mut samples = samples.into_iter();
        let answer = |prepared: &Prepared| match prepared {
            Prepared::TooLong(tokens) => self.too_long(*tokens),
            _ => Answer::Completions { samples: samples.next().unwrap_or_default() },
        };
        Ok(Some(prepared.iter().map(answer).collect()))
    }

    /// Entropies at temperature 1, the prompt run once for its samples.
    fn add_entropies(&mut self, prompts: &[Vec<u32>], completions: &[generate::Completion], samples: &mut [Sample]) {
        let n = completions.len() / prompts.len();
        for (prompt_idx, prompt) in prompts.iter().enumerate() {
            let range = prompt_idx * n..(prompt_idx + 1) * n;
            let mut batch = TreeBatch::default();
            let root = batch.push_root(prompt);
            let mut targets = Vec::new();
            for completion in &completions[range.clone()] {
                if !completion.token_ids.is_empty() {
                    let segment = batch.push_branch(root, &completion.token_ids);
                    targets.extend((0..completion.token_ids.len()).filter_map(|at| batch.target(segment, at)));
                }
            }
            let request = Request { entropy: true, ..Request::log_probs(targets) };
            let mut entropies = self.model.forward(&batch, &request, &mut self.workspace).entropies.into_iter();
            for idx in range {
                samples[idx].entropies = entropies.by_ref().take(completions[idx].token_ids.len()).collect();
            }
        }
    }

    fn add_divergences(
        &mut self,
        prompts: &[Vec<u32>],
        completions: &[generate::Completion],
        samples: &mut [Sample],
    ) -> Result<(), EvalError> {
        let Some((reference, _)) = &self.reference else {
            return Err(EvalError::Model("no reference model was given to measure divergence from".to_owned()));
        };
        let mut paths = Vec::new();
        for completion in completions {
            paths.push(exact::Path { prompt: &prompts[completion.prompt_idx], completion: &completion.token_ids });
        }
        let found = exact::divergences(self.model, reference, &paths, &mut self.workspace);
        for (sample, divergence) in samples.iter_mut().zip(found) {
            sample.divergence = Some(divergence);
        }
        Ok(())
    }
}

/// How many tokens all items that are scored begin with.
fn shared_by_all(prepared: &[Prepared]) -> usize {
    let mut firsts = prepared.iter().filter_map(|prepared| match prepared {
        Prepared::Scored(sequences) => Some(&sequences.first()?.token_ids[..]),
        _ => None,
    });
    let Some(first) = firsts.next() else { return 0 };
    firsts.fold(first.len(), |shared, tokens| {
        first[..shared].iter().zip(tokens).take_while(|(ours, theirs)| ours == theirs).count()
    })
}
