//! `helpmate self-instruct run`.

use super::input::{self, RecipeOption};
use super::local::LocalWriter;
use crate::arguments::DtypeOption;
use crate::arguments::ModelArguments;
use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::progress::Count;
use crate::{interrupt, loading, output};
use clap::Args;
use endpoint::completion::{CompletionClient, CompletionSettings};
use instruct::prompt::Prompts;
use instruct::recipe::Recipe;
use instruct::report::{self, TaskRow};
use instruct::run::{Outcome, Progress, SeedTask, Settings};
use instruct::writer::{Answers, Budget, Service, Spent, WriteError, Writer};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use stdx::Seed;
use stdx::atomic::{write_file, write_file_with};

/// The seed tasks that ship with the project.
const SEEDS: &str = include_str!("../../../../../data/seed_tasks.jsonl");
/// Tasks in the sample for people.
const AUDIT: usize = 200;

/// Let a model write tasks, from seeds, until there are enough
///
/// The recipe `paper` asks for instructions, then what kind each is, then instances; `alpaca` asks for whole tasks at once.
/// The model is a local one or stands behind an OpenAI-compatible service. The folder holds `answers.jsonl` (every answer,
/// as it came), `judged.jsonl` (every candidate with its reason), `tasks.jsonl` (what was made), `report.json` and
/// `audit.jsonl` (a sample for people to rate). The same command again goes on where it was interrupted, and asks nothing
/// twice. The key of a service is read from HELPMATE_API_KEY or OPENAI_API_KEY.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate self-instruct run --model default --target 20 --out runs/self-instruct")]
pub struct Run {
    /// A model on this machine: folder, GGUF file, run, or a source as `helpmate pull` knows it
    #[arg(long, value_name = "M", required_unless_present = "endpoint", conflicts_with = "endpoint")]
    model: Option<String>,
    /// A service, up to and with /v1
    #[arg(long, value_name = "URL", requires = "endpoint_model")]
    endpoint: Option<String>,
    /// The model's name there
    #[arg(long, value_name = "NAME", requires = "endpoint")]
    endpoint_model: Option<String>,
    /// Ask as a user's message, through the chat template, instead of giving text to continue
    #[arg(long)]
    chat: bool,
    /// Seed tasks in Self-Instruct's format; those that ship with the project when absent
    #[arg(long, value_name = "FILE", num_args = 1..)]
    seeds: Vec<PathBuf>,
    /// The fixed parts of the prompts (JSON, as published), in place of the project's own
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Whose recipe
    #[arg(long, value_enum, default_value_t = RecipeOption::Paper)]
    recipe: RecipeOption,
    /// Instructions to keep
    #[arg(long, value_name = "N", default_value_t = 100)]
    target: usize,
    /// Prompts a round; what a round keeps may be shown in the next
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    prompts_per_round: u16,
    /// Rounds in a row that may keep nothing
    #[arg(long, value_name = "N", default_value_t = 20)]
    barren_rounds: usize,
    /// Most tokens of an answer with instructions; the recipe's own (1024, 3072) when absent
    #[arg(long, value_name = "N")]
    max_new_tokens: Option<usize>,
    /// Instances of a task at most
    #[arg(long, value_name = "N", default_value_t = 5)]
    max_instances: usize,
    /// Ask for classification tasks only, from such seeds
    #[arg(long)]
    only_classification: bool,
    /// Let letters of every script be words in the ROUGE-L filter
    #[arg(long)]
    unicode: bool,
    /// Most requests
    #[arg(long, value_name = "N")]
    max_requests: Option<u64>,
    /// Most tokens, of prompts and answers
    #[arg(long, value_name = "N")]
    max_tokens: Option<u64>,
    /// Most money, in the currency of the prices, which must then be given
    #[arg(long, value_name = "MONEY")]
    budget: Option<f64>,
    /// Price of a million tokens of prompts
    #[arg(long, value_name = "MONEY", default_value_t = 0.0)]
    price_in: f64,
    /// Price of a million tokens of answers
    #[arg(long, value_name = "MONEY", default_value_t = 0.0)]
    price_out: f64,
    /// Requests to a service at once
    #[arg(long, value_name = "N", default_value_t = 4)]
    concurrency: usize,
    /// Requests to a service a minute at most
    #[arg(long, value_name = "N")]
    per_minute: Option<u32>,
    /// Seconds to wait for an answer of a service
    #[arg(long, value_name = "S", default_value_t = 120)]
    timeout: u64,
    /// Tries of a request to a service that may pass
    #[arg(long, value_name = "N", default_value_t = 6)]
    attempts: u32,
    /// Seconds before a service is tried again; each further wait is twice as long
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    backoff: f64,
    /// A local model's repetition penalty beside the published presence penalty, where there is one; 1 is none. It
    /// counts the prompt's tokens too, and so works against the form that the prompt shows
    #[arg(long, value_name = "R", default_value_t = 1.0)]
    repetition_penalty: f32,
    /// Arithmetic of a local model
    #[arg(long, value_enum, default_value_t = DtypeOption::Auto)]
    dtype: DtypeOption,
    /// Threads of a local model; every core when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Seed of prompts and samples
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Run {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        let seeds = self.read_seeds()?;
        let prompts = match &self.prompts {
            Some(path) => Prompts::open(path).map_err(CommandError::input)?,
            None => Prompts::default(),
        };
        self.check_numbers()?;
        let settings = self.settings();
        std::fs::create_dir_all(&self.out).map_err(crate::error::of_file(&self.out))?;
        self.check_settings(&seeds, &prompts)?;
        let mut answers = Answers::open(&self.out.join("answers.jsonl")).map_err(of_writing)?;
        let before = answers.spent;
        interrupt::listen()?;
        let mut writer = self.writer(context)?;
        let mut progress = Count::new(self.target, "instructions");
        let budget = settings.budget;
        let mut told = std::time::Instant::now();
        let outcome =
            instruct::run::run(&seeds, &prompts, &settings, writer.as_mut(), &mut answers, &mut |event| match event {
                Progress::Kept(n) => progress.update(n),
                Progress::Answer(spent) if told.elapsed() > Duration::from_secs(10) => {
                    told = std::time::Instant::now();
                    eprintln!("{}", spending(&spent, &budget));
                }
                Progress::Answer(_) => {}
            });
        progress.finish();
        eprintln!(
            "{}; {} of them in this call",
            spending(&answers.spent, &budget),
            answers.spent.requests - before.requests
        );
        let outcome = outcome.map_err(of_writing)?;
        self.write(&seeds, &outcome, &answers.spent, &budget)
    }

