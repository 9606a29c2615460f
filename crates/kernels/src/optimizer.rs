//! AdamW (arXiv 1711.05101) in one pass over parameters, gradients and moments; f32 master weights.
use crate::Device;

/// One step's numbers. Decoupled decay: p ← p − lr·weight_decay·p, then Adam's step with bias-corrected moments
/// (PyTorch's order and formula: denominator √v/√(1−β₂ᵗ) + ε).
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    /// Learning rate.
    pub learning_rate: f32,
    /// β₁.
    pub beta1: f32,
    /// β₂.
    pub beta2: f32,
    /// ε.
    pub epsilon: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// 1-based step, for bias correction.
    pub step: u64,
    /// Multiplies every gradient first (clipping, accumulation).
    pub gradient_scale: f32,
}

/// Updates parameters and moments in place.
pub fn adamw(
    device: &Device,
    settings: AdamW,
    parameter: &mut [f32],
    gradient: &[f32],
    first_moment: &mut [f32],
    second_moment: &mut [f32],
) {
    let _ = (
        device,
        settings,
        parameter,
        gradient,
        first_moment,
        second_moment,
    );
    todo!()
}
/// Σ x², summed in f64 with a fixed order.
pub fn sum_of_squares(device: &Device, x: &[f32]) -> f64 {
    let _ = (device, x);
    todo!()
}
