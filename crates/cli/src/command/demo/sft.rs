//! `helpmate demo sft`: the whole of supervised fine-tuning on a real model, with a control.

use crate::arguments;
use crate::command::score;
use crate::context::Context;
use crate::error::{CommandError, of_file};
use crate::training::{self, Drawing};
use crate::{interrupt, loading, output, table};
use ::run::{Layers, PretrainConfig, SftConfig, SourceNote, StageConfig};
use clap::Args;
use corpus::split::{self, SplitBy};
use generate::{Generator, Sampling, Settings};
use kernels::linear::Precision;
use kernels::{Device, Isa};
use model::{LoadOptions, Model, Trainable, Workspace};
use record::{Demonstration, Kind, Prompt, Record, Role, Row};
use render::{LossOn, Rendered, Renderer};
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use stdx::Seed;

const DEMONSTRATIONS: &[u8] = include_bytes!("../../../../../data/demonstrations.jsonl");
const PLAIN: &[u8] = include_bytes!("../../../../../data/plain.txt");

/// Share of the demonstrations, by prompt, that neither run sees.
const HELD_OUT: f64 = 0.2;
/// Plain text is cut into blocks of so many tokens, the mean length of a demonstration, so that equal steps see equally
/// much of either.
const PLAIN_BLOCK: i64 = 110;

/// Fine-tune a real model on demonstrations and show what changed
///
/// Pulls the model, holds a fifth of the demonstrations out, fine-tunes on the others, trains a control for as many
/// steps on plain text, and prints the held-out loss of all three and one answer before and after. The demonstrations
/// (written for this project, source = model) and the text ship in the binary. Takes a few minutes on two cores.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate demo sft --out runs/demo")]
pub struct Sft {
    /// Model to start from, as for `helpmate sft`
    #[arg(long, value_name = "M", default_value = "default")]
    model: String,
    /// Folder for data and runs; the next free runs/demo-sft-N when absent
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Optimizer steps of each run
    #[arg(long, value_name = "N", default_value_t = 28)]
    steps: u32,
    /// Rows an optimizer step
    #[arg(long, value_name = "N", default_value_t = 8)]
    batch_size: u32,
    /// Highest learning rate
    #[arg(long, value_name = "LR", default_value_t = 2e-5)]
    lr: f64,
    /// Print the table as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    model: String,
    note: String,
    steps: u32,
    held_out_rows: usize,
    held_out_tokens: usize,
    results: Vec<Measured>,
    question: String,
}

#[derive(Serialize)]
struct Measured {
    name: &'static str,
    trained_on: &'static str,
    held_out_loss: f64,
    answer: String,
    path: PathBuf,
}

