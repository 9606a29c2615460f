//! Bradley–Terry forwards (probabilities from scores) and in reverse (scores from outcomes).

use super::win_probability;
use crate::Error;

/// P(i preferred to j) for every pair: `probabilities[i][j] = σ(s_i − s_j)`, ½ on the diagonal.
///
/// Bradley & Terry 1952, eq. 1, with strengths e^s.
pub fn probabilities(scores: &[f64]) -> Vec<Vec<f64>> {
    scores.iter().map(|&i| scores.iter().map(|&j| win_probability(i, j)).collect()).collect()
}

/// The maximum-likelihood scores of `n` competitors from outcomes (winner, loser), centered to
/// mean 0: the reverse of [`probabilities`].
///
/// The minorise–maximise iteration e^{s_i} ← wins_i / Σ_j n_ij/(e^{s_i} + e^{s_j}) of Hunter 2004
/// (Annals of Statistics 32(1), eq. 3), until no score moves by more than 1e-12. Scores are finite
/// only if no group of competitors always beats, or never meets, the rest: anything else is
/// refused.
pub fn scores(n: usize, outcomes: &[(usize, usize)]) -> Result<Vec<f64>, Error> {
    let mut wins = vec![vec![0.0; n]; n];
    for (row, &(winner, loser)) in outcomes.iter().enumerate() {
        for found in [winner, loser] {
            if found >= n {
                return Err(Error::Length { row, what: "competitors or more", expected: found + 1, found: n });
            }
        }
        wins[winner][loser] += 1.0;
    }
    if let Some(other) = unreached(&wins, true) {
        let reason = format!("no chain of wins leads from competitor 0 to competitor {other}");
        return Err(Error::NoScores { reason });
    }
    if let Some(other) = unreached(&wins, false) {
        let reason = format!("no chain of wins leads from competitor {other} to competitor 0");
        return Err(Error::NoScores { reason });
    }
    Ok(minorise_maximise(&wins))
}

/// A competitor that can't be reached from competitor 0 along wins (or losses).
fn unreached(wins: &[Vec<f64>], along_wins: bool) -> Option<usize> {
    let n = wins.len();
    let mut reached = vec![false; n];
    let mut open: Vec<usize> = (0..n.min(1)).collect();
    while let Some(at) = open.pop() {
        if std::mem::replace(&mut reached[at], true) {
            continue;
        }
        open.extend((0..n).filter(|&next| {
            let edge = if along_wins { wins[at][next] } else { wins[next][at] };
            edge > 0.0 && !reached[next]
        }));
    }
    reached.iter().position(|reached| !reached)
}

fn minorise_maximise(wins: &[Vec<f64>]) -> Vec<f64> {
    const ITERATIONS_MAX: usize = 100_000;
    let n = wins.len();
    let mut scores = vec![0.0; n];
    for _ in 0..ITERATIONS_MAX {
        let mut next: Vec<f64> = (0..n)
            .map(|i| {
                let won: f64 = wins[i].iter().sum();
                let met: f64 = (0..n)
                    .filter(|&j| j != i)
                    // n_ij / (e^{s_i} + e^{s_j}), up to the factor e^{s_i} put back below.
                    .map(|j| (wins[i][j] + wins[j][i]) * win_probability(scores[i], scores[j]))
                    .sum();
                if met > 0.0 { scores[i] + (won - wins[i][i]).ln() - met.ln() } else { 0.0 }
            })
            .collect();
        let mean = next.iter().sum::<f64>() / n as f64;
        next.iter_mut().for_each(|score| *score -= mean);
        let moved = next.iter().zip(&scores).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        scores = next;
        if moved < 1e-12 {
            break;
        }
    }
    scores
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::reward::{PromptScores, by_name};

    #[test]
    fn two_competitors_have_the_logit_of_the_win_rate() {
        // 7 wins against 2: s_0 − s_1 = ln(7/2).
        let outcomes = [vec![(0, 1); 7], vec![(1, 0); 2]].concat();
        let found = scores(2, &outcomes).unwrap();
        assert!((found[0] - found[1] - 3.5f64.ln()).abs() < 1e-10);
        assert!((probabilities(&found)[0][1] - 7.0 / 9.0).abs() < 1e-10);
    }

    #[test]
    fn reverse_undoes_forward_and_the_reward_loss_is_flat_there() {
        let truth = [0.9, -0.2, 0.4, -1.1];
        let forward = probabilities(&truth);
        // Outcomes in proportion to the probabilities, in 10,000ths.
        let mut outcomes = Vec::new();
        for i in 0..4 {
            for j in 0..4 {
                if i != j {
                    outcomes.extend(vec![(i, j); (forward[i][j] * 1e4).round() as usize]);
                }
            }
        }
        let found = scores(4, &outcomes).unwrap();
        for (found, truth) in found.iter().zip(truth) {
            assert!((found - truth).abs() < 5e-4, "{found} vs {truth}");
        }
        let loss = by_name("bradley_terry", &Options::new().with("reduction", "pooled")).unwrap();
        let mut gradient = [0.0; 4];
        for &(winner, loser) in &outcomes {
            let pair = PromptScores::new(vec![found[winner], found[loser]], vec![1, 2]);
            let out = loss.loss(&[pair]).unwrap();
            gradient[winner] += out.d_scores[0][0];
            gradient[loser] += out.d_scores[0][1];
        }
        assert!(gradient.iter().all(|slope| slope.abs() < 1e-6), "{gradient:?}");
    }

    #[test]
    fn scores_that_would_be_infinite_are_refused() {
        assert!(matches!(scores(2, &[(0, 1)]), Err(Error::NoScores { .. })));
        assert!(matches!(scores(3, &[(0, 1), (1, 0)]), Err(Error::NoScores { .. })));
        assert!(matches!(scores(2, &[(0, 2)]), Err(Error::Length { .. })));
    }
}
