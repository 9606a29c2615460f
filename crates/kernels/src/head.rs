//! The fused LM head: log-probability of a target, entropy, and their gradients, in chunks of rows;
//! the logits of all rows are never in memory together.
//!
//! With z = h·Wᵀ / temperature: log p = z_target − logsumexp(z); entropy = logsumexp(z) − Σ p·z (nats).
//! d(log p)/dz = onehot − p;  d(entropy)/dz_i = −p_i (log p_i + entropy).
//!
//! A chunk's logits go to one buffer of at most `CHUNK_ELEMENTS` elements (or 16 rows) that the calling thread
//! keeps, and are turned into their own gradients in place. Computing them a second time instead, in tiles that never
//! leave the cache, would cost a third product of the same size beside the two or three that there are.
use crate::cpu::buffer::Buffer;
use crate::linear::{self, Matrix, Precision, Write};
use crate::pool::SharedMut;
use crate::vector::{Lanes, per_isa};
use crate::{Device, Isa};
use std::cell::RefCell;
use std::ops::Range;

pub mod expectation;
#[cfg(test)]
mod tests;
pub mod values;

/// What a head call works on.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// Hidden states after the final norm, one row a target, `[R, D]`.
    pub hidden_RD: &'a [f32],
    /// The output embedding, `[V, D]`.
    pub weight_VD: Matrix<'a>,
    /// Target token of each row.
    pub targets_R: &'a [u32],
    /// Divides the logits.
    pub temperature: f32,
}

/// Fills `log_probs_R`, and `entropies_R` when given.
pub fn forward(device: &Device, head: Head, log_probs_R: &mut [f32], entropies_R: Option<&mut [f32]>) {
    let chunk = head.check(log_probs_R, entropies_R.as_deref());
    run(device, head, chunk, None, Results::new(log_probs_R, entropies_R));
}

/// Given dL/d(log p) and, when given, dL/d(entropy): overwrites `d_hidden_RD` and adds to `d_weight_VD`.
/// Also returns the log-probs (and entropies) through `log_probs_R`, `entropies_R`, which it computes on the way: a
/// loss that is linear in the log-probs (cross-entropy) needs no separate forward.
///
/// With packed weights the gradient of the logits is rounded to bf16 before it meets weights and hidden states.
pub fn backward(
    device: &Device,
    head: Head,
    d_log_probs_R: &[f32],
    d_entropies_R: Option<&[f32]>,
    d_hidden_RD: &mut [f32],
    d_weight_VD: Option<&mut [f32]>,
    log_probs_R: &mut [f32],
    entropies_R: Option<&mut [f32]>,
) {
    let chunk = head.check(log_probs_R, entropies_R.as_deref());
    let gradients = Gradients { d_log_probs_R, d_entropies_R, d_hidden_RD, d_weight_VD };
    gradients.check(&head);
    run(device, head, chunk, Some(gradients), Results::new(log_probs_R, entropies_R));
}

/// The logits themselves, before any temperature: out `[R, V]` = hidden · Wᵀ.
pub fn logits(device: &Device, hidden_RD: &[f32], weight_VD: Matrix, out_RV: &mut [f32]) {
    let (n_vocabulary, width) = (weight_VD.n_out(), weight_VD.n_in());
    let n_rows = hidden_RD.len() / width;
    assert_eq!(out_RV.len(), n_rows * n_vocabulary, "logits of {n_rows} rows");
    linear::forward(device, hidden_RD, width, weight_VD, out_RV, n_vocabulary, n_rows, Write::Overwrite);
}

/// Most elements of a chunk's logits: 64 MiB.
const CHUNK_ELEMENTS: usize = 16 << 20;
/// Fewest rows of a chunk, however large the vocabulary.
const CHUNK_ROWS_LEAST: usize = 16;

/// Rows of a chunk: about equal chunks, since a last one of few rows would read all the weights for little.
fn chunk_rows(n_rows: usize, n_vocabulary: usize) -> usize {
    let most = (CHUNK_ELEMENTS / n_vocabulary.max(1)).max(CHUNK_ROWS_LEAST);
    n_rows.div_ceil(n_rows.div_ceil(most).max(1)).max(1)
}

