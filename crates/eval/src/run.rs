//! A task on a model: items, answers, scores, estimates.

use crate::cache::{self, AnswerCache};
use crate::checks;
use crate::estimate::{Estimate, clusters};
use crate::facet;
use crate::item::{Answer, Ask, Item};
use crate::result::{ItemResult, TaskResult};
use crate::subject::{Prepared, Subject};
use crate::{EvalError, Respondent, Settings, Task};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::time::Instant;
use stdx::{Seed, hash};

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Items answered.
    pub done: usize,
    /// Items in all.
    pub total: usize,
}

/// How a task is run.
pub struct RunOptions<'a> {
    /// Answers given before, and where new ones are kept.
    pub cache: Option<&'a mut AnswerCache>,
    /// All random streams.
    pub seed: Seed,
    /// Hears how far it is, and may stop it.
    pub on_progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

/// Asks a subject all items of a task and scores the answers.
pub fn run(
    task: &dyn Task,
    settings: &Settings,
    subject: &mut Subject,
    options: &mut RunOptions,
) -> Result<TaskResult, EvalError> {
    let began = Instant::now();
    let items = items(task, settings)?;
    checks::items(task, &items)?;
    if items.iter().any(needs_reference) && !subject.has_reference() {
        let what = "a model to measure divergence from: --reference M";
        return Err(EvalError::Needs { task: task.name().to_owned(), what });
    }
    let (answers, n_cached) = answers(task, &items, subject, options)?;
    finish(task, settings, options.seed, &items, Answered { answers, n_cached, began })
}

/// The items of a task, as many as are wanted.
pub fn items(task: &dyn Task, settings: &Settings) -> Result<Vec<Item>, EvalError> {
    let mut items = task.items(settings)?;
    items.truncate(settings.limit.unwrap_or(usize::MAX));
    Ok(items)
}

/// Items that a reward model is asked at once.
const BATCH_REWARDS: usize = 16;

/// Answers items, in their order.
pub type Answering<'a, E> = dyn FnMut(&[Item]) -> Result<Vec<Answer>, E> + 'a;

/// Scores what others than a [`Subject`] say to these items of a task: a reward model, or people.
pub fn run_with<E: From<EvalError>>(
    task: &dyn Task,
    settings: &Settings,
    items: &[Item],
    ask: &mut Answering<'_, E>,
    options: &mut RunOptions,
) -> Result<TaskResult, E> {
    let began = Instant::now();
    // Nobody having judged yet is an answer too: n = 0.
    if !(items.is_empty() && task.respondent() == Respondent::People) {
        checks::items(task, items)?;
    }
    let (total, mut n_cached, mut answers) = (items.len(), 0, Vec::with_capacity(items.len()));
    for batch in items.chunks(BATCH_REWARDS) {
        if (options.on_progress)(Progress { done: answers.len(), total }).is_break() {
            return Err(EvalError::Interrupted { task: task.name().to_owned(), done: answers.len(), total }.into());
        }
        let keys: Vec<String> = batch.iter().map(|item| cache::key(&item.ask, None)).collect();
        let known = |cache: &AnswerCache| keys.iter().map(|key| cache.get(key).cloned()).collect::<Option<Vec<_>>>();
        if let Some(known) = options.cache.as_deref().and_then(known) {
            n_cached += known.len();
            answers.extend(known);
            continue;
        }
        let fresh = ask(batch)?;
        if let Some(cache) = &mut options.cache {
            cache.put(keys.into_iter().zip(fresh.iter().cloned()).collect())?;
        }
        answers.extend(fresh);
    }
    // Nothing is left to stop.
    let _ = (options.on_progress)(Progress { done: total, total });
    Ok(finish(task, settings, options.seed, items, Answered { answers, n_cached, began })?)
}

/// Answers to all items.
struct Answered {
    answers: Vec<Answer>,
    n_cached: usize,
    began: Instant,
}

