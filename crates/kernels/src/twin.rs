//! What the tests of the kernels share: devices of every kind, noise, comparison with f64 and finite differences.
use crate::{Device, Isa};

/// Every available instruction set with 1 to 3 threads.
pub(crate) fn devices() -> Vec<Device> {
    Isa::ALL
        .into_iter()
        .filter(|isa| isa.is_available())
        .flat_map(|isa| (1..=3).map(move |threads| (threads, isa)))
        .map(|(threads, isa)| Device::with_isa(threads, isa).expect("an available instruction set"))
        .collect()
}

/// Uniform in −1..1, the same for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        // xorshift64* (Vigna 2016).
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..length).map(|_| next()).collect()
}

/// To f64.
pub(crate) fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| x as f64).collect()
}

/// Panics where an element differs from its twin by more than `tolerance`, relative to the largest of the twin or 1.
#[track_caller]
pub(crate) fn assert_close(name: &str, found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{name}: lengths");
    let unit = expected.iter().fold(1.0f64, |m, x| m.max(x.abs()));
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (found as f64 - expected).abs() / unit;
        // Written so that NaN fails.
        assert!(error <= tolerance, "{name}[{i}] = {found}, expected {expected}");
    }
}

/// Panics where `gradient` is not the slope of `loss` at `x` (central differences; f64 twin's own check).
#[track_caller]
pub(crate) fn assert_slope(name: &str, x: &[f64], gradient: &[f64], loss: impl Fn(&[f64]) -> f64) {
    let step = 1e-5;
    for i in 0..x.len() {
        let at = |offset: f64| {
            let mut moved = x.to_vec();
            moved[i] += offset;
            loss(&moved)
        };
        let slope = (at(step) - at(-step)) / (2.0 * step);
        let error = (slope - gradient[i]).abs() / (1.0 + slope.abs());
        assert!(error <= 1e-7, "{name}[{i}]: gradient {}, slope {slope}", gradient[i]);
    }
}
