//! What surrounds a supervised loop: the run directory, the model with its optimizer, evaluation, checkpoints, the
//! choice of `final/`. The loops themselves are `likelihood`'s, and each other stage's own.
mod begin;
mod beside;
mod choice;
mod keep;

pub use begin::{Parent, shuffle};
pub(crate) use begin::{micro_tokens, trainable};
pub use beside::{Beside, Companion, CompanionKind};

use crate::answers::Answers;
use crate::average::Average;
use crate::evaluation::{Evaluation, HeldOut, Judging, Material};
use crate::event::{Event, Progress, Sink};
use crate::options::{Outcome, Score};
use crate::schedule::learning_rate;
use crate::state::TrainerState;
use crate::{Summary, TrainError};
use model::{Gradients, Model, Noise, Optimizer, Workspace};
use render::Renderer;
use run::config::{Choose, DataSection, ModelSection, OptimizerSection, TrainSection};
use run::metrics::{JsonLines, Metrics};
use run::{RunFolder, SourceNote, StageConfig};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use stdx::Seed;

/// The sections that every supervised stage has.
pub trait Supervised: StageConfig {
    /// `[model]`, `[data]`, `[optimizer]`, `[train]`.
    fn sections(&self) -> (&ModelSection, &DataSection, &OptimizerSection, &TrainSection);
    /// `[data]`, to lower `max_length` to what the model can.
    fn data_mut(&mut self) -> &mut DataSection;
}

/// A run under way.
pub struct Session<'a> {
    /// The model in training.
    pub model: Model,
    /// Its optimizer.
    pub optimizer: Optimizer,
    /// Its gradients.
    pub gradients: Gradients,
    /// Buffers of forward and backward passes.
    pub workspace: Workspace,
    /// Steps planned.
    pub steps: u64,
    /// What else its checkpoints hold.
    pub beside: Beside,
    state: TrainerState,
    average: Option<Average>,
    folder: RunFolder,
    metrics: Metrics,
    evaluations: JsonLines,
    choices: JsonLines,
    /// Where the stage has prompts to answer.
    answers: Option<Answers>,
    data: &'a dyn Material,
    renderer: &'a Renderer,
    source: SourceNote,
    stop: &'a AtomicBool,
    score: Option<&'a Score<'a>>,
    settings: Settings,
    /// The newest evaluation.
    evaluated: Option<Evaluation>,
    /// The step of the newest checkpoint.
    saved: Option<u64>,
    steps_per_epoch: u64,
    /// Steps and seconds of this process.
    here: (u64, f64),
    clock: Instant,
}

/// What a session reads from the config after it has begun.
struct Settings {
    optimizer: OptimizerSection,
    train: TrainSection,
    save_dtype: model::Dtype,
    noise: Noise,
    budget: Option<usize>,
}

impl<'a> Session<'a> {
    /// Steps done.
    pub fn step(&self) -> u64 {
        self.state.step
    }

    /// Whether somebody outside asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Most tokens in a micro-batch; `None`: a row at a time.
    pub fn budget(&self) -> Option<usize> {
        self.settings.budget
    }

    /// Learning rate of the next step.
    pub fn learning_rate(&self) -> f64 {
        learning_rate(&self.settings.optimizer, self.state.step, self.steps)
    }

    /// Dropout and NEFTune of a micro-batch of the next step, from a stream of its own.
    pub fn noise(&self, micro_idx: usize) -> Noise {
        let index = self.state.step << 20 | micro_idx as u64;
        Noise { seed: Seed(self.state.seed).stream("noise", index).next_u64(), ..self.settings.noise }
    }

    /// Starts the clock of a step.
    pub fn start_step(&mut self) {
        self.clock = Instant::now();
        self.gradients.zero(self.model.device());
    }

    /// Clips and steps: g ← g·min(1, max/(‖g‖ + 1e-6)) as PyTorch's `clip_grad_norm_`, AdamW, moving average.
    /// Numbers that aren't finite stop the run before they reach the weights.
    pub fn step_optimizer(&mut self, loss: f64) -> Result<f64, TrainError> {
        let grad_norm = self.gradients.sum_of_squares(self.model.device()).sqrt();
        self.refuse_unless_finite("loss", loss)?;
        self.refuse_unless_finite("gradient norm", grad_norm)?;
        let max = self.settings.optimizer.max_grad_norm;
        let scale = if max > 0.0 { (max / (grad_norm + 1e-6)).min(1.0) } else { 1.0 };
        let lr = self.learning_rate();
        self.optimizer.step(&mut self.model, &self.gradients, lr as f32, scale as f32);
        if let Some(average) = &mut self.average {
            average.update(self.model.device(), self.model.trainable());
        }
        Ok(grad_norm)
    }

