//! What evaluations say together, for a person: facts first, then a page or Markdown made of them.
//!
//! Nothing is added to the numbers: every statement of the report follows from the evaluations' files. Judgements that
//! nobody gave are a section that says n = 0.

mod html;
mod markdown;

use crate::compare::{Comparison, Difference, Verdict};
use crate::item::Answer;
use crate::result::{Evaluation, ItemResult, ModelResult, TaskResult};
use crate::{EvalError, task};
use record::Prompt;
use serde::Serialize;

/// Items below which an interval is called wide.
const FEW: usize = 30;

/// Prompts whose answers are shown side by side, of each task.
const SHOWN: usize = 3;

/// Failures of the last model that are shown.
const MISTAKES: usize = 5;

/// Everything a report says.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How it was asked for.
    pub command: String,
    /// Who was evaluated; the first is what the others are compared with.
    pub models: Vec<ModelResult>,
    /// Each other model against the first.
    pub comparisons: Vec<Comparison>,
    /// Answers side by side.
    pub samples: Vec<Sampled>,
    /// Instructions that the last model doesn't follow.
    pub mistakes: Vec<Sampled>,
    /// What the numbers themselves say about how far they reach.
    pub limits: Vec<String>,
}

/// A prompt and what each model answers to it.
#[derive(Clone, Debug, Serialize)]
pub struct Sampled {
    /// The task.
    pub task: String,
    /// The item.
    pub id: String,
    /// What was asked.
    pub prompt: String,
    /// Model and answer; of several answers all of them.
    pub answers: Vec<(String, Vec<String>)>,
}

impl Report {
    /// A report of evaluations, in the order given; names that occur twice are numbered.
    pub fn new(command: String, evaluations: Vec<Evaluation>) -> Result<Report, EvalError> {
        let mut models: Vec<ModelResult> = Vec::new();
        for mut model in evaluations.into_iter().flat_map(|evaluation| evaluation.models) {
            let taken = |name: &str| models.iter().any(|known| known.model.name == name);
            let plain = model.model.name.clone();
            let numbered = (2..).map(|i| format!("{plain}-{i}"));
            if let Some(free) = std::iter::once(plain.clone()).chain(numbered).find(|name| !taken(name)) {
                model.model.name = free;
            }
            models.push(model);
        }
        let Some(first) = models.first() else {
            return Err(EvalError::Incomparable("no models: nothing to report".to_owned()));
        };
        let mut limits = Vec::new();
        let mut comparisons = Vec::new();
        for other in &models[1..] {
            match compare(first, other, &mut limits) {
                Ok(comparison) => comparisons.push(comparison),
                Err(EvalError::Incomparable(why)) => limits.push(why),
                Err(error) => return Err(error),
            }
        }
        limits.extend(limits_of(&models, &comparisons));
        let (samples, mistakes) = (samples(&models), mistakes(&models));
        Ok(Report { command, models, comparisons, samples, mistakes, limits })
    }

    /// A page of its own.
    pub fn to_html(&self) -> String {
        html::page(self)
    }

    /// The same as Markdown, without figures.
    pub fn to_markdown(&self) -> String {
        markdown::text(self)
    }

    /// Tasks of any model, in the order of the registry.
    fn tasks(&self) -> Vec<&str> {
        let has = |name: &str| self.models.iter().any(|model| model.tasks.iter().any(|task| task.task == name));
        task::ALL.iter().map(|task| task.name()).filter(|name| has(name)).collect()
    }

    /// What got worse, and what got better.
    fn changes(&self, verdict: Verdict) -> Vec<(&str, &Difference)> {
        self.comparisons
            .iter()
            .flat_map(|comparison| comparison.differences.iter().map(|d| (comparison.b.as_str(), d)))
            .filter(|(_, difference)| difference.verdict == verdict)
            .collect()
    }
}

