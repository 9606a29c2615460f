//! Two heads against f64, whose gradients are checked against finite differences.
use super::*;
use crate::linear::{Matrix, PackedBf16};
use crate::twin::{assert_close, assert_slope, devices, noise, wide};

/// Widths differ: a critic needn't be as wide as the policy.
#[derive(Clone)]
struct Case {
    temperature: f64,
    /// Width, hidden states, weights.
    policy: (usize, Vec<f64>, Vec<f64>),
    critic: (usize, Vec<f64>, Vec<f64>),
    targets: Vec<u32>,
    slopes: [Vec<f64>; 3],
}

/// Everything that a call computes.
struct Twin {
    /// Log-probs, entropies, expected values.
    numbers: [Vec<f64>; 3],
    /// By hidden states and weights of the policy, then of the critic.
    gradients: [Vec<f64>; 4],
}

impl Case {
    fn new(n_rows: usize, n_vocabulary: usize, widths: (usize, usize), temperature: f64) -> Case {
        let side = |seed: u64, width: usize| {
            let hidden = noise(seed, n_rows * width).iter().map(|&x| 2.0 * f64::from(x)).collect();
            (width, hidden, wide(&noise(seed + 1, n_vocabulary * width)))
        };
        Case {
            temperature,
            policy: side(1, widths.0),
            critic: side(11, widths.1),
            targets: (0..n_rows).map(|r| (r * 7 + 3) as u32 % n_vocabulary as u32).collect(),
            slopes: [3, 4, 5].map(|seed| wide(&noise(seed, n_rows))),
        }
    }

    fn products(side: &(usize, Vec<f64>, Vec<f64>), row: usize) -> Vec<f64> {
        let (width, hidden, weight) = side;
        let hidden = &hidden[row * width..][..*width];
        weight.chunks_exact(*width).map(|w| w.iter().zip(hidden).map(|(w, h)| w * h).sum()).collect()
    }

    fn twin(&self) -> Twin {
        let sides = [&self.policy, &self.critic];
        let [a, b, c, d] = [&sides[0].1, &sides[0].2, &sides[1].1, &sides[1].2].map(|x| vec![0.0; x.len()]);
        let mut twin = Twin { numbers: [vec![], vec![], vec![]], gradients: [a, b, c, d] };
        for (row, &target) in self.targets.iter().enumerate() {
            let z: Vec<f64> = Case::products(&self.policy, row).iter().map(|z| z / self.temperature).collect();
            let q = Case::products(&self.critic, row);
            let largest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let log_sum = largest + z.iter().map(|z| (z - largest).exp()).sum::<f64>().ln();
            let log_p: Vec<f64> = z.iter().map(|z| z - log_sum).collect();
            let entropy = -log_p.iter().map(|l| l.exp() * l).sum::<f64>();
            let expected: f64 = log_p.iter().zip(&q).map(|(l, q)| l.exp() * q).sum();
            let said = [log_p[target as usize], entropy, expected];
            twin.numbers.iter_mut().zip(said).for_each(|(list, number)| list.push(number));
            let [by_log_prob, by_entropy, by_expected] = [0, 1, 2].map(|k: usize| self.slopes[k][row]);
            for (v, (l, q)) in log_p.iter().zip(&q).enumerate() {
                let (p, hit) = (l.exp(), if v == target as usize { 1.0 } else { 0.0 });
                let dz = by_log_prob * (hit - p) - by_entropy * p * (l + entropy) + by_expected * p * (q - expected);
                for (side, slope) in [(0, dz / self.temperature), (1, by_expected * p)] {
                    let (width, hidden, weight) = sides[side];
                    for k in 0..*width {
                        let (h, w) = (row * width + k, v * width + k);
                        twin.gradients[2 * side][h] += slope * weight[w];
                        twin.gradients[2 * side + 1][w] += slope * hidden[h];
                    }
                }
            }
        }
        twin
    }

    fn loss(&self) -> f64 {
        let numbers = self.twin().numbers;
        let dot = |a: &Vec<f64>, b: &Vec<f64>| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        numbers.iter().zip(&self.slopes).map(|(numbers, slopes)| dot(numbers, slopes)).sum()
    }
}

fn narrow(x: &[f64]) -> Vec<f32> {
    x.iter().map(|&x| x as f32).collect()
}

