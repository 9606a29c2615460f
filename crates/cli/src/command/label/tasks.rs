//! `helpmate label tasks`.

use super::{DatabaseArguments, OPERATOR, find};
use crate::error::CommandError;
use ::label::{MakeTasks, TaskKind};
use clap::Args;

/// Make tasks of a project's prompts
///
/// Every prompt that has enough answers and no task of the kind yet gets one. Kinds: rank, pairwise, rate, demonstrate,
/// review, use_case; write_prompt makes --limit tasks that ask for a prompt.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate label tasks tone --kind rank --k 4 --overlap 2")]
pub struct Tasks {
    /// Project
    project: String,
    #[command(flatten)]
    database: DatabaseArguments,
    /// What is done
    #[arg(long, value_name = "KIND")]
    kind: String,
    /// Answers a task; as many as a prompt has, up to the project's limit, when absent
    #[arg(long, value_name = "K")]
    k: Option<usize>,
    /// How many people do each; the project's number when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    overlap: Option<u32>,
    /// Make at most so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

impl Tasks {
    pub fn run(self) -> Result<(), CommandError> {
        let kind: TaskKind = self.kind.parse().map_err(CommandError::usage)?;
        let store = self.database.open_existing()?;
        let project = find(&store, &self.project)?;
        let make = MakeTasks { kind, k: self.k, overlap: self.overlap, limit: self.limit };
        let n = store.make_tasks(OPERATOR, project.id, &make)?;
        eprintln!("{n} tasks of kind {kind} made");
        if n == 0 {
            eprintln!("every prompt has one already, or too few answers for it");
        }
        Ok(())
    }
}
