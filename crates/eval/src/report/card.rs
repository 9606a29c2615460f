//! A model card (Mitchell et al., arXiv 1810.03993) as Markdown, from the same facts as the report: nothing is in it that
//! no file says.

use super::block::Section;
use super::judgement::title;
use super::measured::{Measured, shown};
use super::{Report, changes_section, duels, origin};
use crate::compare::Verdict;
use crate::result::{ModelResult, TaskResult};
use crate::{EvalError, task};
use run::Lineage;
use run::lineage::Hashed;

/// The card of a model; of the last one when no name is given.
pub(super) fn card(report: &Report, name: Option<&str>) -> Result<String, EvalError> {
    let names = || report.models.iter().map(|model| model.model.name.as_str()).collect::<Vec<_>>().join(", ");
    let at = match name {
        Some(name) => report.models.iter().position(|model| model.model.name == name),
        None => report.models.len().checked_sub(1),
    };
    let unknown = || {
        let wanted =
            name.map_or_else(|| "a card needs an evaluated model".to_owned(), |name| format!("no model `{name}`"));
        EvalError::Incomparable(format!("{wanted}; there are: {}", names()))
    };
    let at = at.ok_or_else(unknown)?;
    let model = &report.models[at];
    let chain = origin::chain(&model.model);
    let sections = [
        made(model, &chain),
        evaluation(report, at),
        changes_section(report, Some(&model.model.name), Verdict::Worse),
        changes_section(report, Some(&model.model.name), Verdict::Better),
        judged(report, model),
        limits(report, model),
        again(report, model),
    ];
    let parts: String = sections.iter().map(Section::markdown).collect();
    Ok(format!("{}# {}\n\n{}\n{parts}", front_matter(&chain), model.model.name, opening(report, at, &chain)))
}

/// What model hubs read.
fn front_matter(chain: &origin::Chain) -> String {
    let base = chain.source.clone().filter(|source| !source.is_empty());
    let base = base.map_or_else(String::new, |source| format!("base_model: {}\n", serde_json::json!(source)));
    format!("---\n{base}tags:\n- helpmate\n---\n\n")
}

fn opening(report: &Report, at: usize, chain: &origin::Chain) -> String {
    let model = &report.models[at].model;
    let size = model.parameters.map_or_else(String::new, |n| format!(" of {:.1} million parameters", n as f64 / 1e6));
    let stage = match chain.steps.first() {
        Some(step) => format!("made by `helpmate {}`", step.stage),
        None => "of which no run tells how it was made".to_owned(),
    };
    let note = chain.note.clone().filter(|note| !note.is_empty());
    let note = note.map_or_else(String::new, |note| format!(" Not to be forgotten about its base: {note}."));
    format!("A language model{size} ({}), {stage}.{note}", report.roles[at].name())
}

fn made(model: &ModelResult, chain: &origin::Chain) -> Section {
    let mut section = Section::new("What it was made from");
    let hashed = |file: &Hashed| format!("{} (`{:.12}`)", file.path.display(), file.hash);
    let row = |step: &Lineage| {
        let files = |files: &[Hashed]| match files {
            [] => "none".to_owned(),
            files => files.iter().map(hashed).collect::<Vec<_>>().join(", "),
        };
        vec![
            step.stage.clone(),
            hashed(&step.parent),
            files(&step.data),
            files(&step.held_out),
            step.seed.to_string(),
            step.started.clone(),
            format!("{} on {}, {} threads", step.device.precision, step.device.isa, step.device.threads),
            step.git_revision.clone().map_or_else(|| step.version.clone(), |at| format!("{} ({at:.12})", step.version)),
        ]
    };
    // From the base to this model.
    let rows: Vec<Vec<String>> = chain.steps.iter().rev().map(row).collect();
    if rows.is_empty() {
        section.text("No run stands beside the model: what it was trained on isn't known.");
    } else {
        section.text(
            "From the base to this model; hashes are the first twelve digits of BLAKE3 over the content. Of reinforcement, \
             the data are prompts and reward models.",
        );
    }
    let head = ["stage", "began as", "data", "held out", "seed", "started", "arithmetic", "helpmate"];
    section.table(&head, rows);
    if let Some(end) = &chain.end {
        section.text(format!("Before that: {end}."));
    }
    let chat = if model.model.chat { "through its chat template" } else { "as plain text" };
    section.text(format!(
        "Evaluated as `{}`, {}, prompts {chat}; identity `{}`.",
        model.model.path, model.model.arithmetic, model.model.identity
    ));
    section
}

