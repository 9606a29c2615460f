//! `helpmate self-instruct run`.

use super::input::{self, RecipeOption};
use crate::context::Context;
use crate::error::CommandError;
use crate::progress::Count;
use crate::writer::{WriterArguments, of_writing};
use crate::{interrupt, output};
use clap::Args;
use instruct::prompt::Prompts;
use instruct::recipe::Recipe;
use instruct::report::{self, TaskRow};
use instruct::run::{Outcome, Progress, SeedTask, Settings};
use instruct::writer::{Answers, Budget, Spent};
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
    #[command(flatten)]
    writer: WriterArguments,
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
    /// A local model's repetition penalty beside the published presence penalty, where there is one; 1 is none. It
    /// counts the prompt's tokens too, and so works against the form that the prompt shows
    #[arg(long, value_name = "R", default_value_t = 1.0)]
    repetition_penalty: f32,
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
        let mut writer = self.writer.open(
            context,
            self.repetition_penalty,
            usize::from(self.prompts_per_round).max(8),
            self.seed,
        )?;
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
            ("--backoff", self.writer.backoff),
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
            "recipe": recipe, "model": self.writer.model, "endpoint": self.writer.endpoint, "endpoint_model": self.writer.endpoint_model,
            "chat": self.writer.chat, "seed": self.seed, "prompts_per_round": self.prompts_per_round,
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
