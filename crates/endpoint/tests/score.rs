//! Scores over HTTP: what is sent, and what is made of bad answers.
#![allow(clippy::unwrap_used)]
mod stub;

use endpoint::score::ScoreClient;
use endpoint::{ServiceError, ServiceSettings};
use std::net::TcpListener;
use std::time::Duration;
use stub::{Reply, Stub};

const PATH: &str = "/score";

/// A client of a stub that replies so; two texts a request.
fn client(reply: Reply) -> (Stub, ScoreClient) {
    let stub = Stub::start();
    stub.reply(PATH, reply);
    let url = format!("{}{PATH}", stub.address);
    let quick = Duration::from_millis(1);
    let settings =
        ServiceSettings { batch: 2, backoff: quick, token: Some("secret".into()), ..ServiceSettings::new(&url) };
    (stub, ScoreClient::new(settings))
}

fn body(text: &str) -> Reply {
    Reply::Body(text.into())
}

#[test]
fn batches_go_out_and_what_may_pass_is_asked_again() {
    let (stub, client) = client(Reply::StatusThenBody(503, 2, br#"{"scores": [0, 0.25]}"#.to_vec()));
    assert_eq!(client.scores(&["a", "b", "c", "d"]).unwrap(), [0.0, 0.25, 0.0, 0.25]);
    let asked = stub.asked();
    // Two refusals, two batches.
    assert_eq!(asked.len(), 4);
    assert!(asked.iter().all(|asked| asked.authorization.as_deref() == Some("Bearer secret")));
}

#[test]
fn nonsense_is_refused_and_not_asked_again() {
    for (text, part) in [
        ("no", "\"no\""),
        (r#"{"scores": [0.5]}"#, "1 scores, expected"),
        (r#"{"scores": [0.5, 1.5]}"#, "a score of 1.5"),
        (r#"{"scores": [0.5, -0.1]}"#, "a score of -0.1"),
        (r#"{"scores": [0.5, null]}"#, "invalid type"),
        (r#"{"scores": [0.5, 1e999]}"#, "scores"),
        (r#"{"rewards": [0.5, 0.5]}"#, "missing field `scores`"),
    ] {
        let (stub, client) = client(body(text));
        let error = client.scores(&["a", "b"]).unwrap_err();
        assert!(matches!(error, ServiceError::Malformed { .. }) && !error.is_missing(), "{error}");
        assert!(error.to_string().contains(part) && error.to_string().contains(client.url()), "{error}");
        assert_eq!(stub.asked().len(), 1, "{text}");
    }
}

#[test]
fn a_service_that_refuses_is_silent_or_gone_is_missing() {
    let (stub, refusing) = client(Reply::Status(404));
    let error = refusing.scores(&["a"]).unwrap_err();
    assert!(matches!(error, ServiceError::Status { status: 404, .. }) && error.is_missing(), "{error}");
    assert_eq!(stub.asked().len(), 1, "404 doesn't pass");
    // It accepts and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let settings = ServiceSettings { timeout: Duration::from_millis(100), attempts: 1, ..ServiceSettings::new(&url) };
    let error = ScoreClient::new(settings).scores(&["a"]).unwrap_err();
    assert!(error.is_missing() && error.to_string().contains("timeout"), "{error}");
}
