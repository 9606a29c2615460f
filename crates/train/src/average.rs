//! An exponential moving average of the weights. InstructGPT keeps one with decay .992 (arXiv 2203.02155, App. C.4).

use kernels::{Device, elementwise};

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
    pub fn update(&mut self, device: &Device, weights: &[f32]) {
        elementwise::blend(device, &mut self.values, weights, (1.0 - self.decay) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// d = .75: 8 → .75·8 + .25·4 = 7 → .75·7 + .25·(−1) = 5.
    #[test]
    fn worked_value() {
        let mut average = Average { decay: 0.75, values: vec![8.0] };
        let device = Device::detect(Some(1));
        average.update(&device, &[4.0]);
        assert_eq!(average.values, [7.0]);
        average.update(&device, &[-1.0]);
        assert_eq!(average.values, [5.0]);
    }
}
