//! The pre-tokenizers that GGUF files name, as `tokenizer.json` spells them.
use serde_json::{Value, json};

use crate::error::RenderError;

/// A byte-level pre-tokenizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PreTokenizer {
    /// GPT-2's expression.
    Gpt2,
    /// Each digit by itself, then GPT-2's: SmolLM.
    SmolLm,
    /// Words with one leading mark, digits one by one: Qwen 2 and 3.
    Qwen2,
    /// The same with digits in threes: Llama 3.
    Llama3,
}

/// Names in GGUF files; the first of a pre-tokenizer is the one written.
const NAMES: [(&str, PreTokenizer); 8] = [
    ("gpt-2", PreTokenizer::Gpt2),
    ("phi-2", PreTokenizer::Gpt2),
    ("smollm", PreTokenizer::SmolLm),
    ("qwen2", PreTokenizer::Qwen2),
    ("deepseek-r1-qwen", PreTokenizer::Qwen2),
    ("llama-bpe", PreTokenizer::Llama3),
    ("llama3", PreTokenizer::Llama3),
    ("llama-v3", PreTokenizer::Llama3),
];

impl PreTokenizer {
    pub(super) fn by_name(name: Option<&str>) -> Result<Self, RenderError> {
        let found = NAMES.iter().find(|(known, _)| Some(*known) == name);
        found.map(|&(_, pre_tokenizer)| pre_tokenizer).ok_or_else(|| unsupported(name.unwrap_or("(missing)")))
    }

    pub(super) fn name(self) -> &'static str {
        NAMES.iter().find(|(_, pre_tokenizer)| *pre_tokenizer == self).map_or("gpt-2", |(name, _)| name)
    }

    pub(super) fn to_json(self, add_prefix_space: bool) -> Value {
        let byte_level = |use_regex: bool| {
            json!({
                "type": "ByteLevel",
                "add_prefix_space": add_prefix_space,
                "trim_offsets": true,
                "use_regex": use_regex,
            })
        };
        let sequence = |first: Value, use_regex: bool| json!({"type": "Sequence", "pretokenizers": [first, byte_level(use_regex)]});
        match self {
            PreTokenizer::Gpt2 => byte_level(true),
            PreTokenizer::SmolLm => sequence(json!({"type": "Digits", "individual_digits": true}), true),
            PreTokenizer::Qwen2 => sequence(split_at(&word_expression("")), false),
            PreTokenizer::Llama3 => sequence(split_at(&word_expression("{1,3}")), false),
        }
    }

    /// Which of them a `tokenizer.json` has.
    pub(super) fn of_json(pre_tokenizer: &Value) -> Result<Self, RenderError> {
        let steps: Vec<&Value> = match pre_tokenizer["type"].as_str() {
            Some("Sequence") => {
                pre_tokenizer["pretokenizers"].as_array().map_or(Vec::new(), |steps| steps.iter().collect())
            }
            _ => vec![pre_tokenizer],
        };
        let kinds: Vec<&str> = steps.iter().map(|step| step["type"].as_str().unwrap_or("")).collect();
        let expression = steps.iter().find_map(|step| step["pattern"]["Regex"].as_str());
        match (kinds.as_slice(), expression) {
            (["ByteLevel"], _) => Ok(PreTokenizer::Gpt2),
            (["Digits", "ByteLevel"], _) => Ok(PreTokenizer::SmolLm),
            (["Split", "ByteLevel"], Some(expression)) if expression == word_expression("") => Ok(PreTokenizer::Qwen2),
            (["Split", "ByteLevel"], Some(expression)) if expression == word_expression("{1,3}") => {
                Ok(PreTokenizer::Llama3)
            }
            (_, Some(expression)) => Err(unsupported(expression)),
            (kinds, None) => Err(unsupported(&kinds.join(", "))),
        }
    }
}

fn unsupported(found: &str) -> RenderError {
    let names: Vec<&str> = NAMES.iter().map(|&(name, _)| name).collect();
    RenderError::PreTokenizer { found: found.to_string(), supported: names.join(", ") }
}

fn split_at(expression: &str) -> Value {
    json!({
        "type": "Split",
        "pattern": {"Regex": expression},
        "behavior": "Isolated",
        "invert": false,
    })
}

/// The expression that Llama 3 and Qwen 2 split at, from its alternatives; they differ in how
/// many digits make a number.
fn word_expression(digits: &str) -> String {
    let number = format!(r"\p{{N}}{digits}");
    [
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        &number,
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
    .join("|")
}
