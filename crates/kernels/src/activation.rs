//! SwiGLU (arXiv 2002.05202) and GELU (arXiv 1606.08415), forward and backward.
use crate::Device;
use crate::pool::SharedMut;
use crate::vector::{Lanes, per_isa};

/// Which GELU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gelu {
    /// ½x(1 + erf(x/√2)).
    Exact,
    /// The tanh approximation, ½x(1 + tanh(√(2/π)·(x + 0.044715·x³))).
    Tanh,
}

/// Elements worth waking a worker for.
const GRAIN: usize = 4096;

/// y `[T, F]` = silu(gate)·up, with gate and up side by side in `gate_up` `[T, 2F]`.
pub fn swiglu_forward(device: &Device, gate_up: &[f32], width: usize, y: &mut [f32]) {
    assert_eq!(gate_up.len(), 2 * y.len(), "gate_up and y");
    let n_rows = y.len() / width;
    let y = SharedMut::new(y);
    device.pool.split(n_rows, GRAIN.div_ceil(width), |_, rows| {
        // SAFETY: the ranges of a split don't overlap.
        let y = unsafe { y.range(rows.start * width..rows.end * width) };
        swiglu_forward_rows(device.isa, &gate_up[rows.start * 2 * width..rows.end * 2 * width], width, y);
    });
}

/// Overwrites `d_gate_up` from dy.
pub fn swiglu_backward(device: &Device, gate_up: &[f32], width: usize, dy: &[f32], d_gate_up: &mut [f32]) {
    assert_eq!((gate_up.len(), d_gate_up.len()), (2 * dy.len(), 2 * dy.len()), "gate_up and its gradient");
    let n_rows = dy.len() / width;
    let shared = SharedMut::new(d_gate_up);
    device.pool.split(n_rows, GRAIN.div_ceil(width), |_, rows| {
        let both = rows.start * 2 * width..rows.end * 2 * width;
        // SAFETY: the ranges of a split don't overlap.
        let d_gate_up = unsafe { shared.range(both.clone()) };
        let dy = &dy[rows.start * width..rows.end * width];
        swiglu_backward_rows(device.isa, &gate_up[both], width, dy, d_gate_up);
    });
}

/// y = gelu(x).
pub fn gelu_forward(device: &Device, kind: Gelu, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "x and y");
    let y = SharedMut::new(y);
    device.pool.split(x.len(), GRAIN, |_, range| {
        // SAFETY: the ranges of a split don't overlap.
        let y = unsafe { y.range(range.clone()) };
        gelu_forward_slice(device.isa, kind, &x[range], y);
    });
}

/// Overwrites `dx` from dy.
pub fn gelu_backward(device: &Device, kind: Gelu, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    assert_eq!((x.len(), x.len()), (dy.len(), dx.len()), "x, dy and dx");
    let dx = SharedMut::new(dx);
    device.pool.split(x.len(), GRAIN, |_, range| {
        // SAFETY: the ranges of a split don't overlap.
        let dx = unsafe { dx.range(range.clone()) };
        gelu_backward_slice(device.isa, kind, &x[range.clone()], &dy[range], dx);
    });
}

per_isa! { fn swiglu_forward_rows(gate_up: &[f32], width: usize, y: &mut [f32]) = swiglu_forward_body; }
#[inline(always)]
fn swiglu_forward_body<V: Lanes>(gate_up: &[f32], width: usize, y: &mut [f32]) {
    for (gate_up, y) in gate_up.chunks_exact(2 * width).zip(y.chunks_exact_mut(width)) {
        let (gate, up) = gate_up.split_at(width);
        for start in (0..width).step_by(V::WIDTH) {
            let gate = V::load_up_to(&gate[start..]);
            let up = V::load_up_to(&up[start..]);
            (gate * gate.sigmoid() * up).store_up_to(&mut y[start..]);
        }
    }
}

