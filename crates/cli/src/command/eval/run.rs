//! `helpmate eval run`.

use super::respondent;
use super::service::{self, ServiceArguments};
use crate::arguments::{DtypeOption, ModelArguments};
use crate::context::Context;
use crate::error::{CommandError, of_file};
use crate::loading::{self, Loaded};
use crate::progress::Count;
use crate::{interrupt, output, table};
use ::eval::result::{ModelResult, TaskResult};
use ::eval::scorer::{FileScorer, ServiceScorer, TextScorer};
use ::eval::truth::Judge;
use ::eval::{
    AnswerCache, Ask, Estimate, Evaluation, Item, Respondent, RunOptions, Settings, Subject, SubjectFacts,
    SubjectOptions, Task,
};
use clap::{Args, ValueEnum};
use endpoint::score::ScoreClient;
use render::{Renderer, TemplateOrigin};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stdx::{Seed, hash};

/// Measure models, reward models, or what people said of models, on tasks
///
/// Prints a table a task: each metric with its 95 % interval and n, a column a model. With --out also writes
/// `evaluation.json` and every item with its answer and scores, which `helpmate eval compare` reads. Answers are kept in
/// the cache folder under a hash of model, tokenizer, template, arithmetic and question: a second run asks nothing, an
/// interrupted one goes on. `reward_model` measures --reward instead of --model; `appropriateness` reads people's judgements
/// and has a column for each model that they judged. `helpmate eval tasks` lists the tasks.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate eval run instructions diversity --model runs/base --model runs/sft --out evals/first"
)]
pub struct Run {
    /// Tasks, in the order of the tables
    #[arg(value_name = "TASK", required = true)]
    tasks: Vec<String>,
    /// Model folder, GGUF file, run folder (its final/), or a source as `helpmate pull` knows it; several may be given,
    /// each as [NAME=]M
    #[arg(long, value_name = "M", num_args = 1..)]
    model: Vec<String>,
    #[command(flatten)]
    pub(super) service: ServiceArguments,
    /// Reward that `reward_model` measures: reward-model folder or run, rule:NAME[:ARG], or http(s)://…; several may be
    /// given, each as [NAME=]R. Of a run that left a labeler group out (rm.leave_out_group) that group counts by itself
    #[arg(long, value_name = "R", num_args = 1..)]
    reward: Vec<String>,
    /// Rows of a task that has none of its own, or instead of its own; with several tasks as TASK=FILE
    #[arg(long, value_name = "[TASK=]FILE", num_args = 1..)]
    data: Vec<String>,
    /// Folder for the evaluation; it may exist
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Only the first N items of each task
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Most tokens of a completion; the task's own number when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_new_tokens: Option<u32>,
    /// Completions of a prompt, for tasks that sample; the task's own number when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    samples: Option<u32>,
    /// Temperature, for tasks that sample; 1 when absent
    #[arg(long, value_name = "T")]
    temperature: Option<f32>,
    /// Whether plain prompts go through the chat template
    #[arg(long, value_enum, default_value_t = Chat::Auto)]
    chat: Chat,
    /// Text put before every prompt (worked examples, an instruction)
    #[arg(long, value_name = "FILE")]
    primer: Option<PathBuf>,
    /// Model that `kl` measures from; it must have the same tokenizer
    #[arg(long, value_name = "M")]
    reference: Option<String>,
    /// What `toxicity` scores with: a linear scorer's JSON, or http(s)://… (docs/tasks/toxicity.md describes both)
    #[arg(long, value_name = "FILE|URL")]
    scorer: Option<String>,
    /// Texts that a scoring service may be asked about; any number when absent
    #[arg(long, value_name = "N", requires = "scorer")]
    scorer_budget: Option<usize>,
    /// Judges that `helpmate eval judge` trained, for truthfulqa_gen: of truth, of informativeness, or both
    #[arg(long, value_name = "FILE", num_args = 1..=2)]
    judge: Vec<PathBuf>,
    /// Jinja file to use instead of the models' own chat templates
    #[arg(long, value_name = "FILE")]
    chat_template: Option<PathBuf>,
    /// Arithmetic of the linear layers
    #[arg(long, value_enum, default_value_t = DtypeOption::Auto)]
    pub(super) dtype: DtypeOption,
    /// Threads; every core when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) threads: Option<u16>,
    /// Seed of the random streams
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(super) seed: u64,
    /// Ask everything anew and keep nothing
    #[arg(long)]
    pub(super) no_cache: bool,
    /// Print the parts of each task too
    #[arg(long)]
    slices: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// When plain prompts become the first turn of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Chat {
    /// When the model has a chat template of its own, or one is given
    Auto,
    /// Always; ChatML when the model has no template
    Always,
    /// Never
    Never,
}

