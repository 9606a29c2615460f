//! What the training commands share: a config from its layers, the loop's events on the terminal, how a run ends.

use crate::context::Context;
use crate::error::{CommandError, Kind, of_file};
use crate::{interrupt, loading, table};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use kernels::Device;
use render::Renderer;
use run::{Layers, Resolved, RunFolder, StageConfig};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use train::data::{DataReport, PartReport};
use train::session::Supervised;
use train::{Event, Outcome, Program, Progress, Sink, Summary, TrainError};

/// What every training command takes.
#[derive(Args)]
pub struct TrainingArguments {
    /// Model to start from: folder, GGUF file, run folder (its final/), or a source as `helpmate pull` knows it
    #[arg(long, value_name = "M")]
    pub model: Option<String>,
    /// Training files
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// Held-out files
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub eval_data: Vec<PathBuf>,
    /// Run folder to write
    #[arg(long, value_name = "RUN")]
    pub out: PathBuf,
    /// Continue the run in --out from its last checkpoint, bit for bit as if it had not stopped
    #[arg(long)]
    pub resume: bool,
    /// Config file; its keys stand in docs/config.md
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    /// Set a key of the config, over the file; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Passes over the data (train.epochs)
    #[arg(long, value_name = "N", conflicts_with = "max_steps")]
    pub epochs: Option<u32>,
    /// Optimizer steps (train.max_steps)
    #[arg(long, value_name = "N")]
    pub max_steps: Option<u32>,
    /// Highest learning rate (optimizer.lr)
    #[arg(long, value_name = "LR")]
    pub lr: Option<f64>,
    /// Rows an optimizer step (train.batch_size)
    #[arg(long, value_name = "N")]
    pub batch_size: Option<u32>,
    /// Seed of every random stream (train.seed)
    #[arg(long, value_name = "S")]
    pub seed: Option<u32>,
    /// Jinja file to use instead of the model's own chat template (data.chat_template)
    #[arg(long, value_name = "FILE")]
    pub chat_template: Option<PathBuf>,
    /// Count broken rows instead of stopping at the first (data.skip_bad)
    #[arg(long)]
    pub skip_bad: bool,
    /// Threads; every core when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
}

impl TrainingArguments {
    /// The config: what a resumed run had, then the file, then `--set`, then the options.
    pub fn resolve<C: StageConfig>(&self, context: &Context) -> Result<Resolved<C>, CommandError> {
        Ok(self.layers::<C>(context)?.resolve()?)
    }

    /// The layers of that config, for commands that add options of their own.
    pub fn layers<C: StageConfig>(&self, context: &Context) -> Result<Layers, CommandError> {
        let mut layers = Layers::new();
        if self.resume {
            let (path, text) = RunFolder::saved_config(&self.out)?;
            layers = layers.saved::<C>(&path, &text)?;
        }
        if let Some(path) = &self.config {
            let text = std::fs::read_to_string(path)
                .map_err(|error| CommandError::usage(format!("--config {}: {error}", path.display())))?;
            layers = layers.file::<C>(path, &text)?;
        }
        for setting in &self.settings {
            layers = layers.set::<C>(setting)?;
        }
        if let Some(model) = &self.model {
            let path = loading::resolve(context, model)?;
            layers = layers.option::<C>("--model", "model.path", text(&path))?;
        }
        layers = self.files::<C>(layers)?;
        if self.skip_bad {
            layers = layers.option::<C>("--skip-bad", "data.skip_bad", true)?;
        }
        let counts = [
            ("--epochs", "train.epochs", self.epochs),
            ("--max-steps", "train.max_steps", self.max_steps),
            ("--batch-size", "train.batch_size", self.batch_size),
            ("--seed", "train.seed", self.seed),
        ];
        for (option, key, value) in counts {
            if let Some(value) = value {
                layers = layers.option::<C>(option, key, i64::from(value))?;
            }
        }
        if let Some(lr) = self.lr {
            layers = layers.option::<C>("--lr", "optimizer.lr", lr)?;
        }
        Ok(layers)
    }

