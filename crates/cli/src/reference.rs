//! `docs/commands.md` and `docs/config.md`: the help of every command and the keys of every config, checked against the
//! code; `cargo xtask docs` writes them.

use clap::{Command, CommandFactory};
use run::StageConfig;
use serde_json::Value;
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

const CONFIG_HEAD: &str = "# Config\n\nThe keys of every stage's config file (`--config FILE.toml`, `--set section.key=value`), with their defaults. Unknown keys are errors, and so are keys that would do nothing. The resolved config stands in the run, each value with its origin. Written by `cargo xtask docs`.\n";

fn render_configs() -> String {
    let mut text = CONFIG_HEAD.to_string();
    add_config::<run::SftConfig>(&mut text);
    add_config::<run::PretrainConfig>(&mut text);
    add_config::<run::RmConfig>(&mut text);
    add_config::<run::DpoConfig>(&mut text);
    add_config::<run::PpoConfig>(&mut text);
    text
}

fn add_config<C: StageConfig>(text: &mut String) {
    let defaults = serde_json::to_value(C::default()).unwrap();
    text.push_str(&format!("\n## {}\n", C::STAGE));
    for section in C::SECTIONS {
        text.push_str(&format!("\n### [{}]\n\n| key | default | meaning |\n|---|---|---|\n", section.name));
        for field in section.fields {
            let unused = C::UNUSED.iter().any(|(key, _)| *key == format!("{}.{}", section.name, field.name));
            if !unused {
                let default = match &defaults[section.name][field.name] {
                    Value::Null => String::new(),
                    Value::Array(values) if values.is_empty() => String::new(),
                    value => format!("`{value}`"),
                };
                let help = field.help.trim().replace('|', "\\|");
                text.push_str(&format!("| `{}` | {default} | {help} |\n", field.name));
            }
        }
    }
}

/// A file under `docs/` is what the code says; `cargo xtask docs` makes it so.
#[track_caller]
fn check(name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if std::env::var_os("HELPMATE_WRITE_DOCS").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let first = written.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(written == expected, "docs/{name} is out of date (first difference {first:?}): run `cargo xtask docs`");
}

#[test]
fn the_reference_of_commands_is_current() {
    check("commands.md", &render());
}

#[test]
fn the_reference_of_configs_is_current() {
    check("config.md", &render_configs());
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
