//! Incremental decoding with a key/value cache.
use crate::{Model, Workspace};
pub use kernels::attention::Span;
/// Keys and values of `capacity` tokens for every layer; the caller decides which row belongs to whom.
pub struct KvCache {
    /// Rows.
    pub capacity: usize,
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
        KvCache { capacity }
    }
    /// Appends each piece to the cache and returns the logits after its last token, `[pieces, vocabulary]` (untempered).
    /// A piece's logits do not depend on the other pieces of the call.
    pub fn extend(
        &self,
        cache: &mut KvCache,
        pieces: &[Piece],
        workspace: &mut Workspace,
    ) -> Vec<f32> {
        let _ = (cache, pieces, workspace);
        todo!()
    }
}
