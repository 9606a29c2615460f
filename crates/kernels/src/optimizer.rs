//! AdamW (arXiv 1711.05101) in one pass over parameters, gradients and moments; f32 master weights.
use crate::Device;
use crate::pool::SharedMut;
use crate::vector::{Lanes, WIDEST, per_isa};

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
    let n = parameter.len();
    assert_eq!((gradient.len(), first_moment.len(), second_moment.len()), (n, n, n), "gradient and moments");
    assert!(settings.step >= 1, "steps count from 1");
    let factors = Factors::new(settings);
    let parameter = SharedMut::new(parameter);
    let (first, second) = (SharedMut::new(first_moment), SharedMut::new(second_moment));
    device.pool.split(n, 4096, |_, range| {
        // SAFETY: the ranges of a split don't overlap.
        let (parameter, first, second) =
            unsafe { (parameter.range(range.clone()), first.range(range.clone()), second.range(range.clone())) };
        adamw_slice(device.isa, factors, parameter, &gradient[range], first, second);
    });
}

/// Σ x², summed in f64 with a fixed order (whatever the number of threads).
pub fn sum_of_squares(device: &Device, x: &[f32]) -> f64 {
    const BLOCK: usize = 32768;
    let mut sums = vec![0.0f64; x.len().div_ceil(BLOCK)];
    let shared = SharedMut::new(&mut sums);
    device.pool.split(shared.len(), 1, |_, blocks| {
        // SAFETY: the ranges of a split don't overlap.
        let sums = unsafe { shared.range(blocks.clone()) };
        for (block, sum) in blocks.zip(sums) {
            let end = x.len().min((block + 1) * BLOCK);
            *sum = squares(device.isa, &x[block * BLOCK..end]);
        }
    });
    sums.iter().sum()
}

/// What the inner loop multiplies by, each worked out once in f64.
#[derive(Clone, Copy)]
struct Factors {
    gradient_scale: f32,
    keep: f32,
    beta1: f32,
    beta2: f32,
    one_minus_beta1: f32,
    one_minus_beta2: f32,
    /// lr/(1 − β₁ᵗ).
    step_size: f32,
    /// 1/√(1 − β₂ᵗ).
    root_factor: f32,
    epsilon: f32,
}

impl Factors {
    fn new(settings: AdamW) -> Factors {
        let (lr, beta1, beta2) = (settings.learning_rate as f64, settings.beta1 as f64, settings.beta2 as f64);
        let t = settings.step as f64;
        Factors {
            gradient_scale: settings.gradient_scale,
            keep: (1.0 - lr * settings.weight_decay as f64) as f32,
            beta1: settings.beta1,
            beta2: settings.beta2,
            one_minus_beta1: (1.0 - beta1) as f32,
            one_minus_beta2: (1.0 - beta2) as f32,
            step_size: (lr / (1.0 - beta1.powf(t))) as f32,
            root_factor: (1.0 / (1.0 - beta2.powf(t)).sqrt()) as f32,
            epsilon: settings.epsilon,
        }
    }
}

per_isa! {
    fn adamw_slice(factors: Factors, parameter: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) = adamw_body;
}
#[inline(always)]
fn adamw_body<V: Lanes>(
    factors: Factors,
    parameter: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
) {
    // Whole registers in a loop that calls nothing, so that everything stays in registers; the rest in padding.
    let whole = parameter.len() / V::WIDTH * V::WIDTH;
    for start in (0..whole).step_by(V::WIDTH) {
        let (parameter, gradient) = (&mut parameter[start..], &gradient[start..]);
        adamw_register::<V>(factors, parameter, gradient, &mut first[start..], &mut second[start..]);
    }
    let rest = parameter.len() - whole;
    let mut padding = [[0.0; WIDEST]; 4];
    for (padding, source) in padding.iter_mut().zip([&*parameter, gradient, &*first, &*second]) {
        padding[..rest].copy_from_slice(&source[whole..]);
    }
    let [p, g, m, v] = &mut padding;
    adamw_register::<V>(factors, p, g, m, v);
    parameter[whole..].copy_from_slice(&p[..rest]);
    first[whole..].copy_from_slice(&m[..rest]);
    second[whole..].copy_from_slice(&v[..rest]);
}

