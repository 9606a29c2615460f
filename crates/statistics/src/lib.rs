//! Intervals, tests, agreement, and strengths fitted to comparisons.
//!
//! Pure functions of numbers in f64. Nothing here reads a file, prints, or draws a random number
//! of its own: what needs chance takes a [`Uniform`], so that the caller's named stream decides and
//! the same seed gives the same bytes.
//!
//! - intervals: [`mean`], [`wilson`], [`bootstrap`] (over clusters: a prompt's answers are not
//!   independent), printed by [`Interval`]
//! - tests: [`sign`], [`permutation`], [`holm`], and how large a sample must be: [`power`]
//! - association: [`correlation`], [`rank_agreement`]
//! - agreement of labelers: [`agreement`] (Cohen, Fleiss), [`krippendorff`]; of clusters drawn again and
//!   again: [`clustered`]
//! - strengths from comparisons: [`win_rate`], [`bradley_terry`], [`plackett_luce`], [`elo`]
//! - how far stated probabilities can be trusted: [`calibration`]
//! - how far a reward can be maximised before what it stands for stops following: [`overoptimisation`]

pub mod agreement;
pub mod bootstrap;
pub mod bradley_terry;
pub mod calibration;
pub mod clustered;
pub mod correlation;
pub mod elo;
pub mod error;
pub mod holm;
pub mod interval;
pub mod krippendorff;
pub mod length_controlled;
mod likelihood;
pub mod mean;
pub mod overoptimisation;
pub mod permutation;
pub mod plackett_luce;
pub mod power;
pub mod rank_agreement;
pub mod sign;
pub mod special;
pub mod wilson;
pub mod win_rate;

pub use error::Error;
pub use interval::Interval;

/// A source of uniform numbers in [0, 1).
pub type Uniform<'a> = dyn FnMut() -> f64 + 'a;

/// A number below `n` by a uniform one.
pub(crate) fn below(uniform: &mut Uniform<'_>, n: usize) -> usize {
    // A source that returns exactly 1 must not index past the end.
    ((uniform() * n as f64) as usize).min(n.saturating_sub(1))
}

#[cfg(test)]
pub(crate) mod testing {
    /// SplitMix64 (Steele, Lea & Flood 2014) as uniform numbers.
    pub fn uniform(seed: u64) -> impl FnMut() -> f64 {
        let mut state = seed;
        move || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
        }
    }

    /// Asserts that two numbers agree to an absolute tolerance.
    #[track_caller]
    pub fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "{found} vs {expected}");
    }
}