fn check(device: &Device, case: &Case, matrices: [Matrix; 2], chunk: usize, tolerance: f64) {
    let (twin, n_rows) = (case.twin(), case.targets.len());
    let hidden = [narrow(&case.policy.1), narrow(&case.critic.1)];
    let temperature = case.temperature as f32;
    let head = Head { hidden_RD: &hidden[0], weight_VD: matrices[0], targets_R: &case.targets, temperature };
    let values = Values { hidden_RD: &hidden[1], weight_VD: matrices[1] };
    let name = |what: &str| format!("{what}, {:?}, {} threads, chunk {chunk}", device.isa, device.pool.threads());
    let mut found = [vec![0.0; n_rows], vec![0.0; n_rows], vec![0.0; n_rows]];
    let numbers = |[a, b, c]: &mut [Vec<f32>; 3], work: &mut dyn FnMut(Numbers)| {
        work(Numbers { log_probs_R: a, entropies_R: b, expected_R: c });
    };
    numbers(&mut found, &mut |numbers| run(device, head, values, None, numbers, chunk));
    for (found, (expected, what)) in found.iter().zip(twin.numbers.iter().zip(["log-prob", "entropy", "expected"])) {
        assert_close(&name(what), found, expected, tolerance);
    }
    let slopes = [0, 1, 2].map(|k: usize| narrow(&case.slopes[k]));
    let slopes = Slopes { d_log_probs_R: &slopes[0], d_entropies_R: &slopes[1], d_expected_R: &slopes[2] };
    // Hidden states' gradients are overwritten, weights' are added to.
    let before = [0, 1, 2, 3].map(|k: usize| noise(20 + k as u64, twin.gradients[k].len()));
    let mut got = before.clone();
    let mut again = found.clone();
    let [a, b, c, d] = &mut got;
    let mut gradients = Some(Gradients {
        policy: Some(Gradient { d_hidden_RD: a, d_weight_VD: Some(b) }),
        values: Some(Gradient { d_hidden_RD: c, d_weight_VD: Some(d) }),
    });
    numbers(&mut again, &mut |numbers| {
        let gradients = gradients.take().expect("one call");
        run(device, head, values, Some((slopes, gradients)), numbers, chunk);
    });
    assert_eq!(again, found, "{}", name("numbers on the way back"));
    for (k, what) in
        ["d policy's hidden", "d policy's weight", "d values' hidden", "d values' weight"].iter().enumerate()
    {
        let kept = |i: usize| if k % 2 == 1 { f64::from(before[k][i]) } else { 0.0 };
        let expected: Vec<f64> = twin.gradients[k].iter().enumerate().map(|(i, d)| kept(i) + d).collect();
        assert_close(&name(what), &got[k], &expected, tolerance);
    }
}

#[test]
fn the_twin_is_its_own_slope() {
    let case = Case::new(3, 11, (5, 4), 0.7);
    let twin = case.twin();
    let with = |change: &dyn Fn(&mut Case)| {
        let mut case = case.clone();
        change(&mut case);
        case.loss()
    };
    assert_slope("policy's hidden", &case.policy.1, &twin.gradients[0], |x| with(&|case| case.policy.1 = x.to_vec()));
    assert_slope("policy's weight", &case.policy.2, &twin.gradients[1], |x| with(&|case| case.policy.2 = x.to_vec()));
    assert_slope("values' hidden", &case.critic.1, &twin.gradients[2], |x| with(&|case| case.critic.1 = x.to_vec()));
    assert_slope("values' weight", &case.critic.2, &twin.gradients[3], |x| with(&|case| case.critic.2 = x.to_vec()));
}

#[test]
fn f32_heads_equal_the_twin() {
    for (n_rows, n_vocabulary, widths, temperature) in
        [(1, 1, (3, 2), 1.0), (5, 97, (33, 20), 0.7), (7, 2500, (16, 16), 1.5)]
    {
        let case = Case::new(n_rows, n_vocabulary, widths, temperature);
        let weights = [narrow(&case.policy.2), narrow(&case.critic.2)];
        let matrix = |k: usize, n_in| Matrix::F32 { weight: &weights[k], n_out: n_vocabulary, n_in };
        for device in devices() {
            for chunk in [1, 2, n_rows] {
                check(&device, &case, [matrix(0, widths.0), matrix(1, widths.1)], chunk, 5e-6);
            }
        }
    }
}

