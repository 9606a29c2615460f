//! Wilson's interval of a proportion.

use crate::error::is_level;
use crate::special::normal_quantile;
use crate::{Error, Interval};

/// `successes` of `n` with the score interval of Wilson 1927 (JASA 22, 209–212), which stays inside
/// [0, 1] and has a width at 0 and n too.
pub fn proportion(successes: u64, n: u64, level: f64) -> Result<Interval, Error> {
    is_level(level)?;
    if n == 0 {
        return Err(Error::TooFew { what: "trials of a proportion", expected: 1, found: 0 });
    }
    if successes > n {
        let expected = "at most the number of trials";
        return Err(Error::OutOfRange { what: "the number of successes", found: successes as f64, expected });
    }
    let (p, count) = (successes as f64 / n as f64, n as f64);
    let z = normal_quantile(0.5 + level / 2.0);
    let shrink = 1.0 + z * z / count;
    let center = (p + z * z / (2.0 * count)) / shrink;
    let half = z / shrink * (p * (1.0 - p) / count + z * z / (4.0 * count * count)).sqrt();
    // Rounding must not push an end past the estimate at 0 or n.
    let (low, high) = ((center - half).max(0.0).min(p), (center + half).min(1.0).max(p));
    Ok(Interval { estimate: p, low, high, level, n: n as usize })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::close;
    use proptest::prelude::*;

    #[test]
    fn agrees_with_statsmodels() {
        // statsmodels.stats.proportion.proportion_confint(13, 23, method="wilson").
        let found = proportion(13, 23, 0.95).unwrap();
        close(found.low, 0.3681137508501646, 1e-12);
        close(found.high, 0.743653646743258, 1e-12);
        assert!(proportion(3, 2, 0.95).is_err() && proportion(0, 0, 0.95).is_err());
        let none = proportion(0, 10, 0.95).unwrap();
        assert_eq!(none.low, 0.0);
        // z²/(n + z²) at 0 of n.
        close(none.high, 3.841458820694124 / 13.841458820694124, 1e-12);
    }

    proptest! {
        #[test]
        fn holds_the_estimate_and_turns_with_failure(n in 1u64..500, share in 0.0f64..1.0) {
            let successes = (share * n as f64) as u64;
            let found = proportion(successes, n, 0.9).unwrap();
            let turned = proportion(n - successes, n, 0.9).unwrap();
            prop_assert!(found.contains(found.estimate) && found.low >= 0.0 && found.high <= 1.0);
            prop_assert!((found.low + turned.high - 1.0).abs() < 1e-12);
        }
    }
}
