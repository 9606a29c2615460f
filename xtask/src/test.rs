//! `cargo xtask test`: every check, one after another, with a table of what each took.
//!
//! One profile (release) throughout, so that no dependency is compiled twice. A failing step does not hide the next.

use crate::services;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// One check: its name, the command, and an environment variable where one is needed.
struct Step {
    name: &'static str,
    arguments: Vec<&'static str>,
    environment: Option<(&'static str, &'static str)>,
}

enum Outcome {
    Passed(Duration),
    Failed(Duration),
    Skipped(String),
}

/// Runs the steps named (all when none is), and fails when one did.
pub fn run(root: &Path, only: &[String]) -> ExitCode {
    let steps = steps();
    if let Some(unknown) = only.iter().find(|name| !steps.iter().any(|step| step.name == name.as_str())) {
        let known: Vec<&str> = steps.iter().map(|step| step.name).collect();
        eprintln!("no step `{unknown}`; the steps are {}", known.join(", "));
        return ExitCode::from(2);
    }
    let mut outcomes: Vec<(&str, Outcome)> = steps
        .into_iter()
        .filter(|step| only.is_empty() || only.iter().any(|name| name == step.name))
        .map(|step| (step.name, perform(root, &step)))
        .collect();
    // A test that finds nothing to check against passes, and what it prints then is not shown.
    if outcomes.iter().any(|(name, _)| *name == "test") && !root.join("../shared").is_dir() {
        let reason = "the folder ../shared is not here: what is checked against its data was not";
        outcomes.push(("../shared", Outcome::Skipped(reason.to_string())));
    }
    summarise(&outcomes)
}

/// `cargo xtask docs`: the reference of commands, written from their help.
pub fn write_docs(root: &Path) -> ExitCode {
    let status = cargo(root)
        .args(["test", "--release", "-p", "cli", "--bin", "helpmate", "reference"])
        .env("HELPMATE_WRITE_DOCS", "1")
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// `cargo xtask bench`: the measuring binary, with its own options.
pub fn bench(root: &Path, arguments: &[String]) -> ExitCode {
    let status =
        cargo(root).args(["run", "--release", "--quiet", "-p", "bench", "--", "suite"]).args(arguments).status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn steps() -> Vec<Step> {
    let tests = if available("nextest", &["--version"]) {
        vec!["nextest", "run", "--release", "--workspace", "--no-fail-fast"]
    } else {
        vec!["test", "--release", "--workspace", "--no-fail-fast", "--bins", "--lib", "--tests"]
    };
    let step = |name, arguments, environment| Step { name, arguments, environment };
    vec![
        step("tidy", vec!["run", "--quiet", "--release", "-p", "xtask", "--", "tidy"], None),
        step("fmt", vec!["fmt", "--all", "--check"], None),
        step(
            "clippy",
            vec!["clippy", "--release", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"],
            None,
        ),
        step("test", tests, None),
        step("doctest", vec!["test", "--release", "--workspace", "--doc", "--quiet"], None),
        step(
            "doc",
            vec!["doc", "--release", "--workspace", "--no-deps", "--document-private-items", "--quiet"],
            Some(("RUSTDOCFLAGS", "-D warnings")),
        ),
        step("deny", vec!["deny", "check", "bans", "licenses", "sources"], None),
    ]
}

fn perform(root: &Path, step: &Step) -> Outcome {
    println!("\n=== {}: cargo {}", step.name, step.arguments.join(" "));
    if let Err(reason) = install_if_missing(root, step.name) {
        println!("=== {} SKIPPED: {reason}", step.name);
        return Outcome::Skipped(reason);
    }
    let mut command = cargo(root);
    if step.name == "test" {
        match services::install(root) {
            Ok(()) => drop(command.env(services::REQUIRED, "1")),
            Err(reason) => println!("=== not everything can be tested: {reason}"),
        }
    }
    let began = Instant::now();
    command.args(&step.arguments).env("PATH", with_tools(root));
    if let Some((name, value)) = step.environment {
        command.env(name, value);
    }
    let passed = command.status().is_ok_and(|status| status.success());
    if passed { Outcome::Passed(began.elapsed()) } else { Outcome::Failed(began.elapsed()) }
}

/// The Rust components that a minimal toolchain lacks are installed; so is cargo-deny in continuous integration (`CI` is
/// set), which takes minutes to compile and which a developer may do without.
fn install_if_missing(root: &Path, step: &str) -> Result<(), String> {
    let component = match step {
        "fmt" => "rustfmt",
        "clippy" => "clippy",
        "deny" if available("deny", &["--version"]) || tools(root).join("bin/cargo-deny").is_file() => return Ok(()),
        "deny" if std::env::var_os("CI").is_some() => return install_deny(root),
        "deny" => return Err("cargo-deny is not installed (`cargo install --locked cargo-deny`)".to_string()),
        _ => return Ok(()),
    };
    if available(step, &["--version"]) {
        return Ok(());
    }
    println!("installing {component} with rustup");
    let status = Command::new("rustup").args(["component", "add", component]).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!("{component} is missing and `rustup component add {component}` failed")),
    }
}

/// What the checks install for themselves.
fn tools(root: &Path) -> PathBuf {
    root.join("target/tools")
}

/// The search path with those tools at its end.
fn with_tools(root: &Path) -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::env::split_paths(&path).chain([tools(root).join("bin")]);
    std::env::join_paths(paths).unwrap_or(path)
}

fn install_deny(root: &Path) -> Result<(), String> {
    println!("installing cargo-deny");
    let mut command = cargo(root);
    command.args(["install", "--locked", "--quiet", "cargo-deny", "--root"]).arg(tools(root));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err("cargo-deny is missing and `cargo install cargo-deny` failed".to_string()),
    }
}

fn summarise(outcomes: &[(&str, Outcome)]) -> ExitCode {
    println!("\n{:<10} {:<8} seconds", "step", "result");
    let mut failed = false;
    for (name, outcome) in outcomes {
        match outcome {
            Outcome::Passed(time) => {
                println!("{name:<10} {:<8} {:>7.1}", "passed", time.as_secs_f64())
            }
            Outcome::Failed(time) => {
                failed = true;
                println!("{name:<10} {:<8} {:>7.1}", "FAILED", time.as_secs_f64());
            }
            Outcome::Skipped(reason) => println!("{name:<10} {:<8} {reason}", "SKIPPED"),
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn available(subcommand: &str, arguments: &[&str]) -> bool {
    Command::new(cargo_program())
        .arg(subcommand)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new(cargo_program());
    command.current_dir(root);
    command
}

fn cargo_program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