/// Bytes of the buffer that a head call over `n_rows` rows keeps for a chunk's logits.
pub fn chunk_bytes(n_rows: usize, n_vocabulary: usize) -> u64 {
    (4 * chunk_rows(n_rows, n_vocabulary).min(n_rows) * n_vocabulary) as u64
}

impl Head<'_> {
    /// Panics if lengths disagree or a target is not in the vocabulary; the rows of a chunk.
    fn check(&self, log_probs_R: &[f32], entropies_R: Option<&[f32]>) -> usize {
        let (n_rows, n_vocabulary) = (self.targets_R.len(), self.weight_VD.n_out());
        assert_eq!(self.hidden_RD.len(), n_rows * self.weight_VD.n_in(), "elements of hidden states of {n_rows} rows");
        assert_eq!(log_probs_R.len(), n_rows, "log-probs");
        assert_eq!(entropies_R.map_or(n_rows, <[f32]>::len), n_rows, "entropies");
        assert!(self.temperature > 0.0, "temperature {}", self.temperature);
        if let Some(target) = self.targets_R.iter().find(|&&target| target as usize >= n_vocabulary) {
            panic!("target {target} in a vocabulary of {n_vocabulary}");
        }
        chunk_rows(n_rows, n_vocabulary)
    }
}

/// Where the values go.
struct Results<'a> {
    log_probs_R: SharedMut<'a, f32>,
    entropies_R: Option<SharedMut<'a, f32>>,
}

impl<'a> Results<'a> {
    fn new(log_probs_R: &'a mut [f32], entropies_R: Option<&'a mut [f32]>) -> Results<'a> {
        Results { log_probs_R: SharedMut::new(log_probs_R), entropies_R: entropies_R.map(SharedMut::new) }
    }

    /// # Safety
    /// Each row is put by one worker.
    unsafe fn put(&self, row: usize, log_prob: f32, entropy: f32) {
        // SAFETY: by this function's contract.
        unsafe {
            self.log_probs_R.range(row..row + 1)[0] = log_prob;
            if let Some(entropies) = self.entropies_R {
                entropies.range(row..row + 1)[0] = entropy;
            }
        }
    }
}

/// Where gradients come from and go.
struct Gradients<'a> {
    d_log_probs_R: &'a [f32],
    d_entropies_R: Option<&'a [f32]>,
    d_hidden_RD: &'a mut [f32],
    d_weight_VD: Option<&'a mut [f32]>,
}

impl Gradients<'_> {
    fn check(&self, head: &Head) {
        let n_rows = head.targets_R.len();
        assert_eq!(self.d_log_probs_R.len(), n_rows, "gradients of log-probs");
        assert_eq!(self.d_entropies_R.map_or(n_rows, <[f32]>::len), n_rows, "gradients of entropies");
        assert_eq!(self.d_hidden_RD.len(), head.hidden_RD.len(), "gradient of hidden states");
        if let Some(d_weight) = &self.d_weight_VD {
            assert_eq!(d_weight.len(), head.weight_VD.n_out() * head.weight_VD.n_in(), "gradient of the weights");
        }
    }
}

thread_local! {
    /// Kept between calls: touching new memory costs more than the products it would be used for.
    static LOGITS: RefCell<Buffer<f32>> = RefCell::new(Buffer::zeroed(0));
}

fn run(device: &Device, head: Head, chunk_rows: usize, mut gradients: Option<Gradients>, results: Results) {
    let n_rows = head.targets_R.len();
    LOGITS.with_borrow_mut(|logits| {
        let needed = chunk_rows.min(n_rows) * head.weight_VD.n_out();
        if logits.len() < needed {
            *logits = Buffer::zeroed(0);
            *logits = Buffer::zeroed(needed);
        }
        for start in (0..n_rows).step_by(chunk_rows) {
            let rows = start..n_rows.min(start + chunk_rows);
            run_chunk(device, &head, rows, gradients.as_mut(), &results, logits);
        }
    });
}

