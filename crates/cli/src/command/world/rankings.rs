//! `helpmate world rankings`.

use super::prompts::SplitOption;
use super::{Answered, Which, distinct_prompts, read_answers, tell_fewer};
use crate::error::CommandError;
use crate::output::Output;
use ::world::gold::{self, Verdict};
use ::world::labeler::{Faults, GROUPS, Panel, PanelError, Shown, candidates};
use ::world::{Request, World};
use clap::Args;
use record::Prompt;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use stdx::Seed;

/// Rank answers as simulated labelers do
///
/// The labelers see gold's verdicts through known faults: noise, ties, a liking for length or for what is shown first,
/// mistakes, wrong ticks; what they value is their group's. With --data they rank the completions of each prompt there
/// (rows of `helpmate generate`, say); without, constructed answers of every quality. A row a ranking: `completions`
/// with `rank` (1 best, equal is a tie), `rating` (1 to 7), the `place` in which it was shown and InstructGPT's yes/no
/// fields as `flags`; `labeler`, `group`, and `source` = `simulated`.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate world rankings --data completions.jsonl --groups helpful-first truthful-first --out rankings.jsonl"
)]
pub struct Rankings {
    #[command(flatten)]
    which: Which,
    /// Rows with completions to rank; constructed answers when absent
    #[arg(long, value_name = "FILE", num_args = 1..)]
    data: Vec<PathBuf>,
    /// How many prompts get constructed answers
    #[arg(long, value_name = "N", default_value_t = 1000, conflicts_with = "data")]
    n: usize,
    /// Split of those prompts
    #[arg(long, value_enum, default_value_t = SplitOption::Reward, conflicts_with = "data")]
    split: SplitOption,
    /// Answers a ranking (the most, with --data), 2 to 9
    #[arg(long, value_name = "K", default_value_t = 4, value_parser = clap::value_parser!(u8).range(2..=9))]
    k: u8,
    /// What the labelers value: gold, helpful-first, truthful-first, form-first
    #[arg(long, value_name = "GROUP", num_args = 1.., default_values_t = ["helpful-first".to_string()])]
    groups: Vec<String>,
    /// Labelers of each group
    #[arg(long, value_name = "N", default_value_t = 5)]
    labelers: usize,
    /// Scale of the logistic noise between two answers, where the best is worth 1 and the worst 0
    #[arg(long, value_name = "S", default_value_t = Faults::default().noise)]
    noise: f64,
    /// Answers nearer than this are ties
    #[arg(long, value_name = "W", default_value_t = Faults::default().tie)]
    tie: f64,
    /// Worth added per natural logarithm of words
    #[arg(long, value_name = "B", default_value_t = Faults::default().length_bias, allow_negative_numbers = true)]
    length_bias: f64,
    /// Worth added to what is shown first, falling evenly to none for the last
    #[arg(long, value_name = "B", default_value_t = Faults::default().position_bias, allow_negative_numbers = true)]
    position_bias: f64,
    /// Probability of a ranking upside down
    #[arg(long, value_name = "P", default_value_t = Faults::default().mistake)]
    mistake: f64,
    /// Probability of a wrong tick, for each field
    #[arg(long, value_name = "P", default_value_t = Faults::default().flag_error)]
    flag_error: f64,
    /// Standard deviation over labelers of how mild they rate, in points of 7
    #[arg(long, value_name = "S", default_value_t = Faults::default().severity)]
    severity: f64,
    /// Seed of the answers' choice and of the labelers
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// File to write; stdout when absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A prompt with the answers to rank, its identifier and use-case where they are known.
struct Material {
    prompt: Prompt,
    answers: Vec<String>,
    id: Option<String>,
    use_case: Option<String>,
}

impl Rankings {
    pub fn run(self) -> Result<(), CommandError> {
        let world = self.which.open();
        let groups: Vec<&str> = self.groups.iter().map(String::as_str).collect();
        let panel = Panel::new(&groups, self.labelers, self.faults(), Seed(self.seed)).map_err(of_panel)?;
        let materials = if self.data.is_empty() { self.constructed(&world) } else { self.read(&world)? };
        let mut out = Output::open(self.out.as_deref())?;
        for (number, material) in materials.iter().enumerate() {
            let asked = gold::asked(&material.prompt);
            let verdicts: Vec<Verdict> =
                material.answers.iter().map(|answer| gold::judge(&world, asked, answer)).collect();
            let shown: Vec<Shown> =
                material.answers.iter().zip(&verdicts).map(|(text, verdict)| Shown { text, verdict }).collect();
            let mut row = panel.row(number as u64, &material.prompt, &shown);
            (row.id, row.use_case) = (material.id.clone(), material.use_case.clone());
            out.row(&row)?;
        }
        out.finish()
    }