/// The first `WIDTH` elements.
#[inline(always)]
fn adamw_register<V: Lanes>(
    factors: Factors,
    parameter: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
) {
    let g = V::load(gradient) * V::splat(factors.gradient_scale);
    let m = g.mul_add(V::splat(factors.one_minus_beta1), V::load(first) * V::splat(factors.beta1));
    let v = V::load(second) * V::splat(factors.beta2);
    let v = (g * V::splat(factors.one_minus_beta2)).mul_add(g, v);
    let denominator = v.sqrt().mul_add(V::splat(factors.root_factor), V::splat(factors.epsilon));
    let kept = V::load(parameter) * V::splat(factors.keep);
    m.store(first);
    v.store(second);
    (kept - V::splat(factors.step_size) * m / denominator).store(parameter);
}

per_isa! { fn squares(x: &[f32]) -> f64 = squares_body; }
/// Plain f64 in sixteen chains, the same order for every instruction set.
#[inline(always)]
fn squares_body<V: Lanes>(x: &[f32]) -> f64 {
    let mut sums = [0.0f64; 16];
    let mut chunks = x.chunks_exact(16);
    for chunk in &mut chunks {
        for i in 0..16 {
            let x = chunk[i] as f64;
            sums[i] += x * x;
        }
    }
    for (sum, &x) in sums.iter_mut().zip(chunks.remainder()) {
        *sum += x as f64 * x as f64;
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twin::{assert_close, devices, noise, wide};

    /// PyTorch's single-tensor AdamW, in f64.
    fn twin(s: AdamW, p: &mut [f64], g: &[f64], m: &mut [f64], v: &mut [f64]) {
        let (lr, b1, b2) = (s.learning_rate as f64, s.beta1 as f64, s.beta2 as f64);
        for i in 0..p.len() {
            let g = g[i] * s.gradient_scale as f64;
            p[i] *= 1.0 - lr * s.weight_decay as f64;
            m[i] += (g - m[i]) * (1.0 - b1);
            v[i] = b2 * v[i] + (1.0 - b2) * g * g;
            let denominator = v[i].sqrt() / (1.0 - b2.powi(s.step as i32)).sqrt() + s.epsilon as f64;
            p[i] -= lr / (1.0 - b1.powi(s.step as i32)) * m[i] / denominator;
        }
    }

    #[test]
    fn ten_steps_follow_the_formula() {
        for n in [1, 7, 33, 10_007] {
            for device in devices() {
                let mut p = noise(1, n);
                let (mut m, mut v) = (vec![0.0; n], vec![0.0; n]);
                let (mut p64, mut m64, mut v64) = (wide(&p), wide(&m), wide(&v));
                for step in 1..=10 {
                    let settings = AdamW {
                        learning_rate: 3e-2,
                        beta1: 0.9,
                        beta2: 0.95,
                        epsilon: 1e-5,
                        weight_decay: 0.1,
                        step,
                        gradient_scale: 0.3,
                    };
                    let g = noise(step + 5, n);
                    adamw(&device, settings, &mut p, &g, &mut m, &mut v);
                    twin(settings, &mut p64, &wide(&g), &mut m64, &mut v64);
                }
                assert_close("parameter", &p, &p64, 2e-6);
                assert_close("first moment", &m, &m64, 3e-7);
                assert_close("second moment", &v, &v64, 3e-7);
            }
        }
    }

    #[test]
    fn one_step_by_hand() {
        // g = 2·0.5 = 1; p = 4·(1 − 0.1·0.5) = 3.8; m = 0.1, m̂ = 1; v = 0.2, v̂ = 1; p = 3.8 − 0.1·1/(1 + 0.25) = 3.72.
        let settings = AdamW {
            learning_rate: 0.1,
            beta1: 0.9,
            beta2: 0.8,
            epsilon: 0.25,
            weight_decay: 0.5,
            step: 1,
            gradient_scale: 0.5,
        };
        for device in devices() {
            let (mut p, mut m, mut v) = ([4.0], [0.0], [0.0]);
            adamw(&device, settings, &mut p, &[2.0], &mut m, &mut v);
            assert_close("p, m, v", &[p[0], m[0], v[0]], &[3.72, 0.1, 0.2], 1e-6);
        }
    }

    #[test]
    fn squares_are_summed_in_one_order() {
        for n in [0, 1, 7, 100_003] {
            let x = noise(9, n);
            let expected: f64 = x.iter().map(|&x| x as f64 * x as f64).sum();
            let sums: Vec<f64> = devices().iter().map(|d| sum_of_squares(d, &x)).collect();
            assert!((sums[0] - expected).abs() <= 1e-12 * expected, "{} {expected}", sums[0]);
            assert!(sums.iter().all(|&s| s == sums[0]), "{sums:?}");
        }
    }
}
