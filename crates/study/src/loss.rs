//! The loss of a model on texts, one at a time: what the loop costs the language model.
use crate::StudyError;
use crate::asking::log_likelihoods;
use model::Model;
use render::Renderer;
use serde::{Deserialize, Serialize};

/// A text's loss: a row of `texts/MODEL.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextLoss {
    /// Which text.
    pub text: usize,
    /// Σ −log p of its tokens (its end included, its first token not), nats.
    pub loss: f64,
    /// How many tokens that are.
    pub tokens: usize,
}

/// The loss of each text, cut to the model's context.
pub(crate) fn of_texts(model: &Model, renderer: &Renderer, texts: &[String]) -> Result<Vec<TextLoss>, StudyError> {
    let mut rows = Vec::with_capacity(texts.len());
    for (idx, text) in texts.iter().enumerate() {
        let mut token_ids = renderer.text(text, true)?.token_ids;
        token_ids.truncate(model.config().max_position);
        if token_ids.len() < 2 {
            continue;
        }
        rows.push((idx, token_ids));
    }
    let sequences: Vec<(&[u32], &[u32])> = rows.iter().map(|(_, token_ids)| token_ids.split_at(1)).collect();
    let sums = log_likelihoods(model, &sequences);
    let row = |((text, token_ids), sum): (&(usize, Vec<u32>), f64)| TextLoss {
        text: *text,
        loss: -sum,
        tokens: token_ids.len() - 1,
    };
    Ok(rows.iter().zip(sums).map(row).collect())
}
