//! What evaluations say together, for a person: facts first, then a page or Markdown made of them.
//!
//! Nothing is added to the numbers: every statement of the report follows from the files that were given. A section
//! without data says n = 0 and how to collect it. docs/report.md says of each section what it is and where it comes from.

mod best_of_n;
mod block;
mod calibration;
mod card;
mod curves;
mod duels;
#[cfg(test)]
mod fixture;
mod html;
mod judgement;
mod markdown;
mod material;
mod measured;
mod origin;
mod overoptimisation;
mod parts;
mod quality;
mod role;
mod strength;
mod tax;
mod tokens;

pub use best_of_n::BestOfN;
pub use calibration::{Part as AccuracyPart, Reliability, RewardAccuracy, Share};
pub use duels::{Duels, Fought};
pub use judgement::read as read_judgements;
pub use judgement::{HeldOut, Judged, Judgement, ModelVerdict, VerdictPart, Verdicts};
pub use material::{Material, TrainingRun};
pub use measured::Measured;
pub use overoptimisation::{Curve, CurvePoint, Fitted};
pub use parts::{Part, PartTable};
pub use role::Role;
pub use tax::Tax;

use block::Section;

use crate::compare::{Comparison, Difference, Verdict};
use crate::item::Answer;
use crate::result::{ItemResult, ModelResult, TaskResult};
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
    /// What each of them is.
    pub roles: Vec<Role>,
    /// Each other model against the first.
    pub comparisons: Vec<Comparison>,
    /// What reinforcement costs on public tasks.
    pub taxes: Vec<Tax>,
    /// Numbers by category, use-case, language, labeler.
    pub parts: Vec<PartTable>,
    /// What people and others in their place said, by source.
    pub verdicts: Vec<Verdicts>,
    /// What judge models and rewards said of pairs of answers, by judge.
    pub duels: Vec<Duels>,
    /// Proxy and gold against √KL.
    pub overoptimisation: Vec<Curve>,
    /// The training runs that were given.
    pub runs: Vec<TrainingRun>,
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
    /// A report of this material, in the order given; names that occur twice are numbered.
    pub fn new(command: String, mut material: Material) -> Result<Report, EvalError> {
        let mut models: Vec<ModelResult> = Vec::new();
        for mut model in std::mem::take(&mut material.evaluations).into_iter().flat_map(|evaluation| evaluation.models)
        {
            let taken = |name: &str| models.iter().any(|known| known.model.name == name);
            let plain = model.model.name.clone();
            let numbered = (2..).map(|i| format!("{plain}-{i}"));
            if let Some(free) = std::iter::once(plain.clone()).chain(numbered).find(|name| !taken(name)) {
                model.model.name = free;
            }
            models.push(model);
        }
        material::name_apart(&mut material.runs);
        let Material { runs, best_of_n, judgements, duels, .. } = &material;
        if models.is_empty() && runs.is_empty() && best_of_n.is_empty() && judgements.is_empty() && duels.is_empty() {
            return Err(EvalError::Incomparable("no models, runs, duels or judgements: nothing to report".to_owned()));
        }
        let roles = roles(&models, runs, &material.roles)?;
        let mut limits = Vec::new();
        let mut comparisons = Vec::new();
        for other in models.iter().skip(1) {
            match compare(&models[0], other, &mut limits) {
                Ok(comparison) => comparisons.push(comparison),
                Err(EvalError::Incomparable(why)) => limits.push(why),
                Err(error) => return Err(error),
            }
        }
        let verdicts = said(&material, &models, &roles)?;
        let parts = parts::tables(&models);
        let duels = duels::duels(duels, judgements);
        limits.extend(duels::limits(&duels));
        limits.extend(limits_of(&models, &comparisons, &parts, &verdicts));
        Ok(Report {
            command,
            taxes: tax::taxes(&models, &roles),
            samples: samples(&models),
            mistakes: mistakes(&models),
            overoptimisation: overoptimisation::curves(&material),
            runs: material.runs,
            models,
            roles,
            comparisons,
            parts,
            verdicts,
            duels,
            limits,
        })
    }

    /// A page of its own.
    pub fn to_html(&self) -> String {
        html::page(self)
    }

    /// The same as Markdown, without figures.
    pub fn to_markdown(&self) -> String {
        markdown::text(self)
    }

    /// A card of one model as Markdown; of the last one when no name is given.
    pub fn card(&self, name: Option<&str>) -> Result<String, EvalError> {
        card::card(self, name)
    }

    /// What the page is called.
    fn title(&self) -> String {
        let models: Vec<&str> = self.models.iter().map(|model| model.model.name.as_str()).collect();
        let runs: Vec<&str> = self.runs.iter().map(|run| run.name.as_str()).collect();
        match (models.is_empty(), runs.is_empty()) {
            (false, _) => format!("Evaluation: {}", models.join(", ")),
            (true, false) => format!("Training: {}", runs.join(", ")),
            (true, true) => "Evaluation".to_owned(),
        }
    }

    /// A colour a model: its role's where no two models have the same role.
    fn colours(&self) -> impl Iterator<Item = usize> + '_ {
        let unique = self.roles.iter().collect::<std::collections::BTreeSet<_>>().len() == self.roles.len();
        let colour = move |(idx, role): (usize, &Role)| if unique { role.colour() } else { idx % chart::COLOURS };
        self.roles.iter().enumerate().map(colour)
    }

    /// What is read after the tables of the tasks: the same on the page and in Markdown.
    fn after_results(&self) -> Vec<Section> {
        let mut sections = vec![parts::section(self), tax::section(self)];
        sections.extend(judgement::sections(self));
        sections.extend(duels::sections(self));
        sections.push(calibration::section(&self.runs));
        sections.push(overoptimisation::section(&self.overoptimisation, &self.runs));
        sections.push(curves::section(&self.runs));
        sections
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

/// What the models are: as said, else as their runs tell.
fn roles(models: &[ModelResult], runs: &[TrainingRun], said: &[(String, Role)]) -> Result<Vec<Role>, EvalError> {
    if let Some((name, _)) = said.iter().find(|(name, _)| !models.iter().any(|model| model.model.name == *name)) {
        let known: Vec<&str> = models.iter().map(|model| model.model.name.as_str()).collect();
        return Err(EvalError::Incomparable(format!("a role of `{name}`, expected one of {}", known.join(", "))));
    }
    let of = |model: &ModelResult| {
        let own = said.iter().find(|(name, _)| *name == model.model.name);
        own.map_or_else(|| Role::of(&model.model, runs), |(_, role)| *role)
    };
    Ok(models.iter().map(of).collect())
}

/// What people and others said; a baseline that nobody judged is refused.
fn said(material: &Material, models: &[ModelResult], roles: &[Role]) -> Result<Vec<Verdicts>, EvalError> {
    let find = |name: &str| models.iter().find(|model| model.model.name == name);
    let names: Vec<String> = models.iter().map(|model| model.model.name.clone()).collect();
    // Against the SFT model, as the lecture does, unless another is named.
    let sft = roles.iter().position(|role| *role == Role::Sft).map(|at| names[at].clone());
    let verdicts = judgement::verdicts(material, &|name| find(name)?.model.parameters, &names, sft.as_deref());
    if let Some(name) = &material.baseline
        && !verdicts.iter().any(|verdicts| verdicts.models.iter().any(|model| model.model == *name))
    {
        let judged: Vec<&str> = verdicts.iter().flat_map(|v| &v.models).map(|model| model.model.as_str()).collect();
        let message = format!("no judgement is of `{name}`; there are some of: {}", judged.join(", "));
        return Err(EvalError::Incomparable(message));
    }
    Ok(verdicts)
}

/// What changed for the better or worse against the first model; of one model, or of all.
fn changes_section(report: &Report, of: Option<&str>, verdict: Verdict) -> Section {
    let title = if verdict == Verdict::Worse { "What got worse" } else { "What got better" };
    let mut section = Section::new(title);
    let is_first = of.is_some_and(|name| report.models.first().is_some_and(|first| first.model.name == name));
    if report.comparisons.is_empty() || is_first {
        section.text("n = 0: there is no other model to compare it with.");
        return section;
    }
    let found: Vec<(&str, &Difference)> =
        report.changes(verdict).into_iter().filter(|(model, _)| of.is_none_or(|name| *model == name)).collect();
    if found.is_empty() {
        section.text("Nothing beyond its 95 % interval.");
        return section;
    }
    section.text(format!("Against {}, paired by item.", report.models[0].model.name));
    let row = |(model, d): &(&str, &Difference)| {
        let change =
            d.interval.map_or_else(String::new, |[low, high]| format!("{:+.4} [{low:+.4}, {high:+.4}]", d.difference));
        let metric = format!("{}/{}", d.task, d.metric);
        let (a, b, n) = (format!("{:.4}", d.a), format!("{:.4}", d.b), d.told_n());
        vec![metric, (*model).to_owned(), a, b, change, n, format!("{:.3}", d.sign_p_holm)]
    };
    let head = ["metric", "model", "before", "after", "difference", "n", "p (sign test, Holm)"];
    section.table(&head, found.iter().map(row).collect());
    section
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
    let told = comparison.left_out.iter().filter(|line| !line.contains("no such task"));
    limits.extend(told.map(|line| format!("{line} ({} and {})", a.model.name, b.model.name)));
    Ok(comparison)
}

/// The result of a task, when the model has one.
fn result_of<'a>(model: &'a ModelResult, task: &str) -> Option<&'a TaskResult> {
    model.tasks.iter().find(|result| result.task == task)
}

