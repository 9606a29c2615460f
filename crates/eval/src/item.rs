//! What is asked of a model, and what it answers.

use record::{Prompt, Source};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// One question of a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Item {
    /// Its name in the task, the same from run to run.
    pub id: String,
    /// What is asked.
    pub ask: Ask,
    /// What the task needs to score an answer (the right choice, references, instructions).
    pub gold: Value,
    /// The part of the task it belongs to, when parts are told apart (a category, a template).
    pub slice: Option<String>,
    /// Who wrote it.
    pub source: Option<Source>,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// The log-likelihood of each continuation of a context, the delimiter between them included in the continuation.
    Choices {
        /// What stands before; empty stands for the beginning of a text.
        context: String,
        /// What may follow.
        continuations: Vec<String>,
        /// Also of the continuations at the beginning of a text.
        unconditional: bool,
    },
    /// The log-likelihood of a text.
    Text {
        /// The text.
        text: String,
    },
    /// The reward of each completion of a prompt; a reward model is asked.
    Rewards {
        /// What is asked.
        prompt: Prompt,
        /// The answers to it.
        completions: Vec<String>,
    },
    /// Nothing: somebody has said already what there is to say of a completion.
    Judged {
        /// What was asked.
        prompt: Prompt,
        /// The answer that was judged.
        completion: String,
        /// What was said of it, by question.
        said: Map<String, Value>,
    },
    /// Completions.
    Completions {
        /// Of what.
        prompt: Prompt,
        /// How.
        sampling: Sampling,
    },
}

impl Item {
    /// What was said already, of an item that asks nothing.
    pub fn said(&self) -> Option<Answer> {
        match &self.ask {
            Ask::Judged { said, .. } => Some(Answer::Said { fields: said.clone() }),
            _ => None,
        }
    }
    /// What is asked before anything that differs between items of it: the prompt, or the context; else the item itself.
    pub fn cluster(&self) -> String {
        match &self.ask {
            Ask::Choices { context, .. } if !context.is_empty() => context.clone(),
            Ask::Text { text } => text.clone(),
            ask => ask.prompt().map_or_else(|| self.id.clone(), |prompt| json!(prompt).to_string()),
        }
    }
    /// The model that wrote what was judged.
    pub fn judged_model(&self) -> &str {
        self.gold["model"].as_str().unwrap_or("unknown")
    }
}

/// How completions are asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// Completions of the prompt.
    pub n: usize,
    /// Most tokens of one.
    pub max_new_tokens: usize,
    /// Divides the logits; 0 takes the most likely token.
    pub temperature: f32,
    /// Strings that end one.
    pub stop: Vec<String>,
    /// Also the entropy of the distribution of each token, at temperature 1.
    pub entropy: bool,
    /// Also the divergence from the reference model.
    pub divergence: bool,
}

impl Ask {
    /// The prompt that something was, or is to be, written to.
    pub fn prompt(&self) -> Option<&Prompt> {
        match self {
            Ask::Rewards { prompt, .. } | Ask::Judged { prompt, .. } | Ask::Completions { prompt, .. } => Some(prompt),
            Ask::Choices { .. } | Ask::Text { .. } => None,
        }
    }
}

impl Sampling {
    /// The most likely completion.
    pub fn greedy(max_new_tokens: usize) -> Sampling {
        Sampling { n: 1, max_new_tokens, temperature: 0.0, stop: Vec::new(), entropy: false, divergence: false }
    }
    /// `n` completions at a temperature.
    pub fn draw(n: usize, max_new_tokens: usize, temperature: f32) -> Sampling {
        Sampling { n, temperature, ..Sampling::greedy(max_new_tokens) }
    }
}

/// What a model answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// To [`Ask::Choices`], in the order asked.
    Choices {
        /// After the context.
        conditional: Vec<LogLikelihood>,
        /// At the beginning of a text; empty when not asked for.
        unconditional: Vec<LogLikelihood>,
    },
    /// To [`Ask::Text`].
    Text(LogLikelihood),
    /// To [`Ask::Rewards`].
    Rewards {
        /// In the order of the completions.
        rewards: Vec<f64>,
    },
    /// To [`Ask::Judged`].
    Said {
        /// By question.
        fields: Map<String, Value>,
    },
    /// To [`Ask::Completions`].
    Completions {
        /// In the order drawn.
        samples: Vec<Sample>,
    },
    /// It doesn't fit the model's context: counted, never cut.
    TooLong {
        /// Tokens needed.
        tokens: usize,
        /// Tokens there are.
        context: usize,
    },
}

/// The log-likelihood of a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLikelihood {
    /// Σ log p, nats.
    pub sum: f64,
    /// Tokens summed over.
    pub tokens: usize,
}

/// One completion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The text, without what ended it.
    pub text: String,
    /// Tokens, the end token included.
    pub tokens: usize,
    /// Whether it ended by itself.
    pub ended: bool,
    /// Entropy of the distribution each token was drawn from, nats; empty when not asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entropies: Vec<f32>,
    /// From the reference, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<Divergence>,
}

/// KL(model ‖ reference) along one completion, nats, summed over its tokens, at temperature 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Divergence {
    /// Σ d, d = log π − log π_ref of the token drawn.
    pub k1: f64,
    /// Σ (e^{−d} − 1 + d).
    pub k3: f64,
    /// Σ over tokens of Σ_v π(v)(log π(v) − log π_ref(v)), the whole vocabulary.
    pub exact: f64,
}
