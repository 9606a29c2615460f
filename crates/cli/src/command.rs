//! The subcommands: one file each, whose doc comments are the help.

mod chat;
mod completions;
mod convert;
mod data;
mod demo;
mod doctor;
mod dpo;
mod eval;
mod generate;
mod label;
mod logprobs;
mod ppo;
mod pretrain;
mod pull;
mod quickstart;
mod reject;
mod rm;
mod runs;
mod score;
mod self_instruct;
mod serve;
mod sft;
mod stats;
mod tokenizer;
mod trace;
mod unseen;
mod verify;
mod world;

pub use logprobs::score;

use crate::context::Context;
use crate::error::CommandError;
use clap::Subcommand;

/// Every subcommand, in the order of the help.
#[derive(Subcommand)]
pub enum Command {
    Quickstart(quickstart::Quickstart),
    #[command(subcommand)]
    Demo(demo::Demo),
    Pull(pull::Pull),
    Convert(convert::Convert),
    Sft(sft::Sft),
    Pretrain(pretrain::Pretrain),
    Rm(rm::Rm),
    Ppo(ppo::Ppo),
    Dpo(dpo::Dpo),
    Reject(reject::Reject),
    Generate(generate::Generate),
    Chat(chat::Chat),
    Serve(serve::Serve),
    #[command(subcommand)]
    Label(label::Label),
    Logprobs(logprobs::Logprobs),
    Score(score::Score),
    #[command(subcommand)]
    Eval(eval::Eval),
    Stats(stats::Stats),
    #[command(subcommand)]
    Data(data::Data),
    #[command(subcommand)]
    SelfInstruct(self_instruct::SelfInstruct),
    Unseen(unseen::Unseen),
    #[command(subcommand)]
    Tokenizer(tokenizer::Tokenizer),
    #[command(subcommand)]
    World(world::World),
    Runs(runs::Runs),
    Trace(trace::Trace),
    Verify(verify::Verify),
    Doctor(doctor::Doctor),
    Completions(completions::Completions),
}

impl Command {
    /// Runs it.
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        match self {
            Command::Quickstart(command) => command.run(context),
            Command::Demo(command) => command.run(context),
            Command::Pull(command) => command.run(context),
            Command::Convert(command) => command.run(context),
            Command::Sft(command) => command.run(context),
            Command::Pretrain(command) => command.run(context),
            Command::Rm(command) => command.run(context),
            Command::Ppo(command) => command.run(context),
            Command::Dpo(command) => command.run(context),
            Command::Reject(command) => command.run(context),
            Command::Generate(command) => command.run(context),
            Command::Chat(command) => command.run(context),
            Command::Serve(command) => command.run(context),
            Command::Label(command) => command.run(context),
            Command::Logprobs(command) => command.run(context),
            Command::Score(command) => command.run(context),
            Command::Eval(command) => command.run(context),
            Command::Stats(command) => command.run(),
            Command::Data(command) => command.run(context),
            Command::SelfInstruct(command) => command.run(context),
            Command::Unseen(command) => command.run(context),
            Command::Tokenizer(command) => command.run(),
            Command::World(command) => command.run(),
            Command::Runs(command) => command.run(),
            Command::Trace(command) => command.run(),
            Command::Verify(command) => command.run(context),
            Command::Doctor(command) => command.run(context),
            Command::Completions(command) => command.run(),
        }
    }
}
