//! A model that is asked for texts: one on this machine, or one behind a service.

mod local;

use crate::arguments::{DtypeOption, ModelArguments};
use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::{interrupt, loading};
use clap::Args;
use endpoint::completion::{CompletionClient, CompletionSettings};
use instruct::writer::{Service, WriteError, Writer};
use local::LocalWriter;
use std::time::Duration;

/// Which model, and how it is asked.
#[derive(Args)]
pub struct WriterArguments {
    /// A model on this machine: folder, GGUF file, run, or a source as `helpmate pull` knows it
    #[arg(long, value_name = "M", required_unless_present = "endpoint", conflicts_with = "endpoint")]
    pub model: Option<String>,
    /// A service, up to and with /v1
    #[arg(long, value_name = "URL", requires = "endpoint_model")]
    pub endpoint: Option<String>,
    /// The model's name there
    #[arg(long, value_name = "NAME", requires = "endpoint")]
    pub endpoint_model: Option<String>,
    /// Ask as a user's message, through the chat template, instead of giving text to continue
    #[arg(long)]
    pub chat: bool,
    /// Requests to a service at once
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub concurrency: usize,
    /// Requests to a service a minute at most
    #[arg(long, value_name = "N")]
    pub per_minute: Option<u32>,
    /// Seconds to wait for an answer of a service
    #[arg(long, value_name = "S", default_value_t = 120)]
    pub timeout: u64,
    /// Tries of a request to a service that may pass
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub attempts: u32,
    /// Seconds before a service is tried again; each further wait is twice as long
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    pub backoff: f64,
    /// Arithmetic of a local model
    #[arg(long, value_enum, default_value_t = DtypeOption::Auto)]
    pub dtype: DtypeOption,
    /// Threads of a local model; every core when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
}

impl WriterArguments {
    /// The model, ready to be asked.
    pub fn open(
        &self,
        context: &Context,
        repetition_penalty: f32,
        batch: usize,
        seed: u64,
    ) -> Result<Box<dyn Writer>, CommandError> {
        if let (Some(url), Some(name)) = (&self.endpoint, &self.endpoint_model) {
            let key = ["HELPMATE_API_KEY", "OPENAI_API_KEY"].iter().find_map(|name| std::env::var(name).ok());
            let client = CompletionClient::new(CompletionSettings {
                token: key.filter(|key| !key.is_empty()),
                chat: self.chat,
                timeout: Duration::from_secs(self.timeout.max(1)),
                attempts: self.attempts.max(1),
                backoff: Duration::from_secs_f64(self.backoff),
                ..CompletionSettings::new(url, name)
            });
            return Ok(Box::new(Service::new(client, self.concurrency, self.per_minute, interrupt::flag())));
        }
        let model = self.model.clone().unwrap_or_default();
        let arguments =
            ModelArguments { model: model.clone(), chat_template: None, dtype: self.dtype, threads: self.threads };
        let path = loading::resolve(context, &model)?;
        let content = if path.is_dir() { stdx::hash::folder(&path)? } else { stdx::hash::file(&path)? };
        Ok(Box::new(LocalWriter {
            loaded: loading::load(context, &arguments)?,
            name: format!("model {content:.32}, seed {seed}, repetition penalty {repetition_penalty}"),
            chat: self.chat,
            repetition_penalty,
            batch,
            seed,
        }))
    }
}

/// Why there is no answer, and what can be done.
pub fn of_writing(error: WriteError) -> CommandError {
    let kind = match &error {
        WriteError::Missing(_) => Kind::Missing,
        WriteError::Stopped => Kind::Interrupted,
        _ => Kind::Input,
    };
    let hint = match &error {
        WriteError::Budget(_) => Some("what was answered is kept; the same command with a larger budget goes on"),
        WriteError::Stopped | WriteError::Missing(_) => {
            Some("what was answered is kept; the same command goes on where it stopped")
        }
        _ => None,
    };
    CommandError::new(kind, error).maybe_hint(hint.map(str::to_owned))
}
