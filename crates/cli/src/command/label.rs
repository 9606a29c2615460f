//! `helpmate label`: people's judgements, from a page to a file that a trainer reads.

mod agreement;
mod audit;
mod backup;
mod erase;
mod export;
mod import;
mod invite;
mod project;
mod serve;
mod tasks;
mod user;

use crate::context::Context;
use crate::error::CommandError;
use ::label::{Actor, OpenOptions, Project, Store};
use clap::{Args, Subcommand};

/// Collect demonstrations and judgements
///
/// A labeling database holds projects, prompts, answers, and what people say about them. It is a file, or PostgreSQL.
#[derive(Subcommand)]
#[command(after_help = "Example:\n  helpmate label serve --demo")]
pub enum Label {
    Serve(serve::Serve),
    #[command(subcommand)]
    Project(project::ProjectCommand),
    Import(import::Import),
    Tasks(tasks::Tasks),
    #[command(subcommand)]
    User(user::User),
    Invite(invite::Invite),
    Agreement(agreement::Agreement),
    Export(export::Export),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Erase(erase::Erase),
    Audit(audit::Audit),
}

impl Label {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        match self {
            Label::Serve(command) => command.run(context),
            Label::Project(command) => command.run(),
            Label::Import(command) => command.run(),
            Label::Tasks(command) => command.run(),
            Label::User(command) => command.run(),
            Label::Invite(command) => command.run(),
            Label::Agreement(command) => command.run(),
            Label::Export(command) => command.run(),
            Label::Backup(command) => command.run(),
            Label::Restore(command) => command.run(),
            Label::Erase(command) => command.run(),
            Label::Audit(command) => command.run(),
        }
    }
}

/// Who holds the database may do everything with it.
const OPERATOR: Actor = Actor::Operator;

/// Which database.
#[derive(Args)]
struct DatabaseArguments {
    /// Labeling database: a file, or postgres://…
    #[arg(long, value_name = "DB", default_value = "labels.db")]
    db: String,
}

impl DatabaseArguments {
    /// Opens it; one that isn't there is made.
    fn open(&self) -> Result<Store, CommandError> {
        let store = Store::open(&self.db, &OpenOptions::default())?;
        if let Some(copy) = store.upgraded_from() {
            eprintln!("{} was of an older version; a copy of it is {}", store.describe(), copy.display());
        }
        Ok(store)
    }

    /// Opens one that must be there.
    fn open_existing(&self) -> Result<Store, CommandError> {
        let is_file = !self.db.contains("://") && !self.db.starts_with("sqlite:");
        if is_file && !std::path::Path::new(&self.db).is_file() {
            return Err(CommandError::input(format!("{}: no such database", self.db))
                .hint("--db names it; `helpmate label project create NAME` makes one"));
        }
        self.open()
    }
}

/// A project by name.
fn find(store: &Store, name: &str) -> Result<Project, CommandError> {
    store.project_by_name(name).map_err(|error| {
        let names: Vec<String> = store.projects().unwrap_or_default().into_iter().map(|project| project.name).collect();
        let hint = if names.is_empty() {
            "there are no projects; `helpmate label project create NAME` makes one".to_owned()
        } else {
            format!("projects: {}", names.join(", "))
        };
        CommandError::from(error).hint(hint)
    })
}
