use super::*;
use crate::Estimate;
use crate::item::Answer;
use crate::metric::{Metric, Score};
use crate::result::{Evaluation, SubjectFacts};

const ACCURACY: Metric = Metric::higher("acc", "");
const LOSS: Metric = Metric::lower("loss", "").per_token();

fn model(name: &str, tokenizer: &str, accuracies: &[f64], losses: &[f64]) -> ModelResult {
    let item = |(idx, (acc, loss)): (usize, (&f64, &f64))| ItemResult {
        id: format!("item-{idx}"),
        slice: None,
        about: Default::default(),
        cluster: None,
        prompt: None,
        scores: vec![Score::of("acc", *acc), Score::of("loss", *loss)],
        answer: Answer::TooLong { tokens: 0, context: 0 },
    };
    let items: Vec<ItemResult> = accuracies.iter().zip(losses).enumerate().map(item).collect();
    let of =
        |metric: &Metric, values: &[f64]| Estimate::new(metric, &values.iter().map(|&v| (v, 1.0)).collect::<Vec<_>>());
    ModelResult {
        model: SubjectFacts {
            name: name.into(),
            path: String::new(),
            identity: String::new(),
            tokenizer: tokenizer.into(),
            arithmetic: String::new(),
            chat: false,
            primer: String::new(),
            parameters: None,
            mix: None,
            templates: false,
            lineage: serde_json::Value::Null,
        },
        tasks: vec![TaskResult {
            task: "t".into(),
            version: 1,
            settings: serde_json::Value::Null,
            items_hash: items.len().to_string(),
            n_items: items.len(),
            n_too_long: 0,
            sources: Default::default(),
            notes: Vec::new(),
            n_cached: 0,
            seconds: 0.0,
            estimates: vec![of(&ACCURACY, accuracies), of(&LOSS, losses)],
            slices: Default::default(),
            items,
        }],
    }
}

fn alternating(n: usize, every: usize) -> Vec<f64> {
    (0..n).map(|i| f64::from(u8::from(i % every == 0))).collect()
}

#[test]
fn a_regression_lies_beyond_its_interval_in_the_bad_direction() {
    let (often, seldom) = (alternating(60, 2), alternating(60, 6));
    let (low, high) = (vec![1.0; 60], (0..60).map(|i| 1.5 + f64::from(i % 5)).collect::<Vec<f64>>());
    let good = model("good", "x", &often, &low);
    let bad = model("bad", "x", &seldom, &high);
    let worse = Comparison::new(&good, &bad, &[]).unwrap();
    assert_eq!(worse.differences.iter().map(|d| d.verdict).collect::<Vec<_>>(), [Verdict::Worse; 2]);
    assert!(worse.has_regression());
    // 30 of 60 against 10 of 60, ten of them the same.
    let acc = &worse.differences[0];
    assert!((acc.difference + 20.0 / 60.0).abs() < 1e-12);
    assert_eq!((acc.signs, acc.n, acc.n_unpaired), ([0, 40, 20], 60, 0));
    assert!((acc.sign_p - 2f64.powi(-19)).abs() < 1e-15);
    // Holm: both p-values are as small as can be, the smaller counts twice.
    assert!(acc.sign_p_holm >= acc.sign_p && worse.differences.iter().all(|d| d.sign_p_holm < 0.01));
    // Differences are −1 in twenty and 0 in forty: variance 20·40/60/59 = .22599; (2.80159·.47538/.03)² = 1970.9.
    assert_eq!((acc.n_for_points, worse.differences[1].n_for_points), (Some(1971), None), "losses are no shares");
    let better = Comparison::new(&bad, &good, &["acc".into()]).unwrap();
    assert_eq!(better.differences.len(), 1);
    assert_eq!(better.differences[0].verdict, Verdict::Better);
    assert!(!better.has_regression());
}

