//! `helpmate label erase`.

use super::{DatabaseArguments, OPERATOR};
use crate::error::CommandError;
use clap::Args;

/// Whose.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// A person of the database, by log-in name
    #[arg(long, value_name = "NAME")]
    person: Option<String>,
    /// A user whose prompts were imported or collected: the prompts and the answers to them
    #[arg(long, value_name = "ID")]
    user: Option<String>,
}

/// Erase what a person said and who they were
///
/// Their words, name, password and tokens go; ranks, ratings, counts and hashes stay, and the log says that it happened.
/// Copies and exports made before hold what they held.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate label erase --person ada")]
pub struct Erase {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    database: DatabaseArguments,
}

impl Erase {
    pub fn run(self) -> Result<(), CommandError> {
        let store = self.database.open_existing()?;
        let erased = match (&self.which.person, &self.which.user) {
            (Some(name), _) => {
                let person = store.person_by_name(name)?;
                let person = person.ok_or_else(|| CommandError::input(format!("no person {name:?}")))?;
                store.erase_person(OPERATOR, person.id)?
            }
            (None, user) => store.erase_user(OPERATOR, user.as_deref().unwrap_or_default())?,
        };
        let ::label::Erased { prompts, candidates, judgements, messages } = erased;
        eprintln!(
            "erased: {prompts} prompts, {candidates} answers, the words of {judgements} judgements, {messages} messages"
        );
        Ok(())
    }
}
