//! The models of a server, and the reward models that order its queue.

use crate::arguments::DtypeOption;
use crate::context::Context;
use crate::error::CommandError;
use crate::loading::{self, check_vocabulary};
use crate::{bases, reward};
use clap::Args;
use kernels::Device;
use model::{LoadOptions, Model, Trainable};
use record::Prompt;
use serve::candidates::{Endpoints, Judge, OpenJudge};
use serve::metrics::Metrics;
use serve::worker::{ServedModel, Worker, WorkerLimits};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use train::scorer::{Asked, Scorer};

/// Which models are served, and how many answers at once.
#[derive(Args)]
pub struct ServingArguments {
    /// Model folder, GGUF file, run folder, or a source as `helpmate pull` knows it; NAME=M calls it NAME. May be given several times
    #[arg(long, value_name = "[NAME=]M")]
    pub model: Vec<String>,
    /// Another name for a model that is served
    #[arg(long, value_name = "ALIAS=NAME")]
    pub alias: Vec<String>,
    /// Jinja file to use instead of the models' own chat templates
    #[arg(long, value_name = "FILE")]
    pub chat_template: Option<PathBuf>,
    /// Arithmetic of the linear layers
    #[arg(long, value_enum, default_value_t = DtypeOption::Auto)]
    pub dtype: DtypeOption,
    /// Threads; every core when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Most answers of a model written together
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub batch: u16,
    /// Most requests that wait; further ones are refused with status 429
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub queue: usize,
    /// Tokens of prompts and answers that a model keeps in memory
    #[arg(long, value_name = "N", default_value_t = 16384, value_parser = clap::value_parser!(u32).range(2..))]
    pub cache_tokens: u32,
}

impl ServingArguments {
    /// Loads the models and starts the thread that owns them.
    pub fn start(&self, context: &Context, metrics: Arc<Metrics>) -> Result<Worker, CommandError> {
        let device = Device::detect(self.threads.map(usize::from));
        let mut models: Vec<ServedModel> = Vec::new();
        for text in &self.model {
            let (name, source) = named(text);
            if models.iter().any(|model| model.name == name) {
                return Err(CommandError::usage(format!("--model {text}: two models are called {name}"))
                    .hint("NAME=M gives a model another name"));
            }
            eprintln!("loading {name}");
            models.push(self.load(context, &device, name, source)?);
        }
        self.add_aliases(&mut models)?;
        let limits = WorkerLimits {
            batch: usize::from(self.batch),
            queue: self.queue,
            cache_tokens: self.cache_tokens as usize,
            ..WorkerLimits::default()
        };
        Worker::start(models, limits, metrics).map_err(|error| CommandError::input(format!("models' thread: {error}")))
    }

    fn load(
        &self,
        context: &Context,
        device: &Device,
        name: String,
        source: &str,
    ) -> Result<ServedModel, CommandError> {
        let path = loading::resolve(context, source)?;
        let renderer = loading::open_renderer(&path, self.chat_template.as_deref())?;
        let precision = self.dtype.precision(device, &path);
        let model =
            Model::load(device, &path, &LoadOptions { precision, trainable: Trainable::Nothing, scalar_head: false })?;
        check_vocabulary(&path, &renderer, &model)?;
        if !model.has_lm_head() {
            return Err(CommandError::input(format!("{}: a reward model, which writes no answers", path.display())));
        }
        Ok(ServedModel { name, aliases: Vec::new(), model, renderer, created: made(&path) })
    }

    fn add_aliases(&self, models: &mut [ServedModel]) -> Result<(), CommandError> {
        for text in &self.alias {
            let wrong = |message: &str| Err(CommandError::usage(format!("--alias {text}: {message}")));
            let Some((alias, name)) = text.split_once('=') else {
                return wrong("expected ALIAS=NAME");
            };
            if models.iter().any(|model| model.name == alias || model.aliases.iter().any(|other| other == alias)) {
                return wrong("that name is taken");
            }
            match models.iter_mut().find(|model| model.name == name) {
                Some(model) => model.aliases.push(alias.to_owned()),
                None => return wrong("no such model is served"),
            }
        }
        Ok(())
    }
}

