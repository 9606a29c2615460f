//! Agreement beyond chance: Cohen's κ for two labelers, Fleiss' κ for several.

use crate::Error;
use crate::error::{all_finite, at_least, same_length};

/// How much a disagreement costs by the distance of the categories, in order of their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// Every disagreement costs the same.
    Unweighted,
    /// The distance |i − j|.
    Linear,
    /// Its square.
    Quadratic,
}

impl Weights {
    fn cost(self, i: usize, j: usize) -> f64 {
        let distance = i.abs_diff(j) as f64;
        match self {
            Weights::Unweighted => f64::from(i != j),
            Weights::Linear => distance,
            Weights::Quadratic => distance * distance,
        }
    }
}

/// Cohen's κ = 1 − Σ w·observed / Σ w·expected of two labelers' categories (numbers; their order
/// matters for weights). Cohen 1960, weighted: 1968.
pub fn cohen_kappa(a: &[f64], b: &[f64], weights: Weights) -> Result<f64, Error> {
    same_length("second ratings (one per first)", a.len(), b.len())?;
    at_least("rated things", 1, a.len())?;
    all_finite("a rating", a)?;
    all_finite("a rating", b)?;
    let categories = distinct(a.iter().chain(b));
    let of = |rating: &f64| categories.partition_point(|category| category < rating);
    let mut margins = vec![(0.0, 0.0); categories.len()];
    let mut observed = 0.0;
    for (a, b) in a.iter().zip(b) {
        observed += weights.cost(of(a), of(b));
        margins[of(a)].0 += 1.0;
        margins[of(b)].1 += 1.0;
    }
    let mut expected = 0.0;
    for (i, (by_a, _)) in margins.iter().enumerate() {
        for (j, (_, by_b)) in margins.iter().enumerate() {
            expected += weights.cost(i, j) * by_a * by_b / a.len() as f64;
        }
    }
    if expected == 0.0 {
        return Err(Error::Undefined { what: "Cohen's kappa", why: "both labelers use one and the same category" });
    }
    Ok(1.0 - observed / expected)
}

/// Fleiss' κ of several labelers: `ratings[rater][unit]`, every unit rated by all. Fleiss 1971.
pub fn fleiss_kappa(ratings: &[Vec<f64>]) -> Result<f64, Error> {
    at_least("labelers", 2, ratings.len())?;
    let units = ratings[0].len();
    at_least("rated things", 1, units)?;
    for row in ratings {
        same_length("ratings of a labeler", units, row.len())?;
        all_finite("a rating", row)?;
    }
    let categories = distinct(ratings.iter().flatten());
    let raters = ratings.len() as f64;
    let mut totals = vec![0.0; categories.len()];
    let mut agreeing = 0.0;
    for unit in 0..units {
        let mut counts = vec![0.0; categories.len()];
        for row in ratings {
            counts[categories.partition_point(|category| *category < row[unit])] += 1.0;
        }
        agreeing += counts.iter().map(|n| n * (n - 1.0)).sum::<f64>() / (raters * (raters - 1.0));
        totals.iter_mut().zip(&counts).for_each(|(total, count)| *total += count);
    }
    let observed = agreeing / units as f64;
    let share = |total: &f64| total / (raters * units as f64);
    let expected: f64 = totals.iter().map(share).map(|share| share * share).sum();
    if expected >= 1.0 {
        return Err(Error::Undefined { what: "Fleiss' kappa", why: "only one category is used" });
    }
    Ok((observed - expected) / (1.0 - expected))
}

/// The distinct values, sorted.
pub(crate) fn distinct<'a>(values: impl Iterator<Item = &'a f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.copied().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.dedup();
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::close;

    #[test]
    fn cohen_worked_by_hand() {
        // Agreement on 35 of 50 with margins 25:25 and 30:20: p_e = .5, κ = .4 (Cohen's own kind
        // of table: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no).
        let table = [(20, 1.0, 1.0), (5, 1.0, 0.0), (10, 0.0, 1.0), (15, 0.0, 0.0)];
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for (count, by_a, by_b) in table {
            a.extend(vec![by_a; count]);
            b.extend(vec![by_b; count]);
        }
        close(cohen_kappa(&a, &b, Weights::Unweighted).unwrap(), 0.4, 1e-12);
        // Two categories: weights change nothing.
        close(cohen_kappa(&a, &b, Weights::Quadratic).unwrap(), 0.4, 1e-12);
        // Ratings 1 3 2 against 1 2 3: costs 0 1 1; expected linear Σ|i−j|/9·3 = 8/3.
        let linear = cohen_kappa(&[1.0, 3.0, 2.0], &[1.0, 2.0, 3.0], Weights::Linear).unwrap();
        close(linear, 1.0 - 2.0 / (8.0 / 3.0), 1e-12);
        assert!(matches!(cohen_kappa(&[1.0], &[1.0], Weights::Linear), Err(Error::Undefined { .. })));
    }

    #[test]
    fn fleiss_worked_by_hand() {
        // Two units, three raters: (a a b), (b b b). P = (1/3 + 1)/2 = 2/3; shares 1/3, 2/3:
        // P_e = 5/9; κ = (2/3 − 5/9)/(4/9) = 1/4.
        let ratings = [vec![0.0, 1.0], vec![0.0, 1.0], vec![1.0, 1.0]];
        close(fleiss_kappa(&ratings).unwrap(), 0.25, 1e-12);
        assert!(matches!(fleiss_kappa(&ratings[..1]), Err(Error::TooFew { .. })));
        assert!(matches!(fleiss_kappa(&[vec![1.0], vec![1.0]]), Err(Error::Undefined { .. })));
        assert!(matches!(fleiss_kappa(&[vec![1.0], vec![]]), Err(Error::Length { .. })));
    }
}
