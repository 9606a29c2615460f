//! Chores of the project: `cargo xtask test`, `tidy`, `docs`, `bench`.
//!
//! Knows the layout of the repository and the Rust tools; knows nothing of models. No dependencies, so that the
//! first command on a fresh machine starts at once.

mod services;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  test   everything that must hold: tidy, formatting, lints, tests, doc tests, documentation
  tidy   the project's own rules only (crate order, registries, sources)
  docs   write docs/commands.md and docs/config.md anew from the commands and configs
  bench  measure speed and memory (`cargo xtask bench --help`)

`cargo xtask test STEP…` runs only the named steps.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = repository_root();
    match arguments.first().map(String::as_str) {
        Some("test") => test::run(&root, &arguments[1..]),
        Some("tidy") => report_tidiness(&root),
        Some("docs") => test::write_docs(&root),
        Some("bench") => test::bench(&root, &arguments[1..]),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn report_tidiness(root: &Path) -> ExitCode {
    let found = tidy::check(root);
    for warning in &found.warnings {
        println!("warning: {warning}");
    }
    for violation in &found.violations {
        println!("error: {violation}");
    }
    if found.violations.is_empty() {
        println!("tidy: {} files looked at", found.n_files);
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn repository_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}
