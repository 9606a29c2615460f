//! `helpmate eval duel`.

use crate::context::Context;
use crate::error::{CommandError, Kind, of_file};
use crate::writer::{WriterArguments, of_writing};
use crate::{interrupt, output, reward, table};
use ::eval::duel::{Duel as Outcome, Judged, JudgedBy, Pair, Record, Said, Verdict, of_rewards, question, said};
use clap::Args;
use endpoint::completion::CompletionRequest;
use instruct::writer::{Answers, Budget};
use kernels::Device;
use record::Prompt;
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use train::scorer::Asked;

/// Let a judge model, or a reward model, say which of two models answers better
///
/// The files are what `helpmate generate` writes for the same prompts (rows with `prompt` and `completion`; the n-th
/// completion of a prompt meets the other's n-th). A judge model is shown each pair in both orders, because judges have a
/// favourite place; a reward (--reward) sees one answer at a time, and the higher one wins. Prints the second's win rate
/// (ties half) with its 95 % interval over prompts, strict wins, the rate at equal lengths, how often the order alone
/// decided, and how often the judge kept to no form. Verdicts are kept in the folder: the same command again asks a judge
/// model nothing twice, and `helpmate eval report FOLDER` shows them. A judge's preference is not a person's.
#[derive(Args)]
#[command(
    mut_arg("model", |model| model.required_unless_present_any(["endpoint", "reward"])),
    after_help = "Example:\n  helpmate eval duel --a before.jsonl --b after.jsonl --model default --chat --out evals/duel"
)]
pub struct Duel {
    /// Answers of the first model
    #[arg(long, value_name = "FILE")]
    a: PathBuf,
    /// Answers of the second model
    #[arg(long, value_name = "FILE")]
    b: PathBuf,
    /// What the first model is called in reports; the file's name when absent
    #[arg(long, value_name = "NAME", requires = "name_b")]
    name_a: Option<String>,
    /// What the second model is called in reports
    #[arg(long, value_name = "NAME", requires = "name_a")]
    name_b: Option<String>,
    /// Judge by a reward instead: reward-model folder or run, rule:NAME[:ARG], or http(s)://…
    #[arg(long, value_name = "R", conflicts_with_all = ["model", "endpoint", "chat", "concurrency", "per_minute", "timeout", "attempts", "backoff", "max_new_tokens"])]
    reward: Option<String>,
    #[command(flatten)]
    judge: WriterArguments,
    /// Most tokens of a verdict
    #[arg(long, value_name = "N", default_value_t = 256)]
    max_new_tokens: usize,
    /// Folder for verdicts and result
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Rewards asked for at once.
const BATCH_PROMPTS: usize = 16;

/// What was said of each pair, in both orders, and the rewards where a reward judged.
type Told = Vec<([Option<Said>; 2], Option<[f64; 2]>)>;

impl Duel {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        let pairs = pairs(&self.a, &self.b)?;
        interrupt::listen()?;
        std::fs::create_dir_all(&self.out).map_err(of_file(&self.out))?;
        let (judge, judged_by, told) = match &self.reward {
            Some(reward) => (reward.clone(), JudgedBy::Reward, self.rewarded(context, reward, &pairs)?),
            None => (self.judge_name(), JudgedBy::Model, self.judged(context, &pairs)?),
        };
        let judged: Vec<Judged> = pairs.iter().zip(&told).map(|((_, pair), (said, _))| (pair, *said)).collect();
        let record = Record {
            a: self.a.clone(),
            b: self.b.clone(),
            names: self.name_a.clone().zip(self.name_b.clone()).map(|(a, b)| [a, b]),
            judge,
            judged_by,
            duel: Outcome::of(&judged, judged_by)?,
        };
        let pairs = pairs.into_iter().zip(told).map(|((prompt, pair), (said, rewards))| {
            let Pair { a, b, .. } = pair;
            Verdict { prompt, a, b, said, rewards }
        });
        record.write(&self.out, &pairs.collect::<Vec<_>>())?;
        output::report(&record, self.json, describe)
    }

