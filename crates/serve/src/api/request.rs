//! From the JSON of a client to what a model is asked.

use super::error::ApiError;
use super::fields::{Fields, shown};
use crate::random;
use crate::worker::{ModelCard, Worker};
use axum::http::StatusCode;
use generate::{Bias, Request, Sampling, Settings};
use record::{Message, Prompt, Role};
use serde_json::{Value, json};
use std::sync::Arc;
use stdx::Seed;

/// Completions of one request.
const COMPLETIONS_MAX: usize = 256;
/// Tokens of a chat's answer when the client doesn't say.
const ANSWER_TOKENS: usize = 1024;
/// Tokens of a completion when the client doesn't say, as OpenAI has it.
const COMPLETION_TOKENS: usize = 16;
/// The likeliest tokens that may be asked for.
const ALTERNATIVES_MAX: usize = 20;

/// Which of the two ways to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Text,
}

/// A request, understood.
pub struct Ask {
    /// Which way.
    pub kind: Kind,
    /// Which model.
    pub model_idx: usize,
    /// What is asked, as it came.
    pub prompts: Vec<Given>,
    /// How to answer.
    pub settings: Settings,
    /// Added to logits.
    pub bias: Bias,
    /// Whether log-probabilities are wanted, and how many alternatives.
    pub log_probs: Option<usize>,
    /// In pieces.
    pub stream: bool,
    /// With a last piece that counts tokens.
    pub include_usage: bool,
    /// The client's own name for whoever asks it.
    pub user: Option<String>,
}

/// A prompt as text, conversation or tokens.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// To be rendered.
    Prompt(Prompt),
    /// Already tokens.
    Tokens(Vec<u32>),
}

impl Ask {
    /// Reads a body; the model must be one of the worker's.
    pub fn parse(kind: Kind, body: &[u8], worker: &Worker) -> Result<Ask, ApiError> {
        let mut fields = Fields::parse(body)?;
        let model_idx = model(&mut fields, worker)?;
        let card = &worker.models()[model_idx];
        let prompts = match kind {
            Kind::Chat => vec![Given::Prompt(Prompt::Messages(messages(&mut fields)?))],
            Kind::Text => prompts(&mut fields)?,
        };
        let n = fields.count("n", 1, COMPLETIONS_MAX)?.unwrap_or(1);
        if n * prompts.len() > COMPLETIONS_MAX {
            let message = format!("{} prompts with `n` = {n}: more than {COMPLETIONS_MAX} completions", prompts.len());
            return Err(ApiError::field("n", message));
        }
        let log_probs = log_probs(&mut fields, kind)?;
        let stream = fields.flag("stream")?;
        let include_usage = include_usage(&mut fields, stream)?;
        let (settings, bias) = (settings(&mut fields, kind, n, card)?, bias(&mut fields, card)?);
        let user = fields.optional("user", "a text", |value| value.as_str().map(str::to_owned))?;
        refuse_others(&mut fields, kind, n)?;
        fields.finish()?;
        Ok(Ask { kind, model_idx, prompts, settings, bias, log_probs, stream, include_usage, user })
    }

    /// The requests to hand to the worker, a prompt each. Renders templates and tokenizes: work for a blocking thread.
    pub fn requests(&self, card: &ModelCard) -> Result<Vec<Request>, ApiError> {
        let param = if self.kind == Kind::Chat { "messages" } else { "prompt" };
        let shared = Arc::new(self.settings.clone());
        let request = |(i, given): (usize, &Given)| {
            let token_ids = match given {
                Given::Prompt(prompt) => {
                    card.renderer.prompt(prompt).map_err(|e| ApiError::field(param, e.to_string()))?
                }
                Given::Tokens(token_ids) => {
                    let vocabulary = card.renderer.tokenizer().vocab_size();
                    if let Some(wrong) = token_ids.iter().find(|id| **id as usize >= vocabulary) {
                        let message = format!("token {wrong}: the vocabulary has {vocabulary}");
                        return Err(ApiError::field(param, message));
                    }
                    token_ids.clone()
                }
            };
            if token_ids.len() >= card.context {
                let (tokens, context) = (token_ids.len(), card.context);
                let error = generate::GenerateError::PromptTooLong { prompt_idx: i, tokens, context };
                return Err(ApiError { param: Some(param.to_owned()), ..ApiError::from(error) });
            }
            let first_stream = (i * self.settings.n) as u64;
            let n_alternatives = self.log_probs.unwrap_or(0);
            let request = Request::new(0, token_ids, shared.clone());
            Ok(Request { first_stream, bias: self.bias.clone(), n_alternatives, ..request })
        };
        self.prompts.iter().enumerate().map(request).collect()
    }
}

