//! Krippendorff's α: agreement of any number of labelers, on any scale, with gaps.

use crate::Error;
use crate::agreement::distinct;
use crate::error::{at_least, same_length};

/// The scale on which ratings differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Names: different or not.
    Nominal,
    /// Ranks: how many ratings lie between.
    Ordinal,
    /// Distances.
    Interval,
    /// Distances relative to size, from a true 0.
    Ratio,
}

/// α = 1 − D_o/D_e from `ratings[rater][unit]`, `None` where a labeler skipped a unit. Units with
/// fewer than two ratings don't count.
///
/// Krippendorff 2011, "Computing Krippendorff's alpha-reliability", by the coincidence matrix.
pub fn alpha(ratings: &[Vec<Option<f64>>], scale: Scale) -> Result<f64, Error> {
    at_least("labelers", 2, ratings.len())?;
    let units = ratings[0].len();
    for row in ratings {
        same_length("ratings of a labeler", units, row.len())?;
    }
    let of_unit = |unit: usize| -> Vec<f64> { ratings.iter().filter_map(|row| row[unit]).collect() };
    let by_unit: Vec<Vec<f64>> = (0..units).map(of_unit).collect();
    alpha_of_units(by_unit.iter().map(Vec::as_slice), scale)
}

/// The same from the ratings of each unit: who gave which doesn't matter to α.
pub fn alpha_of_units<'a>(units: impl Iterator<Item = &'a [f64]>, scale: Scale) -> Result<f64, Error> {
    let paired: Vec<&[f64]> = units.filter(|unit| unit.len() >= 2).collect();
    for unit in &paired {
        crate::error::all_finite("a rating", unit)?;
    }
    let values = distinct(paired.iter().copied().flatten());
    let mut coincidences = vec![0.0; values.len() * values.len()];
    for unit in &paired {
        meetings(unit, &values, |cell, amount| coincidences[cell] += amount);
    }
    alpha_of_coincidences(&values, &coincidences, scale)
}

/// What a unit adds to the matrix of coincidences, cell by cell (row by row): each two of its m
/// ratings meet, which counts 1/(m − 1). Every rating is one of `values`, which are sorted.
pub(crate) fn meetings(unit: &[f64], values: &[f64], mut add: impl FnMut(usize, f64)) {
    let index = |rating: &f64| values.partition_point(|value| value < rating);
    for (i, a) in unit.iter().enumerate() {
        for (_, b) in unit.iter().enumerate().filter(|(j, _)| *j != i) {
            add(index(a) * values.len() + index(b), 1.0 / (unit.len() - 1) as f64);
        }
    }
}

/// α of a matrix of coincidences, row by row. A value that doesn't occur changes nothing.
pub(crate) fn alpha_of_coincidences(values: &[f64], coincidences: &[f64], scale: Scale) -> Result<f64, Error> {
    let size = values.len();
    let totals: Vec<f64> = (0..size).map(|c| coincidences[c * size..(c + 1) * size].iter().sum()).collect();
    let n: f64 = totals.iter().sum();
    at_least("things rated by two labelers or more", 1, n.ceil() as usize)?;
    let (mut observed, mut expected) = (0.0, 0.0);
    for c in 0..size {
        let mut between = 0.0;
        for k in c + 1..size {
            let squared = distance(scale, (values[c], values[k]), (totals[c], between, totals[k])).powi(2);
            observed += (coincidences[c * size + k] + coincidences[k * size + c]) * squared;
            expected += 2.0 * totals[c] * totals[k] * squared / (n - 1.0);
            between += totals[k];
        }
    }
    if expected == 0.0 {
        return Err(Error::Undefined { what: "Krippendorff's alpha", why: "only one value is used" });
    }
    Ok(1.0 - observed / expected)
}

/// How far two values are apart; of the ordinal scale, by how often they and those between are used.
fn distance(scale: Scale, (low, high): (f64, f64), (n_low, n_between, n_high): (f64, f64, f64)) -> f64 {
    match scale {
        Scale::Nominal => 1.0,
        Scale::Interval => high - low,
        Scale::Ratio if low + high == 0.0 => 0.0,
        Scale::Ratio => (high - low) / (low + high),
        Scale::Ordinal => n_low / 2.0 + n_between + n_high / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::close;

    /// The reliability data of Krippendorff 2011 (four observers, twelve units, with gaps), whose
    /// published alphas are .743 nominal, .815 ordinal, .849 interval and .797 ratio.
    #[test]
    fn published_example() {
        let gap = |row: [u8; 12]| -> Vec<Option<f64>> {
            row.iter().map(|&value| (value > 0).then_some(f64::from(value))).collect()
        };
        let ratings = [
            gap([1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0]),
            gap([1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3]),
            gap([0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0]),
            gap([1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0]),
        ];
        for (scale, published) in
            [(Scale::Nominal, 0.743), (Scale::Ordinal, 0.815), (Scale::Interval, 0.849), (Scale::Ratio, 0.797)]
        {
            close(alpha(&ratings, scale).unwrap(), published, 5e-4);
        }
    }

    #[test]
    fn worked_by_hand() {
        // Two labelers, units (0 0), (0 1): coincidences 00: 2, 01 and 10: 1 each; n = 4.
        // D_o = 2, D_e = 2·3·1/3 = 2: α = 0.
        let rows = [vec![Some(0.0), Some(0.0)], vec![Some(0.0), Some(1.0)]];
        close(alpha(&rows, Scale::Nominal).unwrap(), 0.0, 1e-12);
        let same = [vec![Some(1.0), None], vec![Some(1.0), Some(2.0)]];
        assert!(matches!(alpha(&same, Scale::Interval), Err(Error::Undefined { .. })));
        let lonely = [vec![Some(1.0), None], vec![None, Some(2.0)]];
        assert!(matches!(alpha(&lonely, Scale::Nominal), Err(Error::TooFew { .. })));
    }
}
