//! Choosing a token by its logits: the likeliest, or one drawn from their softmax.
//!
//! One row, on the calling thread: whoever has several gives each a worker. Log-probabilities are summed as those of
//! [`crate::head`], so that equal logits have equal ones here and there.
use crate::Isa;
use crate::head::{Softmax, block_largest};
use crate::vector::{Lanes, per_isa};

/// Elements that are looked at together before they are looked at one by one.
const BLOCK: usize = 1024;

/// The largest logit's index, the lowest among equals; 0 where none is larger than any.
pub fn likeliest(isa: Isa, logits: &[f32]) -> usize {
    let (largest, start) = largest(isa, logits);
    start + logits[start..].iter().position(|z| *z == largest).unwrap_or(0)
}

/// log softmax(logits / temperature) at `token`, nats.
pub fn log_prob(isa: Isa, logits: &[f32], token: usize, temperature: f32) -> f32 {
    Softmax::of(isa, logits, 1.0 / temperature).log_prob(logits[token])
}

/// ln Σ e^((z − the largest z) / temperature): minus the likeliest token's log-probability.
pub fn log_sum(isa: Isa, logits: &[f32], temperature: f32) -> f32 {
    Softmax::of(isa, logits, 1.0 / temperature).log_sum
}

/// The token at which the cumulative distribution of softmax(logits / temperature), in the tokens' order, passes
/// `uniform`, a number in [0, 1). A token whose weight is 0 (87 nats below the likeliest) is never drawn.
pub fn draw(isa: Isa, logits: &[f32], temperature: f32, uniform: f64) -> usize {
    let ((largest, _), inverse) = (largest(isa, logits), 1.0 / temperature);
    let mut weights = [0.0; BLOCK];
    let sums: Vec<f64> = logits
        .chunks(BLOCK)
        .map(|block| f64::from(weigh(isa, block, largest, inverse, &mut weights[..block.len()])))
        .collect();
    let mut left = uniform * sums.iter().sum::<f64>();
    let passed = sums.iter().position(|sum| {
        let here = left < *sum;
        left -= if here { 0.0 } else { *sum };
        here
    });
    // Rounding may leave a crumb behind the last token: then it is the last that has any weight.
    let block = passed.unwrap_or_else(|| {
        left = f64::INFINITY;
        sums.iter().rposition(|sum| *sum > 0.0).unwrap_or(0)
    });
    let start = block * BLOCK;
    let end = logits.len().min(start + BLOCK);
    weigh(isa, &logits[start..end], largest, inverse, &mut weights[..end - start]);
    let mut last = start;
    for (token, weight) in (start..end).zip(weights).filter(|(_, weight)| *weight > 0.0) {
        last = token;
        if left < f64::from(weight) {
            break;
        }
        left -= f64::from(weight);
    }
    last
}

per_isa! {
    /// The largest logit and the start of the first block that has it.
    fn largest(logits: &[f32]) -> (f32, usize) = largest_body;
}
#[inline(always)]
fn largest_body<V: Lanes>(logits: &[f32]) -> (f32, usize) {
    let (mut largest, mut start) = (f32::NEG_INFINITY, 0);
    for (idx, block) in logits.chunks(BLOCK).enumerate() {
        let here = block_largest::<V>(block);
        if here > largest {
            (largest, start) = (here, idx * BLOCK);
        }
    }
    (largest, start)
}

