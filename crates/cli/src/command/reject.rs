//! `helpmate reject`.

use crate::arguments::{self, DtypeOption};
use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::training::{self, Drawing, TrainingArguments};
use crate::{interrupt, loading, output, reward};
use clap::Args;
use record::Prompt;
use run::lineage::Hashed;
use run::{Resolved, SftConfig};
use std::path::{Path, PathBuf};
use train::rejection::{self, Ended, Report, Request, Settings};
use train::{Event, Outcome, Sink, TrainError};

/// Sample n answers to each prompt and keep the best by reward as demonstrations
///
/// Writes round-1/ with samples.jsonl (every answer and its reward), demonstrations.jsonl (source = model) and
/// report.json into --out, and prints the path of the demonstrations. An answer that did not end by itself is never
/// kept. With --train, and always with several --rounds, the model is then fine-tuned on the best of all rounds so far
/// (and on --data, if given); the next round asks the new model, and the last one's path is printed. Training options
/// are those of `helpmate sft`.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate reject --model runs/sft --reward runs/rm --prompts data/prompts.jsonl --n 8 --out runs/best-of-8"
)]
pub struct Reject {
    #[command(flatten)]
    training: TrainingArguments,
    /// Reward: reward-model folder or run, rule:NAME[:ARG], or http(s)://…; WEIGHT*R weighs it, several are summed
    #[arg(long, value_name = "R", required = true)]
    reward: Vec<String>,
    /// Rows with a prompt
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    prompts: Vec<PathBuf>,
    /// Answers a prompt
    #[arg(long, value_name = "K", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    n: u32,
    /// Rounds
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Fine-tune on the best answers
    #[arg(long)]
    train: bool,
    /// Most tokens of an answer
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    max_new_tokens: u32,
    /// Divides the logits
    #[arg(long, value_name = "T", default_value_t = 1.0)]
    temperature: f32,
    /// Most answers generated together
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Arithmetic of sampling and rewards
    #[arg(long, value_enum, default_value_t = DtypeOption::Auto)]
    dtype: DtypeOption,
}

