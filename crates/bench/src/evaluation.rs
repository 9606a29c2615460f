//! Tasks of `helpmate eval run` on a real model, and the same questions written down for lm-evaluation-harness.
//!
//! What is timed on either side begins with texts and ends with answers: tokens, batches, forward passes. The harness
//! gets its questions as it would ask them (TruthfulQA's two tasks each ask the choices that they share); both sides say
//! what they answered, and `suite` compares it.
use crate::measure::peak_memory;
use clap::ValueEnum;
use eval::{Answer, Ask, Item, LogLikelihood, RunOptions, Settings, Subject, SubjectOptions, Task, TaskResult};
use kernels::Device;
use kernels::linear::Precision;
use model::{LoadOptions, Model, Trainable};
use render::Renderer;
use serde_json::{Value, json};
use std::error::Error;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;
use stdx::Seed;
use world::{SHIPPED_SEED, World};

/// Questions whose answers stand before TruthfulQA's others, as the benchmark's own primer does.
const PRIMER: usize = 6;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// TruthfulQA's multiple choice behind a primer of six questions of the same file
    Truthfulqa,
    /// Which of four sentences a text of the small world goes on with, nothing before it
    Choices,
    /// Greedy answers of 64 tokens to prompts with a passage
    Generation,
}

impl Which {
    fn task(self) -> &'static str {
        match self {
            Which::Truthfulqa => "truthfulqa_mc",
            Which::Choices => "multiple_choice",
            Which::Generation => "hallucination",
        }
    }
}

/// A measurement.
pub struct Evaluation {
    /// What is asked.
    pub which: Which,
    /// Of whom: a model folder with its tokenizer.
    pub model: PathBuf,
    /// TruthfulQA's rows.
    pub rows: Option<PathBuf>,
    /// Questions.
    pub questions: usize,
    /// Where the questions are written, a list of JSON.
    pub items: PathBuf,
}

impl Evaluation {
    /// Questions answered a second.
    pub fn measure(&self, device: &Device, precision: Precision) -> Result<Value, Box<dyn Error>> {
        let task = eval::task::find(self.which.task())?;
        let (settings, primer) = self.settings()?;
        let options = LoadOptions { precision, trainable: Trainable::Nothing, scalar_head: false };
        let model = Model::load(device, &self.model, &options)?;
        let renderer = Renderer::open(&self.model, None)?;
        let mut subject = Subject::new(
            &model,
            &renderer,
            SubjectOptions { name: "model".into(), identity: "model".into(), chat: false, primer: primer.clone() },
        );
        run(task, &Settings { limit: Some(1), ..settings.clone() }, &mut subject)?;
        let started = Instant::now();
        let result = run(task, &settings, &mut subject)?;
        let seconds = started.elapsed().as_secs_f64();
        let mut items = task.items(&settings)?;
        items.truncate(result.n_items);
        let asked: Vec<(Value, Value)> =
            items.iter().zip(&result.items).flat_map(|(item, done)| asked(item, &done.answer, &primer)).collect();
        let (questions, answers): (Vec<Value>, Vec<Value>) = asked.into_iter().unzip();
        stdx::write_file(&self.items, json!(questions).to_string().as_bytes())?;
        let accuracy = (self.which != Which::Generation).then(|| result.estimates[0].value).flatten();
        Ok(json!({
            "questions_per_second": items.len() as f64 / seconds, "seconds": seconds, "questions": items.len(),
            "accuracy": accuracy, "check": accuracy.filter(|_| precision == Precision::F32),
            "answers": answers, "peak_bytes": peak_memory(),
        }))
    }

    /// The task's rows and what stands before each question.
    fn settings(&self) -> Result<(Settings, String), Box<dyn Error>> {
        let mut settings = Settings { limit: Some(self.questions), ..Settings::default() };
        let mut primer = String::new();
        let rows = match self.which {
            Which::Truthfulqa => {
                let path = self.rows.as_ref().ok_or("TruthfulQA's rows are needed: --rows FILE")?;
                let rows = stdx::jsonl::Reader::<_, Value>::new(std::io::BufReader::new(std::fs::File::open(path)?));
                let mut rows = rows.map(|row| Ok(row?.1)).collect::<Result<Vec<Value>, Box<dyn Error>>>()?;
                for row in rows.drain(..PRIMER.min(rows.len())) {
                    let text = |key: &str| row[key].as_str().map(str::to_owned).ok_or(format!("no `{key}`"));
                    primer += &format!("Q: {}\nA: {}\n\n", text("question")?, text("best_answer")?);
                }
                rows
            }
            Which::Choices => continuations(self.questions),
            Which::Generation => {
                settings.max_new_tokens = Some(64);
                return Ok((settings, primer)); // its rows ship with the task
            }
        };
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        let path = self.items.with_extension("rows.jsonl");
        stdx::write_file(&path, text.as_bytes())?;
        settings.data = Some(path);
        Ok((settings, primer))
    }
}

