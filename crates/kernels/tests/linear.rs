//! Every linear kernel against sums in f64, on every instruction set that this machine has.
#![allow(non_snake_case)]
use kernels::linear::{Matrix, PackedBf16, PackedQ8, Precision, Write, backward_input, backward_weight, forward};
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

/// Rounds to bf16 by the `half` crate, which the kernels don't use for it.
fn bf16(x: f32) -> f32 {
    half::bf16::from_f32(x).to_f32()
}

/// The packed paths: operands rounded to bf16, everything else as in f32.
fn check_packed(device: &Device, case: Case, matrix: Matrix, weight: &[f32]) {
    let Case { n_rows, n_out, n_in, gap, write } = case;
    let (x, dy) = (case.x(), case.dy());
    let (xs, ys) = (n_in + gap, n_out + gap);
    let what = |name| format!("{name}, {:?}, {case:?}", device.isa);

    let before = values(n_rows * ys, 4);
    let mut y = before.clone();
    forward(device, &x, xs, matrix, &mut y, ys, n_rows, write);
    let expected = |t, n, b| twin(n_in, b, |k| bf16(x[t * xs + k]), |k| weight[n * n_in + k]);
    compare(&what("y"), (&y, &before), (n_rows, n_out, ys), write, expected, n_in);

    let before = values(n_rows * xs, 5);
    let mut dx = before.clone();
    backward_input(device, &dy, ys, matrix, &mut dx, xs, n_rows, write);
    let expected = |t, k, b| twin(n_out, b, |n| bf16(dy[t * ys + n]), |n| weight[n * n_in + k]);
    compare(&what("dx"), (&dx, &before), (n_rows, n_in, xs), write, expected, n_out);
}

fn check_bf16(device: &Device, case: Case) {
    let Case { n_rows, n_out, n_in, gap, write } = case;
    let weight = case.weight();
    let mut packed = PackedBf16::zeros(n_out, n_in);
    // In two parts, as fused projections are.
    let first = n_out / 3;
    packed.pack_rows(device, 0, &weight[..first * n_in]);
    packed.pack_rows(device, first, &weight[first * n_in..]);
    let rounded: Vec<f32> = weight.iter().map(|&w| bf16(w)).collect();
    let mut row = vec![0.0; n_in];
    for n in 0..n_out {
        packed.read_row(n, &mut row);
        assert_eq!(row, rounded[n * n_in..][..n_in], "row {n}, {:?}, {case:?}", device.isa);
    }
    check_packed(device, case, Matrix::Bf16(&packed), &rounded);

    let (x, dy) = (case.x(), case.dy());
    let (xs, ys) = (n_in + gap, n_out + gap);
    let before = values(n_out * n_in, 6);
    let mut dw = before.clone();
    backward_weight(device, &dy, ys, &x, xs, &mut dw, n_out, n_in, n_rows, Precision::Bf16, write);
    let expected = |n, k, b| twin(n_rows, b, |t| bf16(dy[t * ys + n]), |t| bf16(x[t * xs + k]));
    let what = format!("dW, {:?}, {case:?}", device.isa);
    compare(&what, (&dw, &before), (n_out, n_in, n_in), write, expected, n_rows);
}

fn check_q8(device: &Device, case: Case) {
    let weight = case.weight();
    let packed = PackedQ8::quantize(device, &weight, case.n_out, case.n_in);
    let mut rounded = vec![0.0; weight.len()];
    for (n, row) in rounded.chunks_exact_mut(case.n_in).enumerate() {
        packed.read_row(n, row);
    }
    // Half a quant, and the rounding of the scale to f16 (2⁻¹¹) times 127 quants.
    let worst = weight.iter().zip(&rounded).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= (0.5 + 127.0 / 2048.0) / 127.0, "{worst}");
    rounded.iter_mut().for_each(|w| *w = bf16(*w));
    check_packed(device, case, Matrix::Q8(&packed), &rounded);
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

    #[test]
    fn bf16_products_equal_their_twins(case in cases(), threads in 1usize..4) {
        for device in devices(threads) {
            check_bf16(&device, case);
        }
    }

    #[test]
    fn q8_products_equal_their_twins(case in cases(), threads in 1usize..4) {
        for device in devices(threads) {
            check_q8(&device, Case { n_in: case.n_in.next_multiple_of(32), ..case });
        }
    }
}

/// Depths of more than one chunk, rows of more than one block.
#[test]
fn large_shapes_equal_their_twins() {
    for (n_rows, n_out, n_in) in [(200, 48, 1184), (17, 1200, 64), (1250, 40, 33)] {
        let case = Case { n_rows, n_out, n_in, gap: 0, write: Write::Accumulate };
        for device in devices(2) {
            check_f32(&device, case);
            check_bf16(&device, case);
            check_q8(&device, Case { n_in: n_in.next_multiple_of(32), ..case });
        }
    }
}