    /// A budget that could never be spent, and waits that are none.
    fn check_numbers(&self) -> Result<(), CommandError> {
        let numbers = [
            ("--budget", self.budget.unwrap_or(0.0)),
            ("--price-in", self.price_in),
            ("--price-out", self.price_out),
            ("--backoff", self.backoff),
        ];
        if let Some((option, value)) = numbers.iter().find(|(_, value)| !(0.0..=1e9).contains(value)) {
            return Err(CommandError::usage(format!("{option} {value}: expected a number from 0")));
        }
        if self.budget.is_some() && self.price_in + self.price_out == 0.0 {
            return Err(CommandError::usage("--budget does nothing without prices")
                .hint("give --price-in and --price-out, the prices of a million tokens, or --max-tokens"));
        }
        Ok(())
    }

    fn settings(&self) -> Settings {
        Settings {
            prompts_per_round: usize::from(self.prompts_per_round),
            barren_rounds_max: self.barren_rounds,
            max_instances: self.max_instances,
            max_tokens: self.max_new_tokens,
            only_classification: self.only_classification,
            words: input::words(self.unicode),
            seed: Seed(self.seed),
            budget: Budget {
                requests: self.max_requests,
                tokens: self.max_tokens,
                cost: self.budget,
                price_in: self.price_in,
                price_out: self.price_out,
            },
            ..Settings::new(self.recipe.into(), self.target)
        }
    }

    fn read_seeds(&self) -> Result<Vec<SeedTask>, CommandError> {
        if self.seeds.is_empty() {
            let path = Path::new("the shipped seed tasks");
            let lines = (1..).zip(SEEDS.lines());
            return lines
                .map(|(line, text)| {
                    let value = serde_json::from_str(text).map_err(CommandError::input)?;
                    seed_task(path, &(line, value))
                })
                .collect();
        }
        let mut seeds = Vec::new();
        for path in &self.seeds {
            for row in input::rows(path)? {
                seeds.push(seed_task(path, &row)?);
            }
        }
        Ok(seeds)
    }