per_isa! {
    /// Weight i = e^((logit i − largest)·inverse temperature); returns their sum.
    fn weigh(logits: &[f32], largest: f32, inverse_temperature: f32, weights: &mut [f32]) -> f32 = weigh_body;
}
#[inline(always)]
fn weigh_body<V: Lanes>(logits: &[f32], largest: f32, inverse_temperature: f32, weights: &mut [f32]) -> f32 {
    let (offset, factor) = (V::splat(largest), V::splat(inverse_temperature));
    let mut sum = V::zero();
    let whole = logits.len() / V::WIDTH * V::WIDTH;
    for start in (0..whole).step_by(V::WIDTH) {
        let weight = ((V::load(&logits[start..]) - offset) * factor).exp();
        weight.store(&mut weights[start..]);
        sum = sum + weight;
    }
    let mut sum = sum.sum();
    for (weight, logit) in weights[whole..].iter_mut().zip(&logits[whole..]) {
        *weight = ((logit - largest) * inverse_temperature).exp();
        sum += *weight;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twin::{noise, wide};
    use proptest::prelude::*;

    fn isas() -> impl Iterator<Item = Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.is_available())
    }

    /// Logits of a length that is no multiple of anything, some of them equal.
    fn logits(seed: u64, length: usize) -> Vec<f32> {
        noise(seed, length).into_iter().map(|x| (40.0 * x).round() / 8.0).collect()
    }

    #[test]
    fn the_likeliest_is_the_first_of_the_largest() {
        for isa in isas() {
            for length in [1, 15, 1023, 1024, 1025, 5000] {
                let mut logits = logits(length as u64, length);
                let largest = logits.iter().copied().fold(f32::MIN, f32::max);
                let first = logits.iter().position(|z| *z == largest);
                assert_eq!(Some(likeliest(isa, &logits)), first, "{isa:?}, {length}");
                logits[length - 1] = 9.0;
                assert_eq!(likeliest(isa, &logits), length - 1, "{isa:?}, {length}");
            }
            assert_eq!(likeliest(isa, &[f32::NEG_INFINITY; 40]), 0);
            let mut one = [f32::NEG_INFINITY; 3000];
            one[2100] = -50.0;
            assert_eq!((likeliest(isa, &one), draw(isa, &one, 1.0, 0.999)), (2100, 2100));
        }
    }

    #[test]
    fn log_probs_match_their_twin() {
        for isa in isas() {
            for (length, temperature) in [(1, 1.0), (77, 0.7), (5000, 1.3)] {
                let logits = logits(3, length);
                let scaled: Vec<f64> = wide(&logits).iter().map(|z| z / f64::from(temperature)).collect();
                let sum: f64 = scaled.iter().map(|z| z.exp()).sum();
                let best = scaled.iter().copied().fold(f64::MIN, f64::max);
                assert!((f64::from(log_sum(isa, &logits, temperature)) - (sum.ln() - best)).abs() < 2e-6);
                for token in [0, length / 2, length - 1] {
                    let found = f64::from(log_prob(isa, &logits, token, temperature));
                    assert!((found - (scaled[token] - sum.ln())).abs() < 4e-6, "{isa:?}: {found}");
                }
            }
        }
    }

    #[test]
    fn a_generated_token_is_scored_as_it_was_drawn() {
        let (width, vocabulary) = (8, 2050);
        let (hidden, weight) = (noise(5, width), noise(6, vocabulary * width));
        let device = crate::Device::detect(Some(2));
        let matrix = crate::linear::Matrix::F32 { weight: &weight, n_out: vocabulary, n_in: width };
        let mut logits = vec![0.0; vocabulary];
        crate::head::logits(&device, &hidden, matrix, &mut logits);
        let head = crate::head::Head { hidden_RD: &hidden, weight_VD: matrix, targets_R: &[1500], temperature: 0.8 };
        let mut scored = [0.0];
        crate::head::forward(&device, head, &mut scored, None);
        assert_eq!(scored[0], log_prob(device.isa, &logits, 1500, 0.8));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// The cumulative distribution, in f64, reaches `uniform` at the token drawn and not before it.
        #[test]
        fn a_draw_inverts_the_distribution(seed in 0_u64..1000, length in 1_usize..4000, uniform in 0.0_f64..1.0) {
            let logits = logits(seed, length);
            let weights: Vec<f64> = wide(&logits).iter().map(|z| (z / 0.9).exp()).collect();
            let total: f64 = weights.iter().sum();
            for isa in isas() {
                let token = draw(isa, &logits, 0.9, uniform);
                let before: f64 = weights[..token].iter().sum::<f64>() / total;
                let after = before + weights[token] / total;
                prop_assert!(before - 1e-5 <= uniform && uniform <= after + 1e-5, "{token}: {before}..{after}, {uniform}");
            }
        }
    }
}
