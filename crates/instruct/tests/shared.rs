//! The published program's own results, where the shared folder is there; the crate's own tests don't need it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use instruct::filter::{Filter, Judgement};
use instruct::instance::parse;
use instruct::recipe::Recipe;
use serde_json::Value;
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
    match serde_json::from_str(&text) {
        Ok(Value::Array(rows)) => rows,
        _ => text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect(),
    }
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_else(|| panic!("{key} of {row}"))
}

fn filter(recipe: Recipe) -> Option<Filter> {
    let seeds = rows(&shared("instructions/self_instruct_seed_tasks.jsonl")?);
    assert_eq!(seeds.len(), 175);
    Some(Filter::new(recipe, Words::Ascii, seeds.iter().map(|seed| text(seed, "instruction"))))
}

#[track_caller]
fn near(found: f64, expected: &Value, tolerance: f64, what: &str) {
    let expected = expected.as_f64().unwrap_or_else(|| panic!("{what}: no number"));
    assert!((found - expected).abs() <= tolerance, "{what}: {found}, expected {expected}");
}

/// 279 candidates through upstream's `post_process_gpt3_response` and `rouge_score`: all reasons, scores and texts.
#[test]
fn the_trace_of_the_published_filter() {
    let (Some(mut filter), Some(trace)) = (filter(Recipe::Paper), shared("oracles/self_instruct_filter_trace.jsonl"))
    else {
        return;
    };
    let rows = rows(&trace);
    assert_eq!(rows.len(), 279);
    let raws: Vec<&str> = rows.iter().map(|row| text(row, "raw")).collect();
    for (i, (row, judgement)) in rows.iter().zip(filter.judge_all(&raws)).enumerate() {
        let Judgement { instruction, kept, reason, similarity } = judgement;
        assert_eq!(instruction, text(row, "instruction"), "row {i}");
        assert_eq!(kept, row["kept"] == true, "row {i}");
        assert_eq!(reason.map(|reason| reason.name()), row["reason"].as_str(), "row {i}");
        let Some(similarity) = similarity else {
            assert!(row.get("max").is_none(), "row {i}");
            continue;
        };
        near(similarity.max, &row["max"], 0.0, &format!("row {i} max"));
        near(similarity.avg, &row["avg"], 1e-12, &format!("row {i} avg"));
        for (j, score) in similarity.top10_scores.iter().enumerate() {
            near(*score, &row["top10_scores"][j], 0.0, &format!("row {i} top {j}"));
        }
        // Of equally near ones NumPy's sort takes any.
        let nearest = similarity.nearest.as_deref();
        let tied = similarity.top10_scores.get(1) == similarity.top10_scores.first();
        assert!(nearest == row["nearest"].as_str() || tied, "row {i}: {nearest:?}");
    }
}

/// A published Alpaca run on the same seeds: 73 kept instructions with averages and ten most similar.
#[test]
fn a_published_alpaca_run() {
    let (Some(mut filter), Some(regen)) = (filter(Recipe::Alpaca), shared("oracles/alpaca_regen_73.json")) else {
        return;
    };
    let rows = rows(&regen);
    assert_eq!(rows.len(), 73);
    let raws: Vec<&str> = rows.iter().map(|row| text(row, "instruction")).collect();
    for (i, (row, judgement)) in rows.iter().zip(filter.judge_all(&raws)).enumerate() {
        assert!(judgement.kept, "row {i}: {:?}", judgement.reason);
        let similarity = judgement.similarity.expect("compared");
        near(similarity.avg, &row["avg_similarity_score"], 1e-12, &format!("row {i} avg"));
        let expected = row["most_similar_instructions"].as_object().expect("an object");
        for (score, expected) in similarity.top10_scores.iter().zip(expected.values()) {
            near(*score, expected, 1e-12, &format!("row {i}"));
        }
    }
}

/// Upstream's parsers on 80 answers.
#[test]
fn the_published_parser_of_instances() {
    let Some(cases) = shared("oracles/self_instruct_instance_cases.jsonl") else { return };
    let rows = rows(&cases);
    assert_eq!(rows.len(), 80);
    for (i, row) in rows.iter().enumerate() {
        let cut = text(row, "finish_reason") == "length";
        let parsed = parse(text(row, "raw_instances"), row["is_classification"] == true, cut);
        let found: BTreeSet<(String, String)> =
            parsed.instances.iter().map(|instance| (instance.input.clone(), instance.output.clone())).collect();
        let pair =
            |pair: &Value| (pair[0].as_str().expect("text").to_owned(), pair[1].as_str().expect("text").to_owned());
        let expected: BTreeSet<(String, String)> =
            row["parsed_sorted"].as_array().expect("a list").iter().map(pair).collect();
        assert_eq!(found, expected, "row {i}");
        assert_eq!(parsed.instances.len(), expected.len(), "row {i}");
    }
}
