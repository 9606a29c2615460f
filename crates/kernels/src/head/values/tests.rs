//! The head of values against f64, whose gradient is checked against finite differences.
use super::*;
use crate::linear::PackedBf16;
use crate::twin::{assert_close, assert_slope, devices, noise, wide};

#[derive(Clone)]
struct Case {
    width: usize,
    hidden: Vec<f64>,
    weight: Vec<f64>,
    targets: Vec<u32>,
    d_chosen: Vec<f64>,
    d_spread: Vec<f64>,
}

/// Everything that a call computes.
#[derive(Default)]
struct Twin {
    chosen: Vec<f64>,
    spread: Vec<f64>,
    d_hidden: Vec<f64>,
    d_weight: Vec<f64>,
}

impl Case {
    fn new(n_rows: usize, n_vocabulary: usize, width: usize) -> Case {
        Case {
            width,
            hidden: noise(1, n_rows * width).iter().map(|&x| 2.0 * f64::from(x)).collect(),
            weight: wide(&noise(2, n_vocabulary * width)),
            targets: (0..n_rows).map(|r| (r * 7 + 3) as u32 % n_vocabulary as u32).collect(),
            d_chosen: wide(&noise(3, n_rows)),
            d_spread: noise(4, n_rows).iter().map(|&x| 0.01 * f64::from(x)).collect(),
        }
    }

    fn twin(&self) -> Twin {
        let n_vocabulary = self.weight.len() / self.width;
        let (d_hidden, d_weight) = (vec![0.0; self.hidden.len()], vec![0.0; self.weight.len()]);
        let mut twin = Twin { d_hidden, d_weight, ..Twin::default() };
        for (row, &target) in self.targets.iter().enumerate() {
            let hidden = &self.hidden[row * self.width..][..self.width];
            let of = |w: &[f64]| w.iter().zip(hidden).map(|(w, h)| w * h).sum::<f64>();
            let q: Vec<f64> = self.weight.chunks_exact(self.width).map(of).collect();
            let mean = q.iter().sum::<f64>() / n_vocabulary as f64;
            twin.chosen.push(q[target as usize]);
            twin.spread.push(q.iter().map(|q| (q - mean).powi(2)).sum());
            for (v, q) in q.iter().enumerate() {
                let hit = if v == target as usize { self.d_chosen[row] } else { 0.0 };
                let dq = hit + 2.0 * self.d_spread[row] * (q - mean);
                for k in 0..self.width {
                    let (h, w) = (row * self.width + k, v * self.width + k);
                    twin.d_hidden[h] += dq * self.weight[w];
                    twin.d_weight[w] += dq * self.hidden[h];
                }
            }
        }
        twin
    }

    fn loss(&self) -> f64 {
        let Twin { chosen, spread, .. } = self.twin();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        dot(&chosen, &self.d_chosen) + dot(&spread, &self.d_spread)
    }
}

fn narrow(x: &[f64]) -> Vec<f32> {
    x.iter().map(|&x| x as f32).collect()
}

fn check(device: &Device, case: &Case, matrix: Matrix, chunk: usize, tolerance: f64) {
    let (twin, hidden, n_rows) = (case.twin(), narrow(&case.hidden), case.targets.len());
    let values = Values { hidden_RD: &hidden, weight_VD: matrix };
    let name = |what: &str| format!("{what}, {:?}, {} threads, chunk {chunk}", device.isa, device.pool.threads());
    let (mut chosen, mut spread) = (vec![0.0; n_rows], vec![0.0; n_rows]);
    run(device, values, &case.targets, None, &mut chosen, &mut spread, chunk);
    assert_close(&name("chosen"), &chosen, &twin.chosen, tolerance);
    assert_close(&name("spread"), &spread, &twin.spread, tolerance);
    let (d_chosen, d_spread) = (narrow(&case.d_chosen), narrow(&case.d_spread));
    let slopes = Slopes { d_chosen_R: &d_chosen, d_spread_R: &d_spread };
    let before = noise(5, case.weight.len());
    let (mut d_hidden, mut d_weight) = (vec![9.0; hidden.len()], before.clone());
    let gradient = Gradient { d_hidden_RD: &mut d_hidden, d_weight_VD: Some(&mut d_weight) };
    let (mut again, mut spread_again) = (vec![0.0; n_rows], vec![0.0; n_rows]);
    run(device, values, &case.targets, Some((slopes, gradient)), &mut again, &mut spread_again, chunk);
    assert_eq!((again, spread_again), (chosen, spread), "{}", name("numbers on the way back"));
    assert_close(&name("d hidden"), &d_hidden, &twin.d_hidden, tolerance);
    let expected: Vec<f64> = before.iter().zip(&twin.d_weight).map(|(&b, d)| f64::from(b) + d).collect();
    assert_close(&name("d weight"), &d_weight, &expected, tolerance);
}

#[test]
fn the_twin_is_its_own_slope() {
    let case = Case::new(3, 11, 5);
    let twin = case.twin();
    let at = |x: &[f64]| Case { hidden: x.to_vec(), ..case.clone() }.loss();
    assert_slope("d hidden", &case.hidden, &twin.d_hidden, at);
    let at = |x: &[f64]| Case { weight: x.to_vec(), ..case.clone() }.loss();
    assert_slope("d weight", &case.weight, &twin.d_weight, at);
}

#[test]
fn values_equal_the_twin() {
    for (n_rows, n_vocabulary, width) in [(1, 1, 3), (5, 97, 33), (7, 2500, 16)] {
        let case = Case::new(n_rows, n_vocabulary, width);
        let weight = narrow(&case.weight);
        let matrix = Matrix::F32 { weight: &weight, n_out: n_vocabulary, n_in: width };
        for device in devices() {
            for chunk in [1, 2, n_rows] {
                check(&device, &case, matrix, chunk, 4e-6);
            }
        }
    }
}

#[test]
fn packed_values_equal_the_twin_of_their_weights() {
    let mut case = Case::new(20, 130, 64);
    for numbers in [&mut case.hidden, &mut case.weight] {
        numbers.iter_mut().for_each(|x| *x = half::bf16::from_f64(*x).to_f64());
    }
    for device in devices() {
        let mut bf16 = PackedBf16::zeros(130, 64);
        bf16.pack_rows(&device, 0, &narrow(&case.weight));
        check(&device, &case, Matrix::Bf16(&bf16), 8, 4e-3);
    }
}

/// The spread of 1.25, 0.25 and 0 at any height.
#[test]
fn a_row_worked_by_hand() {
    for height in [0.0, 1000.0] {
        let weight = [height + 1.25, height + 0.25, height];
        for device in devices() {
            let matrix = Matrix::F32 { weight: &weight, n_out: 3, n_in: 1 };
            let (mut chosen, mut spread) = ([0.0], [0.0]);
            let values = Values { hidden_RD: &[1.0], weight_VD: matrix };
            forward(&device, values, &[1], &mut chosen, &mut spread);
            // mean 0.5: .75² + .25² + .5² = 0.875, all of it exact in binary
            assert_eq!((chosen[0], spread[0]), (height + 0.25, 0.875), "{:?}", device.isa);
        }
    }
}
