//! Demonstrations and prompts as rows, and which of them are held out.
use record::Row;
use serde::{Deserialize, Serialize};

use crate::request::{Request, Style};
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

/// What of an evaluation prompt no training split has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// A prompt with its meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptRow {
    /// The text.
    pub text: String,
    /// What it asks.
    pub request: Request,
    /// In which wording.
    pub style: Style,
    /// What of it is held out; `None` in training splits.
    pub held_out: Option<HeldOut>,
    /// Hash of the text: its id.
    pub id: String,
}

impl PromptRow {
    /// As a row of prompts: `{"prompt": [{"role": "user", …}], "use_case", "id", "held_out"}`.
    pub fn row(&self) -> serde_json::Value {
        unimplemented!()
    }
}

impl World {
    /// Prompt `index` of a split. Different indices may give the same prompt.
    pub fn prompt(&self, _split: Split, _index: u64) -> PromptRow {
        unimplemented!()
    }

    /// Demonstration `index`: prompt `index` of [`Split::Train`] and its answer, `source = "rule"`.
    pub fn demonstration(&self, _index: u64) -> (PromptRow, String) {
        unimplemented!()
    }

    /// The row of a demonstration: `{"messages": […], "use_case", "source": "rule"}`.
    pub fn demonstration_row(&self, _index: u64) -> Row {
        unimplemented!()
    }
}
