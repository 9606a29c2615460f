//! Model families, weights in and out, LoRA, heads, explicit forward and backward, optimizer state.
//!
//! The model says numbers (log-probabilities, entropies, scalars) and takes derivatives of numbers back.
//! It knows no chat, no data sets and no losses.

pub mod batch;
pub mod config;
pub mod decode;
pub mod memory;
pub mod model;
pub mod optimizer;
pub mod weights;

pub use batch::{Derivatives, Outputs, Request, Segment, Target, TreeBatch};
pub use config::ModelConfig;
pub use decode::{KvCache, Piece};
pub use model::{
    Dtype, Gradients, LoadOptions, LoraConfig, Model, ModelError, Noise, Trainable, Workspace,
};
pub use optimizer::{AdamWConfig, Optimizer};
