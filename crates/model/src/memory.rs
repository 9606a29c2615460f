//! What a run will need in memory, before it starts.
use crate::architecture::Architecture;
use crate::{LoadOptions, Model, ModelError, weights};
use kernels::Device;
use std::path::Path;

/// Bytes by purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Weights, master and compute copies.
    pub weights: u64,
    /// Gradients.
    pub gradients: u64,
    /// Moments.
    pub optimizer: u64,
    /// Saved activations of a micro-batch and buffers.
    pub activations: u64,
    /// The LM head's chunk.
    pub head: u64,
}

impl MemoryPlan {
    /// Sum.
    pub fn total(&self) -> u64 {
        self.weights + self.gradients + self.optimizer + self.activations + self.head
    }
}

/// f32 values that a layer saves for a token.
fn saved_per_token(a: &Architecture) -> usize {
    let before_norm = if a.qk_norm { a.query_width() + a.key_width() } else { 0 };
    let middle = if a.parallel_residual { 0 } else { a.hidden_size };
    a.qkv_width() + before_norm + a.query_width() + middle + a.up_width() + 2 * a.n_heads + 4
}

/// f32 values of the short-lived buffers for a token, backward ones included when training.
fn scratch_per_token(a: &Architecture, trains: bool) -> usize {
    let forward = 2 * a.hidden_size + a.intermediate_size;
    let backward = 6 * a.hidden_size + a.intermediate_size + a.up_width() + a.query_width() + a.qkv_width();
    forward + if trains { backward } else { 0 }
}

impl Model {
    /// The plan for micro-batches of up to `micro_tokens`.
    pub fn memory_plan(&self, micro_tokens: usize, checkpoint_activations: bool, trains: bool) -> MemoryPlan {
        let a = &self.architecture;
        let kept_layers = if trains && !checkpoint_activations { a.n_layers } else { 1 };
        let inputs = if trains { a.n_layers + 1 } else { 2 };
        let per_token = kept_layers * saved_per_token(a) + inputs * a.hidden_size + scratch_per_token(a, trains);
        let trainable = 4 * self.trainable().len() as u64;
        MemoryPlan {
            weights: self.parameters.bytes(),
            gradients: if trains { trainable } else { 0 },
            optimizer: if trains { 2 * trainable } else { 0 },
            activations: 4 * (micro_tokens * per_token) as u64,
            // Gathered and normed rows with their gradients, and the LM head's chunk.
            head: 4 * (micro_tokens * a.hidden_size * 4) as u64 + self.head_chunk_bytes(micro_tokens),
        }
    }

    /// The plan of a model that isn't loaded: its description is read, its weights are laid out and not touched.
    pub fn plan_of(
        device: &Device,
        path: &Path,
        options: &LoadOptions,
        micro_tokens: usize,
        checkpoint_activations: bool,
        trains: bool,
    ) -> Result<MemoryPlan, ModelError> {
        let config = weights::open(path)?.config;
        let model = Model::empty(device, config, &path.join("config.json"), options, None)?;
        Ok(model.memory_plan(micro_tokens, checkpoint_activations, trains))
    }

    /// Bytes that the LM head keeps for a chunk's logits, however many tokens there are; 0 without an LM head.
    pub fn head_chunk_bytes(&self, n_rows: usize) -> u64 {
        if self.has_lm_head() { kernels::head::chunk_bytes(n_rows, self.architecture.vocab_size) } else { 0 }
    }

    /// Bytes of [`Model::new_cache`].
    pub fn cache_bytes(&self, capacity: usize) -> u64 {
        let a = &self.architecture;
        (4 * 2 * a.n_layers * capacity * a.key_width()) as u64
    }
}