per_isa! {
    fn swiglu_backward_rows(gate_up: &[f32], width: usize, dy: &[f32], d_gate_up: &mut [f32]) = swiglu_backward_body;
}
/// silu′(g) = σ(g)·(1 + g·(1 − σ(g))).
#[inline(always)]
fn swiglu_backward_body<V: Lanes>(gate_up: &[f32], width: usize, dy: &[f32], d_gate_up: &mut [f32]) {
    let one = V::splat(1.0);
    let rows = gate_up.chunks_exact(2 * width).zip(d_gate_up.chunks_exact_mut(2 * width));
    for ((gate_up, d_gate_up), dy) in rows.zip(dy.chunks_exact(width)) {
        let (gate, up) = gate_up.split_at(width);
        let (d_gate, d_up) = d_gate_up.split_at_mut(width);
        for start in (0..width).step_by(V::WIDTH) {
            let gate = V::load_up_to(&gate[start..]);
            let up = V::load_up_to(&up[start..]);
            let dy = V::load_up_to(&dy[start..]);
            let sigmoid = gate.sigmoid();
            let slope = sigmoid * gate.mul_add(one - sigmoid, one);
            (dy * up * slope).store_up_to(&mut d_gate[start..]);
            (dy * gate * sigmoid).store_up_to(&mut d_up[start..]);
        }
    }
}

per_isa! { fn gelu_forward_slice(kind: Gelu, x: &[f32], y: &mut [f32]) = gelu_forward_body; }
#[inline(always)]
fn gelu_forward_body<V: Lanes>(kind: Gelu, x: &[f32], y: &mut [f32]) {
    for (x, y) in x.chunks(V::WIDTH).zip(y.chunks_mut(V::WIDTH)) {
        let x = V::load_up_to(x);
        let gate = match kind {
            Gelu::Exact => x.normal().1,
            // ½(1 + tanh(u)) = σ(2u).
            Gelu::Tanh => tanh_argument(x).0.sigmoid(),
        };
        (x * gate).store_up_to(y);
    }
}

per_isa! { fn gelu_backward_slice(kind: Gelu, x: &[f32], dy: &[f32], dx: &mut [f32]) = gelu_backward_body; }
#[inline(always)]
fn gelu_backward_body<V: Lanes>(kind: Gelu, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    let one = V::splat(1.0);
    for ((x, dy), dx) in x.chunks(V::WIDTH).zip(dy.chunks(V::WIDTH)).zip(dx.chunks_mut(V::WIDTH)) {
        let x = V::load_up_to(x);
        let slope = match kind {
            // d(x·Φ(x)) = Φ(x) + x·φ(x).
            Gelu::Exact => {
                let (density, below) = x.normal();
                x.mul_add(density, below)
            }
            Gelu::Tanh => {
                let (argument, derivative) = tanh_argument(x);
                let sigmoid = argument.sigmoid();
                (x * derivative).mul_add(sigmoid * (one - sigmoid), sigmoid)
            }
        };
        (V::load_up_to(dy) * slope).store_up_to(dx);
    }
}

