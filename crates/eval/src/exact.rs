//! KL(model ‖ reference) over the whole vocabulary, token by token along completions.

use crate::item::Divergence;
use model::{KvCache, Model, Piece, Span, Workspace};
use std::ops::Range;

/// A completion and the prompt it follows, as tokens.
pub struct Path<'a> {
    /// The prompt, at least one token.
    pub prompt: &'a [u32],
    /// The completion.
    pub completion: &'a [u32],
}

/// The divergence along each path, at temperature 1. Both models must have one vocabulary.
pub fn divergences(model: &Model, reference: &Model, paths: &[Path], workspace: &mut Workspace) -> Vec<Divergence> {
    let mut ours = Walk::new(model, paths);
    let mut theirs = Walk::new(reference, paths);
    let mut found = vec![Divergence::default(); paths.len()];
    let longest = paths.iter().map(|path| path.completion.len()).max().unwrap_or(0);
    for step in 0..longest {
        let going: Vec<usize> = (0..paths.len()).filter(|&idx| step < paths[idx].completion.len()).collect();
        let p = ours.step(&going, step, workspace);
        let q = theirs.step(&going, step, workspace);
        let (width_p, width_q) = (p.len() / going.len(), q.len() / going.len());
        let width = width_p.min(width_q);
        for (row, &idx) in going.iter().enumerate() {
            let token = paths[idx].completion[step] as usize;
            let p = log_softmax(&p[row * width_p..][..width]);
            let q = log_softmax(&q[row * width_q..][..width]);
            let at = divergence(&p, &q, token);
            found[idx].k1 += at.k1;
            found[idx].k3 += at.k3;
            found[idx].exact += at.exact;
        }
    }
    found
}

/// One token's part, from the two log-distributions and the token drawn.
fn divergence(p: &[f64], q: &[f64], token: usize) -> Divergence {
    let d = p[token] - q[token];
    let exact = p.iter().zip(q).map(|(p, q)| p.exp() * (p - q)).sum();
    Divergence { k1: d, k3: (-d).exp_m1() + d, exact }
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f32::MIN, f32::max);
    let sum: f64 = logits.iter().map(|z| f64::from(z - highest).exp()).sum();
    logits.iter().map(|z| f64::from(z - highest) - sum.ln()).collect()
}

/// A model going along all paths at once.
struct Walk<'a> {
    model: &'a Model,
    paths: &'a [Path<'a>],
    cache: KvCache,
    rows: Vec<Range<u32>>,
}

impl<'a> Walk<'a> {
    fn new(model: &'a Model, paths: &'a [Path<'a>]) -> Walk<'a> {
        let mut rows = Vec::new();
        let mut next = 0u32;
        for path in paths {
            let length = (path.prompt.len() + path.completion.len()) as u32;
            rows.push(next..next + length);
            next += length;
        }
        Walk { model, paths, cache: model.new_cache(next as usize), rows }
    }

    /// The logits that token `step` of each path in `going` was drawn from.
    fn step(&mut self, going: &[usize], step: usize, workspace: &mut Workspace) -> Vec<f32> {
        let piece = |idx: usize| {
            let (path, start) = (&self.paths[idx], self.rows[idx].start);
            if step == 0 {
                return Piece { token_ids: path.prompt, position: 0, context: Vec::new(), write_at: start };
            }
            let before = (path.prompt.len() + step - 1) as u32;
            Piece {
                token_ids: &path.completion[step - 1..step],
                position: before,
                context: vec![Span { start, length: before }],
                write_at: start + before,
            }
        };
        let pieces: Vec<Piece> = going.iter().map(|&idx| piece(idx)).collect();
        self.model.extend(&mut self.cache, &pieces, workspace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernels::Device;
    use kernels::linear::Precision;
    use model::Trainable;

    #[test]
    fn one_token_by_hand() {
        // p = (.5, .25, .25), q = (.25, .5, .25), token 0 drawn: d = ln 2; exact = .5 ln 2 − .25 ln 2 = .25 ln 2.
        let log = |p: [f64; 3]| p.map(f64::ln);
        let found = divergence(&log([0.5, 0.25, 0.25]), &log([0.25, 0.5, 0.25]), 0);
        let ln2 = std::f64::consts::LN_2;
        assert!((found.k1 - ln2).abs() < 1e-12);
        assert!((found.k3 - (0.5 - 1.0 + ln2)).abs() < 1e-12);
        assert!((found.exact - 0.25 * ln2).abs() < 1e-12);
    }

    #[test]
    fn a_model_does_not_diverge_from_itself_and_does_from_another() {
        let device = Device::detect(Some(1));
        let [a, b] = [1, 2].map(|seed| testkit::tiny_model(&device, Trainable::Nothing, Precision::F32, seed));
        let paths = [Path { prompt: &[1, 2, 3], completion: &[4, 5] }, Path { prompt: &[7], completion: &[8, 9, 10] }];
        let mut workspace = Workspace::default();
        for d in divergences(&a, &a, &paths, &mut workspace) {
            assert_eq!(d, Divergence::default());
        }
        for d in divergences(&a, &b, &paths, &mut workspace) {
            assert!(d.exact > 1e-4 && d.k3 >= 0.0, "{d:?}");
        }
    }
}