    fn judge_name(&self) -> String {
        match (&self.judge.endpoint_model, &self.judge.model) {
            (Some(name), _) | (_, Some(name)) => name.clone(),
            _ => String::new(),
        }
    }

    /// Asks a judge model both orders of each pair, and nothing that it has answered before.
    fn judged(&self, context: &Context, pairs: &[(Prompt, Pair)]) -> Result<Told, CommandError> {
        let mut answers = Answers::open(&self.out.join("verdicts.jsonl")).map_err(of_writing)?;
        let mut judge = self.judge.open(context, 1.0, 8, 0)?;
        let request = |first: &str, second: &str, prompt: &str| CompletionRequest {
            prompt: question(prompt, first, second),
            max_tokens: self.max_new_tokens,
            temperature: 0.0,
            top_p: 0.0,
            presence_penalty: 0.0,
            stop: Vec::new(),
        };
        let requests: Vec<_> = (pairs.iter())
            .flat_map(|(_, Pair { prompt, a, b })| [(request(a, b, prompt), 0), (request(b, a, prompt), 0)])
            .collect();
        let mut n = 0;
        let told = answers
            .of(judge.as_mut(), &requests, &Budget::default(), &mut |_| {
                n += 1;
                if n % 50 == 0 {
                    eprintln!("{n} verdicts");
                }
            })
            .map_err(of_writing)?;
        let verdicts: Vec<Option<Said>> = told.iter().map(|answer| said(&answer.text)).collect();
        Ok(verdicts.chunks(2).map(|said| ([said[0], said[1]], None)).collect())
    }

    /// Scores both answers of each pair.
    fn rewarded(&self, context: &Context, reward: &str, pairs: &[(Prompt, Pair)]) -> Result<Told, CommandError> {
        let device = Device::detect(self.judge.threads.map(usize::from));
        let mut scorer = reward::open_all(context, &[reward.to_owned()], None, &device, self.judge.dtype)?;
        let mut told = Told::new();
        for batch in pairs.chunks(BATCH_PROMPTS) {
            if interrupt::asked() {
                return Err(CommandError::new(
                    Kind::Interrupted,
                    "interrupted: rewards aren't kept, nothing is written",
                ));
            }
            let asked = |(prompt, pair): &'_ (Prompt, Pair)| (prompt.clone(), [pair.a.clone(), pair.b.clone()]);
            let batch: Vec<_> = batch.iter().map(asked).collect();
            let asked: Vec<Asked> = (batch.iter())
                .map(|(prompt, answers)| Asked { prompt, completions: answers.iter().map(String::as_str).collect() })
                .collect();
            for (idx, rewards) in scorer.score(&asked)?.into_iter().enumerate() {
                let at = told.len();
                let [a, b] = rewards[..] else {
                    let n = rewards.len();
                    return Err(CommandError::input(format!(
                        "--reward {reward}: {n} rewards for pair {idx}, expected 2"
                    )));
                };
                if !a.is_finite() || !b.is_finite() {
                    return Err(CommandError::input(format!(
                        "--reward {reward}: pair {}: rewards are {a} and {b}, expected finite numbers",
                        at + 1
                    )));
                }
                told.push((of_rewards(a, b), Some([a, b])));
            }
        }
        Ok(told)
    }
}

