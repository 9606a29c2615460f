//! `helpmate data show`.

use crate::arguments::DataArguments;
use crate::context::Context;
use crate::error::CommandError;
use crate::loading;
use crate::output::Output;
use clap::{Args, ValueEnum};
use record::{Demonstration, Record, Row};
use render::{LossOn, Rendered, Renderer};
use serde_json::json;
use std::io::IsTerminal;
use std::path::PathBuf;

/// Show rows as the model sees them: tokens, coloured by whether they are trained
///
/// Trained tokens are green on a terminal and stand in ⟦…⟧ elsewhere.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate data show --model default --data data/demonstrations.jsonl --rows 2")]
pub struct Show {
    #[command(flatten)]
    data: DataArguments,
    /// Model whose tokenizer and chat template are used
    #[arg(long, value_name = "M")]
    model: String,
    /// Jinja file to use instead of the model's own chat template
    #[arg(long, value_name = "FILE")]
    chat_template: Option<PathBuf>,
    /// How many rows
    #[arg(long, value_name = "N", default_value_t = 3)]
    rows: usize,
    /// Which tokens are trained
    #[arg(long, value_enum, default_value_t = LossOnOption::Completion)]
    loss_on: LossOnOption,
    /// Print a JSON object a row: pieces of text with whether they are trained
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum LossOnOption {
    /// The completion, or every assistant turn
    Completion,
    /// Every token but the first
    All,
}

impl Show {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        let rows = self.data.read(&[])?.into_rows();
        let renderer = loading::renderer(context, &self.model, self.chat_template.as_deref())?;
        let loss_on = match self.loss_on {
            LossOnOption::Completion => LossOn::Completion,
            LossOnOption::All => LossOn::All,
        };
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let mut out = Output::open(None)?;
        for (row_idx, row) in rows.iter().take(self.rows).enumerate() {
            for rendered in render_row(&renderer, row, loss_on)? {
                let pieces = renderer.show(&rendered);
                if self.json {
                    out.row(&json!({"row": row_idx, "tokens": rendered.token_ids.len(), "trained": rendered.n_targets(), "pieces": pieces}))?;
                } else {
                    out.text(&format!(
                        "row {row_idx}: {} tokens, {} trained\n",
                        rendered.token_ids.len(),
                        rendered.n_targets()
                    ))?;
                    out.text(&paint(&pieces, colour))?;
                    out.text("\n\n")?;
                }
            }
        }
        out.finish()
    }
}

fn render_row(renderer: &Renderer, row: &Row, loss_on: LossOn) -> Result<Vec<Rendered>, CommandError> {
    let completion = |prompt, text: &str| renderer.completion(prompt, text);
    let rendered = match &row.record {
        Record::Text(text) => vec![renderer.text(text, true)?],
        Record::Prompt(prompt) => {
            let token_ids = renderer.prompt(prompt)?;
            vec![Rendered { mask: vec![false; token_ids.len()], token_ids }]
        }
        Record::Demonstration(demonstration) => vec![renderer.demonstration(demonstration, loss_on)?],
        Record::Preference(row) => vec![completion(&row.prompt, &row.chosen)?, completion(&row.prompt, &row.rejected)?],
        Record::Ranking(row) => {
            row.completions.iter().map(|answer| completion(&row.prompt, &answer.text)).collect::<Result<_, _>>()?
        }
        Record::Unpaired(row) => {
            let prompt = row.prompt.clone();
            let completion = row.completion.clone();
            vec![renderer.demonstration(&Demonstration::Completion { prompt, completion }, loss_on)?]
        }
    };
    Ok(rendered)
}

/// Runs of trained tokens, marked.
fn paint(pieces: &[(String, bool)], colour: bool) -> String {
    let (open, close) = if colour { ("\u{1b}[32m", "\u{1b}[0m") } else { ("⟦", "⟧") };
    let mut text = String::new();
    for run in pieces.chunk_by(|a, b| a.1 == b.1) {
        let joined: String = run.iter().map(|(piece, _)| piece.as_str()).collect();
        if run[0].1 {
            text.extend([open, &joined, close]);
        } else {
            text.push_str(&joined);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::paint;

    #[test]
    fn runs_of_trained_tokens_are_marked_once() {
        let pieces =
            [("a", false), ("b", true), ("c", true), ("d", false)].map(|(text, trained)| (text.to_string(), trained));
        assert_eq!(paint(&pieces, false), "a⟦bc⟧d");
        assert_eq!(paint(&pieces, true), "a\u{1b}[32mbc\u{1b}[0md");
    }
}
