//! REINFORCE with a running baseline: the advantage is the normalised reward.

use crate::{About, Error, Family};

/// Its account of itself.
pub static ABOUT: About = About {
    name: "reinforce",
    family: Family::Estimator,
    summary: "REINFORCE: whole-rollout return less a running mean, over a running deviation",
    formula: "A = (R − b)/s for every token of a rollout, R = Σ_t r_t; b, s: running mean and deviation",
    source: "Williams 1992; baseline: Sutton & Barto 2018 §13.4",
    convention: "b and s are those of earlier batches (the first batch uses its own mean and deviation); the deviation never falls below 1e-4",
    options: &[],
};

const DEVIATION_MIN: f64 = 1e-4;

/// Running mean and mean square of returns. A run's checkpoint stores its three numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunningBaseline {
    /// The share of the old statistics kept at each batch, 0 ≤ decay < 1.
    pub decay: f64,
    /// The running mean; `None` before the first batch.
    pub mean: Option<f64>,
    /// The running mean of squares.
    pub mean_square: f64,
}

impl RunningBaseline {
    /// A baseline that has seen nothing.
    pub fn new(decay: f64) -> Result<RunningBaseline, Error> {
        if !(0.0..1.0).contains(&decay) {
            let expected = "a number from 0 to below 1";
            return Err(Error::OutOfRange { what: "the baseline's decay", found: decay, expected });
        }
        Ok(RunningBaseline { decay, mean: None, mean_square: 0.0 })
    }

    /// Advantages of a batch of rollouts by their token rewards, each rollout's the same for all
    /// its tokens; then takes the batch into the statistics.
    pub fn advantages(&mut self, rewards: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, Error> {
        if rewards.is_empty() {
            return Err(Error::Empty { what: "no rollouts" });
        }
        let returns: Vec<f64> = rewards.iter().map(|rollout| rollout.iter().sum()).collect();
        let count = returns.len() as f64;
        let mean = returns.iter().sum::<f64>() / count;
        let mean_square = returns.iter().map(|r| r * r).sum::<f64>() / count;
        let (baseline, square) = match self.mean {
            Some(earlier) => (earlier, self.mean_square),
            None => (mean, mean_square),
        };
        let deviation = (square - baseline * baseline).max(0.0).sqrt().max(DEVIATION_MIN);
        self.mean = Some(self.decay * baseline + (1.0 - self.decay) * mean);
        self.mean_square = self.decay * square + (1.0 - self.decay) * mean_square;
        let spread = |(rollout, total): (&Vec<f64>, f64)| vec![(total - baseline) / deviation; rollout.len()];
        Ok(rewards.iter().zip(returns).map(spread).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        let mut baseline = RunningBaseline::new(0.75).unwrap();
        // Returns 1 and 5: mean 3, mean square 13, deviation 2; the batch's own, being the first.
        let first = baseline.advantages(&[vec![0.5, 0.5], vec![5.0]]).unwrap();
        assert_eq!(first, [vec![-1.0, -1.0], vec![1.0]]);
        // Then return 7 against the same 3 and 2, and mean .75·3 + .25·7 = 4.
        let second = baseline.advantages(&[vec![7.0]]).unwrap();
        assert_eq!(second, [vec![2.0]]);
        assert_eq!(baseline.mean, Some(4.0));
        assert_eq!(baseline.mean_square, 0.75 * 13.0 + 0.25 * 49.0);
    }

    #[test]
    fn equal_returns_have_no_advantage_and_do_not_divide_by_zero() {
        let mut baseline = RunningBaseline::new(0.9).unwrap();
        assert_eq!(baseline.advantages(&[vec![2.0], vec![2.0]]).unwrap(), [[0.0], [0.0]]);
        assert!(matches!(baseline.advantages(&[]), Err(Error::Empty { .. })));
        assert!(matches!(RunningBaseline::new(1.0), Err(Error::OutOfRange { .. })));
    }
}