impl Run {
    /// Of plain prompts, for commands that measure beside what else they do.
    pub fn of_plain_prompts(model: String, dtype: DtypeOption, threads: Option<u16>) -> Run {
        Run {
            tasks: Vec::new(),
            model: vec![model],
            service: ServiceArguments::none(),
            reward: Vec::new(),
            data: Vec::new(),
            out: None,
            limit: None,
            max_new_tokens: None,
            samples: None,
            temperature: None,
            chat: Chat::Never,
            primer: None,
            reference: None,
            scorer: None,
            scorer_budget: None,
            judge: Vec::new(),
            chat_template: None,
            dtype,
            threads,
            seed: 0,
            no_cache: false,
            slices: false,
            json: false,
        }
    }

    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        let tasks = self.tasks.iter().map(|name| ::eval::task::find(name)).collect::<Result<Vec<_>, _>>()?;
        let tasks: Vec<(&dyn Task, Settings)> = tasks
            .into_iter()
            .map(|task| Ok((task, self.settings(context, task)?)))
            .collect::<Result<_, CommandError>>()?;
        let respondent = respondent::same(&tasks)?;
        // Whatever is wrong with the rows is told before a model is loaded.
        let mut items = Vec::new();
        for (task, settings) in &tasks {
            items.extend(task.items(settings)?);
        }
        self.refuse_idle(&items, respondent)?;
        let primer = self.primer.as_deref().map(|path| std::fs::read_to_string(path).map_err(of_file(path)));
        let primer = primer.transpose()?.unwrap_or_default();
        interrupt::listen()?;
        let mut evaluation = Evaluation { helpmate: env!("CARGO_PKG_VERSION").to_owned(), models: Vec::new() };
        let mut done = |result: ModelResult| {
            evaluation.models.push(result);
            self.out.as_ref().map_or(Ok(()), |folder| evaluation.write(folder).map_err(CommandError::from))
        };
        let first = tasks[0].0.name();
        match respondent {
            Respondent::Model => {
                let service = self.service.endpoint.is_some();
                if service {
                    service::refuse(&tasks)?;
                } else {
                    respondent::require(&self.model, first, "a model: --model M")?;
                }
                for (name, model) in named(&self.model) {
                    done(self.evaluate(context, &name, model, &primer, &tasks)?)?;
                }
                if service {
                    done(service::evaluate(&self, context, self.chat != Chat::Never, &primer, &tasks)?)?;
                }
            }
            Respondent::Reward => {
                respondent::require(&self.reward, first, "a reward: --reward R")?;
                respondent::rewards(&self, context, named(&self.reward), &tasks, &mut done)?;
            }
            Respondent::People => respondent::people(&self, &tasks, &mut done)?,
        }
        tell_of_tokenizers(&evaluation);
        output::report(&evaluation, self.json, |evaluation| describe(evaluation, self.slices))
    }

    /// A task's settings, with the rows that were meant for it.
    fn settings(&self, context: &Context, task: &dyn Task) -> Result<Settings, CommandError> {
        let mut data = None;
        for given in &self.data {
            let meant = given.split_once('=').filter(|(name, _)| self.tasks.iter().any(|task| task == name));
            match meant {
                Some((name, path)) if name == task.name() => data = Some(PathBuf::from(path)),
                Some(_) => {}
                None if self.tasks.len() == 1 => data = Some(PathBuf::from(given)),
                None => {
                    return Err(CommandError::usage(format!("--data {given}: it isn't said which task it is for"))
                        .hint("with several tasks write --data TASK=FILE"));
                }
            }
        }
        let scorer = match (&self.scorer, task.name()) {
            (Some(scorer), "toxicity") => Some(self.open_scorer(context, scorer)?),
            (None, "toxicity") => {
                return Err(CommandError::usage("toxicity needs something that scores text: --scorer FILE|URL")
                    .hint("docs/tasks/toxicity.md describes the file, and what a service is asked"));
            }
            _ => None,
        };
        let number = |n: Option<u32>| n.map(|n| n as usize);
        if let Some(temperature) = self.temperature
            && !(temperature > 0.0 && temperature <= 100.0)
        {
            return Err(CommandError::usage(format!(
                "--temperature {temperature}: expected a number above 0, at most 100"
            )));
        }
        Ok(Settings {
            data,
            limit: number(self.limit),
            max_new_tokens: number(self.max_new_tokens),
            samples: number(self.samples),
            temperature: self.temperature,
            scorer,
            left_out_group: None,
            judges: if task.name() == "truthfulqa_gen" { self.judges()? } else { Vec::new() },
        })
    }

    /// A scorer's file, or a service.
    fn open_scorer(&self, context: &Context, scorer: &str) -> Result<Arc<dyn TextScorer>, CommandError> {
        if !scorer.starts_with("http://") && !scorer.starts_with("https://") {
            if self.scorer_budget.is_some() {
                return Err(CommandError::usage("--scorer-budget does nothing: the scorer is a file"));
            }
            return Ok(Arc::new(FileScorer::open(Path::new(scorer))?));
        }
        let settings = context.scorer_settings(scorer)?;
        let folder = context.cache.root().join("answers");
        let folder = (!self.no_cache).then_some(folder.as_path());
        Ok(Arc::new(ServiceScorer::open(ScoreClient::new(settings), folder, self.scorer_budget)?))
    }

    /// The judges, at most one a quality.
    fn judges(&self) -> Result<Vec<Arc<Judge>>, CommandError> {
        let judges = self.judge.iter().map(|path| Judge::open(path)).collect::<Result<Vec<Judge>, _>>()?;
        if let [first, second] = &judges[..]
            && first.judges == second.judges
        {
            let quality = first.judges.name();
            return Err(CommandError::usage(format!(
                "--judge: both judge whether an answer is {quality}, expected one"
            )));
        }
        Ok(judges.into_iter().map(Arc::new).collect())
    }

    /// Refuses options that none of the tasks uses.
    fn refuse_idle(&self, items: &[Item], respondent: Respondent) -> Result<(), CommandError> {
        let completions = || {
            items.iter().filter_map(|item| match &item.ask {
                Ask::Completions { sampling, .. } => Some(sampling),
                _ => None,
            })
        };
        let writes = completions().next().is_some();
        let samples = completions().any(|sampling| sampling.temperature > 0.0);
        let diverges = completions().any(|sampling| sampling.divergence);
        let no_model = respondent != Respondent::Model;
        let idle = [
            ("--model", no_model && !self.model.is_empty()),
            ("--endpoint", no_model && self.service.endpoint.is_some()),
            ("--reward", respondent != Respondent::Reward && !self.reward.is_empty()),
            ("--chat", no_model && self.chat != Chat::Auto),
            ("--primer", no_model && self.primer.is_some()),
            ("--chat-template", no_model && self.chat_template.is_some()),
            ("--max-new-tokens", self.max_new_tokens.is_some() && !writes),
            ("--samples", self.samples.is_some() && !samples),
            ("--temperature", self.temperature.is_some() && !samples),
            ("--reference", self.reference.is_some() && !diverges),
            ("--scorer", self.scorer.is_some() && !self.tasks.iter().any(|task| task == "toxicity")),
            (
                "--judge",
                !self.judge.is_empty() && !self.tasks.iter().any(|task| task.replace('-', "_") == "truthfulqa_gen"),
            ),
        ];
        match idle.iter().find(|(_, idle)| *idle) {
            Some((option, _)) => Err(CommandError::usage(format!("{option} does nothing: none of the tasks uses it"))),
            None => Ok(()),
        }
    }

    fn arguments(&self, model: &str) -> ModelArguments {
        let (chat_template, dtype, threads) = (self.chat_template.clone(), self.dtype, self.threads);
        ModelArguments { model: model.to_owned(), chat_template, dtype, threads }
    }

    /// One model on tasks.
    pub fn evaluate(
        &self,
        context: &Context,
        name: &str,
        model: &str,
        primer: &str,
        tasks: &[(&dyn Task, Settings)],
    ) -> Result<ModelResult, CommandError> {
        let arguments = self.arguments(model);
        let path = loading::resolve(context, model)?;
        let Loaded { model, renderer } = loading::load(context, &arguments)?;
        let arithmetic = format!("{:?} on {:?}", model.precision(), model.device().isa);
        let identity = identity(&path, &renderer, &arithmetic)?;
        let chat = match self.chat {
            Chat::Always => true,
            Chat::Never => false,
            Chat::Auto => !is_built_in(renderer.template().origin()),
        };
        let options = SubjectOptions { name: name.to_owned(), identity, chat, primer: primer.to_owned() };
        let mut subject = Subject::new(&model, &renderer, options);
        let reference = self.reference.as_deref().map(|given| self.load_reference(context, given, &renderer));
        let reference = reference.transpose()?;
        if let Some((reference, identity)) = &reference {
            subject = subject.with_reference(&reference.model, identity.clone());
        }
        let folder = context.cache.root().join("answers");
        let mut cache = if self.no_cache { None } else { Some(AnswerCache::open(&folder, &subject.identity())?) };
        let facts = SubjectFacts {
            name: name.to_owned(),
            path: path.display().to_string(),
            identity: subject.identity(),
            tokenizer: subject.tokenizer(),
            arithmetic,
            chat,
            primer: primer.to_owned(),
            parameters: Some(model.parameter_counts().0 as u64),
            mix: mix(&path),
            templates: templates(&path),
            lineage: lineage(&path),
        };
        let mut results = Vec::new();
        for (task, settings) in tasks {
            eprintln!("{name}: {}", task.name());
            let mut progress: Option<Count> = None;
            let mut on_progress = |at: ::eval::Progress| {
                progress.get_or_insert_with(|| Count::new(at.total, "items")).update(at.done);
                if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let mut options =
                RunOptions { cache: cache.as_mut(), seed: Seed(self.seed), on_progress: &mut on_progress };
            let result = ::eval::run(*task, settings, &mut subject, &mut options);
            if let Some(progress) = progress {
                progress.finish();
            }
            results.push(result?);
        }
        Ok(ModelResult { model: facts, tasks: results })
    }

    fn load_reference(
        &self,
        context: &Context,
        given: &str,
        renderer: &Renderer,
    ) -> Result<(Loaded, String), CommandError> {
        let path = loading::resolve(context, given)?;
        let loaded = loading::load(context, &self.arguments(given))?;
        let [ours, theirs] = [renderer, &loaded.renderer].map(|renderer| renderer.tokenizer().content_hash());
        if ours != theirs {
            let message = format!("--reference {given}: its tokenizer is {theirs:.12}…, the model's {ours:.12}…");
            return Err(
                CommandError::input(message).hint("divergence is measured token by token: one tokenizer for both")
            );
        }
        let arithmetic = format!("{:?} on {:?}", loaded.model.precision(), loaded.model.device().isa);
        let identity = identity(&path, &loaded.renderer, &arithmetic)?;
        Ok((loaded, identity))
    }
}

