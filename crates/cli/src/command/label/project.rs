//! `helpmate label project`.

use super::{DatabaseArguments, OPERATOR, find};
use crate::error::{CommandError, of_file};
use crate::{output, table};
use ::label::{ProjectState, Settings};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;

/// Make, list and change projects
#[derive(Subcommand)]
#[command(after_help = "Example:\n  helpmate label project create tone")]
pub enum ProjectCommand {
    Create(Create),
    List(List),
    Settings(Change),
}

impl ProjectCommand {
    pub fn run(self) -> Result<(), CommandError> {
        match self {
            ProjectCommand::Create(command) => command.run(),
            ProjectCommand::List(command) => command.run(),
            ProjectCommand::Settings(command) => command.run(),
        }
    }
}

/// Make a project
///
/// Without --settings it asks what InstructGPT's labelers were asked: a rating from 1 to 7 and eleven yes-or-no questions
/// about each answer, then a ranking with ties. What a settings file doesn't say is as there.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate label project create tone --settings tone.toml")]
pub struct Create {
    /// Name, of a-z, 0-9, - and _
    name: String,
    #[command(flatten)]
    database: DatabaseArguments,
    /// Settings in TOML, such as `helpmate label project settings NAME` prints
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

impl Create {
    fn run(self) -> Result<(), CommandError> {
        let settings = match &self.settings {
            Some(path) => read(path)?,
            None => Settings::instructgpt(),
        };
        let store = self.database.open()?;
        let project = store.create_project(OPERATOR, &self.name, &settings)?;
        eprintln!("made project {} in {}", project.name, store.describe());
        eprintln!(
            "next: `helpmate label import {} --data FILE`, then `helpmate label tasks {0} --kind rank`",
            project.name
        );
        Ok(())
    }
}

fn read(path: &PathBuf) -> Result<Settings, CommandError> {
    let text = std::fs::read_to_string(path).map_err(of_file(path))?;
    Settings::from_toml(&text).map_err(|error| CommandError::usage(format!("{}: {error}", path.display())))
}

/// List projects with what they hold
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate label project list --json")]
pub struct List {
    #[command(flatten)]
    database: DatabaseArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl List {
    fn run(self) -> Result<(), CommandError> {
        let store = self.database.open_existing()?;
        let mut all = Vec::new();
        for project in store.projects()? {
            let counts = store.counts(project.id)?;
            all.push(json!({
                "name": project.name, "state": project.state, "phase": project.settings.phase,
                "guide_version": project.guide_version, "uid": project.uid, "counts": counts,
            }));
        }
        output::report(&all, self.json, |all| {
            let cell = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let rows: Vec<Vec<String>> = all
                .iter()
                .map(|project| {
                    let counts = &project["counts"];
                    vec![
                        cell(&project["name"]),
                        cell(&project["state"]),
                        cell(&counts["prompts"]),
                        cell(&counts["candidates"]),
                        format!("{}/{}", counts["tasks_complete"], counts["tasks"]),
                        cell(&counts["judgements"]),
                        cell(&counts["people"]),
                    ]
                })
                .collect();
            table::render(&["project", "state", "prompts", "answers", "tasks done", "judgements", "people"], &rows)
        })
    }
}

/// Print a project's settings, or give it others
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate label project settings tone > tone.toml")]
pub struct Change {
    /// Project
    project: String,
    #[command(flatten)]
    database: DatabaseArguments,
    /// Settings to take from now on; tasks that were made keep their overlap
    #[arg(long, value_name = "FILE")]
    set: Option<PathBuf>,
    /// Give out work, or not: open, paused or closed
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
}

impl Change {
    fn run(self) -> Result<(), CommandError> {
        let store = self.database.open_existing()?;
        let project = find(&store, &self.project)?;
        if let Some(path) = &self.set {
            store.set_settings(OPERATOR, project.id, &read(path)?)?;
        }
        if let Some(state) = &self.state {
            let state: ProjectState = state.parse().map_err(CommandError::usage)?;
            store.set_project_state(OPERATOR, project.id, state)?;
        }
        if self.set.is_none() && self.state.is_none() {
            let mut out = output::Output::open(None)?;
            out.text(&project.settings.to_toml()?)?;
            out.finish()?;
        }
        Ok(())
    }
}
