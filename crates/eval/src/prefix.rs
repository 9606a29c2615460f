//! Token sequences as a prefix tree: what several have in common runs through the model once.
//!
//! A primer that all questions begin with, a question that all its choices follow, the first words that two choices
//! share: each is one run of the tree. Attention sees the same tokens as if every sequence stood alone.

use model::{Target, TreeBatch};

/// Sequences in the making.
#[derive(Default)]
pub struct PrefixTree {
    nodes: Vec<Node>,
    roots: Vec<usize>,
    n_tokens: usize,
}

struct Node {
    token_ids: Vec<u32>,
    parent: Option<usize>,
    children: Vec<usize>,
}

impl PrefixTree {
    /// Tokens that will run.
    pub fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    /// Adds a sequence.
    pub fn insert(&mut self, mut token_ids: &[u32]) {
        let mut parent = None;
        while let Some(&first) = token_ids.first() {
            let Some(child) = self.child(parent, first) else {
                let node = self.add(token_ids.to_vec(), parent);
                self.siblings(parent).push(node);
                self.n_tokens += token_ids.len();
                return;
            };
            let common = common_length(&self.nodes[child].token_ids, token_ids);
            if common < self.nodes[child].token_ids.len() {
                self.split(child, common);
            }
            token_ids = &token_ids[common..];
            parent = Some(child);
        }
    }

    fn add(&mut self, token_ids: Vec<u32>, parent: Option<usize>) -> usize {
        self.nodes.push(Node { token_ids, parent, children: Vec::new() });
        self.nodes.len() - 1
    }

    fn siblings(&mut self, parent: Option<usize>) -> &mut Vec<usize> {
        match parent {
            Some(parent) => &mut self.nodes[parent].children,
            None => &mut self.roots,
        }
    }

    fn child(&self, parent: Option<usize>, first: u32) -> Option<usize> {
        let children = parent.map_or(&self.roots, |parent| &self.nodes[parent].children);
        children.iter().copied().find(|&child| self.nodes[child].token_ids[0] == first)
    }

    /// Keeps the first `length` tokens in the node and moves the rest, with its children, below it.
    fn split(&mut self, node: usize, length: usize) {
        let rest = self.nodes[node].token_ids.split_off(length);
        let children = std::mem::take(&mut self.nodes[node].children);
        let below = self.add(rest, Some(node));
        for &child in &children {
            self.nodes[child].parent = Some(below);
        }
        self.nodes[below].children = children;
        self.nodes[node].children = vec![below];
    }

    /// The batch, and where each node's tokens begin in it.
    pub fn plant(&self) -> Planted<'_> {
        let mut batch = TreeBatch::default();
        let mut starts = vec![0; self.nodes.len()];
        let mut segments = vec![0; self.nodes.len()];
        let mut waiting: Vec<usize> = self.roots.iter().rev().copied().collect();
        while let Some(node) = waiting.pop() {
            let Node { token_ids, parent, children } = &self.nodes[node];
            starts[node] = batch.len();
            segments[node] = match parent {
                Some(parent) => batch.push_branch(segments[*parent], token_ids),
                None => batch.push_root(token_ids),
            };
            waiting.extend(children.iter().rev());
        }
        Planted { tree: self, batch, starts }
    }
}

/// A tree laid out as a batch.
pub struct Planted<'a> {
    tree: &'a PrefixTree,
    /// What runs.
    pub batch: TreeBatch,
    starts: Vec<usize>,
}

impl Planted<'_> {
    /// The targets of the tokens of `sequence` from `first` (at least 1) on. All tokens but the last must have been
    /// inserted, in this order.
    pub fn targets(&self, sequence: &[u32], first: usize) -> Vec<Target> {
        let places = self.places(&sequence[..sequence.len() - 1]);
        (first..sequence.len()).map(|idx| Target { source: places[idx - 1], token_id: sequence[idx] }).collect()
    }

    /// Where each token of an inserted sequence stands in the batch.
    fn places(&self, mut token_ids: &[u32]) -> Vec<usize> {
        let mut places = Vec::with_capacity(token_ids.len());
        let mut parent = None;
        while let Some(&first) = token_ids.first() {
            let node = self.tree.child(parent, first).expect("the sequence was inserted");
            let length = self.tree.nodes[node].token_ids.len().min(token_ids.len());
            places.extend(self.starts[node]..self.starts[node] + length);
            token_ids = &token_ids[length..];
            parent = Some(node);
        }
        places
    }
}

fn common_length(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn every_sequence_is_found_on_a_path_with_its_positions(
            sequences in prop::collection::vec(prop::collection::vec(0u32..3, 1..8), 1..12),
        ) {
            let mut tree = PrefixTree::default();
            sequences.iter().for_each(|s| tree.insert(s));
            let planted = tree.plant();
            prop_assert_eq!(planted.batch.len(), tree.n_tokens());
            for sequence in &sequences {
                let places = planted.places(sequence);
                let ids: Vec<u32> = places.iter().map(|&p| planted.batch.token_ids()[p]).collect();
                prop_assert_eq!(&ids, sequence);
                let positions: Vec<u32> = places.iter().map(|&p| planted.batch.positions()[p]).collect();
                prop_assert_eq!(positions, (0..sequence.len() as u32).collect::<Vec<_>>());
            }
            // No token is run twice for the same prefix.
            let mut prefixes: Vec<&[u32]> = sequences.iter().flat_map(|s| (1..=s.len()).map(move |n| &s[..n])).collect();
            prefixes.sort();
            prefixes.dedup();
            prop_assert_eq!(prefixes.len(), tree.n_tokens());
        }
    }
}
