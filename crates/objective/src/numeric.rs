//! Elementary functions that stay finite where the textbook expression does not.

/// The largest exponent [`exp_bounded`] passes on: e^500 ≈ 1e217, so that sums of many such terms
/// and their squares still fit an f64's range when something upstream has gone wrong.
pub const EXPONENT_MAX: f64 = 500.0;

/// σ(x) = 1/(1 + e^{−x}), without overflow on either side.
pub fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// log(1 + e^x), without overflow and exact for large |x|.
pub fn softplus(x: f64) -> f64 {
    // Spelled with a comparison, not `f64::max`, which would swallow a NaN.
    let positive_part = if x < 0.0 { 0.0 } else { x };
    positive_part + (-x.abs()).exp().ln_1p()
}

/// log σ(x) = −softplus(−x).
pub fn log_sigmoid(x: f64) -> f64 {
    -softplus(-x)
}

/// log(1 − e^x) for x < 0, in the branch that keeps its digits (Mächler 2012, "Accurately
/// computing log(1 − exp(−|a|))", eq. 7).
pub fn log_one_minus_exp(x: f64) -> f64 {
    if x > -std::f64::consts::LN_2 { (-x.exp_m1()).ln() } else { (-x.exp()).ln_1p() }
}

/// e^x, the exponent bounded above by [`EXPONENT_MAX`].
pub fn exp_bounded(x: f64) -> f64 {
    (if x > EXPONENT_MAX { EXPONENT_MAX } else { x }).exp()
}

/// log Σ e^x over `values`; −∞ for none.
pub fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let highest = values
        .clone()
        .fold(f64::NEG_INFINITY, |highest, value| if value.is_nan() || value > highest { value } else { highest });
    if !highest.is_finite() {
        return highest;
    }
    highest + values.map(|value| (value - highest).exp()).sum::<f64>().ln()
}

/// The logit log(p/(1 − p)), the inverse of [`sigmoid`].
pub fn logit(p: f64) -> f64 {
    p.ln() - (-p).ln_1p()
}

/// Mean of an iterator; `None` when it is empty.
pub(crate) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn far_out_values_are_the_asymptotes() {
        assert_eq!(softplus(1e4), 1e4);
        assert_eq!(softplus(-1e4), 0.0);
        assert_eq!(log_sigmoid(-1e4), -1e4);
        assert_eq!((sigmoid(1e4), sigmoid(-1e4)), (1.0, 0.0));
        assert_eq!(log_sum_exp([1e4, -1e4].into_iter()), 1e4);
        assert!(exp_bounded(1e4).is_finite());
        // log(1 − e^{−1e−12}) = log(1e−12) to first order.
        assert!((log_one_minus_exp(-1e-12) - 1e-12f64.ln()).abs() < 1e-9);
    }

    #[test]
    fn nan_is_not_swallowed() {
        for f in [sigmoid, softplus, log_sigmoid, exp_bounded, log_one_minus_exp] {
            assert!(f(f64::NAN).is_nan());
        }
        assert!(log_sum_exp([1.0, f64::NAN, 2.0].into_iter()).is_nan());
    }

    proptest! {
        #[test]
        fn identities_hold(x in -30.0f64..30.0) {
            prop_assert!((sigmoid(x) + sigmoid(-x) - 1.0).abs() < 1e-15);
            prop_assert!((softplus(x) - softplus(-x) - x).abs() < 1e-13);
            prop_assert!((log_sigmoid(x) - sigmoid(x).ln()).abs() < 1e-12);
            prop_assert!((logit(sigmoid(x)) - x).abs() < 1e-2 * (1.0 + x.abs()));
        }
    }
}
