//! `helpmate unseen`: does training on many tasks help on a kind of task that was never seen?

use super::data::render::{MixtureArguments, Render};
use super::eval::run::Run as EvalRun;
use crate::arguments::DtypeOption;
use crate::context::Context;
use crate::error::{CommandError, of_file};
use crate::training::{self, Drawing};
use crate::{interrupt, loading, output, table};
use ::eval::unseen::{Change, Report, changes};
use ::eval::{Settings, task};
use ::run::{Layers, SftConfig};
use clap::Args;
use kernels::Device;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use stdx::atomic::write_file;

/// Hold a kind of task out, train on the others, and measure the kind that was held out
///
/// Renders the rows by every template of their task, keeps the cluster's tasks from training and leaves its relatives out
/// altogether, fine-tunes the model on the rest, and measures rank classification (Σ log p of each answer, as T0 does)
/// before and after: on the cluster that was held out, and on rows of the trained tasks that were kept apart. Prints
/// accuracies with their differences, paired, and 95 % intervals over rows, beside guessing and the most frequent answer.
/// The folder gets `train.jsonl`, `unseen.jsonl`, `seen.jsonl`, the run `sft/`, `report.json` and `report.html`. The same
/// command goes on where it was interrupted.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate unseen --model default --templates data/templates --data data/labelled.jsonl --clusters data/task_clusters.json --hold-out sentiment --out runs/unseen"
)]
pub struct Unseen {
    /// Model to start from: folder, GGUF file, run folder (its final/), or a source as `helpmate pull` knows it
    #[arg(long, value_name = "M")]
    model: String,
    /// File or folder of templates, as for `helpmate data render`
    #[arg(long, value_name = "FILE|DIR")]
    templates: PathBuf,
    /// Labelled rows, as for `helpmate data render`
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Clusters of tasks (JSON)
    #[arg(long, value_name = "FILE")]
    clusters: PathBuf,
    /// The cluster that is never trained on
    #[arg(long, value_name = "CLUSTER")]
    hold_out: String,
    #[command(flatten)]
    mixture: MixtureArguments,
    /// Share of the trained tasks' rows that is kept apart and measured too
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    seen_fraction: f64,
    /// Passes over the renderings
    #[arg(long, value_name = "N", default_value_t = 1)]
    epochs: u32,
    /// Renderings an optimizer step
    #[arg(long, value_name = "N", default_value_t = 16)]
    batch_size: u32,
    /// Highest learning rate
    #[arg(long, value_name = "LR", default_value_t = 3e-5)]
    lr: f64,
    /// Set a key of the training's config, over these; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Arithmetic of the measurements
    #[arg(long, value_enum, default_value_t = DtypeOption::Auto)]
    dtype: DtypeOption,
    /// Threads; every core when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Seed of every random stream
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u32,
    /// Folder of everything that is made
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Unseen {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        interrupt::listen()?;
        let start = loading::resolve(context, &self.model)?;
        std::fs::create_dir_all(&self.out).map_err(of_file(&self.out))?;
        self.check_settings(&start)?;
        let trained = self.render()?;
        let parts = ["unseen", "seen"].map(|part| self.out.join(format!("{part}.jsonl")));
        // Before training, so that what can't be measured is told at once.
        let before = self.measure(context, "before", &start, &parts)?;
        let steps = self.train(&start)?;
        let after = self.measure(context, "after", &self.out.join("sft/final"), &parts)?;
        let change = |i: usize| changes(&rows(&parts[i])?, &before[i], &after[i]).map_err(CommandError::from);
        let report = Report {
            model: self.model.clone(),
            held_out: self.hold_out.clone(),
            seed: self.seed,
            command: std::env::args().collect::<Vec<_>>().join(" "),
            renderings_trained: trained,
            steps,
            unseen: change(0)?,
            seen: change(1)?,
        };
        let text = serde_json::to_string_pretty(&report).map_err(CommandError::input)? + "\n";
        write_file(&self.out.join("report.json"), text.as_bytes())?;
        write_file(&self.out.join("report.html"), report.to_html().as_bytes())?;
        output::report(&report, self.json, describe)
    }

    /// A folder holds one experiment.
    fn check_settings(&self, start: &Path) -> Result<(), CommandError> {
        let files: Vec<String> = [&self.clusters]
            .into_iter()
            .chain(&self.data)
            .map(|path| stdx::hash::file(path))
            .collect::<Result<_, _>>()?;
        let templates = if self.templates.is_dir() {
            stdx::hash::folder(&self.templates)?
        } else {
            stdx::hash::file(&self.templates)?
        };
        let settings = json!({
            "model": start, "hold_out": self.hold_out, "files": files, "templates": templates,
            "mixture": format!("{:?}", self.mixture), "seen_fraction": self.seen_fraction, "epochs": self.epochs,
            "batch_size": self.batch_size, "lr": self.lr, "set": self.settings, "seed": self.seed,
        });
        let path = self.out.join("settings.json");
        match std::fs::read(&path) {
            Ok(bytes) if serde_json::from_slice::<Value>(&bytes).ok().as_ref() == Some(&settings) => Ok(()),
            Ok(_) => Err(CommandError::usage(format!("--out {}: another experiment is there", self.out.display()))
                .hint("name another folder")),
            Err(_) => {
                let text = serde_json::to_string_pretty(&settings).map_err(CommandError::input)? + "\n";
                Ok(write_file(&path, text.as_bytes())?)
            }
        }
    }

