//! Two heads over one vocabulary: what a critic's values come to under a policy, row by row.
//!
//! With z = h·Wᵀ/temperature, p = softmax(z) and Q the values ([`super::values`]): E = Σ_a p_a·Q_a.
//! dE/dz_a = p_a·(Q_a − E);  dE/dQ_a = p_a. Beside it the numbers of the plain head, so that a loss of all of them needs
//! one pass.
//!
//! Logits and values of a chunk of rows are in memory, one buffer each, and are turned into their own gradients in place.
use super::values::{Gradient, Values};
use super::{BLOCK, Head, Softmax};
use crate::Device;
use crate::cpu::buffer::Buffer;
use crate::pool::SharedMut;
use crate::vector::{Lanes, per_isa};
use std::cell::RefCell;

/// The numbers of every row, to be filled.
pub struct Numbers<'a> {
    /// Log-probability of the target, nats.
    pub log_probs_R: &'a mut [f32],
    /// Entropy of the policy, nats.
    pub entropies_R: &'a mut [f32],
    /// Expected value under the policy.
    pub expected_R: &'a mut [f32],
}

/// dL/d(each number of a row).
#[derive(Clone, Copy)]
pub struct Slopes<'a> {
    /// By the log-probability of the target.
    pub d_log_probs_R: &'a [f32],
    /// By the entropy.
    pub d_entropies_R: &'a [f32],
    /// By the expected value.
    pub d_expected_R: &'a [f32],
}

/// Gradients of both heads; one that isn't wanted costs nothing.
pub struct Gradients<'a> {
    /// Of the policy's.
    pub policy: Option<Gradient<'a>>,
    /// Of the critic's.
    pub values: Option<Gradient<'a>>,
}

thread_local! {
    /// Logits and values of a chunk, kept between calls.
    static CHUNKS: RefCell<[Buffer<f32>; 2]> = RefCell::new([Buffer::zeroed(0), Buffer::zeroed(0)]);
}

/// Fills the numbers.
pub fn forward(device: &Device, head: Head, values: Values, numbers: Numbers) {
    let chunk_rows = check(&head, &values, &numbers);
    run(device, head, values, None, numbers, chunk_rows);
}

/// The same, and from the slopes of those numbers the gradients. As with the plain head, packed weights meet gradients
/// rounded to bf16.
pub fn backward(device: &Device, head: Head, values: Values, slopes: Slopes, gradients: Gradients, numbers: Numbers) {
    let chunk_rows = check(&head, &values, &numbers);
    let n_rows = head.targets_R.len();
    let lengths = [slopes.d_log_probs_R.len(), slopes.d_entropies_R.len(), slopes.d_expected_R.len()];
    assert_eq!(lengths, [n_rows; 3], "slopes");
    for (gradient, side) in [(&gradients.policy, of_policy(&head)), (&gradients.values, values)] {
        gradient.iter().for_each(|gradient| gradient.check(side));
    }
    run(device, head, values, Some((slopes, gradients)), numbers, chunk_rows);
}

fn check(head: &Head, values: &Values, numbers: &Numbers) -> usize {
    let n_rows = head.targets_R.len();
    assert_eq!((values.n_rows(), numbers.expected_R.len()), (n_rows, n_rows), "rows");
    assert_eq!(values.weight_VD.n_out(), head.weight_VD.n_out(), "vocabularies");
    head.check(numbers.log_probs_R, Some(numbers.entropies_R))
}

/// The policy's side: logits are values of another kind.
fn of_policy<'a>(head: &Head<'a>) -> Values<'a> {
    Values { hidden_RD: head.hidden_RD, weight_VD: head.weight_VD }
}

