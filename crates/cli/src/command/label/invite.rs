//! `helpmate label invite`.

use super::{DatabaseArguments, OPERATOR};
use crate::error::CommandError;
use crate::output::Output;
use ::label::{NewInvitation, Role};
use clap::Args;

const DAY_MS: i64 = 24 * 3_600_000;

/// Make a link by which somebody can join
///
/// Prints the path of the link, which works once; put the server's address before it.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate label invite --role reviewer --note \"for Bo\"")]
pub struct Invite {
    #[command(flatten)]
    database: DatabaseArguments,
    /// Role that it gives: labeler, reviewer or manager
    #[arg(long, value_name = "ROLE", default_value = "labeler")]
    role: String,
    /// Labeler group that it gives
    #[arg(long, value_name = "NAME", default_value = "")]
    group: String,
    /// A word on whom it is for
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// Days for which it works
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=365))]
    days: u16,
}

impl Invite {
    pub fn run(self) -> Result<(), CommandError> {
        let role: Role = self.role.parse().map_err(CommandError::usage)?;
        let store = self.database.open()?;
        let valid_ms = i64::from(self.days) * DAY_MS;
        let new = NewInvitation { role, group: self.group, note: self.note, valid_ms };
        let (_, token) = store.invite(OPERATOR, &new)?;
        let mut out = Output::open(None)?;
        out.text(&format!("/label/invitation/{token}\n"))?;
        out.finish()
    }
}