    /// Writes the renderings; how many are trained on.
    fn render(&self) -> Result<usize, CommandError> {
        let place = |name: &str| self.out.join(name);
        Render {
            templates: self.templates.clone(),
            data: self.data.clone(),
            template: None,
            all: true,
            task: None,
            original_task: false,
            choice: None,
            mixture: self.mixture,
            clusters: Some(self.clusters.clone()),
            hold_out: Some(self.hold_out.clone()),
            split: None,
            t0: None,
            drop_overlap: false,
            held_out_out: Some(place("unseen.jsonl")),
            seen_fraction: self.seen_fraction,
            seen_out: Some(place("seen.jsonl")),
            separator: " ".to_owned(),
            skip_bad: false,
            seed: u64::from(self.seed),
            out: Some(place("train.jsonl")),
        }
        .write()?;
        for name in ["unseen.jsonl", "seen.jsonl"] {
            keep_answerable(&place(name))?;
        }
        Ok(rows(&place("train.jsonl"))?.len())
    }

    /// Rank classification of both parts.
    fn measure(
        &self,
        context: &Context,
        name: &str,
        model: &Path,
        parts: &[PathBuf],
    ) -> Result<Vec<::eval::TaskResult>, CommandError> {
        eprintln!("\n== {name}: {}", model.display());
        let task = task::find("rank_classification")?;
        let asked: Vec<_> =
            parts.iter().map(|part| (task, Settings { data: Some(part.clone()), ..Settings::default() })).collect();
        let model = training::text(model);
        let run = EvalRun::of_plain_prompts(model.clone(), self.dtype, self.threads);
        Ok(run.evaluate(context, name, &model, "", &asked)?.tasks)
    }

    /// Fine-tunes; how many steps were taken.
    fn train(&self, start: &Path) -> Result<u64, CommandError> {
        let out = self.out.join("sft");
        eprintln!("\n== training: {}", out.display());
        let mut layers = Layers::new()
            .option::<SftConfig>("--model", "model.path", training::text(start))?
            .option::<SftConfig>("unseen", "data.train", training::text(&self.out.join("train.jsonl")))?
            .option::<SftConfig>("--epochs", "train.epochs", i64::from(self.epochs))?
            .option::<SftConfig>("--batch-size", "train.batch_size", i64::from(self.batch_size))?
            .option::<SftConfig>("--lr", "optimizer.lr", self.lr)?
            .option::<SftConfig>("--seed", "train.seed", i64::from(self.seed))?;
        for setting in &self.settings {
            layers = layers.set::<SftConfig>(setting)?;
        }
        let metrics = out.join("metrics.jsonl");
        if !out.join("final/config.json").is_file() {
            let renderer = loading::open_renderer(start, None)?;
            let device = Device::detect(self.threads.map(usize::from));
            let resume = out.join("config.toml").is_file();
            let options = training::options(layers.resolve::<SftConfig>()?, &out, resume, device, &renderer, None);
            let mut drawing = Drawing::new();
            let outcome = train::sft::run(options, &mut |event: &train::Event| drawing.event(event));
            drawing.finish();
            training::conclude(outcome?, &out)?;
        }
        Ok(rows(&metrics)?.len() as u64)
    }
}

/// Rows of a file that this command wrote.
fn rows(path: &Path) -> Result<Vec<Value>, CommandError> {
    corpus::values(path)?.map(|row| Ok(row?.1)).collect()
}

/// Leaves in a file what rank classification can ask: renderings whose target is one of their options.
fn keep_answerable(path: &Path) -> Result<(), CommandError> {
    let all = rows(path)?;
    let kept: Vec<&Value> = all.iter().filter(|row| row["gold"].is_u64()).collect();
    if kept.is_empty() {
        return Err(CommandError::input(format!(
            "{}: none of {} renderings has its target among its options, so there is nothing to rank",
            path.display(),
            all.len()
        ))
        .hint("give the templates answer_choices, or hold another cluster out"));
    }
    if kept.len() < all.len() {
        eprintln!("{}: {} renderings without options left out", path.display(), all.len() - kept.len());
        stdx::atomic::write_file_with(path, |out| kept.iter().try_for_each(|row| stdx::jsonl::write_line(out, row)))?;
    }
    Ok(())
}

fn describe(report: &Report) -> String {
    let mut text = format!(
        "{}: {} renderings trained on in {} steps, seed {}; held out: {}\n",
        report.model, report.renderings_trained, report.steps, report.seed, report.held_out
    );
    for (title, changes) in
        [("unseen, the cluster held out", &report.unseen), ("seen tasks, unseen rows", &report.seen)]
    {
        let header = [
            "accuracy of",
            "guessing",
            "always the same",
            "before",
            "after",
            "difference",
            "rows",
            "better/same/worse",
            "p",
        ];
        let table: Vec<Vec<String>> = changes.iter().map(line).collect();
        text.push_str(&format!("\n{title}\n{}", table::render(&header, &table)));
    }
    text.push_str(
        "\nIntervals: 95 %, rows drawn with replacement. \"Always the same\": the answer that is right most often. \
         One seed: how much another training run would differ isn't in them.\n",
    );
    text
}

fn line(change: &Change) -> Vec<String> {
    let [better, same, worse] = change.signs;
    let [was, is] = change.most_given.map(|share| format!("{:.0} %", 100.0 * share));
    let name = format!("{} (one answer: {was} → {is})", change.name);
    vec![
        name,
        format!("{:.3}", change.chance),
        format!("{:.3}", change.majority),
        change.before.plain(),
        change.after.plain(),
        change.difference.signed(),
        format!("{} ({})", change.rows, change.renderings),
        format!("{better}/{same}/{worse}"),
        format!("{:.3}", change.sign_p),
    ]
}
