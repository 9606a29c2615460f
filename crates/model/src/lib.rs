//! Model families, weights in and out, LoRA, heads, explicit forward and backward, optimizer state.
//!
//! The model says numbers (log-probabilities, entropies, scalars) and takes derivatives of numbers back.
//! It knows no chat, no data sets and no losses.

mod architecture;
mod backward;
pub mod batch;
pub mod config;
mod critic;
pub mod decode;
mod family;
mod fingerprint;
mod forward;
mod lora;
pub mod memory;
pub mod model;
pub mod optimizer;
mod parameters;
mod readout;
mod save;
pub mod weights;
mod workspace;

pub use batch::{Derivatives, Outputs, Request, Segment, Target, TreeBatch};
pub use config::ModelConfig;
pub use critic::{Critic, Expectations, ValueSlopes, Valued};
pub use decode::{KvCache, Piece, Span};
pub use memory::MemoryPlan;
pub use model::{Dtype, Gradients, LoadOptions, LoraConfig, Model, ModelError, Noise, Trainable};
pub use optimizer::{AdamWConfig, Optimizer};
pub use readout::LearnedToken;
pub use workspace::Workspace;
