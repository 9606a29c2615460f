//! Several rewards as one.
use super::{Asked, RewardModel, Scale, ScoreError, Scorer};

/// Σ weight · reward.
pub struct Weighted {
    /// Weights and what they weigh, at least one.
    pub parts: Vec<(f64, Box<dyn Scorer>)>,
}

impl Scorer for Weighted {
    fn name(&self) -> String {
        let part = |(weight, scorer): &(f64, Box<dyn Scorer>)| format!("{weight}*{}", scorer.name());
        self.parts.iter().map(part).collect::<Vec<_>>().join(" + ")
    }

    fn score(&mut self, asked: &[Asked<'_>]) -> Result<Vec<Vec<f64>>, ScoreError> {
        let mut sums: Vec<Vec<f64>> = asked.iter().map(|asked| vec![0.0; asked.completions.len()]).collect();
        for (weight, scorer) in &mut self.parts {
            for (sum, rewards) in sums.iter_mut().zip(scorer.score(asked)?) {
                sum.iter_mut().zip(rewards).for_each(|(sum, reward)| *sum += *weight * reward);
            }
        }
        Ok(sums)
    }

    /// One part's own scale, weighed; of a sum the parts' dependence would have to be known.
    fn scale(&self) -> Option<Scale> {
        match &self.parts[..] {
            [(weight, scorer)] if *weight > 0.0 => {
                scorer.scale().map(|scale| Scale { mean: weight * scale.mean, std: weight * scale.std })
            }
            _ => None,
        }
    }

    fn models(&self) -> Vec<&RewardModel> {
        self.parts.iter().flat_map(|(_, scorer)| scorer.models()).collect()
    }
}

/// Helpfulness, unless safety lies below a threshold: then safety (Llama 2, arXiv 2307.09288, §3.2.3, without its set of
/// prompts that are tagged as possibly unsafe). The paper's threshold is .15 on rewards mapped into (0, 1).
pub struct Gated {
    /// Counts where the answer is safe.
    pub helpfulness: Box<dyn Scorer>,
    /// Decides, and counts where it is not.
    pub safety: Box<dyn Scorer>,
    /// Below it an answer is unsafe.
    pub threshold: f64,
}

impl Scorer for Gated {
    fn name(&self) -> String {
        format!("{} where {} >= {}", self.helpfulness.name(), self.safety.name(), self.threshold)
    }

    fn score(&mut self, asked: &[Asked<'_>]) -> Result<Vec<Vec<f64>>, ScoreError> {
        let mut rewards = self.helpfulness.score(asked)?;
        for (rewards, safety) in rewards.iter_mut().zip(self.safety.score(asked)?) {
            for (reward, safety) in rewards.iter_mut().zip(safety) {
                if safety < self.threshold {
                    *reward = safety;
                }
            }
        }
        Ok(rewards)
    }

    fn models(&self) -> Vec<&RewardModel> {
        [self.helpfulness.models(), self.safety.models()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scorer::RuleScorer;
    use record::Prompt;

    fn rule(spec: &str) -> Box<dyn Scorer> {
        Box::new(RuleScorer::new(spec).expect("a rule"))
    }

    fn rewards(scorer: &mut dyn Scorer, completions: &[&str]) -> Vec<f64> {
        let prompt = Prompt::Text(String::new());
        scorer.score(&[Asked { prompt: &prompt, completions: completions.to_vec() }]).expect("rewards").remove(0)
    }

    #[test]
    fn a_weighted_sum() {
        let mut sum = Weighted { parts: vec![(2.0, rule("contains:a")), (-0.5, rule("contains:b"))] };
        assert_eq!(rewards(&mut sum, &["a", "b", "ab", ""]), [2.0, -0.5, 1.5, 0.0]);
        assert_eq!(sum.name(), "2*rule:contains:a + -0.5*rule:contains:b");
    }

    /// "safe" is in the first two; the reward of the others is their safety, 0.
    #[test]
    fn below_the_threshold_safety_counts() {
        let mut gated = Gated { helpfulness: rule("length:8"), safety: rule("contains:safe"), threshold: 0.15 };
        assert_eq!(rewards(&mut gated, &["safe", "safe and", "perilous"]), [0.5, 1.0, 0.0]);
    }
}
