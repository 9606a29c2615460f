//! `helpmate score`.

use crate::arguments::{DataArguments, DtypeOption};
use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::output::Output;
use crate::progress::Count;
use crate::{interrupt, reward};
use clap::Args;
use kernels::Device;
use record::{Demonstration, Prompt, Record, Role};
use serde::Serialize;
use std::path::PathBuf;
use train::scorer::{Asked, Scorer};

/// Prompts handed to the scorer at once.
const ROWS: usize = 16;

/// Write the reward of each completion
///
/// A row an input row: `row` and `rewards`, in the order of the row's completions (chosen, rejected for a preference;
/// of a conversation, its last answer). Rewards come from --reward, or with --policy and --reference they are DPO's
/// implicit ones: beta times the log-probability ratio of the completion. Several --reward are summed.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate score --reward runs/rm --data data/rankings.jsonl")]
pub struct Score {
    /// Reward: reward-model folder or run, rule:NAME[:ARG], or http(s)://…; WEIGHT*R weighs it
    #[arg(long, value_name = "R", required_unless_present = "policy", conflicts_with = "policy")]
    reward: Vec<String>,
    /// Model whose implicit reward is wanted
    #[arg(long, value_name = "M", requires = "reference")]
    policy: Option<String>,
    /// Model that the policy began as
    #[arg(long, value_name = "M", requires = "policy")]
    reference: Option<String>,
    /// Factor of the implicit reward; 0.1 when absent
    #[arg(long, value_name = "B", requires = "policy")]
    beta: Option<f64>,
    #[command(flatten)]
    data: DataArguments,
    /// Arithmetic of the linear layers
    #[arg(long, value_enum, default_value_t = DtypeOption::Auto)]
    dtype: DtypeOption,
    /// Threads; every core when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// File to write; stdout when absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Scored {
    row: usize,
    rewards: Vec<f64>,
}

impl Score {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        let dataset = self.data.read(&[])?;
        let mut questions = Vec::with_capacity(dataset.rows.len());
        for (row, origin) in &dataset.rows {
            let question = question(&row.record);
            questions.push(question.ok_or_else(|| {
                let kind = row.record.kind().as_str();
                CommandError::input(format!("{origin}: found a row of kind {kind}, expected one with completions"))
            })?);
        }
        let mut scorer = self.open(context)?;
        interrupt::listen()?;
        let mut out = Output::open(self.out.as_deref())?;
        let mut progress = Count::new(questions.len(), "rows");
        let mut row = 0;
        for chunk in questions.chunks(ROWS) {
            let asked: Vec<Asked> = chunk.iter().map(asked_of).collect();
            let rewards = scorer.score(&asked).map_err(|error| {
                let error = CommandError::from(error);
                CommandError { message: format!("rows from {row} on: {}", error.message), ..error }
            })?;
            for rewards in rewards {
                out.row(&Scored { row, rewards })?;
                row += 1;
            }
            progress.update(row);
            if interrupt::asked() {
                return Err(CommandError::new(Kind::Interrupted, format!("interrupted after {row} rows")));
            }
        }
        progress.finish();
        out.finish()
    }

    fn open(&self, context: &Context) -> Result<Box<dyn Scorer>, CommandError> {
        let device = Device::detect(self.threads.map(usize::from));
        match (&self.policy, &self.reference) {
            (Some(policy), Some(reference)) => {
                let beta = self.beta.unwrap_or(0.1);
                if !(beta.is_finite() && beta > 0.0) {
                    return Err(CommandError::usage(format!("--beta {beta}: expected a finite number above 0")));
                }
                reward::open_implicit(context, policy, reference, beta, &device, self.dtype)
            }
            _ => reward::open_all(context, &self.reward, None, &device, self.dtype),
        }
    }
}

fn asked_of((prompt, completions): &(Prompt, Vec<String>)) -> Asked<'_> {
    Asked { prompt, completions: completions.iter().map(String::as_str).collect() }
}

/// Prompt and completions of a row.
fn question(record: &Record) -> Option<(Prompt, Vec<String>)> {
    match record {
        Record::Preference(row) => Some((row.prompt.clone(), vec![row.chosen.clone(), row.rejected.clone()])),
        Record::Ranking(row) => {
            Some((row.prompt.clone(), row.completions.iter().map(|completion| completion.text.clone()).collect()))
        }
        Record::Unpaired(row) => Some((row.prompt.clone(), vec![row.completion.clone()])),
        Record::Demonstration(Demonstration::Completion { prompt, completion }) => {
            Some((prompt.clone(), vec![completion.clone()]))
        }
        Record::Demonstration(Demonstration::Conversation { messages }) => {
            let last = messages.iter().rposition(|message| message.role == Role::Assistant)?;
            Some((Prompt::Messages(messages[..last].to_vec()), vec![messages[last].content.clone()]))
        }
        Record::Text(_) | Record::Prompt(_) => None,
    }
}