/// 2√(2/π)·(x + 0.044715·x³) and its derivative.
#[inline(always)]
fn tanh_argument<V: Lanes>(x: V) -> (V, V) {
    const FACTOR: f32 = 1.595_769;
    let square = x * x;
    let value = square.mul_add(V::splat(FACTOR * 0.044_715), V::splat(FACTOR)) * x;
    let derivative = square.mul_add(V::splat(3.0 * FACTOR * 0.044_715), V::splat(FACTOR));
    (value, derivative)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twin::{assert_close, devices, noise, wide};

    fn spread(seed: u64, length: usize) -> Vec<f32> {
        noise(seed, length).into_iter().map(|x| x * 6.0).collect()
    }
    fn silu(x: f64) -> f64 {
        x / (1.0 + (-x).exp())
    }
    /// Central difference: 1e-9 or so of the true slope here.
    fn slope(f: impl Fn(f64) -> f64, x: f64) -> f64 {
        (f(x + 1e-5) - f(x - 1e-5)) / 2e-5
    }
    /// erf by its Maclaurin series, which converges everywhere; 60 terms do for |x| ≤ 3, a continued tail above.
    fn erf(x: f64) -> f64 {
        let mut term = x;
        let mut sum = x;
        for n in 1..200 {
            term *= -x * x / n as f64;
            sum += term / (2 * n + 1) as f64;
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }
    fn gelu(kind: Gelu, x: f64) -> f64 {
        match kind {
            Gelu::Exact => 0.5 * x * (1.0 + erf(x / 2f64.sqrt())),
            Gelu::Tanh => {
                let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
                0.5 * x * (1.0 + u.tanh())
            }
        }
    }

    #[test]
    fn swiglu_and_its_slopes() {
        for (n_rows, width) in [(1, 1), (3, 7), (5, 33), (40, 576)] {
            let gate_up = spread(1, n_rows * 2 * width);
            let dy = noise(2, n_rows * width);
            let at = |i: usize| {
                let (row, column) = (i / width, i % width);
                let gate = row * 2 * width + column;
                (gate, gate_up[gate] as f64, gate_up[gate + width] as f64)
            };
            let mut expected = Vec::new();
            let mut expected_d = vec![0.0; gate_up.len()];
            for i in 0..dy.len() {
                let (index, gate, up) = at(i);
                expected.push(silu(gate) * up);
                expected_d[index] = dy[i] as f64 * up * slope(silu, gate);
                expected_d[index + width] = dy[i] as f64 * silu(gate);
            }
            for device in devices() {
                let mut y = vec![f32::NAN; dy.len()];
                swiglu_forward(&device, &gate_up, width, &mut y);
                assert_close("y", &y, &expected, 5e-7);
                let mut d = vec![f32::NAN; gate_up.len()];
                swiglu_backward(&device, &gate_up, width, &dy, &mut d);
                assert_close("d_gate_up", &d, &expected_d, 1e-6);
            }
        }
    }

    #[test]
    fn gelus_and_their_slopes() {
        for n in [1, 7, 33, 9001] {
            let x = spread(3, n).into_iter().map(|x| x * 0.7).collect::<Vec<_>>();
            let dy = noise(4, n);
            for kind in [Gelu::Exact, Gelu::Tanh] {
                let expected: Vec<f64> = wide(&x).into_iter().map(|x| gelu(kind, x)).collect();
                let expected_d: Vec<f64> =
                    x.iter().zip(&dy).map(|(&x, &dy)| dy as f64 * slope(|x| gelu(kind, x), x as f64)).collect();
                for device in devices() {
                    let mut y = vec![f32::NAN; n];
                    gelu_forward(&device, kind, &x, &mut y);
                    assert_close("y", &y, &expected, 3e-7);
                    let mut dx = vec![f32::NAN; n];
                    gelu_backward(&device, kind, &x, &dy, &mut dx);
                    assert_close("dx", &dx, &expected_d, 1e-6);
                }
            }
        }
    }

    #[test]
    fn extremes_stay_finite() {
        let x = [-1e4, -100.0, 100.0, 1e4];
        for device in devices() {
            for kind in [Gelu::Exact, Gelu::Tanh] {
                let (mut y, mut dx) = ([f32::NAN; 4], [f32::NAN; 4]);
                gelu_forward(&device, kind, &x, &mut y);
                gelu_backward(&device, kind, &x, &[1.0; 4], &mut dx);
                assert_close("y", &y, &[0.0, 0.0, 100.0, 1e4], 1e-30);
                assert_close("dx", &dx, &[0.0, 0.0, 1.0, 1.0], 1e-20);
            }
            let mut y = [f32::NAN; 2];
            swiglu_forward(&device, &[-1e4, 1e4, 2.0, 3.0], 2, &mut y);
            assert_close("swiglu", &y, &[0.0, 3e4], 1e-30);
        }
    }
}
