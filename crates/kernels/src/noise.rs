//! Noise for training: dropout (arXiv 1207.0580) and uniform embedding noise (NEFTune, arXiv 2310.05914).
//!
//! The numbers come from a counter: element i of stream s under a seed always gets the same number, whatever
//! the number of threads, so a mask is never stored but drawn again in the backward pass.
use crate::Device;
use crate::pool::SharedMut;
use crate::vector::{Lanes, per_isa};

/// Elements worth waking a worker for.
const GRAIN: usize = 4096;

/// Inverted dropout in place: each element becomes 0 with `probability`, else is multiplied by 1/(1 − probability).
/// The mask depends on (seed, stream, index) only: the same call on the gradient is the backward pass.
pub fn dropout(device: &Device, seed: u64, stream: u64, probability: f32, x: &mut [f32]) {
    assert!((0.0..=1.0).contains(&probability), "dropout probability {probability}");
    if probability == 0.0 {
        return;
    }
    let key = stream_key(seed, stream);
    let threshold = (probability as f64 * 4_294_967_296.0) as u64;
    let factor = if probability < 1.0 { 1.0 / (1.0 - probability) } else { 0.0 };
    let shared = SharedMut::new(x);
    device.pool.split(shared.len(), GRAIN, |_, range| {
        // SAFETY: the ranges of a split don't overlap.
        let x = unsafe { shared.range(range.clone()) };
        dropout_slice(device.isa, key, range.start as u64, threshold, factor, x);
    });
}

/// x += uniform noise in (−magnitude, magnitude). The noise depends on (seed, stream, index) only.
pub fn add_uniform_noise(device: &Device, seed: u64, stream: u64, magnitude: f32, x: &mut [f32]) {
    let key = stream_key(seed, stream);
    let shared = SharedMut::new(x);
    device.pool.split(shared.len(), GRAIN, |_, range| {
        // SAFETY: the ranges of a split don't overlap.
        let x = unsafe { shared.range(range.clone()) };
        noise_slice(device.isa, key, range.start as u64, magnitude, x);
    });
}

/// Where a stream begins: two rounds, so that neighbouring seeds and streams have nothing to do with each other.
fn stream_key(seed: u64, stream: u64) -> u64 {
    mix(mix(seed).wrapping_add(stream))
}

/// SplitMix64 (Steele, Lea and Flood 2014): a bijection whose outputs for a running counter pass the usual tests.
#[inline(always)]
fn mix(counter: u64) -> u64 {
    let z = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// 32 bits for an element.
#[inline(always)]
fn bits(key: u64, index: u64) -> u64 {
    mix(key.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15))) >> 32
}

per_isa! { fn dropout_slice(key: u64, first: u64, threshold: u64, factor: f32, x: &mut [f32]) = dropout_body; }
#[inline(always)]
fn dropout_body<V: Lanes>(key: u64, first: u64, threshold: u64, factor: f32, x: &mut [f32]) {
    for (i, x) in x.iter_mut().enumerate() {
        let keep = bits(key, first + i as u64) >= threshold;
        *x = if keep { *x * factor } else { 0.0 };
    }
}

per_isa! { fn noise_slice(key: u64, first: u64, magnitude: f32, x: &mut [f32]) = noise_body; }
#[inline(always)]
fn noise_body<V: Lanes>(key: u64, first: u64, magnitude: f32, x: &mut [f32]) {
    // 24 bits and a half step: symmetric about zero, never ±1.
    let step = magnitude / (1 << 23) as f32;
    for (i, x) in x.iter_mut().enumerate() {
        let uniform = (bits(key, first + i as u64) >> 8) as i32 - (1 << 23);
        *x += (uniform as f32 + 0.5) * step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twin::devices;

    const N: usize = 100_000;

    #[test]
    fn a_mask_keeps_the_mean_and_is_the_same_everywhere() {
        let reference: Vec<f32> = {
            let mut x = vec![2.0; N];
            dropout(&devices()[0], 7, 3, 0.2, &mut x);
            x
        };
        assert!(reference.iter().all(|&x| x == 0.0 || x == 2.5));
        let dropped = reference.iter().filter(|&&x| x == 0.0).count() as f64;
        // Five standard deviations of a binomial: 5·√(n·p·q) = 632.
        assert!((dropped - 0.2 * N as f64).abs() < 632.0, "{dropped}");
        for device in devices() {
            let mut x = vec![2.0; N];
            dropout(&device, 7, 3, 0.2, &mut x);
            assert_eq!(x, reference);
            // A part of a buffer has the mask of its start, not of its length.
            dropout(&device, 7, 3, 0.2, &mut x[..33]);
            assert!((0..33).all(|i| x[i] == reference[i] * 1.25));
        }
    }

    #[test]
    fn neighbouring_elements_streams_and_seeds_are_independent() {
        let device = &devices()[0];
        let mask = |seed, stream| {
            let mut x = vec![1.0; N];
            dropout(device, seed, stream, 0.5, &mut x);
            x
        };
        // The products of two independent ±1 have mean 0 and standard deviation 1/√n = 0.0032; five of them.
        let correlation = |a: &[f32], b: &[f32]| {
            let sum: f32 = a.iter().zip(b).map(|(a, b)| (a - 1.0) * (b - 1.0)).sum();
            sum / N as f32
        };
        let reference = mask(1, 0);
        for other in [mask(1, 1), mask(2, 0), mask(0, 1), mask(0, 2)] {
            assert!(correlation(&reference, &other).abs() < 0.016);
        }
        assert!(correlation(&reference[1..], &reference).abs() < 0.016);
    }

    #[test]
    fn the_ends_of_the_range_of_probabilities() {
        for device in devices() {
            let mut x = [3.0; 50];
            dropout(&device, 1, 1, 0.0, &mut x);
            assert_eq!(x, [3.0; 50]);
            dropout(&device, 1, 1, 1.0, &mut x);
            assert_eq!(x, [0.0; 50]);
        }
    }

    #[test]
    fn noise_is_uniform_and_the_same_everywhere() {
        let reference: Vec<f32> = {
            let mut x = vec![0.0; N];
            add_uniform_noise(&devices()[0], 5, 2, 0.3, &mut x);
            x
        };
        assert!(reference.iter().all(|x| x.abs() < 0.3));
        // Mean 0 ± 5·0.3/√(3n), second moment 0.03 ± 5·0.09·√(4/45n).
        let mean = reference.iter().map(|&x| x as f64).sum::<f64>() / N as f64;
        let square = reference.iter().map(|&x| x as f64 * x as f64).sum::<f64>() / N as f64;
        assert!(mean.abs() < 0.003 && (square - 0.03).abs() < 5e-4, "{mean} {square}");
        for device in devices() {
            let mut x = vec![0.0; N];
            add_uniform_noise(&device, 5, 2, 0.3, &mut x);
            assert_eq!(x, reference);
        }
    }
}
