//! A head whose outputs are values of the next token, not logits: a critic of every token.
//!
//! With Q = h·Wᵀ: the value of a target, and the spread of a row, Σ_a (Q_a − mean_b Q_b)².
//! d(spread)/dQ_a = 2·(Q_a − mean): the mean's own derivative drops out, since Σ_a (Q_a − mean) = 0.
//!
//! Like the head of logits it works in chunks of rows; the values of all rows are never in memory together.
use super::{carry, logits};
use crate::Device;
use crate::cpu::buffer::Buffer;
use crate::linear::Matrix;
use crate::pool::SharedMut;
use crate::vector::{Lanes, per_isa};
use std::cell::RefCell;
use std::ops::Range;

/// Hidden states and output embedding of a critic.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    /// Hidden states after the final norm, one row a state, `[R, D]`.
    pub hidden_RD: &'a [f32],
    /// The output embedding, `[V, D]`.
    pub weight_VD: Matrix<'a>,
}

/// Where the gradient of one head goes.
pub struct Gradient<'a> {
    /// dL/d(hidden states), `[R, D]`; overwritten.
    pub d_hidden_RD: &'a mut [f32],
    /// dL/d(output embedding), `[V, D]`; added to.
    pub d_weight_VD: Option<&'a mut [f32]>,
}

/// dL/d(each number of a row).
#[derive(Clone, Copy)]
pub struct Slopes<'a> {
    /// By the target's value.
    pub d_chosen_R: &'a [f32],
    /// By the spread.
    pub d_spread_R: &'a [f32],
}

thread_local! {
    /// The values of a chunk, kept between calls.
    static VALUES: RefCell<Buffer<f32>> = RefCell::new(Buffer::zeroed(0));
}

/// Fills `chosen_R`, the value of each row's target, and `spread_R`.
pub fn forward(device: &Device, values: Values, targets_R: &[u32], chosen_R: &mut [f32], spread_R: &mut [f32]) {
    run(device, values, targets_R, None, chosen_R, spread_R, values.chunk_rows());
}

/// The same, and from the slopes of those numbers the gradient.
pub fn backward(
    device: &Device,
    values: Values,
    targets_R: &[u32],
    slopes: Slopes,
    gradient: Gradient,
    chosen_R: &mut [f32],
    spread_R: &mut [f32],
) {
    let n_rows = targets_R.len();
    assert_eq!((slopes.d_chosen_R.len(), slopes.d_spread_R.len()), (n_rows, n_rows), "slopes");
    gradient.check(values);
    run(device, values, targets_R, Some((slopes, gradient)), chosen_R, spread_R, values.chunk_rows());
}

impl Values<'_> {
    /// States.
    pub(super) fn n_rows(&self) -> usize {
        self.hidden_RD.len() / self.weight_VD.n_in()
    }

    /// About equal chunks, as the head of logits has them.
    pub(super) fn chunk_rows(&self) -> usize {
        super::chunk_rows(self.n_rows(), self.weight_VD.n_out())
    }

    fn rows(&self, rows: Range<usize>) -> &[f32] {
        &self.hidden_RD[rows.start * self.weight_VD.n_in()..rows.end * self.weight_VD.n_in()]
    }

    /// The values of some rows, into the front of a buffer.
    pub(super) fn compute<'b>(
        &self,
        device: &Device,
        rows: Range<usize>,
        buffer: &'b mut Buffer<f32>,
    ) -> &'b mut [f32] {
        let length = rows.len() * self.weight_VD.n_out();
        if buffer.len() < length {
            *buffer = Buffer::zeroed(0);
            *buffer = Buffer::zeroed(length);
        }
        let out = &mut buffer[..length];
        logits(device, self.rows(rows), self.weight_VD, out);
        out
    }

    /// From dL/d(values) of some rows to where the gradient goes.
    pub(super) fn carry(&self, device: &Device, rows: Range<usize>, d_values: &[f32], gradient: &mut Gradient) {
        let width = self.weight_VD.n_in();
        let d_hidden = &mut gradient.d_hidden_RD[rows.start * width..rows.end * width];
        carry(device, d_values, self.rows(rows), self.weight_VD, d_hidden, gradient.d_weight_VD.as_deref_mut());
    }
}

