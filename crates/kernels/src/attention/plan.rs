//! How the work is cut: tiles of queries, and for the backward pass trees of blocks that share keys.
use super::{AttentionShape, QueryBlock};
use std::ops::Range;

/// Lanes of a query tile at most: queries times the heads that share a key/value head.
pub(super) const LANES: usize = 128;
/// Keys of a tile.
pub(super) const KEYS: usize = 64;

/// Consecutive queries of a block. What they see is one sequence of keys, the block's spans and then its own rows;
/// keys are counted along it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueryTile {
    pub block: usize,
    /// First query, counted from the block's start.
    pub first: usize,
    pub length: usize,
}

impl QueryBlock {
    /// Keys before the block's own.
    pub(super) fn context(&self) -> usize {
        self.spans.iter().map(|span| span.length as usize).sum()
    }

    /// The rows where keys `keys` of the sequence lie: (first row, how many, offset from `keys.start`).
    pub(super) fn pieces(&self, keys: Range<usize>) -> impl Iterator<Item = (usize, usize, usize)> {
        let spans = self.spans.iter().map(|span| (span.start as usize, span.length as usize));
        let own = (self.causal_start as usize, self.query_length as usize);
        let mut position = 0;
        spans.chain([own]).filter_map(move |(row, length)| {
            let (start, end) = (position.max(keys.start), (position + length).min(keys.end));
            let piece = (start < end).then(|| (row + start - position, end - start, start - keys.start));
            position += length;
            piece
        })
    }

    /// Every range of key rows that the block names.
    fn key_ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let own = self.causal_start as usize..self.causal_start as usize + self.query_length as usize;
        let spans = self.spans.iter().map(|span| span.start as usize..span.start as usize + span.length as usize);
        spans.chain([own]).filter(|range| !range.is_empty())
    }

    /// The range of query rows.
    pub(super) fn query_range(&self) -> Range<usize> {
        self.query_start as usize..self.query_start as usize + self.query_length as usize
    }
}

/// Cuts a block into tiles.
pub(super) fn tiles(shape: AttentionShape, block: usize, n_queries: usize) -> impl Iterator<Item = QueryTile> {
    let step = (LANES / shape.group()).max(1);
    (0..n_queries).step_by(step).map(move |first| QueryTile { block, first, length: step.min(n_queries - first) })
}

/// Panics unless the query rows of all blocks are disjoint: each row is written by one worker.
pub(super) fn assert_disjoint(blocks: &[QueryBlock]) {
    let mut ranges: Vec<_> = blocks.iter().map(QueryBlock::query_range).collect();
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    for pair in ranges.windows(2) {
        assert!(pair[0].end <= pair[1].start, "query rows {:?} and {:?} overlap", pair[0], pair[1]);
    }
}

/// Blocks that share key rows, directly or through others, and all the rows they name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tree {
    pub blocks: Vec<usize>,
    /// Disjoint, ascending.
    pub key_rows: Vec<Range<usize>>,
    /// Where each range's first row is, counted over the ranges; one more at the end.
    offsets: Vec<usize>,
}

impl Tree {
    pub fn n_keys(&self) -> usize {
        self.offsets.last().copied().unwrap_or(0)
    }

    /// The row of key `local` of the tree.
    pub fn row(&self, local: usize) -> usize {
        let range = self.offsets.partition_point(|&offset| offset <= local) - 1;
        self.key_rows[range].start + local - self.offsets[range]
    }

    /// The number of a key row among the tree's.
    pub fn local(&self, row: usize) -> usize {
        let range = self.key_rows.partition_point(|range| range.end <= row);
        self.offsets[range] + row - self.key_rows[range].start
    }
}

/// Groups blocks into trees, in the order of their first key row.
pub(super) fn trees(blocks: &[QueryBlock]) -> Vec<Tree> {
    let mut ranges: Vec<(Range<usize>, usize)> = blocks
        .iter()
        .enumerate()
        .flat_map(|(index, block)| block.key_ranges().map(move |range| (range, index)))
        .collect();
    ranges.sort_unstable_by_key(|(range, index)| (range.start, range.end, *index));
    // Overlapping ranges merge, and so do the blocks that named them.
    let mut merged: Vec<(Range<usize>, usize)> = Vec::new();
    let mut leader: Vec<usize> = (0..blocks.len()).collect();
    for (range, index) in ranges {
        match merged.last_mut() {
            Some((last, other)) if range.start < last.end => {
                last.end = last.end.max(range.end);
                let (a, b) = (find(&leader, *other), find(&leader, index));
                leader[a.max(b)] = a.min(b);
            }
            _ => merged.push((range, index)),
        }
    }
    let mut trees: Vec<Tree> = Vec::new();
    let mut tree_of = vec![usize::MAX; blocks.len()];
    for (range, index) in merged {
        let root = find(&leader, index);
        if tree_of[root] == usize::MAX {
            tree_of[root] = trees.len();
            trees.push(Tree { blocks: Vec::new(), key_rows: Vec::new(), offsets: vec![0] });
        }
        let tree = &mut trees[tree_of[root]];
        tree.offsets.push(tree.n_keys() + range.len());
        tree.key_rows.push(range);
    }
    for index in 0..blocks.len() {
        trees[tree_of[find(&leader, index)]].blocks.push(index);
    }
    trees
}

fn find(leader: &[usize], mut index: usize) -> usize {
    while leader[index] != index {
        index = leader[index];
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::Span;

    fn block(spans: &[(u32, u32)], start: u32, length: u32) -> QueryBlock {
        QueryBlock {
            query_start: start,
            query_length: length,
            spans: spans.iter().map(|&(start, length)| Span { start, length }).collect(),
            causal_start: start,
        }
    }

    #[test]
    fn blocks_that_share_keys_are_one_tree() {
        // A prompt with two branches, one of which branches again; a plain sequence right behind it.
        let blocks = [
            block(&[], 0, 10),
            block(&[(0, 10)], 10, 5),
            block(&[(0, 10)], 15, 3),
            block(&[], 20, 7),
            block(&[(0, 10), (15, 3)], 18, 2),
        ];
        let trees = trees(&blocks);
        assert_eq!(trees.iter().map(|t| t.blocks.clone()).collect::<Vec<_>>(), [vec![0, 1, 2, 4], vec![3]]);
        assert_eq!(trees[1].key_rows, std::slice::from_ref(&(20..27)));
        assert_eq!((trees[0].n_keys(), trees[1].n_keys()), (20, 7));
        assert!((0..20).all(|row| trees[0].local(row) == row && trees[0].row(row) == row));
        assert_eq!((trees[1].local(23), trees[1].row(3)), (3, 23));
    }

    #[test]
    fn pieces_walk_the_sequence_of_keys() {
        let block = block(&[(100, 3), (50, 2)], 7, 4);
        assert_eq!(block.context(), 5);
        assert_eq!(block.pieces(0..9).collect::<Vec<_>>(), [(100, 3, 0), (50, 2, 3), (7, 4, 5)]);
        assert_eq!(block.pieces(2..6).collect::<Vec<_>>(), [(102, 1, 0), (50, 2, 1), (7, 1, 3)]);
    }

    #[test]
    #[should_panic(expected = "overlap")]
    fn a_query_row_in_two_blocks_is_refused() {
        assert_disjoint(&[block(&[], 0, 3), block(&[], 5, 2), block(&[], 2, 1)]);
    }
}
