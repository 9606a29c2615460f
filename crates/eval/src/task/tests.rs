//! What holds for every task, unasked.

use super::*;
use crate::metric::Better;
use std::collections::HashSet;

fn settings() -> Settings {
    Settings { scorer: Some(std::sync::Arc::new(toxicity::scorer_for_tests())), ..Settings::default() }
}

#[test]
fn names_metrics_and_versions_are_told_apart_and_explained() {
    let mut names = HashSet::new();
    for task in ALL {
        assert!(names.insert(task.name()), "{} stands twice", task.name());
        assert!(task.version() >= 1 && !task.summary().is_empty() && !task.source().is_empty(), "{}", task.name());
        let mut metrics = HashSet::new();
        for metric in task.metrics() {
            assert!(metrics.insert(metric.name), "{}: {} stands twice", task.name(), metric.name);
            assert!(!metric.summary.is_empty(), "{}: {} isn't explained", task.name(), metric.name);
        }
        assert_eq!(find(task.name()).unwrap().name(), task.name());
    }
}

#[test]
fn every_task_scores_its_examples_as_worked_by_hand() {
    for task in ALL {
        for (idx, example) in task.examples().into_iter().enumerate() {
            let name = format!("{}, example {idx}", task.name());
            let row = Row { path: "<example>".into(), line: 1, value: example.row };
            let items = task.items_of(&row, &settings()).unwrap_or_else(|e| panic!("{name}: {e}"));
            let scores = task.score(&items[0], &example.answer, &settings()).unwrap_or_else(|e| panic!("{name}: {e}"));
            crate::checks::scores(*task, &items[0].id, &scores).unwrap();
            for (metric, expected) in example.scores {
                let of_metric = scores.iter().filter(|score| score.metric == metric).map(|s| (s.value, s.weight));
                let found = crate::estimate::ratio(of_metric);
                let scale = task.metrics().iter().find(|m| m.name == metric).unwrap().scale;
                assert!(
                    (scale.apply(found) - expected).abs() < 1e-9,
                    "{name}: {metric} is {found}, expected {expected}"
                );
            }
        }
    }
}

#[test]
fn a_perfect_answer_scores_1_and_a_worthless_one_0() {
    for task in ALL.iter().filter(|task| task.metrics()[0].better == Better::Higher) {
        let main = task.metrics()[0].name;
        let values: Vec<f64> =
            task.examples().iter().flat_map(|e| &e.scores).filter(|s| s.0 == main).map(|s| s.1).collect();
        assert!(values.contains(&1.0) && values.contains(&0.0), "{}: {main} has examples {values:?}", task.name());
    }
}

#[test]
fn shipped_items_have_distinct_ids_and_a_source_and_are_the_same_every_time() {
    for task in ALL {
        if let Data::Shipped(_) = task.data() {
            let items = task.items(&settings()).unwrap();
            crate::checks::items(*task, &items).unwrap();
            assert!(items.iter().all(|item| item.source.is_some()), "{}: rows without a source", task.name());
            assert_eq!(items, task.items(&settings()).unwrap());
        } else {
            assert!(matches!(task.items(&settings()), Err(EvalError::NoData { .. })), "{}", task.name());
        }
    }
}

#[test]
fn every_task_has_its_page() {
    for task in ALL {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tasks").join(format!("{}.md", task.name()));
        let page = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for metric in task.metrics() {
            assert!(page.contains(&format!("`{}`", metric.name)), "{}: {} is missing", path.display(), metric.name);
        }
        assert!(page.contains(&format!("helpmate eval run {}", task.name())), "{}: no command", path.display());
        for part in ["Source: ", "## Definition", "## Rows", "## Notes", "## Expected numbers"] {
            assert!(page.contains(part), "{}: no {part:?}", path.display());
        }
        assert!(page.contains(&format!("Version {}", task.version())), "{}: another version", path.display());
    }
}

/// Writes rows to a file and reads them as a task's items.
fn read_rows(task: &str, rows: &[&str]) -> Result<Vec<Item>, EvalError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    std::fs::write(&path, rows.join("\n")).unwrap();
    let task = find(task).unwrap();
    let items = task.items(&Settings { data: Some(path), ..settings() })?;
    crate::checks::items(task, &items).map(|()| items)
}

#[track_caller]
fn refused(task: &str, rows: &[&str], expected: &str) {
    let error = read_rows(task, rows).unwrap_err().to_string();
    assert!(error.contains(expected), "{error:?} does not say {expected:?}");
}

#[test]
fn bad_rows_are_refused_by_line_and_item() {
    let good = r#"{"id": "a", "context": "1 + 1 =", "choices": ["2", "3"], "gold": 0}"#;
    assert_eq!(read_rows("multiple_choice", &[good]).unwrap().len(), 1);
    refused("multiple_choice", &[good, good], "item a: the id stands twice");
    refused("multiple_choice", &[good, r#"{"context": "x", "choices": [], "gold": 0}"#], "rows.jsonl:2: no choices");
    refused("multiple_choice", &[r#"{"context": "x", "choices": ["a", " "], "gold": 0}"#], "an empty choice");
    refused(
        "multiple_choice",
        &[r#"{"context": "x", "choices": ["a", "b"], "gold": 2}"#],
        "`gold` is 2, expected 0 to 1",
    );
    refused("multiple_choice", &[r#"{"context": "x", "choices": ["a", "b"], "gold": -1}"#], "`gold` is -1");
    refused("multiple_choice", &[r#"{"context": "x", "choices": ["a", "b"]}"#], "no `gold`");
    refused("multiple_choice", &["{"], "rows.jsonl:1: invalid JSON");
    refused("multiple_choice", &[], "no items");
    refused("truthfulqa_mc", &[r#"{"question": "x"}"#], "no `mc1`");
    refused("instructions", &[r#"{"prompt": "x", "instructions": []}"#], "no instructions");
    refused(
        "instructions",
        &[r#"{"prompt": "x", "instructions": [{"type": "punctuation:none"}]}"#],
        "punctuation:none",
    );
}
