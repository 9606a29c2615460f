//! A mean with its interval.

use crate::error::{all_finite, at_least, is_level};
use crate::special::t_quantile;
use crate::{Error, Interval};

/// The mean of independent observations with Student's t interval: x̄ ± t·s/√n.
pub fn mean(values: &[f64], level: f64) -> Result<Interval, Error> {
    is_level(level)?;
    at_least("observations for an interval", 2, values.len())?;
    all_finite("an observation", values)?;
    let n = values.len() as f64;
    let estimate = values.iter().sum::<f64>() / n;
    let half = t_quantile(0.5 + level / 2.0, n - 1.0) * standard_error(values);
    Ok(Interval { estimate, low: estimate - half, high: estimate + half, level, n: values.len() })
}

/// The standard error s/√n of a mean, s with Bessel's correction. NaN below two values.
pub fn standard_error(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    (sample_variance(values) / n).sqrt()
}

/// The variance with Bessel's correction. NaN below two values.
pub fn sample_variance(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::close;

    #[test]
    fn worked_by_hand() {
        // Mean 3, s² = (4 + 1 + 0 + 1 + 4)/4 = 2.5, t(.975; 4) = 2.77644510…
        let found = mean(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.95).unwrap();
        close(found.estimate, 3.0, 1e-15);
        close(found.half_width(), 2.7764451051977987 * 0.5f64.sqrt(), 1e-10);
        assert!(matches!(mean(&[1.0], 0.95), Err(Error::TooFew { .. })));
        assert!(matches!(mean(&[1.0, f64::NAN], 0.95), Err(Error::OutOfRange { .. })));
        assert!(matches!(mean(&[1.0, 2.0], 1.0), Err(Error::OutOfRange { .. })));
    }
}
