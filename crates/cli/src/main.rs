//! The `helpmate` binary: argv, environment, terminal and exit codes. It knows no algorithm; what it prints on stdout
//! is data, all else goes to stderr.
// Doc comments here are the help, where brackets mean "optional" and angles stand around names.
#![allow(rustdoc::broken_intra_doc_links, rustdoc::invalid_html_tags, rustdoc::bare_urls)]

mod agreement;
mod arguments;
mod bases;
mod cache;
mod command;
mod context;
mod conversion;
mod error;
mod interrupt;
mod labelled;
mod listening;
mod loading;
mod output;
mod progress;
mod pull;
#[cfg(test)]
mod reference;
mod reward;
mod serving;
mod source;
mod statements;
mod table;
mod training;
mod verification;
mod writer;

use clap::Parser;
use error::Kind;
use std::process::ExitCode;

/// Take a base language model to a helpful assistant
///
/// Train on demonstrations, talk to the result, and check the numbers, on an ordinary computer.
/// Data goes to stdout, all else to stderr. Exit codes: 0 done; 1 the input or the run was wrong;
/// 2 the command line or config was wrong; 3 a device, service or download is missing; 4 `eval compare`
/// found something worse; 130 interrupted.
#[derive(Parser)]
#[command(name = "helpmate", version, after_help = "Example:\n  helpmate demo sft")]
struct Arguments {
    #[command(subcommand)]
    command: command::Command,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = context::Context::from_environment().and_then(|context| arguments.command.run(&context));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if error.kind != Kind::ReaderGone {
                eprint!("{error}");
            }
            ExitCode::from(error.kind.exit_code())
        }
    }
}
