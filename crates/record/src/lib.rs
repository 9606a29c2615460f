//! The nouns on disk. They know serde and nothing of tensors, tokenizers or databases.
use serde::{Deserialize, Serialize};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions to the assistant.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// Who.
    pub role: Role,
    /// What.
    pub content: String,
}

/// What a completion answers: plain text (no template) or a conversation (chat template).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Prompt {
    /// Plain text.
    Text(String),
    /// A conversation that the assistant continues.
    Messages(Vec<Message>),
}

/// Where a demonstration or judgement came from. Absent means unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A person.
    Human,
    /// A language model.
    Model,
    /// A program's rule.
    Rule,
    /// A simulated labeler.
    Simulated,
}

/// Facts that may ride on any row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Stable identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// One of InstructGPT's use-cases, or the user's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_case: Option<String>,
    /// Who wrote the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Language tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Who judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labeler: Option<String>,
    /// The judge's group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// What a supervised row trains on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Demonstration {
    /// A prompt and its completion.
    Completion {
        /// What is asked.
        prompt: Prompt,
        /// The answer.
        completion: String,
    },
    /// A whole conversation; every assistant turn is trained on.
    Conversation {
        /// The turns.
        messages: Vec<Message>,
    },
}

/// A completion with its rank, 1 best; equal ranks are ties.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankedCompletion {
    /// The answer.
    pub text: String,
    /// Its rank; order is what counts.
    pub rank: i64,
}

/// K completions of one prompt, ranked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranking {
    /// What is asked.
    pub prompt: Prompt,
    /// The answers.
    pub completions: Vec<RankedCompletion>,
}

/// A chosen and a rejected completion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preference {
    /// What is asked.
    pub prompt: Prompt,
    /// The better answer.
    pub chosen: String,
    /// The worse one.
    pub rejected: String,
    /// How much better (Llama 2), when stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
}

/// A completion with a thumb up or down (KTO).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpaired {
    /// What is asked.
    pub prompt: Prompt,
    /// The answer.
    pub completion: String,
    /// Whether it is good.
    pub label: bool,
}

/// Any row of data.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// Running text.
    Text(String),
    /// A prompt alone.
    Prompt(Prompt),
    /// A demonstration.
    Demonstration(Demonstration),
    /// A preference.
    Preference(Preference),
    /// A ranking.
    Ranking(Ranking),
    /// An unpaired judgement.
    Unpaired(Unpaired),
}

/// A record with its facts.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The content.
    pub record: Record,
    /// The facts.
    pub meta: Meta,
}