/// The n-th completion of each prompt in one file with the n-th in the other.
fn pairs(a: &Path, b: &Path) -> Result<Vec<(Prompt, Pair)>, CommandError> {
    let mut of_b: BTreeMap<String, VecDeque<String>> = BTreeMap::new();
    for (prompt, completion) in completions(b)? {
        of_b.entry(text(&prompt)).or_default().push_back(completion);
    }
    let mut pairs = Vec::new();
    let mut alone = 0;
    for (asked, a) in completions(a)? {
        let prompt = text(&asked);
        match of_b.get_mut(&prompt).and_then(VecDeque::pop_front) {
            Some(b) => pairs.push((asked, Pair { prompt, a, b })),
            None => alone += 1,
        }
    }
    alone += of_b.values().map(VecDeque::len).sum::<usize>();
    if pairs.is_empty() {
        return Err(CommandError::input(format!("{} and {}: no prompt in common", a.display(), b.display()))
            .hint("answer the same prompts with both models: helpmate generate --prompts FILE"));
    }
    if alone > 0 {
        eprintln!("{alone} completions have no counterpart and are left out");
    }
    Ok(pairs)
}

/// A prompt as the judge reads it.
fn text(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::Messages(messages) => {
            let turn = |message: &record::Message| format!("{}: {}", message.role.as_str(), message.content);
            messages.iter().map(turn).collect::<Vec<_>>().join("\n")
        }
    }
}

/// Prompt and completion of each row.
fn completions(path: &Path) -> Result<Vec<(Prompt, String)>, CommandError> {
    let mut rows = Vec::new();
    for row in corpus::values(path)? {
        let (line, row) = row?;
        let prompt = serde_json::from_value::<Prompt>(row["prompt"].clone()).ok();
        let (Some(prompt), Some(completion)) = (prompt, row["completion"].as_str()) else {
            return Err(CommandError::input(format!(
                "{}:{line}: found {:.60}, expected `prompt` (text or messages) and `completion` (text)",
                path.display(),
                json!(row).to_string()
            )));
        };
        rows.push((prompt, completion.to_owned()));
    }
    Ok(rows)
}

fn describe(record: &Record) -> String {
    let Record { duel, judge, .. } = record;
    let of_prompts = duel.prompts.filter(|prompts| *prompts != duel.n);
    let n =
        of_prompts.map_or_else(|| format!("n = {}", duel.n), |prompts| format!("n = {} of {prompts} prompts", duel.n));
    let with = |value: f64, interval: Option<[f64; 2]>| match interval {
        Some([low, high]) => format!("{value:.4} [{low:.4}, {high:.4}] ({n})"),
        None => format!("{value:.4} ({n}: no interval)"),
    };
    let optional = |found: Option<(f64, Option<[f64; 2]>)>| {
        found.map_or_else(|| "can't say".to_owned(), |(value, interval)| with(value, interval))
    };
    let [won, lost, other] = duel.strict;
    let [missing, asked] = duel.off_format;
    let mut lines = vec![
        ("win rate of b, ties half", with(duel.win_rate, duel.interval)),
        ("at equal lengths", optional(duel.length_controlled)),
        ("won / undecided / lost", format!("{won} / {other} / {lost} (sign test p = {:.3})", duel.sign_p)),
    ];
    if record.judged_by == JudgedBy::Model {
        let agree = duel.consistent.map_or_else(|| "can't say".to_owned(), |share| format!("{share:.4}"));
        lines.push(("the first place favoured (½: no bias)", optional(duel.first_favoured)));
        lines.push(("both orders agree", agree));
        lines.push(("verdicts that keep to no form", format!("{missing} of {asked}")));
        lines.push(("pairs without a verdict", duel.without_verdict.to_string()));
    }
    lines.push(("characters, a and b", format!("{:.0} and {:.0}", duel.characters[0], duel.characters[1])));
    let rows: Vec<Vec<String>> = lines.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    let by = match record.judged_by {
        JudgedBy::Model => format!("judged by the model {judge}, in both orders"),
        JudgedBy::Reward => format!("judged by the reward {judge}"),
    };
    format!(
        "a: {}\nb: {}\n{by}; a judge's preference is not a person's\n\n{}",
        record.a.display(),
        record.b.display(),
        table::render(&["measure", "value"], &rows)
    )
}
