//! Pearson's and Spearman's correlation.

use crate::error::{all_finite, at_least, is_level, same_length};
use crate::special::normal_quantile;
use crate::{Error, Interval};

/// Pearson's product-moment correlation. Undefined when either side is constant.
pub fn pearson(x: &[f64], y: &[f64]) -> Result<f64, Error> {
    same_length("second values (one per first)", x.len(), y.len())?;
    at_least("pairs for a correlation", 2, x.len())?;
    all_finite("a value", x)?;
    all_finite("a value", y)?;
    let n = x.len() as f64;
    let (mean_x, mean_y) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (dx, dy) = (x - mean_x, y - mean_y);
        xx += dx * dx;
        yy += dy * dy;
        xy += dx * dy;
    }
    if xx == 0.0 || yy == 0.0 {
        return Err(Error::Undefined { what: "the correlation", why: "one side is constant" });
    }
    Ok((xy / (xx.sqrt() * yy.sqrt())).clamp(-1.0, 1.0))
}

/// Spearman's rank correlation: Pearson's on average ranks.
pub fn spearman(x: &[f64], y: &[f64]) -> Result<f64, Error> {
    all_finite("a value", x)?;
    all_finite("a value", y)?;
    pearson(&average_ranks(x), &average_ranks(y))
}

/// Ranks from 1, equal values sharing the mean of theirs.
pub fn average_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let equal = |&&index: &&usize| values[index] == values[order[start]];
        let end = start + order[start..].iter().take_while(equal).count();
        // A NaN equals nothing: it still takes one place.
        let end = end.max(start + 1);
        let shared = (start + end + 1) as f64 / 2.0;
        order[start..end].iter().for_each(|&index| ranks[index] = shared);
        start = end;
    }
    ranks
}

/// The interval of a correlation over `n` independent pairs by Fisher's z = artanh r, with
/// standard error 1/√(n − 3).
pub fn fisher_interval(r: f64, n: usize, level: f64) -> Result<Interval, Error> {
    is_level(level)?;
    at_least("pairs for the interval of a correlation", 4, n)?;
    if !(-1.0..=1.0).contains(&r) {
        return Err(Error::OutOfRange { what: "a correlation", found: r, expected: "a number from −1 to 1" });
    }
    let half = normal_quantile(0.5 + level / 2.0) / ((n - 3) as f64).sqrt();
    let z = r.atanh();
    Ok(Interval { estimate: r, low: (z - half).tanh(), high: (z + half).tanh(), level, n })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::close;
    use proptest::prelude::*;

    #[test]
    fn worked_by_hand() {
        // dx = −1, 0, 1; dy = −4/3, −1/3, 5/3: 3/√(2·14/3).
        close(pearson(&[1.0, 2.0, 3.0], &[1.0, 2.0, 4.0]).unwrap(), 3.0 / (28.0f64 / 3.0).sqrt(), 1e-14);
        assert_eq!(average_ranks(&[5.0, 1.0, 5.0, 7.0]), [2.5, 1.0, 2.5, 4.0]);
        close(spearman(&[1.0, 2.0, 9.0], &[-3.0, 0.0, 0.1]).unwrap(), 1.0, 1e-15);
        assert!(matches!(pearson(&[1.0, 1.0], &[1.0, 2.0]), Err(Error::Undefined { .. })));
        assert!(matches!(pearson(&[1.0], &[1.0, 2.0]), Err(Error::Length { .. })));
    }

    #[test]
    fn fisher_interval_worked_by_hand() {
        // tanh(artanh .5 ± 1.959964/√25).
        let found = fisher_interval(0.5, 28, 0.95).unwrap();
        close(found.low, (0.5493061443340549f64 - 0.3919927969080108).tanh(), 1e-12);
        close(found.high, (0.5493061443340549f64 + 0.3919927969080108).tanh(), 1e-12);
        assert_eq!(fisher_interval(1.0, 10, 0.95).unwrap().high, 1.0);
    }

    proptest! {
        #[test]
        fn scale_and_shift_do_not_matter(x in prop::collection::vec(-5.0f64..5.0, 3..20), a in 0.1f64..9.0, b in -9.0f64..9.0) {
            let y: Vec<f64> = x.iter().enumerate().map(|(i, x)| x * 0.5 + (i as f64).sin()).collect();
            let moved: Vec<f64> = x.iter().map(|x| a * x + b).collect();
            if let (Ok(before), Ok(after)) = (pearson(&x, &y), pearson(&moved, &y)) {
                prop_assert!((before - after).abs() < 1e-9);
            }
        }
    }
}
