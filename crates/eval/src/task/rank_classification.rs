//! Rank classification, as T0 is evaluated (Sanh et al., arXiv 2110.08207): several templates of one data set.

use super::multiple_choice::{best, gold, is_gold, sums};
use super::{Data, Example, Row, Settings, Task};
use crate::EvalError;
use crate::estimate::Estimate;
use crate::item::{Answer, Ask, Item};
use crate::metric::{Metric, Score};
use serde_json::json;
use statistics::bootstrap::quantile;
use std::collections::BTreeMap;

/// The task.
pub struct RankClassification;

impl Task for RankClassification {
    fn name(&self) -> &'static str {
        "rank_classification"
    }
    fn version(&self) -> u32 {
        1
    }
    fn summary(&self) -> &'static str {
        "whether the likeliest of the answers that a template allows is right, by template"
    }
    fn source(&self) -> &'static str {
        "T0 (Sanh et al., arXiv 2110.08207, §5): Σ log p of each answer, no length normalisation, median over templates"
    }
    fn metrics(&self) -> &'static [Metric] {
        const METRICS: &[Metric] =
            &[Metric::higher("accuracy", "share of renderings whose likeliest answer is right, all templates pooled")];
        METRICS
    }
    fn data(&self) -> Data {
        Data::File("a row a rendering: `prompt`, `choices`, `gold` (an index), `template`; optional `row`, `delimiter`")
    }
    fn items_of(&self, row: &Row, _: &Settings) -> Result<Vec<Item>, String> {
        let context = row.find_text(&["prompt", "context"])?;
        let choices = row.texts("choices")?;
        let gold = gold(row, choices.len())?;
        let delimiter = row.optional_text("delimiter").unwrap_or_else(|| " ".to_owned());
        let template = row.optional_text("template");
        // The same row stands there once a template.
        let id = match (row.optional_text("row"), &template) {
            (Some(number), Some(template)) => format!("{number}/{template}"),
            _ => row.id(),
        };
        let continuations = choices.iter().map(|choice| format!("{delimiter}{choice}")).collect();
        Ok(vec![Item {
            id,
            ask: Ask::Choices { context: context.to_owned(), continuations, unconditional: false },
            gold: json!(gold),
            slice: template,
            source: row.source()?,
        }])
    }
    fn cluster(&self, item: &Item) -> String {
        // The row, where it is told: its renderings by several templates.
        let row = item.slice.as_ref().and_then(|template| item.id.strip_suffix(&format!("/{template}")));
        row.map_or_else(|| item.cluster(), |row| format!("row {row}"))
    }
    fn score(&self, item: &Item, answer: &Answer, _: &Settings) -> Result<Vec<Score>, EvalError> {
        let Answer::Choices { conditional, .. } = answer else { return Ok(Vec::new()) };
        let scores: Vec<f64> = conditional.iter().map(|l| l.sum).collect();
        Ok(vec![Score::yes("accuracy", is_gold(&item.gold, best(&scores)))])
    }
    fn notes(&self, _: &Settings, slices: &BTreeMap<String, Vec<Estimate>>) -> Vec<String> {
        let mut of_templates: Vec<f64> = slices.values().flatten().filter_map(|estimate| estimate.value).collect();
        if of_templates.len() < 2 {
            return vec!["one template: how much the number hangs on its wording can't be said".to_owned()];
        }
        of_templates.sort_by(f64::total_cmp);
        let [low, median, high] = [0.25, 0.5, 0.75].map(|p| quantile(&of_templates, p));
        let n = of_templates.len();
        vec![format!("accuracy over {n} templates: median {median:.4}, quartiles {low:.4} and {high:.4}")]
    }
    fn examples(&self) -> Vec<Example> {
        let row = json!({"prompt": "Is rain wet?", "choices": ["yes", "no"], "gold": 0, "template": "plain", "row": 7});
        let example = |conditional: [f64; 2], scores| Example {
            row: row.clone(),
            answer: Answer::Choices { conditional: sums(&conditional), unconditional: Vec::new() },
            scores,
        };
        vec![example([-1.0, -2.0], vec![("accuracy", 1.0)]), example([-2.0, -1.0], vec![("accuracy", 0.0)])]
    }
}
