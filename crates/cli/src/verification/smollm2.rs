//! SmolLM2-135M-Instruct from its Q4_1 GGUF, when it was pulled: the numbers of `transformers` in f32.

use super::{Check, largest};
use crate::command::score;
use crate::context::Context;
use crate::error::CommandError;
use crate::source::{DEFAULT_PACKAGE, Source};
use generate::{Generator, Sampling, Settings};
use kernels::Device;
use kernels::linear::Precision;
use model::{LoadOptions, Model, Trainable, Workspace};
use record::{Message, Prompt};
use render::{Rendered, Renderer};
use serde::Deserialize;
use std::ops::ControlFlow;
use std::path::Path;
use stdx::Seed;

const REFERENCES: &[u8] = include_bytes!("../../../../tests/conformance/smollm2.json");

#[derive(Deserialize)]
struct References {
    texts: Vec<Text>,
    greedy: Vec<Greedy>,
}

#[derive(Deserialize)]
struct Text {
    ids: Vec<u32>,
    text: String,
    logprobs: Vec<Option<f64>>,
}

#[derive(Deserialize)]
struct Greedy {
    messages: Vec<Message>,
    prompt_ids: Vec<u32>,
    new_ids: Vec<u32>,
    text: String,
}

/// The checks, or none and a word about it when the model isn't there.
pub fn checks(context: &Context, device: &Device) -> Result<Vec<Check>, CommandError> {
    let source = Source::parse(&format!("pypi:{DEFAULT_PACKAGE}"))?;
    let Some(folder) = context.cache.find(&source) else {
        eprintln!("SmolLM2 is not checked: it is not in the cache (`helpmate pull {source}` gets it)");
        return Ok(Vec::new());
    };
    let references: References = serde_json::from_slice(REFERENCES).map_err(CommandError::input)?;
    let renderer = Renderer::open(&folder, None)?;
    let mut checks = tokens(&renderer, &references)?;
    {
        let model = load(device, &folder, Precision::F32)?;
        let errors = log_prob_errors(&model, &references);
        let convention = "log p(token | before), nats, f32; largest distance";
        checks.push(Check::distance(
            "SmolLM2 log-probabilities, f32".to_string(),
            convention,
            errors.len(),
            largest(&errors),
            2e-3,
        ));
        checks.extend(greedy(&model, &renderer, &references)?);
    }
    let errors = log_prob_errors(&load(device, &folder, Precision::Bf16)?, &references);
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    let convention = "log p(token | before), nats, bf16; mean distance from f32's";
    checks.push(Check::distance("SmolLM2 log-probabilities, bf16".to_string(), convention, errors.len(), mean, 5e-2));
    Ok(checks)
}

fn load(device: &Device, folder: &Path, precision: Precision) -> Result<Model, CommandError> {
    let options = LoadOptions { precision, trainable: Trainable::Nothing, scalar_head: false };
    Ok(Model::load(device, folder, &options)?)
}

fn tokens(renderer: &Renderer, references: &References) -> Result<Vec<Check>, CommandError> {
    let mut checks = Vec::new();
    for (i, text) in references.texts.iter().enumerate() {
        let found = renderer.text(&text.text, false)?.token_ids;
        let name = format!("SmolLM2 tokens of text {}", i + 1);
        checks.push(Check::text(name, "token ids, equal", &format!("{found:?}"), &format!("{:?}", text.ids)));
    }
    for (i, greedy) in references.greedy.iter().enumerate() {
        let found = renderer.prompt(&Prompt::Messages(greedy.messages.clone()))?;
        let name = format!("SmolLM2 tokens of conversation {}", i + 1);
        checks.push(Check::text(
            name,
            "chat template and token ids, equal",
            &format!("{found:?}"),
            &format!("{:?}", greedy.prompt_ids),
        ));
    }
    Ok(checks)
}

fn log_prob_errors(model: &Model, references: &References) -> Vec<f64> {
    let mut workspace = Workspace::default();
    let mut errors = Vec::new();
    for text in &references.texts {
        let sequence = Rendered { token_ids: text.ids.clone(), mask: vec![true; text.ids.len()] };
        let found = score(model, &[sequence], &mut workspace).remove(0);
        let pairs = found.iter().zip(&text.logprobs);
        errors.extend(pairs.filter_map(|(found, expected)| Some((f64::from((*found)?) - (*expected)?).abs())));
    }
    errors
}

fn greedy(model: &Model, renderer: &Renderer, references: &References) -> Result<Vec<Check>, CommandError> {
    let mut checks = Vec::new();
    for (i, expected) in references.greedy.iter().enumerate() {
        let settings = Settings {
            sampling: Sampling::greedy(),
            n: 1,
            max_new_tokens: expected.new_ids.len(),
            end_token_ids: renderer.end_ids().to_vec(),
            stop: Vec::new(),
            seed: Seed(0),
            batch: 1,
        };
        let mut generator = Generator::new(model, Some(renderer.tokenizer()));
        let completions = generator
            .generate(std::slice::from_ref(&expected.prompt_ids), &settings, &mut |_| ControlFlow::Continue(()))?;
        let found = completions.first().map(|completion| completion.text.as_str()).unwrap_or_default();
        let name = format!("SmolLM2 greedy answer {}", i + 1);
        checks.push(Check::text(name, "most likely token each time, f32; text equal", found, &expected.text));
    }
    Ok(checks)
}
