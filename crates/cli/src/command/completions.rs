//! `helpmate completions`.

use crate::error::{CommandError, of_stdout};
use clap::{Args, CommandFactory};
use std::io::Write;

/// Print a completion script for a shell
///
/// Source it from the shell's start-up file.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate completions bash > ~/.local/share/bash-completion/completions/helpmate")]
pub struct Completions {
    /// The shell
    shell: clap_complete::Shell,
}

impl Completions {
    pub fn run(self) -> Result<(), CommandError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::Arguments::command(), "helpmate", &mut script);
        std::io::stdout().write_all(&script).map_err(of_stdout)
    }
}
