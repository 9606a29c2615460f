//! Rotary position embedding (arXiv 2104.09864), half-split layout: element i of the first half pairs with i of the second.
use crate::Device;

/// Cosines and sines, `[n_positions, rotary_dim/2]` each; the caller bakes any scaling in.
pub struct RotaryTable {
    /// Rotated width of a head, even, at most head_dim.
    pub rotary_dim: usize,
    /// cos.
    pub cos: Vec<f32>,
    /// sin.
    pub sin: Vec<f32>,
}

/// Rotates `n_heads` heads of each row in place, by `positions[row]`, or back when `inverse` (which is also the gradient).
/// Row r, head g is `x[r*stride + offset + g*head_dim ..]`; only its first `rotary_dim` elements turn.
pub fn rotate(
    device: &Device,
    table: &RotaryTable,
    positions: &[u32],
    x: &mut [f32],
    stride: usize,
    offset: usize,
    n_heads: usize,
    head_dim: usize,
    inverse: bool,
) {
    let _ = (
        device, table, positions, x, stride, offset, n_heads, head_dim, inverse,
    );
    todo!()
}
