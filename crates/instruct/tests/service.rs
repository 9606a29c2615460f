//! Self-Instruct against a service that fails, stalls and repeats itself.

use std::collections::HashMap;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use endpoint::completion::{CompletionClient, CompletionSettings};
use instruct::instance::Instance;
use instruct::prompt::Prompts;
use instruct::recipe::Recipe;
use instruct::run::{Outcome, SeedTask, Settings, run};
use instruct::writer::{Answers, Service, WriteError};
use serde_json::json;

/// What the service did.
#[derive(Default)]
struct Ledger {
    /// Successful answers by prompt.
    answered: Mutex<HashMap<String, usize>>,
    asked: AtomicUsize,
    /// From this request on it refuses everybody.
    refuses_from: AtomicUsize,
}

/// Every third request is refused for its rate, every fifth fails, every seventh stalls, every eleventh breaks off.
fn service() -> (String, Arc<Ledger>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let base = format!("http://{}/v1", listener.local_addr().expect("its address"));
    let ledger = Arc::new(Ledger { refuses_from: AtomicUsize::new(usize::MAX), ..Ledger::default() });
    let shared = Arc::clone(&ledger);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let ledger = Arc::clone(&shared);
            std::thread::spawn(move || answer(stream, &ledger));
        }
    });
    (base, ledger)
}

fn answer(mut stream: TcpStream, ledger: &Ledger) {
    let Some(question) = testkit::http::json_body(&stream) else { return };
    let n = ledger.asked.fetch_add(1, Ordering::SeqCst);
    let mut reply = |status: u16, body: &str, length: usize| {
        let _ = write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    };
    if n >= ledger.refuses_from.load(Ordering::SeqCst) {
        return reply(401, "", 0);
    }
    let prompt = question["prompt"].as_str().unwrap_or_default().to_owned();
    let body = json!({"choices": [{"text": text(&prompt), "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
    .to_string();
    match n {
        n if n % 3 == 1 => reply(429, "", 0),
        n if n % 5 == 1 => reply(503, "", 0),
        n if n % 7 == 1 => std::thread::sleep(Duration::from_millis(700)),
        n if n % 11 == 1 => reply(200, &body[..body.len() / 2], body.len()),
        _ => {
            *ledger.answered.lock().expect("no panic").entry(prompt).or_default() += 1;
            reply(200, &body, body.len());
        }
    }
}

/// Four words of its own for each prompt, and the same old task again and again.
fn text(prompt: &str) -> String {
    if prompt.ends_with("Is it classification?") {
        return " No".to_owned();
    }
    if !prompt.starts_with("Come up with") {
        return "Example 1\nInput: a\nOutput: b".to_owned();
    }
    let hash = stdx::hash::bytes(prompt.as_bytes());
    let words: Vec<&str> = (0..4).map(|i| &hash[5 * i..5 * i + 5]).collect();
    format!(" Say x{} to me\n10. Tell me the same old thing again", words.join(" x"))
}

fn seeds() -> Vec<SeedTask> {
    let names = ["anvil", "bassoon", "cellar", "dune", "ember", "fjord", "glacier", "harbour", "inkwell"];
    let seed = |name: &&str| SeedTask {
        instruction: format!("Describe {name} {name}s in the {name} way"),
        instances: vec![Instance { input: String::new(), output: (*name).to_owned() }],
        is_classification: false,
    };
    names.iter().map(seed).collect()
}

fn go(base: &str, path: &Path) -> Result<Outcome, WriteError> {
    let settings = CompletionSettings {
        attempts: 30,
        backoff: Duration::from_micros(1),
        timeout: Duration::from_millis(400),
        ..CompletionSettings::new(base, "stub")
    };
    let stopped = AtomicBool::new(false);
    let mut writer = Service::new(CompletionClient::new(settings), 4, None, &stopped);
    let mut answers = Answers::open(path)?;
    let settings = Settings::new(Recipe::Paper, 12);
    run(&seeds(), &Prompts::default(), &settings, &mut writer, &mut answers, &mut |_| {})
}

/// Ten a second are ten a second, whatever rounds they are asked in.
#[test]
fn a_rate_holds_over_calls() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (base, _) = service();
    let settings = CompletionSettings {
        attempts: 30,
        backoff: Duration::from_micros(1),
        ..CompletionSettings::new(&base, "stub")
    };
    let stopped = AtomicBool::new(false);
    let mut writer = Service::new(CompletionClient::new(settings), 4, Some(600), &stopped);
    let mut answers = Answers::open(&dir.path().join("a.jsonl")).expect("answers");
    let began = std::time::Instant::now();
    for round in 0..3_u64 {
        let request = |i: u64| (Prompts::default().classification(&format!("task {round} {i}")), 0);
        let requests = [request(0), request(1)];
        answers.of(&mut writer, &requests, &Default::default(), &mut |_| {}).expect("answered");
    }
    // Six requests: the last may be made 500 ms after the first.
    assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
}

#[test]
fn nothing_is_lost_and_nothing_doubled() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (base, ledger) = service();
    let whole = go(&base, &dir.path().join("whole.jsonl")).expect("finished");
    assert_eq!(whole.tasks.len(), 12);
    let answered = ledger.answered.lock().expect("no panic");
    let kept = std::fs::read_to_string(dir.path().join("whole.jsonl")).expect("kept").lines().count();
    assert_eq!(answered.values().sum::<usize>(), kept, "every answer is kept once");
    assert!(answered.values().all(|&n| n == 1), "no prompt is answered twice: {answered:?}");
    drop(answered);

    // A service that goes away in the middle, and comes back.
    let (base, ledger) = service();
    ledger.refuses_from.store(17, Ordering::SeqCst);
    let path = dir.path().join("parts.jsonl");
    let error = go(&base, &path).expect_err("refused").to_string();
    assert!(error.contains("status 401"), "{error}");
    ledger.refuses_from.store(usize::MAX, Ordering::SeqCst);
    assert_eq!(go(&base, &path).expect("finished").tasks, whole.tasks);
    assert!(ledger.answered.lock().expect("no panic").values().all(|&n| n == 1));
}
