//! Reference numbers of other programs, where the shared folder is there; the crate's own tests don't need it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use text::bleu::sentence_bleu;
use text::linear::LinearScorer;
use text::rouge::{Score, rouge_l, rouge_lsum, rouge_n};
use text::token::Words;

/// A file of the shared data folder; `None`, loudly, where there is none.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if !path.exists() {
        eprintln!("SKIPPED: {} is not here", path.display());
        return None;
    }
    Some(path)
}

fn rows(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("readable");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// rouge_score 0.1.2 and sacrebleu 2.6.0 on 60 pairs.
#[test]
fn rouge_and_bleu_are_those_of_the_python_packages() {
    let Some(path) = shared("oracles/rouge_bleu_cases.jsonl") else { return };
    let rows = rows(&path);
    assert_eq!(rows.len(), 60);
    for (i, row) in rows.iter().enumerate() {
        let (target, prediction) = (row["target"].as_str().expect("text"), row["prediction"].as_str().expect("text"));
        let check = |key: &str, Score { precision, recall, f }: Score| {
            for (j, found) in [precision, recall, f].into_iter().enumerate() {
                let expected = row[key][j].as_f64().expect("a number");
                assert!((found - expected).abs() < 1e-12, "row {i} {key}[{j}]: {found}, expected {expected}");
            }
        };
        check("rouge1", rouge_n(target, prediction, 1, Words::Ascii));
        check("rouge2", rouge_n(target, prediction, 2, Words::Ascii));
        check("rougeL", rouge_l(target, prediction, Words::Ascii));
        check("rougeLsum", rouge_lsum(target, prediction, Words::Ascii));
        let bleu = sentence_bleu(prediction, &[target]);
        let expected = row["sacrebleu_13a_sentence_exp"].as_f64().expect("a number");
        assert!((bleu - expected).abs() < 1e-9, "row {i}: {bleu}, expected {expected}");
    }
}

/// alt-profanity-check 1.9.1 on 154 replies; the expectation has six digits.
#[test]
fn toxicity_is_that_of_the_python_package() {
    let (Some(scorer), Some(path)) =
        (shared("eval/toxicity_tfidf_svm.json"), shared("oracles/toxicity_expected.jsonl"))
    else {
        return;
    };
    let scorer = LinearScorer::open(&scorer).expect("a scorer");
    let rows = rows(&path);
    assert_eq!(rows.len(), 154);
    for (i, row) in rows.iter().enumerate() {
        let found = scorer.score(row["text"].as_str().expect("text"));
        let expected = row["p"].as_f64().expect("a number");
        assert!((found - expected).abs() < 1e-6, "row {i}: {found}, expected {expected}");
    }
}
