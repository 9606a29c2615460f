use super::*;
use crate::Estimate;
use crate::item::Sample;
use crate::metric::{Metric, Score};
use crate::result::SubjectFacts;

const METRIC: Metric = Metric::higher("prompt_loose", "");

fn model(name: &str, hash: &str, n: usize, right: usize) -> ModelResult {
    let value = |i: usize| f64::from(u8::from(i < right));
    let item = |i: usize| ItemResult {
        id: format!("item-{i}"),
        slice: None,
        prompt: Some(Prompt::Text(format!("Question <{i}>?"))),
        scores: vec![Score::of("prompt_loose", value(i))],
        answer: Answer::Completions {
            samples: vec![Sample {
                text: format!("answer of {name} & co"),
                tokens: 3,
                ended: true,
                entropies: Vec::new(),
                divergence: None,
            }],
        },
    };
    let scores: Vec<(f64, f64)> = (0..n).map(|i| (value(i), 1.0)).collect();
    ModelResult {
        model: SubjectFacts {
            name: name.into(),
            path: format!("runs/{name}"),
            identity: "0123456789abcdef".into(),
            tokenizer: "t".into(),
            arithmetic: "F32".into(),
            chat: true,
            primer: String::new(),
            lineage: serde_json::json!({"stage": "sft"}),
        },
        tasks: vec![TaskResult {
            task: "instructions".into(),
            version: 1,
            settings: serde_json::Value::Null,
            items_hash: hash.into(),
            n_items: n,
            n_too_long: 0,
            sources: [("model".to_owned(), n)].into(),
            notes: vec!["read <this>".into()],
            n_cached: 0,
            seconds: 1.0,
            estimates: vec![Estimate::new(&METRIC, &scores)],
            slices: Default::default(),
            items: (0..n).map(item).collect(),
        }],
    }
}

fn report(models: Vec<ModelResult>) -> Report {
    Report::new("helpmate eval report x".into(), vec![Evaluation { helpmate: "0".into(), models }]).unwrap()
}

#[test]
fn what_got_worse_stands_as_plainly_as_what_got_better() {
    let report = report(vec![model("base", "h", 40, 30), model("sft", "h", 40, 10)]);
    let html = report.to_html();
    let worse = html.find("What got worse").unwrap();
    let better = html.find("What got better").unwrap();
    assert!(worse < better);
    assert!(html[worse..better].contains("instructions/prompt_loose") && html[worse..better].contains("-0.5000 ["));
    assert!(html[better..].contains("Nothing beyond its 95 % interval"));
    let markdown = report.to_markdown();
    assert!(markdown.contains("| instructions/prompt_loose | sft | 0.7500 | 0.2500 | -0.5000 ["), "{markdown}");
    assert!(markdown.contains("n = 40"));
}

#[test]
fn a_page_is_whole_escaped_and_says_what_is_missing() {
    let html = report(vec![model("base", "h", 40, 30), model("b", "h", 40, 31)]).to_html();
    assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"));
    assert!(
        !html.contains("Question <0>") && html.contains("Question &lt;0&gt;?") && html.contains("read &lt;this&gt;")
    );
    // No n is missing, nothing is fetched.
    assert!(
        html.contains("n = 0: these evaluations hold no judgements")
            && !html.contains("http://")
            && !html.contains("src=")
    );
    assert!(html.contains("<mark>b </mark>"), "words that the first model doesn't say are marked");
    assert!(html.contains("all 40 items were written by a language model"));
    assert!(html.contains("would be seen four times in five"));
    assert!(html.contains("Still makes simple mistakes") && html.contains("item-31"));
}

#[test]
fn different_items_are_told_of_and_names_kept_apart() {
    let report = report(vec![model("base", "h", 40, 30), model("base", "other", 20, 10)]);
    assert_eq!(report.models[1].model.name, "base-2");
    assert!(report.comparisons.is_empty());
    assert!(report.limits.iter().any(|limit| limit.contains("different items")), "{:?}", report.limits);
    assert!(report.limits.iter().any(|limit| limit.contains("20 items only")));
    assert!(Report::new(String::new(), Vec::new()).is_err());
}
