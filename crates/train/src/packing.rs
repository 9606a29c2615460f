//! Rows into micro-batches for the model.
//!
//! Every sequence is its own root of the tree batch: attention stays inside it, its positions start at 0, and nothing
//! is predicted across a boundary. There is no padding. What comes after a sequence's last target is not run at all:
//! nothing would read it.
use model::{Derivatives, Outputs, Request, Target, TreeBatch};
use render::Rendered;

/// A row of the optimizer batch: one demonstration, or a block of text with pieces of several documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Example {
    /// Its sequences, each with at least one target.
    pub sequences: Vec<Rendered>,
}

impl Example {
    /// Tokens that run through the model.
    pub fn n_tokens(&self) -> usize {
        self.sequences.iter().map(n_inputs).sum()
    }

    /// Tokens that carry loss.
    pub fn n_targets(&self) -> usize {
        self.sequences.iter().map(Rendered::n_targets).sum()
    }
}

/// What runs through the model at once.
#[derive(Clone, Debug)]
pub struct MicroBatch {
    /// The sequences.
    pub batch: TreeBatch,
    /// Their targets.
    pub request: Request,
}

impl MicroBatch {
    /// dL/d(log-probability) = `value` for every target.
    pub fn uniform_derivatives(&self, value: f32) -> Derivatives {
        Derivatives { log_probs: vec![value; self.request.targets.len()], ..Derivatives::default() }
    }
}

/// Σ log p, in f64.
pub fn sum_log_probs(outputs: &Outputs) -> f64 {
    outputs.log_probs.iter().map(|&log_prob| f64::from(log_prob)).sum()
}

/// Splits rows, in their order, into micro-batches of at most `budget` tokens (`None`: a row each). A row longer than
/// the budget stands alone.
pub fn micro_batches<'a>(rows: impl IntoIterator<Item = &'a Example>, budget: Option<usize>) -> Vec<MicroBatch> {
    let budget = budget.unwrap_or(0);
    let mut micro_batches = Vec::new();
    let mut group: Vec<&Example> = Vec::new();
    let mut n_tokens = 0;
    for row in rows {
        if !group.is_empty() && n_tokens + row.n_tokens() > budget {
            micro_batches.push(micro_batch(&group));
            group.clear();
            n_tokens = 0;
        }
        n_tokens += row.n_tokens();
        group.push(row);
    }
    if !group.is_empty() {
        micro_batches.push(micro_batch(&group));
    }
    micro_batches
}

fn micro_batch(rows: &[&Example]) -> MicroBatch {
    let mut batch = TreeBatch::default();
    let mut targets = Vec::new();
    for sequence in rows.iter().flat_map(|row| &row.sequences) {
        let n_inputs = n_inputs(sequence);
        if n_inputs == 0 {
            continue;
        }
        let start = batch.len();
        batch.push_root(&sequence.token_ids[..n_inputs]);
        let predicted = (1..=n_inputs).filter(|&idx| sequence.mask[idx]);
        targets.extend(predicted.map(|idx| Target { source: start + idx - 1, token_id: sequence.token_ids[idx] }));
    }
    MicroBatch { batch, request: Request::log_probs(targets) }
}

