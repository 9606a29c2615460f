//! The loop that language modelling and supervised fine-tuning share: maximum likelihood of the targets.
//!
//! L = −Σ log p(target) ÷ N over the N targets of the whole optimizer batch, however it is split into micro-batches. What
//! the targets are is all that the stages differ in: [`crate::pretrain`], [`crate::sft`].
use crate::data::Data;
use crate::event::Sink;
use crate::order::Order;
use crate::packing::{Example, micro_batches, sum_log_probs};
use crate::session::{Parent, Session, Supervised, shuffle};
use crate::{Options, Outcome, TrainError};
use render::Renderer;
use stdx::Seed;

/// Runs the stage, from what `read` makes of its `[data]` to `final/`.
pub(crate) fn run<C: Supervised>(
    mut options: Options<'_, C>,
    read: impl FnOnce(&C, Seed, &Renderer) -> Result<Data, TrainError>,
    sink: &mut dyn Sink,
) -> Result<Outcome, TrainError> {
    let parent = Parent::open(&mut options, sink)?;
    let (_, _, _, train) = options.config.config.sections();
    let data = read(&options.config.config, Seed(train.seed), options.renderer)?;
    let order = Order::new(data.train.len(), train.batch_size, shuffle(train));
    let session = Session::begin(&options, &parent, &data, sink)?;
    learn(session, &data, order, sink)
}

/// The loop.
fn learn(mut session: Session<'_>, data: &Data, mut order: Order, sink: &mut dyn Sink) -> Result<Outcome, TrainError> {
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