/// Names for the tables: as given, else the end of the path; every name once.
fn named(given: &[String]) -> Vec<(String, &str)> {
    let mut seen = BTreeSet::new();
    let mut named = Vec::new();
    for given in given {
        let (name, source) = match given.split_once('=') {
            Some((name, source)) if !name.is_empty() && !name.contains(['/', ':']) => (name.to_owned(), source),
            _ => (short_name(given), given.as_str()),
        };
        let unique = (1..).map(|i| if i == 1 { name.clone() } else { format!("{name}-{i}") });
        let name = unique.into_iter().find(|name| seen.insert(name.clone())).unwrap_or(name);
        named.push((name, source));
    }
    named
}

/// The end of a path or source; of a run's `final` the run. Rules and addresses stay whole.
fn short_name(given: &str) -> String {
    if given.starts_with("rule:") || given.contains("://") {
        return given.to_owned();
    }
    let mut parts = given.trim_end_matches('/').rsplit(['/', ':']).filter(|part| !part.is_empty());
    match parts.next() {
        Some("final") => parts.next().unwrap_or("final").to_owned(),
        Some(name) => name.trim_end_matches(".gguf").to_owned(),
        None => given.to_owned(),
    }
}

/// Everything that answers hang on, hashed: a copied folder is the same model.
fn identity(path: &Path, renderer: &Renderer, arithmetic: &str) -> Result<String, CommandError> {
    let content = if path.is_dir() { hash::folder(path)? } else { hash::file(path)? };
    let template = renderer.tokenizer_config();
    let tokenizer = renderer.tokenizer().content_hash();
    Ok(hash::json(&json!({ "files": content, "tokenizer": tokenizer, "template": template, "arithmetic": arithmetic })))
}