fn model(fields: &mut Fields, worker: &Worker) -> Result<usize, ApiError> {
    let name = fields.optional("model", "a model's name", |value| value.as_str().map(str::to_owned))?;
    let name = name.ok_or_else(|| ApiError::field("model", "`model` is missing"))?;
    worker.find(&name).ok_or_else(|| {
        let known: Vec<&str> = worker.models().iter().map(|model| model.name.as_str()).collect();
        ApiError {
            status: StatusCode::NOT_FOUND,
            message: format!("model {name:?} is not served here, expected one of: {}", known.join(", ")),
            param: Some("model".into()),
            code: Some("model_not_found"),
        }
    })
}

fn messages(fields: &mut Fields) -> Result<Vec<Message>, ApiError> {
    let given = fields.optional("messages", "an array of messages", |value| value.as_array().cloned())?;
    let given = given.ok_or_else(|| ApiError::field("messages", "`messages` is missing"))?;
    if given.is_empty() {
        return Err(ApiError::field("messages", "`messages` is empty"));
    }
    given.iter().enumerate().map(|(i, message)| read_message(i, message)).collect()
}

fn read_message(i: usize, message: &Value) -> Result<Message, ApiError> {
    let wrong = |part: &str, found: &Value, expected: &str| {
        let param = format!("messages[{i}]{part}");
        Err(ApiError::field(&param, format!("`{param}` is {}, expected {expected}", shown(found))))
    };
    let role = match message["role"].as_str() {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        _ => return wrong(".role", &message["role"], "system, developer, user or assistant"),
    };
    for asked in ["tool_calls", "function_call", "audio"] {
        if message.get(asked).is_some_and(|value| !value.is_null() && *value != json!([])) {
            return wrong(&format!(".{asked}"), &message[asked], "nothing: this server does not do that");
        }
    }
    match &message["content"] {
        Value::String(content) => Ok(Message { role, content: content.clone() }),
        Value::Array(parts) => {
            let mut content = String::new();
            for part in parts {
                match (part["type"].as_str(), part["text"].as_str()) {
                    (Some("text"), Some(text)) => content.push_str(text),
                    _ => return wrong(".content", part, "parts of type text"),
                }
            }
            Ok(Message { role, content })
        }
        other => wrong(".content", other, "a text or parts of type text"),
    }
}

fn prompts(fields: &mut Fields) -> Result<Vec<Given>, ApiError> {
    let expected = "a text, tokens, or an array of either";
    let text = |text: &str| Given::Prompt(Prompt::Text(text.to_owned()));
    let found = fields.optional("prompt", expected, |value| match value {
        Value::String(one) => Some(vec![text(one)]),
        Value::Array(items) if items.iter().all(Value::is_number) => Some(vec![Given::Tokens(tokens(items)?)]),
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::String(one) => Some(text(one)),
                Value::Array(ids) => Some(Given::Tokens(tokens(ids)?)),
                _ => None,
            })
            .collect(),
        _ => None,
    })?;
    found.ok_or_else(|| ApiError::field("prompt", format!("`prompt` is missing, expected {expected}")))
}

fn tokens(items: &[Value]) -> Option<Vec<u32>> {
    items.iter().map(|item| item.as_u64().and_then(|id| u32::try_from(id).ok())).collect()
}

/// How many alternatives go with each token, where log-probabilities are wanted at all.
fn log_probs(fields: &mut Fields, kind: Kind) -> Result<Option<usize>, ApiError> {
    if kind == Kind::Text {
        return fields.count("logprobs", 0, ALTERNATIVES_MAX);
    }
    let wanted = fields.flag("logprobs")?;
    match fields.count("top_logprobs", 0, ALTERNATIVES_MAX)? {
        Some(n) if n > 0 && !wanted => Err(ApiError::field("top_logprobs", "`top_logprobs` needs `logprobs` = true")),
        n => Ok(wanted.then_some(n.unwrap_or(0))),
    }
}

