//! Strengths of models from comparisons: Bradley–Terry with ties after Davidson (1970), as Elo points around 1000.

use super::measured::Measured;
use statistics::bradley_terry::{self, Comparison, Ties};

/// Elo points of each of `n` models from the comparisons of each prompt, prompts drawn with replacement; an error says
/// why there are none.
pub(super) fn strengths(n: usize, prompts: &[Vec<Comparison>]) -> Result<Vec<Option<Measured>>, String> {
    let fit = |drawn: &[usize]| {
        let comparisons: Vec<Comparison> = drawn.iter().flat_map(|&idx| prompts[idx].iter().copied()).collect();
        bradley_terry::fit(n, &comparisons, Ties::Davidson, 0.0)
    };
    fit(&(0..prompts.len()).collect::<Vec<_>>()).map_err(|error| error.to_string())?;
    let strength = |model: usize| {
        Measured::of("strengths", prompts.len(), |drawn| {
            fit(drawn).map_or(f64::NAN, |found| bradley_terry::as_elo(found.theta[model], 1000.0))
        })
    };
    Ok((0..n).map(strength).collect())
}

/// Points without digits behind the point, which would say nothing.
pub(super) fn shown(found: Option<&Measured>) -> String {
    found.map_or_else(
        || "can't say".to_owned(),
        |found| match found.interval {
            Some([low, high]) => format!("{:.0} [{low:.0}, {high:.0}] (n = {})", found.value, found.n),
            None => format!("{:.0} (n = {}: no interval)", found.value, found.n),
        },
    )
}
