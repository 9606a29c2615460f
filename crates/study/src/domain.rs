//! What a study is about: where its rows come from, and how answers are judged.
pub mod instructions;
pub mod small_world;

use record::{Message, Prompt};
use serde_json::Value;
use stdx::Seed;

/// What a number says when it is larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
    /// Neither: it describes.
    Neither,
}

/// A number that answers are measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Its name in files.
    pub key: &'static str,
    /// What people call it.
    pub name: &'static str,
    /// What it is, a sentence.
    pub meaning: &'static str,
    /// Which direction is better.
    pub better: Better,
}

/// A question with what is needed to report on it. One turn of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Its id.
    pub id: String,
    /// What is asked.
    pub text: String,
    /// InstructGPT's use-case.
    pub use_case: String,
    /// The group that it is reported in: what of it is held out.
    pub slice: String,
}

impl Question {
    /// As a conversation.
    pub fn messages(&self) -> Prompt {
        Prompt::Messages(vec![Message::user(self.text.clone())])
    }
}

/// What questions are for; no question is in two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Their answers are ranked.
    Reward,
    /// The policy learns from them.
    Policy,
    /// Models are measured on them, and on nothing else.
    Eval,
}

/// Texts for language modelling; no text is in two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextPart {
    /// Learnt beside demonstrations.
    Sft,
    /// Mixed into PPO (ptx).
    Mix,
    /// Measured on.
    HeldOut,
}

/// Where rows come from, and how answers are judged.
pub trait Domain {
    /// Its name.
    fn name(&self) -> &'static str;
    /// What it is, a few sentences for the reader of a report.
    fn summary(&self) -> String;
    /// What its numbers don't say, a sentence each.
    fn limits(&self) -> Vec<String>;
    /// The gold measures; the first is the verdict as a whole.
    fn measures(&self) -> &'static [Measure];
    /// An answer's value by each gold measure, `None` where it doesn't apply.
    fn judge(&self, question: &Question, answer: &str) -> Vec<Option<f64>>;
    /// Rows of demonstrations.
    fn demonstrations(&self, n: usize) -> Vec<Value>;
    /// Questions, none twice.
    fn questions(&self, part: Part, n: usize) -> Vec<Question>;
    /// Rankings that there are already; `None`: the model's own answers are to be ranked.
    fn rankings(&self) -> Option<Vec<Value>>;
    /// The model's answers to a question, ranked: a row.
    fn rank(&self, question: &Question, answers: &[String], index: usize, seed: Seed) -> Value;
    /// Texts of the kind that the base model was trained on.
    fn texts(&self, part: TextPart, n: usize) -> Vec<String>;
    /// The question that every model answers six times.
    fn example(&self) -> Question;
    /// A question as text, for a model that knows no chats.
    fn bare(&self, question: &Question) -> String;
    /// The same behind a few examples of questions with answers.
    fn few_shot(&self, question: &Question) -> String;
    /// What ends an answer to [`Domain::few_shot`].
    fn few_shot_stop(&self) -> Vec<String>;
}
