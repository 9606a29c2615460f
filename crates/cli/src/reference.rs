//! `docs/commands.md`: the help of every command, checked against the commands; `cargo xtask docs` writes it.

use clap::{Command, CommandFactory};
use std::path::Path;

const HEAD: &str =
    "# Commands\n\nThe help of every command, as `helpmate COMMAND --help` prints it. Written by `cargo xtask docs`.\n";

fn render() -> String {
    let mut text = HEAD.to_string();
    let mut command = crate::Arguments::command().term_width(100);
    command.build();
    add(&command, "helpmate", &mut text);
    text
}

fn add(command: &Command, path: &str, text: &mut String) {
    let help = command.clone().bin_name(path).term_width(100).render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    text.push_str(&format!("\n## {path}\n\n```text\n{}\n```\n", lines.join("\n").trim_end()));
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        add(inner, &format!("{path} {}", inner.get_name()), text);
    }
}

/// Leaf commands, with their paths.
fn leaves(command: &Command, path: &str, found: &mut Vec<(String, Command)>) {
    let inner: Vec<&Command> = command.get_subcommands().filter(|inner| inner.get_name() != "help").collect();
    if inner.is_empty() {
        found.push((path.to_string(), command.clone()));
    }
    for command in inner {
        leaves(command, &format!("{path} {}", command.get_name()), found);
    }
}

#[test]
fn the_reference_of_commands_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/commands.md");
    if std::env::var_os("HELPMATE_WRITE_DOCS").is_some() {
        std::fs::write(&path, render()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let expected = render();
    let first = written.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(
        written == expected,
        "docs/commands.md is out of date (first difference {first:?}): run `cargo xtask docs`"
    );
}

#[test]
fn every_command_begins_with_a_verb_without_full_stop_and_ends_with_an_example() {
    let mut command = crate::Arguments::command();
    command.build();
    let mut found = Vec::new();
    leaves(&command, "helpmate", &mut found);
    assert!(found.len() > 10);
    for (path, command) in found {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(about.starts_with(char::is_uppercase) && !about.ends_with('.'), "{path}: {about:?}");
        let example = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(
            example.contains(&format!("Example:\n  {path} ")),
            "{path}: no example, or of another command: {example:?}"
        );
        for argument in
            command.get_arguments().filter(|argument| !matches!(argument.get_id().as_str(), "help" | "version"))
        {
            assert!(argument.get_help().is_some(), "{path}: {} has no help", argument.get_id());
        }
    }
}