impl Sft {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        let start = loading::resolve(context, &self.model)?;
        let note = SourceNote::of(&start)?.unwrap_or_default();
        let out = self.folder()?;
        let data = Data::write(&out)?;
        let renderer = loading::open_renderer(&start, None)?;
        interrupt::listen()?;
        let sft = out.join("sft");
        eprintln!("\n== fine-tuning on demonstrations: {}", sft.display());
        self.train::<SftConfig>(&start, &data.train, &sft, &[], &renderer, |options, sink| {
            train::sft::run(options, sink)
        })?;
        let control = out.join("control");
        eprintln!("\n== control, as many steps on plain text: {}", control.display());
        let block = format!("data.max_length={PLAIN_BLOCK}");
        self.train::<PretrainConfig>(
            &start,
            &data.plain,
            &control,
            &[&block, "optimizer.weight_decay=0"],
            &renderer,
            |options, sink| train::pretrain::run(options, sink),
        )?;
        eprintln!("\n== measuring");
        let held_out = HeldOut::render(&renderer, &data.held_out)?;
        let models = [
            ("start", "nothing more", start.clone()),
            ("sft", "demonstrations", sft.join("final")),
            ("control", "plain text", control.join("final")),
        ];
        let results = models
            .into_iter()
            .map(|(name, trained_on, path)| held_out.measure(name, trained_on, path, &renderer))
            .collect::<Result<Vec<_>, _>>()?;
        let report = Report {
            model: if note.source.is_empty() { start.display().to_string() } else { note.source },
            note: note.note,
            steps: self.steps,
            held_out_rows: held_out.sequences.len(),
            held_out_tokens: held_out.sequences.iter().map(Rendered::n_targets).sum(),
            results,
            question: held_out.question_text.clone(),
        };
        stdx::write_file(
            &out.join("demo.json"),
            format!("{}\n", serde_json::to_string_pretty(&report).map_err(CommandError::input)?).as_bytes(),
        )?;
        output::report(&report, self.json, describe)
    }

    fn folder(&self) -> Result<PathBuf, CommandError> {
        let folder = match &self.out {
            Some(out) => out.clone(),
            None => (1..)
                .map(|n| PathBuf::from(format!("runs/demo-sft-{n}")))
                .find(|path| !path.exists())
                .unwrap_or_default(),
        };
        if folder.join("sft").exists() {
            return Err(CommandError::usage(format!("--out {}: a demo is there already", folder.display()))
                .hint("name another folder"));
        }
        std::fs::create_dir_all(&folder).map_err(of_file(&folder))?;
        Ok(folder)
    }

    fn train<C: StageConfig>(
        &self,
        start: &Path,
        data: &Path,
        out: &Path,
        settings: &[&str],
        renderer: &Renderer,
        run: impl FnOnce(train::Options<'_, C>, &mut dyn train::Sink) -> Result<train::Outcome, train::TrainError>,
    ) -> Result<(), CommandError> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut layers = Layers::new()
            .option::<C>("demo", "model.path", text(start))?
            .option::<C>("demo", "data.train", text(data))?
            .option::<C>("--steps", "train.max_steps", i64::from(self.steps))?
            .option::<C>("--batch-size", "train.batch_size", i64::from(self.batch_size))?
            .option::<C>("--lr", "optimizer.lr", self.lr)?;
        let device = Device::detect(None);
        let dtype = if device.isa >= Isa::Avx512Bf16 { "bf16" } else { "f32" };
        layers = layers.option::<C>("demo", "model.dtype", dtype)?;
        for setting in settings {
            layers = layers.set::<C>(setting)?;
        }
        let options = training::options(layers.resolve::<C>()?, out, false, device, renderer, None);
        let mut drawing = Drawing::new();
        let outcome = run(options, &mut |event: &train::Event| drawing.event(event));
        drawing.finish();
        training::conclude(outcome?, out).map(drop)
    }
}

/// The files of the demo.
struct Data {
    train: PathBuf,
    plain: PathBuf,
    held_out: Vec<Row>,
}

impl Data {
    /// Writes the data that ships in the binary, split by prompt.
    fn write(folder: &Path) -> Result<Data, CommandError> {
        let folder = folder.join("data");
        std::fs::create_dir_all(&folder).map_err(of_file(&folder))?;
        let place = |name: &str, content: &[u8]| -> Result<PathBuf, CommandError> {
            let path = folder.join(name);
            stdx::write_file(&path, content)?;
            Ok(path)
        };
        let all = place("demonstrations.jsonl", DEMONSTRATIONS)?;
        let plain = place("plain.txt", PLAIN)?;
        let rows = arguments::read(&[all], None, false, &[Kind::Demonstration])?.into_rows();
        let parts = split::by_fractions(&rows, SplitBy::Prompt, &[1.0 - HELD_OUT, HELD_OUT], Seed(0))
            .map_err(CommandError::input)?;
        let part =
            |wanted: usize| parts.iter().zip(&rows).filter(move |(part, _)| **part == wanted).map(|(_, row)| row);
        let write = |name: &str, wanted: usize| -> Result<PathBuf, CommandError> {
            let path = folder.join(name);
            stdx::atomic::write_file_with(&path, |out| {
                part(wanted).try_for_each(|row| stdx::jsonl::write_line(out, row))
            })?;
            Ok(path)
        };
        let train = write("train.jsonl", 0)?;
        write("held-out.jsonl", 1)?;
        eprintln!(
            "{} demonstrations (source = model): {} to train on, {} held out",
            rows.len(),
            part(0).count(),
            part(1).count()
        );
        Ok(Data { train, plain, held_out: part(1).cloned().collect() })
    }
}

