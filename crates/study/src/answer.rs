//! An answer with everything measured about it: a row of `answers/MODEL.jsonl`.
use crate::domain::{Domain, Question};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The question's id.
    pub id: String,
    /// Which of the question's samples.
    pub sample: usize,
    /// The question.
    pub prompt: Value,
    /// The answer.
    pub completion: String,
    /// The model that gave it.
    pub model: String,
    /// Always "model".
    pub source: String,
    /// InstructGPT's use-case.
    pub use_case: String,
    /// What of the question is held out.
    pub slice: String,
    /// Whether it ended by itself.
    pub ended: bool,
    /// Its tokens, end token included.
    pub tokens: usize,
    /// The reward model's reward, in standard deviations of its reference set: the objective trained on, not evidence.
    pub reward: f64,
    /// Σ (log π − log π_SFT), nats; absent where the question was not put as a chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl_sft: Option<f64>,
    /// Σ (log π − log π_base), nats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl_base: Option<f64>,
    /// The gold measures that apply, by name.
    pub gold: Map<String, Value>,
}

impl Answer {
    /// An answer to a question, judged; reward and KL come later.
    pub fn new(domain: &dyn Domain, question: &Question, model: &str, sample: usize, text: String) -> Answer {
        let judged = domain.measures().iter().zip(domain.judge(question, &text));
        let gold = judged.filter_map(|(measure, value)| Some((measure.key.to_owned(), json!(value?)))).collect();
        Answer {
            id: question.id.clone(),
            sample,
            prompt: json!(question.messages()),
            completion: text,
            model: model.to_owned(),
            source: "model".to_owned(),
            use_case: question.use_case.clone(),
            slice: question.slice.clone(),
            ended: false,
            tokens: 0,
            reward: 0.0,
            kl_sft: None,
            kl_base: None,
            gold,
        }
    }
}