/// What the numbers say about their own reach.
fn limits_of(
    models: &[ModelResult],
    comparisons: &[Comparison],
    parts: &[PartTable],
    verdicts: &[Verdicts],
) -> Vec<String> {
    let mut limits = Vec::new();
    for model in models {
        for task in &model.tasks {
            let name = format!("{}, {}", task.task, model.model.name);
            let clusters = task.n_clusters();
            if clusters < task.items.len() {
                let all = task.items.len();
                limits.push(format!(
                    "{name}: its {all} items are of {clusters} prompts; intervals draw these, so n items say less than n prompts would"
                ));
            }
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
                let needed = d
                    .n_for_points
                    .map_or_else(String::new, |n| format!("; to see a 3-point difference you need n = {n}"));
                limits.push(format!(
                    "{}/{}: between {} and {} no difference was found; with n = {} one of {detectable:.3} would be seen four times in five, a smaller one less often{needed}",
                    d.task, d.metric, comparison.a, comparison.b, d.told_n()
                ));
            }
        }
    }
    for table in parts {
        let few = table.parts.iter().filter(|part| part.n < FEW).count();
        if few > 0 {
            let (task, field, all) = (&table.task, &table.field, table.parts.len());
            limits.push(format!("{task} by {field}: {few} of {all} parts have fewer than {FEW} items"));
        }
    }
    for told in verdicts {
        let who = judgement::title(&told.source);
        if told.prompts < FEW {
            limits.push(format!("preferred by {who}: {} prompts only", told.prompts));
        }
        if let Some(Measured { value, interval: Some([low, _]), n }) = told.longer_wins
            && low > 0.5
        {
            limits.push(format!(
                "preferred by {who}: the longer answer wins {value:.3} of comparisons (n = {n} prompts), so length is part of what is preferred"
            ));
        }
        if let Some(why) = &told.no_strengths {
            limits.push(format!("preferred by {who}: no strengths, {why}"));
        }
    }
    if !verdicts.iter().any(|told| told.source == "human") {
        limits.push("what people prefer: n = 0. No number above is a judgement of a person".to_owned());
    }
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
