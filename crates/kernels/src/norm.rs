//! RMSNorm (arXiv 1910.07467) and LayerNorm (arXiv 1607.06450), forward and backward, over rows.
use crate::Device;

/// y = x / rms(x) · weight; keeps 1/rms for the backward pass. Rows of `x` and `y` are `[rows, width]`, width = weight.len().
pub fn rms_forward(
    device: &Device,
    x: &[f32],
    weight: &[f32],
    epsilon: f32,
    y: &mut [f32],
    inverse_rms: &mut [f32],
) {
    let _ = (device, x, weight, epsilon, y, inverse_rms);
    todo!()
}
/// Adds to `dx`, and to `d_weight` when given.
pub fn rms_backward(
    device: &Device,
    x: &[f32],
    weight: &[f32],
    inverse_rms: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    d_weight: Option<&mut [f32]>,
) {
    let _ = (device, x, weight, inverse_rms, dy, dx, d_weight);
    todo!()
}
/// y = (x − mean)/√(var + ε) · weight + bias; keeps mean and 1/std.
pub fn layer_forward(
    device: &Device,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    epsilon: f32,
    y: &mut [f32],
    mean: &mut [f32],
    inverse_std: &mut [f32],
) {
    let _ = (device, x, weight, bias, epsilon, y, mean, inverse_std);
    todo!()
}
/// Adds to `dx`, and to `d_weight`, `d_bias` when given.
pub fn layer_backward(
    device: &Device,
    x: &[f32],
    weight: &[f32],
    mean: &[f32],
    inverse_std: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    d_weight_bias: Option<(&mut [f32], &mut [f32])>,
) {
    let _ = (device, x, weight, mean, inverse_std, dy, dx, d_weight_bias);
    todo!()
}
/// RMSNorm of each head of each row in place (Qwen3's query/key norm): row r, head g is `x[r*stride + offset + g*weight.len() ..]`.
/// `inverse_rms` is `[rows, n_heads]`; the input before the norm goes to `x_before` `[rows, n_heads*head_dim]` when given.
pub fn rms_heads_forward(
    device: &Device,
    x: &mut [f32],
    stride: usize,
    offset: usize,
    n_heads: usize,
    weight: &[f32],
    epsilon: f32,
    inverse_rms: &mut [f32],
    x_before: Option<&mut [f32]>,
) {
    let _ = (
        device,
        x,
        stride,
        offset,
        n_heads,
        weight,
        epsilon,
        inverse_rms,
        x_before,
    );
    todo!()
}
/// Turns d(after the norm), lying in `dx` with the same stride and offset, into d(before) in place; adds to `d_weight` when given.
pub fn rms_heads_backward(
    device: &Device,
    x_before: &[f32],
    weight: &[f32],
    inverse_rms: &[f32],
    dx: &mut [f32],
    stride: usize,
    offset: usize,
    n_heads: usize,
    d_weight: Option<&mut [f32]>,
) {
    let _ = (
        device,
        x_before,
        weight,
        inverse_rms,
        dx,
        stride,
        offset,
        n_heads,
        d_weight,
    );
    todo!()
}
