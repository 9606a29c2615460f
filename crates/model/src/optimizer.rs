//! AdamW over a model's trainable parameters.
use crate::parameters::{Holder, Storage};
use crate::{Gradients, Model};
use kernels::optimizer::{AdamW, adamw};
use std::ops::Range;

/// Its constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWConfig {
    /// β₁.
    pub beta1: f32,
    /// β₂.
    pub beta2: f32,
    /// ε.
    pub epsilon: f32,
    /// Decoupled decay, on matrices only (never norms, biases or the scalar head).
    pub weight_decay: f32,
}

/// Moments and step count.
pub struct Optimizer {
    /// Constants.
    pub config: AdamWConfig,
    /// Steps taken.
    pub step: u64,
    /// m, laid out like [`Model::trainable`].
    pub first_moment: Vec<f32>,
    /// v.
    pub second_moment: Vec<f32>,
    /// Ranges of the buffer that decay, or don't.
    ranges: Vec<(Range<usize>, bool)>,
}

impl Optimizer {
    /// Zero moments.
    pub fn new(model: &Model, config: AdamWConfig) -> Optimizer {
        let n = model.trainable().len();
        let zeroed = kernels::elementwise::zeroed;
        Optimizer { config, step: 0, first_moment: zeroed(n), second_moment: zeroed(n), ranges: decay_ranges(model) }
    }

    /// One step with gradients multiplied by `gradient_scale` (1/accumulation, clipping); refreshes the model's compute copies.
    pub fn step(&mut self, model: &mut Model, gradients: &Gradients, learning_rate: f32, gradient_scale: f32) {
        self.step += 1;
        let AdamWConfig { beta1, beta2, epsilon, weight_decay } = self.config;
        let start = model.parameters.trainable_start;
        let device = model.device.clone();
        for (range, decays) in &self.ranges {
            let weight_decay = if *decays { weight_decay } else { 0.0 };
            let settings =
                AdamW { learning_rate, beta1, beta2, epsilon, weight_decay, step: self.step, gradient_scale };
            let parameters = &mut model.parameters.flat[start + range.start..start + range.end];
            let (m, v) = (&mut self.first_moment[range.clone()], &mut self.second_moment[range.clone()]);
            adamw(&device, settings, parameters, &gradients.flat[range.clone()], m, v);
        }
        model.parameters.repack(&device);
    }
}

/// Splits the trainable buffer into runs that decay (matrices) and that don't.
fn decay_ranges(model: &Model) -> Vec<(Range<usize>, bool)> {
    let (start, end) = (model.parameters.trainable_start, model.parameters.flat.len());
    let mut matrices: Vec<Range<usize>> = Vec::new();
    for tensor in model.parameters.file_tensors() {
        match tensor.holder {
            Holder::Weight(linear, part) => {
                if let Storage::Flat { offset, .. } = linear.storage {
                    let first = offset + part.first_row * linear.n_in;
                    matrices.push(first..first + part.n_rows * linear.n_in);
                }
            }
            Holder::Vector(vector) if vector.shape.len() == 2 && vector.shape[0] > 1 => {
                matrices.push(vector.offset..vector.offset + vector.length);
            }
            _ => {}
        }
    }
    if let Some(learned) = &model.parameters.learned {
        // a row of a matrix, alone or not
        matrices.push(learned.row.offset..learned.row.offset + learned.row.length);
    }
    for linear in model.parameters.linears() {
        for adapter in &linear.adapters {
            matrices.push(adapter.a..adapter.a + adapter.rank * linear.n_in);
            matrices.push(adapter.b..adapter.b + adapter.part.n_rows * adapter.rank);
        }
    }
    matrices.retain(|r| r.start >= start);
    matrices.sort_by_key(|r| r.start);
    let mut ranges: Vec<(Range<usize>, bool)> = Vec::new();
    let mut push = |range: Range<usize>, decays: bool| match ranges.last_mut() {
        _ if range.is_empty() => {}
        Some((last, same)) if *same == decays && last.end == range.start => last.end = range.end,
        _ => ranges.push((range, decays)),
    };
    let mut at = 0;
    for matrix in matrices {
        let matrix = matrix.start - start..matrix.end - start;
        push(at..matrix.start, false);
        at = matrix.end;
        push(matrix, true);
    }
    push(at..end - start, false);
    ranges
}
