use super::*;
use crate::twin::{assert_close, assert_slope, devices, noise, wide};

const EPSILON: f32 = 1e-3;
const SHAPES: [(usize, usize); 5] = [(1, 1), (3, 7), (5, 33), (2, 130), (300, 576)];

fn rms_twin(x: &[f64], w: &[f64]) -> Vec<f64> {
    let rows = x.chunks(w.len()).flat_map(|x| {
        let mean = x.iter().map(|x| x * x).sum::<f64>() / w.len() as f64;
        let s = 1.0 / (mean + EPSILON as f64).sqrt();
        x.iter().zip(w).map(move |(x, w)| x * s * w).collect::<Vec<_>>()
    });
    rows.collect()
}

fn layer_twin(x: &[f64], w: &[f64], b: &[f64]) -> Vec<f64> {
    let n = w.len() as f64;
    let rows = x.chunks(w.len()).flat_map(|x| {
        let mean = x.iter().sum::<f64>() / n;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let s = 1.0 / (variance + EPSILON as f64).sqrt();
        x.iter().zip(w.iter().zip(b)).map(move |(x, (w, b))| (x - mean) * s * w + b).collect::<Vec<_>>()
    });
    rows.collect()
}

/// (dx, dw) of Σ y·dy.
fn rms_gradient(x: &[f64], w: &[f64], dy: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let n = w.len();
    let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; n]);
    for row in 0..x.len() / n {
        let r = row * n..(row + 1) * n;
        let (x, dy) = (&x[r.clone()], &dy[r.clone()]);
        let s = 1.0 / (x.iter().map(|x| x * x).sum::<f64>() / n as f64 + EPSILON as f64).sqrt();
        let p: f64 = (0..n).map(|i| x[i] * w[i] * dy[i]).sum();
        for i in 0..n {
            dx[r.start + i] = s * w[i] * dy[i] - x[i] * s.powi(3) * p / n as f64;
            dw[i] += dy[i] * x[i] * s;
        }
    }
    (dx, dw)
}

/// (dx, dw, db) of Σ y·dy.
fn layer_gradient(x: &[f64], w: &[f64], dy: &[f64]) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let n = w.len();
    let (mut dx, mut dw, mut db) = (vec![0.0; x.len()], vec![0.0; n], vec![0.0; n]);
    for row in 0..x.len() / n {
        let r = row * n..(row + 1) * n;
        let (x, dy) = (&x[r.clone()], &dy[r.clone()]);
        let mean = x.iter().sum::<f64>() / n as f64;
        let s = 1.0 / (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64 + EPSILON as f64).sqrt();
        let u: Vec<f64> = x.iter().map(|x| (x - mean) * s).collect();
        let g: Vec<f64> = (0..n).map(|i| w[i] * dy[i]).collect();
        let mean_g = g.iter().sum::<f64>() / n as f64;
        let mean_gu = (0..n).map(|i| g[i] * u[i]).sum::<f64>() / n as f64;
        for i in 0..n {
            dx[r.start + i] = s * (g[i] - mean_g - u[i] * mean_gu);
            dw[i] += dy[i] * u[i];
            db[i] += dy[i];
        }
    }
    (dx, dw, db)
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
fn sum(a: &[f64], b: &[f32]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + *b as f64).collect()
}

#[test]
fn the_twins_gradients_are_slopes() {
    for (rows, n) in [(1, 1), (2, 7), (3, 5)] {
        let (x, w) = (wide(&noise(1, rows * n)), wide(&noise(2, n)));
        let (b, dy) = (wide(&noise(3, n)), wide(&noise(4, rows * n)));
        let (dx, dw) = rms_gradient(&x, &w, &dy);
        assert_slope("rms dx", &x, &dx, |x| product(&rms_twin(x, &w), &dy));
        assert_slope("rms dw", &w, &dw, |w| product(&rms_twin(&x, w), &dy));
        let (dx, dw, db) = layer_gradient(&x, &w, &dy);
        assert_slope("layer dx", &x, &dx, |x| product(&layer_twin(x, &w, &b), &dy));
        assert_slope("layer dw", &w, &dw, |w| product(&layer_twin(&x, w, &b), &dy));
        assert_slope("layer db", &b, &db, |b| product(&layer_twin(&x, &w, b), &dy));
    }
}

