//! Newton's method for the strengths that comparisons of all kinds are fitted with.
//!
//! Every likelihood here is concave and doesn't change when all strengths move together; that one
//! flat direction is fixed by their mean, 0.

use crate::Error;

/// Log-likelihood with gradient and negative Hessian at a point.
pub(crate) struct Curvature {
    pub value: f64,
    pub gradient: Vec<f64>,
    /// −∂²ℓ, row by row.
    pub information: Vec<Vec<f64>>,
}

impl Curvature {
    pub fn new(n: usize) -> Curvature {
        Curvature { value: 0.0, gradient: vec![0.0; n], information: vec![vec![0.0; n]; n] }
    }
}

/// Where the likelihood is highest, and what is known about it.
pub(crate) struct Fit {
    pub parameters: Vec<f64>,
    pub log_likelihood: f64,
    pub standard_errors: Vec<f64>,
}

/// Maximises `likelihood` over `strengths` parameters of mean 0 followed by `others` free ones.
pub(crate) fn maximise(
    what: &'static str,
    strengths: usize,
    others: usize,
    ridge: f64,
    mut likelihood: impl FnMut(&[f64]) -> Curvature,
) -> Result<Fit, Error> {
    const ITERATIONS: usize = 200;
    let mut penalised = |parameters: &[f64]| {
        let mut at = likelihood(parameters);
        for i in 0..strengths {
            at.value -= 0.5 * ridge * parameters[i] * parameters[i];
            at.gradient[i] -= ridge * parameters[i];
            at.information[i][i] += ridge;
        }
        at
    };
    let mut parameters = vec![0.0; strengths + others];
    let mut at = penalised(&parameters);
    for _ in 0..ITERATIONS {
        let inverse = invert(&anchored(&at.information, strengths))
            .ok_or(Error::Undefined { what, why: "the likelihood is flat in some direction" })?;
        let step: Vec<f64> = inverse.iter().map(|row| dot(row, &at.gradient)).collect();
        let gain = dot(&step, &at.gradient);
        if gain.abs() < 1e-16 * (1.0 + at.value.abs()) {
            // Newton doubles the digits: one more step takes what is left.
            parameters.iter_mut().zip(&step).for_each(|(x, d)| *x += d);
            return Ok(finish(parameters, at, &inverse, strengths, ridge));
        }
        // Halve the step until it helps: Newton overshoots far from the top.
        let mut scale = 1.0;
        loop {
            let next: Vec<f64> = parameters.iter().zip(&step).map(|(x, d)| x + scale * d).collect();
            let there = penalised(&next);
            if there.value >= at.value + 1e-4 * scale * gain {
                (parameters, at) = (next, there);
                break;
            }
            scale *= 0.5;
            if scale < 1e-12 {
                // No digit left to gain: this is the top as far as f64 can tell.
                return Ok(finish(parameters, at, &inverse, strengths, ridge));
            }
        }
    }
    Err(Error::NoConvergence { what, iterations: ITERATIONS })
}

/// The information plus 1/n on the strengths' block, which fills its flat direction.
fn anchored(information: &[Vec<f64>], strengths: usize) -> Vec<Vec<f64>> {
    let mut anchored = information.to_vec();
    for row in anchored.iter_mut().take(strengths) {
        row.iter_mut().take(strengths).for_each(|entry| *entry += 1.0 / strengths as f64);
    }
    anchored
}

fn finish(parameters: Vec<f64>, at: Curvature, inverse: &[Vec<f64>], strengths: usize, ridge: f64) -> Fit {
    // Without ridge the anchor adds exactly 1/n to the inverse's block as well: taken out again.
    let anchor = 1.0 / (strengths as f64 * (1.0 + ridge));
    let variance = |i: usize| inverse[i][i] - if i < strengths { anchor } else { 0.0 };
    let standard_errors = (0..parameters.len()).map(|i| variance(i).max(0.0).sqrt()).collect();
    let penalty: f64 = parameters[..strengths].iter().map(|x| 0.5 * ridge * x * x).sum();
    Fit { log_likelihood: at.value + penalty, parameters, standard_errors }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The inverse of a symmetric positive definite matrix by Gauss–Jordan elimination with pivoting;
/// `None` when it is singular.
fn invert(matrix: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let n = matrix.len();
    let unit = |i: usize| (0..n).map(move |j| f64::from(i == j));
    let mut rows: Vec<Vec<f64>> =
        matrix.iter().enumerate().map(|(i, row)| row.iter().copied().chain(unit(i)).collect()).collect();
    // A pivot this far below the largest entry is what rounding leaves of a 0.
    let smallest = 1e-15 * matrix.iter().flatten().fold(0.0f64, |most, entry| most.max(entry.abs()));
    for column in 0..n {
        let pivot = (column..n).max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()))?;
        rows.swap(column, pivot);
        let scale = rows[column][column];
        if scale.is_nan() || scale.abs() <= smallest {
            return None;
        }
        rows[column].iter_mut().for_each(|entry| *entry /= scale);
        let pivot_row = rows[column].clone();
        for (i, row) in rows.iter_mut().enumerate() {
            let factor = row[column];
            if i != column && factor != 0.0 {
                row.iter_mut().zip(&pivot_row).for_each(|(entry, pivot)| *entry -= factor * pivot);
            }
        }
    }
    Some(rows.into_iter().map(|row| row[n..].to_vec()).collect())
}

/// Refuses outcomes that leave strengths infinite: `beats[i][j]` says that i came before j at least
/// once; there must be a chain both ways between any two (Ford 1957).
pub(crate) fn check_connected(beats: &[Vec<bool>]) -> Result<(), Error> {
    let n = beats.len();
    for along in [true, false] {
        let mut reached = vec![false; n];
        let mut open = vec![0];
        while let Some(at) = open.pop() {
            if std::mem::replace(&mut reached[at], true) {
                continue;
            }
            open.extend((0..n).filter(|&j| !reached[j] && if along { beats[at][j] } else { beats[j][at] }));
        }
        if let Some(other) = reached.iter().position(|reached| !reached) {
            let (from, to) = if along { (0, other) } else { (other, 0) };
            return Err(Error::NotConnected { from, to });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::close;

    #[test]
    fn inverse_times_matrix_is_one() {
        let matrix = vec![vec![4.0, 1.0, 0.5], vec![1.0, 3.0, -0.2], vec![0.5, -0.2, 2.0]];
        let inverse = invert(&matrix).unwrap();
        for i in 0..3 {
            for j in 0..3 {
                let entry: f64 = (0..3).map(|k| inverse[i][k] * matrix[k][j]).sum();
                close(entry, f64::from(i == j), 1e-14);
            }
        }
        assert!(invert(&[vec![1.0, 1.0], vec![1.0, 1.0]]).is_none());
    }
}
