//! A judge model between two models' answers.

use crate::Place;
use crate::stub::{Reply, Stub};
use serde_json::{Value, json};

fn answers(place: &Place, name: &str, texts: &[&str]) {
    let row = |(i, text): (usize, &&str)| json!({"prompt": format!("Question {i}"), "completion": text}).to_string();
    place.write(name, &texts.iter().enumerate().map(row).collect::<Vec<_>>().join("\n"));
}

fn judge(says: &str) -> Stub {
    let stub = Stub::start();
    let body = json!({"choices": [{"message": {"content": says}, "finish_reason": "stop"}]});
    stub.reply("/v1/chat/completions", Reply::StatusThenBody(429, 1, body.to_string().into_bytes()));
    stub
}

#[test]
fn a_judge_with_a_favourite_place_is_found_out_and_asked_once() {
    let place = Place::new();
    answers(&place, "a.jsonl", &["one", "two", "three", "four"]);
    answers(&place, "b.jsonl", &["eins", "zwei und mehr", "drei"]);
    let stub = judge("Both are fine.\n[[A]]");
    let command = format!(
        "eval duel --a a.jsonl --b b.jsonl --endpoint {}/v1 --endpoint-model m --chat --backoff 0.01 --out out",
        stub.address
    );
    let duel: Value = serde_json::from_str(&place.run(&format!("{command} --json"))).unwrap();
    assert_eq!((&duel["n"], &duel["win_rate"], &duel["judge"]), (&3.into(), &0.5.into(), &"m".into()));
    assert_eq!((&duel["first_favoured"][0], &duel["consistent"]), (&1.0.into(), &0.0.into()));
    assert_eq!(duel["strict"], json!([0, 0, 3]));
    assert_eq!(stub.asked().len(), 7, "six verdicts and a refusal");
    // Again: nothing is asked. The table says whose judgement it is.
    let table = place.run(&command);
    assert_eq!(stub.asked().len(), 7);
    for said in ["judged by the model m, in both orders", "0.5000 [0.5000, 0.5000] (n = 3)", "0 / 3 / 0", "0 of 6"] {
        assert!(table.contains(said), "{said}: {table}");
    }
}

#[test]
fn a_judge_that_keeps_to_no_form_and_files_that_do_not_match() {
    let place = Place::new();
    answers(&place, "a.jsonl", &["one", "two"]);
    answers(&place, "b.jsonl", &["eins", "zwei"]);
    let stub = judge("I would rather not say.");
    let judge = format!("--endpoint {}/v1 --endpoint-model m --chat --backoff 0.01 --out out", stub.address);
    let error = place.fails(&format!("eval duel --a a.jsonl --b b.jsonl {judge}"), 2);
    assert!(error.contains("the judge gave no verdict") && error.contains("2 pairs"), "{error}");
    place.write("c.jsonl", "{\"prompt\": \"Another\", \"completion\": \"x\"}\n");
    let error = place.fails(&format!("eval duel --a a.jsonl --b c.jsonl {judge}"), 1);
    assert!(error.contains("no prompt in common"), "{error}");
    place.write("d.jsonl", "{\"prompt\": 7}\n");
    let error = place.fails(&format!("eval duel --a a.jsonl --b d.jsonl {judge}"), 1);
    assert!(error.contains("d.jsonl:1: ") && error.contains("expected `prompt`"), "{error}");
}
