//! Rewards over HTTP: what is sent, and what is made of bad answers.
#![allow(clippy::unwrap_used)]
use endpoint::reward::{Item, RewardClient};
use endpoint::{ServiceError, ServiceSettings};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Answers one request after the other with these statuses and bodies; reports what it was asked.
fn service(answers: Vec<(u16, String)>) -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/score", listener.local_addr().unwrap());
    let (sender, asked) = channel();
    std::thread::spawn(move || {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = n.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut question = vec![0; length];
            reader.read_exact(&mut question).unwrap();
            sender.send(serde_json::from_slice(&question).unwrap()).unwrap();
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(body.as_bytes()).unwrap();
        }
    });
    (url, asked)
}

fn client(url: &str) -> RewardClient {
    let quick = Duration::from_millis(1);
    RewardClient::new(ServiceSettings { batch: 2, backoff: quick, ..ServiceSettings::new(url) })
}

fn items() -> Vec<Item<'static>> {
    let prompt = json!([{"role": "user", "content": "p"}]);
    ["a", "b", "c"].map(|completion| Item { prompt: prompt.clone(), completion }).into()
}

#[test]
fn batches_go_out_and_rewards_come_back_in_order() {
    let (url, asked) = service(vec![
        (503, String::new()),
        (200, r#"{"rewards": [1, -0.5]}"#.into()),
        (200, r#"{"rewards": [2]}"#.into()),
    ]);
    assert_eq!(client(&url).rewards(&items()).unwrap(), [1.0, -0.5, 2.0]);
    let first = asked.recv().unwrap();
    assert_eq!(first["items"][1], json!({"prompt": [{"role": "user", "content": "p"}], "completion": "b"}));
    assert_eq!(asked.recv().unwrap(), first, "the batch that failed is sent again");
    assert_eq!(asked.recv().unwrap()["items"].as_array().unwrap().len(), 1);
}

#[test]
fn nonsense_is_refused_at_once() {
    for (body, part) in [
        ("no", "\"no\""),
        (r#"{"rewards": [1]}"#, "1 rewards, expected"),
        (r#"{"rewards": [1, "x"]}"#, "invalid type"),
        (r#"{"rewards": [1, 1e999]}"#, ""),
        (r#"{"scores": [1, 2]}"#, "rewards"),
    ] {
        let (url, _asked) = service(vec![(200, body.into())]);
        let error = client(&url).rewards(&items()[..2]).unwrap_err();
        assert!(matches!(error, ServiceError::Malformed { .. }) && !error.is_missing(), "{error}");
        assert!(error.to_string().contains(part) && error.to_string().contains(&url), "{error}");
    }
}

#[test]
fn a_service_that_is_silent_or_gone_is_missing() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let settings = ServiceSettings { timeout: Duration::from_millis(100), attempts: 2, ..ServiceSettings::new(&url) };
    let error = RewardClient::new(settings).rewards(&items()).unwrap_err();
    assert!(error.is_missing() && error.to_string().contains("timeout"), "{error}");
    drop(silent);
    let (url, _asked) = service(vec![(404, String::new())]);
    let error = client(&url).rewards(&items()[..1]).unwrap_err();
    assert!(matches!(error, ServiceError::Status { status: 404, .. }) && error.is_missing(), "{error}");
}
