//! The paired permutation test.

use crate::error::{all_finite, at_least};
use crate::{Error, Uniform};

/// Up to this many pairs all sign flips are enumerated.
pub const EXACT_MAX: usize = 20;

/// The two-sided p-value that paired differences are symmetric around 0, by flipping signs:
/// exactly for up to [`EXACT_MAX`] differences, else by `resamples` random flips, counting the
/// sample itself as one (Phipson & Smyth 2010), so that p is never 0.
///
/// Where observations come in clusters (answers to one prompt), pass the sum of differences of
/// each cluster: a cluster flips as a whole.
pub fn p_two_sided(differences: &[f64], resamples: usize, uniform: &mut Uniform<'_>) -> Result<f64, Error> {
    at_least("paired differences", 1, differences.len())?;
    all_finite("a difference", differences)?;
    let observed = differences.iter().sum::<f64>().abs();
    // Sums in another order may differ in the last digits: those count as equal.
    let enough = observed - 1e-12 * differences.iter().map(|d| d.abs()).sum::<f64>();
    if differences.len() <= EXACT_MAX {
        let flips = 1u32 << differences.len();
        let sum = |signs: u32| -> f64 {
            let one = |(i, d): (usize, &f64)| if signs >> i & 1 == 1 { -d } else { *d };
            differences.iter().enumerate().map(one).sum()
        };
        let extreme = (0..flips).filter(|&signs| sum(signs).abs() >= enough).count();
        return Ok(extreme as f64 / f64::from(flips));
    }
    at_least("resamples", 100, resamples)?;
    let mut extreme = 1usize;
    for _ in 0..resamples {
        let sum: f64 = differences.iter().map(|d| if uniform() < 0.5 { -d } else { *d }).sum();
        extreme += usize::from(sum.abs() >= enough);
    }
    Ok(extreme as f64 / (resamples + 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, uniform};

    #[test]
    fn worked_by_hand() {
        // All of 1, 2, 3 positive: only +++ and −−− reach a sum of 6.
        let found = p_two_sided(&[1.0, 2.0, 3.0], 0, &mut uniform(1)).unwrap();
        assert_eq!(found, 2.0 / 8.0);
        // Sum 4 of ±1 ±2 ±3: |±6| and |±4| reach it.
        let found = p_two_sided(&[-1.0, 2.0, 3.0], 0, &mut uniform(1)).unwrap();
        assert_eq!(found, 4.0 / 8.0);
        assert_eq!(p_two_sided(&[0.0, 0.0], 0, &mut uniform(1)).unwrap(), 1.0);
        assert!(p_two_sided(&[], 1000, &mut uniform(1)).is_err());
    }

    #[test]
    fn random_flips_approach_the_exact_p() {
        // The same 20 differences, exactly; with a 21st that is 0, by chance.
        let mut differences: Vec<f64> = (0..20).map(|i| (f64::from(i) * 0.7).sin() + 0.25).collect();
        let exact = p_two_sided(&differences, 0, &mut uniform(2)).unwrap();
        differences.push(0.0);
        let drawn = p_two_sided(&differences, 20_000, &mut uniform(2)).unwrap();
        close(drawn, exact, 0.01);
        assert!(exact > 0.01 && exact < 0.5);
        // Nothing drawn reaches 25 times +1 (chance 2⁻²⁴ each): the sample itself still counts.
        assert_eq!(p_two_sided(&[1.0; 25], 100, &mut uniform(2)).unwrap(), 1.0 / 101.0);
    }

    #[test]
    fn p_is_about_uniform_when_nothing_differs() {
        let mut draw = uniform(3);
        let mut below = 0;
        for _ in 0..400 {
            let differences: Vec<f64> = (0..12).map(|_| draw() - 0.5).collect();
            below += usize::from(p_two_sided(&differences, 0, &mut draw).unwrap() < 0.1);
        }
        // 40 expected, standard deviation 6.
        assert!((22..=58).contains(&below), "{below}");
    }
}
