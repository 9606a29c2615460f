//! `helpmate serve`, started and stopped as a person does.

use super::Place;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(place: &Place, arguments: &str) -> Server {
        let mut child = Command::new(place.command("").get_program())
            .args(["serve", "--address", "127.0.0.1:0", "--threads", "1"])
            .args(arguments.split_whitespace())
            .current_dir(place.folder.path())
            .env("HELPMATE_HOME", place.path("home"))
            .env("HF_HUB_OFFLINE", "1")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let found = lines.by_ref().find_map(|line| Some(line.split_once("http://")?.1.split('/').next()?.to_owned()));
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, address: found.expect("the server says where it listens") }
    }

    /// Status line and body.
    fn ask(&self, method: &str, path: &str, body: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn models_are_served_by_their_names_until_the_server_is_told_to_stop() {
    let place = Place::new();
    std::fs::create_dir(place.path("second")).unwrap();
    testkit::write_tiny_model(&place.path("second"), 8);
    let mut server =
        Server::start(&place, "--model tiny --model new=second --alias gpt=new --db labels.db --collect-prompts");
    let (status, models) = server.ask("GET", "/v1/models", "");
    assert!(status.contains("200"), "{status}");
    let models: Value = serde_json::from_str(&models).unwrap();
    let names: Vec<&str> =
        models["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["tiny", "new", "gpt"]);
    let body = json!({"model": "gpt", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}).to_string();
    let (status, answer) = server.ask("POST", "/v1/chat/completions", &body);
    assert!(status.contains("200") && answer.contains("chat.completion"), "{answer}");
    assert!(server.ask("GET", "/chat", "").1.contains("kept for 90 days"));
    // A polite stop is no error.
    let kill = Command::new("kill").args(["-TERM", &server.child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_would_be_open_to_all_or_cannot_be_served_is_refused_before_anything_is_loaded() {
    let place = Place::new();
    place.write("short.txt", "alice secret\n");
    let refused = |arguments: &str, code: i32, says: &str| {
        let text = place.fails(&format!("serve {arguments}"), code);
        assert!(text.contains(says) && !text.contains("loading"), "{arguments}: {text}");
    };
    refused("", 2, "nothing to serve");
    refused("--model tiny --address 0.0.0.0:0", 2, "users or API keys, and TLS");
    refused("--model tiny --api-keys short.txt", 1, "short.txt: line 1: a key of 6 characters");
    refused("--model tiny --collect-prompts", 2, "--db");
    refused("--model tiny --address nowhere", 2, "invalid socket address");
    let twice = place.fails("serve --model tiny --model tiny", 2);
    assert!(twice.contains("two models are called tiny"), "{twice}");
}

#[test]
fn runs_are_shown_with_their_curves_and_nothing_else_is() {
    let place = Place::new();
    place.write(
        "rows.jsonl",
        "{\"prompt\": \"one\", \"completion\": \"two\"}\n{\"prompt\": \"a\", \"completion\": \"b\"}\n",
    );
    place.run("sft --model tiny --data rows.jsonl --out runs/first --max-steps 2 --lr 1e-3 --set model.dtype=f32");
    let server = Server::start(&place, "--runs runs");
    assert!(server.ask("GET", "/runs", "").1.contains("href=\"/runs/first\""));
    let (status, page) = server.ask("GET", "/runs/first", "");
    assert!(status.contains("200") && page.contains("sft run first") && page.contains("<svg"), "{status}");
    for path in ["/runs/tiny", "/runs/..%2Ftiny", "/runs/%2e%2e", "/runs/first%2Ffinal"] {
        let (status, _) = server.ask("GET", path, "");
        assert!(status.contains("404"), "{path}: {status}");
    }
}
