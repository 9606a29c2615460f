//! Prompts with several completions as tree batches: the prompt is computed once for all of them.
//!
//! With `shared_prefix` off every completion is a sequence of its own. The numbers are the same, the work is not:
//! P + K·C tokens become K·(P + C).
use model::{Request, Target, TreeBatch};
use render::{Branch, Tree};

/// A tree without what stands behind each completion's end, which nothing reads (the line feed after a turn, say).
/// `None` when a completion has no target: neither a log-probability nor an end to read a reward at.
pub fn trimmed(mut tree: Tree) -> Option<Tree> {
    for branch in &mut tree.branches {
        let length = branch.end_idx()? + 1;
        branch.token_ids.truncate(length);
        branch.mask.truncate(length);
    }
    Some(tree)
}

/// The tree with a token after each completion's end, at which the reward is read; `None`: as it is.
pub fn with_readout(mut tree: Tree, token_id: Option<u32>) -> Tree {
    for branch in &mut tree.branches {
        branch.token_ids.extend(token_id);
        branch.mask.extend(token_id.map(|_| false));
    }
    tree
}

/// Tokens of the longest path from the root.
pub fn longest_path(tree: &Tree) -> usize {
    tree.shared.len() + tree.branches.iter().map(|branch| branch.token_ids.len()).max().unwrap_or(0)
}

/// Tokens that run through the model.
pub fn n_tokens(tree: &Tree, shared_prefix: bool) -> usize {
    let copies = if shared_prefix { 1 } else { tree.branches.len() };
    copies * tree.shared.len() + tree.branches.iter().map(|branch| branch.token_ids.len()).sum::<usize>()
}

/// Targets of a completion.
pub fn n_targets(branch: &Branch) -> usize {
    branch.mask.iter().filter(|&&trained| trained).count()
}

/// Splits rows, in their order, into groups of at most `budget` tokens (`None`: a row each). A larger row stands alone.
pub fn groups<R>(rows: impl IntoIterator<Item = R>, budget: Option<usize>, size: impl Fn(&R) -> usize) -> Vec<Vec<R>> {
    let budget = budget.unwrap_or(0);
    let mut groups: Vec<Vec<R>> = Vec::new();
    let mut filled = 0;
    for row in rows {
        let n_tokens = size(&row);
        match groups.last_mut() {
            Some(group) if filled + n_tokens <= budget => {
                filled += n_tokens;
                group.push(row);
            }
            _ => {
                filled = n_tokens;
                groups.push(vec![row]);
            }
        }
    }
    groups
}

/// The scalar at the last token of each completion (its EOS or end of turn, or the readout token), found from lengths.
pub fn scalars<'a>(trees: impl IntoIterator<Item = &'a Tree>, shared_prefix: bool) -> (TreeBatch, Request) {
    let mut batch = TreeBatch::default();
    let mut ends = Vec::new();
    for tree in trees {
        let mut forest = Forest::plant(tree, shared_prefix, &mut batch);
        for branch in &tree.branches {
            let (segment, _) = forest.grow(&branch.token_ids, &mut batch);
            ends.push(segment.map_or(0, |segment| batch.last_token(segment)));
        }
    }
    (batch, Request::scalars(ends))
}

/// The log-probability of every target of each completion. The last target predicts nothing and is not run.
pub fn log_probs<'a>(trees: impl IntoIterator<Item = &'a Tree>, shared_prefix: bool) -> (TreeBatch, Request) {
    let mut batch = TreeBatch::default();
    let mut targets = Vec::new();
    for tree in trees {
        let mut forest = Forest::plant(tree, shared_prefix, &mut batch);
        for branch in &tree.branches {
            let n_inputs = branch.token_ids.len().saturating_sub(1);
            let (_, before) = forest.grow(&branch.token_ids[..n_inputs], &mut batch);
            let start = batch.len() - n_inputs;
            let source = |idx: usize| if idx == 0 { before } else { start + idx - 1 };
            let trained = (0..branch.token_ids.len()).filter(|&idx| branch.mask[idx]);
            targets.extend(trained.map(|idx| Target { source: source(idx), token_id: branch.token_ids[idx] }));
        }
    }
    (batch, Request::log_probs(targets))
}

/// Where the branches of a tree hang on.
struct Forest<'a> {
    shared: &'a [u32],
    /// The shared prompt's segment.
    root: Option<usize>,
}