fn include_usage(fields: &mut Fields, stream: bool) -> Result<bool, ApiError> {
    let Some(options) = fields.value("stream_options") else { return Ok(false) };
    if !stream {
        return Err(ApiError::field("stream_options", "`stream_options` needs `stream` = true"));
    }
    match &options["include_usage"] {
        Value::Null => Ok(false),
        Value::Bool(wanted) => Ok(*wanted),
        other => {
            let message = format!("`stream_options.include_usage` is {}, expected true or false", shown(other));
            Err(ApiError::field("stream_options", message))
        }
    }
}

fn settings(fields: &mut Fields, kind: Kind, n: usize, card: &ModelCard) -> Result<Settings, ApiError> {
    let old = fields.count("max_tokens", 1, usize::MAX)?;
    let new = if kind == Kind::Chat { fields.count("max_completion_tokens", 1, usize::MAX)? } else { None };
    let usual = if kind == Kind::Chat { ANSWER_TOKENS } else { COMPLETION_TOKENS };
    let seed = fields.optional("seed", "a whole number", |value| {
        value.as_u64().or_else(|| value.as_i64().map(i64::cast_unsigned))
    })?;
    Ok(Settings {
        sampling: sampling(fields)?,
        n,
        max_new_tokens: new.or(old).unwrap_or(usual).min(card.context),
        end_token_ids: card.renderer.end_ids().to_vec(),
        stop: stop(fields)?,
        seed: Seed(seed.unwrap_or_else(random::number)),
        batch: 1,
    })
}

/// Where the likeliest token is taken anyway, what truncates changes nothing and is left out.
fn sampling(fields: &mut Fields) -> Result<Sampling, ApiError> {
    let temperature = fields.number("temperature", 0.0, 2.0)?.unwrap_or(1.0) as f32;
    let top_p = fields.number("top_p", 0.0, 1.0)?.unwrap_or(1.0) as f32;
    let top_k = fields.count("top_k", 0, usize::MAX)?.unwrap_or(0);
    let min_p = fields.number("min_p", 0.0, 0.999)?.unwrap_or(0.0) as f32;
    let repetition_penalty = fields.number("repetition_penalty", 0.01, 100.0)?.unwrap_or(1.0) as f32;
    if temperature == 0.0 || top_p == 0.0 {
        return Ok(Sampling { repetition_penalty, ..Sampling::greedy() });
    }
    Ok(Sampling { temperature, top_k, top_p, min_p, repetition_penalty })
}

fn stop(fields: &mut Fields) -> Result<Vec<String>, ApiError> {
    let found = fields.optional("stop", "a text, or up to 16 texts, none empty", |value| match value {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    })?;
    let stop = found.unwrap_or_default();
    if stop.len() > 16 || stop.iter().any(String::is_empty) {
        return Err(ApiError::field("stop", "`stop` has more than 16 texts, or an empty one"));
    }
    Ok(stop)
}

fn bias(fields: &mut Fields, card: &ModelCard) -> Result<Bias, ApiError> {
    let presence = fields.number("presence_penalty", -2.0, 2.0)?.unwrap_or(0.0) as f32;
    let frequency = fields.number("frequency_penalty", -2.0, 2.0)?.unwrap_or(0.0) as f32;
    let vocabulary = card.renderer.tokenizer().vocab_size();
    let expected = format!("an object of tokens below {vocabulary} with numbers from -100 to 100");
    let logits = fields.optional("logit_bias", &expected, |value| {
        let pairs = value.as_object()?.iter().map(|(token_id, added)| {
            let added = added.as_f64().filter(|added| (-100.0..=100.0).contains(added))?;
            let token_id = token_id.parse::<u32>().ok().filter(|id| (*id as usize) < vocabulary)?;
            Some((token_id, added as f32))
        });
        pairs.collect::<Option<Vec<(u32, f32)>>>()
    })?;
    Ok(Bias { presence, frequency, logits: logits.unwrap_or_default() })
}

/// Fields of OpenAI's API that would change the answer if we knew how.
fn refuse_others(fields: &mut Fields, kind: Kind, n: usize) -> Result<(), ApiError> {
    match kind {
        Kind::Chat => {
            fields.refuse_unless("response_format", &[json!({"type": "text"})])?;
            fields.refuse_unless("modalities", &[json!(["text"])])?;
            fields.refuse_unless("tool_choice", &[json!("none"), json!("auto")])?;
            fields.refuse_unless("tools", &[json!([])])
        }
        Kind::Text => {
            fields.refuse_unless("echo", &[json!(false)])?;
            fields.refuse_unless("suffix", &[json!("")])?;
            fields.refuse_unless("best_of", &[json!(n)])
        }
    }
}
