//! `helpmate self-instruct filter`.

use super::input::{self, RecipeOption};
use crate::error::CommandError;
use crate::output::Output;
use clap::Args;
use instruct::filter::{Judgement, SIMILARITY_MAX};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Judge instructions as Self-Instruct does: by rules, then by ROUGE-L against all seeds and all kept so far
///
/// A row a candidate, in their order: `instruction` as it is kept, `kept`, `reason` (empty, too_short, too_long, keyword,
/// write_a_program, punctuation, non_ascii, similar), and where it was compared `max`, `avg`, `nearest`, `top10_scores`
/// and `most_similar`. The recipe `paper` lower-cases all but the first character, as the published code does.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate self-instruct filter --seeds data/seed_tasks.jsonl --candidates candidates.jsonl --out judged.jsonl"
)]
pub struct Filter {
    /// Tasks that are there already: strings, or rows with `instruction`
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    seeds: Vec<PathBuf>,
    /// Instructions to judge: strings, or rows with `raw` or `instruction`
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    candidates: Vec<PathBuf>,
    /// Whose rules
    #[arg(long, value_enum, default_value_t = RecipeOption::Paper)]
    recipe: RecipeOption,
    /// ROUGE-L F above which a candidate is dropped
    #[arg(long, value_name = "F", default_value_t = SIMILARITY_MAX)]
    max_similarity: f64,
    /// Let letters of every script be words; the published code knows Latin only, and compares nothing else
    #[arg(long)]
    unicode: bool,
    /// Threads; every core when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// File to write; stdout when absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Filter {
    pub fn run(self) -> Result<(), CommandError> {
        if !(0.0..=1.0).contains(&self.max_similarity) {
            return Err(CommandError::usage(format!(
                "--max-similarity {}: expected a number from 0 to 1",
                self.max_similarity
            )));
        }
        let n_threads =
            self.threads.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
        let mut filter = instruct::filter::Filter::new(self.recipe.into(), input::words(self.unicode), [""; 0])
            .with(self.max_similarity, n_threads);
        for path in &self.seeds {
            for row in input::rows(path)? {
                filter.add(input::text(path, &row, &["instruction"])?);
            }
        }
        let mut raws = Vec::new();
        for path in &self.candidates {
            for row in input::rows(path)? {
                raws.push(input::text(path, &row, &["raw", "instruction"])?.to_owned());
            }
        }
        let raws: Vec<&str> = raws.iter().map(String::as_str).collect();
        let judged = filter.judge_all(&raws);
        let mut out = Output::open(self.out.as_deref())?;
        for judgement in &judged {
            out.row(&row(judgement))?;
        }
        out.finish()?;
        tell(&judged);
        Ok(())
    }
}

/// As JSON; of the ten most similar, equal instructions once, as in the published files.
pub fn row(judgement: &Judgement) -> Value {
    let reason = judgement.reason.map(|reason| reason.name());
    let mut row = json!({"instruction": judgement.instruction, "kept": judgement.kept, "reason": reason,
        "max": null, "avg": null, "nearest": null});
    if let Some(similarity) = &judgement.similarity {
        let mut most_similar = Map::new();
        for (instruction, score) in similarity.most_similar.iter().zip(&similarity.top10_scores) {
            most_similar.entry(instruction.clone()).or_insert_with(|| json!(score));
        }
        row["max"] = json!(similarity.max);
        row["avg"] = json!(similarity.avg);
        row["nearest"] = json!(similarity.nearest);
        row["top10_scores"] = json!(similarity.top10_scores);
        row["most_similar"] = Value::Object(most_similar);
    }
    row
}

fn tell(judged: &[Judgement]) {
    let mut reasons: BTreeMap<_, usize> = BTreeMap::new();
    for reason in judged.iter().filter_map(|judgement| judgement.reason) {
        *reasons.entry(reason).or_default() += 1;
    }
    let dropped: Vec<String> = reasons.iter().map(|(reason, n)| format!("{n} {}", reason.name())).collect();
    let kept = judged.iter().filter(|judgement| judgement.kept).count();
    let dropped = if dropped.is_empty() { "none".to_owned() } else { dropped.join(", ") };
    eprintln!("{kept} of {} candidates kept; dropped: {dropped}", judged.len());
}
