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

#[test]
fn a_reward_judges_and_the_report_shows_the_duel() {
    let place = Place::new();
    answers(&place, "short.jsonl", &["one two", "one two three", "one", "one two"]);
    answers(&place, "long.jsonl", &["a b c d", "a b c d", "a b c d", "a b"]);
    let duel = "eval duel --a short.jsonl --b long.jsonl --reward rule:words:4 --out out";
    let found: Value = serde_json::from_str(&place.run(&format!("{duel} --json"))).unwrap();
    // Four words are what the rule wants: three pairs are won, the last is a tie.
    assert_eq!((&found["n"], &found["win_rate"]), (&4.into(), &0.875.into()), "{found}");
    assert_eq!((&found["judged_by"], &found["judge"]), (&"reward".into(), &"rule:words:4".into()));
    assert_eq!((&found["strict"], &found["first_favoured"]), (&json!([3, 0, 1]), &Value::Null));
    let table = place.run(duel);
    assert!(table.contains("judged by the reward rule:words:4") && !table.contains("both orders"), "{table}");
    place.run("eval report out --out page.html");
    let page = place.read("page.html");
    assert!(page.contains("<h2>Preferred by the reward rule:words:4</h2>"), "{page}");
    assert!(page.contains("long against short") && page.contains("3 / 1 / 0"), "{page}");
    assert!(place.read("page.md").contains("| long against short | 0.875 ["));
    // Who judges is said once.
    let error = place.fails(&format!("{duel} --model tiny"), 2);
    assert!(error.contains("cannot be used with"), "{error}");
    let error = place.fails("eval duel --a short.jsonl --b long.jsonl --out out", 2);
    assert!(error.contains("--model"), "{error}");
}

#[test]
fn a_judge_that_refuses_or_does_not_answer_loses_nothing_and_makes_no_number_up() {
    let place = Place::new();
    answers(&place, "a.jsonl", &["one", "two"]);
    answers(&place, "b.jsonl", &["eins", "zwei"]);
    let duel = |address: &str| {
        format!(
            "eval duel --a a.jsonl --b b.jsonl --endpoint {address}/v1 --endpoint-model m --chat --attempts 1 --backoff 0.01 --out out"
        )
    };
    // Nobody ever answers on this socket.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = place.fails(&format!("{} --timeout 1", duel(&format!("http://{}", silent.local_addr().unwrap()))), 3);
    assert!(error.contains("what was answered is kept"), "{error}");
    let stub = Stub::start();
    stub.reply("/v1/chat/completions", Reply::Status(503));
    let error = place.fails(&duel(&stub.address), 3);
    assert!(error.contains("503") && error.contains("what was answered is kept"), "{error}");
    assert!(!place.path("out/duel.json").exists() && !place.path("out/pairs.jsonl").exists());
    // It comes back, and likes the second place.
    let body = json!({"choices": [{"message": {"content": "The second.\n[[B]]"}, "finish_reason": "stop"}]});
    stub.reply("/v1/chat/completions", Reply::Body(body.to_string().into_bytes()));
    let found: Value = serde_json::from_str(&place.run(&format!("{} --json", duel(&stub.address)))).unwrap();
    assert_eq!((&found["n"], &found["off_format"], &found["consistent"]), (&2.into(), &json!([0, 4]), &0.0.into()));
}