impl Gradient<'_> {
    /// Panics if lengths disagree.
    pub(super) fn check(&self, values: Values) {
        assert_eq!(self.d_hidden_RD.len(), values.hidden_RD.len(), "gradient of hidden states");
        if let Some(d_weight) = &self.d_weight_VD {
            assert_eq!(d_weight.len(), values.weight_VD.n_out() * values.weight_VD.n_in(), "gradient of the weights");
        }
    }
}

pub(super) fn run(
    device: &Device,
    values: Values,
    targets_R: &[u32],
    mut backward: Option<(Slopes, Gradient)>,
    chosen_R: &mut [f32],
    spread_R: &mut [f32],
    chunk_rows: usize,
) {
    let (n_rows, n_vocabulary) = (targets_R.len(), values.weight_VD.n_out());
    assert_eq!((values.n_rows(), chosen_R.len(), spread_R.len()), (n_rows, n_rows, n_rows), "rows");
    if let Some(target) = targets_R.iter().find(|&&target| target as usize >= n_vocabulary) {
        panic!("target {target} in a vocabulary of {n_vocabulary}");
    }
    let (chosen, spread) = (SharedMut::new(chosen_R), SharedMut::new(spread_R));
    VALUES.with_borrow_mut(|buffer| {
        for start in (0..n_rows).step_by(chunk_rows) {
            let rows = start..n_rows.min(start + chunk_rows);
            let values_RV = values.compute(device, rows.clone(), buffer);
            let slopes = backward.as_ref().map(|(slopes, _)| *slopes);
            let shared = SharedMut::new(&mut *values_RV);
            device.pool.split(rows.len(), 1, |_, part| {
                for i in part {
                    let (row, target) = (rows.start + i, targets_R[rows.start + i] as usize);
                    // SAFETY: a row is one worker's.
                    let q = unsafe { shared.range(i * n_vocabulary..(i + 1) * n_vocabulary) };
                    let [mean, row_spread] = moments(device.isa, q);
                    // SAFETY: as above.
                    unsafe {
                        chosen.range(row..row + 1)[0] = q[target];
                        spread.range(row..row + 1)[0] = row_spread as f32;
                    }
                    if let Some(slopes) = slopes {
                        deviations(device.isa, mean as f32, 2.0 * slopes.d_spread_R[row], q);
                        q[target] += slopes.d_chosen_R[row];
                    }
                }
            });
            if let Some((_, gradient)) = &mut backward {
                values.carry(device, rows, values_RV, gradient);
            }
        }
    });
}

/// Elements whose f32 sum is taken before it is added in f64.
const BLOCK: usize = 1024;

per_isa! {
    /// The mean of a row and the sum of squared distances from it.
    fn moments(row: &[f32]) -> [f64; 2] = moments_body;
}

#[inline(always)]
fn moments_body<V: Lanes>(row: &[f32]) -> [f64; 2] {
    // Distances from the row's first value, so that a common height costs no precision.
    let origin = row.first().copied().unwrap_or(0.0);
    let (mut total, mut squares) = (0.0f64, 0.0f64);
    for block in row.chunks(BLOCK) {
        let whole = block.len() / V::WIDTH * V::WIDTH;
        let (mut sums, mut squared) = (V::zero(), V::zero());
        for start in (0..whole).step_by(V::WIDTH) {
            let d = V::load(&block[start..]) - V::splat(origin);
            sums = sums + d;
            squared = d.mul_add(d, squared);
        }
        total += f64::from(sums.sum());
        squares += f64::from(squared.sum());
        for &x in &block[whole..] {
            let d = f64::from(x - origin);
            total += d;
            squares += d * d;
        }
    }
    let n = row.len() as f64;
    let mean = total / n;
    [f64::from(origin) + mean, (squares - n * mean * mean).max(0.0)]
}

per_isa! {
    /// x ← factor·(x − mean).
    fn deviations(mean: f32, factor: f32, row: &mut [f32]) = deviations_body;
}

#[inline(always)]
fn deviations_body<V: Lanes>(mean: f32, factor: f32, row: &mut [f32]) {
    let (mean, factor) = (V::splat(mean), V::splat(factor));
    for chunk in row.chunks_mut(V::WIDTH) {
        ((V::load_up_to(chunk) - mean) * factor).store_up_to(chunk);
    }
}

#[cfg(test)]
mod tests;
