//! `helpmate eval judge`.

use crate::error::{CommandError, of_file};
use crate::{output, table};
use ::eval::truth::{Judge as Trained, Labelled, Record};
use clap::Args;
use std::path::PathBuf;
use stdx::Seed;

/// Train an offline judge of answers from published labels, and say how good it is on questions it never saw
///
/// Rows are those that TruthfulQA's authors published to train theirs on, {"prompt": "Q: …\nA: …\nTrue:", "completion":
/// " yes"} (with `Helpful:` a judge of informativeness), or {"question", "answer", "label": true}. Logistic regression on
/// words of question and answer, in five folds by question: an answer is only ever scored by a fold that never saw its
/// question. Prints its accuracy with a 95 % interval beside always saying the more frequent, and beside the words of the
/// answer alone. `helpmate eval run truthfulqa_gen --judge FILE` judges with it.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate eval judge --data finetune_truth.jsonl --out truth-judge.json")]
pub struct Judge {
    /// Labelled answers
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Seed of the folds
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print the record as JSON
    #[arg(long)]
    json: bool,
}

impl Judge {
    pub fn run(self) -> Result<(), CommandError> {
        let (mut rows, mut judges) = (Vec::new(), None);
        for path in &self.data {
            for row in corpus::values(path)? {
                let (line, row) = row?;
                let wrong = |problem: String| CommandError::input(format!("{}:{line}: {problem}", path.display()));
                let (labelled, quality) = Labelled::read(&row).map_err(wrong)?;
                if *judges.get_or_insert(quality) != quality {
                    let found = quality.name();
                    return Err(wrong(format!("found a label of {found}, expected one kind of label in all rows")));
                }
                rows.push(labelled);
            }
        }
        let judges = judges.ok_or_else(|| CommandError::input("no labelled answers: the files are empty"))?;
        let judge = Trained::train(&rows, judges, Seed(self.seed))?;
        let text = serde_json::to_string(&judge).map_err(CommandError::input)? + "\n";
        if let Some(folder) = self.out.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(of_file(folder))?;
        }
        stdx::write_file(&self.out, text.as_bytes())?;
        eprintln!("{}", self.out.display());
        output::report(&judge.record, self.json, |record| describe(record, judges.name()))
    }
}

fn describe(record: &Record, judges: &str) -> String {
    let share = |value: f64| format!("{value:.4}");
    let with = |value: f64, interval: Option<[f64; 2]>, sign: bool| {
        let number = |value: f64| if sign { format!("{value:+.4}") } else { share(value) };
        match interval {
            Some([low, high]) => format!("{} [{}, {}]", number(value), number(low), number(high)),
            None => number(value),
        }
    };
    let folds: Vec<String> = record.accuracy_of_folds.iter().map(|value| format!("{value:.3}")).collect();
    let lines = [
        ("accuracy, unseen questions", with(record.accuracy, record.accuracy_interval, false)),
        ("of each fold", folds.join(" ")),
        ("always the more frequent", share(record.majority)),
        ("words of the answer alone", share(record.bag_of_words)),
        ("accuracy less that", with(record.over_bag_of_words.0, record.over_bag_of_words.1, true)),
    ];
    let rows: Vec<Vec<String>> = lines.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    let mut text = format!("{judges}: {} answers to {} questions\n", record.answers, record.questions);
    text.push_str(&table::render(&["measure", "value"], &rows));
    let calibration: Vec<Vec<String>> = (record.calibration.iter().enumerate())
        .map(|(i, (n, yes))| vec![format!("0.{i} to {:.1}", (i + 1) as f64 / 10.0), n.to_string(), format!("{yes:.3}")])
        .collect();
    text.push_str(&format!("\n{}", table::render(&["said", "answers", "people said so"], &calibration)));
    text
}
