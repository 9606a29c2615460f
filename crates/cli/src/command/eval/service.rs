//! A model behind an OpenAI-compatible service, asked to write.

use super::respondent;
use super::run::Run;
use crate::context::Context;
use crate::error::CommandError;
use crate::interrupt;
use crate::writer::of_writing;
use ::eval::result::ModelResult;
use ::eval::{Answer, AnswerCache, Ask, EvalError, Item, Sample, Settings, SubjectFacts, Task};
use clap::Args;
use endpoint::completion::{CompletionAnswer, CompletionClient, CompletionRequest, CompletionSettings};
use instruct::writer::{Asked, Service, Writer};
use record::{Prompt, Role};
use serde_json::{Value, json};
use std::time::Duration;
use stdx::hash;

/// Which model, and how patiently it is asked.
#[derive(Args)]
pub struct ServiceArguments {
    /// Also a model behind an OpenAI-compatible service, up to and with /v1, on tasks that write; its key in
    /// HELPMATE_API_KEY or OPENAI_API_KEY
    #[arg(long, value_name = "URL", requires = "endpoint_model")]
    pub endpoint: Option<String>,
    /// The model's name there
    #[arg(long, value_name = "NAME", requires = "endpoint")]
    pub endpoint_model: Option<String>,
    /// Requests to the service at once
    #[arg(long, value_name = "N", default_value_t = 4, requires = "endpoint")]
    concurrency: usize,
    /// Seconds to wait for an answer of the service
    #[arg(long, value_name = "S", default_value_t = 120, requires = "endpoint")]
    timeout: u64,
    /// Tries of a request that may pass
    #[arg(long, value_name = "N", default_value_t = 6, requires = "endpoint")]
    attempts: u32,
}

impl ServiceArguments {
    /// Of commands that ask no service.
    pub fn none() -> ServiceArguments {
        ServiceArguments { endpoint: None, endpoint_model: None, concurrency: 4, timeout: 120, attempts: 6 }
    }

    fn client(&self, chat: bool) -> CompletionClient {
        let key = ["HELPMATE_API_KEY", "OPENAI_API_KEY"].iter().find_map(|name| std::env::var(name).ok());
        let (url, name) =
            (self.endpoint.as_deref().unwrap_or_default(), self.endpoint_model.as_deref().unwrap_or_default());
        CompletionClient::new(CompletionSettings {
            token: key.filter(|key| !key.is_empty()),
            chat,
            timeout: Duration::from_secs(self.timeout.max(1)),
            attempts: self.attempts.max(1),
            ..CompletionSettings::new(url, name)
        })
    }
}

/// Refuses tasks that ask for more than written answers.
pub fn refuse(tasks: &[(&dyn Task, Settings)]) -> Result<(), CommandError> {
    for (task, settings) in tasks {
        let more = ::eval::items(*task, settings)?.iter().find_map(|item| match &item.ask {
            Ask::Completions { sampling, .. } if sampling.divergence => Some("divergences from another model"),
            Ask::Completions { .. } => None,
            _ => Some("log-probabilities of given text"),
        });
        if let Some(more) = more {
            let message = format!("--endpoint: {} asks for {more}, which a service doesn't tell", task.name());
            return Err(CommandError::usage(message).hint("it answers tasks that write: instructions, generation, hallucination, diversity, toxicity, truthfulqa_gen"));
        }
    }
    Ok(())
}

/// The service's model on tasks.
pub fn evaluate(
    run: &Run,
    context: &Context,
    chat: bool,
    primer: &str,
    tasks: &[(&dyn Task, Settings)],
) -> Result<ModelResult, CommandError> {
    let arguments = &run.service;
    let (Some(url), Some(name)) = (&arguments.endpoint, &arguments.endpoint_model) else {
        return Err(CommandError::usage("--endpoint URL and --endpoint-model NAME name the model"));
    };
    let mut service = Service::new(arguments.client(chat), arguments.concurrency, None, interrupt::flag());
    let facts = SubjectFacts {
        name: name.clone(),
        path: url.clone(),
        identity: hash::json(
            &json!({ "endpoint": url, "model": name, "chat": chat, "primer": primer, "seed": run.seed }),
        ),
        // Nobody says which it has: what counts its tokens is compared with nobody's.
        tokenizer: format!("unknown, of {name}"),
        arithmetic: "a service's own".to_owned(),
        chat,
        primer: primer.to_owned(),
        parameters: None,
        mix: None,
        templates: false,
        lineage: Value::Null,
    };
    let folder = context.cache.root().join("answers");
    let mut cache = if run.no_cache { None } else { Some(AnswerCache::open(&folder, &facts.identity)?) };
    let mut results = Vec::new();
    for (task, settings) in tasks {
        let items = ::eval::items(*task, settings)?;
        let ask = &mut |items: &[Item]| ask(&mut service, primer, task.name(), items);
        results.push(respondent::asked(run, name, *task, settings, &items, cache.as_mut(), ask)?);
    }
    Ok(ModelResult { model: facts, tasks: results })
}

/// Every completion of these items, in their order.
fn ask(service: &mut Service<'_>, primer: &str, task: &str, items: &[Item]) -> Result<Vec<Answer>, CommandError> {
    let mut requests: Vec<Asked> = Vec::new();
    let mut counts = Vec::new();
    for item in items {
        let Ask::Completions { prompt, sampling } = &item.ask else { continue };
        let request = CompletionRequest {
            prompt: format!("{primer}{}", text(prompt, task, &item.id)?),
            max_tokens: sampling.max_new_tokens,
            temperature: f64::from(sampling.temperature),
            top_p: if sampling.temperature > 0.0 { 1.0 } else { 0.0 },
            presence_penalty: 0.0,
            stop: sampling.stop.clone(),
        };
        requests.extend((0..sampling.n as u64).map(|sample| (request.clone(), sample)));
        counts.push(sampling.n);
    }
    let mut answers: Vec<Option<CompletionAnswer>> = vec![None; requests.len()];
    let taken = &mut |at: usize, answer| {
        answers[at] = Some(answer);
        Ok(())
    };
    service.write(&requests, taken).map_err(of_writing)?;
    let mut samples = answers.into_iter().flatten().map(|answer| Sample {
        text: answer.text,
        tokens: answer.completion_tokens as usize,
        ended: !answer.cut,
        entropies: Vec::new(),
        divergence: None,
    });
    Ok(counts.into_iter().map(|n| Answer::Completions { samples: samples.by_ref().take(n).collect() }).collect())
}

/// A prompt as one text: plain, or a conversation of one turn.
fn text<'a>(prompt: &'a Prompt, task: &str, id: &str) -> Result<&'a str, EvalError> {
    match prompt {
        Prompt::Text(text) => Ok(text),
        Prompt::Messages(messages) => match &messages[..] {
            [only] if only.role == Role::User => Ok(&only.content),
            _ => {
                let problem =
                    format!("{} messages, expected one of the user: a service is asked single turns", messages.len());
                Err(EvalError::Item { task: task.to_owned(), id: id.to_owned(), problem })
            }
        },
    }
}
