use super::*;
use crate::{RunOptions, TaskResult};
use std::ops::ControlFlow;
use stdx::Seed;

fn items(row: Value) -> Result<Vec<Item>, String> {
    Appropriateness.items_of(&Row { path: "rows.jsonl".into(), line: 1, value: row }, &Settings::default())
}

/// The result of the judgements in a file.
fn judged(rows: &[Value]) -> TaskResult {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ratings.jsonl");
    std::fs::write(&path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
    let settings = Settings { data: Some(path), ..Settings::default() };
    let items = crate::items(&Appropriateness, &settings).unwrap();
    let mut ask = |items: &[Item]| Ok::<_, EvalError>(items.iter().filter_map(Item::said).collect());
    let mut go_on = |_| ControlFlow::Continue(());
    let mut options = RunOptions { cache: None, seed: Seed(0), on_progress: &mut go_on };
    crate::run_with(&Appropriateness, &settings, &items, &mut ask, &mut options).unwrap()
}

fn row(prompt: usize, labeler: &str, source: &str, inappropriate: bool) -> Value {
    json!({"id": format!("{prompt}-{labeler}"), "prompt": format!("p{prompt}"), "completion": "c", "origin": "m", "labeler": labeler,
           "source": source, "fields": {"inappropriate": inappropriate}})
}

#[test]
fn intervals_are_over_prompts_and_sources_are_told_apart() {
    // Two labelers, who agree, on three prompts: three to draw, not six.
    let rows: Vec<Value> =
        (0..6).map(|i| row(i % 3, ["ada", "bob"][i / 3], ["human", "simulated"][i / 3], i % 3 == 0)).collect();
    let result = judged(&rows);
    let main = &result.estimates[0];
    assert_eq!((main.metric.as_str(), main.n), ("appropriate", 6));
    assert!((main.value.unwrap() - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!(main.interval, Some([0.0, 1.0]));
    assert_eq!(result.slices["source human"][0].n, 3);
    assert_eq!(result.slices["labeler bob"][0].n, 3);
    let notes = result.notes.concat();
    assert!(
        notes.contains("several sources are pooled") && notes.contains("6 judgements of answers to 3 prompts"),
        "{notes}"
    );
    // What nobody was asked has n = 0.
    let hallucination = result.estimates.iter().find(|e| e.metric == "hallucination").unwrap();
    assert_eq!(hallucination.to_string(), "can't say (n = 0)");
    assert_eq!(result.estimates.len(), QUESTIONS.len());
}

#[test]
fn nobody_having_judged_is_said_with_how_to_collect() {
    let result = judged(&[]);
    assert!(result.estimates.iter().all(|estimate| estimate.n == 0 && estimate.value.is_none()));
    assert!(
        result.notes[0].contains("n = 0") && result.notes[0].contains("helpmate label export"),
        "{:?}",
        result.notes
    );
}

#[test]
fn a_ranking_with_fields_is_a_judgement_of_each_answer() {
    let found = items(json!({"prompt": "p", "id": "r", "completions": [
        {"text": "a", "rank": 1, "origin": "sft", "fields": {"rating": 5}},
        {"text": "b", "rank": 2, "origin": "ppo", "fields": {"rating": 3}},
        {"text": "c", "rank": 3}]}))
    .unwrap();
    assert_eq!(found.iter().map(Item::judged_model).collect::<Vec<_>>(), ["sft", "ppo"]);
    assert_ne!(found[0].id, found[1].id);
}

#[test]
fn judgements_off_their_form_are_refused() {
    let refused = |row: Value, expected: &str| {
        let error = items(row).unwrap_err();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    };
    refused(json!({"prompt": "p", "completion": "c"}), "no `fields`");
    refused(json!({"prompt": "p", "fields": {}}), "no `completion`");
    refused(
        json!({"prompt": "p", "completion": "c", "fields": {"inappropriate": "rather"}}),
        "`fields.inappropriate` is text, expected true or false",
    );
    refused(
        json!({"prompt": "p", "completion": "c", "fields": {"rating": "good"}}),
        "`fields.rating` is text, expected a number",
    );
    refused(json!({"prompt": "p", "completions": "c"}), "`completions` is text, expected a list");
}