impl Reject {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        self.check()?;
        let Some(model) = &self.training.model else {
            return Err(CommandError::usage("--model is missing").hint("--model default takes a small base model"));
        };
        let model = loading::resolve(context, model)?;
        let renderer = loading::open_renderer(&model, self.training.chat_template.as_deref())?;
        let prompts = self.read_prompts()?;
        let trains = self.train || self.rounds > 1;
        if trains {
            // a wrong config is told before the long work
            self.fine_tuning(context, &model, &self.prompts, &self.training.out.join("round-1-sft"))?;
        }
        let device = self.training.device();
        let mut scorer = reward::open_all(context, &self.reward, None, &device, self.dtype)?;
        let hashed = |path: &PathBuf| Hashed::of(path);
        let request = Request {
            settings: Settings {
                model: Hashed::of(&model)?,
                prompts: self.prompts.iter().map(hashed).collect::<Result<_, _>>()?,
                reward: scorer.name(),
                n: self.n as usize,
                rounds: self.rounds as usize,
                max_new_tokens: self.max_new_tokens as usize,
                temperature: self.temperature,
                seed: self.training.seed.unwrap_or(0).into(),
                batch: self.batch as usize,
            },
            prompts: &prompts,
            out: &self.training.out,
            resume: self.training.resume,
            device: &device,
            precision: self.dtype.precision(&device, &model),
            renderer: &renderer,
            stop: interrupt::flag(),
        };
        interrupt::listen()?;
        training::prepare(&self.training.out)?;
        let mut drawing = Drawing::new();
        let mut draw = |event: &Event| drawing.event(event);
        let mut fine_tune = |model: &Path, data: &[PathBuf], out: &Path, sink: &mut dyn Sink| {
            self.fine_tune(context, model, data, out, sink)
        };
        let fine_tune: Option<&mut rejection::FineTune> = if trains { Some(&mut fine_tune) } else { None };
        let ended = rejection::run(&request, scorer.as_mut(), fine_tune, &mut draw);
        drawing.finish();
        conclude(ended?)
    }

    /// Refuses training options that would do nothing.
    fn check(&self) -> Result<(), CommandError> {
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            let message = format!("--temperature {}: expected a finite number above 0", self.temperature);
            return Err(CommandError::usage(message).hint("at 0 all answers to a prompt would be one"));
        }
        let training = &self.training;
        let given = [
            ("--data", !training.data.is_empty()),
            ("--eval-data", !training.eval_data.is_empty()),
            ("--config", training.config.is_some()),
            ("--set", !training.settings.is_empty()),
            ("--epochs", training.epochs.is_some()),
            ("--max-steps", training.max_steps.is_some()),
            ("--lr", training.lr.is_some()),
            ("--batch-size", training.batch_size.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((option, _)) if !self.train && self.rounds == 1 => {
                Err(CommandError::usage(format!("{option} does nothing without fine-tuning")).hint("--train"))
            }
            _ => Ok(()),
        }
    }

    fn read_prompts(&self) -> Result<Vec<Prompt>, CommandError> {
        let dataset = arguments::read(&self.prompts, None, self.training.skip_bad, &[])?;
        let prompt = |(row, origin): &(record::Row, corpus::Origin)| {
            let kind = row.record.kind().as_str();
            let missing = || CommandError::input(format!("{origin}: a row of kind {kind} has no prompt"));
            row.record.prompt().ok_or_else(missing)
        };
        dataset.rows.iter().map(prompt).collect()
    }

    /// The config of a round's fine-tuning.
    fn fine_tuning(
        &self,
        context: &Context,
        model: &Path,
        data: &[PathBuf],
        out: &Path,
    ) -> Result<Resolved<SftConfig>, CommandError> {
        let given = &self.training;
        let arguments = TrainingArguments {
            model: Some(training::text(model)),
            data: [data, &given.data[..]].concat(),
            eval_data: given.eval_data.clone(),
            out: out.to_path_buf(),
            resume: false,
            config: given.config.clone(),
            settings: given.settings.clone(),
            epochs: given.epochs,
            max_steps: given.max_steps,
            lr: given.lr,
            batch_size: given.batch_size,
            seed: given.seed,
            chat_template: given.chat_template.clone(),
            skip_bad: given.skip_bad,
            threads: given.threads,
        };
        arguments.resolve::<SftConfig>(context)
    }

    fn fine_tune(
        &self,
        context: &Context,
        model: &Path,
        data: &[PathBuf],
        out: &Path,
        sink: &mut dyn Sink,
    ) -> Result<Outcome, TrainError> {
        let wrong = |error: CommandError| TrainError::Option {
            key: "fine-tuning",
            found: error.message,
            expected: "a config and a model that can be trained",
        };
        let config = self.fine_tuning(context, model, data, out).map_err(wrong)?;
        let template = config.config.data.chat_template.clone();
        let renderer = loading::open_renderer(model, template.as_deref()).map_err(wrong)?;
        let resume = out.join("config.toml").exists();
        let options = training::options(config, out, resume, self.training.device(), &renderer, None);
        train::sft::run(options, sink)
    }
}

fn conclude(ended: Ended) -> Result<(), CommandError> {
    match ended {
        Ended::Finished { reports, demonstrations, model } => {
            reports.iter().for_each(|report| eprintln!("{}", describe(report)));
            match (model, demonstrations.last()) {
                (Some(model), _) => output::path(&model),
                (None, Some(demonstrations)) => output::path(demonstrations),
                (None, None) => Ok(()),
            }
        }
        Ended::Interrupted { rounds } => {
            let message = format!("interrupted; the answers of {rounds} rounds stand");
            Err(CommandError::new(Kind::Interrupted, message).hint("the same command with --resume goes on"))
        }
    }
}

fn describe(report: &Report) -> String {
    let Report { round, answers, prompts, without_end, .. } = report;
    let number = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.4}"));
    let (mean, std, best) = (number(report.reward_mean), number(report.reward_std), number(report.best_mean));
    let ended = 100.0 * report.share_eos;
    format!(
        "round {round}: {answers} answers to {prompts} prompts, {ended:.1} % ended; reward {mean} ± {std}, best {best}; \
         {without_end} prompts without an answer to keep"
    )
}