/// A row of a packed product is the same to the last bit whatever stands beside it, on any number of workers.
#[test]
fn rows_of_packed_products_stand_alone() {
    let (most, n_out, n_in) = (150, 83, 1184);
    let case = Case { n_rows: most, n_out, n_in, gap: 0, write: Write::Overwrite };
    let (x, dy, weight) = (case.x(), case.dy(), case.weight());
    for isa in Isa::ALL {
        let Ok(device) = Device::with_isa(1, isa) else { continue };
        let mut bf16 = PackedBf16::zeros(n_out, n_in);
        bf16.pack_rows(&device, 0, &weight);
        let q8 = PackedQ8::quantize(&device, &weight, n_out, n_in);
        for matrix in [Matrix::Bf16(&bf16), Matrix::Q8(&q8)] {
            let (mut all_y, mut all_dx) = (vec![0.0; most * n_out], vec![0.0; most * n_in]);
            forward(&device, &x, n_in, matrix, &mut all_y, n_out, most, Write::Overwrite);
            backward_input(&device, &dy, n_out, matrix, &mut all_dx, n_in, most, Write::Overwrite);
            for threads in 1..=3 {
                let device = Device::with_isa(threads, isa).expect("it was there a moment ago");
                for (first, rows) in [(0, most), (140, 1), (77, 2), (3, 8), (20, 13), (50, 65)] {
                    let (mut y, mut dx) = (vec![0.0; rows * n_out], vec![0.0; rows * n_in]);
                    forward(&device, &x[first * n_in..], n_in, matrix, &mut y, n_out, rows, Write::Overwrite);
                    let dy = &dy[first * n_out..];
                    backward_input(&device, dy, n_out, matrix, &mut dx, n_in, rows, Write::Overwrite);
                    assert_eq!(y, all_y[first * n_out..][..rows * n_out], "y {isa:?} {threads} {first} {rows}");
                    assert_eq!(dx, all_dx[first * n_in..][..rows * n_in], "dx {isa:?} {threads} {first} {rows}");
                }
            }
        }
    }
}

/// The same in f32, for few rows (dot products) and for many (panels), each among themselves.
#[test]
fn rows_of_f32_products_stand_alone() {
    let (most, n_out, n_in) = (120, 83, 601);
    let case = Case { n_rows: most, n_out, n_in, gap: 0, write: Write::Overwrite };
    let (x, weight) = (case.x(), case.weight());
    let matrix = Matrix::F32 { weight: &weight, n_out, n_in };
    let run = |device: &Device, first: usize, rows: usize| {
        let mut y = vec![0.0; rows * n_out];
        forward(device, &x[first * n_in..], n_in, matrix, &mut y, n_out, rows, Write::Overwrite);
        y
    };
    for isa in Isa::ALL {
        let Ok(device) = Device::with_isa(1, isa) else { continue };
        let (many, few) = (run(&device, 0, most), run(&device, 0, 32));
        for threads in 1..=3 {
            let device = Device::with_isa(threads, isa).expect("it was there a moment ago");
            for (first, rows) in [(0, 33), (50, 65), (5, 100)] {
                assert_eq!(
                    run(&device, first, rows),
                    many[first * n_out..][..rows * n_out],
                    "{isa:?} {threads} {rows}"
                );
            }
            for (first, rows) in [(0, 1), (7, 2), (3, 8), (29, 3), (0, 32)] {
                assert_eq!(run(&device, first, rows), few[first * n_out..][..rows * n_out], "{isa:?} {threads} {rows}");
            }
        }
    }
}

/// Worked by hand from the definition: largest magnitude 254 gives scale 2 and inverse ½, so 1 → 0.5 → 1 (half away
/// from zero; half to even would give 0), −3 → −1.5 → −2, 5 → 2.5 → 3, 4.9 → 2.45 → 2.
#[test]
fn q8_rounds_half_away_from_zero() {
    let mut weight = [0.0f32; 32];
    weight[..5].copy_from_slice(&[254.0, 1.0, -3.0, 5.0, 4.9]);
    let device = Device::with_isa(1, Isa::Portable).expect("always there");
    let mut row = [1.0f32; 32];
    PackedQ8::quantize(&device, &weight, 1, 32).read_row(0, &mut row);
    assert_eq!(row[..6], [254.0, 2.0, -4.0, 6.0, 4.0, 0.0]);
}

/// A NaN in is a NaN out: a diverged loss must show.
#[test]
fn nan_survives_packing() {
    for device in devices(1) {
        let mut packed = PackedBf16::zeros(3, 5);
        packed.pack_rows(&device, 0, &[1.0; 15]);
        let x = [f32::NAN, 1.0, 1.0, 1.0, 1.0, -f32::from_bits(0x7fff_ffff), 0.0, 0.0, 0.0, 0.0];
        let mut y = [0.0; 6];
        forward(&device, &x, 5, Matrix::Bf16(&packed), &mut y, 3, 2, Write::Overwrite);
        assert!(y.iter().all(|y| y.is_nan()), "{:?} {y:?}", device.isa);
    }
}