    fn files<C: StageConfig>(&self, mut layers: Layers) -> Result<Layers, CommandError> {
        let lists = [("--data", "data.train", &self.data), ("--eval-data", "data.eval", &self.eval_data)];
        for (option, key, paths) in lists {
            if !paths.is_empty() {
                let paths: Vec<String> = paths.iter().map(|path| text(path)).collect();
                layers = layers.option::<C>(option, key, paths)?;
            }
        }
        if let Some(path) = &self.chat_template {
            layers = layers.option::<C>("--chat-template", "data.chat_template", text(path))?;
        }
        Ok(layers)
    }

    /// The device that computes.
    pub fn device(&self) -> Device {
        Device::detect(self.threads.map(usize::from))
    }
}

/// The renderer of the model that a config names.
pub fn renderer(model: Option<&Path>, chat_template: Option<&Path>) -> Result<Renderer, CommandError> {
    let Some(model) = model else {
        return Err(
            CommandError::usage("no model: model.path is not set").hint("--model default takes a small base model")
        );
    };
    if !model.exists() {
        return Err(CommandError::input(format!("{}: no such file or folder (model.path)", model.display())));
    }
    loading::open_renderer(model, chat_template)
}

/// Everything a loop needs from outside.
pub fn options<'a, C>(
    config: Resolved<C>,
    out: &Path,
    resume: bool,
    device: Device,
    renderer: &'a Renderer,
    score: Option<&'a train::Score<'a>>,
) -> train::Options<'a, C> {
    train::Options {
        config,
        out: out.to_path_buf(),
        resume,
        device,
        renderer,
        source: None,
        stop: interrupt::flag(),
        score,
        program: Program {
            version: env!("CARGO_PKG_VERSION").to_string(),
            command_line: std::env::args().collect(),
            git_revision: run::lineage::git_revision(Path::new(".")),
        },
    }
}

/// Runs a supervised stage from its config to its summary.
pub fn run<C: Supervised>(
    config: Resolved<C>,
    arguments: &TrainingArguments,
    stage: impl FnOnce(train::Options<'_, C>, &mut dyn Sink) -> Result<Outcome, TrainError>,
) -> Result<Box<Summary>, CommandError> {
    let (model, data, _, train) = config.config.sections();
    let renderer = renderer(model.path.as_deref(), data.chat_template.as_deref())?;
    let command = train.score_command.clone();
    let score = command.map(|command| move |model: &Path| score(&command, model));
    interrupt::listen()?;
    prepare(&arguments.out)?;
    let mut drawing = Drawing::new();
    let score = score.as_ref().map(|score| score as &train::Score);
    let options = options(config, &arguments.out, arguments.resume, arguments.device(), &renderer, score);
    let outcome = stage(options, &mut |event: &Event| drawing.event(event));
    drawing.finish();
    conclude(outcome?, &arguments.out)
}

/// Runs `train.score_command` on a model folder: the last word it prints is the score.
pub fn score(command: &str, model: &Path) -> Result<f64, String> {
    let answer = Command::new("sh")
        .args(["-c", &format!("{command} \"$0\"")])
        .arg(model)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("`{command}`: {error}"))?;
    if !answer.status.success() {
        return Err(format!("`{command}` failed ({})", answer.status));
    }
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let word = text.split_whitespace().next_back().unwrap_or_default();
    word.parse().map_err(|_| format!("`{command}` printed {word:?}, expected a number"))
}

/// Prints how a run ended; an interruption becomes exit code 130.
pub fn conclude(outcome: Outcome, out: &Path) -> Result<Box<Summary>, CommandError> {
    match outcome {
        Outcome::Finished(summary) => {
            eprintln!("{}", describe(&summary));
            Ok(summary)
        }
        Outcome::Interrupted { step, steps, checkpoint } => {
            let kept = match checkpoint {
                Some(path) => format!("checkpoint {}", path.display()),
                None => "nothing was done yet, so nothing is kept".to_string(),
            };
            Err(CommandError::new(Kind::Interrupted, format!("interrupted after {step} of {steps} steps; {kept}"))
                .hint(format!("the same command with --resume goes on ({})", out.display())))
        }
    }
}