fn finish(
    task: &dyn Task,
    settings: &Settings,
    seed: Seed,
    items: &[Item],
    Answered { answers, n_cached, began }: Answered,
) -> Result<TaskResult, EvalError> {
    let mut about = facet::of(task, settings)?;
    let mut sizes: HashMap<String, usize> = HashMap::new();
    for item in items {
        *sizes.entry(task.cluster(item)).or_default() += 1;
    }
    let asked: Vec<(&Item, &Answer)> = items.iter().zip(&answers).collect();
    let together = task.together(&asked, settings);
    let mut found = Vec::new();
    for (item, answer) in items.iter().zip(answers) {
        let too_long = matches!(answer, Answer::TooLong { .. });
        let scores = if too_long { Vec::new() } else { task.score(item, &answer, settings)? };
        checks::scores(task, &item.id, &scores)?;
        let prompt = item.ask.prompt().cloned();
        let about = about.remove(&item.id).unwrap_or_default();
        let cluster = Some(task.cluster(item)).filter(|cluster| sizes.get(cluster).is_some_and(|size| *size > 1));
        let cluster = cluster.map(|cluster| hash::bytes(cluster.as_bytes())[..16].to_owned());
        let (id, slice) = (item.id.clone(), item.slice.clone());
        found.push(ItemResult { id, slice, about, cluster, prompt, scores, answer });
    }
    let n_too_long = found.iter().filter(|item| matches!(item.answer, Answer::TooLong { .. })).count();
    let mut sources = BTreeMap::new();
    for item in items {
        *sources.entry(item.source.map_or("unknown", |source| source.as_str()).to_owned()).or_insert(0) += 1;
    }
    let names: BTreeSet<&String> = found.iter().filter_map(|item| item.slice.as_ref()).collect();
    let of_slice = |slice: &String| {
        let inside = |item: &&ItemResult| item.slice.as_ref() == Some(slice);
        (slice.clone(), estimates(task, found.iter().filter(inside)))
    };
    let mut slices: BTreeMap<String, Vec<Estimate>> = names.into_iter().map(of_slice).collect();
    let mut notes = task.notes(settings, &slices);
    notes.extend(together.notes);
    for (name, inside) in together.slices {
        let inside = found.iter().enumerate().filter(|(idx, _)| inside.contains(idx)).map(|(_, item)| item);
        slices.insert(name, estimates(task, inside));
    }
    slices.extend(together.parts);
    let mut of_all = estimates(task, found.iter());
    of_all.extend(together.estimates);
    // As the task lists them, wherever they were computed.
    of_all.sort_by_key(|estimate| task.metrics().iter().position(|metric| metric.name == estimate.metric));
    Ok(TaskResult {
        task: task.name().to_owned(),
        version: task.version(),
        settings: settings_of(settings, seed),
        items_hash: hash::json(&json!(items)),
        n_items: items.len(),
        n_too_long,
        sources,
        notes,
        n_cached,
        seconds: began.elapsed().as_secs_f64(),
        estimates: of_all,
        slices,
        items: found,
    })
}

/// How a task was set up, as a reader needs it.
fn settings_of(settings: &Settings, seed: Seed) -> Value {
    let Settings { limit, max_new_tokens, samples, temperature, .. } = settings;
    let mut value = json!({ "seed": seed, "limit": limit, "max_new_tokens": max_new_tokens, "samples": samples, "temperature": temperature });
    if let Some(scorer) = &settings.scorer {
        value["scorer"] = json!(scorer.facts());
    }
    if let Some(group) = &settings.left_out_group {
        value["left_out_group"] = json!(group);
    }
    value
}

fn needs_reference(item: &Item) -> bool {
    matches!(&item.ask, Ask::Completions { sampling, .. } if sampling.divergence)
}

/// The estimate of every metric that an item says something of; its interval is over what the items are of.
pub(crate) fn estimates<'a>(task: &dyn Task, items: impl Iterator<Item = &'a ItemResult> + Clone) -> Vec<Estimate> {
    let of_metric = |metric: &crate::Metric| {
        let of_item = |item: &'a ItemResult| {
            let own = item.scores.iter().filter(|score| score.metric == metric.name);
            own.map(move |score| (item, (score.value, score.weight)))
        };
        let (of, scores): (Vec<&ItemResult>, Vec<(f64, f64)>) = items.clone().flat_map(of_item).unzip();
        let clusters = clusters(of.iter().map(|item| item.drawn_as()));
        (!scores.is_empty()).then(|| Estimate::clustered(metric, &scores, &clusters))
    };
    task.metrics().iter().filter_map(of_metric).collect()
}

fn answers(
    task: &dyn Task,
    items: &[Item],
    subject: &mut Subject,
    options: &mut RunOptions,
) -> Result<(Vec<Answer>, usize), EvalError> {
    let prepared = items.iter().map(|item| subject.prepare(item)).collect::<Result<Vec<Prepared>, _>>()?;
    let mut answers = Vec::with_capacity(items.len());
    let mut n_cached = 0;
    let total = items.len();
    for (batch_idx, batch) in subject.batches(items, &prepared).into_iter().enumerate() {
        let seed = Seed(options.seed.stream("evaluation batch", batch_idx as u64).next_u64());
        let key = |idx: usize| {
            let drawn = matches!(&items[idx].ask, Ask::Completions { sampling, .. } if sampling.temperature > 0.0);
            cache::key(&items[idx].ask, drawn.then(|| (seed.0, idx - batch.start)))
        };
        let keys: Vec<String> = batch.clone().map(key).collect();
        let known = |cache: &AnswerCache| keys.iter().map(|key| cache.get(key).cloned()).collect::<Option<Vec<_>>>();
        if let Some(known) = options.cache.as_deref().and_then(known) {
            n_cached += known.len();
            answers.extend(known);
        } else {
            let interrupted = EvalError::Interrupted { task: task.name().to_owned(), done: batch.start, total };
            let (done, on_progress) = (batch.start, &mut *options.on_progress);
            let mut go_on = || on_progress(Progress { done, total }).is_continue();
            if !go_on() {
                return Err(interrupted);
            }
            let range = batch.clone();
            let Some(fresh) = subject.answer(&items[range.clone()], &prepared[range], seed, &mut go_on)? else {
                return Err(interrupted);
            };
            if let Some(cache) = &mut options.cache {
                cache.put(keys.into_iter().zip(fresh.iter().cloned()).collect())?;
            }
            answers.extend(fresh);
        }
        if (options.on_progress)(Progress { done: batch.end, total }).is_break() && batch.end < total {
            return Err(EvalError::Interrupted { task: task.name().to_owned(), done: batch.end, total });
        }
    }
    Ok((answers, n_cached))
}

#[cfg(test)]
mod tests;
