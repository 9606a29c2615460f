//! Low-rank adapters (arXiv 2106.09685, eq. 3): y += (alpha/rank)·B(A x), A `[rank, n_in]`, B `[n_rows, rank]`, B zero at the start.
use crate::parameters::{Allocator, Linear, Parameters, Part};
use kernels::Device;
use kernels::linear::{self, Matrix, Precision, Write};

/// An adapter on some rows of a linear.
pub(crate) struct Adapter {
    /// The module it adapts.
    pub part: Part,
    pub rank: usize,
    pub scale: f32,
    /// Offset of A in the flat buffer.
    pub a: usize,
    /// Offset of B in the flat buffer.
    pub b: usize,
}

/// Whether a module is a target: by its last name, or all of them.
pub(crate) fn is_target(module: &str, targets: &[String]) -> bool {
    let last = module.rsplit('.').next().unwrap_or(module);
    targets.iter().any(|t| t == last || t == "all-linear")
}

/// Gives every targeted part of a linear an adapter.
pub(crate) fn attach(linear: &mut Linear, lora: &crate::LoraConfig, allocator: &mut Allocator) {
    let (n_in, rank) = (linear.n_in, lora.rank);
    let parts = linear.parts.iter().filter(|p| is_target(&p.module, &lora.targets));
    linear.adapters = parts
        .map(|part| Adapter {
            part: part.clone(),
            rank,
            scale: lora.alpha / rank as f32,
            a: allocator.take(rank * n_in),
            b: allocator.take(part.n_rows * rank),
        })
        .collect();
}

/// The matrices of an adapter.
fn matrices<'a>(flat: &'a [f32], adapter: &Adapter, n_in: usize) -> (Matrix<'a>, Matrix<'a>) {
    let (rank, n_rows) = (adapter.rank, adapter.part.n_rows);
    let a = Matrix::F32 { weight: &flat[adapter.a..][..rank * n_in], n_out: rank, n_in };
    let b = Matrix::F32 { weight: &flat[adapter.b..][..n_rows * rank], n_out: n_rows, n_in: rank };
    (a, b)
}

/// y += scale · B(A x) for every adapter of a linear.
pub(crate) fn forward(
    device: &Device,
    flat: &[f32],
    layer: &Linear,
    x: &[f32],
    y: &mut [f32],
    n_rows: usize,
    low: &mut Vec<f32>,
) {
    for adapter in &layer.adapters {
        let (a, b) = matrices(flat, adapter, layer.n_in);
        let low = crate::workspace::sized(low, n_rows * adapter.rank);
        linear::forward(device, x, layer.n_in, a, low, adapter.rank, n_rows, Write::Overwrite);
        kernels::elementwise::scale(device, low, adapter.scale);
        linear::forward(
            device,
            low,
            adapter.rank,
            b,
            &mut y[adapter.part.first_row..],
            layer.n_out,
            n_rows,
            Write::Accumulate,
        );
    }
}

/// Adds to the gradients of A and B, and to dx when it is wanted.
pub(crate) fn backward(
    device: &Device,
    flat: &[f32],
    start: usize,
    layer: &Linear,
    x: &[f32],
    dy: &[f32],
    mut dx: Option<&mut [f32]>,
    n_rows: usize,
    gradients: &mut [f32],
    low: &mut Vec<f32>,
) {
    for adapter in &layer.adapters {
        let (rank, n_in) = (adapter.rank, layer.n_in);
        let (a, b) = matrices(flat, adapter, n_in);
        let dy = &dy[adapter.part.first_row..];
        let low = crate::workspace::sized(low, n_rows * rank);
        // dB = scale · dyᵀ (A x)
        linear::forward(device, x, n_in, a, low, rank, n_rows, Write::Overwrite);
        kernels::elementwise::scale(device, low, adapter.scale);
        let d_b = &mut gradients[adapter.b - start..][..adapter.part.n_rows * rank];
        linear::backward_weight(
            device,
            dy,
            layer.n_out,
            low,
            rank,
            d_b,
            adapter.part.n_rows,
            rank,
            n_rows,
            Precision::F32,
            Write::Accumulate,
        );
        // dA = (scale · Bᵀ dy)ᵀ x;  dx += Aᵀ (scale · Bᵀ dy)
        linear::backward_input(device, dy, layer.n_out, b, low, rank, n_rows, Write::Overwrite);
        kernels::elementwise::scale(device, low, adapter.scale);
        let d_a = &mut gradients[adapter.a - start..][..rank * n_in];
        linear::backward_weight(device, low, rank, x, n_in, d_a, rank, n_in, n_rows, Precision::F32, Write::Accumulate);
        if let Some(dx) = dx.as_deref_mut() {
            linear::backward_input(device, low, rank, a, dx, n_in, n_rows, Write::Accumulate);
        }
    }
}

/// Adds scale · B A to the rows of a part (in the model's layout).
pub(crate) fn merge_into(parameters: &Parameters, linear: &Linear, part: &Part, rows: &mut [f32]) {
    for adapter in linear.adapters.iter().filter(|a| a.part.module == part.module) {
        let (rank, n_in) = (adapter.rank, linear.n_in);
        let a = &parameters.flat[adapter.a..][..rank * n_in];
        let b = &parameters.flat[adapter.b..][..part.n_rows * rank];
        for (row, b) in rows.chunks_mut(n_in).zip(b.chunks(rank)) {
            for (b, a) in b.iter().zip(a.chunks(n_in)) {
                row.iter_mut().zip(a).for_each(|(w, a)| *w += adapter.scale * b * a);
            }
        }
    }
}