#[test]
fn rms_norm_matches_its_twin() {
    for (rows, n) in SHAPES {
        let (x, w, dy) = (noise(5, rows * n), noise(6, n), noise(7, rows * n));
        let (before_x, before_w) = (noise(8, rows * n), noise(9, n));
        let (dx64, dw64) = rms_gradient(&wide(&x), &wide(&w), &wide(&dy));
        for device in devices() {
            let (mut y, mut inverse) = (vec![f32::NAN; rows * n], vec![f32::NAN; rows]);
            rms_forward(&device, &x, &w, EPSILON, &mut y, &mut inverse);
            assert_close("y", &y, &rms_twin(&wide(&x), &wide(&w)), 5e-7);
            let (mut dx, mut dw) = (before_x.clone(), before_w.clone());
            rms_backward(&device, &x, &w, &inverse, &dy, &mut dx, Some(&mut dw));
            assert_close("dx", &dx, &sum(&dx64, &before_x), 2e-6);
            assert_close("dw", &dw, &sum(&dw64, &before_w), 2e-6);
            let mut dx_only = before_x.clone();
            rms_backward(&device, &x, &w, &inverse, &dy, &mut dx_only, None);
            assert_eq!(dx_only, dx);
        }
    }
}

#[test]
fn layer_norm_matches_its_twin() {
    for (rows, n) in SHAPES {
        // Far from zero mean, where a one-pass variance would lose digits.
        let x: Vec<f32> = noise(5, rows * n).into_iter().map(|x| x + 3.0).collect();
        let (w, b, dy) = (noise(6, n), noise(10, n), noise(7, rows * n));
        let (before_x, before_w, before_b) = (noise(8, rows * n), noise(9, n), noise(11, n));
        let (dx64, dw64, db64) = layer_gradient(&wide(&x), &wide(&w), &wide(&dy));
        for device in devices() {
            let mut y = vec![f32::NAN; rows * n];
            let (mut mean, mut inverse) = (vec![f32::NAN; rows], vec![f32::NAN; rows]);
            layer_forward(&device, &x, &w, &b, EPSILON, &mut y, &mut mean, &mut inverse);
            assert_close("y", &y, &layer_twin(&wide(&x), &wide(&w), &wide(&b)), 3e-6);
            let (mut dx, mut dw, mut db) = (before_x.clone(), before_w.clone(), before_b.clone());
            layer_backward(&device, &x, &w, &mean, &inverse, &dy, &mut dx, Some((&mut dw, &mut db)));
            assert_close("dx", &dx, &sum(&dx64, &before_x), 5e-6);
            assert_close("dw", &dw, &sum(&dw64, &before_w), 5e-6);
            assert_close("db", &db, &sum(&db64, &before_b), 5e-6);
        }
    }
}

#[test]
fn heads_are_normed_in_place_and_the_rest_is_left_alone() {
    for (rows, n_heads, n) in [(1, 1, 1), (4, 3, 7), (9, 2, 64), (200, 5, 80)] {
        let (offset, width) = (3, n_heads * n);
        let stride = offset + width + 2;
        let (x, w) = (noise(1, rows * stride), noise(2, n));
        let (dy, before_w) = (noise(3, rows * stride), noise(4, n));
        let heads =
            |x: &[f32]| -> Vec<f64> { x.chunks(stride).flat_map(|row| wide(&row[offset..offset + width])).collect() };
        let put = |x: &[f32], heads: &[f64]| -> Vec<f64> {
            let mut out = wide(x);
            for (row, heads) in out.chunks_mut(stride).zip(heads.chunks(width)) {
                row[offset..offset + width].copy_from_slice(heads);
            }
            out
        };
        let (dx64, dw64) = rms_gradient(&heads(&x), &wide(&w), &heads(&dy));
        for device in devices() {
            let mut y = x.clone();
            let (mut inverse, mut before) = (vec![0.0; rows * n_heads], vec![0.0; rows * width]);
            rms_heads_forward(&device, &mut y, stride, offset, n_heads, &w, EPSILON, &mut inverse, Some(&mut before));
            assert_close("y", &y, &put(&x, &rms_twin(&heads(&x), &wide(&w))), 5e-7);
            assert_eq!(wide(&before), heads(&x));
            let (mut dx, mut dw) = (dy.clone(), before_w.clone());
            rms_heads_backward(&device, &before, &w, &inverse, &mut dx, stride, offset, n_heads, Some(&mut dw));
            assert_close("dx", &dx, &put(&dy, &dx64), 3e-6);
            assert_close("dw", &dw, &sum(&dw64, &before_w), 3e-6);
        }
    }
}

#[test]
fn weight_gradients_do_not_depend_on_the_number_of_threads() {
    let (rows, n) = (777, 65);
    let (x, w, dy) = (noise(1, rows * n), noise(2, n), noise(3, rows * n));
    let inverse = vec![1.3; rows];
    let gradient = |threads| {
        let device = Device::with_isa(threads, crate::Isa::best()).expect("the best there is");
        let (mut dx, mut dw) = (vec![0.0; rows * n], vec![0.0; n]);
        rms_backward(&device, &x, &w, &inverse, &dy, &mut dx, Some(&mut dw));
        (dx, dw)
    };
    assert_eq!(gradient(1), gradient(2));
    assert_eq!(gradient(1), gradient(3));
}