/// Demonstrations that no run saw, and the question that is asked.
struct HeldOut {
    sequences: Vec<Rendered>,
    question: Vec<u32>,
    question_text: String,
}

impl HeldOut {
    fn render(renderer: &Renderer, rows: &[Row]) -> Result<HeldOut, CommandError> {
        let mut sequences = Vec::new();
        let mut question = None;
        for row in rows {
            let Record::Demonstration(demonstration) = &row.record else { continue };
            sequences.push(renderer.demonstration(demonstration, LossOn::Completion)?);
            if let (None, Demonstration::Conversation { messages }) = (&question, demonstration) {
                let opening: Vec<_> =
                    messages.iter().take_while(|message| message.role != Role::Assistant).cloned().collect();
                let text = opening.iter().map(|message| message.content.clone()).collect::<Vec<_>>().join("\n");
                question = Some((renderer.prompt(&Prompt::Messages(opening))?, text));
            }
        }
        let (question, question_text) = question.ok_or_else(|| CommandError::input("no conversation is held out"))?;
        Ok(HeldOut { sequences, question, question_text })
    }

    fn measure(
        &self,
        name: &'static str,
        trained_on: &'static str,
        path: PathBuf,
        renderer: &Renderer,
    ) -> Result<Measured, CommandError> {
        let device = Device::detect(None);
        let precision = if device.isa >= Isa::Avx512Bf16 { Precision::Bf16 } else { Precision::F32 };
        let model =
            Model::load(&device, &path, &LoadOptions { precision, trainable: Trainable::Nothing, scalar_head: false })?;
        let held_out_loss = self.loss(&model);
        let settings = Settings {
            sampling: Sampling::greedy(),
            n: 1,
            max_new_tokens: 96,
            end_token_ids: renderer.end_ids().to_vec(),
            stop: Vec::new(),
            seed: Seed(0),
            batch: 1,
        };
        let mut generator = Generator::new(&model, Some(renderer.tokenizer()));
        let completions =
            generator.generate(std::slice::from_ref(&self.question), &settings, &mut |_| ControlFlow::Continue(()))?;
        let answer = completions.into_iter().next().map(|completion| completion.text).unwrap_or_default();
        Ok(Measured { name, trained_on, held_out_loss, answer, path })
    }

    /// Mean −log p over the trained tokens of all held-out rows, nats.
    fn loss(&self, model: &Model) -> f64 {
        let mut workspace = Workspace::default();
        let (mut sum, mut n) = (0.0, 0);
        for sequence in &self.sequences {
            let log_probs = score(model, std::slice::from_ref(sequence), &mut workspace).remove(0);
            for (log_prob, trained) in log_probs.iter().zip(&sequence.mask) {
                if let (Some(log_prob), true) = (log_prob, trained) {
                    sum -= f64::from(*log_prob);
                    n += 1;
                }
            }
        }
        sum / n as f64
    }
}

fn describe(report: &Report) -> String {
    let start = report.results.first().map_or(f64::NAN, |result| result.held_out_loss);
    let rows: Vec<Vec<String>> = report
        .results
        .iter()
        .map(|result| {
            vec![
                result.name.to_string(),
                result.trained_on.to_string(),
                format!("{:.4}", result.held_out_loss),
                format!("{:+.4}", result.held_out_loss - start),
                result.path.display().to_string(),
            ]
        })
        .collect();
    let note = if report.note.is_empty() { String::new() } else { format!(" ({})", report.note) };
    let mut text = format!(
        "Start: {}{note}\nHeld-out loss: mean −log p of {} answer tokens in {} demonstrations that no run saw, nats\n\n",
        report.model, report.held_out_tokens, report.held_out_rows
    );
    text.push_str(&table::render(&["model", "trained on", "held-out loss", "change", "path"], &rows));
    text.push_str(&format!("\nQuestion (held out): {}\n", report.question));
    for result in report.results.iter().filter(|result| result.name != "control") {
        let when = if result.name == "start" { "Before" } else { "After" };
        text.push_str(&format!("\n{when}: {}\n", result.answer.trim()));
    }
    text
}
