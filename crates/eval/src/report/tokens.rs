//! Numbers that count tokens: of models with different tokenizers they say nothing of each other.

use super::{Report, result_of};
use crate::estimate::Estimate;
use std::collections::BTreeMap;

impl Report {
    /// Whether a task's metric counts tokens, and the models that have it count different ones.
    pub(super) fn counts_tokens_apart(&self, task: &str, metric: &str) -> bool {
        let counts = |model: &&crate::result::ModelResult| {
            let counts = |found: &Estimate| found.metric == metric && found.per_token;
            result_of(model, task).is_some_and(|result| result.estimates.iter().any(counts))
        };
        let mut tokenizers = self.models.iter().filter(counts).map(|model| &model.model.tokenizer);
        let first = tokenizers.next();
        tokenizers.any(|other| Some(other) != first)
    }

    /// The metrics of a task that count tokens where the models' tokenizers differ.
    pub(super) fn apart<'a>(&self, task: &str, metrics: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        metrics.into_iter().filter(|metric| self.counts_tokens_apart(task, metric)).collect()
    }
}

/// Why a task's numbers of tokens aren't compared: who counts alike.
pub(super) fn why(report: &Report, task: &str) -> String {
    let models = report.models.iter().filter(|model| result_of(model, task).is_some());
    of(models.map(|model| (model.model.tokenizer.as_str(), model.model.name.as_str())))
}

/// The same of anything with a tokenizer and a name.
pub(super) fn of<'a>(named: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (tokenizer, name) in named {
        names.entry(tokenizer).or_default().push(name);
    }
    let groups: Vec<String> =
        names.iter().map(|(tokenizer, names)| format!("{} (tokenizer {tokenizer:.8})", names.join(", "))).collect();
    format!(
        "counted in tokens, and the tokenizers differ: {}. Across them these numbers can't be compared.",
        groups.join("; ")
    )
}

/// A metric's name in a table.
pub(super) fn marked(report: &Report, task: &str, metric: &str) -> String {
    if report.counts_tokens_apart(task, metric) { format!("{metric} (per token)") } else { metric.to_owned() }
}

#[cfg(test)]
mod tests {
    use crate::report::{Report, fixture};
    use crate::{Estimate, Metric};

    const ENTROPY: Metric = Metric::higher("entropy", "").per_token();

    /// Two models with a number a token, which is the task's first.
    fn report(tokenizers: [&str; 2]) -> Report {
        let model = |name: &str, tokenizer: &str, entropy: f64| {
            let mut model = fixture::model(name, "h", 40, 30);
            model.model.tokenizer = tokenizer.into();
            let scores: Vec<(f64, f64)> = (0..40).map(|i| (entropy + f64::from(i % 3) / 100.0, 1.0)).collect();
            model.tasks[0].estimates.insert(0, Estimate::new(&ENTROPY, &scores));
            for (item, (value, _)) in model.tasks[0].items.iter_mut().zip(scores) {
                item.scores.push(crate::Score::of("entropy", value));
            }
            model
        };
        fixture::report(vec![model("base", tokenizers[0], 0.25), model("other", tokenizers[1], 0.75)])
    }

    #[test]
    fn numbers_of_different_tokens_are_never_compared_silently() {
        let same = report(["aaaaaaaaaaaa", "aaaaaaaaaaaa"]);
        assert!(!same.to_html().contains("tokenizers differ") && !same.to_markdown().contains("(per token)"));
        assert!(same.changes(crate::compare::Verdict::Better).iter().any(|(_, d)| d.metric == "entropy"));
        assert!(same.to_html().contains("base: 0.260"), "the tile tells the first model's number");
        let apart = report(["aaaaaaaaaaaa", "bbbbbbbbbbbb"]);
        let told =
            "counted in tokens, and the tokenizers differ: base (tokenizer aaaaaaaa); other (tokenizer bbbbbbbb)";
        for text in [apart.to_html(), apart.to_markdown()] {
            let of = |title: &str| text.split(title).nth(1).unwrap_or_else(|| panic!("no {title}")).to_owned();
            let section =
                |title: &str| of(title).split("<h2>").next().unwrap().split("\n## ").next().unwrap().to_owned();
            assert!(section("Quality by model").contains(told), "{text}");
            assert!(section("Results").contains(told) && section("Results").contains("entropy (per token)"), "{text}");
            assert!(section("Limits").contains("instructions/entropy: counts tokens"), "{text}");
            for title in ["What got better", "What got worse"] {
                assert!(!section(title).contains("entropy"), "{title}: {text}");
            }
        }
        // Neither a tile nor a figure nor the card lays one beside the other.
        let html = apart.to_html();
        assert!(!html.contains("base: 0.260") && !html.contains("instructions: entropy, base: "), "{html}");
        let card = apart.card(Some("other")).unwrap();
        assert!(card.contains("| entropy | more | 0.7598 [") || card.contains("| entropy | more | 0.7597 ["), "{card}");
        assert!(card.contains("| can't say: other tokens |") && !card.contains("0.259"), "{card}");
    }

    #[test]
    fn curves_of_runs_with_different_tokens_say_so() {
        let mut runs =
            [fixture::run("sft", "one", &["{\"step\": 1, \"loss\": 1}".into()]), fixture::run("sft", "two", &[])];
        assert!(!super::super::curves::section(&runs).markdown().contains("tokenizers differ"));
        runs[1].lineage.tokenizer = "other".into();
        let text = super::super::curves::section(&runs).markdown();
        assert!(text.contains("Loss and entropy are counted in tokens, and the tokenizers differ: two (tokenizer other); one (tokenizer t)"), "{text}");
    }
}
