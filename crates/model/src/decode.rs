//! Incremental decoding with a key/value cache.
use crate::forward::{Attend, Pass};
use crate::model::{Model, Noise};
use crate::workspace::{LayerTape, Workspace, sized};
use kernels::attention::QueryBlock;
pub use kernels::attention::Span;
use kernels::{elementwise, linear};

/// Keys and values of `capacity` tokens for every layer, in f32; the caller decides which row belongs to whom.
pub struct KvCache {
    /// Rows.
    pub capacity: usize,
    /// Whether a token's numbers must be those that [`Model::forward`] computes for the same sequence: with bf16 or Q8_0
    /// weights the same hidden states bit for bit. Decoding is slower for it.
    pub exact: bool,
    /// For each layer, keys then values, `[capacity, key width]` each.
    layers: Vec<(Vec<f32>, Vec<f32>)>,
}

impl KvCache {
    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.layers.iter().map(|(k, v)| 4 * (k.len() + v.len()) as u64).sum()
    }
}

/// New tokens of one sequence.
#[derive(Clone, Debug)]
pub struct Piece<'a> {
    /// The tokens, at least one.
    pub token_ids: &'a [u32],
    /// Position of the first.
    pub position: u32,
    /// Cache rows of what came before, in order (a shared prompt, then the sequence's own rows).
    pub context: Vec<Span>,
    /// Cache row of the first new token; the rest follow.
    pub write_at: u32,
}

impl Model {
    /// An empty cache.
    pub fn new_cache(&self, capacity: usize) -> KvCache {
        let length = capacity * self.architecture.key_width();
        let layer = |_| (elementwise::zeroed(length), elementwise::zeroed(length));
        KvCache { capacity, exact: false, layers: (0..self.architecture.n_layers).map(layer).collect() }
    }

    /// Appends each piece to the cache and returns the logits after its last token, `[pieces, vocabulary]` (untempered).
    ///
    /// A piece's logits do not depend on the other pieces of the call while each piece is one token, or, with bf16 or
    /// Q8_0 weights, whatever their lengths; with f32 weights a long piece is best given alone (the GEMM library's order
    /// of summation may change with the number of rows).
    pub fn extend(&self, cache: &mut KvCache, pieces: &[Piece], workspace: &mut Workspace) -> Vec<f32> {
        let d = self.architecture.hidden_size;
        let mut tokens = Tokens::default();
        pieces.iter().for_each(|piece| tokens.push(piece, cache.capacity));
        let t = tokens.ids.len();
        let last_position = tokens.positions.iter().copied().max().unwrap_or(0) as usize;
        let table = self.rotary_table(last_position + 1);
        let pass = Pass {
            n_tokens: t,
            positions: &tokens.positions,
            blocks: &tokens.blocks,
            table: table.as_deref(),
            noise: Noise::default(),
            within: None,
        };
        let Workspace { inputs, layers, scratch, .. } = workspace;
        inputs.resize_with(2.max(inputs.len()), Vec::new);
        layers.resize_with(1.max(layers.len()), LayerTape::default);
        self.embed(&tokens.ids, &tokens.positions, sized(&mut inputs[0], t * d));
        for (layer_idx, (keys, values)) in cache.layers.iter_mut().enumerate() {
            let (x, next) = inputs.split_at_mut(1);
            let attend = Attend::Cache { keys, values, rows: &tokens.cache_rows, exact: cache.exact };
            self.layer_forward(
                layer_idx,
                &x[0][..t * d],
                sized(&mut next[0], t * d),
                &mut layers[0],
                scratch,
                &pass,
                attend,
            );
            inputs.swap(0, 1);
        }
        self.last_logits(&tokens.last, t, workspace)
    }

    fn last_logits(&self, last: &[u32], t: usize, workspace: &mut Workspace) -> Vec<f32> {
        let (d, n) = (self.architecture.hidden_size, last.len());
        let head = &mut workspace.head;
        let gathered = sized(&mut head.gathered, n * d);
        elementwise::gather_rows(&self.device, &workspace.inputs[0][..t * d], d, last, gathered);
        let normed = sized(&mut head.normed, n * d);
        self.normalise(&self.parameters.final_norm, gathered, normed, &mut head.mean, &mut head.inverse);
        let table = self.parameters.lm_head.as_ref().unwrap_or(&self.parameters.embedding);
        let mut logits = vec![0.0; n * table.n_out];
        linear::forward(
            &self.device,
            normed,
            d,
            self.parameters.matrix(table),
            &mut logits,
            table.n_out,
            n,
            linear::Write::Overwrite,
        );
        logits
    }
}

/// The new tokens of all pieces, side by side.
#[derive(Default)]
struct Tokens {
    ids: Vec<u32>,
    positions: Vec<u32>,
    cache_rows: Vec<u32>,
    blocks: Vec<QueryBlock>,
    /// Index of each piece's last token.
    last: Vec<u32>,
}

impl Tokens {
    fn push(&mut self, piece: &Piece, capacity: usize) {
        let (start, length) = (self.ids.len() as u32, piece.token_ids.len() as u32);
        assert!(length > 0, "a piece needs at least one token");
        assert!(
            (piece.write_at + length) as usize <= capacity,
            "rows {}..{} of a cache of {capacity}",
            piece.write_at,
            piece.write_at + length
        );
        self.ids.extend_from_slice(piece.token_ids);
        self.positions.extend((0..length).map(|i| piece.position + i));
        self.cache_rows.extend((0..length).map(|i| piece.write_at + i));
        self.blocks.push(QueryBlock {
            query_start: start,
            query_length: length,
            spans: piece.context.clone(),
            causal_start: piece.write_at,
        });
        self.last.push(start + length - 1);
    }
}