fn evaluation(report: &Report, at: usize) -> Section {
    let mut section = Section::new("Evaluation");
    let model = &report.models[at];
    let first = (at > 0).then(|| &report.models[0]);
    let mut head = vec!["task", "metric", "better", "value, 95 % interval, n"];
    head.extend(first.map(|first| first.model.name.as_str()));
    let mut rows = Vec::new();
    for name in report.tasks() {
        let found = |model: &ModelResult| -> Option<TaskResult> { super::result_of(model, name).cloned() };
        let Some(result) = found(model) else { continue };
        let other = first.and_then(found);
        for estimate in &result.estimates {
            let better = match estimate.better {
                crate::Better::Higher => "more",
                crate::Better::Lower => "less",
                crate::Better::Neither => "–",
            };
            let mut row = vec![
                format!("{name}, version {}", result.version),
                estimate.metric.clone(),
                better.to_owned(),
                estimate.to_string(),
            ];
            if first.is_some() {
                let same =
                    other.as_ref().and_then(|other| other.estimates.iter().find(|e| e.metric == estimate.metric));
                let other_tokens =
                    estimate.per_token && first.is_some_and(|f| f.model.tokenizer != model.model.tokenizer);
                row.push(match same {
                    Some(_) if other_tokens => "can't say: other tokens".to_owned(),
                    found => found.map_or_else(|| "n = 0".to_owned(), ToString::to_string),
                });
            }
            rows.push(row);
        }
    }
    if rows.is_empty() {
        section.text("n = 0: it was evaluated on nothing.");
    }
    section.table(&head, rows);
    for name in report.tasks() {
        let Some(result) = super::result_of(model, name) else { continue };
        let source = task::find(name).map_or("", |task| task.source());
        let by: Vec<String> = result.sources.iter().map(|(source, n)| format!("{n} by {source}")).collect();
        section.note(format!("{name}: {} items ({}). {source}", result.n_items, by.join(", ")));
    }
    section
}

fn judged(report: &Report, model: &ModelResult) -> Section {
    let mut section = Section::new("What was said of it");
    let mut rows = Vec::new();
    for verdicts in &report.verdicts {
        let Some(own) = verdicts.models.iter().find(|own| own.model == model.model.name) else { continue };
        let who = title(&verdicts.source);
        let against = verdicts.baseline.as_deref().filter(|baseline| *baseline != own.model);
        rows.push(vec![format!("rating, 1 to 7, by {who}"), shown(own.rating.as_ref())]);
        rows.extend(
            against.map(|name| vec![format!("win rate against {name}, by {who}"), shown(own.win_rate.as_ref())]),
        );
        let flag = |(name, share): (&String, &Measured)| {
            vec![format!("{}, by {who}", name.replace('_', " ")), share.to_string()]
        };
        if own.length_controlled.is_some() {
            let name = verdicts.baseline.as_deref().unwrap_or("none");
            rows.push(vec![
                format!("the same at equal lengths (against {name}), by {who}"),
                shown(own.length_controlled.as_ref()),
            ]);
        }
        rows.extend(own.flags.iter().map(flag));
    }
    rows.extend(duels::of_model(&report.duels, &model.model.name));
    if rows.is_empty() {
        section.text("n = 0: nobody judged its answers.");
    }
    section.table(&["measure", "value, 95 % interval over prompts"], rows);
    section
}

/// Limits that speak of this model, or of no model in particular.
fn limits(report: &Report, model: &ModelResult) -> Section {
    let mut section = Section::new("Limits");
    let others = || report.models.iter().filter(|other| other.model.name != model.model.name);
    let about_another = |limit: &str| {
        let names =
            |name: &str| limit.split(|c: char| !(c.is_alphanumeric() || "-_.".contains(c))).any(|word| word == name);
        !names(&model.model.name) && others().any(|other| names(&other.model.name))
    };
    for limit in report.limits.iter().filter(|limit| !about_another(limit)) {
        section.text(format!("- {limit}"));
    }
    section.text("- what isn't measured above isn't known: uses, languages and harms that no task asks about");
    section
}

fn again(report: &Report, model: &ModelResult) -> Section {
    let mut section = Section::new("To measure it again");
    let tasks: Vec<&str> = model.tasks.iter().map(|task| task.task.as_str()).collect();
    section.text(format!("`helpmate eval run {} --model {} --out DIR`, then", tasks.join(" "), model.model.path));
    section.text(format!("`{}`", report.command));
    section
}