/// The tokens that predict something or stand before one that does: all before the last target.
fn n_inputs(sequence: &Rendered) -> usize {
    sequence.end_idx().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sequence(token_ids: &[u32], trained: &[usize]) -> Rendered {
        let mask = (0..token_ids.len()).map(|idx| trained.contains(&idx)).collect();
        Rendered { token_ids: token_ids.to_vec(), mask }
    }

    fn rows(sequences: Vec<Rendered>) -> Vec<Example> {
        sequences.into_iter().map(|sequence| Example { sequences: vec![sequence] }).collect()
    }

    #[test]
    fn a_worked_batch() {
        // 9 is a line feed after the end of the turn: no target, so it is not run
        let rows = rows(vec![sequence(&[5, 6, 7, 8, 9], &[2, 3]), sequence(&[1, 2], &[1])]);
        let found = micro_batches(&rows, Some(99));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].batch.token_ids(), [5, 6, 7, 1]);
        assert_eq!(found[0].batch.positions(), [0, 1, 2, 0]);
        let targets: Vec<(usize, u32)> = found[0].request.targets.iter().map(|t| (t.source, t.token_id)).collect();
        assert_eq!(targets, [(1, 7), (2, 8), (3, 2)]);
    }

    #[test]
    fn the_budget_splits_and_an_oversized_row_stands_alone() {
        let long = |n: u32| sequence(&(0..=n).collect::<Vec<_>>(), &[n as usize]);
        let rows = rows(vec![long(3), long(2), long(9), long(1), long(4)]);
        let sizes = |budget| -> Vec<usize> { micro_batches(&rows, budget).iter().map(|m| m.batch.len()).collect() };
        assert_eq!(sizes(Some(5)), [5, 9, 5]);
        assert_eq!(sizes(Some(4)), [3, 2, 9, 1, 4]);
        assert_eq!(sizes(None), [3, 2, 9, 1, 4]);
    }

    fn any_rows() -> impl Strategy<Value = Vec<Example>> {
        let sequence = prop::collection::vec((0_u32..50, any::<bool>()), 1..9).prop_map(|tokens| {
            let (token_ids, mut mask): (Vec<u32>, Vec<bool>) = tokens.into_iter().unzip();
            mask[0] = false;
            Rendered { token_ids, mask }
        });
        let row = prop::collection::vec(sequence, 1..4).prop_map(|sequences| Example { sequences });
        prop::collection::vec(row, 0..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// However the rows are split, the same targets are asked for, each from the token before it in its own
        /// sequence.
        #[test]
        fn splitting_loses_and_adds_nothing(rows in any_rows(), budget in 1_usize..30) {
            let split = micro_batches(&rows, Some(budget));
            let mut asked = Vec::new();
            for micro in &split {
                let segments = micro.batch.segments();
                for target in &micro.request.targets {
                    let segment = segments.iter().find(|s| (s.start..s.start + s.length).contains(&target.source));
                    prop_assert!(segment.is_some_and(|s| s.parent.is_none()));
                    let position = micro.batch.positions()[target.source];
                    asked.push((position, micro.batch.token_ids()[target.source], target.token_id));
                }
            }
            let sequences = || rows.iter().flat_map(|row| &row.sequences);
            let expected: Vec<(u32, u32, u32)> = sequences()
                .flat_map(|s| (1..s.mask.len()).filter(|&i| s.mask[i]).map(|i| (i as u32 - 1, s.token_ids[i - 1], s.token_ids[i])))
                .collect();
            prop_assert_eq!(asked, expected);
            prop_assert_eq!(rows.iter().map(Example::n_targets).sum::<usize>(), split.iter().map(|m| m.request.targets.len()).sum::<usize>());
            prop_assert_eq!(rows.iter().map(Example::n_tokens).sum::<usize>(), split.iter().map(|m| m.batch.len()).sum::<usize>());
        }

        #[test]
        fn a_micro_batch_keeps_the_budget_or_is_one_row(rows in any_rows(), budget in 1_usize..30) {
            let longest = rows.iter().map(Example::n_tokens).max().unwrap_or(0);
            for micro in micro_batches(&rows, Some(budget)) {
                prop_assert!(micro.batch.len() <= budget.max(longest));
            }
            let alone: Vec<usize> = rows.iter().map(Example::n_tokens).collect();
            let found: Vec<usize> = micro_batches(&rows, None).iter().map(|m| m.batch.len()).filter(|&n| n > 0).collect();
            prop_assert_eq!(found, alone.into_iter().filter(|&n| n > 0).collect::<Vec<_>>());
        }
    }
}
