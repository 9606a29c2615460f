//! What a run will need in memory, before it starts.
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
    /// The head's chunk.
    pub head: u64,
}
impl MemoryPlan {
    /// Sum.
    pub fn total(&self) -> u64 {
        self.weights + self.gradients + self.optimizer + self.activations + self.head
    }
}
impl crate::Model {
    /// The plan for micro-batches of up to `micro_tokens`.
    pub fn memory_plan(
        &self,
        micro_tokens: usize,
        checkpoint_activations: bool,
        trains: bool,
    ) -> MemoryPlan {
        let _ = (micro_tokens, checkpoint_activations, trains);
        todo!()
    }
}
