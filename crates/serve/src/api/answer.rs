//! From tokens to the JSON that clients expect: whole, or in pieces.

use super::request::{Ask, Kind};
use crate::random;
use crate::worker::{ModelCard, Token};
use generate::StopReason;
use render::Tokenizer;
use serde_json::{Map, Value, json};

/// What every piece of an answer begins with.
pub struct Head {
    kind: Kind,
    id: String,
    model: String,
    created: u64,
    log_probs: bool,
    end_token_ids: Vec<u32>,
}

/// A completion as it grows.
#[derive(Clone, Default)]
pub struct Choice {
    text: String,
    /// Characters so far, where log-probabilities of plain completions say where each token begins.
    n_characters: usize,
    log_probs: Vec<Value>,
}

impl Head {
    /// For a request that came now.
    pub fn new(ask: &Ask, card: &ModelCard, created: u64) -> Head {
        let prefix = if ask.kind == Kind::Chat { "chatcmpl" } else { "cmpl" };
        Head {
            kind: ask.kind,
            id: format!("{prefix}-{}", random::name()),
            model: card.name.clone(),
            created,
            log_probs: ask.log_probs.is_some(),
            end_token_ids: ask.settings.end_token_ids.clone(),
        }
    }

    fn object(&self, object: &str, choices: Vec<Value>) -> Map<String, Value> {
        let Value::Object(map) = json!({
            "id": self.id, "object": object, "created": self.created, "model": self.model, "system_fingerprint": null,
            "choices": choices,
        }) else {
            return Map::new();
        };
        map
    }

    /// The whole answer.
    pub fn whole(&self, choices: Vec<(Choice, StopReason)>, usage: Value) -> Value {
        let choices = choices.into_iter().enumerate().map(|(index, (choice, stop))| {
            let (logprobs, finish_reason) = (self.log_probs_of(choice.log_probs), stop.name());
            match self.kind {
                Kind::Chat => json!({
                    "index": index, "finish_reason": finish_reason, "logprobs": logprobs,
                    "message": {"role": "assistant", "content": choice.text, "refusal": null},
                }),
                Kind::Text => json!({
                    "index": index, "finish_reason": finish_reason, "logprobs": logprobs, "text": choice.text,
                }),
            }
        });
        let object = if self.kind == Kind::Chat { "chat.completion" } else { "text_completion" };
        let mut map = self.object(object, choices.collect());
        map.insert("usage".into(), usage);
        Value::Object(map)
    }

    /// The first piece of a chat's answer; plain completions have none.
    pub fn opening(&self, index: usize) -> Option<Value> {
        let delta = json!({"role": "assistant", "content": "", "refusal": null});
        (self.kind == Kind::Chat).then(|| self.piece(index, delta, Value::Null, None))
    }

    /// A piece with the text that has become certain, unless there is nothing to say.
    pub fn growth(&self, index: usize, choice: &mut Choice) -> Option<Value> {
        let Choice { text, log_probs, .. } =
            std::mem::replace(choice, Choice { n_characters: choice.n_characters, ..Choice::default() });
        if text.is_empty() && log_probs.is_empty() {
            return None;
        }
        let logprobs = self.log_probs_of(log_probs);
        Some(self.piece(index, json!({"content": text}), logprobs, None))
    }

    /// The last piece of a completion.
    pub fn closing(&self, index: usize, stop: StopReason) -> Value {
        self.piece(index, json!({}), Value::Null, Some(stop))
    }

    /// The very last piece, where the client wants its tokens counted.
    pub fn counted(&self, usage: Value) -> Value {
        let mut map = self.object(self.piece_name(), Vec::new());
        map.insert("usage".into(), usage);
        Value::Object(map)
    }

    fn piece_name(&self) -> &'static str {
        if self.kind == Kind::Chat { "chat.completion.chunk" } else { "text_completion" }
    }

    fn piece(&self, index: usize, delta: Value, logprobs: Value, stop: Option<StopReason>) -> Value {
        let finish_reason = stop.map(StopReason::name);
        let choice = match self.kind {
            Kind::Chat => {
                json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason})
            }
            Kind::Text => {
                let text = delta["content"].as_str().unwrap_or_default();
                json!({"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish_reason})
            }
        };
        Value::Object(self.object(self.piece_name(), vec![choice]))
    }

    /// Takes a token in.
    pub fn add(&self, choice: &mut Choice, token: &Token, tokenizer: &Tokenizer) {
        // The token that ends an answer is no part of it.
        if self.log_probs && !self.end_token_ids.contains(&token.token_id) {
            choice.log_probs.push(self.entry(choice.n_characters, token, tokenizer));
        }
        choice.text.push_str(&token.text);
        choice.n_characters += token.text.chars().count();
    }

    fn entry(&self, offset: usize, token: &Token, tokenizer: &Tokenizer) -> Value {
        let named = |token_id: u32| tokenizer.decode_with_specials(&[token_id]).unwrap_or_default();
        let text = named(token.token_id);
        match self.kind {
            Kind::Chat => {
                let top = token.alternatives.iter().map(|(token_id, log_prob)| {
                    let text = named(*token_id);
                    json!({"token": text, "logprob": log_prob, "bytes": bytes(&text)})
                });
                let top: Vec<Value> = top.collect();
                json!({"token": text, "logprob": token.log_prob, "bytes": bytes(&text), "top_logprobs": top})
            }
            Kind::Text => {
                let top: Map<String, Value> =
                    token.alternatives.iter().map(|(id, log_prob)| (named(*id), json!(log_prob))).collect();
                json!({"token": text, "logprob": token.log_prob, "offset": offset, "top": top})
            }
        }
    }

    fn log_probs_of(&self, entries: Vec<Value>) -> Value {
        if !self.log_probs {
            return Value::Null;
        }
        let column = |name: &str| Value::Array(entries.iter().map(|entry| entry[name].clone()).collect());
        match self.kind {
            Kind::Chat => json!({"content": entries, "refusal": null}),
            Kind::Text => json!({
                "tokens": column("token"), "token_logprobs": column("logprob"),
                "text_offset": column("offset"), "top_logprobs": column("top"),
            }),
        }
    }
}

/// A token's bytes; nothing where it is only part of a character.
fn bytes(text: &str) -> Value {
    if text.contains(char::REPLACEMENT_CHARACTER) { Value::Null } else { json!(text.as_bytes()) }
}

/// The counts that clients are charged by elsewhere.
pub fn usage(prompt_tokens: usize, completion_tokens: usize) -> Value {
    json!({
        "prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    })
}
