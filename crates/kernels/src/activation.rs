//! SwiGLU (arXiv 2002.05202) and GELU (arXiv 1606.08415), forward and backward.
use crate::Device;

/// Which GELU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gelu {
    /// ½x(1 + erf(x/√2)).
    Exact,
    /// The tanh approximation.
    Tanh,
}

/// y `[T, F]` = silu(gate)·up, with gate and up side by side in `gate_up` `[T, 2F]`.
pub fn swiglu_forward(device: &Device, gate_up: &[f32], width: usize, y: &mut [f32]) {
    let _ = (device, gate_up, width, y);
    todo!()
}
/// Overwrites `d_gate_up` from dy.
pub fn swiglu_backward(
    device: &Device,
    gate_up: &[f32],
    width: usize,
    dy: &[f32],
    d_gate_up: &mut [f32],
) {
    let _ = (device, gate_up, width, dy, d_gate_up);
    todo!()
}
/// y = gelu(x).
pub fn gelu_forward(device: &Device, kind: Gelu, x: &[f32], y: &mut [f32]) {
    let _ = (device, kind, x, y);
    todo!()
}
/// Overwrites `dx` from dy.
pub fn gelu_backward(device: &Device, kind: Gelu, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    let _ = (device, kind, x, dy, dx);
    todo!()
}
