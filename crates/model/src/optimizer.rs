//! AdamW over a model's trainable parameters.
use crate::{Gradients, Model};
/// Its constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWConfig {
    /// β₁.
    pub beta1: f32,
    /// β₂.
    pub beta2: f32,
    /// ε.
    pub epsilon: f32,
    /// Decoupled decay, on matrices only (never norms, biases or the scalar head's bias).
    pub weight_decay: f32,
}
/// Moments and step count.
pub struct Optimizer {
    /// Constants.
    pub config: AdamWConfig,
    /// Steps taken.
    pub step: u64,
    /// m.
    pub first_moment: Vec<f32>,
    /// v.
    pub second_moment: Vec<f32>,
}
impl Optimizer {
    /// Zero moments.
    pub fn new(model: &Model, config: AdamWConfig) -> Optimizer {
        let n = model.trainable().len();
        Optimizer {
            config,
            step: 0,
            first_moment: vec![0.0; n],
            second_moment: vec![0.0; n],
        }
    }
    /// One step; refreshes the model's compute copies of its weights.
    pub fn step(
        &mut self,
        model: &mut Model,
        gradients: &Gradients,
        learning_rate: f32,
        gradient_scale: f32,
    ) {
        let _ = (model, gradients, learning_rate, gradient_scale);
        todo!()
    }
}
