//! Supervised fine-tuning on demonstrations (arXiv 2203.02155, §3.5): cross-entropy of the completion's tokens.
//!
//! L = −Σ log p(target) ÷ N over the N targets of the whole optimizer batch, however it is split into micro-batches.
//! Text of the model's own kind may be mixed in (`sft.ptx`; App. C.1 mixes a tenth of pretraining data into the model that
//! PPO begins from), so that the model doesn't forget what it knew.
use crate::data::{self, Data, Ends};
use crate::event::Sink;
use crate::order::Order;
use crate::packing::{Example, micro_batches, sum_log_probs};
use crate::session::{Parent, Session, Supervised, shuffle};
use crate::{Options, Outcome, TrainError};
use render::Renderer;
use run::SftConfig;
use run::config::{DataSection, ModelSection, OptimizerSection, Paths, TrainSection};
use stdx::Seed;

/// Runs the stage: from demonstrations to `final/`.
pub fn run(mut options: Options<'_, SftConfig>, sink: &mut dyn Sink) -> Result<Outcome, TrainError> {
    let parent = Parent::open(&mut options, sink)?;
    let SftConfig { data, train, sft, .. } = &options.config.config;
    let data = read(data, &sft.ptx, Seed(train.seed), options.renderer)?;
    let mut order = Order::new(data.train.len(), train.batch_size, shuffle(train));
    let mut session = Session::begin(&options, &parent, &data, sink)?;
    session.evaluate_first(sink)?;

    while session.step() < session.steps {
        session.start_step();
        let batch: Vec<&Example> = order.batch(session.step()).iter().map(|&row| &data.train[row]).collect();
        let n_targets: usize = batch.iter().map(|example| example.n_targets()).sum();
        let n_tokens: usize = batch.iter().map(|example| example.n_tokens()).sum();

        let mut loss = 0.0;
        for (micro_idx, micro) in micro_batches(batch, session.budget()).iter().enumerate() {
            if session.is_stopped() {
                return session.interrupt(sink); // the half-gathered gradients are dropped
            }
            // dL/d(log p) = −1/N is known before the forward pass, so the head needs only one pass
            let outputs = session.model.forward_backward(
                &micro.batch,
                &micro.request,
                &micro.uniform_derivatives(-1.0 / n_targets as f32),
                session.noise(micro_idx),
                &mut session.workspace,
                &mut session.gradients,
            );
            loss -= sum_log_probs(&outputs) / n_targets as f64;
        }
        let grad_norm = session.step_optimizer(loss)?;
        session.finish_step(loss, grad_norm, n_tokens, n_targets, sink)?;
    }
    session.finish(sink)
}

/// Demonstrations, and text beside them: examples of one kind, shuffled together.
fn read(section: &DataSection, ptx: &Paths, seed: Seed, renderer: &Renderer) -> Result<Data, TrainError> {
    let mut data = data::demonstrations(section, seed, renderer)?;
    if !ptx.0.is_empty() {
        let text = data::beside(section, ptx, seed, renderer, Ends::Documents)?;
        data.train.extend(text.train);
        data.files.extend(text.files);
        data.report.text = Some(Box::new(text.report.train));
    }
    Ok(data)
}

impl Supervised for SftConfig {
    fn sections(&self) -> (&ModelSection, &DataSection, &OptimizerSection, &TrainSection) {
        (&self.model, &self.data, &self.optimizer, &self.train)
    }
    fn data_mut(&mut self) -> &mut DataSection {
        &mut self.data
    }
}
