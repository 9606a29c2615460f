//! How well running text is predicted: bits per byte and perplexities.

use super::{Data, Example, Row, Settings, Task};
use crate::EvalError;
use crate::item::{Answer, Ask, Item, LogLikelihood};
use crate::metric::{Metric, Score};
use serde_json::json;

/// The task.
pub struct Perplexity;

impl Task for Perplexity {
    fn name(&self) -> &'static str {
        "perplexity"
    }
    fn version(&self) -> u32 {
        1
    }
    fn summary(&self) -> &'static str {
        "how well running text is predicted (bits per byte, perplexity)"
    }
    fn source(&self) -> &'static str {
        "`loglikelihood_rolling` of lm-evaluation-harness 0.4: every token once, in windows of the context's length"
    }
    fn metrics(&self) -> &'static [Metric] {
        const METRICS: &[Metric] = &[
            Metric::lower("bits_per_byte", "−Σ log₂ p ÷ bytes of UTF-8, over all texts"),
            Metric::lower("byte_perplexity", "exp(−Σ log p ÷ bytes)").exponential(),
            Metric::lower("word_perplexity", "exp(−Σ log p ÷ words between blanks)").exponential(),
            Metric::lower("token_perplexity", "exp(−Σ log p ÷ tokens): of one tokenizer only")
                .exponential()
                .per_token(),
        ];
        METRICS
    }
    fn data(&self) -> Data {
        Data::File("rows with `text`, or a `.txt` file of documents between `<|endoftext|>`s")
    }
    fn items_of(&self, row: &Row, _: &Settings) -> Result<Vec<Item>, String> {
        let text = row.text("text")?.to_owned();
        let (bytes, words) = (text.len(), text.split_whitespace().count());
        if words == 0 {
            return Err("`text` has no words".to_owned());
        }
        let gold = json!({ "bytes": bytes, "words": words });
        Ok(vec![Item { id: row.id(), ask: Ask::Text { text }, gold, slice: None, source: row.source()? }])
    }
    fn score(&self, item: &Item, answer: &Answer, _: &Settings) -> Result<Vec<Score>, EvalError> {
        let Answer::Text(LogLikelihood { sum, tokens }) = answer else { return Ok(Vec::new()) };
        let of = |name: &str| item.gold[name].as_f64().unwrap_or(f64::NAN);
        Ok(vec![
            Score::weighted("bits_per_byte", -sum / std::f64::consts::LN_2, of("bytes")),
            Score::weighted("byte_perplexity", -sum, of("bytes")),
            Score::weighted("word_perplexity", -sum, of("words")),
            Score::weighted("token_perplexity", -sum, *tokens as f64),
        ])
    }
    fn examples(&self) -> Vec<Example> {
        // "é b": 4 bytes, 2 words; log p = −8 ln 2 over 4 tokens.
        let answer = Answer::Text(LogLikelihood { sum: -8.0 * std::f64::consts::LN_2, tokens: 4 });
        let scores = vec![
            ("bits_per_byte", 2.0),
            ("byte_perplexity", 4.0),
            ("word_perplexity", 16.0),
            ("token_perplexity", 4.0),
        ];
        vec![Example { row: json!({"text": "é b"}), answer, scores }]
    }
}
