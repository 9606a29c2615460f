//! An exponential moving average of the weights. InstructGPT keeps one with decay .992 (arXiv 2203.02155, App. C.4).

/// ā ← d·ā + (1 − d)·w after every step, ā₀ = the starting weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Average {
    /// d.
    pub decay: f64,
    /// ā, laid out like the trainable parameters.
    pub values: Vec<f32>,
}

impl Average {
    /// Takes in the weights after a step.
    pub fn update(&mut self, weights: &[f32]) {
        assert_eq!(self.values.len(), weights.len(), "average and weights differ in length");
        let take = (1.0 - self.decay) as f32;
        for (average, weight) in self.values.iter_mut().zip(weights) {
            *average += take * (weight - *average);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Average;

    /// d = .75: 8 → .75·8 + .25·4 = 7 → .75·7 + .25·(−1) = 5.
    #[test]
    fn worked_value() {
        let mut average = Average { decay: 0.75, values: vec![8.0] };
        average.update(&[4.0]);
        assert_eq!(average.values, [7.0]);
        average.update(&[-1.0]);
        assert_eq!(average.values, [5.0]);
    }
}
