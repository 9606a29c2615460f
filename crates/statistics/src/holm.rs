//! Holm's correction for several tests.

use crate::Error;

/// Adjusted p-values, in the order given: reject where they are ≤ α, and the chance of any false
/// rejection stays ≤ α. Holm 1979 (Scandinavian Journal of Statistics 6, 65–70).
pub fn adjust(p_values: &[f64]) -> Result<Vec<f64>, Error> {
    if let Some(&found) = p_values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(Error::OutOfRange { what: "a p-value", found, expected: "a number from 0 to 1" });
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut highest = 0.0f64;
    for (rank, &index) in order.iter().enumerate() {
        let factor = (p_values.len() - rank) as f64;
        highest = highest.max((factor * p_values[index]).min(1.0));
        adjusted[index] = highest;
    }
    Ok(adjusted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::close;

    #[test]
    fn worked_by_hand() {
        // Sorted .01·4, .02·3, .03·2, .4·1; the third is raised to the second's .06.
        let found = adjust(&[0.03, 0.01, 0.4, 0.02]).unwrap();
        for (found, expected) in found.into_iter().zip([0.06, 0.04, 0.4, 0.06]) {
            close(found, expected, 1e-15);
        }
        assert_eq!(adjust(&[0.9, 0.8]).unwrap(), [1.0, 1.0]);
        assert!(adjust(&[0.5, f64::NAN]).is_err());
        assert!(adjust(&[]).unwrap().is_empty());
    }
}
