//! The head against f64, whose gradients are in turn checked against finite differences.
use super::*;
use crate::linear::{PackedBf16, PackedQ8};
use crate::twin::{assert_close, assert_slope, devices, noise, wide};

/// Everything that a head call computes, in f64.
struct Twin {
    log_probs: Vec<f64>,
    entropies: Vec<f64>,
    d_hidden: Vec<f64>,
    d_weight: Vec<f64>,
}

#[derive(Clone)]
struct Case {
    width: usize,
    temperature: f64,
    hidden: Vec<f64>,
    weight: Vec<f64>,
    targets: Vec<u32>,
    d_log_probs: Vec<f64>,
    d_entropies: Vec<f64>,
}

impl Case {
    fn new(n_rows: usize, n_vocabulary: usize, width: usize, temperature: f32) -> Case {
        Case {
            width,
            temperature: temperature as f64,
            // Twice as wide as noise is, so that distributions are far from uniform.
            hidden: noise(1, n_rows * width).iter().map(|&x| 2.0 * x as f64).collect(),
            weight: wide(&noise(2, n_vocabulary * width)),
            targets: (0..n_rows).map(|r| (r * 7 + 3) as u32 % n_vocabulary as u32).collect(),
            d_log_probs: wide(&noise(3, n_rows)),
            d_entropies: wide(&noise(4, n_rows)),
        }
    }

    fn log_distribution(&self, row: usize) -> Vec<f64> {
        let hidden = &self.hidden[row * self.width..][..self.width];
        let z: Vec<f64> = self
            .weight
            .chunks_exact(self.width)
            .map(|w| w.iter().zip(hidden).map(|(w, h)| w * h).sum::<f64>() / self.temperature)
            .collect();
        let largest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_sum = largest + z.iter().map(|z| (z - largest).exp()).sum::<f64>().ln();
        z.iter().map(|z| z - log_sum).collect()
    }

    fn entropy(log_p: &[f64]) -> f64 {
        -log_p.iter().map(|l| l.exp() * l).sum::<f64>()
    }

    /// A loss with the case's slopes.
    fn loss(&self) -> f64 {
        (0..self.targets.len())
            .map(|row| {
                let log_p = self.log_distribution(row);
                let log_prob = log_p[self.targets[row] as usize];
                self.d_log_probs[row] * log_prob + self.d_entropies[row] * Case::entropy(&log_p)
            })
            .sum()
    }

    fn twin(&self) -> Twin {
        let mut twin = Twin {
            log_probs: vec![],
            entropies: vec![],
            d_hidden: vec![0.0; self.hidden.len()],
            d_weight: vec![0.0; self.weight.len()],
        };
        for (row, &target) in self.targets.iter().enumerate() {
            let log_p = self.log_distribution(row);
            let entropy = Case::entropy(&log_p);
            twin.log_probs.push(log_p[target as usize]);
            twin.entropies.push(entropy);
            for (v, l) in log_p.iter().enumerate() {
                let hit = if v == target as usize { 1.0 } else { 0.0 };
                let dz = self.d_log_probs[row] * (hit - l.exp()) - self.d_entropies[row] * l.exp() * (l + entropy);
                for k in 0..self.width {
                    let (h, w) = (row * self.width + k, v * self.width + k);
                    twin.d_hidden[h] += dz / self.temperature * self.weight[w];
                    twin.d_weight[w] += dz / self.temperature * self.hidden[h];
                }
            }
        }
        twin
    }
}

fn narrow(x: &[f64]) -> Vec<f32> {
    x.iter().map(|&x| x as f32).collect()
}

/// Compares both passes, in chunks of `chunk` rows, with the twin.
fn check(device: &Device, case: &Case, twin: &Twin, matrix: Matrix, chunk: usize, tolerance: f64) {
    let n_rows = case.targets.len();
    let hidden = narrow(&case.hidden);
    let head =
        Head { hidden_RD: &hidden, weight_VD: matrix, targets_R: &case.targets, temperature: case.temperature as f32 };
    let name = |what: &str| format!("{what}, {:?}, {} threads, chunk {chunk}", device.isa, device.pool.threads());
    let (mut log_probs, mut entropies) = (vec![0.0; n_rows], vec![0.0; n_rows]);
    run(device, head, chunk, None, Results::new(&mut log_probs, Some(&mut entropies)));
    assert_close(&name("log-prob"), &log_probs, &twin.log_probs, tolerance);
    assert_close(&name("entropy"), &entropies, &twin.entropies, tolerance);

    let (d_log_probs, d_entropies) = (narrow(&case.d_log_probs), narrow(&case.d_entropies));
    let mut d_hidden = vec![9.0; hidden.len()];
    // Something to be added to.
    let before = noise(5, case.weight.len());
    let mut d_weight = before.clone();
    let (mut again, mut entropies_again) = (vec![0.0; n_rows], vec![0.0; n_rows]);
    let gradients = Gradients {
        d_log_probs_R: &d_log_probs,
        d_entropies_R: Some(&d_entropies),
        d_hidden_RD: &mut d_hidden,
        d_weight_VD: Some(&mut d_weight),
    };
    run(device, head, chunk, Some(gradients), Results::new(&mut again, Some(&mut entropies_again)));
    assert_eq!((again, entropies_again), (log_probs, entropies), "{}", name("values on the way back"));
    assert_close(&name("d hidden"), &d_hidden, &twin.d_hidden, tolerance);
    let expected: Vec<f64> = before.iter().zip(&twin.d_weight).map(|(&b, d)| b as f64 + d).collect();
    assert_close(&name("d weight"), &d_weight, &expected, tolerance);
}

