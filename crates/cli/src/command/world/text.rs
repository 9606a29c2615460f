//! `helpmate world text`.

use super::Which;
use crate::error::CommandError;
use crate::output::Output;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Write texts of the world, to pretrain on
///
/// A row a document: encyclopaedia, letters, stories, dialogues, almanacs, lists of questions, and so on. Document i
/// depends on the world and i alone.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate world text --n 20000 --out text.jsonl")]
pub struct Text {
    #[command(flatten)]
    which: Which,
    /// How many documents
    #[arg(long, value_name = "N", default_value_t = 1000)]
    n: u64,
    /// Number of the first document
    #[arg(long, value_name = "I", default_value_t = 0)]
    from: u64,
    /// File to write; stdout when absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Text {
    pub fn run(self) -> Result<(), CommandError> {
        let world = self.which.open();
        let texts = world.texts();
        let mut out = Output::open(self.out.as_deref())?;
        let mut document = String::new();
        for index in (self.from..).take(usize::try_from(self.n).unwrap_or(usize::MAX)) {
            document.clear();
            texts.write(index, &mut document);
            out.row(&json!({ "text": document }))?;
        }
        out.finish()
    }
}
