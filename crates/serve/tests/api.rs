//! What clients of OpenAI's API rely on.
#![allow(missing_docs, clippy::unwrap_used)]
mod common;
use common::{Server, limits, settings, start, start_with};
use serde_json::{Value, json};
use serve::keys::Keys;
use serve::worker::WorkerLimits;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const CHAT: &str = "/v1/chat/completions";
const TEXT: &str = "/v1/completions";

/// A chat request with some fields more.
fn chat(more: &Value) -> Value {
    let mut body =
        json!({"model": "tiny", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8, "seed": 3});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn answered(server: &Server, path: &str, body: &Value) -> Value {
    let (status, answer) = server.post(path, body);
    assert_eq!(status, 200, "{answer}");
    answer
}

#[test]
fn a_chat_answer_has_the_shape_that_clients_read() {
    let server = start();
    let answer = answered(&server, CHAT, &chat(&json!({})));
    assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!("tiny")));
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert!(answer["created"].as_u64().unwrap() > 1_700_000_000);
    let choice = &answer["choices"][0];
    assert_eq!(choice["index"], 0);
    assert_eq!(choice["message"]["role"], "assistant");
    assert!(choice["message"]["content"].is_string());
    assert!(["stop", "length"].contains(&choice["finish_reason"].as_str().unwrap()));
    assert_eq!(choice["logprobs"], Value::Null);
    // `<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n`: two marks, the words and newlines, a byte a token.
    let prompt = 3 + "user\nHello".len() + "\n".len() + "assistant\n".len();
    assert_eq!(answer["usage"]["prompt_tokens"], prompt);
    let completion = answer["usage"]["completion_tokens"].as_u64().unwrap();
    assert!((1..=8).contains(&completion));
    assert_eq!(answer["usage"]["total_tokens"], prompt as u64 + completion);
}

#[test]
fn a_seed_makes_an_answer_repeatable_alone_or_in_company() {
    let server = start();
    let text = |body: &Value| answered(&server, CHAT, body)["choices"].clone();
    let body = chat(&json!({"n": 3, "max_tokens": 30}));
    let alone = text(&body);
    assert_eq!(alone.as_array().unwrap().len(), 3);
    assert!(alone[0]["message"] != alone[1]["message"], "samples draw from streams of their own");
    assert_ne!(text(&chat(&json!({"n": 3, "max_tokens": 30, "seed": 4}))), alone);
    std::thread::scope(|scope| {
        let busy = |seed: u64| chat(&json!({"max_tokens": 60, "seed": seed}));
        for seed in 0..6 {
            scope.spawn(move || busy(seed)).join().unwrap();
            let server = &server;
            scope.spawn(move || answered(server, CHAT, &busy(seed)));
        }
        assert_eq!(text(&body), alone);
    });
}

#[test]
fn a_stream_is_the_answer_in_pieces() {
    let server = start();
    for n in [1, 3] {
        let body = chat(&json!({"n": n, "max_tokens": 20}));
        let whole = answered(&server, CHAT, &body);
        let mut streamed = body.clone();
        streamed["stream"] = json!(true);
        streamed["stream_options"] = json!({"include_usage": true});
        let mut events = server.stream(CHAT, &streamed);
        let last = events.pop().unwrap();
        assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &whole["usage"]));
        let mut texts = vec![String::new(); n];
        let mut reasons = vec![Value::Null; n];
        let mut opened = vec![false; n];
        for event in &events {
            assert_eq!(event["object"], "chat.completion.chunk");
            assert_eq!(event["id"], events[0]["id"]);
            let choice = &event["choices"][0];
            let index = choice["index"].as_u64().unwrap() as usize;
            assert_eq!(reasons[index], Value::Null, "nothing comes after the end");
            opened[index] |= choice["delta"]["role"] == "assistant";
            assert!(opened[index], "the role comes first");
            texts[index] += choice["delta"]["content"].as_str().unwrap_or_default();
            reasons[index] = choice["finish_reason"].clone();
        }
        for (i, (text, reason)) in texts.iter().zip(&reasons).enumerate() {
            assert_eq!(
                (&whole["choices"][i]["message"]["content"], &whole["choices"][i]["finish_reason"]),
                (&json!(text), reason)
            );
        }
    }
}