fn run_chunk(
    device: &Device,
    head: &Head,
    rows: Range<usize>,
    gradients: Option<&mut Gradients>,
    results: &Results,
    logits: &mut [f32],
) {
    let (n_vocabulary, width, n_rows) = (head.weight_VD.n_out(), head.weight_VD.n_in(), rows.len());
    let logits_RV = &mut logits[..n_rows * n_vocabulary];
    let here = rows.start * width..rows.end * width;
    let hidden = &head.hidden_RD[here.clone()];
    self::logits(device, hidden, head.weight_VD, logits_RV);

    let inverse_temperature = 1.0 / head.temperature;
    let slopes = gradients.as_ref().map(|g| (g.d_log_probs_R, g.d_entropies_R));
    let shared = SharedMut::new(&mut *logits_RV);
    device.pool.split(n_rows, 1, |_, part| {
        for i in part {
            let row = rows.start + i;
            // SAFETY: a row is one worker's.
            let logits = unsafe { shared.range(i * n_vocabulary..(i + 1) * n_vocabulary) };
            let softmax = Softmax::of(device.isa, logits, inverse_temperature);
            let target = head.targets_R[row] as usize;
            let log_prob = softmax.log_prob(logits[target]);
            // SAFETY: as above.
            unsafe { results.put(row, log_prob, softmax.entropy) };
            if let Some((d_log_probs, d_entropies)) = slopes {
                let d_entropy = d_entropies.map_or(0.0, |d| d[row]);
                softmax.gradient(device, logits, target, d_log_probs[row], d_entropy);
            }
        }
    });

    let Some(gradients) = gradients else { return };
    let d_hidden = &mut gradients.d_hidden_RD[here];
    carry(device, logits_RV, hidden, head.weight_VD, d_hidden, gradients.d_weight_VD.as_deref_mut());
}

/// From dL/d(logits) of some rows to their hidden states (overwritten) and the weights (added to).
fn carry(
    device: &Device,
    d_logits_RV: &[f32],
    hidden_RD: &[f32],
    weight_VD: Matrix,
    d_hidden_RD: &mut [f32],
    d_weight_VD: Option<&mut [f32]>,
) {
    let (n_vocabulary, width) = (weight_VD.n_out(), weight_VD.n_in());
    let n_rows = hidden_RD.len() / width;
    linear::backward_input(device, d_logits_RV, n_vocabulary, weight_VD, d_hidden_RD, width, n_rows, Write::Overwrite);
    if let Some(d_weight) = d_weight_VD {
        let precision = match weight_VD {
            Matrix::F32 { .. } => Precision::F32,
            Matrix::Bf16(_) | Matrix::Q8(_) => Precision::Bf16,
        };
        linear::backward_weight(
            device,
            d_logits_RV,
            n_vocabulary,
            hidden_RD,
            width,
            d_weight,
            n_vocabulary,
            width,
            n_rows,
            precision,
            Write::Accumulate,
        );
    }
}

/// What one row's logits come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Softmax {
    inverse_temperature: f32,
    /// The largest logit, before temperature.
    largest: f32,
    /// ln Σ exp(z − z_largest).
    pub(crate) log_sum: f32,
    /// In nats.
    entropy: f32,
}

impl Softmax {
    pub(crate) fn of(isa: Isa, logits: &[f32], inverse_temperature: f32) -> Softmax {
        let [largest, sum, weighted] = totals(isa, logits, inverse_temperature);
        let log_sum = sum.ln();
        Softmax {
            inverse_temperature,
            largest: largest as f32,
            log_sum: log_sum as f32,
            entropy: (log_sum - weighted / sum) as f32,
        }
    }

    pub(crate) fn log_prob(&self, logit: f32) -> f32 {
        (logit - self.largest) * self.inverse_temperature - self.log_sum
    }

    /// Turns the logits into dL/d(logit).
    fn gradient(&self, device: &Device, logits: &mut [f32], target: usize, d_log_prob: f32, d_entropy: f32) {
        if d_log_prob == 0.0 && d_entropy == 0.0 {
            return logits.fill(0.0);
        }
        gradient_row(device.isa, *self, d_log_prob, d_entropy, logits);
        logits[target] += d_log_prob * self.inverse_temperature;
    }
}

/// Elements that are looked at twice while they are in the first-level cache.
const BLOCK: usize = 1024;

