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
    let mut table = vec![0.0; categories.len() * categories.len()];
    for (a, b) in a.iter().zip(b) {
        table[place(*a, &categories) * categories.len() + place(*b, &categories)] += 1.0;
    }
    cohen_of_table(&table, categories.len(), weights)
}

/// Where a rating stands among the sorted values.
pub(crate) fn place(rating: f64, values: &[f64]) -> usize {
    values.partition_point(|value| *value < rating)
}

/// κ of a table of counts, row by row: the first labeler's categories by the second's. A category
/// that neither uses changes nothing, not even how far others are apart.
pub(crate) fn cohen_of_table(table: &[f64], categories: usize, weights: Weights) -> Result<f64, Error> {
    let by_a: Vec<f64> = (0..categories).map(|i| (0..categories).map(|j| table[i * categories + j]).sum()).collect();
    let by_b: Vec<f64> = (0..categories).map(|j| (0..categories).map(|i| table[i * categories + j]).sum()).collect();
    let n: f64 = by_a.iter().sum();
    at_least("rated things", 1, n as usize)?;
    let used: Vec<usize> = (0..categories).filter(|&i| by_a[i] + by_b[i] > 0.0).collect();
    let (mut observed, mut expected) = (0.0, 0.0);
    for (place_a, &i) in used.iter().enumerate() {
        for (place_b, &j) in used.iter().enumerate() {
            let cost = weights.cost(place_a, place_b);
            observed += cost * table[i * categories + j];
            expected += cost * by_a[i] * by_b[j] / n;
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
    let mut sums = FleissSums { units: units as f64, agreeing: 0.0, totals: vec![0.0; categories.len()] };
    for unit in 0..units {
        let of_unit: Vec<f64> = ratings.iter().map(|row| row[unit]).collect();
        sums.agreeing += agreeing_pairs(&of_unit);
        of_unit.iter().for_each(|rating| sums.totals[place(*rating, &categories)] += 1.0);
    }
    sums.kappa(ratings.len())
}

/// Ordered pairs of a unit's ratings that are equal.
pub(crate) fn agreeing_pairs(unit: &[f64]) -> f64 {
    let equal = |a: &f64| unit.iter().filter(|b| *b == a).count() - 1;
    unit.iter().map(|rating| equal(rating) as f64).sum()
}

/// What Fleiss' κ of units with equally many ratings stands on.
pub(crate) struct FleissSums {
    pub units: f64,
    /// Ordered pairs of equal ratings of one unit.
    pub agreeing: f64,
    /// How often each category is used.
    pub totals: Vec<f64>,
}

impl FleissSums {
    pub(crate) fn kappa(&self, raters: usize) -> Result<f64, Error> {
        let raters = raters as f64;
        let observed = self.agreeing / (raters * (raters - 1.0) * self.units);
        let share = |total: &f64| total / (raters * self.units);
        let expected: f64 = self.totals.iter().map(share).map(|share| share * share).sum();
        if expected >= 1.0 {
            return Err(Error::Undefined { what: "Fleiss' kappa", why: "only one category is used" });
        }
        Ok((observed - expected) / (1.0 - expected))
    }
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
