//! `helpmate label audit`.

use super::{DatabaseArguments, OPERATOR, find};
use crate::error::CommandError;
use crate::{output, table};
use ::label::AuditQuery;
use clap::Args;

/// Show who did what, the newest first
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate label audit --project tone --limit 20")]
pub struct Audit {
    #[command(flatten)]
    database: DatabaseArguments,
    /// Only of a project
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// At most so many entries
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Audit {
    pub fn run(self) -> Result<(), CommandError> {
        let store = self.database.open_existing()?;
        let project = self.project.as_deref().map(|name| find(&store, name)).transpose()?;
        let query =
            AuditQuery { project: project.map(|project| project.id), limit: self.limit, ..AuditQuery::default() };
        let entries = store.audit(OPERATOR, &query)?;
        output::report(&entries, self.json, |entries| {
            let rows: Vec<Vec<String>> = entries
                .iter()
                .map(|entry| {
                    let who = entry.actor.clone().unwrap_or_else(|| "operator".to_owned());
                    let when = ::label::rfc3339(entry.at_ms);
                    vec![when, who, entry.action.clone(), entry.object.clone(), entry.details.clone()]
                })
                .collect();
            table::render(&["when", "who", "what", "of", "more"], &rows)
        })
    }
}