fn describe(summary: &Summary) -> String {
    let mut text = format!(
        "{} steps, {} tokens in {} ({:.0} tokens/s)",
        summary.steps,
        summary.tokens,
        table::duration(summary.seconds),
        summary.tokens as f64 / summary.seconds.max(1e-9)
    );
    if let (Some(before), Some(after)) = (&summary.before, &summary.after)
        && let (Some(first), Some(last)) = (before.accuracy, after.accuracy)
    {
        let (first, last) = (100.0 * first, 100.0 * last);
        let (from, to) = (before.held_out_loss, after.held_out_loss);
        text.push_str(&format!("\nheld-out loss {from:.4} → {to:.4}, accuracy {first:.1} → {last:.1} %"));
    } else if let (Some(before), Some(after)) = (&summary.before, &summary.after) {
        text.push_str(&format!(
            "\nheld-out loss {:.4} → {:.4} nats a token ({} tokens)",
            before.held_out_loss, after.held_out_loss, after.held_out_tokens
        ));
    }
    if summary.chosen_step != summary.steps {
        text.push_str(&format!("\nweights of step {} were chosen", summary.chosen_step));
    }
    text
}

/// Draws the loop's events on stderr: a bar on a terminal, plain lines elsewhere.
pub struct Drawing {
    bar: Option<ProgressBar>,
    told: Option<Instant>,
}

const BETWEEN_LINES: Duration = Duration::from_secs(5);