#[test]
fn the_twin_is_its_own_slope() {
    let case = Case::new(3, 11, 5, 0.7);
    let twin = case.twin();
    let with = |change: &dyn Fn(&mut Case)| {
        let mut case = case.clone();
        change(&mut case);
        case.loss()
    };
    assert_slope("d hidden", &case.hidden, &twin.d_hidden, |x| with(&|case| case.hidden = x.to_vec()));
    assert_slope("d weight", &case.weight, &twin.d_weight, |x| with(&|case| case.weight = x.to_vec()));
}

#[test]
fn f32_heads_equal_the_twin() {
    for (n_rows, n_vocabulary, width, temperature) in [(1, 1, 3, 1.0), (5, 97, 33, 0.7), (7, 2500, 16, 1.5)] {
        let case = Case::new(n_rows, n_vocabulary, width, temperature);
        let (twin, weight) = (case.twin(), narrow(&case.weight));
        let matrix = Matrix::F32 { weight: &weight, n_out: n_vocabulary, n_in: width };
        for device in devices() {
            for chunk in [1, 2, n_rows] {
                check(&device, &case, &twin, matrix, chunk, 3e-6);
            }
        }
    }
}

#[test]
fn packed_heads_equal_the_twin_of_their_weights() {
    let (n_vocabulary, width) = (130, 64);
    let mut case = Case::new(20, n_vocabulary, width, 0.9);
    // Hidden states that are bf16 already: what is left is the rounding of the logits' gradient, 2⁻⁹ of each.
    case.hidden.iter_mut().for_each(|h| *h = half::bf16::from_f64(*h).to_f64());
    let weight = narrow(&case.weight);
    for device in devices() {
        let mut bf16 = PackedBf16::zeros(n_vocabulary, width);
        bf16.pack_rows(&device, 0, &weight);
        let q8 = PackedQ8::quantize(&device, &weight, n_vocabulary, width);
        for matrix in [Matrix::Bf16(&bf16), Matrix::Q8(&q8)] {
            let mut case = case.clone();
            for (v, row) in case.weight.chunks_exact_mut(width).enumerate() {
                let mut read = vec![0.0; width];
                match matrix {
                    Matrix::Q8(packed) => packed.read_row(v, &mut read),
                    _ => bf16.read_row(v, &mut read),
                }
                row.iter_mut().zip(read).for_each(|(w, r)| *w = half::bf16::from_f32(r).to_f64());
            }
            check(&device, &case, &case.twin(), matrix, 8, 4e-3);
        }
    }
}

/// Logits 0, ln 2, ln 5 (temperature 1): p = 1/8, 2/8, 5/8; entropy = 3 ln 2 − (2 ln 2 + 5 ln 5)/8 nats = 0.900256.
#[test]
fn a_distribution_worked_by_hand() {
    let weight = [0.0, 2f32.ln(), 5f32.ln()];
    for device in devices() {
        let head = Head {
            hidden_RD: &[1.0],
            weight_VD: Matrix::F32 { weight: &weight, n_out: 3, n_in: 1 },
            targets_R: &[1],
            temperature: 1.0,
        };
        let (mut log_prob, mut entropy) = ([0.0], [0.0]);
        forward(&device, head, &mut log_prob, Some(&mut entropy));
        assert_close("log-prob", &log_prob, &[0.25f64.ln()], 1e-6);
        assert_close("entropy", &entropy, &[0.900_256], 1e-6);
    }
}

/// Logits up to ±1e4: nothing overflows, and the certain token has log-prob 0 and no entropy.
#[test]
fn extreme_logits_stay_finite() {
    let weight = [1e4, -1e4, 3.0, -5.0];
    for device in devices() {
        let head = Head {
            hidden_RD: &[1.0, 1.0],
            weight_VD: Matrix::F32 { weight: &weight, n_out: 4, n_in: 1 },
            targets_R: &[0, 1],
            temperature: 0.5,
        };
        let (mut log_probs, mut entropies) = ([9.0; 2], [9.0; 2]);
        let mut d_hidden = [9.0; 2];
        let slopes = Some([1.0; 2]);
        let slopes = slopes.as_ref().map(|s| &s[..]);
        backward(&device, head, &[1.0; 2], slopes, &mut d_hidden, None, &mut log_probs, Some(&mut entropies));
        // (−1e4 − 1e4)/0.5
        assert_eq!((log_probs, entropies), ([0.0, -4e4], [0.0, 0.0]), "{:?}", device.isa);
        // Row 1: (w₁ − w₀)/0.5
        assert_eq!(d_hidden, [0.0, -4e4], "{:?}", device.isa);
    }
}

#[test]
fn chunks_are_about_equal_and_bounded() {
    let weight = vec![0.0; 1 << 20];
    let chunk = |n_rows: usize, n_vocabulary: usize| {
        let (hidden, targets) = (vec![0.0; n_rows], vec![0; n_rows]);
        let matrix = Matrix::F32 { weight: &weight, n_out: n_vocabulary, n_in: 1 };
        Head { hidden_RD: &hidden, weight_VD: matrix, targets_R: &targets, temperature: 1.0 }
            .check(&vec![0.0; n_rows], None)
    };
    // 2²⁴ / 49152 = 341 rows at most: 1024 rows in 4 chunks, not 3 and a rest of 1.
    assert_eq!([chunk(1024, 49152), chunk(10, 49152), chunk(40, 1 << 20), chunk(0, 7)], [256, 10, 14, 1]);
}

#[test]
#[should_panic(expected = "target 4 in a vocabulary of 4")]
fn a_target_outside_the_vocabulary_is_refused() {
    let head = Head {
        hidden_RD: &[1.0],
        weight_VD: Matrix::F32 { weight: &[0.0; 4], n_out: 4, n_in: 1 },
        targets_R: &[4],
        temperature: 1.0,
    };
    forward(&Device::detect(Some(1)), head, &mut [0.0], None);
}
