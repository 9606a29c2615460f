//! Every linear kernel against sums in f64, on every instruction set that this machine has.
#![allow(non_snake_case)]
use kernels::linear::{Matrix, Precision, Write, backward_input, backward_weight, forward};
use kernels::{Device, Isa};
use proptest::prelude::*;

/// Deterministic values in (−1, 1) with all mantissa bits in play.
fn values(length: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 40) as f32 / (1u64 << 23) as f32) - 1.0
        })
        .collect()
}

/// Every device this machine can be, with the given number of workers.
fn devices(threads: usize) -> Vec<Device> {
    Isa::ALL.into_iter().filter_map(|isa| Device::with_isa(threads, isa).ok()).collect()
}

/// A shape and strides of one product.
#[derive(Clone, Copy, Debug)]
struct Case {
    n_rows: usize,
    n_out: usize,
    n_in: usize,
    /// Added to the width of x, y, dx, dy to give the stride.
    gap: usize,
    write: Write,
}

impl Case {
    fn x(&self) -> Vec<f32> {
        values(self.n_rows * (self.n_in + self.gap), 1)
    }
    fn dy(&self) -> Vec<f32> {
        values(self.n_rows * (self.n_out + self.gap), 2)
    }
    fn weight(&self) -> Vec<f32> {
        values(self.n_out * self.n_in, 3)
    }
}

/// `before + Σ_k a(i, k)·b(k, j)` and the sum of magnitudes, which bounds the rounding error.
fn twin(depth: usize, before: f32, a: impl Fn(usize) -> f32, b: impl Fn(usize) -> f32) -> (f64, f64) {
    (0..depth).fold((before as f64, before.abs() as f64), |(sum, size), k| {
        let term = a(k) as f64 * b(k) as f64;
        (sum + term, size + term.abs())
    })
}

/// Compares `rows × columns` of `found` with the twin; elements outside must be as in `before`.
fn compare(
    what: &str,
    (found, before): (&[f32], &[f32]),
    (rows, columns, stride): (usize, usize, usize),
    write: Write,
    expected: impl Fn(usize, usize, f32) -> (f64, f64),
    depth: usize,
) {
    for row in 0..found.len().div_ceil(stride) {
        for column in 0..stride.min(found.len() - row * stride) {
            let (got, old) = (found[row * stride + column], before[row * stride + column]);
            if row >= rows || column >= columns {
                assert_eq!(got, old, "{what}: wrote outside, at {row}, {column}");
                continue;
            }
            let start = if write == Write::Accumulate { old } else { 0.0 };
            let (want, size) = expected(row, column, start);
            // Sequential f32 summation of n terms errs by at most n·2⁻²⁴ of the sum of magnitudes.
            let bound = size * (depth as f64 + 2.0) * 2f64.powi(-24);
            assert!((got as f64 - want).abs() <= bound, "{what}: {got} instead of {want} ± {bound} at {row}, {column}");
        }
    }
}

fn check_f32(device: &Device, case: Case) {
    let Case { n_rows, n_out, n_in, gap, write } = case;
    let (x, dy, weight) = (case.x(), case.dy(), case.weight());
    let (xs, ys) = (n_in + gap, n_out + gap);
    let matrix = Matrix::F32 { weight: &weight, n_out, n_in };
    let what = |name| format!("{name}, {:?}, {case:?}", device.isa);

    let before = values(n_rows * ys, 4);
    let mut y = before.clone();
    forward(device, &x, xs, matrix, &mut y, ys, n_rows, write);
    compare(
        &what("y"),
        (&y, &before),
        (n_rows, n_out, ys),
        write,
        |t, n, b| twin(n_in, b, |k| x[t * xs + k], |k| weight[n * n_in + k]),
        n_in,
    );

    let before = values(n_rows * xs, 5);
    let mut dx = before.clone();
    backward_input(device, &dy, ys, matrix, &mut dx, xs, n_rows, write);
    compare(
        &what("dx"),
        (&dx, &before),
        (n_rows, n_in, xs),
        write,
        |t, k, b| twin(n_out, b, |n| dy[t * ys + n], |n| weight[n * n_in + k]),
        n_out,
    );

    let before = values(n_out * n_in, 6);
    let mut dw = before.clone();
    backward_weight(device, &dy, ys, &x, xs, &mut dw, n_out, n_in, n_rows, Precision::F32, write);
    compare(
        &what("dW"),
        (&dw, &before),
        (n_out, n_in, n_in),
        write,
        |n, k, b| twin(n_rows, b, |t| dy[t * ys + n], |t| x[t * xs + k]),
        n_rows,
    );
}

/// Shapes around every block edge of the kernels.
fn cases() -> impl Strategy<Value = Case> {
    let size = |sizes: &'static [usize]| proptest::sample::select(sizes);
    (
        size(&[0, 1, 2, 3, 7, 13, 31, 33, 65]),
        size(&[1, 15, 16, 17, 33, 64, 100]),
        size(&[1, 2, 31, 32, 33, 64, 576]),
        size(&[0, 3]),
        size_of_write(),
    )
        .prop_map(|(n_rows, n_out, n_in, gap, write)| Case { n_rows, n_out, n_in, gap, write })
}

fn size_of_write() -> impl Strategy<Value = Write> {
    proptest::sample::select(&[Write::Overwrite, Write::Accumulate])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn f32_products_equal_their_twins(case in cases(), threads in 1usize..4) {
        for device in devices(threads) {
            check_f32(&device, case);
        }
    }
}
