//! Tasks that no language model is asked: reward models, and people who have judged already.

use super::run::Run;
use crate::context::Context;
use crate::error::CommandError;
use crate::progress::Count;
use crate::{interrupt, reward};
use ::eval::result::ModelResult;
use ::eval::{
    Answer, AnswerCache, Answering, Ask, EvalError, Item, Respondent, RunOptions, Settings, SubjectFacts, Task,
    TaskResult,
};
use kernels::Device;
use run::{Layers, RmConfig, RunFolder};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::Path;
use stdx::{Seed, hash};
use train::scorer::{Asked, Scorer};

/// Where nobody judged anything.
const NOBODY: &str = "nobody judged";

/// Reward models on tasks, in the order given.
pub fn rewards(
    run: &Run,
    context: &Context,
    named: Vec<(String, &str)>,
    tasks: &[(&dyn Task, Settings)],
    done: &mut dyn FnMut(ModelResult) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    for (name, spec) in named {
        let device = Device::detect(run.threads.map(usize::from));
        let mut scorer = reward::open_all(context, &[spec.to_owned()], None, &device, run.dtype)?;
        let (facts, left_out) = facts(&name, spec, scorer.as_ref())?;
        let folder = context.cache.root().join("answers");
        let mut cache = if run.no_cache { None } else { Some(AnswerCache::open(&folder, &facts.identity)?) };
        let mut results = Vec::new();
        for (task, settings) in tasks {
            let settings = Settings { left_out_group: left_out.clone(), ..settings.clone() };
            let items = ::eval::items(*task, &settings)?;
            let ask = &mut |items: &[Item]| ask_rewards(scorer.as_mut(), items);
            results.push(asked(run, &name, *task, &settings, &items, cache.as_mut(), ask)?);
        }
        done(ModelResult { model: facts, tasks: results })?;
    }
    Ok(())
}

/// What people said, a column for each model that they judged.
pub fn people(
    run: &Run,
    tasks: &[(&dyn Task, Settings)],
    done: &mut dyn FnMut(ModelResult) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let mut items: Vec<Vec<Item>> = Vec::new();
    let mut models: Vec<String> = Vec::new();
    for (task, settings) in tasks {
        let of_task = ::eval::items(*task, settings)?;
        for item in &of_task {
            if !models.iter().any(|model| model == item.judged_model()) {
                models.push(item.judged_model().to_owned());
            }
        }
        items.push(of_task);
    }
    if models.is_empty() {
        models.push(NOBODY.to_owned());
    }
    for model in models {
        let mut results = Vec::new();
        for ((task, settings), items) in tasks.iter().zip(&items) {
            let of_model: Vec<Item> = items.iter().filter(|item| item.judged_model() == model).cloned().collect();
            let ask = &mut |items: &[Item]| Ok(items.iter().filter_map(Item::said).collect());
            results.push(asked(run, &model, *task, settings, &of_model, None, ask)?);
        }
        let path = tasks.iter().find_map(|(_, settings)| settings.data.as_ref());
        let facts = SubjectFacts {
            name: model.clone(),
            path: path.map_or_else(String::new, |path| path.display().to_string()),
            identity: hash::json(&json!({ "judged": model })),
            tokenizer: String::new(),
            arithmetic: "judgements".to_owned(),
            chat: false,
            primer: String::new(),
            parameters: None,
            mix: None,
            templates: false,
            lineage: Value::Null,
        };
        done(ModelResult { model: facts, tasks: results })?;
    }
    Ok(())
}

/// A task with its progress told.
pub fn asked(
    run: &Run,
    name: &str,
    task: &dyn Task,
    settings: &Settings,
    items: &[Item],
    cache: Option<&mut AnswerCache>,
    ask: &mut Answering<'_, CommandError>,
) -> Result<TaskResult, CommandError> {
    eprintln!("{name}: {}", task.name());
    let mut progress: Option<Count> = None;
    let mut on_progress = |at: ::eval::Progress| {
        progress.get_or_insert_with(|| Count::new(at.total, "items")).update(at.done);
        if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut options = RunOptions { cache, seed: Seed(run.seed), on_progress: &mut on_progress };
    let result = ::eval::run_with(task, settings, items, ask, &mut options);
    if let Some(progress) = progress {
        progress.finish();
    }
    result
}

fn ask_rewards(scorer: &mut dyn Scorer, items: &[Item]) -> Result<Vec<Answer>, CommandError> {
    let question = |item: &'_ Item| match &item.ask {
        Ask::Rewards { prompt, completions } => Some((prompt.clone(), completions.clone())),
        _ => None,
    };
    let questions: Vec<_> = items.iter().filter_map(question).collect();
    let asked: Vec<Asked> = questions
        .iter()
        .map(|(prompt, completions)| Asked { prompt, completions: completions.iter().map(String::as_str).collect() })
        .collect();
    let rewards = scorer.score(&asked).map_err(|error| {
        let error = CommandError::from(error);
        let first = items.first().map_or("", |item| item.id.as_str());
        CommandError { message: format!("items from {first} on: {}", error.message), ..error }
    })?;
    Ok(rewards.into_iter().map(|rewards| Answer::Rewards { rewards }).collect())
}

/// What a reward is, and the group of labelers that it never saw.
fn facts(name: &str, spec: &str, scorer: &dyn Scorer) -> Result<(SubjectFacts, Option<String>), CommandError> {
    let models = scorer.models();
    let (mut files, mut lineage, mut left_out) = (None, Value::Null, None);
    // A rule, or a service of which nothing is known.
    let (mut arithmetic, mut parameters, mut path) = ("none".to_owned(), None, spec.to_owned());
    if let Some(first) = models.first() {
        files = Some(hash::folder(first.path())?);
        lineage = super::run::lineage(first.path());
        left_out = left_out_group(first.path());
        arithmetic = format!("{:?} on {:?}", first.model().precision(), first.model().device().isa);
        parameters = Some(first.model().parameter_counts().0 as u64);
        path = first.path().display().to_string();
    }
    let identity =
        json!({ "reward": spec, "files": files, "arithmetic": arithmetic, "version": env!("CARGO_PKG_VERSION") });
    let facts = SubjectFacts {
        name: name.to_owned(),
        path,
        identity: hash::json(&identity),
        tokenizer: String::new(),
        arithmetic,
        chat: false,
        primer: String::new(),
        parameters,
        mix: None,
        templates: false,
        lineage,
    };
    Ok((facts, left_out))
}

/// The group of labelers that the run behind a reward model held out.
fn left_out_group(path: &Path) -> Option<String> {
    let (file, text) = RunFolder::saved_config(path.parent()?).ok()?;
    let config = Layers::new().saved::<RmConfig>(&file, &text).and_then(Layers::resolve::<RmConfig>);
    config.ok()?.config.rm.leave_out_group
}

/// A task asks one sort of respondent, and one run of tasks too.
pub fn same(tasks: &[(&dyn Task, Settings)]) -> Result<Respondent, CommandError> {
    let first = tasks.first().map_or(Respondent::Model, |(task, _)| task.respondent());
    match tasks.iter().find(|(task, _)| task.respondent() != first) {
        Some((other, _)) => Err(CommandError::usage(format!(
            "{} and {} aren't asked of the same: language models, reward models and people's judgements have runs of their own",
            tasks[0].0.name(),
            other.name()
        ))),
        None => Ok(first),
    }
}

/// Refuses nobody to ask.
pub fn require(given: &[String], task: &str, what: &'static str) -> Result<(), CommandError> {
    if given.is_empty() {
        return Err(EvalError::Needs { task: task.to_owned(), what }.into());
    }
    Ok(())
}
