//! What a request adds to the logits before a token is chosen. The log-probability that is reported stays the model's.

/// Added to logits; all zero or empty changes nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bias {
    /// Taken from tokens that are in the completion already.
    pub presence: f32,
    /// Taken from them once for each time they are.
    pub frequency: f32,
    /// Added to these tokens.
    pub logits: Vec<(u32, f32)>,
}

impl Bias {
    /// Whether it changes anything.
    pub fn is_none(&self) -> bool {
        self.presence == 0.0 && self.frequency == 0.0 && self.logits.is_empty()
    }

    /// Adds it to the logits, given the completion so far.
    pub(crate) fn apply(&self, out: &mut [f32], completion: &[u32]) {
        for (token_id, added) in &self.logits {
            if let Some(logit) = out.get_mut(*token_id as usize) {
                *logit += added;
            }
        }
        if self.presence != 0.0 || self.frequency != 0.0 {
            let mut counted = completion.to_vec();
            counted.sort_unstable();
            for equal in counted.chunk_by(|a, b| a == b) {
                out[equal[0] as usize] -= self.presence + self.frequency * equal.len() as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_moves_its_tokens() {
        let bias = Bias { presence: 0.5, frequency: 0.25, logits: vec![(0, 2.0), (9, 1.0)] };
        // Token 1 is there twice: 1 − 0.5 − 2·0.25; token 2 once: 1 − 0.75.
        let applied = |bias: &Bias, mut logits: Vec<f32>, completion: &[u32]| {
            bias.apply(&mut logits, completion);
            logits
        };
        assert_eq!(applied(&bias, vec![1.0; 4], &[1, 2, 1]), [3.0, 0.0, 0.25, 1.0]);
        assert!(!bias.is_none() && Bias::default().is_none());
        assert_eq!(applied(&Bias::default(), vec![1.0, 2.0], &[0]), [1.0, 2.0]);
    }
}
