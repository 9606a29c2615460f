//! `helpmate serve`.

use crate::context::Context;
use crate::error::{CommandError, of_file};
use crate::interrupt;
use crate::listening::ListenArguments;
use crate::serving::{self, ServingArguments};
use clap::Args;
use label::{Actor, LabelError, OpenOptions, Store};
use serve::app::{App, Feedback};
use serve::candidates::{Candidates, Means};
use serve::collect::{CollectSettings, Collector};
use serve::keys::Keys;
use serve::metrics::Metrics;
use serve::server;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Serve models: an OpenAI-compatible API, and a chat page
///
/// Clients of OpenAI's API work unchanged with http://ADDRESS/v1; a browser finds the chat page at http://ADDRESS/chat,
/// where two models can be compared blind. Requests are answered together, a token of each at a time. With --db what
/// people compare and flag becomes labeling tasks, and candidate answers that labeling projects ask for are written in
/// the background. Without keys the server is for this machine alone.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate serve --model default\n  helpmate serve --model old=runs/sft --model new=runs/ppo --db labels.db"
)]
pub struct Serve {
    #[command(flatten)]
    serving: ServingArguments,
    #[command(flatten)]
    listen: ListenArguments,
    /// File of API keys, a line `NAME KEY` each; whoever asks must have one
    #[arg(long, value_name = "FILE")]
    api_keys: Option<PathBuf>,
    /// Labeling database: a file, or postgres://…
    #[arg(long, value_name = "DB")]
    db: Option<String>,
    /// Take API tokens of the database's users (scope generate) as keys
    #[arg(long, requires = "db")]
    db_tokens: bool,
    /// Labeling project for what is compared and flagged on the chat page; made when it isn't there
    #[arg(long, value_name = "NAME", default_value = "chat", requires = "db")]
    feedback_project: String,
    /// Reward model, rule:NAME or http(s)://… whose doubt orders the prompts to be labeled; several are an ensemble
    #[arg(long, value_name = "R", requires = "db")]
    reward: Vec<String>,
    /// Keep what clients ask, without personal data as far as it is found, as prompts to be labeled; clients are told
    #[arg(long, requires = "db")]
    collect_prompts: bool,
    /// Labeling project for collected prompts; made when it isn't there
    #[arg(long, value_name = "NAME", default_value = "collected", requires = "collect_prompts")]
    collect_project: String,
    /// Days after which a collected prompt is deleted
    #[arg(long, value_name = "DAYS", default_value_t = 90, requires = "collect_prompts", value_parser = clap::value_parser!(u32).range(1..))]
    collect_days: u32,
    /// Folder of runs to show at /runs, as they train
    #[arg(long, value_name = "DIR")]
    runs: Option<PathBuf>,
}

impl Serve {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        if self.serving.model.is_empty() && self.runs.is_none() {
            return Err(CommandError::usage("nothing to serve").hint("--model M serves a model, --runs DIR shows runs"));
        }
        let keys = self.keys()?;
        let settings = self.listen.settings(self.api_keys.is_some() || self.db_tokens)?;
        let store = self.db.as_deref().map(|db| Store::open(db, &OpenOptions::default())).transpose()?;
        let metrics = Arc::new(Metrics::default());
        let worker = self.serving.start(context, metrics.clone())?;
        let mut app = App::new(worker.clone(), metrics.clone());
        app.log = Arc::new(|message| eprintln!("{message}"));
        app.runs = self.runs.clone();
        app.keys = match &store {
            Some(store) if self.db_tokens => keys.with_tokens(store.clone()),
            _ => keys,
        };
        let mut candidates = None;
        if let Some(store) = store {
            app.feedback = Some(self.feedback(&store)?);
            app.collector = self.collector(&store, &metrics, &app.log)?;
            candidates = Some(self.candidates(context, store, worker, &app.log)?);
        }
        let notice = app.collector.as_ref().map(|collector| collector.notice().to_owned());
        interrupt::listen()?;
        server::run_until(settings, serve::router(Arc::new(app)), interrupt::flag(), |url| {
            eprintln!("API: {url}/v1   chat page: {url}/chat   (Ctrl-C stops)");
            if let Some(notice) = notice {
                eprintln!("collecting prompts; clients are told: {notice}");
            }
        })?;
        drop(candidates);
        eprintln!("stopped; what was begun was finished");
        Ok(())
    }

    fn keys(&self) -> Result<Keys, CommandError> {
        let Some(path) = &self.api_keys else { return Ok(Keys::default()) };
        let text = std::fs::read_to_string(path).map_err(of_file(path))?;
        Keys::parse(&text).map_err(|error| wrong_keys(path, &error))
    }

    fn feedback(&self, store: &Store) -> Result<Feedback, CommandError> {
        let project = match store.project_by_name(&self.feedback_project) {
            Err(LabelError::NotFound { .. }) => {
                let mut settings =
                    label::Settings { title: "From the chat page".into(), ..label::Settings::instructgpt() };
                // Visitors compare without rating, and their verdicts are judgements too.
                settings.ranking.rate_each = false;
                store.create_project(Actor::Operator, &self.feedback_project, &settings)?
            }
            found => found?,
        };
        Ok(Feedback { store: store.clone(), project: project.id })
    }

    fn collector(
        &self,
        store: &Store,
        metrics: &Arc<Metrics>,
        log: &serve::Log,
    ) -> Result<Option<Collector>, CommandError> {
        if !self.collect_prompts {
            return Ok(None);
        }
        let settings = CollectSettings {
            project: self.collect_project.clone(),
            retention_days: self.collect_days,
            ..CollectSettings::default()
        };
        Ok(Some(Collector::start(store.clone(), &settings, metrics.clone(), log.clone())?))
    }

    fn candidates(
        &self,
        context: &Context,
        store: Store,
        worker: serve::worker::Worker,
        log: &serve::Log,
    ) -> Result<Candidates, CommandError> {
        let judge = serving::judge(&self.reward, self.serving.dtype, self.serving.threads);
        let endpoints = serving::endpoints(context);
        let means = Means { store, models: Some(worker), endpoints, judge, log: log.clone() };
        Candidates::start(means).map_err(CommandError::input)
    }
}

fn wrong_keys(path: &Path, error: &serve::keys::KeyError) -> CommandError {
    CommandError::input(format!("{}: {error}", path.display()))
        .hint("a line is a name, a blank and a key; `openssl rand -hex 24` makes one")
}
