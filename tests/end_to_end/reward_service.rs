//! A service of rewards or scores on this machine, for tests: answers as it is told to, and counts.

use serde_json::{Value, json};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What it does with a request.
pub enum Answer {
    /// These rewards.
    Rewards(Vec<f64>),
    /// These scores of texts.
    Scores(Vec<f64>),
    /// Status 200 and this.
    Body(String),
    /// A status without a body.
    Status(u16),
    /// Never answers.
    Silence,
}

/// The running service; its threads end with the process.
pub struct RewardService {
    pub url: String,
    asked: Arc<AtomicUsize>,
}

impl RewardService {
    /// `answer` gets the number of the request, from 1, and the completions (or texts) it is about.
    pub fn start(answer: impl Fn(usize, &[String]) -> Answer + Send + Sync + 'static) -> RewardService {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/reward", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, answer) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (count, answer) = (count.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &count, &*answer));
            }
        });
        RewardService { url, asked }
    }

    /// Requests so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A reward that is the same for the same text: the share of letters, and a little for length.
pub fn of_text(completions: &[String]) -> Answer {
    let letters = |text: &String| text.chars().filter(char::is_ascii_lowercase).count() as f64;
    let reward = |text: &String| letters(text) / (1 + text.len()) as f64 + text.len() as f64 / 64.0;
    Answer::Rewards(completions.iter().map(reward).collect())
}

fn serve(mut stream: TcpStream, count: &AtomicUsize, answer: &dyn Fn(usize, &[String]) -> Answer) {
    let Some(question) = testkit::http::json_body(&stream) else { return };
    let items = question["items"].as_array().cloned().unwrap_or_default();
    let text = |item: &Value| item["completion"].as_str().unwrap_or_default().to_string();
    let mut completions: Vec<String> = items.iter().map(text).collect();
    // Of a scoring service: bare texts.
    let texts = question["texts"].as_array().into_iter().flatten();
    completions.extend(texts.filter_map(|text| text.as_str().map(str::to_owned)));
    let number = count.fetch_add(1, Ordering::SeqCst) + 1;
    let (status, body) = match answer(number, &completions) {
        Answer::Rewards(rewards) => (200, json!({"rewards": rewards}).to_string()),
        Answer::Scores(scores) => (200, json!({"scores": scores}).to_string()),
        Answer::Body(body) => (200, body),
        Answer::Status(status) => (status, String::new()),
        Answer::Silence => return std::thread::sleep(Duration::from_secs(600)),
    };
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}