pub(super) fn run(
    device: &Device,
    head: Head,
    values: Values,
    mut backward: Option<(Slopes, Gradients)>,
    numbers: Numbers,
    chunk_rows: usize,
) {
    let (n_rows, n_vocabulary) = (head.targets_R.len(), head.weight_VD.n_out());
    let Numbers { log_probs_R, entropies_R, expected_R } = numbers;
    let out = [SharedMut::new(log_probs_R), SharedMut::new(entropies_R), SharedMut::new(expected_R)];
    let (policy, inverse_temperature) = (of_policy(&head), 1.0 / head.temperature);
    CHUNKS.with_borrow_mut(|[logits, q]| {
        for start in (0..n_rows).step_by(chunk_rows) {
            let rows = start..n_rows.min(start + chunk_rows);
            let logits_RV = policy.compute(device, rows.clone(), logits);
            let values_RV = values.compute(device, rows.clone(), q);
            let slopes = backward.as_ref().map(|(slopes, _)| *slopes);
            let (shared_logits, shared_values) = (SharedMut::new(&mut *logits_RV), SharedMut::new(&mut *values_RV));
            device.pool.split(rows.len(), 1, |_, part| {
                for i in part {
                    let row = rows.start + i;
                    let (here, target) = (i * n_vocabulary..(i + 1) * n_vocabulary, head.targets_R[row] as usize);
                    // SAFETY: a row is one worker's.
                    let (logits, q) = unsafe { (shared_logits.range(here.clone()), shared_values.range(here)) };
                    let softmax = Softmax::of(device.isa, logits, inverse_temperature);
                    let expected = expectation(device.isa, softmax, logits, q) as f32;
                    let said = [softmax.log_prob(logits[target]), softmax.entropy, expected];
                    // SAFETY: as above.
                    out.iter().zip(said).for_each(|(out, said)| unsafe { out.range(row..row + 1)[0] = said });
                    if let Some(slopes) = slopes {
                        let slopes = [slopes.d_log_probs_R[row], slopes.d_entropies_R[row], slopes.d_expected_R[row]];
                        gradient_rows(device.isa, softmax, expected, slopes, logits, q);
                        logits[target] += slopes[0] * inverse_temperature;
                    }
                }
            });
            if let Some((_, gradients)) = &mut backward {
                if let Some(gradient) = &mut gradients.policy {
                    policy.carry(device, rows.clone(), logits_RV, gradient);
                }
                if let Some(gradient) = &mut gradients.values {
                    values.carry(device, rows, values_RV, gradient);
                }
            }
        }
    });
}

per_isa! {
    /// Σ p·Q.
    fn expectation(softmax: Softmax, logits: &[f32], values: &[f32]) -> f64 = expectation_body;
}

#[inline(always)]
fn expectation_body<V: Lanes>(softmax: Softmax, logits: &[f32], values: &[f32]) -> f64 {
    let Softmax { inverse_temperature, largest, log_sum, .. } = softmax;
    let mut total = 0.0;
    for (logits, values) in logits.chunks(BLOCK).zip(values.chunks(BLOCK)) {
        let whole = logits.len() / V::WIDTH * V::WIDTH;
        let mut sums = V::zero();
        for start in (0..whole).step_by(V::WIDTH) {
            let d = V::load(&logits[start..]) - V::splat(largest);
            let p = d.mul_add(V::splat(inverse_temperature), V::splat(-log_sum)).exp();
            sums = p.mul_add(V::load(&values[start..]), sums);
        }
        total += f64::from(sums.sum());
        for (z, q) in logits[whole..].iter().zip(&values[whole..]) {
            total += f64::from(softmax.log_prob(*z)).exp() * f64::from(*q);
        }
    }
    total
}

per_isa! {
    /// Turns each logit into dL/d(logit) but for the target's own part, and each value into dL/d(value).
    fn gradient_rows(softmax: Softmax, expected: f32, slopes: [f32; 3], logits: &mut [f32], values: &mut [f32]) = gradient_rows_body;
}

#[inline(always)]
fn gradient_rows_body<V: Lanes>(
    softmax: Softmax,
    expected: f32,
    [d_log_prob, d_entropy, d_expected]: [f32; 3],
    logits: &mut [f32],
    values: &mut [f32],
) {
    let factor = softmax.inverse_temperature;
    let (largest, log_sum) = (V::splat(softmax.largest), V::splat(softmax.log_sum));
    let slope = V::splat(-d_entropy * factor);
    let constant = V::splat(-(d_log_prob + d_entropy * softmax.entropy + d_expected * expected) * factor);
    let by_value = V::splat(d_expected * factor);
    for (logits, values) in logits.chunks_mut(V::WIDTH).zip(values.chunks_mut(V::WIDTH)) {
        let log_p = (V::load_up_to(logits) - largest).mul_add(V::splat(factor), V::zero() - log_sum);
        let p = log_p.exp();
        // A probability of 0 times a logarithm of −∞ is 0 here.
        let log_p = log_p.max(V::splat(f32::MIN));
        let q = V::load_up_to(values);
        (p * slope.mul_add(log_p, by_value.mul_add(q, constant))).store_up_to(logits);
        (p * V::splat(d_expected)).store_up_to(values);
    }
}

#[cfg(test)]
mod tests;