#[test]
fn completions_take_texts_and_tokens() {
    let server = start();
    let ask = |prompt: Value| {
        let body = json!({"model": "other-alias", "prompt": prompt, "max_tokens": 5, "temperature": 0});
        answered(&server, TEXT, &body)
    };
    let text = ask(json!("ab"));
    assert_eq!((&text["object"], &text["model"]), (&json!("text_completion"), &json!("other")));
    assert_eq!(text["usage"]["prompt_tokens"], 2);
    let of = |answer: &Value, i: usize| answer["choices"][i]["text"].clone();
    assert_eq!(of(&text, 0), of(&ask(json!([97, 98])), 0));
    let several = ask(json!(["ab", "xyz"]));
    assert_eq!((of(&several, 0), &several["usage"]["prompt_tokens"]), (of(&text, 0), &json!(5)));
    assert_eq!(several["choices"][1]["index"], 1);
    assert_eq!(of(&ask(json!([[97, 98], [120]])), 0), of(&text, 0));
    // Without max_tokens a completion has 16, as OpenAI has it.
    let usual =
        answered(&server, TEXT, &json!({"model": "tiny", "prompt": "ab", "logit_bias": {"256": -100, "258": -100}}));
    assert_eq!(usual["usage"]["completion_tokens"], 16);
}

#[test]
fn log_probs_come_in_either_shape() {
    let server = start();
    let no_end = json!({"256": -100, "258": -100});
    let body = chat(&json!({"logprobs": true, "top_logprobs": 2, "temperature": 0, "logit_bias": no_end}));
    let content = answered(&server, CHAT, &body)["choices"][0]["logprobs"]["content"].clone();
    assert_eq!(content.as_array().unwrap().len(), 8);
    for entry in content.as_array().unwrap() {
        assert!(entry["logprob"].as_f64().unwrap() <= 0.0);
        let top = entry["top_logprobs"].as_array().unwrap();
        assert_eq!(top.len(), 2);
        assert!(top[0]["logprob"].as_f64().unwrap() >= top[1]["logprob"].as_f64().unwrap());
    }
    let mut streamed = body;
    streamed["stream"] = json!(true);
    let events = server.stream(CHAT, &streamed);
    let pieces = events.iter().filter_map(|event| event["choices"][0]["logprobs"]["content"].as_array());
    assert_eq!(pieces.flatten().cloned().collect::<Vec<_>>(), *content.as_array().unwrap());
    let body = json!({"model": "tiny", "prompt": "ab", "max_tokens": 4, "logprobs": 3, "logit_bias": no_end});
    let log_probs = answered(&server, TEXT, &body)["choices"][0]["logprobs"].clone();
    for column in ["tokens", "token_logprobs", "text_offset", "top_logprobs"] {
        assert_eq!(log_probs[column].as_array().unwrap().len(), 4, "{column}");
    }
}

#[test]
fn a_stop_text_ends_an_answer_and_is_no_part_of_it() {
    let server = start();
    let long = json!({"max_tokens": 40, "temperature": 0, "logit_bias": {"256": -100, "258": -100}});
    let free = answered(&server, CHAT, &chat(&long))["choices"][0]["message"]["content"].clone();
    let free = free.as_str().unwrap();
    let at = free.char_indices().nth(4).unwrap().0;
    let stop: String = free[at..].chars().take(2).collect();
    let mut more = long.clone();
    more["stop"] = json!([stop, "never said"]);
    let choice = answered(&server, CHAT, &chat(&more))["choices"][0].clone();
    let before = &free[..free.find(&stop).unwrap()];
    assert_eq!((&choice["message"]["content"], &choice["finish_reason"]), (&json!(before), &json!("stop")));
}