fn run(task: &dyn Task, settings: &Settings, subject: &mut Subject) -> Result<TaskResult, Box<dyn Error>> {
    let mut go_on = |_| ControlFlow::Continue(());
    let mut options = RunOptions { cache: None, seed: Seed(0), on_progress: &mut go_on };
    Ok(eval::run(task, settings, subject, &mut options)?)
}

/// An item as the harness asks it, each question with what was answered: the likeliest choice, or the text.
fn asked(item: &Item, answer: &Answer, primer: &str) -> Vec<(Value, Value)> {
    match (&item.ask, answer) {
        (Ask::Choices { context, continuations, .. }, Answer::Choices { conditional, unconditional }) => {
            let context = format!("{primer}{context}");
            let of = |list: &str| {
                let gold = &item.gold[list];
                let indices: Vec<usize> = serde_json::from_value(gold["indices"].clone()).unwrap_or_default();
                let texts: Vec<&String> = indices.iter().map(|&idx| &continuations[idx]).collect();
                let likelihoods: Vec<LogLikelihood> = indices.iter().map(|&idx| conditional[idx]).collect();
                // Of the list with one true answer that is the right one.
                let right = gold["labels"].as_array().and_then(|l| l.iter().position(|label| label == true));
                let right = right.filter(|_| list == "mc1");
                (json!({"context": context, "continuations": texts, "right": right}), json!(best(&likelihoods)))
            };
            if item.gold.get("mc1").is_some() {
                return vec![of("mc1"), of("mc2")];
            }
            let right = item.gold["gold"].get(0);
            vec![
                (json!({"context": context, "continuations": continuations, "right": right}), json!(best(conditional))),
                // For mutual information, which both sides report.
                (json!({"context": "", "continuations": continuations}), json!(best(unconditional))),
            ]
        }
        (Ask::Completions { prompt, sampling }, Answer::Completions { samples }) => {
            let said: Vec<&str> = samples.iter().map(|sample| sample.text.trim()).collect();
            vec![(json!({"prompt": prompt, "max_new_tokens": sampling.max_new_tokens}), json!(said.concat()))]
        }
        _ => Vec::new(),
    }
}

/// The first of the likeliest.
fn best(likelihoods: &[LogLikelihood]) -> usize {
    let mut best = 0;
    for (idx, likelihood) in likelihoods.iter().enumerate() {
        if likelihood.sum > likelihoods[best].sum {
            best = idx;
        }
    }
    best
}

/// Two texts of the small world, the second without its last sentence; the choices are last sentences of four texts.
fn continuations(n: usize) -> Vec<Value> {
    let world = World::new(SHIPPED_SEED);
    let texts = world.texts();
    let parted = |text: String| {
        let (before, last) = text.trim_end_matches(['.', '\n']).rsplit_once(". ")?;
        (!last.contains('\n')).then(|| (format!("{before}."), format!("{last}.")))
    };
    let parts: Vec<(String, String)> = texts.iter().filter_map(parted).take(n + 4).collect();
    let row = |idx: usize| {
        let gold = idx % 4;
        let choices: Vec<&str> = (0..4).map(|place| parts[idx + (place + 4 - gold) % 4].1.as_str()).collect();
        let (before, last) = &parts[(idx + 4) % parts.len()];
        json!({"context": format!("{before} {last}\n\n{}", parts[idx].0), "choices": choices, "gold": gold, "source": "rule"})
    };
    (0..n).map(row).collect()
}

/// For the command line: the file of questions of a process that was given none.
pub fn scratch(items: Option<PathBuf>) -> PathBuf {
    items.unwrap_or_else(|| std::env::temp_dir().join(format!("helpmate-bench-items-{}.json", std::process::id())))
}
