//! The nouns on disk. They know serde and nothing of tensors, tokenizers or databases.
//!
//! Rows are *written* as the contract's JSON by serde ([`Row`] is one flat object); they are *read*
//! by the `corpus` crate's formats, whose errors name the field.
use std::fmt;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

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

impl Role {
    /// Its name in rows and templates.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// Who.
    pub role: Role,
    /// What.
    pub content: String,
}

impl Message {
    /// A turn of the person.
    pub fn user(content: impl Into<String>) -> Self {
        let (role, content) = (Role::User, content.into());
        Self { role, content }
    }

    /// A turn of the model.
    pub fn assistant(content: impl Into<String>) -> Self {
        let (role, content) = (Role::Assistant, content.into());
        Self { role, content }
    }
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

impl Source {
    /// Its name in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Model => "model",
            Self::Rule => "rule",
            Self::Simulated => "simulated",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
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

/// Which of the six a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Running text.
    Text,
    /// A prompt alone.
    Prompt,
    /// A demonstration.
    Demonstration,
    /// A preference.
    Preference,
    /// A ranking.
    Ranking,
    /// An unpaired judgement.
    Unpaired,
}

impl Kind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Prompt => "prompt",
            Self::Demonstration => "demonstration",
            Self::Preference => "preference",
            Self::Ranking => "ranking",
            Self::Unpaired => "unpaired",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Record {
    /// Which it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Prompt(_) => Kind::Prompt,
            Self::Demonstration(_) => Kind::Demonstration,
            Self::Preference(_) => Kind::Preference,
            Self::Ranking(_) => Kind::Ranking,
            Self::Unpaired(_) => Kind::Unpaired,
        }
    }

    /// What is asked: of a whole conversation, the turns before its last assistant turn.
    /// `None` for running text and for a conversation in which the assistant has no turn.
    pub fn prompt(&self) -> Option<Prompt> {
        match self {
            Self::Text(_) => None,
            Self::Prompt(prompt) => Some(prompt.clone()),
            Self::Demonstration(Demonstration::Completion { prompt, .. }) => Some(prompt.clone()),
            Self::Demonstration(Demonstration::Conversation { messages }) => {
                let last = messages.iter().rposition(|m| m.role == Role::Assistant)?;
                Some(Prompt::Messages(messages[..last].to_vec()))
            }
            Self::Preference(preference) => Some(preference.prompt.clone()),
            Self::Ranking(ranking) => Some(ranking.prompt.clone()),
            Self::Unpaired(unpaired) => Some(unpaired.prompt.clone()),
        }
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => entry(serializer, "text", text),
            Self::Prompt(prompt) => entry(serializer, "prompt", prompt),
            Self::Demonstration(demonstration) => demonstration.serialize(serializer),
            Self::Preference(preference) => preference.serialize(serializer),
            Self::Ranking(ranking) => ranking.serialize(serializer),
            Self::Unpaired(unpaired) => unpaired.serialize(serializer),
        }
    }
}

/// An object of one field.
fn entry<S: Serializer, T: Serialize>(serializer: S, key: &str, value: &T) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(key, value)?;
    map.end()
}

/// A record with its facts; as JSON one flat object, the content's fields first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The content.
    #[serde(flatten)]
    pub record: Record,
    /// The facts.
    #[serde(flatten)]
    pub meta: Meta,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_is_one_flat_object_with_its_content_first() {
        let row = Row {
            record: Record::Ranking(Ranking {
                prompt: Prompt::Text("p".into()),
                completions: vec![RankedCompletion { text: "a".into(), rank: 2 }],
            }),
            meta: Meta { id: Some("r1".into()), source: Some(Source::Simulated), ..Meta::default() },
        };
        let text = serde_json::to_string(&row).expect("serializable");
        assert_eq!(text, r#"{"prompt":"p","completions":[{"text":"a","rank":2}],"id":"r1","source":"simulated"}"#);
    }

    #[test]
    fn every_kind_writes_the_fields_of_the_contract() {
        let check = |record: Record, expected: serde_json::Value| {
            assert_eq!(serde_json::to_value(&record).expect("serializable"), expected);
        };
        let messages = vec![Message::user("q"), Message::assistant("a")];
        let prompt = Prompt::Messages(vec![Message::user("q")]);
        let asked = json!([{"role": "user", "content": "q"}]);
        check(Record::Text("t".into()), json!({"text": "t"}));
        check(Record::Prompt(prompt.clone()), json!({"prompt": asked}));
        check(
            Record::Demonstration(Demonstration::Conversation { messages }),
            json!({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}),
        );
        check(
            Record::Demonstration(Demonstration::Completion {
                prompt: Prompt::Text("q".into()),
                completion: "a".into(),
            }),
            json!({"prompt": "q", "completion": "a"}),
        );
        check(
            Record::Preference(Preference {
                prompt: prompt.clone(),
                chosen: "c".into(),
                rejected: "r".into(),
                margin: Some(0.5),
            }),
            json!({"prompt": asked, "chosen": "c", "rejected": "r", "margin": 0.5}),
        );
        check(
            Record::Unpaired(Unpaired { prompt, completion: "c".into(), label: false }),
            json!({"prompt": asked, "completion": "c", "label": false}),
        );
    }

    #[test]
    fn the_prompt_of_a_conversation_ends_before_its_last_answer() {
        let messages = vec![
            Message::user("1"),
            Message::assistant("2"),
            Message::user("3"),
            Message::assistant("4"),
            Message::user("5"),
        ];
        let record = Record::Demonstration(Demonstration::Conversation { messages: messages.clone() });
        assert_eq!(record.prompt(), Some(Prompt::Messages(messages[..3].to_vec())));
        assert_eq!(Record::Text("x".into()).prompt(), None);
    }
}
