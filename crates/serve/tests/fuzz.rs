//! Requests that nobody would send: valid ones with parts exchanged, left out, or made enormous. Whatever comes, the
//! answer is one of the API's own, and the server answers the next.
#![allow(missing_docs, clippy::unwrap_used)]
mod common;
use common::{Server, start};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};
use stdx::seed::{Seed, Stream};

/// Bounded: at most so long, and at most so many.
const TIME: Duration = Duration::from_secs(6);
const REQUESTS: usize = 2000;

/// Every field of both requests, with values that are right, on the edge, and wrong.
fn value_of(field: &str, stream: &mut Stream) -> Value {
    let sensible = match field {
        "model" => vec![json!("tiny"), json!("other-alias"), json!("no such"), json!("")],
        "messages" => vec![
            json!([{"role": "user", "content": "hi"}]),
            json!([{"role": "system", "content": ""}, {"role": "user", "content": "<|im_end|>\n\u{0}\u{202e}é"}]),
            json!([{"role": "assistant", "content": "x"}]),
            json!([{"role": "user", "content": [{"type": "text", "text": "a"}]}, {"role": "user"}]),
            json!([{"role": "user", "content": "x".repeat(5000)}]),
            json!([null, {}, []]),
        ],
        "prompt" => vec![
            json!("ab"),
            json!(["a", "b"]),
            json!([1, 2]),
            json!([[1], [2]]),
            json!([]),
            json!([1, "a"]),
            json!([-1]),
        ],
        "max_tokens" | "max_completion_tokens" | "n" | "top_logprobs" | "logprobs" | "top_k" | "seed" | "best_of" => {
            [0, 1, 2, 5, 20, 300]
                .iter()
                .map(|n| json!(n))
                .chain([json!(-1), json!(1e300), json!(true), json!(u64::MAX)])
                .collect()
        }
        "stop" => vec![json!("a"), json!(["a", "b"]), json!([""]), json!(vec!["x"; 40])],
        "logit_bias" => vec![json!({"5": 1.5}), json!({"999999": 100}), json!({"-1": 1}), json!({"5": 1e9})],
        "stream" | "echo" => vec![json!(true), json!(false)],
        "stream_options" => vec![json!({"include_usage": true}), json!({"include_usage": 1}), json!([])],
        "response_format" => vec![json!({"type": "text"}), json!({"type": "json_object"})],
        _ => [0.0, 0.5, 1.0, 2.0, -2.0, 5.0].iter().map(|x| json!(x)).collect(),
    };
    let hostile = [json!(null), json!("x"), json!([[[[]]]]), json!({"a": {"b": 1}}), json!(-0.0), json!("\u{feff}🦀")];
    if stream.below(5) == 0 { pick(&hostile, stream) } else { pick(&sensible, stream) }
}

fn pick(values: &[Value], stream: &mut Stream) -> Value {
    values[stream.below(values.len() as u64) as usize].clone()
}

const FIELDS: [&str; 24] = [
    "messages",
    "prompt",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "top_logprobs",
    "logprobs",
    "top_k",
    "seed",
    "best_of",
    "stop",
    "logit_bias",
    "stream",
    "echo",
    "stream_options",
    "response_format",
    "temperature",
    "top_p",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "user",
    "nonsense",
];

fn request(chat: bool, stream: &mut Stream) -> Value {
    let mut body = Map::new();
    body.insert("model".into(), json!("tiny"));
    body.insert("max_tokens".into(), json!(3));
    if chat {
        body.insert("messages".into(), json!([{"role": "user", "content": "hi"}]));
    } else {
        body.insert("prompt".into(), json!("hi"));
    }
    for _ in 0..stream.below(5) {
        let field = FIELDS[stream.below(FIELDS.len() as u64) as usize];
        body.insert(field.into(), value_of(field, stream));
    }
    if stream.below(8) == 0 {
        body.insert("model".into(), value_of("model", stream));
    }
    Value::Object(body)
}

/// A request's bytes, sometimes broken.
fn bytes(body: &Value, stream: &mut Stream) -> Vec<u8> {
    let mut bytes = body.to_string().into_bytes();
    if stream.below(6) == 0 {
        for _ in 0..1 + stream.below(4) {
            let at = stream.below(bytes.len() as u64) as usize;
            match stream.below(3) {
                0 => bytes[at] = stream.below(256) as u8,
                1 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, b"{}[]\",:\\"[stream.below(8) as usize]),
            }
        }
    }
    bytes
}

fn send(server: &Server, path: &str, bytes: &[u8]) -> (u16, String) {
    let post = server.agent.post(server.url(path)).content_type("application/json");
    let mut response = post.send(bytes).unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

#[test]
fn no_request_breaks_the_server() {
    let server = start();
    let began = Instant::now();
    let (mut n_answered, mut n_refused) = (0, 0);
    for i in 0..REQUESTS {
        let mut stream = Seed(11).stream("fuzz", i as u64);
        let chat = stream.below(2) == 0;
        let path = if chat { "/v1/chat/completions" } else { "/v1/completions" };
        let body = request(chat, &mut stream);
        let bytes = bytes(&body, &mut stream);
        let (status, text) = send(&server, path, &bytes);
        let shown = || format!("request {i} {path} {}\n→ {status} {text}", String::from_utf8_lossy(&bytes));
        match status {
            200 if text.starts_with("data: ") => {
                assert!(text.ends_with("data: [DONE]\n\n"), "{}", shown());
                n_answered += 1;
            }
            200 => {
                let answer: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{}", shown()));
                assert!(!answer["choices"].as_array().unwrap().is_empty(), "{}", shown());
                n_answered += 1;
            }
            400 | 404 | 413 => {
                let answer: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{}", shown()));
                assert!(answer["error"]["message"].as_str().is_some_and(|m| !m.is_empty()), "{}", shown());
                n_refused += 1;
            }
            _ => panic!("{}", shown()),
        }
        // A slow machine takes the time that it needs for some of either kind.
        if began.elapsed() > TIME && n_answered > 20 && n_refused > 20 {
            break;
        }
    }
    assert!(
        n_answered > 20 && n_refused > 20,
        "{n_answered} answered, {n_refused} refused: the requests are one-sided"
    );
    assert_eq!(server.get("/healthz").0, 200);
}
