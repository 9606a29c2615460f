//! The learning rate of each step.
use run::config::{OptimizerSection, Schedule};
use std::f64::consts::PI;

/// The learning rate of step `step` (0-based) of `steps`.
///
/// Warm-up over `w` steps: lr·(step + 1)/w, so that the first step moves already and step w − 1 has lr. After it,
/// with progress p = (step − w)/(steps − w) and floor f = `min_lr_ratio`:
/// constant lr; linear lr·(1 − (1 − f)·p); cosine lr·(f + (1 − f)·(1 + cos πp)/2) (arXiv 1608.03983, eq. 5).
/// The floor is where the curve would be after the last step.
pub fn learning_rate(optimizer: &OptimizerSection, step: u64, steps: u64) -> f64 {
    let OptimizerSection { lr, schedule, warmup_steps, min_lr_ratio: floor, .. } = *optimizer;
    if step < warmup_steps {
        return lr * (step + 1) as f64 / warmup_steps as f64;
    }
    let length = steps.saturating_sub(warmup_steps).max(1);
    let progress = ((step - warmup_steps) as f64 / length as f64).min(1.0);
    match schedule {
        Schedule::Constant => lr,
        Schedule::Linear => lr * (1.0 - (1.0 - floor) * progress),
        Schedule::Cosine => lr * (floor + (1.0 - floor) * 0.5 * (1.0 + (PI * progress).cos())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks lr·1000 at some steps of 10 with warm-up 2 and floor .1.
    fn check(schedule: Schedule, expected: &[(u64, f64)]) {
        let optimizer = OptimizerSection { lr: 1e-3, schedule, warmup_steps: 2, ..OptimizerSection::default() };
        for &(step, value) in expected {
            let found = 1e3 * learning_rate(&optimizer, step, 10);
            assert!((found - value).abs() < 1e-12, "{schedule:?} step {step}: {found}, expected {value}");
        }
    }

    #[test]
    fn worked_values() {
        check(Schedule::Constant, &[(0, 0.5), (1, 1.0), (2, 1.0), (9, 1.0)]);
        // p = 2/8 and 7/8: 1 − .9·.25, 1 − .9·.875
        check(Schedule::Linear, &[(0, 0.5), (2, 1.0), (4, 0.775), (9, 0.2125), (10, 0.1)]);
        // p = 1/2: .1 + .9·.5; p = 1/4: .1 + .45·(1 + √½)
        check(Schedule::Cosine, &[(2, 1.0), (6, 0.55), (4, 0.1 + 0.45 * (1.0 + 0.5_f64.sqrt())), (10, 0.1)]);
    }

    #[test]
    fn warm_up_longer_than_the_run_is_all_warm_up() {
        let optimizer = OptimizerSection { lr: 1.0, warmup_steps: 100, ..OptimizerSection::default() };
        assert_eq!(learning_rate(&optimizer, 9, 10), 0.1);
    }
}