    fn faults(&self) -> Faults {
        Faults {
            noise: self.noise,
            tie: self.tie,
            length_bias: self.length_bias,
            position_bias: self.position_bias,
            mistake: self.mistake,
            flag_error: self.flag_error,
            severity: self.severity,
        }
    }

    /// Prompts of the split with constructed answers.
    fn constructed(&self, world: &World) -> Vec<Material> {
        let material = |(index, row): (u64, ::world::PromptRow)| {
            let mut stream = Seed(self.seed).stream("candidates", index);
            let answers = candidates(world, &row, usize::from(self.k), &mut stream);
            Material {
                prompt: Prompt::Messages(vec![record::Message::user(&row.text)]),
                answers: answers.into_iter().map(|(_, answer)| answer).collect(),
                id: Some(row.id),
                use_case: Some(row.request.use_case.as_str().to_owned()),
            }
        };
        let found: Vec<Material> = distinct_prompts(world, self.split.split(), self.n).map(material).collect();
        tell_fewer(found.len(), self.n, "prompts");
        found
    }

    /// The completions of each prompt in the files, at most K together.
    fn read(&self, world: &World) -> Result<Vec<Material>, CommandError> {
        let mut place_of: HashMap<Prompt, usize> = HashMap::new();
        let mut prompts: Vec<Answered> = Vec::new();
        for answered in read_answers(&self.data, None, false)? {
            let place = *place_of.entry(answered.prompt.clone()).or_insert(prompts.len());
            match prompts.get_mut(place) {
                Some(known) => known.completions.extend(answered.completions),
                None => prompts.push(answered),
            }
        }
        let mut found = Vec::new();
        let mut n_alone = 0;
        let mut n_again = 0;
        for Answered { prompt, mut completions, id } in prompts {
            // Nobody ranks a text against itself: two ranks of the same text would contradict each other.
            let mut seen = HashSet::new();
            let n_written = completions.len();
            completions.retain(|text| seen.insert(text.trim().to_owned()));
            n_again += n_written - completions.len();
            let request = world.understand(gold::asked(&prompt));
            let use_case = request.map(|Request { use_case, .. }| use_case.as_str().to_owned());
            for answers in completions.chunks(usize::from(self.k)) {
                if answers.len() < 2 {
                    n_alone += 1;
                    continue;
                }
                let (prompt, id, use_case) = (prompt.clone(), id.clone(), use_case.clone());
                found.push(Material { prompt, answers: answers.to_vec(), id, use_case });
            }
        }
        if n_again > 0 {
            eprintln!("{n_again} completions left out that were there already, word for word");
        }
        if n_alone > 0 {
            eprintln!("{n_alone} completions left out that had none to be compared with");
        }
        if found.is_empty() {
            let files: Vec<String> = self.data.iter().map(|file| file.display().to_string()).collect();
            let message = format!("{}: no prompt with two completions to rank", files.join(", "));
            return Err(CommandError::input(message).hint("`helpmate generate --n 4` writes four of each prompt"));
        }
        Ok(found)
    }
}

fn of_panel(error: PanelError) -> CommandError {
    let hint = match &error {
        PanelError::Group { .. } => {
            let groups = GROUPS.iter().map(|group| format!("{}: {}", group.name, group.summary));
            Some(groups.collect::<Vec<_>>().join("; "))
        }
        PanelError::Fault { field, .. } => Some(format!("--{}", field.replace('_', "-"))),
        PanelError::Nobody => Some("--labelers 1".to_string()),
    };
    CommandError::usage(error).maybe_hint(hint)
}