per_isa! {
    /// The largest logit m, Σ e^d and Σ e^d·d, with d = (logit − m)/temperature, in one pass over memory.
    fn totals(logits: &[f32], inverse_temperature: f32) -> [f64; 3] = totals_body;
}

#[inline(always)]
fn totals_body<V: Lanes>(logits: &[f32], inverse_temperature: f32) -> [f64; 3] {
    let (mut largest, mut sum, mut weighted) = (f32::NEG_INFINITY, 0.0f64, 0.0f64);
    for block in logits.chunks(BLOCK) {
        let here = block_largest::<V>(block);
        if here > largest {
            // e^(z − new) = e^(z − old)·e^(old − new), and d falls by new − old.
            let fall = ((here - largest) * inverse_temperature) as f64;
            if largest > f32::NEG_INFINITY {
                let factor = (-fall).exp();
                weighted = (weighted - fall * sum) * factor;
                sum *= factor;
            }
            largest = here;
        }
        let (block_sum, block_weighted) = block_totals::<V>(block, largest, inverse_temperature);
        sum += block_sum;
        weighted += block_weighted;
    }
    [largest as f64, sum, weighted]
}

#[inline(always)]
pub(crate) fn block_largest<V: Lanes>(block: &[f32]) -> f32 {
    let mut largest = [V::splat(f32::NEG_INFINITY); 4];
    let whole = block.len() / (4 * V::WIDTH) * (4 * V::WIDTH);
    for start in (0..whole).step_by(4 * V::WIDTH) {
        for i in 0..4 {
            largest[i] = largest[i].max(V::load(&block[start + i * V::WIDTH..]));
        }
    }
    let mut result = largest[0].max(largest[1]).max(largest[2].max(largest[3])).maximum();
    for &x in &block[whole..] {
        result = result.max(x);
    }
    result
}

/// Σ e^d and Σ e^d·d of a block.
#[inline(always)]
fn block_totals<V: Lanes>(block: &[f32], largest: f32, inverse_temperature: f32) -> (f64, f64) {
    let (factor, offset) = (V::splat(inverse_temperature), V::splat(largest));
    let mut sums = [V::zero(); 2];
    let mut weighted = [V::zero(); 2];
    let whole = block.len() / (2 * V::WIDTH) * (2 * V::WIDTH);
    for start in (0..whole).step_by(2 * V::WIDTH) {
        for i in 0..2 {
            let d = (V::load(&block[start + i * V::WIDTH..]) - offset) * factor;
            let e = d.exp();
            sums[i] = sums[i] + e;
            weighted[i] = e.mul_add(d, weighted[i]);
        }
    }
    let mut sum = (sums[0] + sums[1]).sum() as f64;
    let mut total = (weighted[0] + weighted[1]).sum() as f64;
    for &x in &block[whole..] {
        let d = (x - largest) * inverse_temperature;
        let e = d.exp();
        sum += e as f64;
        total += (e * d) as f64;
    }
    (sum, total)
}

per_isa! {
    /// Turns each logit into −p·(d_log_prob + d_entropy·(log p + entropy))/temperature: dL/d(logit) but for the target.
    fn gradient_row(softmax: Softmax, d_log_prob: f32, d_entropy: f32, logits: &mut [f32]) = gradient_row_body;
}

#[inline(always)]
fn gradient_row_body<V: Lanes>(softmax: Softmax, d_log_prob: f32, d_entropy: f32, logits: &mut [f32]) {
    let factor = V::splat(softmax.inverse_temperature);
    let (largest, log_sum) = (V::splat(softmax.largest), V::splat(softmax.log_sum));
    let slope = V::splat(-d_entropy * softmax.inverse_temperature);
    let constant = V::splat(-(d_log_prob + d_entropy * softmax.entropy) * softmax.inverse_temperature);
    let zero = V::zero();
    let width = V::WIDTH;
    for chunk in logits.chunks_mut(width) {
        let log_p = (V::load_up_to(chunk) - largest).mul_add(factor, zero - log_sum);
        let p = log_p.exp();
        // A probability of 0 times a logarithm of −∞ is 0 here.
        let log_p = log_p.max(V::splat(f32::MIN));
        (p * slope.mul_add(log_p, constant)).store_up_to(chunk);
    }
}
