//! What rendering gives: sequences with loss masks, and trees of them.

/// A sequence with its loss mask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The tokens.
    pub token_ids: Vec<u32>,
    /// For each token whether it is a target. The first never is: nothing predicts it.
    pub mask: Vec<bool>,
}

/// A prompt with several completions, the common beginning once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The longest common run of untrained tokens. Empty if the prompt has none.
    pub shared: Vec<u32>,
    /// For each completion, what follows.
    pub branches: Vec<Branch>,
}

/// What follows the shared tokens of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Branch {
    /// The tokens.
    pub token_ids: Vec<u32>,
    /// For each token whether it is a target.
    pub mask: Vec<bool>,
}

impl Branch {
    /// Where the completion ends: the index of its EOS or end-of-turn token, at which a reward is
    /// read. A template may write more after it (a line feed).
    pub fn end_idx(&self) -> Option<usize> {
        self.mask.iter().rposition(|&trained| trained)
    }
}

impl Rendered {
    /// As [`Branch::end_idx`].
    pub fn end_idx(&self) -> Option<usize> {
        self.mask.iter().rposition(|&trained| trained)
    }

    /// How many tokens are targets.
    pub fn n_targets(&self) -> usize {
        self.mask.iter().filter(|&&trained| trained).count()
    }
}

/// Nothing predicts a sequence's first token.
pub(crate) fn forget_first(mask: &mut [bool]) {
    if let Some(first) = mask.first_mut() {
        *first = false;
    }
}

/// Shares the longest common run of untrained tokens.
pub(crate) fn tree_of(sequences: Vec<Rendered>) -> Tree {
    let untrained = |sequence: &Rendered| {
        let first = sequence.mask.iter().position(|&trained| trained);
        first.unwrap_or(sequence.mask.len())
    };
    let limit = sequences.iter().map(untrained).min().unwrap_or(0);
    let first = sequences.first().map_or(&[][..], |first| &first.token_ids);
    let common =
        (0..limit).take_while(|&idx| sequences.iter().all(|sequence| sequence.token_ids[idx] == first[idx])).count();
    let shared = first[..common].to_vec();
    let branches = sequences
        .into_iter()
        .map(|mut sequence| Branch {
            token_ids: sequence.token_ids.split_off(common),
            mask: sequence.mask.split_off(common),
        })
        .collect();
    Tree { shared, branches }
}
