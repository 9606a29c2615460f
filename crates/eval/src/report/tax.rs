//! The alignment tax: what reinforcement costs on public tasks, with and without the pretraining mix.

use super::Report;
use super::block::Section;
use super::role::Role;
use crate::compare::{Comparison, Difference, Verdict};
use crate::result::{ModelResult, TaskResult};
use chart::{Axis, Dot, DotPlot, Group};
use serde::Serialize;

/// Tasks of published data sets, or of text: what a base model can already do. Instruction following, truthfulness of
/// written answers, toxicity and diversity are what reinforcement is for, or reported elsewhere.
const PUBLIC: &[&str] = &["multiple_choice", "rank_classification", "truthfulqa_mc", "generation", "perplexity"];

/// A reinforced model beside the SFT model that it began as.
#[derive(Clone, Debug, Serialize)]
pub struct Tax {
    /// The SFT model.
    pub sft: String,
    /// The reinforced model.
    pub model: String,
    /// Whether the pretraining mix was in it.
    pub mixed: bool,
    /// Reinforced less SFT, paired by item.
    pub differences: Vec<Difference>,
    /// The same less the model without the mix, where one of each began as this SFT model.
    pub against_unmixed: Vec<Difference>,
}

/// Every PPO model beside its SFT model.
pub(super) fn taxes(models: &[ModelResult], roles: &[Role]) -> Vec<Tax> {
    let of = |role: Role| move |(_, own): &(&ModelResult, &Role)| **own == role;
    let pairs = || models.iter().zip(roles);
    let mut taxes = Vec::new();
    for (model, role) in pairs().filter(|(_, role)| matches!(role, Role::Ppo | Role::PpoPtx)) {
        let candidates: Vec<&ModelResult> = pairs().filter(of(Role::Sft)).map(|(model, _)| model).collect();
        let Some(sft) = parent(model, &candidates) else { continue };
        let unmixed = pairs()
            .filter(of(Role::Ppo))
            .map(|(model, _)| model)
            .find(|other| parent(other, &candidates).is_some_and(|other| other.model.name == sft.model.name));
        let mixed = *role == Role::PpoPtx;
        let against_unmixed = unmixed.filter(|_| mixed).map(|other| public(other, model)).unwrap_or_default();
        let (name, differences) = (model.model.name.clone(), public(sft, model));
        taxes.push(Tax { sft: sft.model.name.clone(), model: name, mixed, differences, against_unmixed });
    }
    taxes
}

/// The SFT model that a run began from: the one whose folder its lineage names, else the only one, or the only one of
/// its size.
fn parent<'a>(model: &ModelResult, candidates: &[&'a ModelResult]) -> Option<&'a ModelResult> {
    let named = model.model.lineage["parent"]["path"].as_str().unwrap_or_default();
    let is_named =
        |other: &&&ModelResult| !named.is_empty() && std::path::Path::new(&other.model.path).ends_with(named);
    let same: Vec<&&ModelResult> =
        candidates.iter().filter(|other| other.model.parameters == model.model.parameters).collect();
    candidates.iter().find(is_named).copied().or(match same[..] {
        [only] => Some(*only),
        _ => None,
    })
}

/// Differences on public tasks, of what can be compared.
fn public(from: &ModelResult, to: &ModelResult) -> Vec<Difference> {
    let is_public = |task: &TaskResult| PUBLIC.contains(&task.task.as_str());
    let shared = |task: &TaskResult| {
        let other = to.tasks.iter().find(|other| other.task == task.task);
        other.is_some_and(|other| other.items_hash == task.items_hash && other.version == task.version)
    };
    let mut from = from.clone();
    from.tasks.retain(|task| is_public(task) && shared(task));
    Comparison::new(&from, to, &[]).map(|found| found.differences).unwrap_or_default()
}

/// The section.
pub(super) fn section(report: &Report) -> Section {
    let mut section = Section::new("Alignment tax");
    section.text(
        "What reinforcement costs on public tasks and on text, beside the SFT model that it began as; with the pretraining \
         mix (PPO-ptx) the cost should be smaller (InstructGPT, arXiv 2203.02155, §4.2).",
    );
    let told: Vec<&Tax> = report.taxes.iter().filter(|tax| !tax.differences.is_empty()).collect();
    if told.is_empty() {
        let why = if report.taxes.is_empty() {
            "no evaluation has an SFT model and a PPO model that began as it"
        } else {
            "these models have no public task in common"
        };
        section.text(format!(
            "n = 0: {why}. To collect it: `helpmate eval run multiple_choice perplexity --model runs/sft --model runs/ppo \
             --model runs/ppo-ptx --data multiple_choice=FILE --data perplexity=TEXT --out DIR`."
        ));
        return section;
    }
    section.figures([figure(&told)]);
    let mut rows = Vec::new();
    for tax in &told {
        rows.extend(tax.differences.iter().map(|d| row(&format!("{} − {}", tax.model, tax.sft), d)));
    }
    for tax in &told {
        rows.extend(tax.against_unmixed.iter().map(|d| row(&format!("{}: with the mix less without", tax.model), d)));
    }
    section.table(&["compared", "metric", "before", "after", "difference", "n", "verdict"], rows);
    section.note(
        "Paired by item, prompts drawn with replacement, 95 %. Metrics that merely describe have no better side. Not \
         corrected for how many are compared.",
    );
    section
}