fn is_built_in(origin: &TemplateOrigin) -> bool {
    matches!(origin, TemplateOrigin::ChatMl | TemplateOrigin::ChatMlWithEos)
}

/// What the run that made a model tells of its making.
pub(super) fn lineage(path: &Path) -> Value {
    let run = path.parent().map(|run| run.join("lineage.json"));
    let text = run.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// Whether a model was fine-tuned on nothing but what templates worded.
fn templates(path: &Path) -> bool {
    let run = path.parent().filter(|run| run.join("lineage.json").is_file());
    run.and_then(|run| ::eval::report::TrainingRun::read(run).ok()).is_some_and(|run| run.templates)
}

/// The coefficient of the pretraining mix that a model was reinforced with.
fn mix(path: &Path) -> Option<f64> {
    let run = path.parent().filter(|run| run.join("lineage.json").is_file())?;
    ::eval::report::TrainingRun::read(run).ok()?.mix
}

fn tell_of_tokenizers(evaluation: &Evaluation) {
    let tokenizers: BTreeSet<&str> = evaluation.models.iter().map(|m| m.model.tokenizer.as_str()).collect();
    let counted = evaluation.models.iter().flat_map(|m| &m.tasks).flat_map(|t| &t.estimates).any(|e| e.per_token);
    if tokenizers.len() > 1 && counted {
        eprintln!("the models have different tokenizers: lines marked (per token) can't be compared between them");
    }
}

/// A table a task, a column a model.
fn describe(evaluation: &Evaluation, slices: bool) -> String {
    let mut text = String::new();
    let Some(first) = evaluation.models.first() else { return text };
    for (idx, task) in first.tasks.iter().enumerate() {
        let of_models: Vec<_> = evaluation.models.iter().map(|model| &model.tasks[idx]).collect();
        text += &format!("\n{} (version {}, {})\n", task.task, task.version, items(evaluation, idx));
        let columns: Vec<&[Estimate]> = of_models.iter().map(|task| task.estimates.as_slice()).collect();
        text += &estimates(evaluation, &columns);
        if slices {
            for name in of_models.iter().flat_map(|task| task.slices.keys()).collect::<BTreeSet<_>>() {
                let none: &[Estimate] = &[];
                let of = |slices: &BTreeMap<String, Vec<Estimate>>| slices.contains_key(name);
                let columns: Vec<&[Estimate]> =
                    of_models.iter().map(|task| if of(&task.slices) { &task.slices[name][..] } else { none }).collect();
                text += &format!("\n{} / {name}\n{}", task.task, estimates(evaluation, &columns));
            }
        }
        for (model, task) in evaluation.models.iter().zip(&of_models) {
            let name = &model.model.name;
            if task.n_too_long > 0 {
                text += &format!("{name}: {} items were longer than its context and count nowhere\n", task.n_too_long);
            }
            text.extend(task.notes.iter().map(|note| format!("{name}: {note}\n")));
        }
    }
    text.trim_start().to_owned()
}

/// How many items by whom; of each model where people judged other answers of each.
fn items(evaluation: &Evaluation, idx: usize) -> String {
    let of = |task: &TaskResult| {
        let sources: Vec<String> = task.sources.iter().map(|(source, n)| format!("{n} by {source}")).collect();
        let nobody = if sources.is_empty() { "" } else { ": " };
        format!("{} items{nobody}{}", task.n_items, sources.join(", "))
    };
    let mut all: Vec<String> = evaluation.models.iter().map(|model| of(&model.tasks[idx])).collect();
    all.dedup();
    if let [one] = &all[..] {
        return one.clone();
    }
    let named: Vec<String> =
        evaluation.models.iter().map(|model| format!("{}: {}", model.model.name, of(&model.tasks[idx]))).collect();
    named.join("; ")
}

fn estimates(evaluation: &Evaluation, columns: &[&[Estimate]]) -> String {
    let mut metrics: Vec<&Estimate> = Vec::new();
    for estimate in columns.iter().flat_map(|column| column.iter()) {
        if !metrics.iter().any(|known| known.metric == estimate.metric) {
            metrics.push(estimate);
        }
    }
    let mut header = vec!["metric"];
    header.extend(evaluation.models.iter().map(|model| model.model.name.as_str()));
    let row = |metric: &&Estimate| {
        let mark = if metric.per_token { " (per token)" } else { "" };
        let cells = columns.iter().map(|column| {
            let found = column.iter().find(|estimate| estimate.metric == metric.metric);
            found.map_or_else(|| "can't say (n = 0)".to_owned(), ToString::to_string)
        });
        std::iter::once(format!("{}{mark}", metric.metric)).chain(cells).collect()
    };
    table::render(&header, &metrics.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_called_by_the_end_of_their_path() {
        let check = |given: &str, expected: &str| assert_eq!(short_name(given), expected);
        check("runs/sft", "sft");
        check("runs/sft/final/", "sft");
        check("hf:org/name", "name");
        check("default", "default");
        check("/a/model.gguf", "model");
        check("rule:words:30", "rule:words:30");
        check("http://localhost:1/score", "http://localhost:1/score");
    }
}