    /// What a run is made with stands in its folder; another call must agree, its budget and target aside.
    fn check_settings(&self, seeds: &[SeedTask], prompts: &Prompts) -> Result<(), CommandError> {
        let seeds: Vec<&str> = seeds.iter().map(|seed| &seed.instruction[..]).collect();
        let recipe: Recipe = self.recipe.into();
        let settings = json!({
            "recipe": recipe, "model": self.model, "endpoint": self.endpoint, "endpoint_model": self.endpoint_model,
            "chat": self.chat, "seed": self.seed, "prompts_per_round": self.prompts_per_round,
            "max_new_tokens": self.max_new_tokens, "max_instances": self.max_instances,
            "only_classification": self.only_classification, "unicode": self.unicode,
            "repetition_penalty": self.repetition_penalty, "seeds": stdx::hash::json(&json!(seeds)),
            "prompts": stdx::hash::bytes(format!("{prompts:?}").as_bytes()),
        });
        let path = self.out.join("settings.json");
        match std::fs::read(&path) {
            Ok(bytes) => {
                let old: Value = serde_json::from_slice(&bytes)
                    .map_err(|error| CommandError::input(format!("{}: {error}", path.display())))?;
                let differing = settings.as_object().into_iter().flatten().find(|(key, value)| old[*key] != **value);
                match differing {
                    Some((key, value)) => Err(CommandError::usage(format!(
                        "{}: the run was made with {key} = {}, found {value}",
                        self.out.display(),
                        old[key]
                    ))
                    .hint("give --out another folder, or the settings the run began with")),
                    None => Ok(()),
                }
            }
            Err(_) if self.out.join("answers.jsonl").exists() => {
                Err(CommandError::input(format!("{}: missing beside answers.jsonl", path.display())))
            }
            Err(_) => {
                let text = serde_json::to_string_pretty(&settings).map_err(CommandError::input)? + "\n";
                Ok(write_file(&path, text.as_bytes())?)
            }
        }
    }

    fn writer(&self, context: &Context) -> Result<Box<dyn Writer>, CommandError> {
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
            name: format!("model {content:.32}, seed {}, repetition penalty {}", self.seed, self.repetition_penalty),
            chat: self.chat,
            repetition_penalty: self.repetition_penalty,
            batch: usize::from(self.prompts_per_round).max(8),
            seed: self.seed,
        }))
    }

    fn write(&self, seeds: &[SeedTask], outcome: &Outcome, spent: &Spent, budget: &Budget) -> Result<(), CommandError> {
        let tasks = self.out.join("tasks.jsonl");
        write_file_with(&tasks, |out| outcome.tasks.iter().try_for_each(|task| stdx::jsonl::write_line(out, task)))?;
        write_file_with(&self.out.join("judged.jsonl"), |out| {
            outcome.judged.iter().try_for_each(|judgement| stdx::jsonl::write_line(out, &super::filter::row(judgement)))
        })?;
        let rows: Vec<TaskRow> = outcome
            .tasks
            .iter()
            .map(|task| TaskRow {
                instruction: task.instruction.clone(),
                instances: task.instances.clone(),
                is_classification: task.is_classification,
                id: Some(task.id.clone()),
            })
            .collect();
        write_file_with(&self.out.join("audit.jsonl"), |out| {
            report::audit(&rows, AUDIT, Seed(self.seed)).iter().try_for_each(|row| stdx::jsonl::write_line(out, row))
        })?;
        let seeds: Vec<String> = seeds.iter().map(|seed| seed.instruction.clone()).collect();
        let dropped: serde_json::Map<String, Value> =
            outcome.dropped().into_iter().map(|(reason, n)| (reason.name().to_owned(), json!(n))).collect();
        let summary = json!({
            "tasks": report::Report::of(&rows, &seeds, input::words(self.unicode)),
            "candidates": outcome.judged.len(), "dropped": dropped, "malformed": outcome.n_malformed,
            "without_instances": outcome.n_without_instances, "rounds": outcome.rounds, "gave_up": outcome.gave_up,
            "spent": spent, "cost": spent.cost(budget),
        });
        let text = serde_json::to_string_pretty(&summary).map_err(CommandError::input)? + "\n";
        write_file(&self.out.join("report.json"), text.as_bytes())?;
        let kept = outcome.judged.iter().filter(|judgement| judgement.kept).count();
        eprintln!(
            "{} candidates in {} rounds: {kept} kept, {} of them with instances",
            outcome.judged.len(),
            outcome.rounds,
            outcome.tasks.len()
        );
        if outcome.gave_up {
            eprintln!("gave up: {} rounds in a row kept nothing", self.barren_rounds);
        }
        output::path(&tasks)
    }
}

fn seed_task(path: &Path, row: &(usize, Value)) -> Result<SeedTask, CommandError> {
    let instruction = input::text(path, row, &["instruction"])?.to_owned();
    let (line, value) = row;
    let instances = serde_json::from_value(value["instances"].clone()).map_err(|error| {
        CommandError::input(format!("{}:{line}: instances: {error}, expected [{{input, output}}, …]", path.display()))
    })?;
    Ok(SeedTask { instruction, instances, is_classification: value["is_classification"] == true })
}

fn spending(spent: &Spent, budget: &Budget) -> String {
    let cost = spent.cost(budget);
    let cost = if cost > 0.0 { format!(", cost {cost:.4}") } else { String::new() };
    let Spent { requests, prompt_tokens, completion_tokens } = spent;
    format!("{requests} answers, {prompt_tokens} tokens in, {completion_tokens} out{cost}")
}

fn of_writing(error: WriteError) -> CommandError {
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
