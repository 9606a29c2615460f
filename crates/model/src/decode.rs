//! Incremental decoding with a key/value cache.
use crate::forward::{Attend, Pass};
use crate::model::{Model, Noise};
use crate::workspace::{LayerTape, Workspace, sized};
use kernels::attention::QueryBlock;
pub use kernels::attention::Span;
use kernels::linear::Precision;
use kernels::{Buffer, elementwise};

/// Keys and values of `capacity` tokens for every layer; the caller decides which row belongs to whom.
pub struct KvCache {
    /// Rows.
    pub capacity: usize,
    /// Whether a token's numbers must be those that [`Model::forward`] computes for the same sequence: with bf16 or Q8_0
    /// weights the same hidden states bit for bit. Decoding is slower for it.
    pub exact: bool,
    layers: Vec<LayerCache>,
}

/// A layer's keys, then its values, `[capacity, key width]` each.
pub(crate) enum LayerCache {
    F32(Buffer<f32>, Buffer<f32>),
    Bf16(Buffer<u16>, Buffer<u16>),
}

impl KvCache {
    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        let bytes = |layer: &LayerCache| match layer {
            LayerCache::F32(keys, values) => 4 * (keys.len() + values.len()) as u64,
            LayerCache::Bf16(keys, values) => 2 * (keys.len() + values.len()) as u64,
        };
        self.layers.iter().map(bytes).sum()
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
    /// An empty cache in f32.
    pub fn new_cache(&self, capacity: usize) -> KvCache {
        let length = capacity * self.architecture.key_width();
        let layer = |_| LayerCache::F32(Buffer::zeroed(length), Buffer::zeroed(length));
        KvCache { capacity, exact: false, layers: (0..self.architecture.n_layers).map(layer).collect() }
    }

    /// An empty cache in the precision of the weights: keys and values are rounded to bf16 where products are made in it.
    /// It takes half the memory, and a token of a long text is decoded faster for it.
    pub fn new_compact_cache(&self, capacity: usize) -> KvCache {
        if self.precision == Precision::F32 {
            return self.new_cache(capacity);
        }
        let length = capacity * self.architecture.key_width();
        let layer = |_| LayerCache::Bf16(Buffer::zeroed(length), Buffer::zeroed(length));
        KvCache { capacity, exact: false, layers: (0..self.architecture.n_layers).map(layer).collect() }
    }

    /// Appends each piece to the cache and returns the logits after its last token, `[pieces, vocabulary]` (untempered).
    ///
    /// A piece's logits do not depend on the other pieces of the call while each piece is one token, or, with bf16 or
    /// Q8_0 weights, whatever their lengths; with f32 weights a long piece is best given alone (the GEMM library's order
    /// of summation may change with the number of rows).
    pub fn extend(&self, cache: &mut KvCache, pieces: &[Piece], workspace: &mut Workspace) -> Vec<f32> {
        let mut logits = Vec::new();
        self.extend_into(cache, pieces, workspace, &mut logits);
        logits
    }

    /// [`Model::extend`] into a buffer that is kept between calls: megabytes of fresh pages are slow to touch.
    pub fn extend_into(&self, cache: &mut KvCache, pieces: &[Piece], workspace: &mut Workspace, logits: &mut Vec<f32>) {
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
        inputs.resize_with(1.max(inputs.len()), Vec::new);
        layers.resize_with(1.max(layers.len()), LayerTape::default);
        let x = sized(&mut inputs[0], t * d);
        self.embed(&tokens.ids, &tokens.positions, x);
        for (layer_idx, layer) in cache.layers.iter_mut().enumerate() {
            let attend = Attend::Cache { layer, rows: &tokens.cache_rows, exact: cache.exact };
            self.layer_in_place(layer_idx, x, &mut layers[0], scratch, &pass, attend);
        }
        self.last_logits(&tokens.last, t, workspace, logits);
    }

    fn last_logits(&self, last: &[u32], t: usize, workspace: &mut Workspace, logits: &mut Vec<f32>) {
        let (d, n) = (self.architecture.hidden_size, last.len());
        let head = &mut workspace.head;
        let gathered = sized(&mut head.gathered, n * d);
        elementwise::gather_rows(&self.device, &workspace.inputs[0][..t * d], d, last, gathered);
        let normed = sized(&mut head.normed, n * d);
        self.normalise(&self.parameters.final_norm, gathered, normed, &mut head.mean, &mut head.inverse);
        let table = self.parameters.lm_head.as_ref().unwrap_or(&self.parameters.embedding);
        if logits.capacity() < n * table.n_out {
            *logits = elementwise::zeroed(n * table.n_out);
        }
        logits.resize(n * table.n_out, 0.0);
        kernels::head::logits(&self.device, normed, self.parameters.matrix(table), logits);
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
