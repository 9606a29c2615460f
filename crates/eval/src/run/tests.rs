//! Tasks on a tiny model: the same numbers however they are batched, cached or interrupted.

use super::*;
use crate::estimate::Method;
use crate::subject::SubjectOptions;
use crate::task;
use kernels::Device;
use kernels::linear::Precision;
use model::{Model, Request, Trainable, TreeBatch, Workspace};
use render::Renderer;
use serde_json::Value;
use std::path::PathBuf;

struct Bench {
    folder: tempfile::TempDir,
    model: Model,
    renderer: Renderer,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        testkit::write_tiny_model(folder.path(), 1);
        let device = Device::detect(Some(1));
        let model = testkit::tiny_model(&device, Trainable::Nothing, Precision::F32, 1);
        let renderer = Renderer::open(folder.path(), None).unwrap();
        Bench { folder, model, renderer }
    }
    fn subject(&self) -> Subject<'_> {
        let options =
            SubjectOptions { name: "tiny".into(), identity: "tiny".into(), chat: false, primer: String::new() };
        Subject::new(&self.model, &self.renderer, options)
    }
    fn data(&self, rows: &[Value]) -> PathBuf {
        let path = self.folder.path().join("rows.jsonl");
        std::fs::write(&path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
        path
    }
    fn cache(&self) -> AnswerCache {
        AnswerCache::open(&self.folder.path().join("cache"), "tiny").unwrap()
    }
    /// Runs a task; with a limit on how often progress is told before it is asked to stop.
    fn run(&self, name: &str, settings: &Settings, cache: bool, steps: usize) -> Result<TaskResult, EvalError> {
        let mut cache = cache.then(|| self.cache());
        let mut left = steps;
        let mut on_progress = |_| {
            left = left.saturating_sub(1);
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let mut options = RunOptions { cache: cache.as_mut(), seed: Seed(7), on_progress: &mut on_progress };
        run(task::find(name).unwrap(), settings, &mut self.subject(), &mut options)
    }
}

const FOREVER: usize = usize::MAX;

fn choices(n: usize) -> Vec<Value> {
    let row = |i: usize| json!({"context": format!("Shared words. Question {}?", i % 7), "choices": ["yes", format!("no {i}"), "yet"], "gold": i % 3});
    (0..n).map(row).collect()
}

#[test]
fn what_is_shared_scores_as_if_it_stood_alone() {
    let bench = Bench::new();
    let settings = Settings { data: Some(bench.data(&choices(40))), ..Settings::default() };
    let result = bench.run("multiple_choice", &settings, false, FOREVER).unwrap();
    let mut workspace = Workspace::default();
    for (idx, item) in result.items.iter().enumerate() {
        let Answer::Choices { conditional, unconditional } = &item.answer else { panic!("{item:?}") };
        let context = format!("Shared words. Question {}?", idx % 7);
        for (found, choice) in conditional.iter().zip([" yes".to_owned(), format!(" no {idx}"), " yet".to_owned()]) {
            // One byte is one token.
            let tokens: Vec<u32> = format!("{context}{choice}").bytes().map(u32::from).collect();
            let mut batch = TreeBatch::default();
            let root = batch.push_root(&tokens);
            let targets = (context.len()..tokens.len()).filter_map(|at| batch.target(root, at)).collect();
            let alone = bench.model.forward(&batch, &Request::log_probs(targets), &mut workspace).log_probs;
            let expected: f64 = alone.iter().map(|&p| f64::from(p)).sum();
            assert!((found.sum - expected).abs() < 1e-4, "item {idx}: {} vs {expected}", found.sum);
            assert_eq!(found.tokens, choice.len());
        }
        assert_eq!(unconditional.len(), 3);
    }
}

#[test]
fn a_long_primer_runs_for_many_items_at_once() {
    let bench = Bench::new();
    let items: Vec<Item> = task::find("multiple_choice")
        .unwrap()
        .items(&Settings { data: Some(bench.data(&choices(300))), ..Settings::default() })
        .unwrap();
    // 49 tokens of its own run of each item: the last is only predicted.
    let prepared = |primer: usize| -> Vec<Prepared> {
        let item = |idx: usize| {
            let own = (0..50).map(|at| 7 + (idx * 50 + at) as u32);
            let token_ids = std::iter::repeat_n(3, primer).chain(own).collect();
            Prepared::Scored(vec![crate::encode::Scored { token_ids, first: primer }])
        };
        (0..300).map(item).collect()
    };
    let sizes = |primer: usize| -> Vec<usize> {
        bench.subject().batches(&items, &prepared(primer)).iter().map(|batch| batch.len()).collect()
    };
    // 42 · 49 = 2058; 1000 + 143 · 49 = 8007; 4000 + 253 · 49 = 16,397.
    assert_eq!(sizes(0)[0], 42);
    assert_eq!(sizes(1000), [143, 143, 14]);
    assert_eq!(sizes(4000), [253, 47]);
}

#[test]
fn a_second_run_asks_nothing_and_says_the_same() {
    let bench = Bench::new();
    let settings = Settings { data: Some(bench.data(&choices(10))), ..Settings::default() };
    let first = bench.run("multiple_choice", &settings, true, FOREVER).unwrap();
    let second = bench.run("multiple_choice", &settings, true, FOREVER).unwrap();
    assert_eq!((first.n_cached, second.n_cached), (0, 10));
    assert_eq!(first.items, second.items);
    assert_eq!(first.estimates, second.estimates);
    assert_eq!(first.items_hash, second.items_hash);
}

#[test]
fn an_interrupted_run_goes_on_where_it_was() {
    let bench = Bench::new();
    let prompts: Vec<Value> = (0..60).map(|i| json!({"prompt": format!("Prompt {i}"), "source": "rule"})).collect();
    let settings =
        Settings { data: Some(bench.data(&prompts)), max_new_tokens: Some(6), samples: Some(3), ..Settings::default() };
    let straight = bench.run("diversity", &settings, false, FOREVER).unwrap();
    // 21 prompts of 3 answers are a batch; it stops somewhere in the second.
    let error = bench.run("diversity", &settings, true, 600).unwrap_err();
    assert!(matches!(error, EvalError::Interrupted { done: 21, total: 60, .. }), "{error}");
    let resumed = bench.run("diversity", &settings, true, FOREVER).unwrap();
    assert_eq!(resumed.n_cached, 21);
    assert_eq!(straight.items, resumed.items);
    assert_eq!(straight.sources["rule"], 60);
    assert!(straight.items.iter().all(|item| {
        matches!(&item.answer, Answer::Completions { samples } if samples.iter().all(|s| s.entropies.len() == s.tokens))
    }));
}

#[test]
fn fewer_items_are_the_first_of_more() {
    let bench = Bench::new();
    let data = Some(bench.data(&choices(10)));
    let all = bench.run("multiple_choice", &Settings { data: data.clone(), ..Settings::default() }, false, FOREVER);
    let few = bench.run("multiple_choice", &Settings { data, limit: Some(4), ..Settings::default() }, false, FOREVER);
    let (all, few) = (all.unwrap(), few.unwrap());
    assert_eq!(few.n_items, 4);
    for (a, b) in all.items.iter().zip(&few.items) {
        assert_eq!((&a.id, &a.scores), (&b.id, &b.scores));
    }
}

#[test]
fn what_is_too_long_is_counted_and_left_out() {
    let bench = Bench::new();
    // The tiny model's context is 128 tokens, here bytes.
    let mut rows = choices(3);
    rows.push(json!({"context": "x".repeat(140), "choices": ["a", "b"], "gold": 0}));
    let settings = Settings { data: Some(bench.data(&rows)), ..Settings::default() };
    for _ in 0..2 {
        let result = bench.run("multiple_choice", &settings, true, FOREVER).unwrap();
        assert_eq!((result.n_items, result.n_too_long), (4, 1));
        assert_eq!(result.estimates[0].n, 3);
        assert!(result.items[3].scores.is_empty());
    }
}

#[test]
fn a_long_text_is_predicted_whole_in_windows() {
    let bench = Bench::new();
    let text = "All work and no play. ".repeat(20);
    let settings = Settings { data: Some(bench.data(&[json!({"text": text})])), ..Settings::default() };
    let result = bench.run("perplexity", &settings, false, FOREVER).unwrap();
    let Answer::Text(found) = &result.items[0].answer else { panic!("no text") };
    assert_eq!(found.tokens, text.len());
    let bits = result.estimates[0].value.unwrap();
    assert!((bits + found.sum / std::f64::consts::LN_2 / text.len() as f64).abs() < 1e-12);
    // A random model of 260 tokens is about as good as a die.
    assert!((6.0..10.0).contains(&bits), "{bits}");
}

#[test]
fn divergence_needs_a_reference_and_is_0_from_itself() {
    let bench = Bench::new();
    let settings = Settings { limit: Some(2), max_new_tokens: Some(5), ..Settings::default() };
    let error = bench.run("kl", &settings, false, FOREVER).unwrap_err().to_string();
    assert!(error.contains("--reference"), "{error}");
    let mut subject = bench.subject().with_reference(&bench.model, "itself".into());
    let mut go_on = |_| ControlFlow::Continue(());
    let mut options = RunOptions { cache: None, seed: Seed(7), on_progress: &mut go_on };
    let result = run(task::find("kl").unwrap(), &settings, &mut subject, &mut options).unwrap();
    assert!(result.estimates.iter().filter(|e| e.metric != "tokens").all(|e| e.value == Some(0.0)), "{result:?}");
    assert_ne!(bench.subject().identity(), subject.identity());
}

#[test]
fn items_of_one_context_or_row_are_drawn_together() {
    let bench = Bench::new();
    // Twenty-one items about seven questions.
    let settings = Settings { data: Some(bench.data(&choices(21))), ..Settings::default() };
    let result = bench.run("multiple_choice", &settings, false, FOREVER).unwrap();
    assert_eq!((result.n_items, result.n_clusters()), (21, 7));
    assert!(
        result.estimates.iter().all(|estimate| estimate.method != Method::Wilson),
        "Wilson's takes items for independent"
    );
    let clusters: Vec<&Option<String>> = result.items.iter().map(|item| &item.cluster).collect();
    assert!(clusters[0].is_some() && clusters[0] == clusters[7] && clusters[0] != clusters[1]);
    // Seven items about seven questions are what they are.
    let settings = Settings { limit: Some(7), ..settings };
    let alone = bench.run("multiple_choice", &settings, false, FOREVER).unwrap();
    assert_eq!(alone.n_clusters(), 7);
    assert!(alone.items.iter().all(|item| item.cluster.is_none()) && alone.estimates[0].method == Method::Wilson);
    // Renderings of a row by two templates, whose contexts differ.
    let rendering = |i: usize| {
        let (row, template) = (i / 2, if i.is_multiple_of(2) { "short" } else { "long" });
        json!({"row": row, "template": template, "prompt": format!("{template} of {row}"), "choices": ["a", "b"], "gold": 0})
    };
    let rows: Vec<Value> = (0..12).map(rendering).collect();
    let settings = Settings { data: Some(bench.data(&rows)), ..Settings::default() };
    let rendered = bench.run("rank_classification", &settings, false, FOREVER).unwrap();
    assert_eq!((rendered.n_items, rendered.n_clusters()), (12, 6));
}