fn row(name: &str, d: &Difference) -> Vec<String> {
    let interval = match d.interval {
        Some([low, high]) => format!("{:+.4} [{low:+.4}, {high:+.4}]", d.difference),
        None => "can't say".to_owned(),
    };
    let verdict = match d.verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::Different => "different",
        Verdict::NoDifference => "no difference seen",
        Verdict::CantSay => "can't say",
    };
    let (a, b) = (format!("{:.4}", d.a), format!("{:.4}", d.b));
    vec![name.to_owned(), format!("{}/{}", d.task, d.metric), a, b, interval, d.told_n(), verdict.to_owned()]
}

/// Changes of the metrics that lie between 0 and 1; others have scales of their own.
fn figure(taxes: &[&Tax]) -> String {
    let is_share = |d: &&Difference| (0.0..=1.0).contains(&d.a) && (0.0..=1.0).contains(&d.b);
    let mut names: Vec<String> = Vec::new();
    for d in taxes.iter().flat_map(|tax| &tax.differences).filter(is_share) {
        let name = format!("{}/{}", d.task, d.metric);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let dot = |tax: &Tax, name: &String| {
        let d = tax.differences.iter().filter(is_share).find(|d| format!("{}/{}", d.task, d.metric) == *name)?;
        Some(Dot { value: d.difference, interval: d.interval.map(|[low, high]| (low, high)) })
    };
    let group = |name: &String| Group { name: name.clone(), dots: taxes.iter().map(|tax| dot(tax, name)).collect() };
    let colour = |tax: &Tax| if tax.mixed { Role::PpoPtx.colour() } else { Role::Ppo.colour() };
    let plot = DotPlot {
        title: "Change on public tasks, less the SFT model".into(),
        axis: Axis::new("difference, 95 % interval"),
        series: taxes.iter().map(|tax| (tax.model.clone(), colour(tax))).collect(),
        groups: names.iter().map(group).collect(),
        reference: Some(0.0),
    };
    if names.is_empty() { String::new() } else { plot.to_html() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn public_tasks_are_tasks() {
        for name in PUBLIC {
            assert!(crate::task::find(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn the_mix_is_told_from_plain_ppo_and_both_stand_beside_their_sft_model() {
        let mut models: Vec<ModelResult> = [("start", 30), ("rl", 10), ("mixed", 25), ("elsewhere", 40)]
            .map(|(name, right)| fixture::model(name, "h", 40, right))
            .to_vec();
        for model in &mut models {
            model.tasks[0].task = "multiple_choice".into();
            let stage = if matches!(model.model.name.as_str(), "rl" | "mixed") { "ppo" } else { "sft" };
            model.model.lineage = serde_json::json!({"stage": stage, "parent": {"path": "runs/start"}});
        }
        models[2].model.mix = Some(27.8);
        let report = fixture::report(models.clone());
        assert_eq!(report.taxes.len(), 2);
        // 30 of 40 right before; 10 and 25 after; the fixture's right items are the first ones, so pairs are nested.
        let found: Vec<(String, f64)> =
            report.taxes.iter().map(|tax| (tax.model.clone(), tax.differences[0].difference)).collect();
        assert_eq!(found, [("rl".to_owned(), -0.5), ("mixed".to_owned(), -0.125)]);
        assert!((report.taxes[1].against_unmixed[0].difference - 0.375).abs() < 1e-12);
        let text = section(&report).markdown();
        assert!(text.contains("| rl − start | multiple_choice/prompt_loose | 0.7500 | 0.2500 | -0.5000 ["), "{text}");
        assert!(text.contains("| 40 | worse |") && text.contains("| mixed: with the mix less without |"), "{text}");
        assert!(!text.contains("elsewhere"));
        // Nobody says which of two SFT models it was, and no task is public.
        for model in &mut models {
            model.model.lineage["parent"]["path"] = serde_json::Value::Null;
        }
        assert!(section(&fixture::report(models.clone())).markdown().contains("n = 0: no evaluation has an SFT model"));
        models.remove(3);
        models.iter_mut().for_each(|model| model.tasks[0].task = "instructions".into());
        assert!(section(&fixture::report(models)).markdown().contains("n = 0: these models have no public task"));
    }
}
