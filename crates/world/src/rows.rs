//! Demonstrations and prompts as rows, and which of them are held out.
use record::{Demonstration, Message, Meta, Record, Row, Source};
use serde::{Deserialize, Serialize};
use serde_json::json;
use stdx::{Seed, Stream, hash};

use crate::request::{Request, Style, UseCase};
use crate::sample::Scope;
use crate::world::World;

/// What prompts are for. A prompt's text decides its split, so that none is in two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Demonstrations.
    Train,
    /// Rankings, for the reward model.
    Reward,
    /// Prompts of reinforcement learning.
    Policy,
    /// Evaluation; only here are held-out facts, entities, styles and the held-out use-case.
    Eval,
}

impl Split {
    /// All four.
    pub const ALL: [Split; 4] = [Split::Train, Split::Reward, Split::Policy, Split::Eval];

    /// Its name in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Reward => "reward",
            Self::Policy => "policy",
            Self::Eval => "eval",
        }
    }

    /// The split that a prompt of the training mixture belongs to: eight, three, three and two sixteenths.
    fn of(id: &str) -> Split {
        match id.as_bytes()[0] {
            b'0'..=b'7' => Split::Train,
            b'8' | b'9' | b'a' => Split::Reward,
            b'b'..=b'd' => Split::Policy,
            _ => Split::Eval,
        }
    }
}

/// What of an evaluation prompt no training split has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldOut {
    /// Nothing but the prompt itself.
    Prompt,
    /// The fact asked: texts state it, demonstrations never do.
    Fact,
    /// An entity: texts tell of it, demonstrations never do.
    Entity,
    /// The wording.
    Style,
    /// The use-case.
    UseCase,
}

impl HeldOut {
    /// Its name in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Fact => "fact",
            Self::Entity => "entity",
            Self::Style => "style",
            Self::UseCase => "use_case",
        }
    }
}

/// A prompt with its meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptRow {
    /// The text.
    pub text: String,
    /// What it asks.
    pub request: Request,
    /// In which wording.
    pub style: Style,
    /// For what.
    pub split: Split,
    /// What of it is held out; `None` in training splits.
    pub held_out: Option<HeldOut>,
    /// Hash of the text (BLAKE3, 16 hexadecimal digits).
    pub id: String,
}

impl PromptRow {
    /// As a row of prompts: `{"prompt": [{"role": "user", …}], "use_case", "id", "split", "held_out"}`.
    pub fn row(&self) -> serde_json::Value {
        let mut row = json!({
            "prompt": [Message::user(&self.text)],
            "use_case": self.request.use_case.as_str(),
            "id": self.id,
            "source": Source::Rule,
            "split": self.split.as_str(),
        });
        if let Some(held_out) = self.held_out {
            row["held_out"] = json!(held_out.as_str());
        }
        row
    }
}

/// The wordings of training prompts.
const TRAINED_STYLES: [Style; 4] = [Style::Plain, Style::Polite, Style::Wish, Style::Short];

/// The held-out kinds of evaluation prompts, in turn.
const EVALUATED: [HeldOut; 6] =
    [HeldOut::Prompt, HeldOut::Fact, HeldOut::Prompt, HeldOut::Entity, HeldOut::Style, HeldOut::UseCase];

impl World {
    /// Prompt `index` of a split. Different indices may give the same prompt, different splits never.
    pub fn prompt(&self, split: Split, index: u64) -> PromptRow {
        let mut stream = Seed(self.seed()).stream(&format!("world prompts {}", split.as_str()), index);
        self.draw_prompt(split, index, &mut stream)
    }

    /// Demonstration `index`: prompt `index` of [`Split::Train`] and a right answer.
    pub fn demonstration(&self, index: u64) -> (PromptRow, String) {
        let mut stream = Seed(self.seed()).stream("world demonstrations", index);
        let prompt = self.prompt(Split::Train, index);
        let answer = self.answer(&prompt.request, &mut stream);
        (prompt, answer)
    }

    /// The row of a demonstration: `{"messages": […], "id", "source": "rule", "use_case"}`.
    pub fn demonstration_row(&self, index: u64) -> Row {
        let (prompt, answer) = self.demonstration(index);
        let meta = Meta {
            id: Some(prompt.id),
            source: Some(Source::Rule),
            use_case: Some(prompt.request.use_case.as_str().to_string()),
            ..Meta::default()
        };
        let messages = vec![Message::user(prompt.text), Message::assistant(answer)];
        Row { record: Record::Demonstration(Demonstration::Conversation { messages }), meta }
    }

    fn draw_prompt(&self, split: Split, index: u64, stream: &mut Stream) -> PromptRow {
        let held_out = (split == Split::Eval).then(|| EVALUATED[(index % EVALUATED.len() as u64) as usize]);
        loop {
            let mut style = TRAINED_STYLES[stream.below(4) as usize];
            let request = match held_out {
                None | Some(HeldOut::Prompt) => self.draw_request(Scope::Trained, stream),
                Some(HeldOut::Fact) => self.draw_of(UseCase::OpenQa, Scope::HeldOutFact, stream),
                Some(HeldOut::Entity) => {
                    let use_case = [UseCase::OpenQa, UseCase::OpenQa, UseCase::Generation][stream.below(3) as usize];
                    self.draw_of(use_case, Scope::HeldOutName, stream)
                }
                Some(HeldOut::Style) => {
                    style = Style::Formal;
                    self.draw_request(Scope::Trained, stream)
                }
                Some(HeldOut::UseCase) => self.draw_of(UseCase::Extract, Scope::Trained, stream),
            };
            let text = self.phrase(&request, style, stream);
            if held_out == Some(HeldOut::Style) && text == self.phrase(&request, Style::Plain, stream) {
                continue; // thanks have no style
            }
            let id = hash::bytes(text.as_bytes())[..16].to_string();
            // held-out kinds can't be in another split
            let is_seen_kind = matches!(held_out, None | Some(HeldOut::Prompt));
            if !is_seen_kind || Split::of(&id) == split {
                return PromptRow { text, request, style, split, held_out, id };
            }
        }
    }
}