/// Compares what can be compared: tasks whose items or versions differ are told of and left out.
fn compare(a: &ModelResult, b: &ModelResult, limits: &mut Vec<String>) -> Result<Comparison, EvalError> {
    let mut shared = a.clone();
    shared.tasks.retain(|task| {
        let Some(other) = b.tasks.iter().find(|other| other.task == task.task) else { return false };
        let same = task.items_hash == other.items_hash && task.version == other.version;
        if !same {
            let (task, a, b) = (&task.task, &a.model.name, &b.model.name);
            limits.push(format!("{task}: {a} and {b} were asked different items or versions, so they aren't compared"));
        }
        same
    });
    let comparison = Comparison::new(&shared, b, &[])?;
    limits.extend(comparison.left_out.iter().filter(|line| !line.contains("no such task")).cloned());
    Ok(comparison)
}

/// The result of a task, when the model has one.
fn result_of<'a>(model: &'a ModelResult, task: &str) -> Option<&'a TaskResult> {
    model.tasks.iter().find(|result| result.task == task)
}

/// What the numbers say about their own reach.
fn limits_of(models: &[ModelResult], comparisons: &[Comparison]) -> Vec<String> {
    let mut limits = Vec::new();
    for model in models {
        for task in &model.tasks {
            let name = format!("{}, {}", task.task, model.model.name);
            if task.n_items < FEW {
                limits.push(format!("{name}: {} items only; its intervals are wide", task.n_items));
            }
            if task.n_too_long > 0 {
                let (long, all) = (task.n_too_long, task.n_items);
                limits.push(format!("{name}: {long} of {all} items were longer than the context and count nowhere"));
            }
            if let (Some(n), 1) = (task.sources.get("model"), task.sources.len()) {
                limits.push(format!("{name}: all {n} items were written by a language model"));
            }
        }
    }
    for comparison in comparisons {
        for d in comparison.differences.iter().filter(|d| d.verdict == Verdict::NoDifference) {
            if let Some(detectable) = d.detectable {
                limits.push(format!(
                    "{}/{}: between {} and {} no difference was found; with n = {} one of {detectable:.3} would be seen four times in five, a smaller one less often",
                    d.task, d.metric, comparison.a, comparison.b, d.n
                ));
            }
        }
    }
    limits.push("what people prefer: n = 0. No number above is a judgement of a person".to_owned());
    limits
}

/// Answers to the first prompts of each task that has written ones.
fn samples(models: &[ModelResult]) -> Vec<Sampled> {
    let Some(first) = models.first() else { return Vec::new() };
    let mut shown = Vec::new();
    for task in &first.tasks {
        let written = task.items.iter().filter(|item| matches!(item.answer, Answer::Completions { .. }));
        shown.extend(written.take(SHOWN).filter_map(|item| sampled(models, &task.task, item)));
    }
    shown
}

fn mistakes(models: &[ModelResult]) -> Vec<Sampled> {
    let Some(last) = models.last() else { return Vec::new() };
    let Some(task) = result_of(last, "instructions") else { return Vec::new() };
    let fails = |item: &&ItemResult| item.scores.iter().any(|s| s.metric == "prompt_loose" && s.value == 0.0);
    let failed = task.items.iter().filter(fails).take(MISTAKES);
    failed.filter_map(|item| sampled(std::slice::from_ref(last), &task.task, item)).collect()
}

fn sampled(models: &[ModelResult], task: &str, item: &ItemResult) -> Option<Sampled> {
    let answer_of = |model: &ModelResult| {
        let found = result_of(model, task)?.items.iter().find(|other| other.id == item.id)?;
        let Answer::Completions { samples } = &found.answer else { return None };
        Some((model.model.name.clone(), samples.iter().map(|sample| sample.text.trim().to_owned()).collect()))
    };
    let prompt = match item.prompt.as_ref()? {
        Prompt::Text(text) => text.clone(),
        Prompt::Messages(messages) => {
            messages.iter().map(|message| message.content.as_str()).collect::<Vec<_>>().join("\n\n")
        }
    };
    let answers = models.iter().filter_map(answer_of).collect();
    Some(Sampled { task: task.to_owned(), id: item.id.clone(), prompt, answers })
}

#[cfg(test)]
mod tests;