impl<'a> Forest<'a> {
    fn plant(tree: &'a Tree, shared_prefix: bool, batch: &mut TreeBatch) -> Forest<'a> {
        let shares = shared_prefix && !tree.shared.is_empty();
        let root = shares.then(|| batch.push_root(&tree.shared));
        Forest { shared: &tree.shared, root }
    }

    /// Adds a completion; returns its segment (`None` when nothing was to be added) and the token before its first.
    fn grow(&mut self, token_ids: &[u32], batch: &mut TreeBatch) -> (Option<usize>, usize) {
        match self.root {
            Some(root) => {
                let segment = (!token_ids.is_empty()).then(|| batch.push_branch(root, token_ids));
                (segment, batch.last_token(root))
            }
            None => {
                let sequence = [self.shared, token_ids].concat();
                let segment = (!sequence.is_empty()).then(|| batch.push_root(&sequence));
                (segment, (batch.len() - token_ids.len()).saturating_sub(1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(token_ids: &[u32], mask: &[u8]) -> Branch {
        Branch { token_ids: token_ids.to_vec(), mask: mask.iter().map(|&trained| trained == 1).collect() }
    }

    /// Prompt 1 2; completions 3 9, 4 5 9 (then a line feed, 7), and nothing but the end 9.
    fn tree() -> Tree {
        let branches = vec![branch(&[3, 9], &[1, 1]), branch(&[4, 5, 9, 7], &[1, 1, 1, 0]), branch(&[9], &[1])];
        trimmed(Tree { shared: vec![1, 2], branches }).expect("targets")
    }

    #[test]
    fn scalars_are_read_at_the_ends() {
        let (batch, request) = scalars([&tree()], true);
        assert_eq!(batch.token_ids(), [1, 2, 3, 9, 4, 5, 9, 9]);
        assert_eq!(batch.positions(), [0, 1, 2, 3, 2, 3, 4, 2]);
        assert_eq!(request.scalars, [3, 6, 7]);
        let (batch, request) = scalars([&tree()], false);
        assert_eq!(batch.token_ids(), [1, 2, 3, 9, 1, 2, 4, 5, 9, 1, 2, 9]);
        assert_eq!(request.scalars, [3, 8, 11]);
        assert_eq!((n_tokens(&tree(), true), n_tokens(&tree(), false), longest_path(&tree())), (8, 12, 5));
    }

    #[test]
    fn a_readout_token_follows_each_end_and_is_no_target() {
        let tree = with_readout(tree(), Some(8));
        let (batch, request) = scalars([&tree], true);
        assert_eq!(batch.token_ids(), [1, 2, 3, 9, 8, 4, 5, 9, 8, 9, 8]);
        assert_eq!(request.scalars, [4, 8, 10]);
        assert_eq!(tree.branches.iter().map(n_targets).collect::<Vec<_>>(), [2, 3, 1]);
    }

    #[test]
    fn targets_are_predicted_from_the_token_before_them() {
        let shown = |(batch, request): (TreeBatch, Request)| -> Vec<(u32, u32)> {
            request.targets.iter().map(|t| (batch.token_ids()[t.source], t.token_id)).collect()
        };
        let expected = [(2, 3), (3, 9), (2, 4), (4, 5), (5, 9), (2, 9)];
        assert_eq!(shown(log_probs([&tree()], true)), expected);
        assert_eq!(shown(log_probs([&tree()], false)), expected);
        let (batch, _) = log_probs([&tree(), &tree()], true);
        assert_eq!(batch.token_ids(), [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn without_a_common_prompt_every_completion_is_a_root() {
        let tree = Tree { shared: vec![], branches: vec![branch(&[1, 9], &[0, 1]), branch(&[2, 9], &[0, 1])] };
        let (batch, request) = log_probs([&tree], true);
        assert_eq!(batch.token_ids(), [1, 2]);
        assert_eq!(request.targets.iter().map(|t| t.source).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(scalars([&tree], true).1.scalars, [1, 3]);
    }

    #[test]
    fn a_completion_without_a_target_is_no_completion() {
        assert_eq!(trimmed(Tree { shared: vec![1], branches: vec![branch(&[9], &[0])] }), None);
    }

    #[test]
    fn groups_keep_the_budget_or_are_one_row() {
        let sizes = |budget| -> Vec<Vec<usize>> { groups([3, 2, 9, 1, 4], budget, |&n| n) };
        assert_eq!(sizes(Some(5)), [vec![3, 2], vec![9], vec![1, 4]]);
        assert_eq!(sizes(None).len(), 5);
    }
}