impl Drawing {
    /// Nothing drawn yet.
    pub fn new() -> Drawing {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template("{bar:20} {pos}/{len}  {msg}") {
                bar.set_style(style);
            }
            bar
        });
        Drawing { bar, told: None }
    }

    /// Draws one event.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Notice(text) => self.line(text),
            Event::Data(report) => self.line(&data_lines(report)),
            Event::Memory { plan, average, available } => {
                let parts = [
                    ("weights", plan.weights),
                    ("gradients", plan.gradients),
                    ("optimizer", plan.optimizer),
                    ("average", *average),
                    ("activations", plan.activations),
                    ("head", plan.head),
                ];
                let parts: Vec<String> = parts
                    .iter()
                    .filter(|(_, bytes)| *bytes > 0)
                    .map(|(name, bytes)| format!("{name} {}", table::bytes(*bytes)))
                    .collect();
                let free =
                    available.map_or(String::new(), |bytes| format!("; {} can still be had", table::bytes(bytes)));
                let total = table::bytes(plan.total() + average);
                self.line(&format!("memory plan: {total} ({}){free}", parts.join(", ")));
            }
            Event::MemoryBeside { parts, total, available } => {
                let parts: Vec<String> =
                    parts.iter().map(|(name, bytes)| format!("{name} {}", table::bytes(*bytes))).collect();
                let free =
                    available.map_or(String::new(), |bytes| format!("; {} can still be had", table::bytes(bytes)));
                self.line(&format!("beside it: {}; all together {}{free}", parts.join(", "), table::bytes(*total)));
            }
            Event::Started { step, steps, parameters, trainable, precision } => {
                let from = if *step > 0 { format!(" from step {step}") } else { String::new() };
                let share =
                    if trainable == parameters { String::new() } else { format!(", {trainable} of them trained") };
                self.line(&format!("training {steps} steps{from} in {precision}: {parameters} parameters{share}"));
                if let Some(bar) = &self.bar {
                    bar.set_length(*steps);
                    bar.set_position(*step);
                }
            }
            Event::Step(progress) => self.step(progress),
            Event::Evaluating { .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_message("judging the held-out rows");
                }
            }
            Event::Evaluated(train::evaluation::Evaluation {
                step, held_out_loss, accuracy: Some(accuracy), ..
            }) => {
                self.line(&format!(
                    "step {step}: held-out loss {held_out_loss:.4}, accuracy {:.1} %",
                    100.0 * accuracy
                ));
            }
            Event::Evaluated(evaluation) => self.line(&format!(
                "step {}: held-out loss {:.4} nats a token ({} tokens)",
                evaluation.step, evaluation.held_out_loss, evaluation.held_out_tokens
            )),
            Event::Saved { path, .. } => self.line(&format!("checkpoint {}", path.display())),
        }
    }

    fn step(&mut self, progress: &Progress) {
        let Progress { step, steps, grad_norm, lr, tokens_per_second, eta_seconds, .. } = progress;
        let told = headline(progress);
        let left = table::duration(*eta_seconds);
        if let Some(bar) = &self.bar {
            bar.set_position(*step);
            bar.set_message(format!("{told}  {tokens_per_second:.0} tokens/s  {left} left"));
        }
        let due = self.told.is_none_or(|told| told.elapsed() >= BETWEEN_LINES) || step == steps;
        if self.bar.is_none() && due {
            self.told = Some(Instant::now());
            eprintln!(
                "step {step}/{steps}  {told}  grad norm {grad_norm:.3}  lr {lr:.2e}  {tokens_per_second:.0} tokens/s  {left} left"
            );
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    /// Nothing more will come.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What a step is judged by: the loss; where answers are sampled, their reward, their distance from the reference (nats a
/// rollout) and their length.
fn headline(progress: &Progress) -> String {
    let own = |key: &str| progress.own.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
    match (own("reward"), own("kl_k1"), own("length")) {
        (Some(reward), Some(kl), Some(length)) => {
            format!("reward {reward:.3}  KL {kl:.3}  length {length:.1} tokens")
        }
        _ => format!("loss {:.4}", progress.loss),
    }
}

fn data_lines(report: &DataReport) -> String {
    let mut text = part_line("training data", &report.train);
    for (name, part) in [("text beside it", report.text.as_deref()), ("held-out data", report.held_out.as_ref())] {
        if let Some(part) = part {
            text.push('\n');
            text.push_str(&part_line(name, part));
        }
    }
    if report.held_out_prompts_in_train > 0 {
        text.push_str(&format!(
            "\n{} held-out rows share a prompt with training rows",
            report.held_out_prompts_in_train
        ));
    }
    text
}

fn part_line(name: &str, part: &PartReport) -> String {
    let sources: Vec<String> = part.sources.iter().map(|(source, rows)| format!("{source} {rows}")).collect();
    let left_out: Vec<String> = [
        ("broken", part.bad),
        ("too long", part.dropped),
        ("truncated", part.truncated),
        ("without targets", part.without_targets),
        ("all tied", part.tied),
    ]
    .iter()
    .filter(|(_, count)| *count > 0)
    .map(|(what, count)| format!("{count} {what}"))
    .collect();
    let left_out = if left_out.is_empty() { String::new() } else { format!("; {}", left_out.join(", ")) };
    format!(
        "{name}: {} rows ({}), {} tokens, {} trained, longest {}{left_out}",
        part.kept,
        sources.join(", "),
        part.tokens,
        part.target_tokens,
        part.longest
    )
}

/// A path as a value of the config.
pub fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

impl From<TrainError> for CommandError {
    fn from(error: TrainError) -> CommandError {
        let hint = error.hint();
        let kind = match error {
            TrainError::Config(_) | TrainError::Objective(_) | TrainError::Option { .. } => Kind::Usage,
            TrainError::Run(error) => return error.into(),
            TrainError::Corpus(error) => return error.into(),
            TrainError::Score(error) => return error.into(),
            TrainError::Generate(error) => return error.into(),
            _ => Kind::Input,
        };
        CommandError::new(kind, error).maybe_hint(hint)
    }
}

/// Makes the parent folder of a run.
pub fn prepare(out: &Path) -> Result<(), CommandError> {
    match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => std::fs::create_dir_all(parent).map_err(of_file(parent)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_tells_what_it_is_judged_by() {
        let plain = Progress { loss: 0.51234, ..Progress::default() };
        assert_eq!(headline(&plain), "loss 0.5123");
        let own = vec![("reward", -0.25), ("gold", 1.0), ("kl_k1", 3.5), ("length", 41.27)];
        assert_eq!(headline(&Progress { own, ..plain }), "reward -0.250  KL 3.500  length 41.3 tokens");
    }

    #[test]
    fn the_last_word_of_a_score_command_counts() {
        assert_eq!(score("echo score: 0.5; true", Path::new("m")), Ok(0.5));
        assert_eq!(score("printf '%s' 3 #", Path::new("m")), Ok(3.0));
        assert!(score("echo", Path::new("a b")).unwrap_err().contains("printed \"b\""));
        assert!(score("false", Path::new("m")).unwrap_err().contains("failed"));
    }
}