/// Name and source of `[NAME=]M`; without a name, what stands for it in the source.
fn named(text: &str) -> (String, &str) {
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:".contains(c));
    match text.split_once('=') {
        Some((name, source)) if is_name(name) && !Path::new(text).exists() => (name.to_owned(), source),
        _ if bases::find(text).is_some() => (text.to_owned(), text),
        _ => (own_name(text), text),
    }
}

/// A folder's last name; of `runs/sft/final` the run's.
fn own_name(source: &str) -> String {
    let path = Path::new(source);
    if !path.exists() {
        // `hf:org/name@revision` is `org/name`.
        let plain = source.split_once(':').map_or(source, |(_, rest)| rest);
        return plain.split('@').next().unwrap_or(plain).to_owned();
    }
    let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut names = full.iter().rev().map(|name| name.to_string_lossy().into_owned());
    let last = names.next().unwrap_or_default();
    let name = if last == "final" { names.next().unwrap_or(last) } else { last };
    name.trim_end_matches(".gguf").to_owned()
}

/// When a model was last written, seconds since 1970; 0 where that isn't known.
fn made(path: &Path) -> u64 {
    let of = if path.is_dir() { path.join("config.json") } else { path.to_owned() };
    let modified = std::fs::metadata(of).and_then(|metadata| metadata.modified()).ok();
    modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_secs())
}

/// Reward models that say where labels teach most.
struct Judges {
    scorers: Vec<Box<dyn Scorer>>,
}

/// How to open them; nothing when none is given.
pub fn judge(rewards: &[String], dtype: DtypeOption, threads: Option<u16>) -> Option<OpenJudge> {
    if rewards.is_empty() {
        return None;
    }
    let rewards = rewards.to_vec();
    Some(Box::new(move || {
        let told = |error: CommandError| error.message;
        let context = Context::from_environment().map_err(told)?;
        let device = Device::detect(threads.map(usize::from));
        let open = |reward: &String| Ok(reward::open(&context, reward, &device, dtype).map_err(told)?.1);
        let scorers = rewards.iter().map(open).collect::<Result<Vec<_>, String>>()?;
        Ok(Box::new(Judges { scorers }) as Box<dyn Judge>)
    }))
}

/// Whether services on the network may be asked for answers, and the key for one of them.
pub fn endpoints(context: &Context) -> Option<Endpoints> {
    let variable = |names: [&str; 2]| names.iter().find_map(|name| std::env::var(name).ok());
    let key_for = variable(["HELPMATE_API_BASE", "OPENAI_BASE_URL"]);
    let endpoints = || Endpoints {
        key: variable(["HELPMATE_API_KEY", "OPENAI_API_KEY"]),
        key_for: key_for.unwrap_or_else(|| "https://api.openai.com/v1".to_owned()),
    };
    (!context.offline).then(endpoints)
}

impl Judge for Judges {
    fn scores(&mut self, prompt: &Prompt, answers: &[String]) -> Result<Vec<Vec<f64>>, String> {
        let score = |scorer: &mut Box<dyn Scorer>| {
            let asked = [Asked { prompt, completions: answers.iter().map(String::as_str).collect() }];
            let mut rows = scorer.score(&asked).map_err(|error| error.to_string())?;
            rows.pop().ok_or_else(|| "no scores".to_owned())
        };
        self.scorers.iter_mut().map(score).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_called_by_its_name_or_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("my-sft");
        std::fs::create_dir_all(run.join("final")).unwrap();
        let path = |path: &Path| path.to_string_lossy().into_owned();
        assert_eq!(named(&path(&run)).0, "my-sft");
        assert_eq!(named(&path(&run.join("final"))).0, "my-sft");
        let given = format!("mine={}", path(&run));
        assert_eq!(named(&given), ("mine".to_owned(), &path(&run)[..]));
        assert_eq!(named("hf:org/name@main").0, "org/name");
    }
}