#[test]
fn packed_heads_equal_the_twin_of_their_weights() {
    let mut case = Case::new(20, 130, (64, 32), 0.9);
    let (a, b, c, d) = (&mut case.policy.1, &mut case.policy.2, &mut case.critic.1, &mut case.critic.2);
    for numbers in [a, b, c, d] {
        numbers.iter_mut().for_each(|x| *x = half::bf16::from_f64(*x).to_f64());
    }
    for device in devices() {
        let packed = |width: usize, weight: &[f64]| {
            let mut packed = PackedBf16::zeros(130, width);
            packed.pack_rows(&device, 0, &narrow(weight));
            packed
        };
        let (policy, critic) = (packed(64, &case.policy.2), packed(32, &case.critic.2));
        check(&device, &case, [Matrix::Bf16(&policy), Matrix::Bf16(&critic)], 8, 4e-3);
    }
}

/// p = 1/8, 2/8, 5/8 and Q = 4, −2, 8: E = (4 − 4 + 40)/8 = 5, and with slope 1 the logits' gradient is
/// p·(Q − E) = −1/8, −14/8, 15/8. Hidden state and weights are one number wide, so dL/dh = Σ w·dz.
#[test]
fn an_expectation_worked_by_hand() {
    let (weight, q) = ([0.0, 2f32.ln(), 5f32.ln()], [4.0, -2.0, 8.0]);
    for device in devices() {
        let matrix = |weight| Matrix::F32 { weight, n_out: 3, n_in: 1 };
        let head = Head { hidden_RD: &[1.0], weight_VD: matrix(&weight), targets_R: &[1], temperature: 1.0 };
        let values = Values { hidden_RD: &[1.0], weight_VD: matrix(&q) };
        let (mut log_prob, mut entropy, mut expected) = ([0.0], [0.0], [0.0]);
        let numbers = Numbers { log_probs_R: &mut log_prob, entropies_R: &mut entropy, expected_R: &mut expected };
        let (mut d_hidden, mut d_weight) = ([0.0], [0.0; 3]);
        let gradients = Gradients {
            policy: Some(Gradient { d_hidden_RD: &mut d_hidden, d_weight_VD: Some(&mut d_weight) }),
            values: None,
        };
        let slopes = Slopes { d_log_probs_R: &[0.0], d_entropies_R: &[0.0], d_expected_R: &[1.0] };
        backward(&device, head, values, slopes, gradients, numbers);
        assert_close("log-prob", &log_prob, &[0.25f64.ln()], 1e-6);
        assert_close("expected", &expected, &[5.0], 1e-6);
        assert_close("d weight", &d_weight, &[-0.125, -1.75, 1.875], 1e-6);
        let sum = -1.75 * 2f64.ln() + 1.875 * 5f64.ln();
        assert_close("d hidden", &d_hidden, &[sum], 1e-6);
    }
}

/// Logits ±1e4 and values ±1e4: nothing overflows; the certain token's value is what is expected.
#[test]
fn extreme_logits_stay_finite() {
    let (weight, q) = ([1e4, -1e4, 3.0, -5.0], [-1e4, 1e4, 2.0, 7.0]);
    for device in devices() {
        let matrix = |weight| Matrix::F32 { weight, n_out: 4, n_in: 1 };
        let head = Head { hidden_RD: &[1.0], weight_VD: matrix(&weight), targets_R: &[1], temperature: 0.5 };
        let values = Values { hidden_RD: &[1.0], weight_VD: matrix(&q) };
        let (mut log_prob, mut entropy, mut expected) = ([0.0], [0.0], [0.0]);
        let numbers = Numbers { log_probs_R: &mut log_prob, entropies_R: &mut entropy, expected_R: &mut expected };
        let (mut d_policy, mut d_values) = ([9.0], [9.0]);
        let gradients = Gradients {
            policy: Some(Gradient { d_hidden_RD: &mut d_policy, d_weight_VD: None }),
            values: Some(Gradient { d_hidden_RD: &mut d_values, d_weight_VD: None }),
        };
        let slopes = Slopes { d_log_probs_R: &[0.0], d_entropies_R: &[1.0], d_expected_R: &[1.0] };
        backward(&device, head, values, slopes, gradients, numbers);
        assert_eq!((log_prob, entropy, expected), ([-4e4], [0.0], [-1e4]), "{:?}", device.isa);
        assert_eq!((d_policy, d_values), ([0.0], [-1e4]), "{:?}", device.isa);
    }
}
