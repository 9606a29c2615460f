//! The binary as a person uses it, on a tiny model, without a network: what goes in, what comes out, and the exit code.
#![allow(clippy::unwrap_used)] // a panic is the report

mod bases;
mod commands;
mod curation;
#[allow(dead_code)] // the tests of the pages use the rest
#[path = "../../crates/serve/tests/browser/driver.rs"]
mod driver;
mod duel;
mod errors;
mod evaluation;
mod instruction_data;
mod interruption;
mod judgements;
mod label_commands;
mod labeling;
mod pages;
mod pull;
mod quickstart;
mod references;
mod respondents;
mod reward_service;
mod rewards;
mod self_instruct;
mod serve;
mod stages;
#[allow(dead_code)] // the hub client's own tests use the rest
#[path = "../../crates/endpoint/tests/stub/mod.rs"]
mod stub;
mod training;
mod truth;
mod watch;
mod world;

use assert_cmd::Command;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;

/// A folder of its own for a test, with a tiny model in it.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(place.path("tiny")).unwrap();
        testkit::write_tiny_model(&place.path("tiny"), 7);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The binary, in this folder, with its cache here and a hub that is not there.
    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::cargo_bin("helpmate").unwrap();
        command
            .current_dir(self.folder.path())
            .env("HELPMATE_HOME", self.path("home"))
            .env("HF_ENDPOINT", "http://127.0.0.1:1")
            .env_remove("HF_TOKEN")
            .env_remove("HF_HUB_OFFLINE")
            .args(arguments.split_whitespace());
        command
    }

    /// Runs and expects success; what it printed on stdout.
    fn run(&self, arguments: &str) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "helpmate {arguments}\n{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs and expects this exit code; what it printed on stderr.
    fn fails(&self, arguments: &str, code: i32) -> String {
        let output = self.command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "helpmate {arguments}\n{}", stderr(&output));
        stderr(&output)
    }

    /// The rows that a command prints.
    fn rows(&self, arguments: &str) -> Vec<Value> {
        rows(&self.run(arguments))
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().filter_map(Value::as_f64).collect()
}

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