#[test]
fn what_is_wrong_is_named() {
    let server = start();
    let refused = |path: &str, body: Value, status: u16, param: Value, says: &str| {
        let (found, answer) = server.post(path, &body);
        let error = &answer["error"];
        assert_eq!((found, &error["param"]), (status, &param), "{body} → {answer}");
        assert!(error["message"].as_str().unwrap().contains(says), "{answer}, expected {says:?}");
        assert!(error["type"].is_string());
    };
    let chat_refused = |more: Value, param: &str, says: &str| refused(CHAT, chat(&more), 400, json!(param), says);
    chat_refused(json!({"temperature": 3}), "temperature", "3");
    chat_refused(json!({"temperature": "hot"}), "temperature", "hot");
    chat_refused(json!({"n": 0}), "n", "from 1");
    chat_refused(json!({"n": 1000}), "n", "1000");
    chat_refused(json!({"stop": ["a", ""]}), "stop", "empty");
    chat_refused(json!({"messages": []}), "messages", "empty");
    chat_refused(json!({"messages": [{"role": "king", "content": "x"}]}), "messages[0].role", "king");
    chat_refused(json!({"messages": [{"role": "user", "content": 7}]}), "messages[0].content", "7");
    chat_refused(
        json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
        "messages[0].content",
        "image",
    );
    chat_refused(json!({"tools": [{"type": "function"}]}), "tools", "does not do that");
    chat_refused(json!({"response_format": {"type": "json_object"}}), "response_format", "json_object");
    chat_refused(json!({"top_logprobs": 2}), "top_logprobs", "needs `logprobs`");
    chat_refused(json!({"stream_options": {"include_usage": true}}), "stream_options", "needs `stream`");
    chat_refused(json!({"logit_bias": {"x": 1}}), "logit_bias", "tokens");
    chat_refused(json!({"wat": 1}), "wat", "not known");
    chat_refused(json!({"messages": [{"role": "user", "content": "x".repeat(200)}]}), "messages", "context is 128");
    refused(CHAT, chat(&json!({"model": "gpt-5"})), 404, json!("model"), "tiny");
    refused(CHAT, json!({"messages": []}), 400, json!("model"), "missing");
    refused(TEXT, json!({"model": "tiny"}), 400, json!("prompt"), "missing");
    refused(TEXT, json!({"model": "tiny", "prompt": [999_999]}), 400, json!("prompt"), "999999");
    refused(TEXT, json!({"model": "tiny", "prompt": "x", "echo": true}), 400, json!("echo"), "does not do that");
    refused(TEXT, json!({"model": "tiny", "prompt": ""}), 400, json!("prompt"), "empty");
    refused("/v1/embeddings", json!({}), 404, Value::Null, "/v1/embeddings");
    // What asks for nothing, or for what is the case anyway, is no reason to refuse.
    let harmless = json!({"user": "u", "tools": [], "response_format": {"type": "text"}, "stop": null, "top_p": 0.9, "temperature": 0,
        "metadata": {"a": "b"}, "frequency_penalty": 0, "top_k": 5, "min_p": 0.1});
    answered(&server, CHAT, &chat(&harmless));
    let parts = json!({"messages": [{"role": "developer", "content": "be kind"}, {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]});
    answered(&server, CHAT, &chat(&parts));
}

#[test]
fn malformed_bodies_are_refused_in_the_same_shape() {
    let server = start();
    for body in ["", "{", "[1]", "\"x\"", "{\"model\": \"tiny\",}", "\u{0}", &"[".repeat(100_000)] {
        let mut response = server.agent.post(server.url(CHAT)).content_type("application/json").send(body).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        assert_eq!(response.status().as_u16(), 400, "{text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert!(answer["error"]["message"].as_str().unwrap().contains("JSON"), "{answer}");
    }
    let mut response = server.agent.get(server.url(CHAT)).call().unwrap();
    assert_eq!(response.status().as_u16(), 405);
    assert!(response.body_mut().read_to_string().unwrap().contains("GET is not possible"));
}

#[test]
fn models_are_listed_by_name_and_alias() {
    let server = start();
    let list: Value = serde_json::from_str(&server.get("/v1/models").1).unwrap();
    let names: Vec<&str> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["tiny", "tiny-alias", "other", "other-alias"]);
    let one: Value = serde_json::from_str(&server.get("/v1/models/other-alias").1).unwrap();
    assert_eq!(
        (&one["id"], &one["root"], &one["max_model_len"]),
        (&json!("other-alias"), &json!("other"), &json!(128))
    );
    assert_eq!(server.get("/v1/models/none").0, 404);
}

#[test]
fn health_and_metrics_tell_what_was_done() {
    let server = start();
    answered(&server, CHAT, &chat(&json!({"logit_bias": {"256": -100, "258": -100}})));
    server.post(CHAT, &json!({}));
    let health: Value = serde_json::from_str(&server.get("/healthz").1).unwrap();
    assert_eq!((&health["status"], &health["models"]), (&json!("ok"), &json!(["tiny", "other"])));
    let (_, page) = server.get("/metrics");
    for line in [
        "helpmate_requests_total{route=\"/v1/chat/completions\",status=\"200\"} 1",
        "helpmate_requests_total{route=\"/v1/chat/completions\",status=\"400\"} 1",
        "helpmate_completion_tokens_total{model=\"tiny\"} 8",
        "helpmate_first_token_seconds_count{model=\"tiny\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "no {line:?} in\n{page}");
    }
}

#[test]
fn keys_are_asked_for_where_there_are_some() {
    let server = start_with(limits(), settings(), |app| app.keys = Keys::parse("alice 0123456789abcdef").unwrap());
    let ask = |key: Option<&str>| {
        let mut post = server.agent.post(server.url(CHAT));
        if let Some(key) = key {
            post = post.header("Authorization", key);
        }
        post.send_json(chat(&json!({}))).unwrap()
    };
    assert_eq!(ask(Some("Bearer 0123456789abcdef")).status().as_u16(), 200);
    for wrong in [None, Some("Bearer nope"), Some("0123456789abcdef"), Some("Basic 0123456789abcdef"), Some("Bearer ")]
    {
        let mut response = ask(wrong);
        assert_eq!(response.status().as_u16(), 401, "{wrong:?}");
        let text = response.body_mut().read_to_string().unwrap();
        assert!(text.contains("invalid_api_key"), "{text}");
    }
    assert_eq!((server.get("/v1/models").0, server.get("/metrics").0, server.get("/healthz").0), (401, 401, 200));
    assert_eq!(server.get("/chat").0, 401);
}

#[test]
fn who_comes_when_the_queue_is_full_is_told_so_and_loses_nothing() {
    let few = WorkerLimits { batch: 1, queue: 2, ..limits() };
    let server = start_with(few, settings(), |_| ());
    let body = chat(&json!({"max_tokens": 100, "n": 6, "logit_bias": {"256": -100, "258": -100}}));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..24).map(|_| scope.spawn(|| server.post(CHAT, &body).0)).collect();
        asked.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let n_of = |status: u16| statuses.iter().filter(|found| **found == status).count();
    assert_eq!(n_of(200) + n_of(429), 24, "{statuses:?}");
    assert!(n_of(429) > 0 && n_of(200) >= 2, "{statuses:?}");
    assert_eq!(server.post(CHAT, &chat(&json!({}))).0, 200, "afterwards there is room");
}

