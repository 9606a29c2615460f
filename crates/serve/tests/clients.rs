//! The clients that people have: the official `openai` package of Python, and `curl`.
#![allow(missing_docs, clippy::unwrap_used)]
mod common;
use common::{limits, settings, start, start_with};
use serve::keys::Keys;
use std::path::{Path, PathBuf};
use std::process::Command;

const KEY: &str = "0123456789abcdef-client";

/// A Python that has the package: `HELPMATE_OPENAI_PYTHON`, or where `cargo xtask test` installs one.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("HELPMATE_OPENAI_PYTHON").map(PathBuf::from);
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/openai-venv/bin/python");
    let python = named.or_else(|| usual.is_file().then_some(usual))?;
    let imports = Command::new(&python).args(["-c", "import openai"]).status();
    imports.is_ok_and(|status| status.success()).then_some(python)
}

/// Says that something wasn't checked; an error where everything must be.
fn not_checked(what: &str) {
    assert!(std::env::var_os("HELPMATE_REQUIRE_SERVICES").is_none(), "{what} is missing");
    eprintln!("NOT CHECKED: {what} is missing");
}

#[test]
fn the_openai_package_works_unchanged() {
    let Some(python) = python() else {
        return not_checked("a Python with the openai package (HELPMATE_OPENAI_PYTHON)");
    };
    let server = start_with(limits(), settings(), |app| app.keys = Keys::parse(&format!("client {KEY}")).unwrap());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openai_client.py");
    let output = Command::new(python).arg(script).args([server.running.url(), KEY]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn curl_works_as_the_documentation_says() {
    let server = start();
    let curl = |more: &[&str]| {
        let output = Command::new("curl").args(["-sS", "--max-time", "60"]).args(more).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let body = r#"{"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5, "stream": true}"#;
    let url = server.url("/v1/chat/completions");
    let Some(streamed) = curl(&["-N", &url, "-H", "Content-Type: application/json", "-d", body]) else {
        return not_checked("curl");
    };
    assert!(streamed.starts_with("data: {") && streamed.ends_with("data: [DONE]\n\n"), "{streamed}");
    let plain = body.replace(", \"stream\": true", "");
    let whole = curl(&[&url, "-d", &plain]).unwrap();
    assert!(whole.contains("\"chat.completion\""), "{whole}");
    assert!(curl(&[&server.url("/healthz")]).unwrap().contains("\"ok\""));
}
