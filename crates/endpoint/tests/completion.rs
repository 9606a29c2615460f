//! The client of completions against a service on this machine that misbehaves.

mod stub;

use endpoint::completion::{CompletionAnswer, CompletionClient, CompletionRequest, CompletionSettings};
use std::time::Duration;
use stub::{Reply, Stub};

const ANSWER: &[u8] = br#"{"choices": [{"text": " one", "finish_reason": "length"}], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}"#;

fn request() -> CompletionRequest {
    CompletionRequest {
        prompt: "Count:".into(),
        max_tokens: 2,
        temperature: 0.0,
        top_p: 0.0,
        presence_penalty: 0.5,
        stop: vec!["\n".into()],
    }
}

fn client(stub: &Stub, chat: bool) -> CompletionClient {
    let base = format!("{}/v1/", stub.address);
    let settings = CompletionSettings::new(&base, "m");
    CompletionClient::new(CompletionSettings {
        chat,
        attempts: 3,
        backoff: Duration::from_millis(5),
        token: Some("secret".into()),
        ..settings
    })
}

fn expected() -> CompletionAnswer {
    CompletionAnswer { text: " one".into(), cut: true, prompt_tokens: 7, completion_tokens: 2 }
}

#[test]
fn a_plain_answer_and_one_by_messages() {
    let stub = Stub::start();
    stub.reply("/v1/completions", Reply::Body(ANSWER.to_vec()));
    assert_eq!(client(&stub, false).answer(&request()).expect("answered"), expected());
    assert_eq!(stub.asked()[0].authorization.as_deref(), Some("Bearer secret"));
    let message = br#"{"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}"#;
    stub.reply("/v1/chat/completions", Reply::Body(message.to_vec()));
    let answer = client(&stub, true).answer(&request()).expect("answered");
    assert_eq!((&answer.text[..], answer.cut, answer.prompt_tokens), ("hi", false, 0));
}

#[test]
fn what_may_pass_is_tried_again() {
    for status in [429, 500, 503] {
        let stub = Stub::start();
        stub.reply("/v1/completions", Reply::StatusThenBody(status, 2, ANSWER.to_vec()));
        assert_eq!(client(&stub, false).answer(&request()).expect("the third time"), expected());
        assert_eq!(stub.asked().len(), 3);
    }
    // The connection closes in the middle of the JSON.
    let stub = Stub::start();
    stub.reply("/v1/completions", Reply::BreaksOnce(ANSWER.to_vec(), 30));
    assert_eq!(client(&stub, false).answer(&request()).expect("the second time"), expected());
}

#[test]
fn what_does_not_pass_is_said() {
    let check = |reply: Reply, times: usize, missing: bool, expected: &str| {
        let stub = Stub::start();
        stub.reply("/v1/completions", reply);
        let error = client(&stub, false).answer(&request()).expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!((stub.asked().len(), error.is_missing()), (times, missing), "{error}");
    };
    check(Reply::Status(401), 1, true, "status 401");
    check(Reply::Status(400), 1, false, "status 400");
    check(Reply::Status(500), 3, true, "status 500");
    check(Reply::Body(b"{\"choices\": [".to_vec()), 3, true, "EOF");
    check(Reply::Body(b"{\"choices\": []}".to_vec()), 3, true, "no text");
}