/// A client that hangs up, in the middle of a stream or while it waits, costs nothing more.
#[test]
fn who_hangs_up_is_forgotten() {
    let server = start();
    let endless = |stream: bool| {
        chat(&json!({"stream": stream, "n": 64, "max_tokens": 100, "logit_bias": {"256": -100, "258": -100}}))
            .to_string()
    };
    for stream in [true, false] {
        let before = n_tokens(&server);
        let body = endless(stream);
        let mut client = TcpStream::connect(server.address()).unwrap();
        write!(client, "POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .unwrap();
        if stream {
            client.read_exact(&mut [0; 64]).unwrap();
        } else {
            wait_until(|| n_tokens(&server) > before);
        }
        drop(client);
        wait_until(|| active(&server) == 0);
        let made = n_tokens(&server) - before;
        assert!(made < 64 * 100, "all {made} tokens were written for nobody");
    }
}

fn gauge(server: &Server, name: &str) -> u64 {
    let (_, page) = server.get("/metrics");
    let line = page.lines().find(|line| line.starts_with(&format!("{name}{{model=\"tiny\"")));
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

fn n_tokens(server: &Server) -> u64 {
    gauge(server, "helpmate_completion_tokens_total")
}

fn active(server: &Server) -> u64 {
    gauge(server, "helpmate_completions_active")
}

fn wait_until(is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(120), "it never came to that");
        std::thread::sleep(Duration::from_millis(5));
    }
}
