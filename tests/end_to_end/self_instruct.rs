//! Self-Instruct through the binary against a service that fails, stalls and repeats itself: nothing is lost, nothing is
//! doubled, and a run that is killed comes out as if it hadn't been.

use crate::{Place, rows};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What a service did.
#[derive(Default)]
struct Ledger {
    /// Requests that came, answered or not.
    asked: AtomicUsize,
    /// Good answers by prompt.
    answered: Mutex<BTreeMap<String, usize>>,
}

impl Ledger {
    fn n_answered(&self) -> usize {
        self.answered.lock().unwrap().values().sum()
    }
}

/// An OpenAI-compatible service. What it answers depends on the prompt alone; every fifth request is refused for its
/// rate, every seventh fails, every ninth breaks off, and the eighth never gets an answer. Each good answer takes `pause`.
fn service(pause: Duration) -> (String, Arc<Ledger>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let ledger = Arc::new(Ledger::default());
    let shared = ledger.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let ledger = shared.clone();
            std::thread::spawn(move || answer(stream, &ledger, pause));
        }
    });
    (base, ledger)
}

fn answer(mut stream: TcpStream, ledger: &Ledger, pause: Duration) {
    let Some(question) = testkit::http::json_body(&stream) else { return };
    let n = ledger.asked.fetch_add(1, Ordering::SeqCst) + 1;
    let mut reply = |status: u16, body: &str, length: usize| {
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        stream.write_all(format!("{head}{body}").as_bytes()).is_ok()
    };
    let prompt = question["prompt"].as_str().unwrap_or_default().to_owned();
    let body = json!({"choices": [{"text": text(&prompt), "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 30, "completion_tokens": 20}})
    .to_string();
    match n {
        8 => std::thread::sleep(Duration::from_secs(3)),
        n if n % 5 == 0 => drop(reply(429, "", 0)),
        n if n % 7 == 0 => drop(reply(500, "", 0)),
        n if n % 9 == 0 => drop(reply(200, &body[..body.len() / 2], body.len())),
        _ => {
            std::thread::sleep(pause);
            if reply(200, &body, body.len()) {
                *ledger.answered.lock().unwrap().entry(prompt).or_default() += 1;
            }
        }
    }
}

/// Two instructions of its own for each prompt, and always the same third one.
fn text(prompt: &str) -> String {
    if prompt.ends_with("Is it classification?") {
        return " No".to_owned();
    }
    if !prompt.starts_with("Come up with") {
        return "Example 1\nInput: the input\nOutput: the output".to_owned();
    }
    let hash = stdx::hash::bytes(prompt.as_bytes());
    let words = |from: usize| (0..5).map(|i| format!("x{}", &hash[from + 4 * i..from + 4 * i + 4])).collect::<Vec<_>>();
    let [one, two] = [words(0).join(" "), words(24).join(" ")];
    format!(" Explain {one} to me\n10. Describe {two} for us\n11. Tell me the same old thing again")
}

const OPTIONS: &str = "--target 24 --timeout 1 --attempts 20 --backoff 0.01 --prompts-per-round 3 --seed 4";

fn command(base: &str, out: &str) -> String {
    format!("self-instruct run --endpoint {base} --endpoint-model m --out {out} {OPTIONS}")
}

fn spawn(place: &Place, arguments: &str) -> Child {
    Command::new(place.command("").get_program())
        .args(arguments.split_whitespace())
        .current_dir(place.path(""))
        .env("HELPMATE_HOME", place.path("home"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The files that must be the same whatever happened on the way.
const RESULTS: [&str; 3] = ["tasks.jsonl", "judged.jsonl", "audit.jsonl"];

#[test]
fn killed_anywhere_it_comes_out_the_same() {
    let place = Place::new();
    let (base, ledger) = service(Duration::ZERO);
    place.run(&command(&base, "whole"));
    let whole = RESULTS.map(|name| place.read(&format!("whole/{name}")));
    assert_eq!(rows(&whole[0]).len(), 24);
    let dropped = rows(&whole[1]).iter().filter(|row| row["reason"] == "similar").count();
    assert!(dropped >= 5, "the same old thing stays once: {dropped}");
    // Nothing lost, nothing doubled: every good answer is kept, and no prompt was answered twice.
    let kept = rows(&place.read("whole/answers.jsonl"));
    assert_eq!(ledger.n_answered(), kept.len());
    assert!(ledger.answered.lock().unwrap().values().all(|&n| n == 1));

    // The same against a service of its own, killed again and again.
    let (base, ledger) = service(Duration::from_millis(20));
    let again = command(&base, "parts");
    let (mut kills, began) = (0, Instant::now());
    for at in [2, 9, 17, 26, 40, 58] {
        let mut child = spawn(&place, &again);
        while ledger.n_answered() < at && child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(120), "only {} answers", ledger.n_answered());
            std::thread::sleep(Duration::from_millis(1));
        }
        kills += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(kills >= 4, "it was over after {kills} kills");
    place.run(&again);
    assert_eq!(RESULTS.map(|name| place.read(&format!("parts/{name}"))), whole);
    let kept = rows(&place.read("parts/answers.jsonl"));
    let hashes: BTreeSet<&str> = kept.iter().filter_map(|row| row["hash"].as_str()).collect();
    assert_eq!(hashes.len(), kept.len(), "an answer is kept twice");
    // Asked again is only what was on its way when a kill came: four at once at most.
    assert!(ledger.n_answered() <= kept.len() + 4 * kills, "{} answers, {} kept", ledger.n_answered(), kept.len());
    let reports =
        ["whole", "parts"].map(|run| serde_json::from_str(&place.read(&format!("{run}/report.json"))).unwrap());
    let [whole, parts]: [Value; 2] = reports;
    assert_eq!(whole, parts, "what was spent is counted over all parts");
}

#[test]
fn a_budget_ends_it_and_a_larger_one_goes_on() {
    let place = Place::new();
    let (base, ledger) = service(Duration::ZERO);
    let command = command(&base, "run");
    // 30 tokens in and 20 out, at 1 and 5 a million: 130 a million answers; 7 answers cost 0.00091.
    let prices = "--price-in 1 --price-out 5 --concurrency 1";
    let error = place.fails(&format!("{command} {prices} --budget 0.0009"), 1);
    assert!(error.contains("the budget is spent: 0.0009") && error.contains("a larger budget goes on"), "{error}");
    assert!(error.contains("7 answers, 210 tokens in, 140 out, cost 0.0009"), "{error}");
    assert_eq!(ledger.n_answered(), 7);
    place.run(&format!("{command} {prices} --budget 1"));
    assert_eq!(rows(&place.read("run/tasks.jsonl")).len(), 24);
    assert_eq!(ledger.n_answered(), rows(&place.read("run/answers.jsonl")).len());
    let report: Value = serde_json::from_str(&place.read("run/report.json")).unwrap();
    let n = ledger.n_answered() as f64;
    assert!((report["cost"].as_f64().unwrap() - n * 130e-6).abs() < 1e-9, "{report}");
    let error = place.fails(&format!("{command} --budget 1"), 2);
    assert!(error.contains("--budget does nothing without prices"), "{error}");
}

#[test]
fn a_service_that_refuses_or_is_not_there_exits_with_3() {
    let place = Place::new();
    let check = |status: u16, body: &str, code: i32, expected: &str| {
        let stub = crate::stub::Stub::start();
        let reply = match status {
            200 => crate::stub::Reply::Body(body.as_bytes().to_vec()),
            status => crate::stub::Reply::Status(status),
        };
        stub.reply("/v1/completions", reply);
        let arguments = format!(
            "self-instruct run --endpoint {}/v1 --endpoint-model m --out run{status}{code} --target 2 --attempts 2 \
             --backoff 0.01 --timeout 1",
            stub.address
        );
        let error = place.fails(&arguments, code);
        assert!(error.contains(expected) && error.contains("/v1/completions"), "{error}");
    };
    check(401, "", 3, "status 401, expected 200");
    check(429, "", 3, "status 429, expected 200");
    check(500, "", 3, "status 500, expected 200");
    check(404, "", 1, "status 404, expected 200");
    check(200, "{\"choices\": [{\"te", 3, "EOF while parsing");
    // A service that accepts and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let options = "--endpoint-model m --out slow --target 2 --attempts 2 --backoff 0.01 --timeout 1";
    let error = place.fails(&format!("self-instruct run --endpoint {url} {options}"), 3);
    assert!(error.contains("timeout") && error.contains("the same command goes on"), "{error}");
}

#[test]
fn a_local_model_answers_each_request_the_same_whatever_else_is_asked() {
    let place = Place::new();
    // A context that holds the prompts; the tiny model has no weights for places.
    let config =
        place.read("tiny/config.json").replace("\"max_position_embeddings\": 128", "\"max_position_embeddings\": 4096");
    place.write("tiny/config.json", &config);
    let options = "--model tiny --target 3 --barren-rounds 2 --prompts-per-round 3 --max-new-tokens 24 --recipe paper";
    place.run(&format!("self-instruct run {options} --out whole"));
    let error = place.fails(&format!("self-instruct run {options} --out parts --max-requests 2"), 1);
    assert!(error.contains("2 of 2 requests") || error.contains("2 requests"), "{error}");
    place.run(&format!("self-instruct run {options} --out parts"));
    let answers = |run: &str| {
        let kept = rows(&place.read(&format!("{run}/answers.jsonl")));
        kept.into_iter().map(|row| (row["hash"].to_string(), row["answer"].to_string())).collect::<BTreeMap<_, _>>()
    };
    assert!(answers("whole").len() >= 6);
    assert_eq!(answers("whole"), answers("parts"));
    assert_eq!(place.read("whole/judged.jsonl"), place.read("parts/judged.jsonl"));
}