#[test]
fn equal_models_do_not_differ_and_one_item_says_nothing() {
    let a = model("a", "x", &alternating(20, 2), &[1.0; 20]);
    let same = Comparison::new(&a, &a, &[]).unwrap();
    assert!(same.differences.iter().all(|d| d.verdict == Verdict::NoDifference && d.sign_p == 1.0));
    let one = Comparison::new(&model("a", "x", &[1.0], &[1.0]), &model("b", "x", &[0.0], &[9.0]), &[]).unwrap();
    assert!(one.differences.iter().all(|d| d.verdict == Verdict::CantSay && d.interval.is_none()));
    assert!(!one.has_regression());
}

/// Answers to one prompt aren't independent: asked five times over, they say no more than once.
#[test]
fn several_rows_of_one_prompt_do_not_narrow_the_interval() {
    // Prompts one by one, then each five times: with ids of their own, as rows of a file have them.
    let repeated = |name: &str, every: usize, times: usize, told: bool| {
        let of_prompts = alternating(12, every);
        let values: Vec<f64> = of_prompts.iter().flat_map(|value| vec![*value; times]).collect();
        let mut model = model(name, "x", &values, &values);
        for (idx, item) in model.tasks[0].items.iter_mut().enumerate() {
            // Told by what the items have in common, or by evaluations that only keep prompts.
            match told {
                true if times > 1 => item.cluster = Some(format!("c{}", idx / times)),
                _ => item.prompt = Some(record::Prompt::Text(format!("p{}", idx / times))),
            }
        }
        model
    };
    let compared = |times: usize, told: bool| {
        let (a, b) = (repeated("a", 4, times, told), repeated("b", 2, times, told));
        Comparison::new(&a, &b, &["acc".into()]).unwrap().differences.remove(0)
    };
    let once = compared(1, true);
    assert_eq!((once.n, once.n_clusters, once.signs), (12, 12, [3, 9, 0]));
    for told in [true, false] {
        let often = compared(5, told);
        assert_eq!((often.n, often.n_clusters), (60, 12));
        assert_eq!((often.interval, often.signs, often.sign_p), (once.interval, once.signs, once.sign_p));
        assert_eq!((often.difference, often.detectable), (once.difference, once.detectable));
    }
    // Rows of one prompt alone say nothing.
    let one = |name: &str| {
        let mut model = repeated(name, 4, 5, true);
        model.tasks[0].items.iter_mut().for_each(|item| item.cluster = Some("c".into()));
        model
    };
    let alone = Comparison::new(&one("a"), &one("b"), &["acc".into()]).unwrap().differences.remove(0);
    assert_eq!((alone.n, alone.n_clusters, alone.verdict), (60, 1, Verdict::CantSay));
}

#[test]
fn what_does_not_compare_is_refused_or_left_out() {
    let a = model("a", "x", &alternating(20, 2), &[1.0; 20]);
    let other_tokens = model("b", "y", &alternating(20, 2), &[1.0; 20]);
    let all = Comparison::new(&a, &other_tokens, &[]).unwrap();
    assert_eq!(all.differences.len(), 1);
    assert!(all.left_out[0].contains("t/loss: counts tokens"), "{:?}", all.left_out);
    let refused = |b: &ModelResult, metric: &str, expected: &str| {
        let error = Comparison::new(&a, b, &[metric.to_owned()]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(&other_tokens, "t/loss", "different tokenizers");
    refused(&other_tokens, "f1", "no metric `f1`; there are t/acc, t/loss");
    refused(&model("b", "x", &alternating(19, 2), &[1.0; 19]), "acc", "the items differ");
    let mut newer = a.clone();
    newer.tasks[0].version = 2;
    refused(&newer, "acc", "version 1 against version 2");
}

#[test]
fn an_evaluation_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let models = vec![model("a/b", "x", &[1.0, 0.0], &[0.1, 1.0 / 3.0])];
    let evaluation = Evaluation { helpmate: "0".into(), models };
    evaluation.write(folder.path()).unwrap();
    assert_eq!(Evaluation::read(folder.path()).unwrap(), evaluation);
    std::fs::write(folder.path().join("evaluation.json"), "{}").unwrap();
    let error = Evaluation::read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("not an evaluation"), "{error}");
}