    /// Counts the step and logs it; evaluates and saves when it is time.
    pub fn finish_step(
        &mut self,
        loss: f64,
        grad_norm: f64,
        n_tokens: usize,
        n_targets: usize,
        sink: &mut dyn Sink,
    ) -> Result<(), TrainError> {
        self.finish_step_with(loss, grad_norm, n_tokens, n_targets, Vec::new(), sink)
    }

    /// The same, with numbers that only this stage has.
    pub fn finish_step_with(
        &mut self,
        loss: f64,
        grad_norm: f64,
        n_tokens: usize,
        n_targets: usize,
        own: Vec<(&'static str, f64)>,
        sink: &mut dyn Sink,
    ) -> Result<(), TrainError> {
        let lr = self.learning_rate();
        let seconds = self.clock.elapsed().as_secs_f64();
        self.state.step += 1;
        self.state.tokens += n_tokens as u64;
        self.state.seconds += seconds;
        self.here = (self.here.0 + 1, self.here.1 + seconds);
        let step = self.state.step;
        let TrainSection { eval_every, choose, .. } = self.settings.train;
        let saves = self.saves();
        let evaluates = step == self.steps
            || (eval_every > 0 && step.is_multiple_of(eval_every))
            || (saves && choose == Choose::HeldOutLoss);
        let held_out = if evaluates { self.evaluate(sink)? } else { HeldOut::None };
        let progress = Progress {
            step,
            steps: self.steps,
            epoch: step as f64 / self.steps_per_epoch as f64,
            loss,
            grad_norm,
            lr,
            tokens: self.state.tokens,
            target_tokens: n_targets as u64,
            tokens_per_second: n_tokens as f64 / seconds,
            seconds: self.state.seconds,
            eta_seconds: (self.steps - step) as f64 * self.here.1 / self.here.0 as f64,
            held_out_loss: held_out.loss(),
            own,
        };
        if matches!(held_out, HeldOut::Stopped) {
            // `null` keeps the loss's place among the columns
            self.state.unfinished = Some(progress.to_line(Some(serde_json::Value::Null)));
            sink.event(&Event::Step(progress));
            return Ok(());
        }
        self.metrics.append(&progress.to_line(held_out.loss().map(Into::into)))?;
        sink.event(&Event::Step(progress));
        if saves {
            self.save(sink)?;
        }
        Ok(())
    }

    /// The held-out loss before the first step. A resumed run has it already, but perhaps not that of its newest step.
    pub fn evaluate_first(&mut self, sink: &mut dyn Sink) -> Result<(), TrainError> {
        if self.state.step == 0 {
            self.evaluate(sink)?;
            return Ok(());
        }
        let Some(mut line) = self.state.unfinished.take() else {
            return Ok(());
        };
        match self.evaluate(sink)? {
            HeldOut::Stopped => self.state.unfinished = Some(line), // as its checkpoint says already
            held_out => {
                line.insert("held_out_loss".into(), held_out.loss().into());
                self.metrics.append(&line)?;
                // Where none is due, the checkpoint of the interruption stands as it is: begun from once more, the same
                // rows are judged once more.
                if self.saves() {
                    self.save(sink)?;
                }
            }
        }
        Ok(())
    }

    /// Whether a checkpoint is due after the newest step.
    fn saves(&self) -> bool {
        let (step, save_every) = (self.state.step, self.settings.train.save_every);
        step == self.steps || (save_every > 0 && step.is_multiple_of(save_every))
    }

    /// Judges the weights that would be the model now by the held-out rows.
    fn evaluate(&mut self, sink: &mut dyn Sink) -> Result<HeldOut, TrainError> {
        let how = Judging { step: self.state.step, budget: self.settings.budget, stop: self.stop };
        let (data, step) = (self.data, how.step);
        if data.report().held_out.is_some() {
            sink.event(&Event::Evaluating { step });
        }
        let mut workspace = std::mem::take(&mut self.workspace);
        let held_out = self.with_average(|model| data.evaluate(model, &how, &mut workspace));
        self.workspace = workspace;
        let held_out = held_out?;
        let HeldOut::Loss(evaluation) = held_out else {
            return Ok(held_out);
        };
        self.refuse_unless_finite("held-out loss", evaluation.held_out_loss)?;
        self.evaluations.append(&object(&evaluation))?;
        self.evaluated = Some(evaluation);
        if let Some(mut answers) = self.answers.take() {
            let (renderer, stop) = (self.renderer, self.stop);
            let is_stopped = || stop.load(Ordering::Relaxed);
            self.with_average(|model| answers.write(model, renderer, step, &is_stopped))?;
            self.answers = Some(answers);
        }
        sink.event(&Event::Evaluated(evaluation));
        Ok(held_out)
    }

    /// Runs `work` on the averaged weights when there is an average; the weights in training come back unchanged.
    fn with_average<R>(&mut self, work: impl FnOnce(&Model) -> R) -> R {
        let Some(average) = &self.average else {
            return work(&self.model);
        };
        let weights = self.model.trainable().to_vec();
        self.model.set_trainable(&average.values);
        let result = work(&self.model);
        self.model.set_trainable(&weights);
        result
    }

    pub(crate) fn refuse_unless_finite(&self, what: &'static str, value: f64) -> Result<(), TrainError> {
        if value.is_finite() {
            return Ok(());
        }
        let checkpoint = self.saved.map(|step| self.folder.checkpoint_path(step));
        Err(TrainError::Diverged { step: self.state.step + 1, what, value, checkpoint })
    }

    /// Ends a stopped run: a checkpoint of the last whole step.
    pub fn interrupt(mut self, sink: &mut dyn Sink) -> Result<Outcome, TrainError> {
        if self.state.step > 0 && self.saved != Some(self.state.step) {
            self.save(sink)?;
        }
        let checkpoint: Option<PathBuf> = self.saved.map(|step| self.folder.checkpoint_path(step));
        Ok(Outcome::Interrupted { step: self.state.step, steps: self.steps, checkpoint })
    }

    /// Ends a run whose steps are done: chooses, publishes `final/`, writes the report.
    pub fn finish(self, sink: &mut dyn Sink) -> Result<Outcome, TrainError> {
        self.finish_with(&mut |_| Ok(()), sink)
    }

    /// The same, with a last touch to the model folder before it becomes `final/`.
    pub fn finish_with(
        mut self,
        complete: &mut dyn FnMut(&Path) -> Result<(), TrainError>,
        sink: &mut dyn Sink,
    ) -> Result<Outcome, TrainError> {
        if self.state.unfinished.is_some() {
            return self.interrupt(sink);
        }
        if self.saved != Some(self.state.step) {
            self.save(sink)?;
        }
        let chosen_step = self.chosen_step()?;
        let model = self.publish(chosen_step, complete)?;
        let evaluations = self.read_evaluations()?;
        let at = |step| evaluations.iter().find(|evaluation| evaluation.step == step).copied();
        run::report::write(&self.folder)?;
        Ok(Outcome::Finished(Box::new(Summary {
            model,
            steps: self.state.step,
            chosen_step,
            before: at(0),
            after: at(chosen_step),
            tokens: self.state.tokens,
            seconds: self.state.seconds,
            data: self.data.report().clone(),
        })))
    }
}

impl Progress {
    /// A line of `metrics.jsonl`, with what stands as its held-out loss.
    fn to_line(&self, held_out_loss: Option<serde_json::Value>) -> serde_json::Map<String, serde_json::Value> {
        let mut line = object(&serde_json::json!({
            "step": self.step,
            "loss": self.loss,
            "grad_norm": self.grad_norm,
            "lr": self.lr,
            "tokens": self.tokens,
            "tokens_per_second": self.tokens_per_second,
            "target_tokens": self.target_tokens,
            "epoch": self.epoch,
            "seconds": self.seconds,
        }));
        if let Some(held_out_loss) = held_out_loss {
            line.insert("held_out_loss".into(), held_out_loss);
        }
        // a number that doesn't exist (the accuracy of no pairs) is left out
        let own = self.own.iter().filter(|(_, value)| value.is_finite());
        line.extend(own.map(|&(name, value)| (name.to_owned(), value.into())));
        line
    }
}

fn object(value: &impl serde::Serialize) -> serde_json::Map<String, serde_json::Value> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::Object(object)) => object,
        _ => serde_json::Map::new(),
    }
}
