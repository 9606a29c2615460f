//! y = x·Wᵀ and its two gradients, for weights held in f32, packed bf16 or packed Q8_0.
//!
//! `W` is logically `[n_out, n_in]` (as PyTorch's `Linear`). Activations and gradients are f32 in memory.
//! With f32 weights the arithmetic is f32. With bf16 weights the activations are rounded to bf16 (nearest even) and
//! products accumulated in f32; Q8_0 blocks are expanded to bf16 on the way in. Instruction sets agree within the
//! rounding of f32 sums of bf16 products, except that `vdpbf16ps` and AMX take numbers below 2⁻¹²⁶ for zero.
//! In the packed paths a row of `y` depends only on its row of `x`, never on how many rows there are, nor on the number
//! of workers. In f32 the same holds among calls of at most 32 rows, and among calls of more.
use crate::Device;

mod packed;

use crate::cpu::dot::{self, Dots};
use crate::cpu::gemm::pack::{Left, Right};
use crate::cpu::gemm::{self, Product};
use crate::pool::SharedMut;
pub use packed::{PackedBf16, PackedQ8};

/// A weight matrix `[n_out, n_in]` in one of the forms a linear can read.
#[derive(Clone, Copy)]
pub enum Matrix<'a> {
    /// Row-major f32.
    F32 {
        /// `[n_out, n_in]`.
        weight: &'a [f32],
        /// Outputs.
        n_out: usize,
        /// Inputs.
        n_in: usize,
    },
    /// Packed bf16.
    Bf16(&'a PackedBf16),
    /// Packed Q8_0.
    Q8(&'a PackedQ8),
}

impl Matrix<'_> {
    /// Outputs.
    pub fn n_out(&self) -> usize {
        match self {
            Matrix::F32 { n_out, .. } => *n_out,
            Matrix::Bf16(packed) => packed.n_out,
            Matrix::Q8(packed) => packed.n_out,
        }
    }
    /// Inputs.
    pub fn n_in(&self) -> usize {
        match self {
            Matrix::F32 { n_in, .. } => *n_in,
            Matrix::Bf16(packed) => packed.n_in,
            Matrix::Q8(packed) => packed.n_in,
        }
    }
}

/// The arithmetic of a product of two activations (the weight gradient).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// f32 operands.
    F32,
    /// Operands rounded to bf16, f32 accumulation.
    Bf16,
}

/// Whether the result replaces what is in the output or is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Replace.
    Overwrite,
    /// Add.
    Accumulate,
}

/// y `[T, N]` = x `[T, K]` · Wᵀ. `x_stride`, `y_stride` are in elements, at least K and N.
pub fn forward(
    device: &Device,
    x_TK: &[f32],
    x_stride: usize,
    weight_NK: Matrix,
    y_TN: &mut [f32],
    y_stride: usize,
    n_rows: usize,
    write: Write,
) {
    let (n_out, n_in) = (weight_NK.n_out(), weight_NK.n_in());
    check("x", x_TK.len(), n_rows, n_in, x_stride);
    check("y", y_TN.len(), n_rows, n_out, y_stride);
    let left = Left::Rows { data: x_TK, stride: x_stride };
    let product = |right, y_TN| multiply(device, left, right, y_TN, y_stride, (n_rows, n_out, n_in), write);
    match weight_NK {
        Matrix::F32 { weight, .. } if n_rows <= dot::FEW_ROWS => {
            let (y, add) = (SharedMut::new(y_TN), write == Write::Accumulate);
            let dots = Dots { x: x_TK, x_stride, weight, n_in, y, y_stride, n_rows, add };
            dot::multiply(device, &dots, n_out);
        }
        Matrix::F32 { weight, .. } => product(Right::Columns { data: weight, stride: n_in, columns: n_out }, y_TN),
        Matrix::Bf16(packed) => product(Right::Forward(packed), y_TN),
        Matrix::Q8(packed) => product(Right::ForwardQ8(packed), y_TN),
    }
}

/// dx `[T, K]` = dy `[T, N]` · W.
pub fn backward_input(
    device: &Device,
    dy_TN: &[f32],
    dy_stride: usize,
    weight_NK: Matrix,
    dx_TK: &mut [f32],
    dx_stride: usize,
    n_rows: usize,
    write: Write,
) {
    let (n_out, n_in) = (weight_NK.n_out(), weight_NK.n_in());
    check("dy", dy_TN.len(), n_rows, n_out, dy_stride);
    check("dx", dx_TK.len(), n_rows, n_in, dx_stride);
    let left = Left::Rows { data: dy_TN, stride: dy_stride };
    let mut product = |right| multiply(device, left, right, dx_TK, dx_stride, (n_rows, n_in, n_out), write);
    match weight_NK {
        Matrix::F32 { weight, .. } => product(Right::Rows { data: weight, stride: n_in, columns: n_in }),
        Matrix::Bf16(packed) => product(Right::Backward(packed)),
        Matrix::Q8(packed) => product(Right::BackwardQ8(packed)),
    }
}

/// dW `[N, K]` = dyᵀ · x, in f32 memory. Rows of dy and x are `dy_stride` and `x_stride` apart.
pub fn backward_weight(
    device: &Device,
    dy_TN: &[f32],
    dy_stride: usize,
    x_TK: &[f32],
    x_stride: usize,
    dw_NK: &mut [f32],
    n_out: usize,
    n_in: usize,
    n_rows: usize,
    precision: Precision,
    write: Write,
) {
    check("dy", dy_TN.len(), n_rows, n_out, dy_stride);
    check("x", x_TK.len(), n_rows, n_in, x_stride);
    check("dW", dw_NK.len(), n_out, n_in, n_in);
    let product = Product {
        m: n_out,
        n: n_in,
        k: n_rows,
        left: Left::Columns { data: dy_TN, stride: dy_stride },
        right: Right::Rows { data: x_TK, stride: x_stride, columns: n_in },
        c: SharedMut::new(dw_NK),
        c_stride: n_in,
        add: write == Write::Accumulate,
    };
    match precision {
        Precision::F32 => gemm::multiply_f32(device, &product),
        Precision::Bf16 => gemm::multiply_bf16(device, &product),
    }
}

fn multiply(
    device: &Device,
    left: Left,
    right: Right,
    c: &mut [f32],
    c_stride: usize,
    (m, n, k): (usize, usize, usize),
    write: Write,
) {
    let add = write == Write::Accumulate;
    let product = Product { m, n, k, left, right, c: SharedMut::new(c), c_stride, add };
    match right {
        Right::Rows { .. } | Right::Columns { .. } => gemm::multiply_f32(device, &product),
        Right::Forward(_) | Right::Backward(_) | Right::ForwardQ8(_) | Right::BackwardQ8(_) => {
            gemm::multiply_bf16(device, &product)
        }
    }
}

/// Panics unless `rows` rows of `width` elements, `stride` apart, fit in `length` elements.
fn check(name: &str, length: usize, rows: usize, width: usize, stride: usize) {
    let needed = if rows == 0 { 0 } else { (rows - 1) * stride + width };
    assert!(
        length >= needed && (stride >= width || rows <= 1),
        "{name}: {rows} rows of {width}, {stride} apart, in {length} elements"
    );
}
