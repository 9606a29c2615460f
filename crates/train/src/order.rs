//! Which rows make up which optimizer batch: a pure function of the seed and the step.
use stdx::Seed;

/// The order of the rows. Every epoch has each row once; its last batch may be smaller.
pub struct Order {
    n_rows: usize,
    batch_size: usize,
    /// `None`: as they are.
    shuffle: Option<Seed>,
    /// The epoch whose order is kept.
    epoch: Option<u64>,
    rows: Vec<usize>,
}

impl Order {
    /// Batches of `batch_size` from `n_rows` rows, at least one.
    pub fn new(n_rows: usize, batch_size: usize, shuffle: Option<Seed>) -> Order {
        assert!(n_rows > 0 && batch_size > 0, "{n_rows} rows in batches of {batch_size}");
        Order { n_rows, batch_size, shuffle, epoch: None, rows: Vec::new() }
    }

    /// Optimizer steps in an epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.n_rows.div_ceil(self.batch_size) as u64
    }

    /// The rows of step `step` (0-based).
    pub fn batch(&mut self, step: u64) -> &[usize] {
        let epoch = step / self.steps_per_epoch();
        if self.epoch != Some(epoch) {
            self.rows = (0..self.n_rows).collect();
            if let Some(seed) = self.shuffle {
                seed.stream("shuffle", epoch).shuffle(&mut self.rows);
            }
            self.epoch = Some(epoch);
        }
        let first = (step % self.steps_per_epoch()) as usize * self.batch_size;
        &self.rows[first..(first + self.batch_size).min(self.n_rows)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_epoch_has_each_row_once(n_rows in 1_usize..40, batch_size in 1_usize..50, seed: u64) {
            let mut order = Order::new(n_rows, batch_size, Some(Seed(seed)));
            let steps = order.steps_per_epoch();
            for epoch in 0..3 {
                let mut rows: Vec<usize> = Vec::new();
                for step in epoch * steps..(epoch + 1) * steps {
                    prop_assert!(!order.batch(step).is_empty());
                    rows.extend(order.batch(step));
                }
                rows.sort_unstable();
                prop_assert_eq!(rows, (0..n_rows).collect::<Vec<_>>());
            }
        }

        #[test]
        fn a_step_needs_no_history(n_rows in 1_usize..40, step in 0_u64..100, seed: u64) {
            let mut through = Order::new(n_rows, 3, Some(Seed(seed)));
            for earlier in 0..step { through.batch(earlier); }
            let mut at_once = Order::new(n_rows, 3, Some(Seed(seed)));
            prop_assert_eq!(through.batch(step), at_once.batch(step));
        }
    }

    #[test]
    fn without_shuffling_rows_come_as_they_are() {
        let mut order = Order::new(5, 2, None);
        assert_eq!(order.batch(1), [2, 3]);
        assert_eq!(order.batch(2), [4]);
        assert_eq!(order.batch(3), [0, 1]);
    }
}
