//! `helpmate quickstart`: the whole loop in minutes, measured against where it began.

use crate::bases;
use crate::context::Context;
use crate::error::{CommandError, Kind, of_file};
use crate::progress::Count;
use crate::source::Source;
use crate::training::Drawing;
use crate::{interrupt, loading, output, pull, table};
use ::train::Program;
use clap::Args;
use kernels::Device;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use study::domain::instructions::Instructions;
use study::domain::small_world::SmallWorld;
use study::{Domain, Event, Plan, Report, Study, StudyError};

/// Take a base model to an assistant in minutes, and measure what that did
///
/// Without --model: the small base model that ships in this program, which knows an invented world and nothing else. No
/// network is used. Demonstrations → SFT → answers ranked by simulated labelers → reward model → PPO without and with the
/// pretraining mix → base, few-shot base, SFT and both PPOs on questions that no stage saw: what is known to be right
/// (gold), the proxy reward, KL, length, diversity and the loss on held-out text, each with 95 % intervals. With --model:
/// the same loop on that model with the project's own demonstrations and rankings, and instruction rules as gold.
/// Prints the table, writes report.html and report.json. Ctrl-C exits with 130; the same command with the same --out
/// goes on from there and skips what is done.
#[derive(Args)]
#[command(after_help = "Example:\n  helpmate quickstart --out runs/quickstart")]
pub struct Quickstart {
    /// Base model: one that ships, such as world-2m, or any model, as for `helpmate sft`
    #[arg(long, value_name = "SOURCE")]
    model: Option<String>,
    /// Folder of everything that is made; runs/quickstart-SEED when absent
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Seed of every random stream
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u32,
    /// Use no network (without --model none is used anyway)
    #[arg(long)]
    offline: bool,
    /// Ask the small world's questions, whatever the model
    #[arg(long)]
    world: bool,
    /// JSON file of sizes and settings over the usual ones; report.json has those of its run under `plan`
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Threads; every core when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Quickstart {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        interrupt::listen()?;
        let (base, knows_world) = self.base(context)?;
        let is_world = knows_world || self.world;
        let domain: Arc<dyn Domain> =
            if is_world { Arc::new(SmallWorld::shipped()) } else { Arc::new(Instructions::shipped()) };
        let seed = u64::from(self.seed);
        let usual = if is_world { Plan::small_world(seed) } else { Plan::instructions(seed) };
        let plan = match &self.plan {
            Some(path) => read_plan(path, &usual)?,
            None => usual,
        };
        let out = self.out.clone().unwrap_or_else(|| PathBuf::from(format!("runs/quickstart-{seed}")));
        let study = Study {
            domain,
            plan,
            base,
            base_name: self.model.clone().unwrap_or_else(|| bases::DEFAULT.to_owned()),
            out: out.clone(),
            device: Device::detect(self.threads.map(usize::from)),
            stop: interrupt::flag(),
            program: Program {
                version: env!("CARGO_PKG_VERSION").to_string(),
                command_line: std::env::args().collect(),
                git_revision: ::run::lineage::git_revision(Path::new(".")),
            },
            reproduce: self.command(),
        };
        let mut drawing = StageDrawing::default();
        let report = study.run(&mut |event| drawing.event(event));
        drawing.finish();
        let report = report?;
        let (model, page) = (out.join("ppo-ptx"), out.join("report.html"));
        output::report(&report, self.json, |report: &Report| {
            format!(
                "{}\nThe whole took {}. Everything, with curves and samples: {}\nTalk to it: helpmate chat --model {}\n",
                study::summary(report),
                table::duration(report.seconds()),
                page.display(),
                model.display()
            )
        })
    }

    /// The base model's folder, and whether it is one that knows the world.
    fn base(&self, context: &Context) -> Result<(PathBuf, bool), CommandError> {
        let name = self.model.as_deref().unwrap_or(bases::DEFAULT);
        if let Some(base) = bases::find(name) {
            return Ok((base.folder(context)?, true));
        }
        let base = match Source::parse(name)? {
            Source::Local(_) => loading::resolve(context, name)?,
            source => {
                let offline = self.offline || context.offline;
                pull::pull(context, &source, &pull::Request { refresh: false, offline, verify: false })?
            }
        };
        if base.is_file() {
            let message = format!("{}: a single file; a study needs a model folder", base.display());
            return Err(CommandError::usage(message).hint("`helpmate convert FILE FOLDER` makes one"));
        }
        Ok((base, false))
    }

    /// The command that makes the report again, elsewhere.
    fn command(&self) -> String {
        let mut command = "helpmate quickstart".to_owned();
        if let Some(model) = &self.model {
            command.push_str(&format!(" --model {model}"));
        }
        if self.world {
            command.push_str(" --world");
        }
        if let Some(plan) = &self.plan {
            command.push_str(&format!(" --plan {}", plan.display()));
        }
        format!("{command} --seed {} --out DIR", self.seed)
    }
}

/// The usual plan with what the file says over it.
fn read_plan(path: &Path, usual: &Plan) -> Result<Plan, CommandError> {
    let wrong = |error: serde_json::Error| CommandError::usage(format!("--plan {}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(of_file(path))?;
    let given: serde_json::Map<String, Value> = serde_json::from_str(&text).map_err(wrong)?;
    let mut plan = serde_json::to_value(usual).map_err(wrong)?;
    if let Some(plan) = plan.as_object_mut() {
        plan.extend(given);
    }
    serde_json::from_value(plan).map_err(wrong)
}

/// Draws a study's events on stderr.
#[derive(Default)]
struct StageDrawing {
    training: Option<Drawing>,
    count: Option<Count>,
}

impl StageDrawing {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Stage { number, of, name, what, done_in } => {
                self.finish();
                match done_in {
                    None => eprintln!("\n[{number}/{of}] {name}: {what}"),
                    Some(seconds) => eprintln!("[{number}/{of}] {name}: done in {}", table::duration(seconds)),
                }
            }
            Event::Train(event) => self.training.get_or_insert_with(Drawing::new).event(event),
            Event::Trained => self.finish(),
            Event::Count { done, total, noun } => {
                self.count.get_or_insert_with(|| Count::new(total, noun)).update(done);
                if done == total {
                    self.finish();
                }
            }
        }
    }

    fn finish(&mut self) {
        if let Some(training) = self.training.take() {
            training.finish();
        }
        if let Some(count) = self.count.take() {
            count.finish();
        }
    }
}

impl From<StudyError> for CommandError {
    fn from(error: StudyError) -> CommandError {
        let hint = error.hint();
        match error {
            StudyError::Train { source, .. } => {
                let inner = CommandError::from(source);
                CommandError { message: inner.message, ..inner }
            }
            StudyError::Run(error) => error.into(),
            StudyError::Score(error) => error.into(),
            StudyError::Generate(error) => error.into(),
            StudyError::Interrupted { .. } => CommandError::new(Kind::Interrupted, error).maybe_hint(hint),
            StudyError::Other { .. } | StudyError::Foreign { .. } => CommandError::usage(error).maybe_hint(hint),
            _ => CommandError::input(error).maybe_hint(hint),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_only_what_is_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        std::fs::write(&path, r#"{"questions": 7}"#).unwrap();
        let usual = Plan::small_world(1);
        assert_eq!(read_plan(&path, &usual).unwrap(), Plan { questions: 7, ..usual.clone() });
        std::fs::write(&path, r#"{"qestions": 7}"#).unwrap();
        let error = read_plan(&path, &usual).unwrap_err();
        assert!(error.kind == Kind::Usage && error.message.contains("unknown field `qestions`"), "{error}");
    }
}
