//! Forward-mode differentiation over a handful of inputs: one formula yields value and gradient.
//!
//! A loss written over [`Real`] is evaluated with [`Dual`] numbers, which carry the derivative by
//! each trained input along. The formula in a loss's file is therefore the only place where that
//! loss is written down: no hand-made derivative can disagree with it.

use crate::numeric;
use std::ops::{Add, Mul, Neg, Sub};

/// The arithmetic a loss formula may use.
pub trait Real:
    Copy + From<f64> + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Neg<Output = Self>
{
    /// The number without its derivatives.
    fn value(self) -> f64;
    /// σ(x).
    fn sigmoid(self) -> Self;
    /// log σ(x).
    fn log_sigmoid(self) -> Self;
    /// e^x, the exponent bounded by [`numeric::EXPONENT_MAX`].
    fn exp(self) -> Self;
    /// log(1 − e^x), x < 0.
    fn log_one_minus_exp(self) -> Self;
    /// x limited to `[low, high]`; the derivative is 0 outside.
    fn clamp(self, low: f64, high: f64) -> Self;
    /// The larger of two numbers; `self` when they are equal, NaN when either is.
    fn larger(self, other: Self) -> Self;

    /// x².
    fn squared(self) -> Self {
        self * self
    }
    /// max(0, x), with derivative 0 at the kink.
    fn relu(self) -> Self {
        Self::from(0.0).larger(self)
    }
    /// x times a constant.
    fn times(self, factor: f64) -> Self {
        self * Self::from(factor)
    }
}

/// A number and its derivatives by N inputs.
#[derive(Clone, Copy, Debug)]
pub struct Dual<const N: usize> {
    /// The value.
    pub value: f64,
    /// The derivative by each input.
    pub slope: [f64; N],
}

impl<const N: usize> Dual<N> {
    /// Input number `index`, with the given value.
    pub fn input(value: f64, index: usize) -> Self {
        let mut slope = [0.0; N];
        slope[index] = 1.0;
        Dual { value, slope }
    }

    /// f(self), given f's value and derivative there.
    fn chain(self, value: f64, derivative: f64) -> Self {
        Dual { value, slope: self.slope.map(|slope| slope * derivative) }
    }

    /// f(self, other), given f's value and both partial derivatives.
    fn join(self, other: Self, value: f64, by_self: f64, by_other: f64) -> Self {
        let slope = std::array::from_fn(|i| by_self * self.slope[i] + by_other * other.slope[i]);
        Dual { value, slope }
    }
}

impl<const N: usize> From<f64> for Dual<N> {
    fn from(value: f64) -> Self {
        Dual { value, slope: [0.0; N] }
    }
}

impl<const N: usize> Add for Dual<N> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.join(other, self.value + other.value, 1.0, 1.0)
    }
}

impl<const N: usize> Sub for Dual<N> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.join(other, self.value - other.value, 1.0, -1.0)
    }
}

impl<const N: usize> Mul for Dual<N> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        self.join(other, self.value * other.value, other.value, self.value)
    }
}

impl<const N: usize> Neg for Dual<N> {
    type Output = Self;
    fn neg(self) -> Self {
        self.chain(-self.value, -1.0)
    }
}

impl<const N: usize> Real for Dual<N> {
    fn value(self) -> f64 {
        self.value
    }
    fn sigmoid(self) -> Self {
        let value = numeric::sigmoid(self.value);
        self.chain(value, value * numeric::sigmoid(-self.value))
    }
    fn log_sigmoid(self) -> Self {
        self.chain(numeric::log_sigmoid(self.value), numeric::sigmoid(-self.value))
    }
    fn exp(self) -> Self {
        let value = numeric::exp_bounded(self.value);
        self.chain(value, value)
    }
    fn log_one_minus_exp(self) -> Self {
        self.chain(numeric::log_one_minus_exp(self.value), -1.0 / (-self.value).exp_m1())
    }
    fn clamp(self, low: f64, high: f64) -> Self {
        if self.value < low {
            Self::from(low)
        } else if self.value > high {
            Self::from(high)
        } else {
            self
        }
    }
    fn larger(self, other: Self) -> Self {
        if other.value > self.value || other.value.is_nan() { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(at: f64, f: impl Fn(Dual<1>) -> Dual<1>) -> Result<(), TestCaseError> {
        let step = 1e-6;
        let value = |x: f64| f(Dual::input(x, 0)).value;
        let slope = (value(at + step) - value(at - step)) / (2.0 * step);
        let got = f(Dual::input(at, 0)).slope[0];
        prop_assert!((got - slope).abs() < 1e-5 * (1.0 + slope.abs()), "at {at}: {got} vs {slope}");
        Ok(())
    }

    proptest! {
        #[test]
        fn every_derivative_is_the_slope(x in 0.05f64..4.0) {
            check(x, Real::sigmoid)?;
            check(-x, Real::log_sigmoid)?;
            check(x, Real::exp)?;
            check(-x, Real::log_one_minus_exp)?;
            check(x, |x| x.clamp(0.01, 1e3).squared() - x.times(3.0) * x)?;
            check(x, |x| (-x).larger(Dual::from(1.0) - x.squared()).relu().times(0.0) + x.relu())?;
        }
    }

    #[test]
    fn larger_keeps_a_nan_from_either_side() {
        let (nan, one) = (Dual::<1>::from(f64::NAN), Dual::<1>::from(1.0));
        assert!(nan.larger(one).value.is_nan() && one.larger(nan).value.is_nan());
    }
}
