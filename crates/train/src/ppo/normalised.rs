//! A reward on the scale of its own reference set.
use crate::scorer::{Asked, RewardModel, Scale, ScoreError, Scorer};

/// (s − mean) ÷ std with what the reward model stores about itself (arXiv 1909.08593, §2); as it is where it stores
/// nothing.
pub struct Normalised(pub Box<dyn Scorer>);

impl Scorer for Normalised {
    fn name(&self) -> String {
        self.0.name()
    }

    fn score(&mut self, asked: &[Asked<'_>]) -> Result<Vec<Vec<f64>>, ScoreError> {
        let mut rewards = self.0.score(asked)?;
        if let Some(scale) = self.0.scale() {
            rewards.iter_mut().flatten().for_each(|reward| *reward = scale.normalise(*reward));
        }
        Ok(rewards)
    }

    fn scale(&self) -> Option<Scale> {
        self.0.scale().map(|_| Scale { mean: 0.0, std: 1.0 })
    }

    fn models(&self) -> Vec<&RewardModel> {
        self.0.models()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::Prompt;

    struct Lengths;

    impl Scorer for Lengths {
        fn name(&self) -> String {
            "lengths".into()
        }
        fn score(&mut self, asked: &[Asked<'_>]) -> Result<Vec<Vec<f64>>, ScoreError> {
            Ok(asked.iter().map(|asked| asked.completions.iter().map(|text| text.len() as f64).collect()).collect())
        }
        fn scale(&self) -> Option<Scale> {
            Some(Scale { mean: 1.0, std: 2.0 })
        }
    }

    /// (4 − 1)/2 and (0 − 1)/2.
    #[test]
    fn worked_value() {
        let prompt = Prompt::Text(String::new());
        let asked = [Asked { prompt: &prompt, completions: vec!["four", ""] }];
        assert_eq!(Normalised(Box::new(Lengths)).score(&asked).expect("rewards"), [vec![1.5, -0.5]]);
    }
}
